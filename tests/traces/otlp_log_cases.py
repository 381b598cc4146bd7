"""Hand-made OTLP logs: records as protobuf and as JSON, and what the reader makes of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from insights_pipeline.traces.otlp.logs import read_logs
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Content, Reject, Score
from tests.traces.otlp_cases import START, TRACE, any_value, pairs

SPAN = (1).to_bytes(8, "big")


def log(
    name: str = "", body: Any = None, attributes: dict[str, Any] | None = None, **fields: Any
) -> LogRecord:
    """A log record of the span 1 of TRACE; `body` and attributes as Python values."""
    given = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "observed_time_unix_nano": START,
        "event_name": name,
        **fields,
    }
    record = LogRecord(attributes=pairs(attributes or {}), **given)
    if body is not None:
        record.body.CopyFrom(any_value(body))
    return record


def logs_request(*records: LogRecord) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.extend(records)
    return request


def read(body: bytes, hint: str = "") -> tuple[list[Content | Score | Reject], int]:
    """The records, and how many log records were left out."""
    found = read_logs(decompressed(BytesIO(body)), hint=hint)
    return list(found), found.ignored


def only(*records: LogRecord) -> Content | Score | Reject:
    [found], ignored = read(logs_request(*records).SerializeToString())
    assert ignored == 0
    return found
