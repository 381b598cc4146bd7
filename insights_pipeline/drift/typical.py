"""Mean and quantiles of the values themselves over the baseline days of every series, moved on from day to day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.series.histograms import MovingHistogram
from insights_pipeline.drift.series.lineage import Lineage
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine

Key = tuple[str, str]  # (series, metric)


@dataclass(frozen=True, slots=True)
class Typical:
    """Of some days, by (series, metric); without an entry where no value is known."""

    mean: Mapping[Key, float]
    p50: Mapping[Key, float]
    p95: Mapping[Key, float]


class TypicalValues:
    """Sums and histograms of whole intents over a set of days that may be another one for every series and metric.

    Only the days that enter or leave a set are added or taken away; counts are integers, so the way there cannot show.
    Slices have no histograms, hence no values here.
    """

    def __init__(self, engine: Engine, loaded: DayRange, lineage: Lineage) -> None:
        """Read the rollups of `loaded`."""
        table = engine.query(
            load_sql("insights_pipeline.drift", "bins"),
            {"intent_rollups": Slice("intent_rollups", loaded), "lineage": lineage.table()},
        )
        pairs = list(zip(table["intent_id"].to_pylist(), table["metric"].to_pylist(), strict=True))
        self._keys: list[Key] = sorted(set(pairs))
        number = {key: position for position, key in enumerate(self._keys)}
        self._first = np.datetime64(loaded.first, "D")
        self._code = np.asarray([number[pair] for pair in pairs], dtype=np.int64)
        self._day: Ints = (table["date"].to_numpy() - self._first).astype(np.int64)
        self._valid: Ints = table["n_valid"].to_numpy()
        self._positive: Ints = table["n_pos"].to_numpy()
        self._sum: Floats = table["sum"].fill_null(0.0).to_numpy()
        histogram = table["histogram"].combine_chunks()
        self._ends: Ints = histogram.offsets.to_numpy().astype(np.int64)
        self._bin: Ints = histogram.values.field("bin").to_numpy(zero_copy_only=False).astype(np.int64)
        self._count: Ints = histogram.values.field("count").to_numpy(zero_copy_only=False).astype(np.int64)
        low, high = (int(self._bin.min()), int(self._bin.max())) if self._bin.size else (0, 0)
        self._moving = MovingHistogram(len(self._keys), low, high)
        self._have: Mask = np.zeros(len(pairs), dtype=bool)

    def over(self, panel: Panel, base: Mapping[str, Mask]) -> Typical:
        """The values of the days `base` [series, days] of the panel, by metric."""
        want = self._wanted(panel, base)
        for rows, change in (
            (want & ~self._have, self._moving.add),
            (self._have & ~want, self._moving.remove),
        ):
            owner, entries = self._entries(np.flatnonzero(rows))
            change(owner, self._bin[entries], self._count[entries])
        self._have = want
        size, code = len(self._keys), self._code[want]
        n = np.bincount(code, self._valid[want], size)
        zeros = np.bincount(code, (self._valid - self._positive)[want], size).astype(np.int64)
        mean = np.bincount(code, self._sum[want], size) / np.maximum(n, 1)

        def named(values: Floats) -> dict[Key, float]:
            return {
                key: float(value)
                for key, value, count in zip(self._keys, values, n, strict=True)
                if count > 0 and np.isfinite(value)
            }

        if not size:
            return Typical({}, {}, {})
        return Typical(
            named(mean), named(self._moving.quantile(0.5, zeros)), named(self._moving.quantile(0.95, zeros))
        )

    def _wanted(self, panel: Panel, base: Mapping[str, Mask]) -> Mask:
        """Which rows are of a day that counts."""
        row = {one: position for position, one in enumerate(panel.series)}
        start = int((np.datetime64(panel.days.first, "D") - self._first).astype(np.int64))
        column = self._day - start
        known = (column >= 0) & (column < len(panel.days))
        want = np.zeros(len(self._code), dtype=bool)
        for metric, mask in base.items():
            at = np.asarray(
                [row.get(one, -1) if name == metric else -1 for one, name in self._keys], dtype=np.int64
            )
            of = np.flatnonzero(known & (at[self._code] >= 0)) if at.size else np.empty(0, dtype=np.int64)
            want[of] = mask[at[self._code[of]], column[of]]
        return want

    def _entries(self, rows: Ints) -> tuple[Ints, Ints]:
        """Key and position of every histogram entry of `rows`."""
        first, length = self._ends[rows], self._ends[rows + 1] - self._ends[rows]
        before = np.concatenate(([0], np.cumsum(length)[:-1])) if rows.size else length
        entries = np.arange(int(length.sum())) + np.repeat(first - before, length)
        return np.repeat(self._code[rows], length), entries
