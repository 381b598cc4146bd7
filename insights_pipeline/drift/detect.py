"""One day's tests and what they pull: the horizons that end on a day, and the triggers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from insights_pipeline.drift.constants import (
    CHANGED,
    DEFAULT,
    DOWN,
    HORIZONS,
    REACH_DAYS,
    TOOLS,
    UP,
    Constants,
)
from insights_pipeline.drift.judge import Judged, LeftOut, judge
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics.result import Status
from insights_pipeline.lake import DayRange

# A: 7-day window. B: two single days of three. C: one extreme day. D: 30-day window.
WEEK, CONFIRMED, EXTREME, MONTH = "A", "B", "C", "D"


def judge_day(panel: Panel, day: date, out: LeftOut, *, c: Constants = DEFAULT) -> dict[str, Judged]:
    """The horizons 1d, 7d and 30d that end on `day`. `panel` ends on `day` and is `REACH_DAYS` long."""
    if panel.days != DayRange.ending(day, REACH_DAYS):
        raise ValueError(f"{day} is judged from the {REACH_DAYS} days up to it, not from {panel.days}")
    return {
        horizon: judge(
            panel,
            DayRange.ending(day, length),
            out,
            horizon=horizon,
            cap=c.cap_day if length == 1 else c.cap_week,
            c=c,
        )
        for horizon, length in HORIZONS.items()
    }


@dataclass(frozen=True, slots=True)
class Evidence:
    """One test as an item shows it."""

    horizon: str
    n: int
    observed: float
    baseline_value: float
    effect: float
    low: float
    high: float
    p: float
    q: float


@dataclass(frozen=True, slots=True)
class Signal:
    """What the tests of a day say for one (series, metric, direction); that there is one keeps an open item open."""

    series: str
    metric: str
    direction: str
    triggers: tuple[str, ...]  # A, C, D that fired today
    hit: bool  # a single day at p <= .01: half of trigger B
    recent: bool  # the last week or day says so, not the month alone
    evidence: Mapping[str, Evidence]


def signals(panel: Panel, judged: Mapping[str, Judged], *, c: Constants = DEFAULT) -> list[Signal]:
    """The series that pull a trigger, are half of one, or keep an item open; sorted."""
    found: list[Signal] = []
    for metric in judged["7d"].results:
        for direction in (CHANGED,) if metric == TOOLS else (UP, DOWN):
            found += _of_direction(panel, judged, metric, direction, c=c)
    return sorted(found, key=lambda signal: (signal.series, signal.metric, signal.direction))


def _of_direction(
    panel: Panel, judged: Mapping[str, Judged], metric: str, direction: str, *, c: Constants
) -> list[Signal]:
    p, q, size = {}, {}, {}
    for horizon in HORIZONS:
        result = judged[horizon].results[metric]
        side = (
            np.isfinite(result.p)
            if direction == CHANGED
            else (result.effect > 0 if direction == UP else result.effect < 0)
        )
        p[horizon] = np.where(side, result.p, 1.0)
        q[horizon] = np.where(side, judged[horizon].q[metric], 1.0)
        size[horizon] = np.where(side, result.magnitude, 0.0)
    still = size["7d"] >= 0.5
    pulled = {
        WEEK: (q["7d"] <= c.q) & (size["7d"] >= 1),
        EXTREME: (q["1d"] <= c.q_day) & (size["1d"] >= 1),
        # an episode that is over by now also moves a 30-day mean: the last week must agree
        MONTH: (q["30d"] <= c.q) & (size["30d"] >= 1) & still,
    }
    hit = (p["1d"] <= c.p_confirm) & (size["1d"] >= 1)
    week_holds = (p["7d"] <= c.p_hold) & still
    month_holds = (p["30d"] <= c.p_hold) & (size["30d"] >= 0.5) & still
    recent = week_holds | hit | pulled[WEEK] | pulled[EXTREME]
    holds = recent | month_holds | pulled[MONTH]
    return [
        Signal(
            series=panel.series[row],
            metric=metric,
            direction=direction,
            triggers=tuple(name for name, fired in pulled.items() if fired[row]),
            hit=bool(hit[row]),
            recent=bool(recent[row]),
            evidence={
                horizon: _evidence(judged[horizon], metric, int(row))
                for horizon in HORIZONS
                if judged[horizon].results[metric].status[row] == Status.TESTED
            },
        )
        for row in np.flatnonzero(holds)
    ]


def _evidence(judged: Judged, metric: str, row: int) -> Evidence:
    result = judged.results[metric]
    return Evidence(
        horizon=judged.horizon,
        n=int(result.n[row]),
        observed=float(result.observed[row]),
        baseline_value=float(result.baseline_value[row]),
        effect=float(result.effect[row]),
        low=float(result.low[row]),
        high=float(result.high[row]),
        p=float(result.p[row]),
        q=float(judged.q[metric][row]),
    )


def evaluable(panel: Panel, judged: Mapping[str, Judged]) -> set[tuple[str, str]]:
    """The (series, metric) that a quiet verdict can be given for today: only these may close an item.

    The day itself must have had data: a 7-day window without a new day says nothing new.
    """
    quiet: set[tuple[str, str]] = set()
    for metric in judged["7d"].results:
        week, today = judged["7d"].results[metric], judged["1d"].results[metric]
        known = (week.status == Status.TESTED) & (today.n > 0)
        quiet.update((panel.series[row], metric) for row in np.flatnonzero(known))
    return quiet
