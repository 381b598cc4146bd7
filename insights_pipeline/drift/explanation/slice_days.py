"""Slices of the traffic of some intents, day by day: what changes are taken apart by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from insights_pipeline.drift.constants import ALL, ERRORS, LATENCY, LATENCY_P95, NUMERIC, TOOLS, VOLUME
from insights_pipeline.drift.explanation.carriers import Daily
from insights_pipeline.drift.series.lineage import Lineage
from insights_pipeline.drift.series.slices import SUMS, read_slices
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine

INTENT = "intent"  # a dimension of all traffic


@dataclass(frozen=True, slots=True)
class Sliced:
    """One metric of one intent: all its traffic (one value), and by dimension."""

    days: DayRange
    whole: Daily
    dimensions: Mapping[str, Daily]

    @property
    def kept(self) -> Mask:
        """[days] Those that have slices at all: older rollups may not."""
        inside = np.zeros(len(self.days), dtype=bool)
        for dimension, slices in self.dimensions.items():
            if dimension != INTENT:
                inside |= slices.n.sum(axis=0) > 0
        return inside

    def mask(self, runs: Iterable[Iterable[str]]) -> Mask:
        """[days] Those within the runs [first, last] of ISO days, as far as they are loaded."""
        inside = np.zeros(len(self.days), dtype=bool)
        for first, last in runs:
            start, stop = (
                (date.fromisoformat(day) - self.days.first).days + after
                for day, after in ((first, 0), (last, 1))
            )
            inside[max(0, start) : max(0, stop)] = True
        return inside


class SliceDays:
    """The daily sums of the slices of some intents, in memory as columns; a metric is spread out when asked for."""

    def __init__(self, days: DayRange, slices: pa.Table, wholes: pa.Table) -> None:
        """`slices` as from `read_slices`; `wholes` the same without dimension, value NULL for a whole."""
        self._days = days
        self._slices = slices
        self._wholes = wholes

    def of(self, intent_id: str, metric: str) -> Sliced | None:
        """The metric of an intent; None if it has no traffic of it."""
        source = {LATENCY_P95: LATENCY, VOLUME: ERRORS}.get(metric, metric)
        wanted = (pc.field("intent_id") == intent_id) & (pc.field("metric") == source)
        rows = self._wholes.filter(wanted)
        whole = rows.filter(pc.field("value").is_null())
        if whole.num_rows == 0:
            return None
        parts = self._slices.filter(wanted)
        tools = _tool_names(whole)
        dimensions = {
            dimension: _daily(parts.filter(pc.field("dimension") == dimension), self._days, metric, tools)
            for dimension in sorted(set(parts.column("dimension").to_pylist()))
        }
        if intent_id == ALL:
            dimensions[INTENT] = _daily(rows.filter(pc.field("value").is_valid()), self._days, metric, tools)
        return Sliced(self._days, _daily(whole, self._days, metric, tools), dimensions)


def read_slice_days(
    engine: Engine, days: DayRange, *, lineage: Lineage, intents: Iterable[str], metrics: Iterable[str]
) -> SliceDays:
    """Slices of `intents` on `days`, of `metrics` and of the counts of traces, in one read each."""
    wanted = sorted(set(intents))
    sources = sorted(
        {LATENCY if metric == LATENCY_P95 else metric for metric in metrics} - {VOLUME} | {ERRORS}
    )
    slices = read_slices(engine, days, lineage=lineage, intents=wanted, metrics=sources)
    wholes = engine.query(
        load_sql("insights_pipeline.drift", "wholes"),
        {
            "intent_rollups": Slice("intent_rollups", days, SUMS),
            "lineage": lineage.table(),
            "wanted": pa.table({"intent_id": wanted}, schema=pa.schema([("intent_id", pa.string())])),
        },
        {"metrics": sources},
    )
    return SliceDays(days, slices, wholes)


def _daily(rows: pa.Table, days: DayRange, metric: str, tools: Mapping[str, int]) -> Daily:
    names = rows.column("value").to_pylist()
    values = sorted({str(name) for name in names})
    code = {value: position for position, value in enumerate(values)}
    at = (
        np.asarray([code[str(name)] for name in names], dtype=np.int64),
        (rows.column("date").to_numpy().astype("datetime64[D]") - np.datetime64(days.first, "D")).astype(
            np.int64
        ),
    )
    shape = (len(values), len(days))

    def grid(column: str) -> Floats:
        out = np.zeros(shape)
        out[at] = rows.column(column).cast(pa.float64()).fill_null(0.0).to_numpy()
        return out

    if metric == TOOLS:
        shares = _shares(rows, at, (*shape, len(tools)), tools)
        nothing = np.zeros(shape)
        return Daily(tuple(values), grid("n_valid"), nothing, nothing, shares)
    if metric == ERRORS:
        return Daily(tuple(values), grid("n_valid"), grid("k"), grid("k"))
    if metric == VOLUME:
        return Daily(tuple(values), grid("n"), np.zeros(shape), np.zeros(shape))
    if metric in (*NUMERIC, LATENCY_P95):
        return Daily(tuple(values), grid("n_pos"), grid("slog"), grid("slog2"))
    return Daily(tuple(values), grid("n_valid"), grid("sum"), grid("sumsq"))


def _tool_names(rows: pa.Table) -> dict[str, int]:
    lists = rows.column("shares").combine_chunks().flatten()
    names = sorted(set(lists.field("name").to_pylist())) if len(lists) else []
    return {name: position for position, name in enumerate(names)}


def _shares(
    rows: pa.Table, at: tuple[Ints, Ints], shape: tuple[int, int, int], tools: Mapping[str, int]
) -> Floats:
    out = np.zeros(shape)
    lists = rows.column("shares").combine_chunks()
    entries = lists.flatten()
    if not len(entries):
        return out
    owner = lists.value_parent_indices().to_numpy().astype(np.int64)
    tool = np.asarray([tools[name] for name in entries.field("name").to_pylist()], dtype=np.int64)
    share = entries.field("share").cast(pa.float64()).to_numpy(zero_copy_only=False)
    out[at[0][owner], at[1][owner], tool] = share
    return out
