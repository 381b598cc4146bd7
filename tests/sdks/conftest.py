"""All agents, one after the other, against one receiver and one endpoint; then the traces that came of each."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, connect_with, day_of_ns, engine_config
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from tests.sdks.agents import scenario
from tests.sdks.environments import FOLDER, HERE, NODE, RUNS, is_ready
from tests.sdks.openai_endpoint import openai_endpoint
from tests.sdks.refusing_proxy import refusing_proxy

KEY = "a-key-for-the-tests-of-sdks"
# What a program needs of the machine it runs on; no OTEL_… or LANGSMITH_… of whoever runs the tests.
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT")
_AGENT_SECONDS = 120
_SCENARIO = {
    "session": scenario.SESSION,
    "user": scenario.USER,
    "tenant": scenario.TENANT,
    "model": scenario.MODEL,
    "system": scenario.SYSTEM,
    "forecast": scenario.FORECAST,
    "stream": scenario.STREAM,
    "turns": [scenario.WEATHER, scenario.STREAM, scenario.FAIL],
}


@dataclass(frozen=True)
class Outcome:
    """What an agent said of its turns (question, ms, answer or raised), and the rows of its traces by start.

    `failure` is what it said on stderr if it did not end well.
    """

    turns: list[dict[str, Any]]
    traces: list[dict[str, Any]]
    failure: str


@dataclass(frozen=True)
class Outcomes:
    """Outcomes by run, what the receiver rejected, and by run the paths that were answered 503 once."""

    of: dict[str, Outcome]
    rejects: list[dict[str, Any]]
    refusals: dict[str, list[str]]


@dataclass(frozen=True)
class Receiver:
    url: str
    grpc: str
    home: Path

    @property
    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"))


def is_required() -> bool:
    return os.environ.get("SDKS") == "required"


def require(run: str) -> None:
    """Skip a run whose environment is not there; under `make test-sdks` that is an error."""
    name = str(RUNS[run]["environment"])
    if not is_ready(name) and not is_required():
        pytest.skip(f"the environment of {name} is not there: make test-sdks")


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """The outcome of every run that a collected test asks for and whose environment is there."""
    return _outcomes(_asked(request, "run"), tmp_path_factory.mktemp("sdks"))


@pytest.fixture(scope="session")
def outcomes_after_503(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """The same for each `refused_run`: the receiver answers the first body of each path that it has too much to do."""
    return _outcomes(_asked(request, "refused_run"), tmp_path_factory.mktemp("sdks503"), refuse=True)


def _asked(request: pytest.FixtureRequest, parameter: str) -> list[str]:
    asked = {
        item.callspec.params.get(parameter)
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    return [
        run for run in RUNS if run in asked and (is_required() or is_ready(str(RUNS[run]["environment"])))
    ]


def _outcomes(runs: list[str], home: Path, *, refuse: bool = False) -> Outcomes:
    said: dict[str, tuple[int, int, list[dict[str, Any]], str]] = {}
    refusals: dict[str, list[str]] = {}
    with openai_endpoint() as openai, _receiver(home) as receiver:
        for run in runs:
            started = time.time_ns()
            if refuse:
                with refusing_proxy(receiver.url) as (url, refusals[run]):
                    turns, failure = _run_agent(run, replace(receiver, url=url), openai)
            else:
                turns, failure = _run_agent(run, receiver, openai)
            said[run] = started, time.time_ns(), turns, failure
    rows = _traces(receiver.lake, home / "spill")
    found = {
        run: Outcome(turns, [row for row in rows if started <= row["start_ns"] <= ended], failure)
        for run, (started, ended, turns, failure) in said.items()
    }
    return Outcomes(found, receiver.lake.read(Slice("rejects")).to_pylist(), refusals)


def _run_agent(run: str, receiver: Receiver, openai: str) -> tuple[list[dict[str, Any]], str]:
    settings = RUNS[run]
    name, agent = str(settings["environment"]), str(settings["agent"])
    pointed = settings["env"]
    assert isinstance(pointed, dict)
    environment = {
        **{key: os.environ[key] for key in _INHERITED if key in os.environ},
        **{
            key: value.format(receiver=receiver.url, grpc=receiver.grpc, key=KEY)
            for key, value in pointed.items()
        },
        "OPENAI_BASE_URL": openai,
        "OPENAI_API_KEY": "none",
        "SCENARIO": json.dumps(_SCENARIO),
        "TRACELOOP_TELEMETRY": "false",  # to its makers
    }
    if name in NODE:  # modules are looked for beside the script
        command = ["node", shutil.copy(HERE / "agents" / agent, FOLDER / name)]
    else:
        command = [str(FOLDER / name / "bin/python"), str(HERE / "agents" / agent)]
    try:
        done = subprocess.run(
            command,
            cwd=receiver.home,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=_AGENT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], str(error)
    turns = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return turns, f"exit code {done.returncode}: {done.stderr[-4_000:]}" if done.returncode else ""


@contextmanager
def _receiver(home: Path) -> Iterator[Receiver]:
    """`insights receive` on free ports. At the end it is told to stop, and has then brought all into the lake."""
    port, grpc_port = _free_port(), _free_port()
    receiver = Receiver(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{grpc_port}", home)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("INSIGHTS_")},
        "INSIGHTS_LAKE_URI": str(home / "lake"),
        "INSIGHTS_RECEIVER_DIR": str(home / "receiver"),
        "INSIGHTS_INGEST_KEYS": KEY,
        "INSIGHTS_DRAIN_SECONDS": "0.5",
    }
    command = [str(Path(sys.executable).with_name("insights")), "receive"]
    with (home / "receiver.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--grpc-port", str(grpc_port)],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(f"{receiver.url}/readyz", process, home / "receiver.log")
            yield receiver
        finally:
            process.terminate()
            code = process.wait(timeout=60)
    assert code == 0, (home / "receiver.log").read_text()[-4_000:]


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"the receiver does not start: {log.read_text()[-4_000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _traces(lake: Lake, spill: Path) -> list[dict[str, Any]]:
    starts = lake.read(Slice("spans", columns=("start_ns",))).column("start_ns").to_pylist()
    days = DayRange(day_of_ns(min(starts)), day_of_ns(max(starts)))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=spill)))
    compact_spans(engine, days)
    assemble_traces(engine, days)
    return sorted(lake.read(Slice("traces")).to_pylist(), key=lambda row: int(row["start_ns"]))
