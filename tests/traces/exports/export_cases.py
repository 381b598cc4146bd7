"""Records of other tools as rows of tables, and the traces they become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from insights_pipeline.lake import DayRange, DuckDBEngine, Slice
from insights_pipeline.traces.assemble import assemble_traces
from insights_pipeline.traces.exports.pieces import Piece, merged, to_span
from insights_pipeline.traces.records import Record, Reject, Score
from insights_pipeline.traces.table import Batch

NOW = 1_796_000_000 * 1_000_000_000  # after everything that was captured or exported


def tables(records: Iterable[Record]) -> dict[str, pa.Table]:
    batch = Batch(NOW, 100_000)
    for record in records:
        batch.add(record, "test")
    return batch.tables()


def spans(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Rows of `spans`, by start; nothing may be rejected."""
    found = tables(records)
    assert "rejects" not in found, found["rejects"].to_pylist()
    rows = found["spans"].to_pylist() if "spans" in found else []
    return sorted(rows, key=lambda row: (row["start_ns"], row["span_id"]))


def scores(records: Iterable[Record]) -> list[Score]:
    return [record for record in records if isinstance(record, Score)]


def rejects(records: Iterable[object]) -> list[Reject]:
    return [record for record in records if isinstance(record, Reject)]


def put_together(records: Iterable[Piece | Score | Reject]) -> list[Record]:
    """What a drain makes of pieces: joined by their key, in the order of arrival."""
    held: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
    found: list[Record] = []
    for record in records:
        if isinstance(record, Piece):
            key = (record.system, record.key)
            old, position = held.get(key, (None, record.position))
            held[key] = (merged(old, record), position)
        else:
            found.append(record)
    return [*found, *(to_span(system, *parts) for (system, _), parts in held.items())]


def traces(engine: DuckDBEngine, records: Iterable[Record]) -> list[dict[str, Any]]:
    """The trace rows of these records, by start."""
    table = tables(records)["spans"]
    days = sorted(set(table.column("date").to_pylist()))
    engine.lake.append("spans", table)
    assemble_traces(engine, DayRange(days[0], days[-1]))
    return sorted(engine.lake.read(Slice("traces")).to_pylist(), key=lambda row: row["start_ns"])
