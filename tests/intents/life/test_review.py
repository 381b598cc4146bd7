"""Splits and merges: only what shows again and again, and never against a person."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from insights_pipeline.intents.model import ACTIVE, MERGED, PERSON
from tests.intents.refreshing import Life

STEADY = {"order": 12, "refund": 12, "password": 12}
WEEKS = 30  # days in which three reviews surely fall


def members(life: Life) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for trace_id in life.seen[0].ids:
        found.setdefault(life.gold[trace_id], []).append(trace_id)
    return found


def halved() -> tuple[Life, list[str]]:
    """A life in which refunds are two intents by mistake; their ids."""
    life = Life()
    of = members(life)
    refunds = sorted(of["refund"], key=lambda _: random.Random(0).random())
    ids = life.make([of["order"], of["password"], refunds[::2], refunds[1::2]])
    return life, ids[2:]


def joined() -> tuple[Life, str]:
    """A life in which refunds and passwords are one intent by mistake; its id."""
    life = Life()
    of = members(life)
    return life, life.make([of["order"], of["refund"] + of["password"]])[1]


def test_two_halves_of_one_intent_are_merged_after_three_reviews_and_the_loser_stays_an_alias() -> None:
    life, halves = halved()
    life.live(STEADY, days=12)
    assert life.told("merged") == []
    life.live(STEADY, days=WEEKS - 12)
    told = life.told("merged")
    assert len(told) == 1
    loser, stays = str(told[0]["intent_id"]), str(told[0]["into"])
    assert {loser, stays} == set(halves)
    of = {one.intent_id: one for one in life.model.intents}
    assert (of[loser].status, of[loser].merged_into, of[stays].status) == (MERGED, stays, ACTIVE)
    assert life.given("refund")[stays] > 0.9 * life.given("refund").total()
    assert {"likeness", "sizes", "exemplar_ids", "reviews"} <= set(told[0])


def test_the_one_that_a_person_named_stays_and_two_of_them_are_only_suggested() -> None:
    life, (first, second) = halved()
    life.change(second, named_by=PERSON)
    life.live(STEADY, days=WEEKS)
    assert [event["into"] for event in life.told("merged")] == [second]
    life, (first, second) = halved()
    for one in (first, second):
        life.change(one, pinned=True)
    life.live(STEADY, days=WEEKS)
    assert life.told("merged") == []
    assert len(life.told("suggested_merge")) == 1


def test_two_intents_in_one_are_split_after_three_reviews() -> None:
    life, both = joined()
    life.live(STEADY, days=12)
    assert life.told("split") == []
    life.live(STEADY, days=WEEKS - 12)
    told = life.told("split")
    assert [event["intent_id"] for event in told] == [both]
    part = str(told[0]["part"])
    of = {one.intent_id: one for one in life.model.intents}
    assert of[part].split_from == both
    assert of[part].changed == of[both].changed == of[part].born
    ids = {intent: life.given(intent).most_common(1)[0][0] for intent in ("refund", "password")}
    assert set(ids.values()) == {both, part}
    sizes = told[0]["sizes"]
    assert isinstance(sizes, list) and sizes[0] >= sizes[1]


@pytest.mark.parametrize("anchor", [{"pinned": True}, {"named_by": PERSON}])
def test_what_a_person_named_or_pinned_is_not_split_but_the_split_is_suggested(
    anchor: dict[str, object],
) -> None:
    life, both = joined()
    life.change(both, **anchor)
    life.live(STEADY, days=WEEKS)
    assert life.told("split") == []
    assert [event["intent_id"] for event in life.told("suggested_split")] == [both]


def test_intents_that_are_what_they_should_be_are_left_alone() -> None:
    life = Life()
    of = members(life)
    life.make([of["order"], of["refund"], of["password"]])
    life.live(STEADY, days=WEEKS)
    assert life.told("merged", "suggested_merge", "emerged") == []
