"""An entry of the log to records: whatever a body holds, what can be read is read and the rest is told."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TypeAlias

from insights_pipeline.receiver.segments import Entry
from insights_pipeline.traces.exports.pieces import Piece, live_records
from insights_pipeline.traces.otlp.read import Tally, read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Record, Reject, excerpt

Arrived: TypeAlias = "Record | Piece"

_SOURCES = {
    "otlp.traces": "receiver /v1/traces",
    "otlp.logs": "receiver /v1/logs",
    "langfuse.ingestion": "receiver /api/public/ingestion",
    "langfuse.scores": "receiver /api/public/scores",
    "langsmith.multipart": "receiver /runs/multipart",
    "langsmith.batch": "receiver /runs/batch",
    "langsmith.run": "receiver /runs",
    "langsmith.feedback": "receiver /feedback",
}
_REPORT = "This is a bug of the reader: report it with this record."


def source_of(entry: Entry) -> str:
    """Where a body came in, as rejects tell it."""
    return _SOURCES.get(entry.kind, "receiver")


def records_of(entry: Entry, *, max_bytes: int, tally: Tally) -> Iterator[Arrived]:
    """Spans, contents, scores, pieces of runs and rejects of one entry; never raises for what a body holds.

    At most `max_bytes` of it are read after decompression; what follows is told in a reject. `tally` counts log
    records that are no events of generative AI.
    """
    try:
        yield from _records(entry, max_bytes, tally)
    except Exception as error:  # noqa: BLE001 – one sender's body must never stop the traffic of all
        reason = f"the body cannot be read ({type(error).__name__}: {error})"
        yield Reject("body", reason[:500], _REPORT, excerpt(entry.body))


def _records(entry: Entry, max_bytes: int, tally: Tally) -> Iterator[Arrived]:
    if entry.kind == "refused":
        headers = entry.headers
        yield Reject("body", headers.get("reason", ""), headers.get("remedy", ""), excerpt(entry.body))
        return
    window = decompressed(BytesIO(entry.body), max_bytes=max_bytes)
    if entry.kind.startswith("otlp."):
        yield from read_records(window, hint=entry.content_type, tally=tally)
        return
    window.fill(max_bytes + 1)
    if window.damage is not None:
        yield Reject("body", window.damage, "Send the body anew, in smaller parts.", excerpt(window.data))
        return
    yield from live_records(entry.kind, window.data, entry.content_type, entry.headers)
