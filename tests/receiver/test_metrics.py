"""`/metrics`, `/healthz` and `/readyz` as a scraper and an orchestrator see them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson
from prometheus_client.parser import text_string_to_metric_families

from insights_pipeline.receiver.config import IngestKey
from tests.receiver.door_cases import BODY, Running, broken_protobuf, running


def samples(receiver: Running) -> dict[tuple[str, ...], float]:
    """Values by name and label values, as a Prometheus server parses them."""
    answer = receiver.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def look_anew(receiver: Running) -> None:
    receiver.door.limits._looked_at = float("-inf")


def test_requests_bytes_and_spans_are_counted_by_route(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        mixed = broken_protobuf(good=3, bad=2)
        receiver.post("/v1/traces", BODY)
        receiver.post("/telemetry/v1/traces", mixed)
        receiver.post("/v1/traces", b"nonsense")
        receiver.post("/v1/metrics", b"")
        look_anew(receiver)
        found = samples(receiver)
        assert found["insights_receiver_requests_total", "otlp.traces", "200"] == 2
        assert found["insights_receiver_requests_total", "otlp.traces", "400"] == 1
        assert found["insights_receiver_requests_total", "otlp.metrics", "200"] == 1
        assert found["insights_receiver_body_bytes_total", "otlp.traces"] == len(BODY) + len(mixed)
        assert found["insights_receiver_items_total", "otlp.traces", "readable"] == 5
        assert found["insights_receiver_items_total", "otlp.traces", "unreadable"] == 2
        assert found["insights_receiver_acknowledge_seconds_count", "otlp.traces"] == 2
        assert found["insights_receiver_sync_seconds_count",] == 3
        assert found["insights_receiver_group_entries_sum",] == 3
        assert found["insights_receiver_backlog_bytes",] > len(BODY) + len(mixed)
        assert found["insights_receiver_disk_free_bytes",] > 0
        assert found["insights_receiver_in_flight_bytes",] == 0


def test_unknown_paths_make_no_new_series(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        before = len(samples(receiver))
        for number in range(20):
            receiver.post(f"/nothing/{number}", BODY)
        assert len(samples(receiver)) == before


def test_what_the_drain_publishes_is_shown(tmp_path: Path) -> None:
    told = {
        "position": 0,
        "spans": 12,
        "rejects": 1,
        "batches": 3,
        "last_flush_ns": 5_000_000_000,
        "error": None,
    }
    (tmp_path / "drain.json").write_bytes(orjson.dumps(told))
    with running(tmp_path) as receiver:
        found = samples(receiver)
        assert found["insights_drain_spans_total",] == 12
        assert found["insights_drain_batches_total",] == 3
        assert found["insights_drain_last_flush_timestamp_seconds",] == 5
        assert found["insights_drain_failing",] == 0
        assert ("insights_drain_scores_total",) not in found


def test_a_damaged_drain_file_is_as_none(tmp_path: Path) -> None:
    for content in (b"{", b"[1]", b'{"position": "x", "spans": null}'):
        (tmp_path / "drain.json").write_bytes(content)
        with running(tmp_path) as receiver:
            assert ("insights_drain_spans_total",) not in samples(receiver)
            assert receiver.post("/v1/traces", BODY).status_code == 200


def test_ready_when_there_is_no_drain_and_nothing_is_short(tmp_path: Path) -> None:
    with running(tmp_path, keys=(IngestKey("a-long-random-key"),)) as receiver:
        assert receiver.client.get("/healthz").text == "ok\n"
        answer = receiver.client.get("/readyz")
        assert (answer.status_code, answer.text) == (200, "ready\n")


def test_not_ready_tells_every_reason(tmp_path: Path) -> None:
    (tmp_path / "drain.json").write_bytes(orjson.dumps({"position": 0, "error": "the lake is gone"}))
    old = time.time() - 300
    os.utime(tmp_path / "drain.json", (old, old))
    with running(
        tmp_path, min_free_mb=10**9, drain_trouble=lambda: "the drain ended with exit code 1"
    ) as receiver:
        receiver.door.limits.backlog = 1
        answer = receiver.client.get("/readyz")
        assert answer.status_code == 503
        assert "MiB of disk are free" in answer.text
        assert "the drain ended with exit code 1" in answer.text
        assert "the drain's last attempt failed" in answer.text
        assert receiver.client.get("/healthz").status_code == 200


def test_a_drain_that_is_silent_while_bodies_wait_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path, drain_trouble=lambda: None) as receiver:
        assert receiver.post("/v1/traces", BODY).status_code == 200
        (tmp_path / "drain.json").write_bytes(orjson.dumps({"position": 0, "error": None}))
        look_anew(receiver)
        assert receiver.client.get("/readyz").status_code == 200
        old = time.time() - 300
        os.utime(tmp_path / "drain.json", (old, old))
        look_anew(receiver)
        answer = receiver.client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "the drain has said nothing for 300 s\n")
