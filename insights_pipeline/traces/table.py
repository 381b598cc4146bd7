"""Spans as Arrow: rows gathered into one batch, priced, dated and sorted; also the pure function of a body."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import pyarrow as pa

from insights_pipeline.lake.days import NS_PER_DAY, day_of_ns
from insights_pipeline.lake.tables import REJECTS, SPANS
from insights_pipeline.traces.canonical import Row, canonical
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.prices import price
from insights_pipeline.traces.records import Record, Reject
from insights_pipeline.traces.validate import problem, rejected

MAX_BODY_BYTES = 64 * 2**20
_FAILED = "the span cannot be read"
_REPORT = "This is a bug of the reader: report it with this record."


@dataclass(slots=True)
class Batch:
    """Rows on their way to a table. `chars` is the text in them: what bounds memory."""

    now_ns: int
    max_field_chars: int
    rows: list[Row] = field(default_factory=list)
    rejects: list[tuple[str, Reject]] = field(default_factory=list)
    chars: int = 0

    def add(self, record: Record, source: str) -> None:
        """A valid span becomes a row, everything else a reject; never raises for what a record holds."""
        if isinstance(record, Reject):
            self.rejects.append((source, record))
            return
        if (found := problem(record, now_ns=self.now_ns)) is not None:
            self.rejects.append((source, rejected(record, *found)))
            return
        try:
            row = canonical(record, max_field_chars=self.max_field_chars)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            reason = f"{_FAILED} ({type(error).__name__}: {error})"
            self.rejects.append((source, rejected(record, reason[:500], _REPORT)))
            return
        self.rows.append(row)
        self.chars += sum(
            len(text) for text in (row.input_text, row.output_text, row.messages, row.attributes) if text
        )

    def spans(self) -> pa.Table:
        """The rows as the contract has them, priced, sorted by day, trace and start."""
        if not self.rows:
            return SPANS.schema.empty_table()
        ordered = [self.rows[place] for place in _order(self.rows)]
        columns = dict(zip(Row._fields, zip(*ordered, strict=True), strict=True))
        costs, sources = price(
            provider=columns["provider"],
            model=columns["model"],
            start_ns=columns["start_ns"],
            kind=columns["kind"],
            tokens=[columns[f"{name}_tokens"] for name in ("prompt", "completion", "cached", "cache_write")],
            shipped=columns["cost_usd"],
        )
        starts = np.array(columns["start_ns"], dtype=np.int64)
        given = {
            **columns,
            "cost_usd": costs,
            "cost_source": sources,
            "ingested_ns": np.full(len(starts), self.now_ns, dtype=np.int64),
        }
        arrays = [
            pa.array((starts // NS_PER_DAY).astype(np.int32)).cast(pa.date32())
            if column.name == "date"
            else pa.array(given[column.name], column.type)
            for column in SPANS.schema
        ]
        return pa.Table.from_arrays(arrays, schema=SPANS.schema)

    def reject_rows(self) -> pa.Table:
        """The rejects as the contract has them; a reject belongs to the day of its arrival."""
        day = day_of_ns(self.now_ns)
        rows = [
            {
                "date": day,
                "source": source,
                "position": reject.position,
                "reason": reject.reason,
                "remedy": reject.remedy,
                "raw": reject.raw,
                "ingested_ns": self.now_ns,
            }
            for source, reject in self.rejects
        ]
        return pa.Table.from_pylist(rows, schema=REJECTS.schema)


def _order(rows: list[Row]) -> list[int]:
    """Places of the rows by day, trace, start and span. As numbers the ids sort as their hex does, and much faster."""
    traces = np.frombuffer(bytes.fromhex("".join([row.trace_id for row in rows])), ">u8")
    spans = np.frombuffer(bytes.fromhex("".join([row.span_id for row in rows])), ">u8")
    starts = np.array([row.start_ns for row in rows], dtype=np.int64)
    order: list[int] = np.lexsort((spans, starts, traces[1::2], traces[::2], starts // NS_PER_DAY)).tolist()
    return order


def span_table(
    body: bytes,
    *,
    content_type: str,
    now_ns: int,
    max_field_chars: int,
    source: str = "otlp",
    max_bytes: int = MAX_BODY_BYTES,
) -> tuple[pa.Table, pa.Table]:
    """Rows of `spans` and of `rejects` of one OTLP body (protobuf or JSON; plain, gzip or zstd). No I/O, no clock.

    A body of more than `max_bytes` after decompression gives what it held up to there, and a reject.
    """
    batch = Batch(now_ns, max_field_chars)
    window = decompressed(BytesIO(body), max_bytes=max_bytes)
    for record in read_records(window, hint=content_type):
        batch.add(record, source)
    return batch.spans(), batch.reject_rows()
