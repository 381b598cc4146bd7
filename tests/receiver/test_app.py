"""What the receiver answers over real HTTP, and what then lies on disk."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from insights_pipeline.receiver.segments import read_entries
from tests.receiver.door_cases import (
    BODY,
    JSON,
    JSON_SPAN,
    PROTOBUF,
    Running,
    broken_protobuf,
    otlp_json,
    running,
    send_head,
)

MULTIPART = {"content-type": "multipart/form-data; boundary=abc"}
PARTS = b'--abc\r\nContent-Disposition: form-data; name="post.0190"\r\n\r\n{}\r\n--abc--\r\n'
LOGS = ExportLogsServiceRequest().SerializeToString()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("log")) as found:
        yield found


@pytest.fixture
def receiver(shared: Running) -> Running:
    return shared.from_now_on()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/traces",
        "//v1/traces/",
        "/telemetry/v1/traces",
        "/api/public/otel/v1/traces",
        "/otel/v1/traces",
        "/api/v1/otel/v1/traces",
    ],
)
def test_every_path_of_otlp_traces_acknowledges_what_is_on_disk(receiver: Running, path: str) -> None:
    answer = receiver.post(path, BODY)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        200,
        "application/x-protobuf",
        b"",
    )
    [entry] = receiver.entries
    assert (entry.kind, entry.content_type, entry.body) == ("otlp.traces", "application/x-protobuf", BODY)
    assert (entry.environment, entry.tenant) == (None, None)


@pytest.mark.parametrize(
    ("method", "path", "kind", "headers", "body", "status"),
    [
        ("POST", "/v1/logs", "otlp.logs", PROTOBUF, LOGS, 200),
        ("POST", "/runs/multipart", "langsmith.multipart", MULTIPART, PARTS, 202),
        ("POST", "/api/v1/runs/multipart", "langsmith.multipart", MULTIPART, PARTS, 202),
        ("POST", "/runs/batch", "langsmith.batch", JSON, b'{"post":[],"patch":[]}', 202),
        ("POST", "/runs", "langsmith.run", JSON, b'{"id":"r"}', 202),
        ("PATCH", "/runs/0190-ab", "langsmith.run", JSON, b'{"outputs":{}}', 202),
        ("POST", "/feedback", "langsmith.feedback", JSON, b'{"key":"k"}', 202),
        ("POST", "/api/public/ingestion", "langfuse.ingestion", JSON, b'{"batch":[]}', 207),
        ("POST", "/api/public/scores", "langfuse.scores", JSON, b'{"id":"s"}', 200),
    ],
)
def test_every_other_path_stores_its_kind(
    receiver: Running, method: str, path: str, kind: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = receiver.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    [entry] = receiver.entries
    assert (entry.kind, entry.body, entry.content_type) == (kind, body, headers["content-type"])
    assert entry.headers["method"] == method
    assert entry.headers.get("run-id") == ("0190-ab" if method == "PATCH" else None)


def test_headers_with_credentials_are_never_stored(receiver: Running) -> None:
    secret = "sk-very-secret-value"
    receiver.post("/v1/traces", BODY, {**PROTOBUF, "authorization": f"Bearer {secret}", "x-api-key": secret})
    assert all(secret.encode() not in path.read_bytes() for path in receiver.config.folder.iterdir())


@pytest.mark.parametrize("prefix", ["", "/telemetry", "/api/public/otel"])
def test_metrics_of_sdks_are_answered_and_not_stored(receiver: Running, prefix: str) -> None:
    answer = receiver.post(f"{prefix}/v1/metrics", b"x" * 3_000_000, JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert receiver.post(f"{prefix}/v1/metrics", b"y").content == b""
    assert receiver.entries == []


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_bodies_are_stored_as_they_came(receiver: Running, encoding: str) -> None:
    body = gzip.compress(BODY) if encoding == "gzip" else pa.Codec("zstd").compress(BODY, asbytes=True)
    answer = receiver.post("/v1/traces", body, {**PROTOBUF, "content-encoding": encoding})
    assert answer.status_code == 200
    [entry] = receiver.entries
    assert (entry.body, entry.headers["content-encoding"]) == (body, encoding)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "\xff"])
def test_an_unknown_encoding_is_415(receiver: Running, encoding: str) -> None:
    headers = [
        (b"content-type", b"application/x-protobuf"),
        (b"content-encoding", encoding.encode("latin-1")),
    ]
    answer = receiver.client.post("/v1/traces", content=BODY, headers=headers)
    assert answer.status_code == 415
    assert b"identity, gzip, zstd" in answer.content
    assert receiver.entries == []


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_an_unknown_content_type_on_an_otlp_path_is_415(receiver: Running, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert receiver.post("/v1/traces", BODY, headers).status_code == 415
    assert receiver.entries == []


def test_a_body_of_which_nothing_can_be_read_is_400_and_its_start_is_kept(receiver: Running) -> None:
    answer = receiver.post("/v1/traces", b"hello, this is no protobuf " * 100)
    assert answer.status_code == 400
    assert answer.content[:2] == b"\x08\x03"  # google.rpc.Status, INVALID_ARGUMENT
    assert b"neither OTLP protobuf nor JSON" in answer.content
    [entry] = receiver.entries
    assert entry.kind == "refused"
    assert entry.body == (b"hello, this is no protobuf " * 100)[:1_000]
    assert "neither OTLP protobuf nor JSON" in entry.headers["reason"]
    assert entry.headers["remedy"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"resourceSpans": 3}',
        b'{"other": 1}',
        b"\xff\xfe",
    ],
)
def test_json_that_is_no_request_is_400_with_a_status_in_json(receiver: Running, body: bytes) -> None:
    answer = receiver.post("/v1/traces", body, JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert receiver.kinds == ["refused"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/public/ingestion", b"not json"),
        ("/api/public/ingestion", b"[]"),
        ("/api/public/ingestion", b'{"batch": {}}'),
        ("/api/public/scores", b"3"),
        ("/runs/batch", b"[1]"),
        ("/runs", b'"text"'),
        ("/feedback", b"{"),
        ("/runs", b"[" * 100_000 + b"NaN"),
    ],
)
def test_bodies_of_other_tools_that_are_no_objects_are_400(receiver: Running, path: str, body: bytes) -> None:
    answer = receiver.post(path, body, JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert receiver.kinds == ["refused"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-type": "multipart/form-data"}, 400), (MULTIPART, 400), (JSON, 415)],
)
def test_a_multipart_body_needs_its_boundary(receiver: Running, headers: dict[str, str], status: int) -> None:
    assert receiver.post("/runs/multipart", b"no parts at all", headers).status_code == status


def test_some_unreadable_spans_are_a_partial_success_in_protobuf(receiver: Running) -> None:
    answer = receiver.post("/v1/traces", broken_protobuf(good=3, bad=2))
    found = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, found.rejected_spans) == (200, 2)
    assert "cannot be decoded" in found.error_message
    assert receiver.kinds == ["otlp.traces"]


def test_some_unreadable_spans_are_a_partial_success_in_json(receiver: Running) -> None:
    body = orjson.dumps(otlp_json(JSON_SPAN, "no span", {**JSON_SPAN, "spanId": "0000000000000002"}))
    answer = receiver.post("/v1/traces", body, JSON)
    found = answer.json()["partialSuccess"]
    assert (answer.status_code, found["rejectedSpans"]) == (200, "1")
    assert found["errorMessage"]
    assert receiver.kinds == ["otlp.traces"]


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps(otlp_json(JSON_SPAN)),
        orjson.dumps(otlp_json(JSON_SPAN)) + b"\n" + orjson.dumps(otlp_json(JSON_SPAN)),
        orjson.dumps(otlp_json(JSON_SPAN)).replace(b'"step"', b"NaN"),
        b"{}",
        b"",
    ],
)
def test_json_requests_also_by_the_line_or_with_nan_are_accepted(receiver: Running, body: bytes) -> None:
    answer = receiver.post("/v1/traces", body, JSON)
    assert (answer.status_code, answer.json()) == (200, {})


def test_logs_that_are_no_messages_are_accepted_too(receiver: Running) -> None:
    record = {"timeUnixNano": "1", "severityNumber": 9, "body": {"stringValue": "started"}}
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    for sent in (body, body.replace(b"9", b"NaN")):
        answer = receiver.post("/v1/logs", sent, JSON)
        assert (answer.status_code, answer.json()) == (200, {})
    assert receiver.kinds == ["otlp.logs"] * 2


def test_of_a_compressed_body_that_cannot_be_read_the_text_is_kept(receiver: Running) -> None:
    text = b"hello, this is no protobuf " * 100
    answer = receiver.post("/v1/traces", gzip.compress(text), {**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 400
    assert receiver.entries[0].body == text[:1_000]


def test_json_under_the_name_of_protobuf_is_accepted(receiver: Running) -> None:
    assert receiver.post("/v1/traces", orjson.dumps(otlp_json(JSON_SPAN))).status_code == 200


def test_a_content_type_of_any_length_keeps_its_body_readable(receiver: Running) -> None:
    endless = b"application/x-protobuf; charset=" + b"\xe9" * 700_000
    assert receiver.post("/v1/traces", BODY, {"content-type": endless}).status_code == 200  # type: ignore[dict-item]
    [entry] = receiver.entries
    assert entry.body == BODY and len(entry.content_type) <= 300


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/public/ingestion", rb'{"batch": [{"id": "\ud800"}]}'),
        ("/api/public/scores", rb'{"id": "\ud800"}'),
    ],
)
def test_half_a_character_in_an_id_is_stored_once_and_not_asked_for_again(
    receiver: Running, path: str, body: bytes
) -> None:
    assert receiver.post(path, body, JSON).is_success
    assert len(receiver.entries) == 1


def test_langfuse_hears_what_its_sdks_expect(receiver: Running) -> None:
    batch = [{"id": "e1", "type": "score-create", "body": {}}, {"id": "e2"}, 3]
    answer = receiver.post("/api/public/ingestion", orjson.dumps({"batch": batch}), JSON)
    assert (answer.status_code, answer.json()) == (
        207,
        {"successes": [{"id": "e1", "status": 201}, {"id": "e2", "status": 201}], "errors": []},
    )
    answer = receiver.post("/api/public/scores", orjson.dumps({"id": "s1", "value": 1}), JSON)
    assert (answer.status_code, answer.json()) == (200, {"id": "s1"})
    answer = receiver.post("/api/public/scores", orjson.dumps([{"id": "s1"}, {"id": "s2"}]), JSON)
    assert (answer.status_code, answer.json()) == (202, {"message": "Accepted"})
    assert receiver.client.get("/api/public/health").json()["status"] == "OK"
    [project] = receiver.client.get("/api/public/projects").json()["data"]
    assert {"id", "name", "organization", "metadata"} <= set(project)


@pytest.mark.parametrize("path", ["/info", "/api/v1/info"])
def test_langsmith_is_told_that_it_may_send_zstd_in_moderate_batches(receiver: Running, path: str) -> None:
    found: dict[str, Any] = receiver.client.get(path).json()
    assert found["instance_flags"]["zstd_compression_enabled"] is True
    limits = found["batch_ingest_config"]
    assert limits["use_multipart_endpoint"] is True
    assert 0 < limits["size_limit_bytes"] <= receiver.config.max_body_bytes // 2


def test_other_paths_and_methods_are_404_and_405(receiver: Running) -> None:
    assert receiver.post("/nothing/here", BODY).status_code == 404
    assert receiver.client.get("/v1/traces").status_code == 405


def test_a_web_page_of_another_site_may_not_send(receiver: Running) -> None:
    for origin, status in [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://localhost:3000", 200),
    ]:
        assert receiver.post("/v1/traces", BODY, {**PROTOBUF, "origin": origin}).status_code == status


def test_a_client_that_leaves_in_the_middle_stores_nothing(receiver: Running) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port)) as sock:
        send_head(sock, 1_000)
        sock.sendall(b"x" * 10)
    assert receiver.post("/v1/traces", BODY).status_code == 200
    assert receiver.kinds == ["otlp.traces"]


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"x-name: value\r\n" * 4_000])
def test_a_head_without_end_is_cut_off(receiver: Running, piece: bytes) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port)) as sock, pytest.raises(OSError):
        sock.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-long: ")
        for _ in range(1_000):
            sock.sendall(piece)
    assert receiver.post("/v1/traces", BODY).status_code == 200


def test_many_large_bodies_on_one_connection_are_taken(receiver: Running) -> None:
    for _ in range(5):
        assert receiver.post("/v1/traces", BODY * 5_000).status_code == 200
    assert len(receiver.entries) == 5


def test_a_body_that_stops_arriving_is_408(tmp_path: Path) -> None:
    with (
        running(tmp_path, body_timeout_seconds=0.2) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port)) as sock,
    ):
        send_head(sock, 1_000)
        sock.sendall(b"x" * 10)
        assert sock.recv(1_000).startswith(b"HTTP/1.1 408 ")
        assert receiver.door.limits.in_flight == 0


def test_a_restart_goes_on_behind_what_was_acknowledged(tmp_path: Path) -> None:
    for _ in range(3):
        with running(tmp_path) as receiver:
            assert receiver.post("/v1/traces", BODY).status_code == 200
    assert [entry.body for _, entry in read_entries(tmp_path, 0)] == [BODY] * 3
