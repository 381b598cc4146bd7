"""OTLP logs to records: messages and evaluations; ordinary application logs are counted and left out."""

from __future__ import annotations

from collections.abc import Iterator

from insights_pipeline.traces.otlp.read import Tally, read_records
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Content, RawSpan, Record, Reject, Score, excerpt

_TRACES = "Send spans to the endpoint for traces, /v1/traces."


class LogRecords(Iterator[Content | Score | Reject]):
    """What a request of logs holds for us; `ignored` counts the log records left out so far.

    Left out are records that are no events of generative AI, and events without any content (capturing it is
    off by default): both are normal and no fault of the sender.
    """

    def __init__(self, records: Iterator[Record], tally: Tally) -> None:
        self._records = records
        self._tally = tally

    @property
    def ignored(self) -> int:
        return self._tally.logs

    def __next__(self) -> Content | Score | Reject:
        record = next(self._records)
        if isinstance(record, RawSpan):
            return Reject(record.position, "a span among logs", _TRACES, excerpt(record.name))
        return record


def read_logs(window: Window, *, hint: str = "") -> LogRecords:
    """Contents, scores and rejects of a stream of OTLP logs, protobuf or JSON (plain, or unpacked by the window).

    Iterate to the end, then `.ignored` is the number of log records that were left out:

        records = read_logs(decompressed(BytesIO(body)), hint=content_type)
        for record in records:
            batch.add(record, source)
        left_out = records.ignored

    Never raises for what the bytes hold.
    """
    tally = Tally()
    return LogRecords(read_records(window, hint=hint, tally=tally), tally)
