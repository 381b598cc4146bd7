"""Spans as Arrow: rows gathered into one batch, priced, dated and sorted; also the pure function of a body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from insights_pipeline.lake.days import NS_PER_DAY, day_of_ns
from insights_pipeline.lake.tables import FEEDBACK, REJECTS, SPAN_CONTENTS, SPANS
from insights_pipeline.traces.canonical import Row, canonical
from insights_pipeline.traces.cutting import shortened
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.prices import price
from insights_pipeline.traces.records import HEX_MARK, Content, RawSpan, Record, Reject, Score
from insights_pipeline.traces.text import cut, dumps
from insights_pipeline.traces.validate import checked_content, checked_score, problem, rejected

MAX_BODY_BYTES = 64 * 2**20
HIDDEN = "[bytes are not kept while redaction is on]"
_FAILED = "the span cannot be read"
_REPORT = "This is a bug of the reader: report it with this record."


class Labels(NamedTuple):
    """What an ingest key stands for: it replaces what a span says of itself."""

    environment: str | None = None
    tenant_id: str | None = None


class Arrival(NamedTuple):
    """How a record came: from where (as rejects tell it) and when."""

    source: str
    received_ns: int


@dataclass(slots=True)
class Batch:
    """Rows on their way to the tables. `chars` is the text in them: what bounds memory.

    `now_ns` is the time of records that are added without one of their own; `redact` is called on every text
    before it is kept.
    """

    now_ns: int
    max_field_chars: int
    redact: Callable[[str], str] | None = None
    rows: list[Row] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    contents: list[tuple[Arrival, Content]] = field(default_factory=list)
    scores: list[tuple[Arrival, Score]] = field(default_factory=list)
    rejects: list[tuple[Arrival, Reject]] = field(default_factory=list)
    chars: int = 0

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.contents) + len(self.scores) + len(self.rejects)

    def add(
        self, record: Record, source: str, *, received_ns: int | None = None, labels: Labels | None = None
    ) -> None:
        """A valid record becomes a row, everything else a reject; never raises for what a record holds."""
        received = self.now_ns if received_ns is None else received_ns
        if isinstance(record, RawSpan):
            self._add_span(record, source, received, labels)
            return
        arrival = Arrival(source, received)
        if isinstance(record, Content):
            record = checked_content(record, received)
        elif isinstance(record, Score):
            record = checked_score(record, received)
        if isinstance(record, Content):
            self.contents.append((arrival, record))
            self.chars += sum(len(message["content"]) for message in (*record.inputs, *record.outputs))
        elif isinstance(record, Score):
            self.scores.append((arrival, record))
            self.chars += len(record.label or "") + len(record.comment or "")
        else:
            self.rejects.append((arrival, record))

    def _add_span(self, record: RawSpan, source: str, received: int, labels: Labels | None) -> None:
        if (found := problem(record, now_ns=received)) is not None:
            self.rejects.append((Arrival(source, received), rejected(record, *found)))
            return
        try:
            row = canonical(record, max_field_chars=self.max_field_chars)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            reason = f"{_FAILED} ({type(error).__name__}: {error})"
            self.rejects.append((Arrival(source, received), rejected(record, reason[:500], _REPORT)))
            return
        if labels is not None:
            row = row._replace(
                environment=labels.environment or row.environment, tenant_id=labels.tenant_id or row.tenant_id
            )
        if self.redact is not None:
            row = _redacted(row, self.redact)
        self.rows.append(row)
        self.received.append(received)
        self.chars += (
            len(row.input_text or "")
            + len(row.output_text or "")
            + len(row.messages or b"")
            + len(row.attributes or b"")
        )

    def tables(self) -> dict[str, pa.Table]:
        """What there is for each table, as its contract has it; tables without rows are left out."""
        made = {
            "spans": self.spans,
            "span_contents": self.content_rows,
            "feedback": self.score_rows,
            "rejects": self.reject_rows,
        }
        there = (self.rows, self.contents, self.scores, self.rejects)
        return {name: make() for (name, make), rows in zip(made.items(), there, strict=True) if rows}

    def spans(self) -> pa.Table:
        """The spans, priced, sorted by day, trace and start."""
        if not self.rows:
            return SPANS.schema.empty_table()
        order = _order(self.rows)
        columns = dict(
            zip(Row._fields, zip(*[self.rows[place] for place in order], strict=True), strict=True)
        )
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
            "ingested_ns": np.array(self.received, dtype=np.int64)[order],
        }
        arrays = [
            pa.array((starts // NS_PER_DAY).astype(np.int32)).cast(pa.date32())
            if column.name == "date"
            else pa.array(given[column.name], column.type)
            for column in SPANS.schema
        ]
        return pa.Table.from_arrays(arrays, schema=SPANS.schema)

    def content_rows(self) -> pa.Table:
        """Contents, dated by their own time."""
        rows = [
            {
                "date": day_of_ns(content.at_ns),
                "trace_id": content.trace_id,
                "span_id": content.span_id,
                "at_ns": content.at_ns,
                "ordinal": content.ordinal,
                "inputs": [self._message(message) for message in content.inputs],
                "outputs": [self._message(message) for message in content.outputs],
                "source": arrival.source,
                "ingested_ns": arrival.received_ns,
            }
            for arrival, content in self.contents
        ]
        return pa.Table.from_pylist(rows, schema=SPAN_CONTENTS.schema)

    def score_rows(self) -> pa.Table:
        """Scores, dated by their own time until the day of their trace is known."""
        rows = [
            {
                **score._asdict(),
                "date": day_of_ns(score.at_ns),
                "trace_id": score.trace_id or None,
                "span_id": score.span_id or None,
                "session_id": score.session_id or None,
                "label": self._text(cut(score.label, self.max_field_chars)),
                "comment": self._text(cut(score.comment, self.max_field_chars)),
                "ingested_ns": arrival.received_ns,
            }
            for arrival, score in self.scores
        ]
        return pa.Table.from_pylist(rows, schema=FEEDBACK.schema)

    def reject_rows(self) -> pa.Table:
        """The rejects; a reject belongs to the day of its arrival."""
        rows = [
            {
                "date": day_of_ns(arrival.received_ns),
                "source": arrival.source,
                "position": reject.position,
                "reason": reject.reason,
                "remedy": reject.remedy,
                "raw": self._raw(reject.raw),
                "ingested_ns": arrival.received_ns,
            }
            for arrival, reject in self.rejects
        ]
        return pa.Table.from_pylist(rows, schema=REJECTS.schema)

    def _raw(self, raw: str) -> str:
        """The start of what was rejected; as hex it would show what redaction cannot find there."""
        if self.redact is not None:
            return HIDDEN if raw.startswith(HEX_MARK) else self.redact(raw)
        return raw

    def _message(self, message: Message) -> str:
        short = shortened(message, self.max_field_chars)
        return dumps(short) if self.redact is None else self.redact(dumps(short))

    def _text(self, text: str | None) -> str | None:
        return self.redact(text) if self.redact is not None and text else text


# Every field of a row that holds words; ids, names of models and tools, and kinds are not words.
_WORDS = ("input_text", "output_text", "error_message")
_JSON_WORDS = ("messages", "attributes")


def _redacted(row: Row, redact: Callable[[str], str]) -> Row:
    clean: dict[str, Any] = {name: redact(text) for name in _WORDS if (text := getattr(row, name))}
    for name in _JSON_WORDS:
        if data := getattr(row, name):
            clean[name] = redact(data.decode()).encode()
    return row._replace(**clean)


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
