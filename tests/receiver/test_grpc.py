"""OTLP/gRPC with a real channel: the same door, keys, limits and answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from insights_pipeline.receiver.config import IngestKey, ReceiverConfig
from insights_pipeline.receiver.grpc import start_grpc
from insights_pipeline.receiver.intake import Door
from insights_pipeline.receiver.segments import Entry, read_entries
from insights_pipeline.receiver.serve import receiving
from tests.receiver.door_cases import BODY, broken_protobuf

REQUEST = ExportTraceServiceRequest.FromString(BODY)
KEY = IngestKey("a-long-random-key", environment="production", tenant="acme")
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Called(NamedTuple):
    channel: grpc.Channel
    door: Door
    folder: Path
    port: int

    @property
    def entries(self) -> list[Entry]:
        return [entry for _, entry in read_entries(self.folder, 0)]

    def raw(self, body: bytes, **options: Any) -> bytes:
        found: bytes = self.channel.unary_unary(EXPORT)(body, timeout=20, **options)
        return found


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def server(tmp_path: Path, options: dict[str, Any]) -> Iterator[Called]:
    config = ReceiverConfig(folder=tmp_path, grpc_port=0, with_drain=False, **options)
    with receiving(config) as door:
        running, port = start_grpc(config, door)
        sizes = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=sizes) as channel:
            yield Called(channel, door, tmp_path, port)
        running.stop(5).wait()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_spans_are_acknowledged_when_they_are_on_disk(server: Called, compression: grpc.Compression) -> None:
    reply = TraceServiceStub(server.channel).Export(REQUEST, timeout=20, compression=compression)
    assert reply == ExportTraceServiceResponse()
    [entry] = server.entries
    assert (entry.kind, entry.content_type) == ("otlp.traces", "application/x-protobuf")
    assert ExportTraceServiceRequest.FromString(entry.body) == REQUEST
    assert entry.headers["user-agent"].startswith("grpc-python")


def test_logs_are_stored_and_metrics_are_answered(server: Called) -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "hello"
    LogsServiceStub(server.channel).Export(logs, timeout=20)
    MetricsServiceStub(server.channel).Export(ExportMetricsServiceRequest(), timeout=20)
    assert [(entry.kind, entry.body) for entry in server.entries] == [("otlp.logs", logs.SerializeToString())]


def test_some_unreadable_spans_are_a_partial_success(server: Called) -> None:
    reply = ExportTraceServiceResponse.FromString(server.raw(broken_protobuf(good=1, bad=2)))
    assert reply.partial_success.rejected_spans == 2


def test_nothing_readable_is_an_invalid_argument_and_kept(server: Called) -> None:
    with pytest.raises(grpc.RpcError) as found:
        server.raw(b"this is no request")
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "neither OTLP protobuf nor JSON" in found.value.details()
    assert [entry.kind for entry in server.entries] == ["refused"]


def test_a_message_well_over_four_megabytes_is_taken(server: Called) -> None:
    body = BODY * (6 * 2**20 // len(BODY))
    assert server.raw(body) == b""
    assert server.entries[0].body == body


@pytest.mark.parametrize("options", [{"max_body_bytes": 1_000_000}])
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_over_the_limit_also_when_it_came_small_is_refused(
    server: Called, compression: grpc.Compression
) -> None:
    with pytest.raises(grpc.RpcError) as found:
        server.raw(bytes(20_000_000), compression=compression)
    assert found.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.entries == []


@pytest.mark.parametrize("options", [{"keys": (KEY,)}])
def test_a_key_is_shown_in_the_metadata(server: Called) -> None:
    for metadata in ([], [("x-api-key", "wrong")], [("authorization", "Bearer wrong")]):
        with pytest.raises(grpc.RpcError) as found:
            server.raw(BODY, metadata=metadata)
        assert found.value.code() is grpc.StatusCode.UNAUTHENTICATED
    server.raw(BODY, metadata=[("authorization", f"Bearer {KEY.key}")])
    server.raw(BODY, metadata=[("x-api-key", KEY.key)])
    assert [(entry.environment, entry.tenant) for entry in server.entries] == [("production", "acme")] * 2


@pytest.mark.parametrize("options", [{"min_free_mb": 10**9}, {"in_flight_bytes": 10}])
def test_overload_is_unavailable_with_a_time_to_retry(server: Called) -> None:
    with pytest.raises(grpc.RpcError) as found:
        server.raw(BODY)
    assert found.value.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(found.value.trailing_metadata())
    status = trailers["grpc-status-details-bin"]
    assert status.startswith(b"\x08\x0e\x12")  # google.rpc.Status with code 14 and a message
    assert status.endswith(b"type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01")  # one second
    assert server.entries == []
    assert server.door.limits.in_flight == 0


@pytest.mark.parametrize("options", [{"body_timeout_seconds": 0.5}])
def test_clients_that_send_nothing_do_not_keep_the_others_out(server: Called) -> None:
    leave = threading.Event()

    def silent() -> Iterator[bytes]:
        leave.wait(60)
        yield from ()

    calls = [server.channel.stream_unary(EXPORT).future(silent()) for _ in range(16)]
    try:
        assert server.raw(BODY) == b""
        assert {call.code() for call in calls} <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
    finally:
        leave.set()
    assert len(server.entries) == 1


def test_a_port_that_is_taken_is_told(server: Called, tmp_path: Path) -> None:
    config = ReceiverConfig(folder=tmp_path, grpc_port=server.port, with_drain=False)
    with pytest.raises(ValueError, match="is taken; give another --grpc-port"):
        start_grpc(config, server.door)


def test_calls_are_counted(server: Called) -> None:
    server.raw(BODY)
    text = server.door.meters.text().decode()
    assert 'insights_receiver_requests_total{route="otlp.traces",status="grpc OK"} 1.0' in text
