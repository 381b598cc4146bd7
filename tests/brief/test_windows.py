"""Briefs of weeks and months, and what a window calls new and worsened."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from insights_pipeline.brief.markdown import markdown
from insights_pipeline.brief.wording import headline
from tests.brief.made import DAY, SUNDAY, before, facts, item, observation, week


@pytest.mark.parametrize("state", ["new", "ongoing", "recovering", "accepted"])
def test_what_opened_in_a_week_is_new_to_the_week_whatever_became_of_it(state: str) -> None:
    opened = item(state=state, opened=date(2026, 3, 3), closed=SUNDAY if state == "accepted" else None)
    found = week(opened)
    assert [line.state for line in found.lines] == ["new"] and not found.ongoing
    assert "since 3 Mar" in markdown(found)


def test_what_was_pending_before_the_week_and_confirmed_in_it_is_new() -> None:
    pending = item(state="pending", opened=date(2026, 3, 1))
    history = before(date(2026, 3, 1), pending) | before(date(2026, 3, 2), {**pending, "state": "new"})
    found = week(item(state="ongoing", opened=date(2026, 3, 1)), history=history)
    assert [line.state for line in found.lines] == ["new"] and not found.ongoing


def test_what_became_an_item_before_the_week_goes_on() -> None:
    history = before(date(2026, 3, 1), item(state="new", opened=date(2026, 3, 1)))
    found = week(item(state="ongoing", opened=date(2026, 3, 1)), history=history)
    assert not found.lines and [line.state for line in found.ongoing] == ["ongoing"]


def test_what_a_person_accepted_in_its_first_week_is_a_count_and_no_line() -> None:
    decision = {"decision": {"kind": "accept", "by": "ana", "day": "2026-03-05"}}
    found = week(
        item(state="accepted", opened=date(2026, 3, 3), closed=date(2026, 3, 5), explanation=decision)
    )
    assert not found.lines and [(one.kind, one.by) for one in found.decided] == [("accepted", "ana")]


def test_a_new_intent_is_told_by_its_week_though_it_was_accepted_the_next_day() -> None:
    arrived = item(
        metric="volume",
        direction="new",
        state="accepted",
        opened=date(2026, 3, 4),
        closed=date(2026, 3, 5),
        effect=None,
        observed=None,
        n=31,
    )
    assert "Where is my order, new intent" in headline(week(arrived))
    assert not week(arrived).decided
    assert week({**arrived, "opened": date(2026, 2, 20), "closed": date(2026, 2, 21)}).lines == ()


def test_what_opened_and_closed_in_a_week_is_resolved_with_the_first_and_last_day_on_which_it_showed() -> (
    None
):
    over = item(
        state="resolved", opened=date(2026, 3, 3), last_fired=date(2026, 3, 4), closed=date(2026, 3, 7)
    )
    assert "[resolved]" in markdown(week(over)).replace("\\", "") and "3 Mar – 4 Mar" in markdown(week(over))
    back = {**over, "metric": "volume", "direction": "gone", "effect": None, "observed": None, "n": None}
    assert "**Where is my order**: asked again, 3 Mar – 4 Mar" in markdown(week(back))


def test_a_drift_that_only_the_whole_week_shows_is_a_line_since_its_first_day() -> None:
    found = week(observations=[observation()])
    assert found.status == "changed"
    text = markdown(found).replace("\\", "")
    for part in (
        "[new] **Where is my order**: typical cost up **+30 %** ($0.01 → $0.013, 95 % +20 to +40 %), since 2 Mar",
        "4,000 traces; 80 % of traffic",
    ):
        assert part in text, text


def test_a_drift_of_the_week_is_told_once_though_its_item_and_its_p95_tell_it_too() -> None:
    mean = observation(metric="latency_ms", observed=2_700.0, baseline_value=1_800.0, effect=0.5, n=5_000)
    tail = observation(metric="latency_p95_ms", effect=0.6)
    found = week(item(state="ongoing"), observations=[tail, mean])
    (line,) = found.lines
    assert (line.metric, line.effect, line.observed, line.baseline, line.n) == (
        "latency_ms",
        0.5,
        2_700.0,
        1_800.0,
        5_000,
    )
    assert (line.effect_low, line.effect_high, line.trace_ids) == (0.2, 0.4, ("a" * 32, "b" * 32))
    assert [line.metric for line in week(observations=[tail, mean]).lines] == ["latency_ms"]


def test_an_item_keeps_its_numbers_where_the_week_found_the_opposite_which_is_a_line_too() -> None:
    fell = observation(metric="latency_ms", direction="down", effect=-0.2, severity="info")
    found = week(item(), observations=[fell])
    told = [(line.direction, line.effect) for line in found.lines]
    also = [(one.direction, one.effect) for line in found.lines for one in line.also]
    assert sorted([*told, *also]) == [("down", -0.2), ("up", 0.72)]


@pytest.mark.parametrize(
    "silent",
    [{"state": "pending"}, {"state": "resolved", "opened": date(2026, 2, 1), "closed": date(2026, 2, 20)}],
)
def test_an_item_that_the_week_does_not_tell_hides_no_drift_of_the_week(silent: dict[str, Any]) -> None:
    found = week(item(metric="cost_usd", **silent), observations=[observation()])
    assert [(line.metric, line.since) for line in found.lines] == [("cost_usd", DAY)]


def series(*values: tuple[float, str], opened: date, last: date) -> dict[str, Any]:
    """The rows of an item's days up to `last`: effect and severity of each; new on the first, then ongoing."""
    first = last - timedelta(days=len(values) - 1)
    rows: dict[date, list[dict[str, Any]]] = {}
    for at, (effect, severity) in enumerate(values):
        day = first + timedelta(days=at)
        state = "new" if at == 0 else "ongoing"
        rows |= before(day, item(state=state, opened=opened, effect=effect, severity=severity))
    return {"today": rows.pop(last)[0], "history": rows}


def states(told: dict[str, Any]) -> tuple[list[str], list[str]]:
    found = facts(told["today"], history=told["history"])
    return [line.state for line in found.lines], [line.state for line in found.ongoing]


def test_an_open_change_whose_severity_rises_today_has_worsened_and_says_from_what() -> None:
    opened = DAY - timedelta(days=10)
    graver = series((0.3, "warning"), (0.3, "warning"), (0.6, "high"), opened=opened, last=DAY)
    assert states(graver) == (["worsened"], [])
    text = markdown(facts(graver["today"], history=graver["history"])).replace("\\", "")
    assert "[worsened, high] **Where is my order**: typical latency up **+60 %** (was +30 %, " in text
    told_before = series((0.3, "warning"), (0.6, "high"), (0.6, "high"), opened=opened, last=DAY)
    assert states(told_before) == ([], ["ongoing"])


def test_an_effect_that_crept_up_by_half_since_it_was_last_told_has_worsened_once() -> None:
    opened = DAY - timedelta(days=20)
    crept = [(0.20 + 0.01 * day, "warning") for day in range(11)]  # 0.30 on the last day
    assert states(series(*crept, opened=opened, last=DAY)) == (["worsened"], [])
    assert states(series(*crept, (0.31, "warning"), opened=opened, last=DAY)) == ([], ["ongoing"])


def test_a_window_that_still_fills_with_the_days_of_a_change_is_no_worsening() -> None:
    filling = [(0.1 * day, "warning") for day in range(2, 7)]
    assert states(series(*filling, opened=DAY - timedelta(days=4), last=DAY)) == ([], ["ongoing"])
    full = [*filling, (0.7, "warning"), (0.7, "warning"), (0.7, "warning")]
    assert states(series(*full, opened=DAY - timedelta(days=7), last=DAY)) == ([], ["ongoing"])


def test_a_week_tells_what_worsened_on_any_of_its_days() -> None:
    told = series(*[(0.3, "warning")] * 8, *[(0.6, "high")] * 3, opened=date(2026, 2, 20), last=SUNDAY)
    assert min(told["history"]) < DAY
    found = facts(told["today"], cadence="weekly", last=SUNDAY, history=told["history"])
    assert [(line.state, line.before) for line in found.lines] == [("worsened", 0.3)]


def test_what_the_weeks_own_test_found_is_told_with_the_item_that_names_it() -> None:
    opened = date(2026, 2, 20)
    moved = {"moved_with": [{"metric": "cost_usd", "direction": "up", "effect": 0.3}]}
    slow = item(state="new", opened=opened, onset=opened, explanation=moved)
    history = before(opened, slow)
    found = week({**slow, "state": "ongoing"}, history=history, observations=[observation()])
    assert found.lines == (), "it was named when the item was told"
    assert [[one.metric for one in line.also] for line in found.ongoing] == [["cost_usd"]]
