"""What each protocol wants to hear: OTLP in protobuf or JSON, Langfuse, LangSmith, and errors of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.responses import Response

from insights_pipeline import __version__
from insights_pipeline.receiver.limits import RETRY_AFTER_SECONDS
from insights_pipeline.receiver.shape import LOGS, Verdict

PROTOBUF, JSON = "application/x-protobuf", "application/json"
# HTTP status → code of google.rpc
RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 3, 415: 3, 503: 14}
_MAX_MESSAGE = 1_000


def json_reply(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type=JSON)


def otlp_accepted(kind: str, verdict: Verdict, *, as_json: bool) -> Response:
    """Empty, or how many were refused and why the first of them was."""
    if not verdict.bad:
        return json_reply({}) if as_json else Response(b"", media_type=PROTOBUF)
    if not as_json:
        return Response(partial_reply(kind, verdict), media_type=PROTOBUF)
    name = "rejectedLogRecords" if kind == LOGS else "rejectedSpans"
    return json_reply({"partialSuccess": {name: str(verdict.bad), "errorMessage": _message(verdict)}})


def partial_reply(kind: str, verdict: Verdict) -> bytes:
    """A serialized OTLP response of this kind with its `partial_success`."""
    if kind == LOGS:
        logs = ExportLogsServiceResponse()
        logs.partial_success.rejected_log_records = verdict.bad
        logs.partial_success.error_message = _message(verdict)
        return bytes(logs.SerializeToString())
    traces = ExportTraceServiceResponse()
    traces.partial_success.rejected_spans = verdict.bad
    traces.partial_success.error_message = _message(verdict)
    return bytes(traces.SerializeToString())


def _message(verdict: Verdict) -> str:
    text = f"{verdict.bad} could not be read; the first: {verdict.reason}. {verdict.remedy}"
    return text[:_MAX_MESSAGE].encode("utf-8", "replace").decode()


def langfuse_ingestion(ids: Sequence[str]) -> Response:
    return json_reply({"successes": [{"id": text, "status": 201} for text in ids], "errors": []}, 207)


def langfuse_scores(ids: Sequence[str], *, is_list: bool) -> Response:
    """A list is what SDK v5 sends: 202 and "Accepted"; one score, what older ones send, is answered with its id."""
    if is_list:
        return json_reply({"message": "Accepted"}, 202)
    return json_reply({"id": next(iter(ids), "")})


def langfuse_projects() -> Response:
    """What `auth_check` of the SDK wants: a project."""
    organization = {"id": "insights", "name": "Insights"}
    project = {"id": "insights", "name": "Insights", "organization": organization, "metadata": {}}
    return json_reply({"data": [project]})


def langfuse_health() -> Response:
    return json_reply({"status": "OK", "version": __version__})


def langsmith_info(*, max_body_bytes: int) -> Response:
    """How LangSmith's SDK may send: multipart, zstd, in batches well below the limit of a body."""
    return json_reply(
        {
            "version": __version__,
            "instance_flags": {"zstd_compression_enabled": True},
            "batch_ingest_config": {
                "use_multipart_endpoint": True,
                "size_limit": 100,
                "size_limit_bytes": min(20 * 2**20, max_body_bytes),
                "scale_up_qsize_trigger": 1_000,
                "scale_up_nthreads_limit": 16,
                "scale_down_nempty_trigger": 4,
            },
        }
    )


def error(status: int, message: str, *, otlp: str = "") -> Response:
    """An error body: for OTLP a google.rpc.Status (`otlp` is "json" or "protobuf"), elsewhere `{"error": …}`."""
    message = message[:_MAX_MESSAGE].encode("utf-8", "replace").decode()
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="insights"'
    code = RPC_CODES.get(status, 2)
    if otlp == "protobuf":
        return Response(rpc_status(code, message), status, headers, PROTOBUF)
    value = {"code": code, "message": message} if otlp else {"error": message}
    return Response(orjson.dumps(value), status, headers, JSON)


def rpc_status(code: int, message: str, *details: bytes) -> bytes:
    """A google.rpc.Status: code = 1, message = 2, details = 3 (each a serialized google.protobuf.Any)."""
    parts = [b"\x08", _varint(code), _field(2, message.encode("utf-8", "replace"))]
    return b"".join(parts + [_field(3, detail) for detail in details])


def retry_info(seconds: int) -> bytes:
    """A google.protobuf.Any with google.rpc.RetryInfo: retry_delay = 1, a Duration whose seconds are field 1."""
    info = _field(1, b"\x08" + _varint(seconds))
    return _field(1, b"type.googleapis.com/google.rpc.RetryInfo") + _field(2, info)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
