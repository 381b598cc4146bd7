"""OTLP over gRPC: the same door, with messages as raw bytes that are checked and stored as HTTP bodies are."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from insights_pipeline.receiver import replies
from insights_pipeline.receiver.auth import REMEDY
from insights_pipeline.receiver.config import ReceiverConfig
from insights_pipeline.receiver.intake import Door, RefusedError, refusal
from insights_pipeline.receiver.limits import RETRY_AFTER_SECONDS, OverloadedError
from insights_pipeline.receiver.routes import METRICS
from insights_pipeline.receiver.segments import Entry
from insights_pipeline.receiver.shape import LOGS, TRACES
from insights_pipeline.receiver.writer import NotWrittenError

_log = logging.getLogger(__name__)
_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": TRACES,
    "opentelemetry.proto.collector.logs.v1.LogsService": LOGS,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": METRICS,
}
_WORKERS = 8
_CODES = {401: grpc.StatusCode.UNAUTHENTICATED, 503: grpc.StatusCode.UNAVAILABLE}


def start_grpc(config: ReceiverConfig, door: Door) -> tuple[grpc.Server, int]:
    """A started server and its port. Raises ValueError when the port cannot be had."""
    options = [("grpc.max_receive_message_length", config.max_body_bytes), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(_WORKERS, "grpc"), options=options)
    for service, kind in _SERVICES.items():
        # As a stream of requests, of which there is one: so that a call can be refused before its message is read.
        export = grpc.stream_unary_rpc_method_handler(_export(door, kind))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": export}),))
    host = f"[{config.host}]" if ":" in config.host else config.host
    try:
        port = server.add_insecure_port(f"{host}:{config.grpc_port}")
    except RuntimeError:
        port = 0
    if not port:
        raise ValueError(f"port {config.grpc_port} of {config.host} is taken; give another --grpc-port")
    server.start()
    return server, port


def _export(door: Door, kind: str) -> Callable[[Iterator[bytes], Any], bytes]:
    def export(messages: Iterator[bytes], context: Any) -> bytes:
        began = time.perf_counter()
        try:
            reply = _take(door, kind, messages, context)
        except RefusedError as error:
            code = _CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT)
            return _fail(door, kind, context, code, str(error))
        except (OverloadedError, NotWrittenError) as error:
            return _fail(door, kind, context, grpc.StatusCode.UNAVAILABLE, f"{error}; send again")
        except grpc.RpcError:
            door.meters.requests.labels(kind, "grpc CANCELLED").inc()
            raise
        except Exception as error:  # noqa: BLE001 – any other code makes exporters drop the batch
            where = "".join(traceback.format_tb(error.__traceback__)[-3:])
            _log.error("%s in %s over gRPC\n%s", type(error).__name__, kind, where)
            return _fail(door, kind, context, grpc.StatusCode.UNAVAILABLE, "an unexpected failure")
        door.meters.requests.labels(kind, "grpc OK").inc()
        if kind != METRICS:
            door.meters.acknowledged.labels(kind).observe(time.perf_counter() - began)
        return reply

    return export


def _take(door: Door, kind: str, messages: Iterator[bytes], context: Any) -> bytes:
    metadata = {
        name.lower(): value for name, value in context.invocation_metadata() if isinstance(value, str)
    }
    key = door.keys.holder(metadata)
    if key is None:
        raise RefusedError(401, f"no valid ingest key. {REMEDY}")
    if kind != METRICS:
        door.limits.check()
    body = _message(door, messages, context)
    if body is None:
        raise RefusedError(400, "the call holds no message")
    if kind == METRICS:
        return b""
    door.limits.grow(len(body))
    try:
        verdict = door.verdict(kind, body, "identity", replies.PROTOBUF)
        if verdict.is_refused:
            door.writer.write_blocking(refusal(verdict, body, kind, key))
            raise RefusedError(400, f"{verdict.reason}. {verdict.remedy}")
        headers = {"user-agent": metadata.get("user-agent", "")[:300], "method": "gRPC"}
        door.writer.write_blocking(
            Entry(kind, time.time_ns(), replies.PROTOBUF, headers, key.environment, key.tenant, body)
        )
    finally:
        door.limits.shrink(len(body))
    door.count(kind, len(body), verdict)
    if not verdict.bad:
        return b""
    return replies.partial_reply(kind, verdict)


def _message(door: Door, messages: Iterator[bytes], context: Any) -> bytes | None:
    """The one message. A client that went silent is cut off: it must not keep one of the few workers for ever."""
    patience = threading.Timer(door.config.body_timeout_seconds, context.cancel)
    patience.daemon = True
    patience.start()
    try:
        return next(messages, None)
    finally:
        patience.cancel()


def _fail(door: Door, kind: str, context: Any, code: grpc.StatusCode, message: str) -> bytes:
    door.meters.requests.labels(kind, f"grpc {code.name}").inc()
    if code is grpc.StatusCode.UNAVAILABLE:
        number: int = code.value[0]
        status = replies.rpc_status(number, message, replies.retry_info(RETRY_AFTER_SECONDS))
        context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.set_code(code)
    context.set_details(message)
    return b""
