"""What is normal for every series on a day: the 30 days before it without those of drifts, refreshed daily."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import numpy as np

from insights_pipeline.drift.constants import (
    BASELINE_DAYS,
    DEFAULT,
    ERRORS,
    LATENCY_P95,
    NUMERIC,
    REACH_DAYS,
    READY_DAYS,
    TOOLS,
    VOLUME,
)
from insights_pipeline.drift.judge import baseline_mask, counts
from insights_pipeline.drift.life.item import Item
from insights_pipeline.drift.life.item_store import items_before_each
from insights_pipeline.drift.life.left_out import left_out
from insights_pipeline.drift.life.succession import that_go_on
from insights_pipeline.drift.observations import days_left_out, first_and_last
from insights_pipeline.drift.series.keys import intent_of, slice_of
from insights_pipeline.drift.series.lineage import Lineage, lineages
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.series.rollups import read_panel
from insights_pipeline.drift.statistics import error_rate, numeric, score, tool_mix, volume
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.typical import Typical, TypicalValues
from insights_pipeline.lake import DayRange, Slice, rows_to_table
from insights_pipeline.lake.engine import Engine

# Days refreshed from one read of the rollups: bounds memory on a long backfill and cannot be seen in the result.
_CHUNK_DAYS = 62
_WEEK = 7
Row = dict[str, object]


def baseline_days(engine: Engine, days: DayRange, *, groups: Sequence[str] = ()) -> int:
    """Replace the baselines of `days`; gives the rows written.

    That of a day is what its 1-day test compares with: the latest 30 days before it that the items as of the day before
    do not quarantine. Every series has one, "all", "unknown" and the slices of `groups` too, for every metric (the p95
    of latency is told by the row of latency). Under 7 days with values it is "learning".
    """
    written = 0
    for start in range(0, len(days), _CHUNK_DAYS):
        first = days.first + timedelta(days=start)
        chunk = DayRange(first, min(days.last, first + timedelta(days=_CHUNK_DAYS - 1)))
        items = items_before_each(engine, chunk)
        rows = [
            row
            for run, lineage in lineages(engine, chunk)
            for row in _run_rows(engine, run, items, lineage, groups)
        ]
        written += engine.lake.replace(Slice("baselines", chunk), partial(rows_to_table, "baselines", rows))
    return written


def _run_rows(
    engine: Engine, days: DayRange, items: Mapping[date, list[Item]], lineage: Lineage, groups: Sequence[str]
) -> Iterator[Row]:
    """Days on which the same intents are merged."""
    loaded = days.widen(before=REACH_DAYS - 1)
    panel = read_panel(engine, loaded, lineage=lineage, groups=groups)
    values = TypicalValues(engine, loaded, lineage)
    for day in days:
        recent = panel.ending(day, REACH_DAYS)
        if not recent.series:
            continue
        out = left_out(recent, that_go_on(items[day], day, lineage)).baseline
        base = {metric: baseline_mask(out[metric], recent.column(day)) for metric in recent.metrics}
        normal = Normal(day, recent, base, out, values.over(recent, base))
        rows = [row for metric in recent.metrics if metric != LATENCY_P95 for row in normal.rows(metric)]
        yield from sorted(rows, key=lambda row: (row["intent_id"], row["slice"] or "", row["metric"]))


@dataclass(frozen=True, slots=True)
class Normal:
    """The baselines of one day: `base` are the days that count, `out` those left out, [series, days] by metric."""

    day: date
    panel: Panel
    base: Mapping[str, Mask]
    out: Mapping[str, Mask]
    values: Typical

    def rows(self, metric: str) -> Iterator[Row]:
        """One for every series that had traffic in the last 30 days, or has days that count."""
        found = self._measured(metric)
        panel, base = self.panel, self.base[metric]
        near = np.zeros(base.shape, dtype=bool)
        stop = panel.column(self.day)
        near[:, stop - BASELINE_DAYS : stop] = True
        at = np.flatnonzero(((base | near) & (panel.n > 0)).any(axis=1))
        first, last = first_and_last(panel, base, at)
        left = days_left_out(panel, self.out[metric], at, before=self.day)
        traces = (panel.n * base).sum(axis=1)
        known = (found.valid * base).sum(axis=1)
        for position, row in enumerate(at):
            yield {
                "date": self.day,
                "intent_id": intent_of(panel.series[row]),
                "slice": slice_of(panel.series[row]),
                "metric": metric,
                "status": "ready" if found.days[row] >= READY_DAYS else "learning",
                "first_day": first[position],
                "last_day": last[position],
                "days": int(found.days[row]),
                "n": int(found.n[row]),
                "days_left_out": left[position],
                "coverage": float(known[row] / traces[row]) if traces[row] > 0 else None,
                "smallest_detectable": _number(found.least[row]),
                **(found.of(int(row)) if found.n[row] > 0 else {}),
            }

    def _measured(self, metric: str) -> Measured:
        alpha = DEFAULT.q / max(1, len(self.panel.series) * len(self.panel.metrics))
        if metric in NUMERIC:
            return self._numeric(metric, alpha)
        if metric == ERRORS:
            return self._errors(alpha)
        if metric == TOOLS:
            return self._tools(alpha)
        if metric == VOLUME:
            return self._volume(alpha)
        return self._score(metric, alpha)

    def _numeric(self, metric: str, alpha: float) -> Measured:
        panel, sums = self.panel, self.panel.sums[metric]
        daily = numeric.log_means(sums.slog, sums.slog2, sums.n_pos, first_weekday=panel.first_weekday)
        fit = numeric.fit(daily, self.base[metric], pool=panel.pooled)
        least = numeric.detectable(fit, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)

        def of(row: int) -> Row:
            key = panel.series[row], metric
            return {
                "geometric_mean": float(np.exp(fit.mu[row])),
                "sd_within": float(np.sqrt(fit.s2w[row])),
                "sd_between": float(np.sqrt(fit.tau2[row])),
                "mean": self.values.mean.get(key),
                "p50": self.values.p50.get(key),
                "p95": self.values.p95.get(key),
            }

        return Measured(fit.days, fit.n, sums.n_valid, least, of)

    def _errors(self, alpha: float) -> Measured:
        panel = self.panel
        fit = error_rate.fit(panel.error_n, panel.error_k, self.base[ERRORS], pool=panel.pooled)
        least = error_rate.detectable(fit, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)

        def of(row: int) -> Row:
            # the deviation is that of the log-odds
            return {"rate": float(fit.k[row] / fit.n[row]), "sd_between": float(np.sqrt(fit.s2[row]))}

        return Measured(fit.days, fit.n, panel.error_n, least, of)

    def _tools(self, alpha: float) -> Measured:
        panel, base = self.panel, self.base[TOOLS]
        fit = tool_mix.fit(panel.tool_n, panel.shares, base, pool=panel.pooled)
        least = tool_mix.detectable(fit, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)

        def of(row: int) -> Row:
            return {"shares": _shares(panel.tools, fit.pi[row])}

        return Measured(fit.days, fit.n, panel.tool_n, least, of)

    def _volume(self, alpha: float) -> Measured:
        panel = self.panel
        fit = volume.fit(counts(panel), self.base[VOLUME], pool=panel.pooled)
        least = volume.detectable(fit, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)
        share = fit.share

        def of(row: int) -> Row:
            return {
                "mean": float(fit.day_n[row]),  # traces of a usual day
                "rate": float(share[row]),  # of the traffic of a usual day
                "sd_between": float(fit.sd_between[row]),
            }

        return Measured(fit.days, fit.n, panel.n, least, of)

    def _score(self, metric: str, alpha: float) -> Measured:
        panel, sums = self.panel, self.panel.scores[metric]
        fit = score.fit(
            sums.n, sums.sum, sums.sumsq, self.base[metric],
            first_weekday=panel.first_weekday, pool=panel.pooled,
        )  # fmt: skip
        least = score.detectable(fit, days=_WEEK, cap=DEFAULT.cap_week, alpha=alpha)

        def of(row: int) -> Row:
            return {
                "mean": float(fit.mean[row]),
                "sd_within": float(fit.sd_within[row]),
                "sd_between": float(fit.sd_between[row]),
            }

        return Measured(fit.location.days, fit.n, sums.n, least, of)


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of all series: days and values that the baseline has, `valid` [series, days] and what it says."""

    days: Floats
    n: Floats
    valid: Floats
    least: Floats
    of: Callable[[int], Row]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shares(tools: Sequence[str], pi: Floats) -> list[dict[str, object]]:
    """Shares as fractions that sum to 1; calls are told by the rollups."""
    return [
        {"name": name, "share": Decimal(f"{share:.9f}"), "calls": None}
        for name, share in zip(tools, pi, strict=True)
        if share > 0
    ]
