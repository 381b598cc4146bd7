"""What people correct in a draft: applied once, told once, taken back; whatever they write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.intents.corrections.correct import corrected, rediscovery_asked
from insights_pipeline.intents.corrections.edits import Edit
from insights_pipeline.intents.model import (
    ACTIVE,
    EMERGING,
    LLM,
    MERGED,
    PERSON,
    RETIRED,
    Draft,
    Model,
    learning,
    succeed,
)
from insights_pipeline.intents.naming.labels import slug_of
from tests.intents.correcting import (
    NEXT,
    Row,
    about,
    anchor,
    edits,
    found,
    merge,
    move_traces,
    rename,
    split,
)
from tests.intents.streams import FIRST

DRAFT, SPACE, PLANTED = found()
ORDER, REFUND, PASSWORD = (about(DRAFT, PLANTED, kind) for kind in ("order", "refund", "password"))
Event = Mapping[str, Any]


def apply(draft: Draft, *rows: Row) -> Draft:
    """The draft after these edits, which, applied again, must change and tell nothing."""
    once = corrected(draft, edits(*rows), space=SPACE, day=NEXT)
    assert same(corrected(once, edits(*rows), space=SPACE, day=NEXT), once)
    json.dumps([dict(event) for event in once.events]), json.dumps(dict(once.thresholds))
    return once


def same(left: Draft, right: Draft) -> bool:
    def rows(draft: Draft) -> list[Any]:
        return [intent.row(FIRST, "v") for _, intent in sorted(draft.intents.items())]

    return (rows(left), left.thresholds, left.events) == (rows(right), right.thresholds, right.events)


def told(draft: Draft, kind: str | None = None) -> list[Event]:
    return [event for event in draft.events[len(DRAFT.events) :] if kind is None or event["kind"] == kind]


def tomorrow(draft: Draft) -> Draft:
    """The draft that a day on which nothing happens begins with."""
    return replace(draft, events=DRAFT.events)


def model(draft: Draft) -> Model:
    return succeed(learning(0), draft, traces_seen=300, space=SPACE.name)


def test_without_edits_nothing_changes() -> None:
    assert same(apply(DRAFT), DRAFT)


def test_a_name_is_the_persons_and_told_once() -> None:
    row = rename(1, ORDER, "Where is my parcel")
    after = apply(DRAFT, row)
    intent = after.intents[ORDER.intent_id]
    assert (intent.name, intent.slug, intent.named_by) == ("Where is my parcel", "where-is-my-parcel", PERSON)
    assert told(after) == [
        {
            "kind": "renamed",
            "intent_id": ORDER.intent_id,
            "name": "Where is my parcel",
            "from": ORDER.name,
            "to": "Where is my parcel",
            "by": "ana",
            "edit": 1,
        }
    ]
    assert told(apply(tomorrow(after), row)) == []


def test_a_persons_name_wins_over_a_model_that_names_it_later_and_that_is_not_told() -> None:
    row = rename(1, ORDER, "Parcels")
    after = apply(DRAFT, row)
    meddled = replace(after.intents[ORDER.intent_id], name="Shipment", slug="shipment", named_by=LLM)
    again = apply(tomorrow(after.with_({**after.intents, ORDER.intent_id: meddled})), row)
    assert again.intents[ORDER.intent_id].name == "Parcels" and told(again) == []


def test_the_last_of_several_names_counts_and_is_told_as_one_change() -> None:
    after = apply(DRAFT, rename(1, ORDER, "Parcels"), rename(2, ORDER, "Deliveries"))
    assert after.intents[ORDER.intent_id].name == "Deliveries"
    assert [(event["from"], event["to"]) for event in told(after)] == [(ORDER.name, "Deliveries")]


def test_undone_the_name_goes_back_to_what_it_was() -> None:
    named = replace(ORDER, name="Order tracking", slug="order-tracking", named_by=LLM)
    draft = DRAFT.with_({**DRAFT.intents, ORDER.intent_id: named})
    after = apply(draft, rename(1, ORDER, "Parcels"))
    back = apply(tomorrow(after), rename(1, ORDER, "Parcels", undone_by="bo"))
    intent = back.intents[ORDER.intent_id]
    assert (intent.name, intent.slug, intent.named_by) == ("Order tracking", "order-tracking", LLM)
    assert [event["to"] for event in told(back, "renamed")] == ["Order tracking"]
    assert "corrections" not in back.thresholds


def test_a_name_of_a_person_that_no_edit_gives_is_read_off_the_phrases() -> None:
    orphan = replace(ORDER, name="Gone", slug="gone", named_by=PERSON)
    back = apply(DRAFT.with_({**DRAFT.intents, ORDER.intent_id: orphan}))
    intent = back.intents[ORDER.intent_id]
    assert intent.name.lower().startswith(ORDER.phrases[0].lower()) and intent.named_by == "words"


def test_slugs_stay_unique_and_people_have_theirs() -> None:
    after = apply(DRAFT, rename(1, ORDER, REFUND.name))
    assert after.intents[ORDER.intent_id].name == REFUND.name
    assert after.intents[ORDER.intent_id].slug == slug_of(REFUND.name)
    assert after.intents[REFUND.intent_id].name == f"{REFUND.name} 2"
    both = apply(DRAFT, rename(1, ORDER, "Parcels"), rename(2, REFUND, "Parcels"))
    assert [both.intents[one.intent_id].slug for one in (ORDER, REFUND)] == ["parcels", "parcels-2"]
    assert both.intents[REFUND.intent_id].name == "Parcels"


def test_description_category_and_pin_are_set_and_taken_back() -> None:
    rows = [
        Row(1, "describe", {"intent": anchor(ORDER), "text": "Where a parcel is."}),
        Row(2, "move", {"intent": anchor(ORDER), "category": "Shipping"}),
        Row(3, "pin", {"intent": anchor(ORDER)}),
    ]
    after = apply(DRAFT, *rows)
    intent = after.intents[ORDER.intent_id]
    assert (intent.description, intent.category, intent.category_by) == (
        "Where a parcel is.",
        "Shipping",
        PERSON,
    )
    assert intent.pinned
    assert [event["kind"] for event in told(after)] == ["described", "moved", "pinned"]
    assert told(apply(tomorrow(after), *rows)) == []
    back = apply(tomorrow(after), *(replace(row, undone_by="bo") for row in rows))
    assert back.intents[ORDER.intent_id].row(FIRST, "v") == ORDER.row(FIRST, "v")
    unpinned = apply(after, *rows, Row(4, "unpin", {"intent": anchor(ORDER)}))
    assert not unpinned.intents[ORDER.intent_id].pinned


def test_a_description_that_a_refit_wrote_over_is_the_persons_again() -> None:
    row = Row(1, "describe", {"intent": anchor(ORDER), "text": "Where a parcel is."})
    after = apply(DRAFT, row)
    refitted = replace(after.intents[ORDER.intent_id], description="“where is my”")
    again = apply(tomorrow(after.with_({**after.intents, ORDER.intent_id: refitted})), row)
    assert again.intents[ORDER.intent_id].description == "Where a parcel is." and told(again) == []


def test_a_merged_intent_answers_with_its_target_and_stands_for_itself_again_once_undone() -> None:
    row = merge(1, [REFUND], ORDER)
    after = apply(DRAFT, row)
    assert (after.intents[REFUND.intent_id].status, after.intents[REFUND.intent_id].merged_into) == (
        MERGED,
        ORDER.intent_id,
    )
    assert after.intents[ORDER.intent_id].changed is None  # its history adds up
    assert [(event["intent_id"], event["into"]) for event in told(after, "merged")] == [
        (REFUND.intent_id, ORDER.intent_id)
    ]
    joined = model(after)
    verdict = joined.classifier().judge(REFUND.exemplar_vectors)
    assert {joined.columns[index] for index in verdict.nearest.tolist()} == {ORDER.intent_id}
    back = apply(tomorrow(after), replace(row, undone_by="bo"))
    freed = back.intents[REFUND.intent_id]
    assert (freed.status, freed.merged_into, freed.changed) == (ACTIVE, None, NEXT)
    assert back.intents[ORDER.intent_id].changed == NEXT  # days with both cannot be told apart
    assert [(event["kind"], event["by"]) for event in told(back)] == [("unmerged", "bo")]


def test_merges_of_merges_lead_to_the_last_target_in_any_number_of_steps() -> None:
    rows = [merge(1, [ORDER], REFUND), merge(2, [REFUND], PASSWORD)]
    at_once = apply(DRAFT, *rows)
    stepwise = apply(tomorrow(apply(DRAFT, rows[0])), *rows)
    for after in (at_once, stepwise):
        assert model(after).target_of(ORDER.intent_id) == PASSWORD.intent_id
        assert model(after).target_of(REFUND.intent_id) == PASSWORD.intent_id


def test_a_merge_the_other_way_round_turns_the_two_around_and_no_cycle_comes_of_three() -> None:
    rows = [merge(1, [ORDER], REFUND), merge(2, [REFUND], ORDER)]
    after = apply(tomorrow(apply(DRAFT, rows[0])), *rows)
    assert after.intents[ORDER.intent_id].status == ACTIVE
    assert model(after).target_of(REFUND.intent_id) == ORDER.intent_id
    assert after.intents[ORDER.intent_id].changed is None  # together they are what they were
    assert [event["kind"] for event in told(after)] == ["merged"]
    three = [merge(1, [ORDER], REFUND), merge(2, [REFUND], PASSWORD), merge(3, [PASSWORD], ORDER)]
    ring = apply(DRAFT, *three)
    assert {model(ring).target_of(one.intent_id) for one in (ORDER, REFUND, PASSWORD)} == {ORDER.intent_id}
    assert ring.intents[ORDER.intent_id].status == ACTIVE


def test_a_merge_that_comes_back_when_a_later_one_is_undone_is_told() -> None:
    rows = [merge(1, [ORDER], REFUND), merge(2, [REFUND], ORDER)]
    undone = [rows[0], replace(rows[1], undone_by="bo")]
    after = apply(tomorrow(apply(DRAFT, *rows)), *undone)
    assert model(after).target_of(ORDER.intent_id) == REFUND.intent_id
    (event,) = told(after)
    assert (event["kind"], event["intent_id"], event["into_name"]) == ("merged", ORDER.intent_id, REFUND.name)
    assert (event["by"], event["undone"]) == ("bo", True)
    assert told(apply(tomorrow(after), *undone)) == []


def test_what_happens_on_one_day_is_told_with_the_names_that_stay_and_undone_with_those_that_were() -> None:
    rows = [merge(1, [REFUND], ORDER), rename(2, ORDER, "Parcels"), rename(3, REFUND, "Money back")]
    (event,) = told(apply(DRAFT, *rows), "merged")
    assert (event["name"], event["into_name"]) == ("Money back", "Parcels")
    row = split(1, REFUND, *PARTS)
    back = apply(tomorrow(apply(DRAFT, row)), replace(row, undone_by="bo"))
    assert next(event["name"] for event in told(back, "merged")) in {part["name"] for part in PARTS}


def test_a_merge_into_itself_does_nothing() -> None:
    assert apply(DRAFT, merge(1, [ORDER], ORDER)).intents[ORDER.intent_id].status == ORDER.status


def test_a_merged_emerging_intent_is_no_longer_waited_for() -> None:
    emerging = replace(REFUND, status=EMERGING)
    draft = replace(
        DRAFT.with_({**DRAFT.intents, REFUND.intent_id: emerging}),
        thresholds={**DRAFT.thresholds, "pending": {REFUND.intent_id: 2, "int_other": 1}},
    )
    assert apply(draft, merge(1, [REFUND], ORDER)).thresholds["pending"] == {"int_other": 1}


def test_an_intent_that_was_given_up_lives_again_when_another_becomes_part_of_it() -> None:
    draft = DRAFT.with_({**DRAFT.intents, ORDER.intent_id: replace(ORDER, status=RETIRED)})
    after = apply(draft, merge(1, [REFUND], ORDER))
    assert after.intents[ORDER.intent_id].status == ACTIVE
    assert set(model(after).columns) >= {ORDER.intent_id}


def test_what_moves_from_one_target_to_another_changes_what_the_first_one_is() -> None:
    rows = [merge(1, [ORDER], REFUND), merge(2, [ORDER], PASSWORD)]
    after = apply(tomorrow(apply(DRAFT, rows[0])), *rows)
    assert after.intents[ORDER.intent_id].merged_into == PASSWORD.intent_id
    assert after.intents[REFUND.intent_id].changed == NEXT
    assert after.intents[PASSWORD.intent_id].changed is None


def test_a_renamed_intent_keeps_its_name_through_a_merge_and_back() -> None:
    rows = [merge(1, [REFUND], ORDER), rename(2, REFUND, "Money back")]
    after = apply(DRAFT, *rows)
    assert after.intents[REFUND.intent_id].name == "Money back"
    back = apply(after, replace(rows[0], undone_by="bo"), rows[1])
    assert (back.intents[REFUND.intent_id].name, back.intents[REFUND.intent_id].status) == (
        "Money back",
        ACTIVE,
    )


PARTS = (
    {"name": "Lamps", "texts": ["i want a refund for the broken lamp", "money back for the broken lamp"]},
    {"name": "Clothes", "texts": ["refund me for this jacket", "please reimburse me for these shoes"]},
)


def test_a_split_divides_the_exemplars_by_the_examples_and_the_largest_part_keeps_the_id() -> None:
    after = apply(DRAFT, split(1, REFUND, *PARTS))
    (event,) = told(after, "split")
    (child,) = [after.intents[part["intent_id"]] for part in event["parts"]]
    parent = after.intents[REFUND.intent_id]
    assert {parent.name, child.name} == {"Lamps", "Clothes"}
    assert (child.split_from, child.born, child.changed, parent.changed) == (
        REFUND.intent_id,
        NEXT,
        NEXT,
        NEXT,
    )
    lamps = parent if parent.name == "Lamps" else child
    clothes = child if lamps is parent else parent
    assert sum("lamp" in text for text in lamps.exemplar_texts) > sum(
        "lamp" in text for text in clothes.exemplar_texts
    )
    assert set(REFUND.exemplar_ids) <= {*parent.exemplar_ids, *child.exemplar_ids}
    assert len(parent.exemplar_ids) >= len(child.exemplar_ids)
    assert told(apply(tomorrow(after), split(1, REFUND, *PARTS))) == []


def test_a_split_without_examples_makes_two_and_always_the_same_two() -> None:
    first, second = (apply(DRAFT, split(1, REFUND)) for _ in range(2))
    assert same(first, second)
    assert len(first.intents) == len(DRAFT.intents) + 1
    sizes = [len(one.exemplar_ids) for one in first.intents.values() if one.changed == NEXT]
    assert len(sizes) == 2 and min(sizes) > 1


def test_an_undone_split_makes_one_intent_again_with_all_its_history() -> None:
    row = split(1, REFUND, *PARTS)
    after = apply(DRAFT, row)
    back = apply(tomorrow(after), replace(row, undone_by="bo"))
    (child,) = [one for one in back.intents.values() if one.split_from == REFUND.intent_id]
    assert (child.status, child.merged_into, child.changed) == (MERGED, REFUND.intent_id, None)
    parent = back.intents[REFUND.intent_id]
    assert (parent.changed, parent.size, parent.named_by) == (None, REFUND.size, REFUND.named_by)
    verdict = model(back).classifier().judge(REFUND.exemplar_vectors)
    given = [model(back).columns[index] for index in verdict.nearest.tolist()]
    assert given.count(REFUND.intent_id) >= 0.9 * len(given)


def test_a_part_of_a_split_can_be_renamed_and_merged_and_its_edits_wait_once_the_split_is_undone() -> None:
    row = split(1, REFUND, *PARTS)
    once = apply(DRAFT, row)
    child = next(one for one in once.intents.values() if one.split_from == REFUND.intent_id)
    named = Row(2, "rename", {"intent": anchor(child, of_split=1), "name": "Garments"})
    merged = Row(
        3, "merge", {"intents": [anchor(child, of_split=1)], "into": anchor(once.intents[ORDER.intent_id])}
    )
    after = apply(once, row, named, merged)
    assert after.intents[child.intent_id].name == "Garments"
    assert model(after).target_of(child.intent_id) == ORDER.intent_id
    anew = apply(DRAFT, replace(row, undone_by="bo"), named, merged)  # a backfill after the undo
    assert child.intent_id not in anew.intents
    assert anew.intents[REFUND.intent_id].name == REFUND.name
    assert {event["edit"] for event in told(anew, "correction_waiting")} == {2, 3}


def test_an_intent_with_too_little_to_divide_waits() -> None:
    few = replace(
        REFUND,
        exemplar_ids=REFUND.exemplar_ids[:2],
        exemplar_texts=REFUND.exemplar_texts[:2],
        exemplar_vectors=REFUND.exemplar_vectors[:2],
    )
    after = apply(DRAFT.with_({**DRAFT.intents, REFUND.intent_id: few}), split(1, REFUND))
    assert [event["kind"] for event in told(after)] == ["correction_waiting"]
    assert len(after.intents) == len(DRAFT.intents)


def test_traces_like_the_ones_that_were_moved_follow_them() -> None:
    traces = {
        "t1": "the courier left my parcel with a neighbour who denies it",
        "t2": "my neighbour denies having the parcel that the courier left there",
    }
    row = move_traces(1, PASSWORD, traces)
    after = apply(DRAFT, row)
    later = SPACE.embed(["courier gave my parcel to a neighbour and the neighbour denies it"])

    def given(draft: Draft, vectors: Any) -> list[str]:
        now = model(draft)
        return [now.columns[index] for index in now.classifier().judge(vectors).nearest.tolist()]

    assert given(DRAFT, later) != [PASSWORD.intent_id]
    assert given(after, later) == [PASSWORD.intent_id]
    typical = np.concatenate([ORDER.exemplar_vectors, REFUND.exemplar_vectors])
    follow = sum(now != was for now, was in zip(given(after, typical), given(DRAFT, typical), strict=True))
    assert follow <= 0.05 * len(typical)  # hardly anybody else does
    assert [(event["kind"], event["traces"]) for event in told(after)] == [("moved", 2)]
    back = apply(tomorrow(after), replace(row, undone_by="bo"))
    assert same(tomorrow(back), DRAFT)
    assert [(event["name"], event["traces"], event["by"]) for event in told(back) if event.get("undone")] == [
        (PASSWORD.name, 2, "bo")
    ]
    assert told(apply(tomorrow(back), replace(row, undone_by="bo"))) == []


def test_a_moved_trace_is_no_example_of_where_it_came_from() -> None:
    moved = ORDER.exemplar_ids[0]
    after = apply(DRAFT, move_traces(1, REFUND, {moved: ORDER.exemplar_texts[0]}))
    assert moved not in after.intents[ORDER.intent_id].exemplar_ids


def test_moved_traces_without_words_wait() -> None:
    after = apply(DRAFT, move_traces(1, REFUND, {"t1": "12345 !!"}))
    assert len(after.intents) == len(DRAFT.intents)


def test_an_edit_of_an_intent_that_is_not_there_waits_and_is_told_once() -> None:
    nobody = replace(ORDER, intent_id="int_gone", exemplar_texts=("do whales sleep at night",), name="Whales")
    after = apply(DRAFT, rename(1, nobody, "Sea"))
    (event,) = told(after)
    assert (event["kind"], event["edit"]) == ("correction_waiting", 1) and "Whales" in event["why"]
    assert told(apply(tomorrow(after), rename(1, nobody, "Sea"))) == []


UNREADABLE = [
    ("rename", {}),
    ("rename", {"intent": None, "name": "x"}),
    ("rename", {"intent": anchor(ORDER), "name": " \x00\x1b\u202e "}),
    ("rename", {"intent": anchor(ORDER), "name": 7}),
    ("merge", {"intents": 3, "into": anchor(ORDER)}),
    ("move_traces", {"intent": anchor(ORDER), "traces": [{"trace_id": "t", "text": None}]}),
    ("rediscover", {"from": "yesterday"}),
    ("teleport", {"intent": anchor(ORDER)}),
]


@pytest.mark.parametrize(("kind", "payload"), UNREADABLE)
def test_an_edit_that_cannot_be_read_changes_nothing_and_is_told_once(kind: str, payload: Any) -> None:
    after = apply(DRAFT, Row(1, kind, payload))
    assert [event["kind"] for event in told(after)] == ["correction_waiting"]
    assert {one: intent.name for one, intent in after.intents.items()} == {
        one: intent.name for one, intent in DRAFT.intents.items()
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\x00b\x1b[31m\u202ec\n d", "ab[31mc d"),
        ("y" * 10_000, "y" * 119 + "…"),
        ("<b>{{x}}</b> | `%s` [a](http://x)", "<b>{{x}}</b> | `%s` [a](http://x)"),
        ("返品", "返品"),
        ("🙂", "🙂"),
    ],
)
def test_a_name_is_one_visible_line_of_bounded_length_whatever_was_written(written: str, shown: str) -> None:
    intent = apply(DRAFT, rename(1, ORDER, written)).intents[ORDER.intent_id]
    assert intent.name == shown and intent.slug


def test_rediscovery_is_due_once_on_the_first_day_at_or_after_the_one_it_names() -> None:
    asked = edits(Row(1, "rediscover", {"from": str(NEXT)}))
    known = model(DRAFT)
    assert rediscovery_asked(asked, FIRST, known) is None
    assert rediscovery_asked(asked, NEXT, known) == asked[0]
    done = replace(known, thresholds={**known.thresholds, "discovered": str(NEXT)})
    assert rediscovery_asked(asked, NEXT, done) is None
    assert rediscovery_asked([replace(asked[0], undone_by="bo")], NEXT, known) is None
    assert rediscovery_asked(asked, NEXT, learning(3)) is None
    assert same(apply(DRAFT, Row(1, "rediscover", {"from": str(NEXT)})), DRAFT)


ALL = sorted(DRAFT.intents.values(), key=lambda intent: intent.intent_id)
NUMBERS = st.integers(0, len(ALL) - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rename"), NUMBERS, st.text(max_size=8)),
        st.tuples(st.just("merge"), NUMBERS, NUMBERS),
        st.tuples(st.just("split"), NUMBERS, st.booleans()),
        st.tuples(st.just("undo"), st.integers(1, 8), st.none()),
    ),
    max_size=8,
)


def rows_of(steps: Sequence[tuple[Any, ...]]) -> list[list[Row]]:
    """The rows of the state after each step."""
    rows: list[Row] = []
    states = []
    for kind, first, second in steps:
        number = len(rows) + 1
        if kind == "rename":
            rows = [*rows, rename(number, ALL[first], second)]
        elif kind == "merge":
            rows = [*rows, merge(number, [ALL[first]], ALL[second])]
        elif kind == "split":
            rows = [*rows, split(number, ALL[first], *(PARTS if second else ()))]
        else:
            rows = [replace(row, undone_by="bo") if row.edit_id == first else row for row in rows]
        states.append(rows)
    return states


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_edits_in_any_order_leave_a_sound_model_and_undone_ones_leave_names_and_merges_as_they_were(
    steps: list[tuple[Any, ...]],
) -> None:
    draft = DRAFT
    states = rows_of(steps)
    for rows in states:
        draft = apply(tomorrow(draft), *rows)
        now = model(draft)
        assert len({intent.slug for intent in now.intents}) == len(now.intents)
        assert all(intent.name and intent.slug for intent in now.intents)
        for intent in now.intents:
            assert draft.intents[now.target_of(intent.intent_id)].status != MERGED, "a cycle"
            assert len(intent.exemplar_ids) == len(intent.exemplar_texts) == len(intent.exemplar_vectors) > 0
        assert len(now.columns) == len(now.intents)
    undone: list[Edit] = edits(*(replace(row, undone_by="bo") for row in (states[-1] if states else [])))
    back = corrected(draft, undone, space=SPACE, day=NEXT)
    for one, intent in DRAFT.intents.items():
        assert (back.intents[one].name, back.intents[one].status) == (intent.name, intent.status)
    assert {one.status for one in back.intents.values() if one.intent_id not in DRAFT.intents} <= {MERGED}
    assert "corrections" not in back.thresholds
