"""Intents that arrive and vanish are told once, as that, and not a second time as a change of volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from insights_pipeline.drift.constants import ALL, DOWN, GONE, LATENCY, NEW, REACH_DAYS, UNKNOWN, UP, VOLUME
from insights_pipeline.drift.detect import Signal
from insights_pipeline.drift.life.arrivals import (
    YOUNG_DAYS,
    Known,
    beside_arrivals,
    step_arrivals,
    vanished,
)
from insights_pipeline.drift.life.decisions import Decision, decided
from insights_pipeline.drift.life.item import ACCEPTED, ONGOING, Item
from insights_pipeline.drift.life.lifecycle import QUIET_DAYS
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.lake import DayRange

TODAY = date(2026, 5, 1)
LONG_AGO = TODAY - timedelta(days=200)
KNOWN = Known(
    LONG_AGO - timedelta(days=1),
    {"steady": LONG_AGO, "changing": LONG_AGO},
    {"steady": "active", "changing": "active"},
)


def panel(changing: Sequence[float], *, day: date = TODAY, total: float = 100.0) -> Panel:
    """Seventy days up to `day`: "steady" has 40 traces a day, "changing" ends with those given after 40 a day."""
    n = np.full((3, REACH_DAYS), 40.0)
    n[1, REACH_DAYS - len(changing) :] = changing
    n[2] = 20.0
    nothing = np.zeros_like(n)
    return Panel(
        days=DayRange.ending(day, REACH_DAYS),
        series=("steady", "changing", UNKNOWN),
        n=n,
        total=np.full(REACH_DAYS, total),
        sums={},
        error_n=n,
        error_k=nothing,
        tools=("(none)",),
        tool_n=n,
        shares=nothing[:, :, None],
    )


def moved(direction: str, *, series: str = "changing", metric: str = VOLUME) -> Signal:
    return Signal(series, metric, direction, ("A",), False, True, {})


def item(direction: str, opened: date, *, metric: str = VOLUME) -> Item:
    return Item("drf_1", "changing", metric, direction, ONGOING, opened, opened)


def test_an_intent_told_as_new_does_not_also_grow_for_two_weeks() -> None:
    told = replace(item(NEW, TODAY - timedelta(days=3)), state=ACCEPTED, closed=TODAY - timedelta(days=2))
    others = [moved(DOWN), moved(UP, metric=LATENCY), moved(UP, series="steady")]
    kept = beside_arrivals([moved(UP), *others], TODAY, [told], panel([]), KNOWN)
    assert kept == others
    old = replace(told, opened=TODAY - timedelta(days=YOUNG_DAYS))
    assert beside_arrivals([moved(UP)], TODAY, [old], panel([]), KNOWN) == [moved(UP)]


def test_an_intent_that_was_just_born_does_not_grow_before_it_is_told_either() -> None:
    young = replace(KNOWN, born=KNOWN.born | {"changing": TODAY - timedelta(days=2)})
    assert beside_arrivals([moved(UP)], TODAY, [], panel([]), young) == []
    # at the bootstrap all intents are born at once: as old as the lake, not new
    start = replace(young, bootstrapped=TODAY - timedelta(days=2))
    assert beside_arrivals([moved(UP)], TODAY, [], panel([]), start) == [moved(UP)]


def test_silence_is_told_by_gone_and_not_by_volume() -> None:
    assert beside_arrivals([moved(DOWN)], TODAY, [], panel([0]), KNOWN) == []
    assert beside_arrivals([moved(DOWN)], TODAY, [item(GONE, TODAY)], panel([0, 0, 40]), KNOWN) == []
    # back after too short a silence to be told: the week that has it in it says nothing of today
    assert beside_arrivals([moved(DOWN)], TODAY, [], panel([0, 0, 40, 40]), KNOWN) == []
    assert beside_arrivals([moved(DOWN)], TODAY, [], panel([9]), KNOWN) == [moved(DOWN)]
    # of so few traces that a silent day is nothing: what is left to tell is that it fades
    rare = panel([0])
    rare.n[1] = np.where(np.arange(REACH_DAYS) % 3 > 0, 2.0, 0.0)
    assert beside_arrivals([moved(DOWN)], TODAY, [], rare, KNOWN) == [moved(DOWN)]


def test_an_intent_that_was_told_to_fade_stays_that_when_it_falls_silent() -> None:
    fading = item(DOWN, TODAY - timedelta(days=9))
    silent = panel([5, 5, 5, 0, 0, 0, 0])
    assert beside_arrivals([moved(DOWN)], TODAY, [fading], silent, KNOWN) == [moved(DOWN)]
    assert step_arrivals(TODAY, [fading], silent, KNOWN) == []


def test_a_vanished_intent_is_told_with_the_day_it_fell_silent_and_its_silence_is_quarantined() -> None:
    (gone,) = step_arrivals(TODAY, [], panel([0, 0, 0, 0]), KNOWN)
    assert (gone.series, gone.direction, gone.state) == ("changing", GONE, "new")
    assert gone.onset is not None and gone.onset.day == TODAY - timedelta(days=3)
    assert gone.quarantined == tuple(DayRange.ending(TODAY, 4))
    tomorrow = TODAY + timedelta(days=1)
    (still,) = step_arrivals(tomorrow, [gone], panel([0] * 5, day=tomorrow), KNOWN)
    assert (still.state, still.quarantined[-1]) == ("ongoing", tomorrow)
    (back,) = step_arrivals(tomorrow, [gone], panel([0] * 4 + [40], day=tomorrow), KNOWN)
    assert back.state == "recovering" and back.quarantined == gone.quarantined


def test_all_and_unknown_traffic_are_never_new_or_gone() -> None:
    quiet = panel([])
    quiet.n[2, -10:] = 0.0
    assert step_arrivals(TODAY, [], quiet, KNOWN) == []
    assert {UNKNOWN, ALL}.isdisjoint(KNOWN.status)


def test_an_intent_that_vanishes_again_after_its_leave_was_accepted_is_told_again() -> None:
    accepted = replace(
        item(GONE, TODAY - timedelta(days=40)), state=ACCEPTED, closed=TODAY - timedelta(days=30)
    )
    never_back = panel([0] * 45)
    assert [one.state for one in step_arrivals(TODAY, [accepted], never_back, KNOWN)] == [ACCEPTED]
    was_back = panel([0] * 15 + [40] * 25 + [0] * 4)
    assert sorted(one.state for one in step_arrivals(TODAY, [accepted], was_back, KNOWN)) == [
        "accepted",
        "new",
    ]


def test_a_stray_trace_now_and_then_is_no_return_of_a_vanished_intent() -> None:
    items: list[Item] = [item(GONE, TODAY - timedelta(days=1))]
    for offset in range(12):
        day, stray = TODAY + timedelta(days=offset), 1.0 if offset % 4 == 3 else 0.0
        silence = [0.0] * (10 + offset) + [stray]
        items = [
            one for one in step_arrivals(day, items, panel(silence, day=day), KNOWN) if one.direction == GONE
        ]
    assert [one.state for one in items] == ["recovering"]
    assert [one.quiet_days for one in items] == [1]


@pytest.mark.parametrize(("until", "expected"), [(None, "dismissed"), (2, "new")])
def test_a_dismissed_leave_is_told_again_only_after_the_day_it_is_kept_quiet_until(
    until: int | None, expected: str
) -> None:
    last = None if until is None else TODAY + timedelta(days=until)
    word = Decision(1, "dismiss", "changing", VOLUME, GONE, TODAY, "ada", last)
    items: list[Item] = []
    states = []
    for offset in range(4):
        on = TODAY + timedelta(days=offset)
        items = decided(on, step_arrivals(on, items, panel([0] * (4 + offset), day=on), KNOWN), [word])
        states.append(items[0].state)
    assert states == ["dismissed"] * 3 + [expected]
    back = TODAY + timedelta(days=4)
    for offset in range(QUIET_DAYS):
        on = back + timedelta(days=offset)
        items = step_arrivals(on, items, panel([0] * 8 + [40] * (offset + 1), day=on), KNOWN)
    assert items[0].closed == back + timedelta(days=QUIET_DAYS - 1)
    assert items[0].state == ("dismissed" if until is None else "resolved")


WEEKLY = [300.0, 0, 0, 0, 0, 0, 0]


def test_a_weekly_job_is_not_gone_on_its_silent_days_but_when_its_day_passes_without_it() -> None:
    for silent in range(1, 7):
        assert not vanished(panel([*(WEEKLY * 9), *WEEKLY[: 1 + silent]]), KNOWN)
    missed = panel([*(WEEKLY * 9), *[0.0] * 2])  # its day, and the one after it
    assert [intent for intent, _ in vanished(missed, KNOWN)] == ["changing"]


def test_a_young_intent_was_not_silent_before_it_was_born() -> None:
    born = [*[0.0] * 55, *[40.0] * 11, 0, 0, 0, 0]
    assert [intent for intent, _ in vanished(panel(born), KNOWN)] == ["changing"]


def test_a_fall_of_a_bursty_intent_is_told_and_a_first_silence_waits_for_gone() -> None:
    bursty = [300.0, 300, 0, 300, 0, 300, 300] * 10
    fading = [moved(DOWN)]
    assert beside_arrivals(fading, TODAY, [], panel(bursty), KNOWN) == fading
    assert beside_arrivals(fading, TODAY, [], panel([40.0, 40, 0]), KNOWN) == []
