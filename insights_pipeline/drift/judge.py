"""One window judged: every series of every metric against its baseline, with one error budget for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from insights_pipeline.drift.constants import (
    BASELINE_DAYS,
    DEFAULT,
    ERRORS,
    LATENCY,
    LATENCY_P95,
    NUMERIC,
    TOOLS,
    Constants,
)
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import error_rate, floors, numeric, tool_mix
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
    base = {metric: _baseline(out.baseline[metric], columns.start) for metric in panel.metrics}
    inside = {metric: _window(out.window[metric], columns) for metric in panel.metrics}
    alpha = c.q / max(1, len(panel.series) * len(panel.metrics))
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
    tested = tuple(results)
    together = benjamini_hochberg(np.concatenate([results[metric].p for metric in tested]))
    q = dict(zip(tested, np.split(together, len(tested)), strict=True))
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
