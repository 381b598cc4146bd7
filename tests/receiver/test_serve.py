"""`insights receive` as a process: how it starts, refuses to start, ends, and survives being killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from insights_pipeline.receiver.config import IngestKey, ReceiverConfig
from insights_pipeline.receiver.segments import read_entries
from insights_pipeline.receiver.serve import receiving, serve
from tests.receiver.door_cases import BODY, PROTOBUF, send_head


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "insights_pipeline.cli.app", "receive", *options]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "INSIGHTS_LAKE_URI": str(folder / "lake"),
        "INSIGHTS_RECEIVER_DIR": str(folder / "log"),
        **more,
    }


@contextmanager
def started(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and its URL."""
    with subprocess.Popen(
        command("--port", "0", *options),
        env=environment(folder),
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"Receiving on (http://\S+)", process.stdout.readline())
            assert found is not None
            yield process, found[1]
        finally:
            process.kill()


def post(url: str) -> int:
    return httpx.post(f"{url}/v1/traces", content=BODY, headers=PROTOBUF, timeout=20).status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, "--no-drain") as (process, url):
        assert post(url) == 200
        process.send_signal(number)
        assert process.wait(20) == 0
    assert [entry.body for _, entry in read_entries(tmp_path / "log", 0)] == [BODY]


def test_a_request_under_way_is_finished_before_it_ends(tmp_path: Path) -> None:
    with started(tmp_path, "--no-drain") as (process, url):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            send_head(sock, len(BODY))
            sock.sendall(BODY[:10])
            assert post(url) == 200  # the loop has seen the other one by now
            process.send_signal(signal.SIGTERM)
            sock.sendall(BODY[10:])
            assert sock.recv(1_000).startswith(b"HTTP/1.1 200 ")
        assert process.wait(20) == 0
    assert len(list(read_entries(tmp_path / "log", 0))) == 2


def test_what_was_acknowledged_before_a_kill_is_there_and_the_next_one_goes_on(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        with started(tmp_path, "--no-drain") as (process, url), ThreadPoolExecutor(4) as pool:

            def until_it_dies(_: int, url: str = url) -> int:
                count = 0
                try:
                    while post(url) == 200:
                        count += 1
                        if count == 10:
                            process.kill()
                except httpx.TransportError:
                    pass
                return count

            acknowledged += sum(pool.map(until_it_dies, range(4)))
    stored = [entry.body for _, entry in read_entries(tmp_path / "log", 0)]
    assert len(stored) >= acknowledged >= 30
    assert set(stored) == {BODY}


def test_with_its_drain_it_brings_spans_into_the_tables_and_ends_with_0(tmp_path: Path) -> None:
    from insights_pipeline.lake import Lake, Slice

    with started(tmp_path) as (process, url):
        assert post(url) == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert Lake(str(tmp_path / "lake")).read(Slice("spans")).num_rows == 2


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        (("--host", "0.0.0.0"), {}, "no ingest key is set"),
        (("--host", "203.0.113.1"), {"INSIGHTS_INGEST_KEYS": "a-long-random-key"}, "give another --port"),
        ((), {"INSIGHTS_REDACT_PATTERNS": '{"x": "("}'}, "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_clear_message_and_exit_code_2(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    found = subprocess.run(
        command("--port", "0", "--no-drain", *options),
        env=environment(tmp_path, **settings),
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert found.returncode == 2
    assert words in found.stderr
    assert "Traceback" not in found.stderr
    assert "a-long-random-key" not in found.stderr


def test_a_folder_has_one_receiver(tmp_path: Path) -> None:
    with (
        receiving(ReceiverConfig(folder=tmp_path)),
        pytest.raises(ValueError, match="another receiver runs in"),
        receiving(ReceiverConfig(folder=tmp_path)),
    ):
        pass
    with receiving(ReceiverConfig(folder=tmp_path)) as door:
        assert door.writer.is_alive


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ValueError, match=r"cannot listen on .*; give another --port"),
    ):
        serve(ReceiverConfig(folder=tmp_path, port=taken.getsockname()[1], with_drain=False))


def test_help_shows_examples_and_the_options() -> None:
    found = subprocess.run(command("--help"), check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0
    for words in ("insights receive --grpc-port 4317", "--host", "--port", "--no-drain", "ingest key"):
        assert words in found.stdout


def test_settings_become_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from insights_pipeline.cli.receive import config_of
    from insights_pipeline.settings import Settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_INGEST_KEYS", '{"prod": {"key": "a-long-random-key", "tenant": "acme"}}')
    monkeypatch.setenv("INSIGHTS_REDACT", '["email"]')
    monkeypatch.setenv("INSIGHTS_DRAIN_SECONDS", "2")
    config = config_of(Settings(), grpc_port=4317)
    assert config.keys == (IngestKey("a-long-random-key", name="prod", tenant="acme"),)
    assert (config.folder, config.grpc_port) == (Path("data/receiver"), 4317)
    assert config.drain["redaction"] == {"kinds": ["email"], "patterns": {}, "names_model": None}
    assert config.drain["batch_seconds"] == 2
    assert "a-long-random-key" not in repr(config)
