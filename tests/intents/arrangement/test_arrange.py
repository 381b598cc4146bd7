from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from insights_pipeline.intents.arrangement.apart import apart_sentence, nearest
from insights_pipeline.intents.arrangement.arrange import PREDEFINED, Category, arranged
from insights_pipeline.intents.arrangement.sub_intents import parts_of, sub_intents
from insights_pipeline.intents.discovery.discover import form
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.embedding.wordllama_space import fit_space
from insights_pipeline.intents.model import ACTIVE, MERGED, PERSON, RETIRED, WORDS, Draft, Intent
from insights_pipeline.intents.naming.labels import label_groups
from insights_pipeline.intents.vectors import Texts, unit
from tests.intents.streams import wording

DAY = date(2026, 3, 2)
KINDS = ("order", "refund", "password", "invoice", "address", "loyalty")
CATEGORIES = [
    Category("Account", "Signing in: forgotten passwords, passcodes, login, address of the customer."),
    Category(
        "Money",
        "Money: a copy of an invoice, billing statement or receipt, refunds, reward and loyalty points.",
    ),
    Category("Delivery", "Where an order or parcel is, tracking of packages and shipments."),
]


def draft_of(said: dict[str, list[str]]) -> tuple[Draft, Space]:
    """An intent for every key, in the space of all texts."""
    texts = [text for of in said.values() for text in of]
    space = fit_space(texts)
    sample = Texts(
        (DAY,) * len(texts), tuple(f"t{n}" for n in range(len(texts))), tuple(texts), space.embed(texts)
    )
    ends = np.cumsum([len(of) for of in said.values()])
    labels = label_groups([space.core(of) for of in said.values()])
    intents = [
        form(sample, np.arange(end - len(of), end), label, born=DAY, status=ACTIVE)
        for of, end, label in zip(said.values(), ends, labels, strict=True)
    ]
    return Draft({one.intent_id: one for one in intents}, {"unknown": 0.5}), space


def planted(each: int = 30, kinds: tuple[str, ...] = KINDS) -> tuple[Draft, Space]:
    rng = random.Random(7)
    return draft_of({kind: [wording(kind, rng) for _ in range(each)] for kind in kinds})


def about(draft: Draft, word: str) -> Intent:
    return next(one for one in draft.intents.values() if any(word in text for text in one.exemplar_texts[:1]))


class CountingSpace:
    """A space that counts how many texts it was asked for."""

    def __init__(self, space: Space) -> None:
        self.space, self.texts = space, 0
        self.name, self.embedder, self.fitted_on = space.name, space.embedder, space.fitted_on
        self.payload = space.payload

    def embed(self, user_texts: list[str]) -> object:
        self.texts += len(user_texts)
        return self.space.embed(user_texts)

    def core(self, user_texts: list[str]) -> list[str]:
        self.texts += len(user_texts)
        return self.space.core(user_texts)


def test_every_living_intent_gets_a_category_a_neighbour_and_what_sets_it_apart() -> None:
    draft, space = planted()
    found = arranged(draft, space=space)
    for one in found.intents.values():
        assert one.category and one.category_by == WORDS and one.category_margin is None
        assert one.nearest_id in found.intents and one.nearest_id != one.intent_id
        assert "“" in one.apart and one.apart.endswith(".")
    assert draft.intents != found.intents
    assert all(not one.category for one in draft.intents.values())


def test_a_day_on_which_nothing_changed_looks_at_no_text() -> None:
    draft, space = planted()
    first = arranged(draft, space=space)
    counting = CountingSpace(space)
    assert arranged(first, space=counting) == first  # type: ignore[arg-type]
    assert counting.texts == 0
    json.dumps(dict(first.thresholds))


def test_only_a_changed_intent_and_its_neighbours_are_looked_at_again() -> None:
    draft, space = planted()
    first = arranged(draft, space=space)
    changed = about(first, "password")
    changed = replace(changed, exemplar_ids=(*changed.exemplar_ids[1:], "another"))
    counting = CountingSpace(space)
    second = arranged(first.with_({**first.intents, changed.intent_id: changed}), space=counting)  # type: ignore[arg-type]
    assert 0 < counting.texts < 30 * len(KINDS)
    assert {one.category for one in second.intents.values()} == {
        one.category for one in first.intents.values()
    }


def test_a_neighbour_that_went_is_replaced_and_gone_intents_are_left_alone() -> None:
    draft, space = planted()
    first = arranged(draft, space=space)
    gone = next(iter(first.intents.values())).nearest_id
    assert gone is not None
    for status in (RETIRED, MERGED):
        left = first.with_({**first.intents, gone: replace(first.intents[gone], status=status)})
        second = arranged(left, space=space)
        assert second.intents[gone] == left.intents[gone]
        assert all(one.nearest_id != gone for one in second.intents.values() if one.intent_id != gone)


def test_a_single_intent_has_no_neighbour() -> None:
    draft, space = planted(kinds=("order",))
    (one,) = arranged(draft, space=space).intents.values()
    assert (one.nearest_id, one.apart) == (None, "")
    assert one.category == one.name
    assert arranged(Draft({}, {}), space=space).intents == {}


def test_existing_categories_keep_their_names_when_an_intent_is_new() -> None:
    draft, space = planted(kinds=KINDS[:5])
    first = arranged(draft, space=space)
    named = {key: replace(one, category=f"Kept {one.category}") for key, one in first.intents.items()}
    full, _ = planted()
    new = about(full, "points")
    second = arranged(first.with_({**named, new.intent_id: new}), space=space)
    for key, one in named.items():
        assert second.intents[key].category == one.category
    assert second.intents[new.intent_id].category


def test_a_new_intent_like_others_joins_their_category() -> None:
    draft, space = planted()
    first = arranged(draft, space=space)
    twin = about(first, "password")
    half = replace(twin, intent_id="int_twin", category="", exemplar_ids=twin.exemplar_ids[::2],
                   exemplar_texts=twin.exemplar_texts[::2], exemplar_vectors=twin.exemplar_vectors[::2])  # fmt: skip
    second = arranged(first.with_({**first.intents, "int_twin": half}), space=space)
    assert second.intents["int_twin"].category == twin.category


def test_a_persons_category_stays_whatever_is_found_or_laid_down() -> None:
    draft, space = planted()
    mine = replace(about(draft, "password"), category="Mine", category_by=PERSON)
    draft = draft.with_({**draft.intents, mine.intent_id: mine})
    for categories in ([], CATEGORIES):
        found = arranged(draft, space=space, categories=categories).intents
        assert (found[mine.intent_id].category, found[mine.intent_id].category_by) == ("Mine", PERSON)
        assert all(one.category not in ("", "Mine") for key, one in found.items() if key != mine.intent_id)


def test_predefined_categories_hold_whole_intents_with_a_margin() -> None:
    draft, space = planted()
    found = arranged(draft, space=space, categories=CATEGORIES)
    expected = {"password": "Account", "invoice": "Money", "points": "Money"}
    for word, category in expected.items():
        one = about(found, word)
        assert (one.category, one.category_by) == (category, PREDEFINED)
        assert one.category_margin is not None and one.category_margin > 0
    assert {one.category for one in found.intents.values()} <= {"Account", "Money", "Delivery", "Other"}


def test_another_list_of_predefined_categories_places_all_intents_anew() -> None:
    draft, space = planted()
    first = arranged(draft, space=space, categories=CATEGORIES)
    renamed = [replace(one, name=f"{one.name} 2") for one in CATEGORIES]
    second = arranged(first, space=space, categories=renamed)
    assert {one.category for one in second.intents.values()} <= {
        "Account 2",
        "Money 2",
        "Delivery 2",
        "Other",
    }
    back = arranged(second, space=space)
    assert all(one.category_by == WORDS and not one.category.endswith(" 2") for one in back.intents.values())


def test_the_same_intents_are_arranged_the_same_whatever_their_order() -> None:
    draft, space = planted()
    turned = Draft(dict(reversed(draft.intents.items())), draft.thresholds)
    assert dict(arranged(draft, space=space).intents) == dict(arranged(turned, space=space).intents)


def test_what_sets_intents_apart_is_said_by_one_and_not_by_the_other() -> None:
    sentence = apart_sentence(
        ["i want a refund", "refund my money", "refund it"] * 3, ["where is it", "track it"] * 3
    )
    assert sentence.startswith("Says “refund")
    assert "not “track" in sentence
    assert apart_sentence([], []) == ""
    assert apart_sentence(["a b"], ["a b"]) == ""


def test_the_nearest_intent_is_by_centroid_and_of_equals_the_first() -> None:
    draft, _ = planted(kinds=("order",))
    (one,) = draft.intents.values()
    axis = np.eye(3, 256, dtype=np.float16)
    three = [replace(one, intent_id=f"int_{n}", centroid=axis[n]) for n in range(3)]
    assert nearest(three) == {"int_0": "int_1", "int_1": "int_0", "int_2": "int_0"}
    assert nearest(three[:1]) == {}


def test_a_large_intent_of_two_kinds_has_two_parts_with_names_shares_and_traces() -> None:
    rng = random.Random(3)
    said = [wording("password", rng) for _ in range(40)] + [wording("loyalty", rng) for _ in range(20)]
    draft, space = draft_of({"both": said})
    (one,) = arranged(draft, space=space).intents.values()
    assert [round(part.share, 2) for part in one.sub_intents] == [0.67, 0.33]
    assert "points" in one.sub_intents[1].name.lower()
    for part, word in zip(one.sub_intents, ("pass", "points"), strict=True):
        assert len(part.exemplar_ids) == len(part.exemplar_texts) == 3
        assert set(part.exemplar_ids) <= set(one.exemplar_ids)
        assert all(word in text or "sign in code" in text for text in part.exemplar_texts)


def test_an_intent_of_one_kind_or_few_texts_has_no_parts() -> None:
    draft, space = planted(each=60, kinds=("password",))
    (one,) = arranged(draft, space=space).intents.values()
    assert one.sub_intents == ()
    assert sub_intents(one, space.core(one.exemplar_texts)[:10]) == ()
    assert parts_of(np.tile(np.eye(1, 64, dtype=np.float32), (40, 1))) == []


def test_small_intents_are_not_taken_apart() -> None:
    rng = random.Random(3)
    mixed = [wording("password", rng) for _ in range(15)] + [wording("loyalty", rng) for _ in range(15)]
    big = {
        kind: [wording(kind, rng) for _ in range(60)] for kind in ("order", "refund", "invoice", "address")
    }
    draft, space = draft_of({"mixed": mixed, **big})
    found = arranged(draft, space=space).intents
    assert next(one for one in found.values() if one.size == 30).sub_intents == ()


@pytest.mark.parametrize("domain", ["banking", "travel"])
def test_two_real_intents_in_one_are_told_apart_more_often_than_one_is_split(
    real_data: Path, domain: str
) -> None:
    folder = real_data / "clinc150"
    raw = json.loads((folder / "data_small.json").read_text())["train"]
    intents = json.loads((folder / "domains.json").read_text())[domain]
    by_intent = {intent: [text for text, label in raw if label == intent] for intent in intents}
    space = fit_space([text for texts in by_intent.values() for text in texts])

    def parts(texts: list[str]) -> int:
        draft, _ = draft_of({"one": texts})
        (one,) = draft.intents.values()
        one = replace(one, exemplar_vectors=space.embed(one.exemplar_texts))
        return len(sub_intents(one, space.core(one.exemplar_texts)))

    split = sum(parts(by_intent[intent][:50]) > 0 for intent in intents)
    pairs = list(pairwise(intents))
    found = sum(parts(by_intent[left][:25] + by_intent[right][:25]) == 2 for left, right in pairs)
    assert split <= 3
    assert found >= 8


def test_unit_points_are_what_parts_are_made_of() -> None:
    rng = np.random.default_rng(0)
    far = np.repeat(np.eye(3, 64), (20, 12, 8), axis=0) + 0.05 * rng.normal(size=(40, 64))
    assert [len(part) for part in parts_of(unit(far))] == [20, 12, 8]
