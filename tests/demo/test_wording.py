from __future__ import annotations

from random import Random

import numpy as np
import pytest

from insights_pipeline.demo.phrases import Choice, Slot, compile_template, load_phrases, load_shared, slots_of
from insights_pipeline.demo.wording import Case, Style, draw_style, off_topic, opening, write
from insights_pipeline.demo.world import INTENTS, NEWCOMER, OFF_TOPIC

NAMES = [intent.name for intent in (*INTENTS, NEWCOMER)]
CAREFUL = Style(typos=0.0, polite=0.0, lower=False, bare=False)


def case_of(intent: str, seed: int) -> Case:
    return Case(Random(seed), (load_phrases(intent).slots, load_shared().slots), "$")


def openings(intent: str, count: int, *, seed: int = 0) -> list[str]:
    random = Random(seed)
    phrases, shared = load_phrases(intent), load_shared()
    return [
        opening(Case(random, (phrases.slots, shared.slots), "$"), phrases, shared, draw_style(random))
        for _ in range(count)
    ]


def test_a_template_is_text_slots_and_choices_that_may_hold_slots() -> None:
    template = compile_template("where is [my order|{order}]?")
    assert template == ("where is ", Choice((("my order",), (Slot("order"),))), "?")
    assert slots_of(template) == {"order"}


@pytest.mark.parametrize("intent", NAMES)
def test_every_intent_has_at_least_forty_different_openings(intent: str) -> None:
    assert len(set(load_phrases(intent).openings)) >= 40


def test_no_opening_is_shared_by_two_intents() -> None:
    everything = [one for intent in NAMES for one in load_phrases(intent).openings]
    assert len(everything) == len(set(everything))


@pytest.mark.parametrize("intent", NAMES)
def test_every_slot_of_every_phrase_can_be_filled(intent: str) -> None:
    phrases = load_phrases(intent)
    for kind in ("openings", "details", "followups", "answers", "sentences", "failure"):
        for template in getattr(phrases, kind):
            said = case_of(intent, 1).say(template)
            assert said.strip()
            assert not set("{}[]|") & set(said), said


def test_slots_have_thirty_values_where_that_is_natural() -> None:
    natural_fewer = {"company", "weekday", "month", "card", "carrier", "login", "size"}
    pools = dict(load_shared().slots)
    for intent in NAMES:
        pools.update(load_phrases(intent).slots)
    few = {name: len(values) for name, values in pools.items() if len(set(values)) < 30}
    assert set(few) <= natural_fewer, few


def test_one_case_keeps_its_values_and_numbered_slots_differ() -> None:
    case = case_of("order_status", 3)
    assert case.value("order") == case.value("order")
    assert case.value("product") != case.value("product2")
    with pytest.raises(KeyError):
        case.value("no_such_slot")


def test_at_least_95_percent_of_the_texts_are_distinct() -> None:
    for intent in INTENTS[:3]:
        texts = openings(intent.name, 1_000)
        assert len(set(texts)) >= 950, intent.name


def test_people_differ_in_length_case_punctuation_and_manners() -> None:
    texts = [text for intent in NAMES for text in openings(intent, 60)]
    lengths = np.quantile([len(text) for text in texts], [0.05, 0.95])
    assert lengths[0] < 60
    assert lengths[1] > 150
    assert 0.1 < np.mean([text == text.lower() for text in texts]) < 0.35
    assert 0.1 < np.mean([text[-1].isalnum() for text in texts]) < 0.6
    assert np.mean([text.lower().startswith(("hi", "hello", "hey", "good", "dear")) for text in texts]) > 0.15


def test_typos_come_at_about_the_rate_of_the_person_and_leave_digits_alone() -> None:
    text = "please cancel my order 483920 because i changed my mind about the jacket"
    sloppy = Style(typos=0.02, polite=0.0, lower=False, bare=False)
    written = [write(text, Random(seed), sloppy) for seed in range(400)]
    assert np.mean([one != text for one in written]) > 0.6
    assert all("483920" in "".join(filter(str.isdigit, one)) for one in written)
    assert max(abs(len(one) - len(text)) for one in written) <= 3
    rare = [write(text, Random(seed), CAREFUL) for seed in range(50)]
    assert all(abs(len(one) - len(text)) <= 1 for one in rare)


def test_off_topic_messages_are_about_something_else() -> None:
    random, shared = Random(5), load_shared()
    texts = [off_topic(Case(random, (shared.slots,), "$"), shared, CAREFUL) for _ in range(300)]
    assert len(set(texts)) > 150
    assert not any("refund" in text or "parcel" in text for text in texts)
    assert OFF_TOPIC.name == "off_topic"


def test_intents_are_separable_by_meaning_but_not_trivially() -> None:
    """KMeans with the true k on mean-pooled static embeddings, on volumes as planned."""
    from sklearn.cluster import KMeans

    from insights_pipeline.intents.embedding.wordllama_space import fit_space
    from insights_pipeline.intents.evaluation.evaluate import agreement

    random = Random(11)
    weights = [intent.per_day for intent in INTENTS]
    planted = [random.choices(INTENTS, weights)[0].name for _ in range(600)]
    shared = load_shared()
    texts = [
        opening(
            Case(random, (load_phrases(name).slots, shared.slots), "$"),
            load_phrases(name),
            shared,
            draw_style(random),
        )
        for name in planted
    ]
    vectors = fit_space(texts).embed(texts).astype(np.float32)
    found = KMeans(len(INTENTS), n_init=10, random_state=0).fit_predict(vectors)
    nmi = agreement(planted, found.tolist()).nmi
    assert 0.80 <= nmi < 0.99
