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
    LASTING_HORIZON,
    LATENCY,
    LATENCY_P95,
    REACH_DAYS,
    RECENT_HORIZON,
    TOOLS,
    UP,
    Constants,
)
from insights_pipeline.drift.judge import Judged, LeftOut, judge
from insights_pipeline.drift.lasting import judge_lasting
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.result import Status
from insights_pipeline.lake import DayRange

# A: 7-day window. B: three days together; of tool mix, volume and scores two single days of three. C: one extreme day.
# D: 30-day window. E: 14 days against the 56 before.
WEEK, CONFIRMED, EXTREME, MONTH, LASTING = "A", "B", "C", "D", "E"


def judge_day(panel: Panel, day: date, out: LeftOut, *, c: Constants = DEFAULT) -> dict[str, Judged]:
    """The horizons 1d, 7d, 30d, 3d and 14d that end on `day`. `panel` ends on `day` and is `REACH_DAYS` long.

    3d and 14d have results of the metrics of `lasting.METRICS` only. A panel of another length raises ValueError.
    """
    if panel.days != DayRange.ending(day, REACH_DAYS):
        raise ValueError(f"{day} is judged from the {REACH_DAYS} days up to it, not from {panel.days}")
    judged = {
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
    return judged | judge_lasting(panel, out, judged["7d"].results, c=c)


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


def family(metric: str) -> str:
    """Metrics that tell one story: a latency whose mean and p95 move is one item."""
    return LATENCY if metric == LATENCY_P95 else metric


@dataclass(frozen=True, slots=True)
class Signal:
    """What the tests of a day say for one (series, metric, direction); that there is one keeps an open item open."""

    series: str
    metric: str
    direction: str
    triggers: tuple[str, ...]  # those that fired today
    hit: bool  # a single day at p <= p_confirm
    recent: bool  # today it is still there: the day alone says so, or the week does and the day agrees
    evidence: Mapping[str, Evidence]
    confirms: bool = True  # nothing sees three days together, and the week holds: a second hit is trigger B

    @property
    def key(self) -> tuple[str, str, str]:
        """Of the episode that it belongs to."""
        return self.series, family(self.metric), self.direction


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
    sides = {
        horizon: _side(one, metric, direction) for horizon, one in judged.items() if metric in one.results
    }
    nothing = _Side.nothing(len(panel.series))
    day, week, month = sides["1d"], sides["7d"], sides["30d"]
    three, lasting = (sides.get(horizon, nothing) for horizon in (RECENT_HORIZON, LASTING_HORIZON))
    # a mix of priced and unpriced traces moved: of few days together it shows sooner than of a week
    withheld = three.withheld | week.withheld
    still = week.size >= 0.5
    agrees = (day.size >= 0.5) | ~day.known
    week_holds = (week.p <= c.p_hold) & still
    lasting_holds = (lasting.p <= c.p_hold) & (lasting.size >= 0.5) & still
    month_holds = (month.p <= c.p_hold) & (month.size >= 0.5) & still
    pulled = {
        WEEK: (week.size >= 1)
        & ~withheld
        & (
            (week.q <= np.where(lasting.known, c.q_alone, c.q))
            | ((week.q <= c.q_agreed) & (lasting.p <= c.p_lasting) & (lasting.size >= 0.5))
        )
        # days that were odd early in a week move its mean for a week: the last three must be odd as well
        & np.where(three.known, three.p <= c.p_three, agrees),
        CONFIRMED: (three.q <= c.q_day) & (three.size >= 1) & agrees & ~day.withheld,
        EXTREME: (day.q <= c.q_day) & (day.size >= 1),
        # an episode that is over by now also moves a mean of 14 or 30 days: the last week must agree
        LASTING: (lasting.size >= 1)
        & ~withheld
        & still
        & ((lasting.q <= c.q_alone) | ((lasting.q <= c.q_agreed) & (week.p <= c.p_week))),
        MONTH: (month.q <= c.q) & (month.size >= 1) & still & ~withheld,
    }
    hit = (day.p <= c.p_confirm) & (day.size >= 1)
    confirms = ~three.known & week_holds
    # one bad day moves the mean of its week for a week: what is over by today must not look alive for so long; but
    # where the week is beyond doubt, a day of few traces need not prove it again
    today = agrees & ((day.p <= c.p_agree) | (week.p <= c.p_sure) | ~day.known)
    recent = hit | pulled[EXTREME] | pulled[CONFIRMED] | (today & (week_holds | lasting_holds))
    holds = recent | month_holds | np.any(list(pulled.values()), axis=0)
    return [
        Signal(
            series=panel.series[row],
            metric=metric,
            direction=direction,
            triggers=tuple(name for name, fired in pulled.items() if fired[row]),
            hit=bool(hit[row]),
            confirms=bool(confirms[row]),
            recent=bool(recent[row]),
            evidence={
                horizon: _evidence(judged[horizon], metric, int(row))
                for horizon in sides
                if judged[horizon].results[metric].status[row] == Status.TESTED
            },
        )
        for row in np.flatnonzero(holds)
    ]


@dataclass(frozen=True, slots=True)
class _Side:
    """What one horizon says for one direction of a metric; every array is [series]."""

    p: Floats
    q: Floats
    size: Floats
    known: Mask  # there is a verdict, of whichever direction
    withheld: Mask  # there is none, since the coverage moved

    @classmethod
    def nothing(cls, series: int) -> _Side:
        no = np.zeros(series, dtype=bool)
        return cls(np.ones(series), np.ones(series), np.zeros(series), no, no)


def _side(judged: Judged, metric: str, direction: str) -> _Side:
    result = judged.results[metric]
    if direction == CHANGED:
        there = np.isfinite(result.p)
    else:
        there = np.isfinite(result.p) & (result.effect > 0 if direction == UP else result.effect < 0)
    return _Side(
        p=np.where(there, result.p, 1.0),
        q=np.where(there, judged.q[metric], 1.0),
        size=np.where(there, result.magnitude, 0.0),
        known=np.isfinite(result.p),
        withheld=result.status == Status.COVERAGE,
    )


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
