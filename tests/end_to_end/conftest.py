from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from insights_pipeline.lake import DayRange, Lake, Slice, now_ns
from insights_pipeline.lake.tables import TABLES

PROJECT = Path(__file__).resolve().parents[2]
DAYS = 10
LAST_DAY = date(2026, 3, 22)  # a Sunday: the days hold one whole week
BOOTSTRAP_TRACES = 200

_RUN = """
import sys
from datetime import date
from insights_pipeline.cli.run import materialise
from insights_pipeline.lake import DayRange
for pair in sys.argv[1:]:
    first, last = map(date.fromisoformat, pair.split(".."))
    report = materialise(DayRange(first, last))
    assert report.success, report.errors
"""


@dataclass(frozen=True)
class Home:
    """A working folder with its own lake and Dagster history, as a person would have."""

    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "data/lake"))

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "INSIGHTS_LAKE_URI": str(self.folder / "data/lake"),
            "INSIGHTS_BOOTSTRAP_TRACES": str(BOOTSTRAP_TRACES),
            "INSIGHTS_THREADS": "2",
        }

    def copy(self, folder: Path) -> Home:
        shutil.copytree(self.folder, folder)
        return Home(folder)

    def start(self, ranges: Sequence[DayRange]) -> subprocess.Popen[str]:
        """Start the daily job over each range in turn, in one process of its own."""
        arguments = [f"{days.first}..{days.last}" for days in ranges]
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *ranges: DayRange) -> None:
        process = self.start(ranges)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output[-4000:]


@pytest.fixture(scope="session")
def days() -> DayRange:
    return DayRange(LAST_DAY - timedelta(days=DAYS - 1), LAST_DAY)


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two weeks of demo traffic, ingested and not yet processed."""
    from insights_pipeline.demo.traffic import write_traffic
    from insights_pipeline.traces.ingest import ingest_paths

    home = Home(tmp_path_factory.mktemp("landed"))
    shutil.copy(PROJECT / "dagster.yaml", home.folder)
    traffic = write_traffic(home.folder / "landing", seed=3, days=DAYS, end=LAST_DAY, scale=0.25)
    report = ingest_paths(home.lake, [traffic.folder], now_ns=now_ns(), max_field_chars=100_000)
    assert report.rejects == 0
    return home


@pytest.fixture(scope="session")
def finished(landed: Home, days: DayRange, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same traffic after one run over the whole range."""
    home = landed.copy(tmp_path_factory.mktemp("finished") / "home")
    home.run(days)
    return home


def contents(lake: Lake, *, leave_out: frozenset[str] = frozenset()) -> dict[str, pa.Table]:
    """Every table by value: all columns, sorted by key, map columns as lists."""
    tables = {}
    for name, contract in TABLES.items():
        if name not in leave_out:
            keys = [*contract.partition_by, *contract.key]
            tables[name] = lake.read(Slice(name)).sort_by([(key, "ascending") for key in dict.fromkeys(keys)])
    return tables


def assert_equal_tables(left: Lake, right: Lake) -> None:
    one, other = contents(left), contents(right)
    for name in one:
        assert one[name].num_rows == other[name].num_rows, name
        for column in one[name].column_names:
            assert one[name][column].to_pylist() == other[name][column].to_pylist(), f"{name}.{column}"
