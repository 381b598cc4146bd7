"""What is normal for every series on a day: the 30 days before it, refreshed daily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import numpy as np

from insights_pipeline.drift.constants import (
    BASELINE_DAYS,
    DEFAULT,
    ERRORS,
    NUMERIC,
    READY_DAYS,
    TOOLS,
)
from insights_pipeline.drift.series.histograms import MovingHistogram
from insights_pipeline.drift.series.keys import intent_of, slice_of
from insights_pipeline.drift.series.lineage import Lineage, lineages
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.series.rollups import read_panel
from insights_pipeline.drift.statistics import error_rate, numeric, tool_mix
from insights_pipeline.drift.statistics.arrays import Floats, Ints
from insights_pipeline.lake import DayRange, Slice, load_sql, rows_to_table
from insights_pipeline.lake.engine import Engine

_CHUNK_DAYS = 31
_WEEK = 7
Row = dict[str, object]


def baseline_days(engine: Engine, days: DayRange, *, groups: Sequence[str] = ()) -> int:
    """Replace the baselines of `days` from the rollups of the 30 days before each; gives the rows written.

    Every series has one, "all" and "unknown" too. Under 7 days with traffic it is "learning". Nothing is left out
    here: what a test did without is told by its observation.
    """
    written = 0
    for start in range(0, len(days), _CHUNK_DAYS):
        first = days.first + timedelta(days=start)
        chunk = DayRange(first, min(days.last, first + timedelta(days=_CHUNK_DAYS - 1)))
        rows = [
            row for days_, lineage in lineages(engine, chunk) for row in _chunk_rows(engine, days_, lineage)
        ]
        written += engine.lake.replace(Slice("baselines", chunk), partial(rows_to_table, "baselines", rows))
    return written


def _chunk_rows(engine: Engine, days: DayRange, lineage: Lineage) -> list[Row]:
    loaded = DayRange(days.first - timedelta(days=BASELINE_DAYS), days.last - timedelta(days=1))
    panel = read_panel(engine, loaded, lineage=lineage)
    values = dict(_window_values(engine, loaded, days, lineage))
    rows: list[Row] = []
    for day in days:
        recent = panel.ending(day - timedelta(days=1), BASELINE_DAYS)
        alpha = DEFAULT.q / max(1, len(recent.series) * len(recent.metrics))
        rows += _day_rows(day, recent, values[day], alpha=alpha)
    return sorted(rows, key=lambda row: (row["date"], row["intent_id"], row["slice"] or "", row["metric"]))


@dataclass(frozen=True, slots=True)
class Values:
    """Of the 30 days, per (intent, metric): sums and quantiles of the values themselves."""

    mean: Mapping[tuple[str, str], float]
    p50: Mapping[tuple[str, str], float]
    p95: Mapping[tuple[str, str], float]


def _window_values(
    engine: Engine, loaded: DayRange, days: DayRange, lineage: Lineage
) -> Iterator[tuple[date, Values]]:
    """Moving sums over the loaded days, for every day of `days`."""
    table = engine.query(
        load_sql("insights_pipeline.drift", "bins"),
        {"intent_rollups": Slice("intent_rollups", loaded), "lineage": lineage.table()},
    )
    keys = sorted(set(zip(table["intent_id"].to_pylist(), table["metric"].to_pylist(), strict=True)))
    number = {key: position for position, key in enumerate(keys)}
    code = np.asarray(
        [
            number[key]
            for key in zip(table["intent_id"].to_pylist(), table["metric"].to_pylist(), strict=True)
        ],
        dtype=np.int64,
    )
    day_of = (table["date"].to_numpy() - np.datetime64(loaded.first, "D")).astype(np.int64)
    valid, positive = (table[name].to_numpy() for name in ("n_valid", "n_pos"))
    total = table["sum"].fill_null(0.0).to_numpy()
    histogram = table["histogram"].combine_chunks()
    entries = histogram.flatten()
    owner = histogram.value_parent_indices().to_numpy().astype(np.int64)
    bins = entries.field("bin").to_numpy(zero_copy_only=False).astype(np.int64)
    counts = entries.field("count").to_numpy(zero_copy_only=False).astype(np.int64)
    if not keys:
        nothing: dict[tuple[str, str], float] = {}
        yield from ((day, Values(nothing, nothing, nothing)) for day in days)
        return
    low, high = (int(bins.min()), int(bins.max())) if bins.size else (0, 0)
    moving = MovingHistogram(len(keys), low, high)
    for offset in range(len(loaded)):
        entry = day_of[owner] == offset
        moving.add(code[owner[entry]], bins[entry], counts[entry])
        leaving = day_of[owner] == offset - BASELINE_DAYS
        moving.remove(code[owner[leaving]], bins[leaving], counts[leaving])
        day = loaded.first + timedelta(days=offset + 1)
        if day not in days:
            continue
        inside = (day_of <= offset) & (day_of > offset - BASELINE_DAYS)
        yield day, _values(moving, keys, code[inside], valid[inside], positive[inside], total[inside])


def _values(
    moving: MovingHistogram,
    keys: list[tuple[str, str]],
    code: Ints,
    valid: Ints,
    positive: Ints,
    total: Floats,
) -> Values:
    size = len(keys)
    n = np.bincount(code, valid, size)
    zeros = np.bincount(code, valid - positive, size).astype(np.int64)
    mean = np.bincount(code, total, size) / np.maximum(n, 1)

    def named(values: Floats) -> dict[tuple[str, str], float]:
        return {
            key: float(value)
            for key, value, count in zip(keys, values, n, strict=True)
            if count > 0 and np.isfinite(value)
        }

    return Values(named(mean), named(moving.quantile(0.5, zeros)), named(moving.quantile(0.95, zeros)))


def _day_rows(day: date, panel: Panel, values: Values, *, alpha: float) -> Iterator[Row]:
    if not panel.series:
        return
    everything = np.ones(panel.n.shape, dtype=bool)
    for metric in NUMERIC:
        sums = panel.sums[metric]
        daily = numeric.log_means(sums.slog, sums.slog2, sums.n_pos, first_weekday=panel.first_weekday)
        fit = numeric.fit(daily, everything)
        least = numeric.detectable(fit, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)
        for row, series in enumerate(panel.series):
            known = fit.n[row] > 0
            yield _row(day, panel, row, metric, sums.n_valid, least) | {
                "geometric_mean": float(np.exp(fit.mu[row])) if known else None,
                "sd_within": float(np.sqrt(fit.s2w[row])) if known else None,
                "sd_between": float(np.sqrt(fit.tau2[row])) if known else None,
                "mean": values.mean.get((series, metric)),
                "p50": values.p50.get((series, metric)),
                "p95": values.p95.get((series, metric)),
            }
    rates = error_rate.fit(panel.error_n, panel.error_k, everything)
    least = error_rate.detectable(rates, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)
    for row in range(len(panel.series)):
        yield _row(day, panel, row, ERRORS, panel.error_n, least) | {
            "rate": float(rates.k[row] / rates.n[row]) if rates.n[row] > 0 else None,
            "sd_between": float(np.sqrt(rates.s2[row])) if rates.n[row] > 0 else None,  # of the log-odds
        }
    mix = tool_mix.fit(panel.tool_n, panel.shares, everything)
    least = tool_mix.detectable(mix, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)
    for row in range(len(panel.series)):
        yield _row(day, panel, row, TOOLS, panel.tool_n, least) | {"shares": _shares(panel, row)}


def _row(day: date, panel: Panel, row: int, metric: str, valid: Floats, least: Floats) -> Row:
    seen = panel.n[row] > 0
    n = float(panel.n[row].sum())
    days = int((valid[row] > 0).sum())
    columns = np.flatnonzero(seen)
    return {
        "date": day,
        "intent_id": intent_of(panel.series[row]),
        "slice": slice_of(panel.series[row]),
        "metric": metric,
        "status": "ready" if days >= READY_DAYS else "learning",
        "first_day": panel.days.first + timedelta(days=int(columns[0])),
        "last_day": panel.days.first + timedelta(days=int(columns[-1])),
        "days": days,
        "n": int(valid[row].sum()),
        "coverage": float(valid[row].sum()) / n,
        "smallest_detectable": float(least[row]) if np.isfinite(least[row]) else None,
    }


def _shares(panel: Panel, row: int) -> list[dict[str, object]]:
    """Shares of the 30 days, as fractions that sum to 1; calls are told by the rollups."""
    total = panel.shares[row].sum(axis=0)
    n = max(float(panel.tool_n[row].sum()), 1.0)
    return [
        {"name": name, "share": Decimal(f"{share / n:.9f}"), "calls": None}
        for name, share in zip(panel.tools, total, strict=True)
        if share > 0
    ]
