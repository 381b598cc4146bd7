"""Intents found anew keep their ids, in the same space and in another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Space
from insights_pipeline.intents.life.refresh import first_draft
from insights_pipeline.intents.model import ACTIVE, FADING, MERGED, PERSON, RETIRED, Draft, Model, succeed
from tests.intents.refreshing import Life, requests

MORE = {"order": 60, "refund": 60, "password": 60}


def rediscovered(life: Life, of: dict[str, int], *, space: Space | None = None, seed: int = 1) -> Model:
    """The model found anew from other texts."""
    life.day += timedelta(days=1)
    life.space = space or life.space
    sample = life._texts(requests(of, life.rng))
    draft = first_draft(life.model, sample, space=life.space, day=life.day, seed=seed)
    life.events += [(life.day, event) for event in draft.events]
    life.model = succeed(life.model, draft, traces_seen=0, space=life.space.name)
    return life.model


def other_space(life: Life) -> Space:
    return WORDLLAMA.fit([text for text, _ in requests({"order": 80, "invoice": 80}, life.rng)])


def whole(life: Life) -> list[str]:
    """One intent for each planted one."""
    by_intent: dict[str, list[str]] = {}
    for trace_id in life.seen[0].ids:
        by_intent.setdefault(life.gold[trace_id], []).append(trace_id)
    return life.make([by_intent[one] for one in ("order", "refund", "password")])


def ids_given(life: Life, intent: str) -> str | None:
    return life.given(intent).most_common(1)[0][0]


def test_the_same_intents_found_from_other_texts_keep_ids_births_and_names() -> None:
    life = Life()
    refund = ids_given(life, "refund")
    before = {one.intent_id: one for one in life.model.intents}
    rediscovered(life, MORE)
    assert ids_given(life, "refund") == refund
    after = {one.intent_id: one for one in life.model.intents}
    assert refund is not None
    assert after[refund].name == before[refund].name and after[refund].born == before[refund].born
    assert after[refund].changed == life.day and before[refund].changed is None
    told = life.told("rediscovered")[0]
    assert told["same_space"] is True and isinstance(told["inherited"], int) and told["inherited"] >= 2


def test_another_space_keeps_the_ids_as_texts_are_embedded_again() -> None:
    life = Life()
    refund, password = ids_given(life, "refund"), ids_given(life, "password")
    space = other_space(life)
    assert space.name != life.space.name
    rediscovered(life, MORE, space=space)
    assert (ids_given(life, "refund"), ids_given(life, "password")) == (refund, password)
    assert life.told("rediscovered")[0]["same_space"] is False


def test_what_is_gone_is_retired_and_told_and_what_is_new_emerges() -> None:
    life = Life()
    password = ids_given(life, "password")
    rediscovered(life, {"order": 60, "refund": 60, "loyalty": 60})
    of = {one.intent_id: one for one in life.model.intents}
    assert password is not None and of[password].status == RETIRED
    assert password in {event["intent_id"] for event in life.told("vanished")}
    loyalty = ids_given(life, "loyalty")
    assert loyalty in {event["intent_id"] for event in life.told("emerged")}


def test_what_is_gone_comes_back_under_its_id_when_it_is_found_again() -> None:
    life = Life()
    password = ids_given(life, "password")
    rediscovered(life, {"order": 60, "refund": 60, "loyalty": 60})
    life.live({"order": 12, "refund": 12, "password": 12}, days=5)
    rediscovered(life, MORE, space=other_space(life))
    assert password in {one.intent_id for one in life.model.intents}


def test_a_persons_intent_stays_whether_or_not_it_is_found() -> None:
    life = Life()
    password = ids_given(life, "password")
    assert password is not None
    life.change(password, named_by=PERSON, name="Locked out", slug="locked-out")
    rediscovered(life, {"order": 60, "refund": 60, "loyalty": 60}, space=other_space(life))
    kept = next(one for one in life.model.intents if one.intent_id == password)
    assert (kept.status, kept.name) == (ACTIVE, "Locked out")
    assert ids_given(life, "password") == password
    assert password not in {event["intent_id"] for event in life.told("vanished")}


def test_merged_intents_stay_aliases_and_their_texts_count_for_the_other() -> None:
    life = Life()
    _, refund, _ = whole(life)
    halves = [one for one in life.model.intents if one.intent_id == refund]
    alias = replace(halves[0], intent_id="int_alias", status=MERGED, merged_into=refund, slug="alias")
    intents = {one.intent_id: one for one in (*life.model.intents, alias)}
    draft = Draft(intents, life.model.thresholds)
    life.model = succeed(life.model, draft, traces_seen=0, space=life.space.name)
    rediscovered(life, MORE, space=other_space(life))
    assert life.model.target_of("int_alias") == refund
    kept = next(one for one in life.model.intents if one.intent_id == "int_alias")
    assert kept.status == MERGED and kept.merged_into == refund


def test_every_id_is_inherited_once_and_slugs_stay_unique() -> None:
    life = Life()
    for seed in range(3):
        rediscovered(life, MORE, seed=seed)
        ids = [one.intent_id for one in life.model.intents]
        assert len(set(ids)) == len(ids)
        slugs = [one.slug for one in life.model.living]
        assert len(set(slugs)) == len(slugs)


def test_silence_is_remembered_across_a_discovery() -> None:
    life = Life().live({"order": 12, "refund": 12, "password": 12}, days=20)
    password = ids_given(life, "password")
    life.live({"order": 12, "refund": 12}, days=25)
    assert password is not None and password in life.model.thresholds["quiet"]
    rediscovered(life, MORE)
    of = {one.intent_id: one for one in life.model.intents}
    assert of[password].status == FADING and password in life.model.thresholds["quiet"]
