"""The receiver and its drain as processes, under load: killed, stopped, and asked for every span they acknowledged."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.receiver_load import Load, LoadProcess, missing_and_repeated
from benchmarks.receiver_process import ReceiverProcess

FIRST = 10**9


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[ReceiverProcess]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    found = ReceiverProcess(tmp_path, port=port, environment={"INSIGHTS_DRAIN_SECONDS": "0.5"})
    yield found
    if found.is_running():
        found.stop()


def load_on(receiver: ReceiverProcess) -> LoadProcess:
    return LoadProcess(
        Load(receiver.port, FIRST, span_bytes=1_000, batch=16, connections=2, again=False, pause_seconds=0.01)
    )


def test_what_was_acknowledged_is_in_the_lake_once_whoever_was_killed_meanwhile(
    receiver: ReceiverProcess,
) -> None:
    rng = random.Random(5)
    receiver.start()
    load = load_on(receiver)
    for victim in ("door", "drain", "both", "door", "both"):
        time.sleep(rng.uniform(0.1, 1.5))
        if victim == "drain":
            assert receiver.kill_drain()
            continue
        receiver.kill_door() if victim == "door" else receiver.kill_both()
        receiver.start()
    time.sleep(0.5)
    load.stop()
    outcome = load.outcome()
    assert receiver.stop() == 0
    assert outcome.spans("acknowledged") > 0
    assert outcome.spans("unknown") > 0, "nothing was under way when it was killed"
    missing, repeated, stored = missing_and_repeated(receiver.lake_uri, outcome.acknowledged)
    assert (missing, repeated) == (0, 0)
    assert stored <= outcome.spans("acknowledged") + outcome.spans("unknown")


def test_sigterm_under_load_ends_in_order_with_all_that_was_acknowledged_in_the_lake(
    receiver: ReceiverProcess,
) -> None:
    receiver.start()
    load = load_on(receiver)
    time.sleep(2)
    assert receiver.stop() == 0
    load.stop()
    outcome = load.outcome()
    assert outcome.spans("acknowledged") > 0
    assert missing_and_repeated(receiver.lake_uri, outcome.acknowledged)[:2] == (0, 0)
    assert receiver.backlog_bytes() == 0
    assert "Traceback" not in receiver.log
