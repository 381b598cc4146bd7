"""Birth, silence and return of intents, day by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from insights_pipeline.intents.model import ACTIVE, EMERGING, FADING, PERSON, RETIRED
from tests.intents.refreshing import Life

STEADY = {"order": 12, "refund": 12, "password": 12}


def statuses(life: Life, ids: set[str]) -> set[str]:
    return {one.status for one in life.model.intents if one.intent_id in ids}


def ids_of(life: Life, intent: str) -> set[str]:
    return {one for one, count in life.given(intent).items() if one is not None and count > 2}


def test_a_new_intent_emerges_on_several_days_is_confirmed_by_later_traffic_and_keeps_its_id() -> None:
    life = Life().live(STEADY, days=6).live({**STEADY, "loyalty": 10}, days=6)
    emerged, promoted = life.told("emerged"), life.told("promoted")
    assert len(emerged) == len(promoted) == 1
    assert emerged[0]["intent_id"] == promoted[0]["intent_id"]
    days = {kind: day for day, event in life.events if (kind := event["kind"]) in ("emerged", "promoted")}
    assert days["emerged"] < days["promoted"]
    given = life.given("loyalty")
    assert given[str(emerged[0]["intent_id"])] > 0.8 * given.total()


def test_a_birth_leaves_the_intents_that_were_there_as_they_are() -> None:
    life = Life().live(STEADY, days=6)
    before = {one.intent_id: one for one in life.model.intents}
    given = {one: life.given(one) for one in STEADY}
    life.live({**STEADY, "loyalty": 10}, days=6)
    born = str(life.told("emerged")[0]["intent_id"])
    for one in life.model.intents:
        if one.intent_id != born:
            assert np.array_equal(one.centroid, before[one.intent_id].centroid)
            assert one.exemplar_ids == before[one.intent_id].exemplar_ids
    for intent, counts in given.items():
        moved = life.given(intent) - counts
        assert set(moved) <= {born} and moved.total() <= 3


def test_one_day_is_no_intent_however_many_traces_it_has() -> None:
    life = Life().live(STEADY, days=8).live({**STEADY, "loyalty": 40})
    assert life.told("emerged") == []


def test_one_message_said_often_is_no_intent() -> None:
    life = Life().live(STEADY, days=8)
    for _ in range(6):
        life.live(STEADY)
        said = life.seen[-1]
        texts = said.texts[:-12] + ("the warehouse roof leaks onto pallet nine",) * 12
        life.seen[-1] = type(said)(said.days, said.ids, texts, life.space.embed(texts))
        life.live(STEADY)
    assert life.told("emerged") == []


def test_an_emerging_intent_that_does_not_come_back_is_withdrawn_unless_a_person_named_it() -> None:
    for named_by, status in (("words", RETIRED), (PERSON, EMERGING)):
        life = Life().live(STEADY, days=6)
        while not life.told("emerged"):
            life.live({**STEADY, "loyalty": 10})
        born = str(life.told("emerged")[0]["intent_id"])
        life.change(born, named_by=named_by)
        life.live(STEADY, days=8)
        assert statuses(life, {born}) == {status}


def test_an_intent_fades_is_retired_after_sixty_days_and_returns_under_its_old_id() -> None:
    life = Life().live(STEADY, days=20)
    mine = ids_of(life, "password")
    without = {"order": 12, "refund": 12}
    life.live(without, days=30)
    assert statuses(life, mine) == {FADING}
    life.live(without, days=60)
    assert statuses(life, mine) == {RETIRED}
    assert mine.isdisjoint(life.model.columns)
    life.live(STEADY, days=6)
    assert {str(event["intent_id"]) for event in life.told("returned")} <= mine
    given = life.given("password")
    assert sum(given[one] for one in mine) > 0.7 * given.total()
    assert life.told("emerged") == []


def test_a_season_shorter_than_that_returns_from_fading() -> None:
    life = Life().live(STEADY, days=20)
    mine = ids_of(life, "password")
    life.live({"order": 12, "refund": 12}, days=30).live(STEADY, days=8)
    assert statuses(life, mine) == {ACTIVE}
    assert {str(event["intent_id"]) for event in life.told("returned")} == mine


@pytest.mark.parametrize("anchor", [{"pinned": True}, {"named_by": PERSON}])
def test_what_a_person_named_or_pinned_is_never_retired(anchor: dict[str, object]) -> None:
    life = Life().live(STEADY, days=20)
    mine = ids_of(life, "password")
    for one in mine:
        life.change(one, **anchor)
    life.live({"order": 12, "refund": 12}, days=82)
    assert life.told("faded")
    assert statuses(life, mine) <= {FADING, ACTIVE}


def test_when_all_traffic_is_new_overnight_it_has_intents_within_the_week() -> None:
    life = Life().live(STEADY, days=10).live({"loyalty": 20, "address": 20}, days=6)
    for intent in ("loyalty", "address"):
        given = life.given(intent)
        born = {str(event["intent_id"]) for event in life.told("emerged")}
        assert sum(count for one, count in given.items() if one in born) > 0.7 * given.total()
    assert ids_of(life, "loyalty").isdisjoint(ids_of(life, "address"))


def test_ten_traces_a_day_are_enough_to_find_a_new_intent_and_too_few_to_invent_one() -> None:
    life = Life(bootstrap={"order": 25, "refund": 25, "password": 25})
    life.live({"order": 4, "refund": 3, "password": 3}, days=25)
    assert life.told("emerged", "split", "merged", "retired") == []
    life.live({"order": 4, "refund": 3, "password": 3, "loyalty": 3}, days=14)
    assert len(life.told("promoted")) == 1


def test_a_day_without_traffic_decides_nothing() -> None:
    life = Life().live(STEADY, days=3)
    before = life.model
    life.live({}, days=20)
    assert life.model.intents == before.intents and life.model.version == before.version
    assert life.told("faded") == []


def test_the_step_is_a_function_of_its_arguments() -> None:
    life = Life().live(STEADY, days=8).live({**STEADY, "loyalty": 10}, days=2)
    life.day = life.seen[-1].days[0]
    first, second = life.draft(), life.draft()
    assert first.events == second.events and first.thresholds == second.thresholds
    for one, intent in first.intents.items():
        assert np.array_equal(intent.centroid, second.intents[one].centroid)
        assert intent.label == second.intents[one].label and intent.status == second.intents[one].status


def test_last_seen_and_trend_are_told_on_the_intents() -> None:
    life = Life().live(STEADY, days=20)
    for number in range(1, 21):
        life.live({"order": 12, "refund": 12 + 2 * number, "password": 12})
    growing = ids_of(life, "refund")
    of = {one.intent_id: one for one in life.model.living}
    assert {of[one].trend for one in growing} == {"growing"}
    assert all((of[one].trend_change or 0) > 0.5 for one in growing)
    assert {of[one].trend for one in ids_of(life, "order")} == {"stable"}
    assert all(of[one].last_seen is not None for one in growing)
    told = [event for event in life.told("trend") if event["trend"] == "growing"]
    assert {event["intent_id"] for event in told} == growing
    assert len(told) == len(growing)  # once, not every day


def test_the_last_intent_is_not_retired_as_nothing_could_be_judged_any_more() -> None:
    life = Life()
    for one in life.model.living:
        life.change(one.intent_id, status=FADING)
    since = str(life.day - timedelta(days=90))
    quiet = {one.intent_id: {"since": since, "usual": 0.3} for one in life.model.living}
    life.model = replace(life.model, thresholds={**life.model.thresholds, "quiet": quiet})
    life.seen.clear()
    life.live({"loyalty": 3}, days=3)
    assert len(life.model.living) == 1
    assert len(life.told("retired")) == len(life.model.intents) - 1
    assert life.given("loyalty").total() == 60


def test_a_new_intent_is_named_again_once_there_are_enough_traces_to_name_it_by() -> None:
    life = Life(seed=3).live(STEADY, days=6).live({**STEADY, "loyalty": 10}, days=14)
    born = str(life.told("emerged")[0]["intent_id"])
    renamed = [event for event in life.told("renamed") if event["intent_id"] == born]
    intent = next(one for one in life.model.intents if one.intent_id == born)
    assert "points" in intent.name.lower()
    assert [event["to"] for event in renamed] in ([], [intent.name])
    assert all(event["by"] == "words" and event["from"] != event["to"] for event in renamed)


def test_a_name_that_a_person_gave_stays_however_many_traces_come() -> None:
    life = Life(seed=3).live(STEADY, days=6).live({**STEADY, "loyalty": 10}, days=4)
    born = str(life.told("emerged")[0]["intent_id"])
    life.change(born, name="Bonus programme", slug="bonus-programme", named_by=PERSON)
    life.live({**STEADY, "loyalty": 10}, days=10)
    intent = next(one for one in life.model.intents if one.intent_id == born)
    assert intent.name == "Bonus programme" and intent.size >= 40
    assert not life.told("renamed")
