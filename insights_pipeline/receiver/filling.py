"""The batch being filled: entries become rows here, and a sealed batch is what is appended to the lake as one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import orjson
import pyarrow as pa

from insights_pipeline.receiver.entries import records_of, source_of
from insights_pipeline.receiver.pending import Pending, Run, Runs
from insights_pipeline.receiver.segments import Entry
from insights_pipeline.traces.exports.pieces import Piece, to_span
from insights_pipeline.traces.otlp.read import Tally
from insights_pipeline.traces.records import RawSpan, Record, Reject
from insights_pipeline.traces.table import MAX_BODY_BYTES, Arrival, Batch, Labels

# A body of more records than this is appended in parts. Counted from the body's first record and never configured:
# the same body must be cut at the same places when it is read again after a kill.
CUT_RECORDS = 20_000
# Of one body: four kilobytes in gzip can hold two million empty spans.
MAX_REJECTS = 1_000
_AS_BEFORE = "See the rejects before this one."
_Lists: TypeAlias = "dict[str, list[Any]]"
_BUG = "This is a bug of the reader: report it with this record."


class Reading(NamedTuple):
    """How bodies are read: longest text kept of a field, what is called on every text, longest body."""

    max_field_chars: int = 100_000
    redact: Callable[[str], str] | None = None
    max_body_bytes: int = MAX_BODY_BYTES


class Sealed(NamedTuple):
    """Rows of all entries up to `position`; once they are in the lake, reading goes on from `checkpoint`.

    The two differ where a body is appended in parts: the parts are told apart by positions within its record.
    """

    position: int
    checkpoint: int
    tables: dict[str, pa.Table]
    runs: Runs
    newest_ns: int
    ignored_logs: int


@dataclass(slots=True)
class Filling:
    """Gathers entries. `size` is rows, `chars` the text that is held, `since` when the first entry came (monotonic)."""

    pending: Pending
    reading: Reading
    entries: int = 0
    since: float = 0.0
    _tally: Tally = field(default_factory=Tally)
    _batch: Batch = field(init=False)
    _piece_chars: int = 0
    _pieces: int = 0
    _newest_ns: int = 0

    def __post_init__(self) -> None:
        self._batch = self._new_batch()

    @property
    def size(self) -> int:
        return self._batch.size + self._pieces

    @property
    def chars(self) -> int:
        return self._batch.chars + self._piece_chars

    def take(self, position: int, entry: Entry) -> Iterator[int]:
        """Add what an entry holds; yields 1, 2, … where a very large body must be sealed in between."""
        self._count(entry)
        labels = Labels(entry.environment, entry.tenant) if entry.environment or entry.tenant else None
        source = source_of(entry)
        where = f"entry {position}"
        number = rejects = 0
        for record in records_of(entry, max_bytes=self.reading.max_body_bytes, tally=self._tally):
            if isinstance(record, Piece):
                self._merge(record, source, entry.received_ns, labels, where)
                continue
            known = len(self._batch.rejects)
            self._add(record, source, entry.received_ns, labels, where)
            if len(self._batch.rejects) > known:
                rejects += 1
                del self._batch.rejects[known + (rejects <= MAX_REJECTS) :]
            number += 1
            if number % CUT_RECORDS == 0:
                yield number // CUT_RECORDS
                self._count(entry)
        if (more := rejects - MAX_REJECTS) > 0:
            summary = Reject("body", f"{more:,} more records of this body cannot be read", _AS_BEFORE, "")
            self._add(summary, source, entry.received_ns, labels, where)

    def seal(self, position: int, *, checkpoint: int | None = None) -> Sealed:
        """End the batch: one row for each run that was touched, everything as tables."""
        for key, run in self.pending.touched():
            span = _span_of(run)
            if isinstance(span, Reject):
                self.pending.mark_lacking(key)  # the piece that says the rest may be on its way
            else:
                self._add(span, run.source, run.received_ns, run.labels, "")
        for run in self.pending.overdue(now_ns=self._newest_ns):
            self._add(_span_of(run), run.source, run.received_ns, run.labels, "")
        sealed = Sealed(
            position=position,
            checkpoint=position if checkpoint is None else checkpoint,
            tables=tables_of(self._batch),
            runs=self.pending.seal(),
            newest_ns=self._newest_ns,
            ignored_logs=self._tally.logs,
        )
        self._batch = self._new_batch()
        self._tally = Tally()
        self.entries = self._piece_chars = self._pieces = 0
        return sealed

    def _new_batch(self) -> Batch:
        return Batch(0, self.reading.max_field_chars, self.reading.redact)

    def _count(self, entry: Entry) -> None:
        if not self.entries:
            self.since = time.monotonic()
        self.entries += 1
        self._newest_ns = max(self._newest_ns, entry.received_ns)

    def _merge(self, piece: Piece, source: str, received_ns: int, labels: Labels | None, where: str) -> None:
        try:
            self._piece_chars += len(orjson.dumps(piece.fields))  # also what the drain's file must hold
            placed = piece._replace(position=f"{where}, {piece.position}")
            self.pending.merge(placed, source=source, received_ns=received_ns, labels=labels)
        except Exception as error:  # noqa: BLE001 – one sender's piece must never stop the traffic of all
            reject = Reject(
                piece.position, _told("the piece cannot be merged", error), _BUG, ascii(piece.key)
            )
            self._add(reject, source, received_ns, labels, where)
            return
        self._pieces += 1

    def _add(self, record: Record, source: str, received_ns: int, labels: Labels | None, where: str) -> None:
        batch = self._batch
        rejects = len(batch.rejects)
        try:
            batch.add(record, source, received_ns=received_ns, labels=labels)
        except Exception as error:  # noqa: BLE001 – one sender's record must never stop the traffic of all
            raw = ascii(record)[:2_000]
            reason = _told("the record cannot be read", error)
            batch.add(Reject(record.position, reason, _BUG, raw), source, received_ns=received_ns)
        if where and len(batch.rejects) > rejects:  # which of the many bodies it was
            arrival, reject = batch.rejects[-1]
            batch.rejects[-1] = (arrival, reject._replace(position=f"{where}, {reject.position}"))


def _span_of(run: Run) -> RawSpan | Reject:
    try:
        return to_span(run.system, run.fields, run.position)
    except Exception as error:  # noqa: BLE001 – as above
        return Reject(run.position, _told("the run cannot be read", error), _BUG, ascii(run.fields)[:2_000])


def tables_of(batch: Batch) -> dict[str, pa.Table]:
    """The batch's tables. A record that no table can hold (text that is not UTF-8, a number too large) is rejected."""
    try:
        return batch.tables()
    except Exception:  # noqa: BLE001 – found and told below, one record at a time
        return _without_misfits(batch).tables()


def _without_misfits(batch: Batch) -> Batch:
    rows = zip(batch.rows, batch.received, strict=True)
    parts: list[_Lists] = [{"rows": [row], "received": [at]} for row, at in rows]
    parts += [{"contents": [item]} for item in batch.contents]
    parts += [{"scores": [item]} for item in batch.scores]
    parts += [{"rejects": [item]} for item in batch.rejects]
    good = _with(batch, {})
    for part in parts:
        error = _misfit(_with(batch, part))
        kept = part if error is None else {"rejects": [_unfit(batch, part, error)]}
        _extend(good, kept)
    return good


def _unfit(batch: Batch, part: _Lists, error: Exception) -> tuple[Arrival, Reject]:
    received_ns = part["received"][0] if "received" in part else next(iter(part.values()))[0][0].received_ns
    reason = ascii(_told("no table can hold it", error))
    reject = Reject("record", reason, _BUG, ascii(part)[:2_000])
    told = (Arrival("receiver", received_ns), reject)
    if _misfit(_with(batch, {"rejects": [told]})) is not None:  # a redaction that fails on this text, again
        return told[0], reject._replace(raw="")
    return told


def _with(batch: Batch, part: _Lists) -> Batch:
    other = Batch(batch.now_ns, batch.max_field_chars, batch.redact)
    _extend(other, part)
    return other


def _extend(batch: Batch, part: _Lists) -> None:
    for name, items in part.items():
        getattr(batch, name).extend(items)


def _misfit(batch: Batch) -> Exception | None:
    try:
        batch.tables()
    except Exception as error:  # noqa: BLE001 – told in the reject
        return error
    return None


def _told(what: str, error: Exception) -> str:
    return f"{what} ({type(error).__name__}: {error})"[:500]
