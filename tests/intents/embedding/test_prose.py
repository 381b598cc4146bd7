"""What of a message is prose: what people paste is left out, what they say stays."""

from __future__ import annotations

import random
import string

import numpy as np
import pytest

from insights_pipeline.intents.embedding.scripts import SCRIPTS, script_of
from insights_pipeline.intents.embedding.text import (
    MAX_CHARS,
    has_text,
    request_of,
    sentences_of,
    spaced,
    words_in,
)
from insights_pipeline.intents.embedding.wordllama_space import WordLlamaSpace, fit_space
from insights_pipeline.intents.vectors import pack

MAIL = """Hi team,

My order 123456 has not arrived, it was promised for monday and as far as i can see it
has not even left the warehouse. Could you check?

Best regards,
Jo Smith
Acme GmbH

On Mon, Jan 5, 2026 at 9:41 AM Support <support@example.com> wrote:
> we got your mail
> your ticket is 99
"""


def said(text: str) -> list[str]:
    return [sentence for sentence, _ in sentences_of(request_of(text))]


def opening(text: str) -> list[str]:
    return [sentence for sentence, of_opening in sentences_of(request_of(text)) if of_opening]


def test_of_a_mail_the_request_is_left_without_signature_and_quoted_reply() -> None:
    assert said(MAIL) == [
        "hi team,",
        "my order has not arrived, it was promised for monday and as far as i can see it has not even left "
        "the warehouse.",
        "could you check?",
    ]


def test_a_greeting_does_not_end_the_opening_turn() -> None:
    assert opening("Hello!\nwhere is my parcel please\nyes that one") == [
        "hello!",
        "where is my parcel please",
    ]
    assert opening("Dear customer service team,\nplease cancel the contract\nthanks a lot for it")[1:] == [
        "please cancel the contract"
    ]


def test_what_follows_a_forwarded_message_is_somebody_elses() -> None:
    text = "please book what they ask for\n----- Original Message -----\nFrom: x\nwe need ten tables"
    assert said(text) == ["please book what they ask for"]
    alone = "----- Original Message -----\nwe need ten tables by friday"
    assert "we need ten tables by friday" in said(alone)


@pytest.mark.parametrize(
    ("pasted", "gone"),
    [
        ("```python\nimport os\nos.remove(path)\n```", ["import", "remove"]),
        (
            'Traceback (most recent call last):\n  File "/srv/app/main.py", line 31, in load\nKeyError: name',
            ["traceback", "srv", "load"],
        ),
        ("Exception in thread\n\tat com.acme.Foo.bar(Foo.java:31)\n\t... 12 more", ["acme", "more"]),
        (
            '{\n  "customer": {"name": "jo", "tier": "gold"},\n  "items": [{"sku": "lamp"}]\n}',
            ["tier", "sku"],
        ),
        ("<div class='x'><span>hi</span></div>", ["div", "span", "class"]),
        ("iVBORw0KGgoAAAANSUhEUgAAABGdBTUEAALGPCAAAAAAAAAAA", ["ivbor"]),
        ("AAAAABBBBBCCCCCDDDDDEEEEEFFFFFGGGGGHHHHHIIIIIJJJJJ", ["aaaa"]),
    ],
)
def test_what_is_pasted_is_left_out(pasted: str, gone: list[str]) -> None:
    request = request_of(f"why does this not work for me?\n{pasted}")
    assert said(f"why does this not work for me?\n{pasted}")[0] == "why does this not work for me?"
    assert not [word for word in gone if word in request]


def test_a_message_that_is_nothing_but_data_is_kept() -> None:
    assert "where is my order" in request_of('{"query": "where is my order"}')
    assert "import os" in request_of("```\nimport os\n```")
    assert "we got your mail" in request_of("> we got your mail")


def test_markup_goes_and_its_words_stay() -> None:
    text = (
        "## My problem\n- **please** [reset it](https://x.example/y?z=1)\n1. then `restart` the ~~old~~ _box_"
    )
    assert request_of(text) == "my problem\nplease reset it\nthen restart the old box"
    assert request_of("what is snake_case and 2 * 3 * 4") == "what is snake_case and 2 3 4".replace(
        "2 3 4", "2 3 4"
    )


def test_slot_values_within_a_script_without_blanks_are_taken_out_alone() -> None:
    assert said("请帮我查询订单12345678的状态。谢谢！再见") == ["请帮我查询订单的状态。", "谢谢!", "再见"]
    assert said("注文番号AB12345を確認してください") == ["注文番号を確認してください"]
    assert "주문" in request_of("주문번호 12345번 어디 있나요?")


def test_sentences_end_as_each_script_ends_them() -> None:
    assert said("我的包裹在哪里？它应该昨天到。请帮忙！") == ["我的包裹在哪里?", "它应该昨天到。", "请帮忙!"]
    assert said("मेरा पार्सल कहाँ है? कृपया जाँचें। धन्यवाद") == ["मेरा पार्सल कहाँ है?", "कृपया जाँचें।", "धन्यवाद"]
    assert said("أين طلبي؟ شكرا لكم") == ["أين طلبي؟", "شكرا لكم"]


def test_invisible_and_compatibility_characters_do_not_make_another_text() -> None:
    assert request_of("\u200fأين\u200e طلبي\ufeff") == "أين طلبي"
    assert request_of("ｗｈｅｒｅ is cafe\u0301") == "where is café"


def test_letters_of_scripts_without_blanks_count_as_half_a_word() -> None:
    assert words_in("where is it") == 3
    assert words_in("我的订单在哪里") > 3
    assert spaced("我的 ok").split() == ["我", "的", "ok"] and spaced("my order") == "my order"


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("où est mon colis", "latin"), ("где мой заказ", "cyrillic"), ("我的订单", "cjk"), ("注文はどこですか", "cjk"),
        ("주문 어디", "hangul"), ("أين طلبي", "arabic"), ("איפה ההזמנה", "hebrew"), ("मेरा ऑर्डर", "devanagari"),
        ("πού είναι", "greek"), ("đơn hàng của tôi ở đâu", "latin"), ("ok ok где мой заказ", "cyrillic"),
        ("😀", "latin"),
    ],
)  # fmt: skip
def test_the_script_of_a_sentence_is_that_of_most_letters(text: str, script: str) -> None:
    assert SCRIPTS[script_of(text)] == script


@pytest.mark.parametrize(
    "blob",
    ["[" * 9_000, "<a" * 5_000, "[x](" * 3_000, "_a" * 5_000, "a:" * 5_000, "`" * 9_000, "東1" * 5_000, "\n" * 9_000,
     "-- \n" * 3_000, "> " * 5_000, "at x(" * 2_000, "on " * 4_000 + "\nx", "𝕏" * 4_000, "ﷺ" * 4_000],
)  # fmt: skip
def test_hostile_texts_are_read_and_stay_bounded(blob: str) -> None:
    request = request_of(f"x\n{blob}")
    assert len(request) <= 2 * MAX_CHARS  # lower case may be longer
    assert sentences_of(request_of("a" + blob))


def test_no_soup_of_marks_breaks_the_reading() -> None:
    rng = random.Random(0)
    marks = string.punctuation * 3 + "\n\n\n \t " + "ab1。？！жα我\u200d\u0301"
    for _ in range(400):
        text = "".join(rng.choices(marks, k=rng.randrange(1, 200)))
        if has_text(text):
            assert sentences_of(request_of(text))


def test_requests_in_other_languages_are_told_apart() -> None:
    verbs = ["где", "когда будет", "что случилось с", "не пришёл", "проверьте"]
    things = ["мой заказ", "моя посылка", "мой пакет", "моя доставка", "моя покупка", "мой товар"]
    others = [f"{verb} пароль от {thing}" for verb in ("забыл", "сбросьте", "измените", "не помню", "восстановите")
              for thing in ("почты", "кабинета", "счёта", "приложения", "сайта", "кошелька")]  # fmt: skip
    space = fit_space([f"{verb} {thing}" for verb in verbs for thing in things] + others)
    vectors = space.embed(["где мой заказ", "где моя посылка", "забыл пароль от почты"]).astype(float)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert vectors[0] @ vectors[2] < 0.3, "without the mean of the language taken out this is 0.6"


def test_english_is_left_to_the_token_table_and_other_languages_keep_their_vectors_in_any_batch() -> None:
    english = [
        f"how do i change the {thing} of my account" for thing in ("name", "address", "limit", "owner")
    ] * 10
    assert not fit_space(english).scripts.letters.any() and len(fit_space(english).scripts.buckets) == 0
    russian = [f"как мне изменить {thing}" for thing in ("имя", "адрес", "лимит", "владельца", "пароль")] * 10
    space = fit_space([*english, *russian])
    assert space.scripts.letters[SCRIPTS.index("cyrillic")] == 1 and space.scripts.letters[0] == 0
    said = [*russian[:5], *english[:4], "我的订单在哪里", "смешанный text here", "что? где! когда."]
    together = space.embed(said)
    back = WordLlamaSpace.from_payload(space.name, space.payload())
    assert (
        pack(together)
        == pack(np.concatenate([space.embed([text]) for text in said]))
        == pack(back.embed(said))
    )
