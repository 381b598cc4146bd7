"""The cheap look at a body before it is acknowledged: can anything in it be read, and how much of it cannot?"""

from __future__ import annotations

import io
import json
import re
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from insights_pipeline.traces.otlp.read import Tally, read_records
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Reject

TRACES, LOGS = "otlp.traces", "otlp.logs"
_MESSAGES: dict[str, Any] = {TRACES: ExportTraceServiceRequest, LOGS: ExportLogsServiceRequest}
_FIELDS = {
    TRACES: ("resource_spans", "scope_spans", "spans"),
    LOGS: ("resource_logs", "scope_logs", "log_records"),
}
_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";,\s]{1,200})', re.IGNORECASE)


class Verdict(NamedTuple):
    """`good` and `bad` count spans (or log records, events); `good` is None when nobody counted.

    `reason` says why the first bad one is bad; nothing good and something bad means that the body is refused. `ids`
    are those a Langfuse reply repeats, `is_list` whether the body is a JSON array. `start` is what to show of a refused
    body: its first bytes after decompression.
    """

    good: int | None
    bad: int = 0
    reason: str = ""
    remedy: str = ""
    ids: tuple[str, ...] = ()
    is_list: bool = False
    start: bytes = b""

    @property
    def is_refused(self) -> bool:
        return self.bad > 0 and not self.good


def look(kind: str, content: bytes | None, content_type: str) -> Verdict:
    """What can be read of a body of this kind. `content` is None for a body too large to look at."""
    if content is None:
        return Verdict(None)
    if kind in _MESSAGES:
        if "json" in content_type.lower():
            return _otlp_json(kind, content, content_type)
        return _otlp_protobuf(kind, content, content_type)
    if kind == "langsmith.multipart":
        return _multipart(content, content_type)
    return _json(kind, content)


def _otlp_protobuf(kind: str, content: bytes, content_type: str) -> Verdict:
    outer, scope, items = _FIELDS[kind]
    try:
        request = _MESSAGES[kind].FromString(content)
    except DecodeError:
        return _walk(content, content_type)
    count = sum(
        len(getattr(inner, items)) for one in getattr(request, outer) for inner in getattr(one, scope)
    )
    is_request = getattr(request, outer) or not content
    return Verdict(count) if is_request else _walk(content, content_type)


def _otlp_json(kind: str, content: bytes, content_type: str) -> Verdict:
    if not content.strip():
        return Verdict(0)
    try:
        count = _counted(orjson.loads(content), *_FIELDS[kind])
    except orjson.JSONDecodeError:
        count = None
    return Verdict(count) if count is not None else _walk(content, content_type)


def _counted(request: Any, outer: str, scope: str, items: str) -> int | None:
    """Objects at the bottom; None when something is odd and a reader must tell what is readable."""
    level = [request]
    for name in (outer, scope, items):
        below: list[Any] = []
        for value in level:
            if not isinstance(value, dict):
                return None
            found = value.get(_camel(name), value.get(name))
            if found is not None and not isinstance(found, list):
                return None
            if found is None and name == outer and value:
                return None
            below.extend(found or ())
        level = below
    return len(level) if all(isinstance(value, dict) for value in level) else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _walk(content: bytes, content_type: str) -> Verdict:
    good = bad = 0
    first: Reject | None = None
    tally = Tally()
    for record in read_records(Window(io.BytesIO(content).read), hint=content_type, tally=tally):
        if isinstance(record, Reject):
            bad += 1
            first = first or record
        else:
            good += 1
    good += tally.logs  # readable, although only those of generative AI are kept
    if first is None and not good:
        return Verdict(0, 1, "the body holds nothing of an OTLP request", "Send what an OTLP exporter sends.")
    if first is None:
        return Verdict(good)
    return Verdict(good, bad, f"{first.position}: {first.reason}", first.remedy)


def _multipart(content: bytes, content_type: str) -> Verdict:
    found = _BOUNDARY.match(content_type)
    if found is None:
        return Verdict(0, 1, "no boundary in the content type", "Send multipart/form-data with its boundary.")
    if b"--" + found[1].encode("utf-8", "replace") not in content:
        return Verdict(
            0, 1, "the boundary is not in the body", "Send multipart/form-data as an SDK makes it."
        )
    return Verdict(None)


def _json(kind: str, content: bytes) -> Verdict:
    remedy = "Send the JSON that the SDK sends."
    try:
        value = lenient_json(content)
    except ValueError as error:
        return Verdict(0, 1, f"not JSON: {error}", remedy)
    if kind == "langfuse.scores" and isinstance(value, list):
        return Verdict(len(value), ids=_ids(value), is_list=True)
    if not isinstance(value, dict):
        return Verdict(0, 1, "the body is no JSON object", remedy)
    if kind == "langfuse.ingestion":
        batch = value.get("batch")
        if not isinstance(batch, list):
            return Verdict(0, 1, "the body has no list 'batch'", remedy)
        return Verdict(len(batch), ids=_ids(batch))
    return Verdict(1, ids=_ids([value]))


def _ids(values: list[Any]) -> tuple[str, ...]:
    found = (value.get("id") for value in values if isinstance(value, dict))
    return tuple(text.encode("utf-8", "replace").decode() for text in found if isinstance(text, str))


def lenient_json(content: bytes) -> Any:
    """The JSON value; NaN and the infinities, which Python clients write, are null. Raises ValueError."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not any(mark in content for mark in (b"NaN", b"Infinity", b"\\u")):
            raise ValueError(str(error)) from error
    try:
        return json.loads(content.decode("utf-8", "replace"), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise ValueError(str(error) or "nested too deep") from error
