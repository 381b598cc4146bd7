from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.intents.embedding.text import request_of
from insights_pipeline.intents.naming.labels import MAX_NAME, Label, contrast, describe, label_groups, slug_of
from insights_pipeline.intents.naming.spans import spans_of, stem, stop_words, words_in

CANCEL = [
    "please cancel my order",
    "i want to cancel the order from yesterday",
    "cancel order now",
    "can you cancel this order for me",
    "i cancelled my order but it still shows",
    "how do i cancel orders",
    "my order should be cancelled, cancel my order",
]
TRACK = [
    "where is my package",
    "track my package please",
    "i'd like to track the package",
    "can you track a package",
    "package tracking please",
    "track package",
    "my package has not arrived, track it",
]


def name_of(*groups: list[str]) -> str:
    return label_groups(groups)[0].name


def test_a_name_is_what_people_say_in_a_row_without_determiners() -> None:
    assert [label.name for label in label_groups([CANCEL, TRACK])] == ["Cancel order", "Track package"]


def test_inflected_forms_are_one_and_the_most_frequent_form_is_shown() -> None:
    said = [
        "returned item",
        "returning items",
        "return an item",
        "return the item",
        "return item",
        "returns items",
    ]
    assert name_of(said, TRACK) == "Return item"
    assert stem("refunded") == stem("refunds") == stem("refund")
    assert stem("cancelled") == stem("cancel")
    assert stem("address") == stem("addresses")


def test_a_question_of_stop_words_is_a_name_when_most_people_ask_it() -> None:
    said = ["how old are you", "tell me, how old are you?", "how old are you now", "so how old are you"] * 2
    assert name_of(said, TRACK, CANCEL) == "How old are you"


def test_names_are_unique_and_hold_no_courtesy() -> None:
    groups = [
        ["please can you track my package", "track package", "where is my package, track it"],
        ["i want to track my flight", "flight track please", "track the flight"],
        ["track it", "please track it", "can you track"],
        ["hi", "hello", "thanks"],
    ]
    labels = label_groups(groups, taken=["other-requests"])
    assert len({label.slug for label in labels}) == 4
    assert "package" in labels[0].name.lower()
    assert "flight" in labels[1].name.lower()
    assert labels[3].name == "Other requests 2"
    words = {word for label in labels for word in label.name.lower().split()}
    assert not words & {"please", "my", "the", "can", "you"}


def test_a_taken_name_goes_to_no_other_intent() -> None:
    first = label_groups([CANCEL])[0]
    second = label_groups([CANCEL], taken=[first.slug])[0]
    assert second.slug != first.slug
    assert label_groups([CANCEL], background=[TRACK])[0].name == "Cancel order"


def test_phrases_are_words_and_pairs_with_each_stem_once() -> None:
    phrases = label_groups([CANCEL, TRACK])[0].phrases
    assert phrases[0] == "cancel order"
    stems = [stem(word) for phrase in phrases for word in phrase.split()]
    assert len(stems) == len(set(stems))


def test_no_name_holds_a_person_or_a_value() -> None:
    said = [
        f"hello my name is maria kovacek, {what} refund for order {number}, mail maria@example.com"
        for number, what in enumerate(
            ["i need a", "where is the", "please check the", "give me the"] * 4, 70_000
        )
    ]
    label = label_groups([[request_of(text) for text in said], CANCEL])[0]
    assert "refund" in label.name.lower()
    told = " ".join([label.name.lower(), *label.phrases])
    assert not re.search(r"maria|kovacek|\d|example|@", told)


def test_a_word_is_a_name_only_where_it_mostly_follows_an_introduction() -> None:
    texts = [
        "i am zorblax",
        "my name is zorblax",
        "i'm late for the flight",
        "flight is late",
        "late flight again",
    ]
    assert "zorblax" in words_in(texts).people
    assert "late" not in words_in(texts).people


def test_half_of_a_hyphenated_word_is_nobodys_name() -> None:
    assert "self" not in words_in(["i am self-employed", "this is self-service, my name is self-made"]).people


@pytest.mark.parametrize(
    ("texts", "other", "name"),
    [
        (["我要取消订单", "请取消订单", "怎么取消订单", "取消订单"], ["今天天气如何", "天气好吗"], "取消订单"),
        (["отменить заказ", "хочу отменить заказ", "как отменить заказ"], ["где посылка"], "Отменить заказ"),
        (["टाइमर रद्द करो", "मेरा टाइमर रद्द करें", "टाइमर रद्द"], ["मौसम कैसा है"], "टाइमर रद्द"),
        (["meine bestellung stornieren", "bestellung stornieren bitte", "ich möchte eine bestellung stornieren"],
         ["wo ist mein paket", "wann kommt das paket"], "Bestellung stornieren"),
        (["cancelar mi pedido", "quiero cancelar mi pedido", "como puedo cancelar mi pedido"],
         ["donde esta el paquete"], "Cancelar mi pedido"),
    ],
)  # fmt: skip
def test_names_are_made_in_any_script(texts: list[str], other: list[str], name: str) -> None:
    assert name_of(texts, other) == name


def test_stop_words_of_another_language_count_only_where_it_is_spoken() -> None:
    assert "die" in stop_words()["de"]
    assert "die" not in words_in(["why did my battery die", "did the engine die"]).stop
    assert "die" in words_in(["wo ist die rechnung", "ich habe die falsche rechnung"]).stop


def test_spans_do_not_reach_across_clauses_or_values() -> None:
    texts = ["cancel order, refund money"]
    keys = {span.surface for span in spans_of(texts[0], words_in(texts))}
    assert {"cancel order", "refund money"} <= keys
    assert not any("order refund" in key for key in keys)
    assert "room 12 people" not in {span.surface for span in spans_of("room 12 people", words_in(texts))}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=80), max_size=8), min_size=1, max_size=4))
def test_whatever_is_written_gives_unique_short_visible_names(groups: list[list[str]]) -> None:
    labels = label_groups(groups)
    assert len({label.slug for label in labels}) == len(groups)
    for label, texts in zip(labels, groups, strict=True):
        assert label.slug and label.name == label.name.strip()
        assert len(label.name) <= MAX_NAME + 4 and label.name.isprintable()
        described = describe(label, texts)
        assert len(described) <= 160 and described.isprintable()


def test_hostile_texts_are_cut_and_never_a_name_that_is_markup() -> None:
    bomb = "a'" * 50_000 + "चि" * 10_000 + "![x](http://evil.example) {0} %s <script>" * 50
    label = label_groups([[bomb] * 8, CANCEL])[0]
    assert len(label.name) <= MAX_NAME
    assert not set(label.name) & set("<>[](){}!%`|")


def test_a_description_quotes_the_sentence_that_says_the_most() -> None:
    label = Label("Cancel order", "cancel-order", ("cancel order", "mistake"))
    texts = ["Hello there. I am Bob. Please cancel my Order, it was a mistake. Thanks", "hi"]
    assert describe(label, texts) == "People ask: “Please cancel my Order, it was a mistake”."
    assert describe(label, ["Hi, can i cancel the order?"]) == "People ask: “Can I cancel the order?”."
    assert describe(label, ["Hey there, cancel my order A-998123, .. "]) == "People ask: “Cancel my order”."
    assert describe(label, []) == "" == describe(label, ["?!"])
    long = describe(label, ["cancel " * 200])
    assert len(long) <= 160 and long.endswith("…”.")


def test_a_description_holds_no_order_numbers_or_addresses() -> None:
    label = Label("Cancel order", "cancel-order", ("cancel order",))
    told = describe(label, ["cancel order A-99812 of jo@example.com please"])
    assert told == "People ask: “Cancel order of please”."


def test_contrast_gives_what_each_side_says_and_the_other_does_not() -> None:
    left, right = contrast(CANCEL, TRACK)
    assert left[0] == "cancel order"
    assert "package" in " ".join(right)
    assert not {stem(word) for phrase in left for word in phrase.split()} & {"track", "packag"}
    assert contrast([], []) == ((), ())


def test_slugs_keep_letters_of_any_script() -> None:
    assert slug_of("Kid's Größe 2") == "kids-größe-2"


def test_names_of_real_requests_share_a_word_with_what_people_called_them(real_data: Path) -> None:
    raw = json.loads((real_data / "clinc150" / "data_small.json").read_text())
    by_intent: dict[str, list[str]] = {}
    for text, intent in raw["train"]:
        by_intent.setdefault(intent, []).append(text)
    chosen = random.Random(100).sample(sorted(by_intent), 60)
    labels = label_groups([[request_of(text) for text in by_intent[intent][:33]] for intent in chosen])
    hits = sum(
        bool({stem(word) for word in intent.split("_")} & {stem(word) for word in label.name.lower().split()})
        for intent, label in zip(chosen, labels, strict=True)
    )
    assert hits >= 36
    assert sum(" " in label.name for label in labels) >= 36
