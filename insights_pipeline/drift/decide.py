"""One day judged: every series against its baseline over a window, and which triggers that pulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from insights_pipeline.drift.constants import (
    BASELINE_DAYS,
    CHANGED,
    DEFAULT,
    DOWN,
    ERRORS,
    HORIZONS,
    LATENCY,
    LATENCY_P95,
    NUMERIC,
    REACH_DAYS,
    TESTED,
    TOOLS,
    UP,
    Constants,
)
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import error_rate, floors, numeric, tool_mix
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.multiplicity import benjamini_hochberg
from insights_pipeline.drift.statistics.result import Status, TestResult
from insights_pipeline.lake import DayRange

_LONG_DAYS = 14

# A: 7-day window. B: two single days of three. C: one extreme day. D: 30-day window.
WEEK, CONFIRMED, EXTREME, MONTH = "A", "B", "C", "D"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Days [series, days] that a metric must not count: in its baselines, and (a closed episode) in its windows too."""

    baseline: Mapping[str, Mask]
    window: Mapping[str, Mask]

    @classmethod
    def nothing(cls, panel: Panel) -> LeftOut:
        none = np.zeros(panel.n.shape, dtype=bool)
        return cls(dict.fromkeys(TESTED, none), dict.fromkeys(TESTED, none))


@dataclass(frozen=True, slots=True)
class Judged:
    """All metrics over one window: results, q-values over all of them together, and the baseline days used."""

    horizon: str
    window: DayRange
    results: Mapping[str, TestResult]
    q: Mapping[str, Floats]
    baseline: Mapping[str, Mask]


def judge(
    panel: Panel, window: DayRange, out: LeftOut, *, horizon: str, cap: float, c: Constants = DEFAULT
) -> Judged:
    """Every series of the panel over `window` against the 30 days before it that are not left out."""
    if len(window) > _LONG_DAYS:
        c = replace(c, min_days=c.min_days_month, min_days_p95=c.min_days_month)
    columns = panel.columns(window)
    base = {metric: _baseline(out.baseline[metric], columns.start) for metric in TESTED}
    inside = {metric: _window(out.window[metric], columns) for metric in TESTED}
    alpha = c.q / max(1, len(panel.intents) * len(TESTED))
    results: dict[str, TestResult] = {}
    for metric in NUMERIC:
        sums = panel.sums[metric]
        daily = numeric.log_means(sums.slog, sums.slog2, sums.n_pos, first_weekday=panel.first_weekday)
        result = numeric.compare(daily, base[metric], inside[metric], cap=cap, alpha=alpha, c=c)
        results[metric] = _covered(result, panel, metric, base[metric], inside[metric], c=c)
        if metric == LATENCY:
            results[LATENCY_P95] = numeric.compare(
                numeric.log_p95(daily, sums.p95, c=c),
                base[LATENCY_P95],
                inside[LATENCY_P95],
                cap=cap,
                alpha=alpha,
                floor=floors.LOG_RATIO_P95,
                min_days=c.min_days_p95,
                c=c,
            )
    results[ERRORS] = error_rate.compare(
        panel.error_n, panel.error_k, base[ERRORS], inside[ERRORS], cap=cap, alpha=alpha, c=c
    )
    results[TOOLS] = tool_mix.compare(
        panel.tool_n, panel.shares, base[TOOLS], inside[TOOLS], cap=cap, alpha=alpha, c=c
    )
    together = benjamini_hochberg(np.concatenate([results[metric].p for metric in TESTED]))
    q = dict(zip(TESTED, np.split(together, len(TESTED)), strict=True))
    return Judged(horizon, window, results, q, base)


def _baseline(left_out: Mask, before: int) -> Mask:
    """The latest 30 calendar days before column `before` that are not left out."""
    allowed = ~left_out
    allowed[:, before:] = False
    behind = np.cumsum(allowed[:, ::-1], axis=1)[:, ::-1]
    return allowed & (behind <= BASELINE_DAYS)


def _window(left_out: Mask, columns: slice) -> Mask:
    inside = np.zeros(left_out.shape, dtype=bool)
    inside[:, columns] = ~left_out[:, columns]
    return inside


def _covered(
    result: TestResult, panel: Panel, metric: str, base: Mask, window: Mask, *, c: Constants
) -> TestResult:
    """No verdict where the share of traces whose value is known moved by more than 20 points: other traces are seen."""
    valid = panel.sums[metric].n_valid

    def share(mask: Mask) -> Floats:
        return np.asarray((valid * mask).sum(axis=1) / np.maximum((panel.n * mask).sum(axis=1), 1.0))

    before, now = share(base), share(window)
    moved = (np.abs(now - before) > c.coverage_shift) & (result.status == Status.TESTED)
    if not moved.any():
        return result
    blank = {name: np.where(moved, np.nan, getattr(result, name)) for name in _VERDICT}
    kept = {
        name: getattr(result, name)
        for name in ("n", "baseline_n", "baseline_days", "observed", "baseline_value")
    }
    return TestResult(
        status=np.where(moved, int(Status.COVERAGE), result.status),
        parts={"coverage": now, "baseline_coverage": before},
        **kept,
        **blank,
    )


_VERDICT = ("effect", "low", "high", "statistic", "df", "p", "magnitude", "smallest_detectable")


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
    """What the tests of a day say for one (intent, metric, direction); that there is one keeps an open item open."""

    intent_id: str
    metric: str
    direction: str
    triggers: tuple[str, ...]  # A, C, D that fired today
    hit: bool  # a single day at p <= .01: half of trigger B
    recent: bool  # the last week or day says so, not the month alone
    evidence: Mapping[str, Evidence]


def signals(panel: Panel, judged: Mapping[str, Judged], *, c: Constants = DEFAULT) -> list[Signal]:
    """The series that pull a trigger, are half of one, or keep an item open; sorted."""
    found: list[Signal] = []
    for metric in TESTED:
        for direction in (CHANGED,) if metric == TOOLS else (UP, DOWN):
            found += _of_direction(panel, judged, metric, direction, c=c)
    return sorted(found, key=lambda signal: (signal.intent_id, signal.metric, signal.direction))


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
            intent_id=panel.intents[row],
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
    """The (intent, metric) that a quiet verdict can be given for today: only these may close an item.

    The day itself must have had data: a 7-day window without a new day says nothing new.
    """
    quiet: set[tuple[str, str]] = set()
    for metric in TESTED:
        week, today = judged["7d"].results[metric], judged["1d"].results[metric]
        known = (week.status == Status.TESTED) & (today.n > 0)
        quiet.update((panel.intents[row], metric) for row in np.flatnonzero(known))
    return quiet
