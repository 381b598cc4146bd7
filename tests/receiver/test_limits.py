"""Overload: refused with 503 before memory, disk or drain suffer, and never with anything that loses a batch."""

from __future__ import annotations

import http.client
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from insights_pipeline.receiver import intake
from insights_pipeline.receiver.limits import Limits
from insights_pipeline.receiver.segments import SegmentWriter, segments
from tests.receiver.door_cases import BODY, JSON, PROTOBUF, Running, running

LARGE = BODY * 2_000  # several hundred kB: one request made of many


def limits_of(receiver: Running) -> Limits:
    """The limits, with what was looked up a moment ago forgotten."""
    receiver.door.limits._looked_at = float("-inf")
    return receiver.door.limits


def test_ten_times_too_much_is_only_ever_200_or_503_and_nothing_acknowledged_is_missing(
    tmp_path: Path,
) -> None:
    with running(tmp_path, in_flight_bytes=2 * len(LARGE)) as receiver:

        def send(_: int) -> httpx.Response:
            with httpx.Client(timeout=30) as client:
                return client.post(
                    f"http://127.0.0.1:{receiver.port}/v1/traces", content=LARGE, headers=PROTOBUF
                )

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(send, range(200)))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) <= {200, 503}
        assert statuses[200] > 0
        assert len(receiver.entries) == statuses[200]
        assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
        assert receiver.door.limits.in_flight == 0
        assert receiver.post("/v1/traces", BODY).status_code == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_refused_body_is_not_kept_and_its_sender_sees_why(tmp_path: Path, is_chunked: bool) -> None:
    with running(tmp_path, in_flight_bytes=100_000) as receiver:
        body: Any = (bytes(50_000) for _ in range(100)) if is_chunked else bytes(5_000_000)
        answer = receiver.client.post("/v1/traces", content=body, headers=PROTOBUF)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert b"too many requests are under way; send again" in answer.content
        assert receiver.post("/v1/traces", BODY).status_code == 200  # on the same connection
        assert receiver.door.limits.in_flight == 0


def test_a_client_that_wants_the_connection_closed_sees_the_answer_too(tmp_path: Path) -> None:
    with running(tmp_path, in_flight_bytes=100_000) as receiver:
        for _ in range(5):
            connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
            connection.request("POST", "/v1/traces", bytes(20_000_000), {**PROTOBUF, "connection": "close"})
            assert connection.getresponse().status == 503
            connection.close()


def test_a_promise_of_bytes_takes_no_room_from_others(tmp_path: Path) -> None:
    with running(tmp_path, in_flight_bytes=1_000_000) as receiver:
        promising = [http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10) for _ in range(20)]
        for connection in promising:
            connection.putrequest("POST", "/v1/traces")
            for name, value in {**PROTOBUF, "content-length": "900000"}.items():
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(b"x")
        assert receiver.post("/v1/traces", BODY).status_code == 200
        for connection in promising:
            connection.close()


def test_a_backlog_over_the_limit_is_503_until_the_drain_has_gone_on(tmp_path: Path) -> None:
    with running(tmp_path, max_backlog_mb=1) as receiver:
        limits = limits_of(receiver)
        answers = []
        while not answers or answers[-1] == 200:
            limits_of(receiver)
            answers.append(receiver.post("/v1/traces", LARGE).status_code)
        assert (set(answers), answers[-1]) == ({200, 503}, 503)
        assert limits.backlog > 2**20
        told = {"position": receiver.door.writer.position}
        (tmp_path / "drain.json").write_bytes(orjson.dumps(told))
        limits_of(receiver)
        assert receiver.post("/v1/traces", LARGE).status_code == 200


def test_too_little_free_disk_is_503(tmp_path: Path) -> None:
    with running(tmp_path, min_free_mb=10**9) as receiver:
        answer = receiver.post("/runs/batch", b"{}", JSON)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "MiB of disk are free" in answer.json()["error"]
        assert receiver.entries == []


def test_a_disk_that_fails_is_503_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as receiver:
        assert receiver.post("/v1/traces", BODY).status_code == 200
        sync = os.fsync

        def failing(_: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("insights_pipeline.receiver.segments.os.fsync", failing)
        answer = receiver.post("/v1/traces", BODY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert receiver.client.get("/readyz").status_code == 503
        monkeypatch.setattr("insights_pipeline.receiver.segments.os.fsync", sync)
        receiver.door.writer._retry_at = 0.0
        assert receiver.post("/v1/traces", BODY).status_code == 200
        assert receiver.client.get("/readyz").status_code == 200
        assert len(receiver.entries) == 2


def test_a_folder_that_vanishes_is_503(tmp_path: Path) -> None:
    with running(tmp_path / "log") as receiver:
        shutil.rmtree(tmp_path / "log")
        limits_of(receiver)
        assert receiver.post("/v1/traces", BODY).status_code == 503


def test_a_full_queue_is_503(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        receiver.door.writer.queued_bytes = receiver.config.queue_bytes + 1
        assert b"slower" in receiver.post("/v1/traces", BODY).content
        receiver.door.writer.queued_bytes = 0
        assert receiver.post("/v1/traces", BODY).status_code == 200


def test_an_unforeseen_failure_is_503_and_logs_no_text_of_the_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(kind: str, content: bytes, content_type: str) -> None:
        raise KeyError(content)

    monkeypatch.setattr(intake, "look", broken)
    with running(tmp_path) as receiver:
        answer = receiver.post("/v1/traces", b"secret text of a user")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert receiver.door.limits.in_flight == 0
    assert "KeyError" in caplog.text
    assert "secret text" not in caplog.text


def test_an_undrained_log_of_an_earlier_run_counts_as_backlog(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        receiver.post("/v1/traces", LARGE)
    with running(tmp_path) as receiver:
        limits_of(receiver).look()
        assert receiver.door.limits.backlog == segments(tmp_path)[0].path.stat().st_size
    assert SegmentWriter(tmp_path).position > 0
