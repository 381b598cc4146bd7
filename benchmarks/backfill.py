"""A backfill launched the way the Dagster UI does, while a reader polls every table.

    python benchmarks/backfill.py [--days 30] [--also 3] [--keep FOLDER] [--json]

Starts `dagster dev` in a temporary folder on demo traffic, asks for one asset backfill of the whole lineage and, at the
same time, for `--also` more that write the same tables for parts of the same days; then for a week and a month. The
landed-data sensor is on, as it always is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
DAILY = [
    "spans",
    "traces",
    "trace_embeddings",
    "intent_model",
    "trace_intents",
    "intent_rollups",
    "baselines",
    "drift_observations",
    "daily_brief",
]
LAUNCH = """
mutation Launch($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status numPartitions error { message } }
  }
}"""
RUNS = "query { runsOrError { ... on Runs { results { runId status startTime endTime } } } }"
LOADED = """
query { workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"""


class Dagster:
    """A `dagster dev` of its own in a folder, spoken to in GraphQL."""

    def __init__(self, folder: Path) -> None:
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [str(Path(sys.executable).with_name("dagster")), "dev", "--host", "127.0.0.1"]
        environment = {**os.environ, "DAGSTER_HOME": str(folder)}
        self._log = (folder / "dagster-dev.log").open("wb")
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            cwd=folder,
            env=environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            reply: dict[str, Any] = json.load(answer)
        if "errors" in reply:
            raise RuntimeError(json.dumps(reply["errors"])[:2000])
        data: dict[str, Any] = reply["data"]
        return data

    def wait_until_loaded(self, seconds: float) -> float:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if self._process.poll() is not None:
                raise RuntimeError("dagster dev ended early: see dagster-dev.log")
            with contextlib.suppress(OSError, RuntimeError):
                entries = self.ask(LOADED)["workspaceOrError"]["locationEntries"]
                kinds = [(e["locationOrLoadError"] or {}).get("__typename") for e in entries]
                if "PythonError" in kinds:
                    raise SystemExit("the code location failed to load: see dagster-dev.log")
                if kinds == ["RepositoryLocation"]:
                    return time.monotonic() - started
            time.sleep(0.5)
        raise TimeoutError(f"dagster dev was not ready after {seconds} s")

    def backfill(self, assets: list[str], partitions: list[str]) -> str:
        params = {"assetSelection": [{"path": [name]} for name in assets], "partitionNames": partitions}
        reply = self.ask(LAUNCH, backfill=params)["launchPartitionBackfill"]
        if reply["__typename"] != "LaunchBackfillSuccess":
            raise RuntimeError(str(reply))
        return str(reply["backfillId"])

    def status(self, backfill: str) -> str:
        found = self.ask(STATUS, id=backfill)["partitionBackfillOrError"]
        return str(found["status"])

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        with contextlib.suppress(ProcessLookupError):  # the daemon and the web server may outlive it
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()


class Reader(threading.Thread):
    """Reads every table again and again, counting reads and failures."""

    def __init__(self, lake_uri: str) -> None:
        super().__init__(daemon=True)
        from insights_pipeline.lake import Lake
        from insights_pipeline.lake.tables import TABLES

        self._lake, self._tables = Lake(lake_uri), list(TABLES)
        self.reads, self.failures = 0, list[str]()
        self.done = threading.Event()

    def run(self) -> None:
        from insights_pipeline.lake import Slice

        while not self.done.is_set():
            for table in self._tables:
                try:
                    self._lake.read(Slice(table, columns=("date",)))
                except Exception as error:  # noqa: BLE001 – every failure is counted and printed
                    self.failures.append(f"{table}: {error}")
                self.reads += 1
            time.sleep(0.05)


@contextlib.contextmanager
def project_folder(keep: Path | None) -> Iterator[Path]:
    folder = keep or Path(tempfile.mkdtemp(prefix="insights-backfill-"))
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def bring_traffic(folder: Path, *, days: int, scale: float) -> list[date]:
    from insights_pipeline.demo.traffic import write_traffic
    from insights_pipeline.lake import Lake, now_ns, today
    from insights_pipeline.traces.ingest import ingest_paths

    traffic = write_traffic(
        folder / "landing", seed=7, days=days, end=today() - timedelta(days=1), scale=scale
    )
    report = ingest_paths(
        Lake(str(folder / "data/lake")), [traffic.folder], now_ns=now_ns(), max_field_chars=100_000
    )
    return sorted(report.days)


def runs_at_once(runs: list[dict[str, Any]]) -> int:
    edges = [(run["startTime"], 1) for run in runs if run["startTime"]]
    edges += [(run["endTime"], -1) for run in runs if run["endTime"]]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def wait(dagster: Dagster, backfills: list[str], seconds: float) -> dict[str, str]:
    deadline = time.monotonic() + seconds
    while True:
        states = {backfill: dagster.status(backfill) for backfill in backfills}
        if not {"REQUESTED", "CANCELING"} & set(states.values()) or time.monotonic() > deadline:
            return states
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument(
        "--also", type=int, default=3, help="more backfills of the same days at the same time"
    )
    parser.add_argument("--scale", type=float, default=0.2, help="share of the demo's traffic")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with project_folder(options.keep) as folder:
        days = bring_traffic(folder, days=options.days + 32, scale=options.scale)
        os.environ["INSIGHTS_LAKE_URI"] = str(folder / "data/lake")
        dagster, reader = Dagster(folder), Reader(str(folder / "data/lake"))
        try:
            figures = measure(dagster, reader, [str(day) for day in days[: options.days]], options.also)
        finally:
            reader.done.set()
            dagster.stop()
    print(
        json.dumps(figures, indent=2)
        if options.json
        else "\n".join(f"{k:<24} {v}" for k, v in figures.items())
    )
    if figures["failed_reads"] or set(figures["backfills"].values()) != {"COMPLETED_SUCCESS"}:
        sys.exit(1)


def measure(dagster: Dagster, reader: Reader, days: list[str], also: int) -> dict[str, Any]:
    loaded = dagster.wait_until_loaded(180)
    reader.start()
    started = time.monotonic()
    backfills = [dagster.backfill(DAILY, days)]
    size = -(-len(days) // max(1, also))
    backfills += [
        dagster.backfill(["spans", "traces"], days[i : i + size]) for i in range(0, size * also, size)
    ]
    states = wait(dagster, backfills, 900)
    seconds = time.monotonic() - started
    first = date.fromisoformat(days[0])
    monday = first + timedelta(days=-first.weekday() % 7)
    month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    windows = {
        "weekly_brief": dagster.backfill(["weekly_brief"], [str(monday)]),
        "monthly_brief": dagster.backfill(["monthly_brief"], [str(month)]),
    }
    states |= wait(dagster, list(windows.values()), 300)
    runs = dagster.ask(RUNS)["runsOrError"]["results"]
    return {
        "seconds_to_load": round(loaded, 1),
        "days": len(days),
        "seconds": round(seconds, 1),
        "backfills": states,
        "runs": len(runs),
        "runs_failed": sum(run["status"] == "FAILURE" for run in runs),
        "most_runs_at_once": runs_at_once(runs),
        "reads": reader.reads,
        "failed_reads": len(reader.failures),
        "failures": reader.failures[:3],
    }


if __name__ == "__main__":
    main()
