"""Ingest keys: every way an SDK shows one, and nothing else."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from insights_pipeline.receiver.auth import KeyRing, check_binding, is_loopback
from insights_pipeline.receiver.config import IngestKey, ReceiverConfig
from tests.receiver.door_cases import BODY, JSON, PROTOBUF, running

KEY = IngestKey("a-long-random-key", name="prod", environment="production", tenant="acme")
OTHER = IngestKey("another-long-key", name="test")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer a-long-random-key"},
        {"authorization": "bearer  a-long-random-key "},
        {"x-api-key": "a-long-random-key"},
        {"authorization": basic("pk-lf-anything", "a-long-random-key")},
        {"authorization": basic("a-long-random-key", "")},
        {"authorization": "Bearer something-else", "x-api-key": "a-long-random-key"},
    ],
)
def test_every_sdk_can_show_its_key(headers: dict[str, str]) -> None:
    assert KeyRing([OTHER, KEY]).holder(headers) is KEY


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer a-long-random-keY"},
        {"authorization": "a-long-random-key"},
        {"authorization": "Basic ***"},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"authorization": basic("user", "")},
        {"x-api-key": ""},
        {"x-api-key": "a-long-random-key\x00"},
        {"cookie": "a-long-random-key"},
    ],
)
def test_anything_else_is_no_key(headers: dict[str, str]) -> None:
    assert KeyRing([OTHER, KEY]).holder(headers) is None


def test_without_a_key_it_is_401_and_nothing_is_stored(tmp_path: Path) -> None:
    with running(tmp_path, keys=(KEY, OTHER)) as receiver:
        for path in ("/v1/traces", "/v1/metrics", "/v1/traces?api_key=a-long-random-key"):
            answer = receiver.post(path, BODY)
            assert answer.status_code == 401
            assert b"x-api-key" in answer.content
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert receiver.post("/runs/batch", b"{}", JSON).json()["error"].startswith("no valid ingest key")
        assert receiver.client.get("/api/public/projects").status_code == 401
        assert receiver.entries == []
        for path in ("/healthz", "/readyz", "/info", "/metrics", "/api/public/health"):
            assert receiver.client.get(path).status_code == 200


def test_what_a_key_sends_is_marked_with_what_the_key_stands_for(tmp_path: Path) -> None:
    with running(tmp_path, keys=(KEY, OTHER)) as receiver:
        for key in (KEY, OTHER):
            assert receiver.post("/v1/traces", BODY, {**PROTOBUF, "x-api-key": key.key}).status_code == 200
        receiver.post("/v1/traces", b"nonsense", {**PROTOBUF, "x-api-key": KEY.key})
        assert [(entry.environment, entry.tenant) for entry in receiver.entries] == [
            ("production", "acme"),
            (None, None),
            ("production", "acme"),
        ]


def test_a_web_page_with_a_key_may_send(tmp_path: Path) -> None:
    headers = {**PROTOBUF, "origin": "https://app.example", "x-api-key": KEY.key}
    with running(tmp_path, keys=(KEY,)) as receiver:
        assert receiver.post("/v1/traces", BODY, headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_near"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.com", False), ("", False)],
)  # fmt: skip
def test_only_this_machine_is_loopback(host: str, is_near: bool) -> None:
    assert is_loopback(host) is is_near


def test_listening_on_the_network_without_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no ingest key is set"):
        check_binding(ReceiverConfig(folder=tmp_path, host="0.0.0.0"))
    check_binding(ReceiverConfig(folder=tmp_path, host="0.0.0.0", keys=(KEY,)))
    check_binding(ReceiverConfig(folder=tmp_path))


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fewer than 8 characters"):
        ReceiverConfig(folder=tmp_path, keys=(IngestKey("short"),))


def test_keys_appear_in_no_representation_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), running(tmp_path, keys=(KEY,)) as receiver:
        receiver.post("/v1/traces", BODY, {**PROTOBUF, "x-api-key": KEY.key})
        receiver.post("/v1/traces", BODY, {**PROTOBUF, "x-api-key": "wrong-but-secret"})
        assert KEY.key not in repr(receiver.config)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpcore")]
    assert not any(KEY.key in text or "wrong-but-secret" in text for text in ours)
