from __future__ import annotations

import logging
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.intents.embedding.text import has_text, one_line, request_of, sentences_of
from insights_pipeline.intents.embedding.wordllama_space import WordLlamaSpace as Space
from insights_pipeline.intents.embedding.wordllama_space import _tokenizer, _tokens, fit_space
from insights_pipeline.intents.vectors import cosines, exact, pack, unit, unpack

ODD = [
    "привет, где мой заказ?",
    "我的订单在哪里",
    "😀😀 ok",
    "a",
    "x" * 100_000,
    "?! " * 600 + "help",
    "\x00a\n\n\n",
]


@pytest.fixture(scope="module")
def space() -> Space:
    return fit_space(
        [f"please tell me about topic {i}. my user id is u_{i}99. thank you!" for i in range(300)]
    )


@pytest.mark.parametrize("text", [None, "", "   \n", "12 345 !?", "😀"])
def test_a_text_without_a_letter_is_no_text(text: str | None) -> None:
    assert not has_text(text)


def test_slot_values_are_taken_out_and_what_is_asked_stays() -> None:
    text = "Where is order #W8855135? Mail jo.doe+x@example.co.uk https://shop.example/o/1, by mia_li_3271 PEP4E0"
    said = request_of(text)
    assert "where is order" in said
    for slot in ("8855135", "example", "3271", "@", "http", "pep"):
        assert slot not in said
    assert request_of("My iPhone15 and PS5 are broken") == "my iphone15 and ps5 are broken"
    assert request_of("set an alarm for 7 am") == "set an alarm for 7 am"


def test_a_text_of_nothing_but_a_slot_value_is_kept() -> None:
    assert request_of("jo@example.com") == "jo@example.com"


def test_turns_after_the_first_with_words_are_later_turns() -> None:
    assert sentences_of("...\nhello. where is it?\nyes") == [
        ("hello.", True),
        ("where is it?", True),
        ("yes", False),
    ]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_no_text_breaks_the_reading_of_texts(text: str) -> None:
    assert len(one_line(text)) <= 300
    if has_text(text):
        assert sentences_of(request_of(text))


def test_odd_texts_get_a_unit_vector(space: Space) -> None:
    norms = np.linalg.norm(space.embed(ODD).astype(float), axis=1)
    assert np.allclose(norms, 1, atol=2e-3)


def test_a_vector_depends_on_its_own_text_only(space: Space) -> None:
    texts = [
        f"{a}. my user id is {i}. {b}" for i, (a, b) in enumerate(zip(ODD * 30, ODD[::-1] * 30, strict=True))
    ]
    together = space.embed(texts)
    alone = np.concatenate([space.embed([text]) for text in texts])
    backwards = space.embed(texts[::-1])[::-1]
    assert pack(together) == pack(alone) == pack(np.ascontiguousarray(backwards))


def test_a_space_survives_the_lake(space: Space) -> None:
    back = Space.from_payload(space.name, space.payload())
    assert pack(back.embed(ODD)) == pack(space.embed(ODD))
    assert back.fitted_on == 300


def test_what_everybody_says_counts_little_beside_the_request(space: Space) -> None:
    bare = space.embed(["where can i park my bicycle near the museum"])
    wrapped = space.embed(["where can i park my bicycle near the museum. my user id is u_7799. thank you!"])
    assert float(cosines(exact(bare), exact(wrapped))[0, 0]) > 0.9
    assert space.core(["my user id is u_55999. where can i park my bicycle. thank you!"]) == [
        "where can i park my bicycle."
    ]


def test_words_tokenised_on_their_own_give_the_tokens_of_the_sentence() -> None:
    said = [
        "where's my re-order? it isn't hier – größe übertrifft",
        "我的 订单 ok",
        "привет где мой заказ",
        "a  b",
        "😀 x",
    ]
    ids, counts = _tokens(said)
    whole = _tokenizer().encode_batch_fast(
        [" ".join(text.split(" ")) for text in said], add_special_tokens=False
    )
    expected = [one.ids for one in whole]
    parts = np.split(ids, np.cumsum(counts)[:-1])
    assert [part.tolist() for part in parts[:3]] == expected[:3]
    assert parts[4].tolist() == expected[4]
    assert counts.sum() == len(ids)


def test_texts_of_one_topic_keep_what_they_have_in_common() -> None:
    """Where the table knows the language only a short piece of the mean is taken: it may be the topic."""
    topic = fit_space(
        [f"when will my parcel with the {thing} arrive" for thing in "abcdefghijklmnopqrstuvwxyz"]
    )
    assert np.linalg.norm(topic.scripts.means, axis=1).max() <= 0.2501
    near, again, far = exact(
        topic.embed(
            ["when will my parcel with the lamp arrive", "when will the lamp arrive", "reset the password"]
        )
    )[:, None]
    assert cosines(near, again)[0, 0] > cosines(near, far)[0, 0] + 0.5


def test_unrelated_requests_are_farther_apart_than_paraphrases(space: Space) -> None:
    a, b, c = exact(space.embed(["where is my parcel", "track my package", "reset the password"]))[:, None]
    assert cosines(a, b) > cosines(a, c) + 0.1


def test_reading_the_table_leaves_the_hosts_logging_alone(space: Space) -> None:
    import sys

    assert "wordllama.inference" not in sys.modules
    assert space.embed(["x"]).shape == (1, 256)
    assert logging.getLogger().level == logging.WARNING


def test_cosines_are_the_same_bits_in_any_batch() -> None:
    rng = np.random.default_rng(0)
    left, right = (exact(unit(rng.normal(size=(n, 256)))) for n in (700, 300))
    whole = cosines(left, right)
    assert all((cosines(left[i : i + 1], right) == whole[i]).all() for i in range(0, 700, 37))
    assert (cosines(left, right[::-1])[:, ::-1] == whole).all()


def test_vectors_survive_packing() -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(3, 256))).astype(np.float16)
    assert (unpack([pack(one) for one in vectors]) == vectors).all()


def test_embedding_is_fast_enough_for_a_large_day(space: Space) -> None:
    texts = [f"how do i change the delivery of parcel number {i} to friday" for i in range(8_000)]
    space.embed(texts[:200])
    began = time.process_time()
    space.embed(texts)
    assert (
        len(texts) / (time.process_time() - began) > 5_000
    )  # the goal is 20,000 a core; machines are shared
