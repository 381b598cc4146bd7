"""Rollups of some days as dense arrays [series, days]: what the statistics read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from insights_pipeline.drift.constants import ERRORS, NUMERIC, SCORE, TESTED, TOOLS
from insights_pipeline.drift.series.groups import tested
from insights_pipeline.drift.series.keys import BETWEEN, adds_up_others
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask
from insights_pipeline.lake import DayRange


@dataclass(frozen=True, slots=True)
class Sums:
    """Additive statistics of one numeric metric; p95 is NaN where there is none."""

    n_valid: Floats
    n_pos: Floats
    slog: Floats
    slog2: Floats
    p95: Floats

    def at(self, rows: Mask, columns: slice) -> Sums:
        return Sums(*(np.ascontiguousarray(part[rows, columns]) for part in self._parts()))

    def _parts(self) -> tuple[Floats, ...]:
        return self.n_valid, self.n_pos, self.slog, self.slog2, self.p95


@dataclass(frozen=True, slots=True)
class Scores:
    """Additive statistics of one feedback score, on its own scale; few traces have one."""

    n: Floats
    sum: Floats
    sumsq: Floats

    def at(self, rows: Mask, columns: slice) -> Scores:
        return Scores(*(np.ascontiguousarray(part[rows, columns]) for part in (self.n, self.sum, self.sumsq)))


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything that is known of some days; `total` [days] is all traffic, `shares` is [series, days, tools].

    `series` are the keys of `series.keys`; `scores` are by metric ("score:NAME").
    """

    days: DayRange
    series: tuple[str, ...]
    n: Floats
    total: Floats
    sums: Mapping[str, Sums]
    error_n: Floats
    error_k: Floats
    tools: tuple[str, ...]
    tool_n: Floats
    shares: Floats
    scores: Mapping[str, Scores] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is tested: the fixed metrics and the scores that occur."""
        return (*TESTED, *sorted(self.scores))

    @property
    def pooled(self) -> Mask:
        """[series] Those that variances are borrowed from: every trace counts once."""
        return np.asarray([not adds_up_others(one) for one in self.series], dtype=bool)

    @property
    def first_weekday(self) -> int:
        return self.days.first.weekday()

    def column(self, day: date) -> int:
        return (day - self.days.first).days

    def columns(self, days: DayRange) -> slice:
        return slice(self.column(days.first), self.column(days.last) + 1)

    def ending(self, day: date, length: int) -> Panel:
        """The `length` days up to `day`, with the series and tools that occur in them, in the same memory layout.

        However many days are loaded, a day is judged from exactly these arrays. Slices with little traffic in these
        days are left away.
        """
        days = DayRange.ending(day, length)
        columns = self.columns(days)
        if columns.start < 0 or columns.stop > self.n.shape[1]:
            raise ValueError(f"{days} is not within the loaded days {self.days}")
        rows = tested(self.series, self.n[:, columns])
        shares = self.shares[rows, columns]
        used = shares.sum(axis=(0, 1)) > 0
        if not used.any():
            used[0] = True
        return replace(
            self,
            days=days,
            series=tuple(name for name, keep in zip(self.series, rows, strict=True) if keep),
            n=np.ascontiguousarray(self.n[rows, columns]),
            total=np.ascontiguousarray(self.total[columns]),
            sums={metric: sums.at(rows, columns) for metric, sums in self.sums.items()},
            error_n=np.ascontiguousarray(self.error_n[rows, columns]),
            error_k=np.ascontiguousarray(self.error_k[rows, columns]),
            tools=tuple(name for name, keep in zip(self.tools, used, strict=True) if keep),
            tool_n=np.ascontiguousarray(self.tool_n[rows, columns]),
            shares=np.ascontiguousarray(shares[:, :, used]),
            scores={
                metric: kept
                for metric, score in self.scores.items()
                if (kept := score.at(rows, columns)).n.sum() > 0
            },
        )


def build_panel(days: DayRange, rows: pa.Table, shares: pa.Table, total: pa.Table) -> Panel:
    """Panel from flat tables in any row order.

    `rows`: date, intent_id, slice, metric, n, n_valid, n_pos, k, sum, sumsq, slog, slog2, p95; `shares`: date,
    intent_id, slice, name, share; `total`: date, n. `slice` is NULL for the whole of an intent.
    """
    row_series, share_series = _series(rows), _series(shares)
    series = sorted(_distinct(row_series))
    tools = sorted(_distinct(shares.column("name"))) or ["(none)"]
    metrics = sorted(_distinct(rows.column("metric")))
    shape = (len(series), len(days))
    metric = _codes(rows.column("metric"), metrics)
    where = (_codes(row_series, series), _offsets(rows, days))

    def named(name: str) -> Mask:
        return np.asarray(
            metric == metrics.index(name) if name in metrics else np.zeros(len(metric), dtype=bool)
        )

    def grid(column: str, of: Mask, fill: float = 0.0) -> Floats:
        out = np.full(shape, fill)
        values = rows.column(column).cast(pa.float64()).fill_null(fill).to_numpy()
        out[where[0][of], where[1][of]] = values[of]
        return out

    sums = {}
    for name in NUMERIC:
        of = named(name)
        sums[name] = Sums(
            n_valid=grid("n_valid", of),
            n_pos=grid("n_pos", of),
            slog=grid("slog", of),
            slog2=grid("slog2", of),
            p95=grid("p95", of, np.nan),
        )
    scores = {}
    for name in (one for one in metrics if one.startswith(SCORE)):
        of = named(name)
        scores[name] = Scores(n=grid("n_valid", of), sum=grid("sum", of), sumsq=grid("sumsq", of))
    errors, mix = named(ERRORS), named(TOOLS)
    tensor = np.zeros((*shape, len(tools)))
    at = (
        _codes(share_series, series),
        _offsets(shares, days),
        _codes(shares.column("name"), tools),
    )
    tensor[at] = shares.column("share").cast(pa.float64()).to_numpy()
    of_all = np.zeros(len(days))
    of_all[_offsets(total, days)] = total.column("n").cast(pa.float64()).to_numpy()
    return Panel(
        days=days,
        series=tuple(series),
        n=np.maximum(grid("n", errors), grid("n", mix)),
        total=of_all,
        sums=sums,
        error_n=grid("n_valid", errors),
        error_k=grid("k", errors),
        tools=tuple(tools),
        tool_n=grid("n_valid", mix),
        shares=tensor,
        scores=scores,
    )


def _series(table: pa.Table) -> pa.ChunkedArray:
    """The keys of `series.keys`, made for a million rows at once."""
    columns = (table.column(name).cast(pa.string()) for name in ("intent_id", "slice"))
    return pc.binary_join_element_wise(*columns, BETWEEN, null_handling="skip")


def _distinct(values: pa.ChunkedArray) -> list[str]:
    return [str(value) for value in values.unique().to_pylist()]


def _codes(values: pa.ChunkedArray, names: list[str]) -> Ints:
    found = pc.index_in(values, value_set=pa.array(names, pa.string()))
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _offsets(table: pa.Table, days: DayRange) -> Ints:
    first = np.datetime64(days.first, "D")
    dates = table.column("date").to_numpy().astype("datetime64[D]")
    return np.asarray((dates - first).astype(np.int64))
