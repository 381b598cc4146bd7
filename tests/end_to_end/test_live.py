"""Traces sent to the running receiver reach the brief through the sensor, and give the tables that files give."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.compute as pc

from insights_pipeline.lake import DayRange, Lake
from tests.end_to_end.conftest import BOOTSTRAP_TRACES, PROJECT, Home, contents

# What the daemon does: looks of the sensor, each followed by the runs that it requests.
_DAEMON = """
import dagster as dg
from insights_pipeline.definitions import defs
from insights_pipeline.defs.resources import resources
from insights_pipeline.settings import settings

sensor = defs.get_repository_def().get_sensor_def("landed_data")
cursor, asked = None, True
with dg.DagsterInstance.ephemeral() as instance:
    while asked:
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources(settings())) as context:
            look = sensor.evaluate_tick(context)
        cursor, asked = look.cursor, list(look.run_requests or ())
        for request in asked:
            print(request.job_name, request.tags, flush=True)
            job = defs.resolve_job_def(request.job_name)
            assert job.execute_in_process(instance=instance, tags=request.tags).success
"""


@contextmanager
def receiving(home: Home) -> Iterator[str]:
    """`insights receive` on the home's lake; gives its address, and ends it as a service manager would."""
    command = [str(Path(sys.executable).with_name("insights")), "receive", "--port", "0"]
    with subprocess.Popen(
        command, cwd=home.folder, env=home.environment, text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\d.:]+", process.stdout.readline())
            assert found is not None
            yield found.group()
        finally:
            process.terminate()
            assert process.wait(60) == 0


def send(folder: Path, address: str) -> None:
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    with httpx.Client(base_url=address, timeout=30) as client:
        for body in sorted(folder.glob("*.pb.gz")):
            assert client.post("/v1/traces", content=body.read_bytes(), headers=headers).status_code == 200


def wait_until_drained(lake: Lake, spans: int) -> None:
    for _ in range(600):
        if lake.row_count("spans") >= spans:
            return
        time.sleep(0.1)
    raise AssertionError(f"{lake.row_count('spans')} of {spans} spans in the lake after a minute")


def test_traffic_sent_to_the_receiver_becomes_the_same_briefs_as_files_without_a_hand_on_it(
    landed: Home, finished: Home, days: DayRange, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, home.folder)
    with receiving(home) as address:
        send(landed.folder / "landing/otlp", address)
        wait_until_drained(home.lake, landed.lake.row_count("spans"))
    environment = {**home.environment, "INSIGHTS_FIRST_DAY": str(days.first)}
    daemon = subprocess.run(
        [sys.executable, "-c", _DAEMON],
        cwd=home.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert daemon.returncode == 0, daemon.stderr[-4000:]
    assert daemon.stdout.count("daily {") == 1, daemon.stdout
    live, files = contents(home.lake), contents(finished.lake)
    assert live["traces"].num_rows > BOOTSTRAP_TRACES
    for name in live:
        assert _of_days(live[name]).to_pylist() == _of_days(files[name]).to_pylist(), name


def _of_days(table: pa.Table) -> pa.Table:
    """Without the time of arrival, and without weeks: of live traffic a schedule makes them on Monday."""
    if "cadence" in table.column_names:
        table = table.filter(pc.equal(table["cadence"], "daily"))
    return table.drop_columns(list({"ingested_ns"} & set(table.column_names)))
