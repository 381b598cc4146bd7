"""The demo's traffic sent live: receiver → landed-data sensor → run → brief, without a hand on it.

    python benchmarks/live.py [--days 60] [--scale 1.0] [--keep FOLDER] [--json]

Starts `insights receive` and `dagster dev` in a temporary folder with an empty lake, posts the traffic's OTLP bodies
as an exporter does (503 is tried again), and waits for the brief of the last day. The judge of the demo then compares
the run with what was injected.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from backfill import RUNS, Dagster, project_folder

from insights_pipeline.demo.judge import judge
from insights_pipeline.demo.traffic import TrafficReport, write_traffic
from insights_pipeline.lake import DuckDBEngine, Lake, connect_with, engine_config, today

HEADERS = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}


@contextlib.contextmanager
def receiver(folder: Path) -> Iterator[str]:
    """A receiver of its own; gives its address."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("insights")), "receive", "--port", str(port)]
    with (folder / "receiver.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        if process.poll() is not None:
            raise SystemExit("the receiver ended early: see receiver.log")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.25)
    raise SystemExit("the receiver was not ready after a minute: see receiver.log")


def send(traffic: TrafficReport, address: str) -> float:
    """Post every body; gives the seconds it took."""
    started = time.monotonic()
    with httpx.Client(timeout=60) as client:
        for file in traffic.files:
            while (
                answer := client.post(f"{address}/v1/traces", content=file.read_bytes(), headers=HEADERS)
            ).status_code == 503:
                time.sleep(float(answer.headers["retry-after"]))
            answer.raise_for_status()
    return time.monotonic() - started


def wait_for_spans(lake: Lake, spans: int, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while lake.row_count("spans") < spans:
        if time.monotonic() > deadline:
            raise SystemExit(f"{lake.row_count('spans')} of {spans} spans in the lake after {seconds} s")
        time.sleep(0.5)


def wait_for_brief(dagster: Dagster, lake: Lake, last: date, *, seconds: float) -> list[dict[str, Any]]:
    """Wait until the last day has its brief and nothing runs any more; gives the runs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        runs: list[dict[str, Any]] = dagster.ask(RUNS)["runsOrError"]["results"]
        running = [run for run in runs if run["status"] not in ("SUCCESS", "FAILURE", "CANCELED")]
        if not running and last in lake.days("briefs"):
            return runs
        time.sleep(1)
    raise SystemExit(f"no brief of {last} after {seconds} s: see dagster-dev.log")


def measure(folder: Path, *, days: int, scale: float) -> dict[str, Any]:
    lake_uri = str(folder / "data/lake")
    os.environ["INSIGHTS_LAKE_URI"] = lake_uri
    last = today() - timedelta(days=1)
    traffic = write_traffic(folder / "landing", days=days, end=last, scale=scale)
    lake, dagster = Lake(lake_uri), Dagster(folder)
    try:
        loaded = dagster.wait_until_loaded(180)
        with receiver(folder) as address:
            started = time.monotonic()
            sending = send(traffic, address)
            wait_for_spans(lake, traffic.spans, seconds=300)
            landed = time.monotonic() - started
            runs = wait_for_brief(dagster, lake, last, seconds=900)
            briefed = time.monotonic() - started
    finally:
        dagster.stop()
    spill = engine_config(threads=2, memory_mb=1024, temp_dir=folder / "spill")
    verdict = judge(DuckDBEngine(lake, connect_with(spill)), folder / "landing")
    return {
        "dagster_loaded_s": round(loaded, 1),
        "traces": traffic.traces,
        "spans": traffic.spans,
        "sent_s": round(sending, 1),
        "in_the_lake_s": round(landed, 1),
        "brief_s": round(briefed, 1),
        "runs": len(runs),
        "runs_failed": sum(run["status"] == "FAILURE" for run in runs),
        "incidents_found": f"{verdict.found} of {len(verdict.matches)}",
        "lines_not_injected": len(verdict.not_injected),
        "judge": "PASS" if verdict.passed else "FAIL",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the demo's traffic")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with project_folder(options.keep) as folder:
        figures = measure(folder.resolve(), days=options.days, scale=options.scale)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{name:<20} {figure}" for name, figure in figures.items()))
    if figures["runs_failed"] or figures["judge"] != "PASS":
        sys.exit(1)


if __name__ == "__main__":
    main()
