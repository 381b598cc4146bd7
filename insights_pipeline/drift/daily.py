"""One series and metric day by day, with the band that its baseline's days kept to: what a plot shows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from insights_pipeline.drift.constants import (
    BASELINE_DAYS,
    ERRORS,
    LATENCY,
    LATENCY_P95,
    NUMERIC,
    TOOLS,
    VOLUME,
)
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.lineage import lineages
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.series.rollups import read_panel
from insights_pipeline.drift.statistics.arrays import Floats
from insights_pipeline.lake import DayRange
from insights_pipeline.lake.engine import Engine

_BAND = 2.0  # standard deviations
_SHOWN_BEFORE = BASELINE_DAYS


@dataclass(frozen=True, slots=True)
class Daily:
    """Values in the unit of the metric, NaN where a day has none; `low` to `high` is mean ± 2 standard deviations.

    Both are of the baseline's days: of their logarithms for values that are compared as ratios, else as they are. Of
    a tool mix the value is the total variation from the baseline's mix, and there is no lower end.
    """

    days: tuple[date, ...]
    values: Floats
    n: Floats
    baseline: tuple[date, ...]
    mean: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        rows = [
            {"date": day, "value": _known(value), "n": int(n), "baseline": day in self.baseline}
            for day, value, n in zip(self.days, self.values, self.n, strict=True)
        ]
        return {"mean": self.mean, "low": self.low, "high": self.high, "days": rows}


def read_daily(engine: Engine, item: Mapping[str, Any], tests: Collection[Mapping[str, Any]]) -> Daily | None:
    """The days of an item (a row of drift_items) from 30 before it began to its date; None without its traffic.

    `tests` are its observations; the week, or else the widest window, says which days are its
    baseline. Without any it is the days before it began.
    """
    start = min(item["onset"] or item["opened"], item["opened"])
    days = DayRange(start - timedelta(days=_SHOWN_BEFORE), item["date"])
    dimension = item["slice"].split("=", 1)[0] if item["slice"] else None
    lineage = lineages(engine, DayRange.single(item["date"]))[0][1]
    panel = read_panel(engine, days, lineage=lineage, groups=(dimension,) if dimension else ())
    series = series_key(item["intent_id"], item["slice"])
    if series not in panel.series:
        return None
    quarantined = set(item["quarantined_days"] or ())
    baseline = {day for day in days if day < start and day not in quarantined}
    for test in sorted(tests, key=lambda test: test["horizon"] == "7d"):
        if test["baseline_first"] is not None:
            left_out = set(test["days_left_out"] or ())
            within = DayRange(test["baseline_first"], test["baseline_last"])
            baseline = {day for day in within if day not in left_out and day < start}
    return daily_values(panel, series, item["metric"], baseline)


def daily_values(panel: Panel, series: str, metric: str, baseline: Collection[date]) -> Daily:
    """Each day of the panel, and mean and band of those in `baseline`."""
    row = panel.series.index(series)
    base = np.asarray([day in baseline for day in panel.days], dtype=bool)
    values, n = _values(panel, row, metric, base)
    usual = values[base & np.isfinite(values)]
    logs = metric in (*NUMERIC, LATENCY_P95, VOLUME)
    mean, low, high = _band(usual, logs=logs)
    if metric in (ERRORS, TOOLS, VOLUME) and low is not None:
        low = max(0.0, low)
    return Daily(
        days=tuple(panel.days),
        values=values,
        n=n,
        baseline=tuple(day for day in panel.days if day in baseline),
        mean=mean,
        low=None if metric == TOOLS else low,
        high=high,
    )


def _band(usual: Floats, *, logs: bool) -> tuple[float | None, float | None, float | None]:
    if logs:
        usual = np.log(usual[usual > 0])
    if usual.size < 2:
        return (
            (None, None, None)
            if not usual.size
            else (float(np.exp(usual[0]) if logs else usual[0]), None, None)
        )
    centre, spread = float(usual.mean()), _BAND * float(usual.std(ddof=1))
    ends = (centre, centre - spread, centre + spread)
    return tuple(math.exp(end) for end in ends) if logs else ends  # type: ignore[return-value]


def _values(panel: Panel, row: int, metric: str, base: np.ndarray) -> tuple[Floats, Floats]:
    """(value, traces that have one) of each day."""
    if metric in NUMERIC:
        sums = panel.sums[metric]
        return _exp(_ratio(sums.slog[row], sums.n_pos[row])), sums.n_pos[row]
    if metric == LATENCY_P95:
        sums = panel.sums[LATENCY]
        return sums.p95[row].astype(np.float64), sums.n_valid[row]
    if metric == ERRORS:
        return _ratio(panel.error_k[row], panel.error_n[row]), panel.error_n[row]
    if metric == TOOLS:
        return _variation(panel.shares[row], panel.tool_n[row], base), panel.tool_n[row]
    if metric == VOLUME:
        return panel.n[row].astype(np.float64), panel.n[row]
    scores = panel.scores[metric]
    return _ratio(scores.sum[row], scores.n[row]), scores.n[row]


def _variation(shares: Floats, n: Floats, base: np.ndarray) -> Floats:
    usual = shares[base].sum(axis=0)
    if usual.sum() <= 0:
        return np.full(n.shape, np.nan)
    mix = shares / np.where(n > 0, n, np.nan)[:, None]
    return np.asarray(0.5 * np.abs(mix - usual / usual.sum()).sum(axis=1))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(above / np.where(below > 0, below, np.nan), dtype=np.float64)


def _exp(logs: Floats) -> Floats:
    return np.asarray(np.exp(logs), dtype=np.float64)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
