from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from insights_pipeline.brief.read import read_brief
from insights_pipeline.lake import DayRange, Slice
from tests.end_to_end.conftest import BOOTSTRAP_TRACES, Home, assert_equal_tables


def test_otlp_files_become_a_brief(finished: Home, days: DayRange) -> None:
    lake = finished.lake
    for table in ("traces", "trace_embeddings", "intents", "trace_intents", "intent_rollups", "baselines"):
        assert lake.row_count(table) > 0, table
    assert lake.days("briefs") == set(days)
    models = lake.read(Slice("intent_models")).sort_by("date").to_pylist()
    assert models[-1]["status"] == "ready"
    learning = [model for model in models if model["status"] == "learning"]
    assert all(model["traces_seen"] < BOOTSTRAP_TRACES for model in learning)
    brief = read_brief(lake, "daily", days.last)
    assert brief is not None and brief["status"] in ("quiet", "changed")


def test_a_week_that_ends_in_the_range_has_its_brief_too(finished: Home, days: DayRange) -> None:
    weekly = read_brief(finished.lake, "weekly", None)
    assert weekly is not None
    assert (weekly["window_first"], weekly["window_last"]) == (days.last - timedelta(days=6), days.last)
    assert read_brief(finished.lake, "monthly", None) is None
    observed = finished.lake.read(Slice("drift_observations", columns=("date",), cadence="weekly"))
    assert set(observed["date"].to_pylist()) == {weekly["window_first"]}


def test_every_trace_is_classified_once_and_belongs_to_the_day_it_started(finished: Home) -> None:
    traces = finished.lake.read(Slice("traces", columns=("date", "trace_id"))).sort_by("trace_id")
    classified = finished.lake.read(Slice("trace_intents", columns=("date", "trace_id"))).sort_by("trace_id")
    assert traces.equals(classified)
    assert len(set(traces["trace_id"].to_pylist())) == traces.num_rows


def test_day_by_day_gives_the_tables_of_the_range_in_one_run(
    landed: Home, finished: Home, days: DayRange, tmp_path: Path
) -> None:
    home = landed.copy(tmp_path / "home")
    home.run(*(DayRange.single(day) for day in days))
    assert_equal_tables(home.lake, finished.lake)


def test_materialising_days_again_changes_nothing(finished: Home, days: DayRange, tmp_path: Path) -> None:
    home = finished.copy(tmp_path / "home")
    middle = days.first + timedelta(days=6)
    home.run(DayRange.single(days.first), DayRange.single(middle), DayRange(middle, days.last), days)
    assert_equal_tables(home.lake, finished.lake)


@pytest.mark.parametrize("table", ["traces", "intents", "drift_observations"])
def test_a_run_killed_in_the_middle_and_repeated_gives_the_same_tables(
    landed: Home, finished: Home, days: DayRange, tmp_path: Path, table: str
) -> None:
    home = landed.copy(tmp_path / "home")
    process = home.start([days])
    log = home.folder / "data/lake" / table / "_delta_log"
    while process.poll() is None and not log.exists():
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -9, "the run ended before it could be killed"
    assert home.lake.row_count("briefs") == 0
    home.run(days)
    assert_equal_tables(home.lake, finished.lake)
