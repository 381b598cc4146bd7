"""Corrections where the intents are discovered anew: other texts, another space, other ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from insights_pipeline.intents.corrections.correct import corrected
from insights_pipeline.intents.model import MERGED, PERSON, Draft, learning, succeed
from tests.intents.correcting import Row, about, anchor, edits, found, merge, move_traces, rename, split
from tests.intents.streams import FIRST

OLD, _, OLD_PLANTED = found()
LATER = date(2026, 6, 1)
KINDS = ("order", "refund", "password", "invoice", "address")


@pytest.fixture(params=[1, 2, 3])
def anew(request: pytest.FixtureRequest) -> tuple[Draft, object, dict[str, str]]:
    """A discovery on other traffic, in a space of its own."""
    draft, space, planted = found(request.param, LATER)
    assert not draft.intents.keys() & OLD.intents.keys()
    return draft, space, dict(planted)


def test_names_find_their_intents_again_and_the_intents_take_the_ids_that_people_named(anew) -> None:
    draft, space, planted = anew
    old = {kind: about(OLD, OLD_PLANTED, kind) for kind in KINDS}
    rows = [rename(number, old[kind], f"My {kind}") for number, kind in enumerate(KINDS, 1)]
    after = corrected(draft, edits(*rows), space=space, day=LATER)
    # a kind that was found in several pieces may have no clear winner: its edit waits
    right = [kind for kind in KINDS if old[kind].intent_id in after.intents]
    assert len(right) >= 3
    for kind in right:
        intent = after.intents[old[kind].intent_id]
        assert intent.name == f"My {kind}"
        assert sum(planted[one] == kind for one in intent.exemplar_ids) > len(intent.exemplar_ids) / 2
    assert sum(intent.named_by == PERSON for intent in after.intents.values()) == len(right)
    waiting = [event for event in after.events if event["kind"] == "correction_waiting"]
    assert len(waiting) == len(KINDS) - len(right)
    told = [event for event in after.events if event["kind"] == "anchored"]
    assert len(told) == sum(one in after.intents for one in (intent.intent_id for intent in old.values()))
    again = corrected(
        replace(after, events=()), edits(*rows), space=space, day=date(2026, 6, 2)
    )  # the day after
    assert again.events == () and again.intents.keys() == after.intents.keys()
    assert len(draft.intents) == len(after.intents)


def test_on_any_other_day_than_its_birth_an_intent_keeps_its_own_id(anew) -> None:
    draft, space, planted = anew
    old = about(OLD, OLD_PLANTED, "password")
    after = corrected(draft, edits(rename(1, old, "Logins")), space=space, day=date(2026, 6, 2))
    now = about(after, planted, "password")
    assert (now.name, now.intent_id) == ("Logins", about(draft, planted, "password").intent_id)
    assert [event["stands_for"] for event in after.events if event["kind"] == "anchored"] == [old.intent_id]
    back = corrected(
        after, edits(rename(1, old, "Logins", undone_by="bo")), space=space, day=date(2026, 6, 3)
    )
    assert about(back, planted, "password").name == about(draft, planted, "password").name


def test_merges_splits_and_moved_traces_are_made_again(anew) -> None:
    draft, space, _ = anew
    password, invoice, refund = (about(OLD, OLD_PLANTED, kind) for kind in ("password", "invoice", "refund"))
    rows = [
        merge(1, [invoice], password),
        split(
            2,
            refund,
            {"name": "Shoes", "texts": ["i want a refund for these shoes", "reimburse these shoes"]},
        ),
        move_traces(3, password, {"t1": "my neighbour has the courier's parcel and denies it"}),
    ]
    after = corrected(draft, edits(*rows), space=space, day=LATER)
    made = {event["edit"] for event in after.events if event.get("kind") in ("merged", "split", "moved")}
    waiting = {event["edit"] for event in after.events if event["kind"] == "correction_waiting"}
    assert made | waiting == {1, 2, 3} and not made & waiting and made
    if 1 in made:
        assert after.intents[invoice.intent_id].merged_into == password.intent_id
    if 2 in made:
        assert [one.name for one in after.intents.values() if one.split_from] == ["Shoes"]
    if 3 in made:
        assert [one.exemplar_ids for one in after.intents.values() if one.status == MERGED and one.size == 1]
    model = succeed(learning(0), after, traces_seen=300, space=space.name)
    assert all(after.intents[one].status != MERGED for one in model.columns)


def test_a_part_that_a_discovery_finds_by_itself_takes_the_parts_id(anew) -> None:
    draft, space, planted = anew
    whole = about(OLD, OLD_PLANTED, "order")
    password = about(OLD, OLD_PLANTED, "password")
    row = split(1, whole, {"name": "Logins", "texts": list(password.exemplar_texts[:12])})
    after = corrected(draft, edits(row), space=space, day=LATER)
    (child,) = [one for one in after.intents.values() if one.name == "Logins"]
    assert about(after, planted, "password").intent_id == child.intent_id
    assert len(after.intents) == len(draft.intents)


def test_what_an_edit_is_about_may_not_exist_yet_and_nobody_else_gets_its_name(anew) -> None:
    draft, space, planted = anew
    without = {
        one: intent
        for one, intent in draft.intents.items()
        if sum(planted[trace] == "password" for trace in intent.exemplar_ids) < len(intent.exemplar_ids) / 2
    }
    row = rename(1, about(OLD, OLD_PLANTED, "password"), "Logins")
    after = corrected(replace(draft, intents=without), edits(row), space=space, day=LATER)
    assert "Logins" not in {intent.name for intent in after.intents.values()}
    assert [event["kind"] for event in after.events][1:] == ["correction_waiting"]
    appeared = replace(after, intents={**after.intents, **draft.intents}, events=())
    then = corrected(appeared, edits(row), space=space, day=date(2026, 6, 9))
    assert about(then, planted, "password").name == "Logins"
    assert "corrections" in then.thresholds and "waiting" not in then.thresholds["corrections"]


def test_an_intent_is_not_given_to_two_anchors(anew) -> None:
    draft, space, _ = anew
    old = about(OLD, OLD_PLANTED, "password")
    twin = replace(old, intent_id="int_twin", name="Twin")
    rows = [rename(1, old, "One"), rename(2, twin, "Two")]
    after = corrected(draft, edits(*rows), space=space, day=LATER)
    assert sum(intent.named_by == PERSON for intent in after.intents.values()) <= 1


def test_a_pin_and_a_category_follow_too(anew) -> None:
    draft, space, planted = anew
    old = about(OLD, OLD_PLANTED, "password")
    rows = [
        Row(1, "pin", {"intent": anchor(old)}),
        Row(2, "move", {"intent": anchor(old), "category": "Accounts"}),
    ]
    after = corrected(draft, edits(*rows), space=space, day=LATER)
    now = about(after, planted, "password")
    assert (now.pinned, now.category, now.intent_id) == (True, "Accounts", old.intent_id)


def test_the_old_discovery_has_each_planted_kind() -> None:
    assert len({about(OLD, OLD_PLANTED, kind).intent_id for kind in KINDS}) == 5 and FIRST < LATER
