"""One window judged: every series of every metric against its baseline, with one error budget for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from insights_pipeline.drift.constants import (
    ALL,
    BASELINE_DAYS,
    DEFAULT,
    ERRORS,
    LATENCY,
    LATENCY_P95,
    SCORE,
    TOOLS,
    VOLUME,
    Constants,
)
from insights_pipeline.drift.series.keys import intent_of
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import error_rate, floors, numeric, score, tool_mix, volume
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.multiplicity import benjamini_hochberg
from insights_pipeline.drift.statistics.result import Status, TestResult
from insights_pipeline.lake import DayRange

_LONG_DAYS = 14


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Days [series, days] that a metric must not count: in its baselines, and (a closed episode) in its windows too."""

    baseline: Mapping[str, Mask]
    window: Mapping[str, Mask]

    @classmethod
    def nothing(cls, panel: Panel) -> LeftOut:
        none = np.zeros(panel.n.shape, dtype=bool)
        return cls(dict.fromkeys(panel.metrics, none), dict.fromkeys(panel.metrics, none))


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
    base = {metric: baseline_mask(out.baseline[metric], columns.start) for metric in panel.metrics}
    inside = {metric: _window(out.window[metric], columns) for metric in panel.metrics}
    alpha = c.q / max(1, len(panel.series) * len(panel.metrics))
    results: dict[str, TestResult] = {}
    pooled = panel.pooled
    for metric in panel.metrics:
        days = _Days(base[metric], inside[metric], pooled, cap, alpha, c)
        results[metric] = _tested(panel, metric, days)
    tested = tuple(results)
    together = benjamini_hochberg(np.concatenate([results[metric].p for metric in tested]))
    q = dict(zip(tested, np.split(together, len(tested)), strict=True))
    return Judged(horizon, window, results, q, base)


def baseline_mask(left_out: Mask, before: int) -> Mask:
    """The latest 30 calendar days before column `before` that are not left out."""
    allowed = ~left_out
    allowed[:, before:] = False
    behind = np.cumsum(allowed[:, ::-1], axis=1)[:, ::-1]
    return allowed & (behind <= BASELINE_DAYS)


def _window(left_out: Mask, columns: slice) -> Mask:
    inside = np.zeros(left_out.shape, dtype=bool)
    inside[:, columns] = ~left_out[:, columns]
    return inside


@dataclass(frozen=True, slots=True)
class _Days:
    """What every test of a window takes: its days and the baseline's, who votes on priors, and the limits."""

    base: Mask
    window: Mask
    pool: Mask
    cap: float
    alpha: float
    c: Constants


def _tested(panel: Panel, metric: str, days: _Days) -> TestResult:
    """All series of one metric, by the statistic of its kind."""
    if metric == ERRORS:
        return error_rate.compare(
            panel.error_n, panel.error_k, days.base, days.window,
            cap=days.cap, alpha=days.alpha, pool=days.pool, c=days.c,
        )  # fmt: skip
    if metric == TOOLS:
        return tool_mix.compare(
            panel.tool_n, panel.shares, days.base, days.window,
            cap=days.cap, alpha=days.alpha, pool=days.pool, c=days.c,
        )  # fmt: skip
    if metric == VOLUME:
        return volume.compare(
            counts(panel), days.base, days.window,
            cap=days.cap, alpha=days.alpha, pool=days.pool, c=days.c,
        )  # fmt: skip
    if metric.startswith(SCORE):
        sums = panel.scores[metric]
        result = score.compare(
            sums.n, sums.sum, sums.sumsq, days.base, days.window, first_weekday=panel.first_weekday,
            cap=days.cap, alpha=days.alpha, pool=days.pool, c=days.c,
        )  # fmt: skip
        return covered(result, sums.n, panel.n, days.base, days.window, c=days.c)
    return _numeric(panel, metric, days)


def _numeric(panel: Panel, metric: str, days: _Days) -> TestResult:
    c = days.c
    sums = panel.sums[LATENCY if metric == LATENCY_P95 else metric]
    daily = numeric.log_means(sums.slog, sums.slog2, sums.n_pos, first_weekday=panel.first_weekday)
    floor, min_days = floors.LOG_RATIO, c.min_days
    if metric == LATENCY_P95:
        daily = numeric.log_p95(daily, sums.p95, c=c)
        floor, min_days = floors.LOG_RATIO_P95, c.min_days_p95
    result = numeric.compare(
        daily, days.base, days.window,
        cap=days.cap, alpha=days.alpha, floor=floor, min_days=min_days, pool=days.pool, c=c,
    )  # fmt: skip
    return covered(result, sums.n_valid, panel.n, days.base, days.window, c=c)


def counts(panel: Panel) -> volume.Exposed:
    """Traces of every series beside the traffic of their day, as the volume test wants them.

    A day on which intents were told of fewer than half the traces (no model yet, a run that is missing) is no zero of
    theirs: for intents and their slices it is a gap.
    """
    pooled = panel.pooled
    judged = panel.n[pooled].sum(axis=0)
    known = judged >= panel.total / 2 if pooled.any() else np.ones(panel.total.shape, dtype=bool)
    of_all = np.asarray([intent_of(one) == ALL for one in panel.series], dtype=bool)
    traffic = np.where(of_all[:, None] | known[None, :], panel.total[None, :], 0.0)
    return volume.exposed(panel.n, traffic, first_weekday=panel.first_weekday)


def covered(
    result: TestResult, valid: Floats, n: Floats, base: Mask, window: Mask, *, c: Constants
) -> TestResult:
    """No verdict where the share of traces whose value is known moved by more than 20 points: other traces are seen."""

    def share(mask: Mask) -> Floats:
        return np.asarray((valid * mask).sum(axis=1) / np.maximum((n * mask).sum(axis=1), 1.0))

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
