"""`insights baseline …` on a small real lake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from insights_pipeline.cli import baseline
from insights_pipeline.lake import DayRange, Slice, rows_to_table
from insights_pipeline.settings import settings
from tests.cli.drift_lake import DAYS, day, engine_of, make
from tests.drift.traffic import unchanged

NEWEST = day(DAYS - 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline")
    make(folder, unchanged, observe_from=DAYS - 2)
    return folder


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(made / "data/lake"))
    settings.cache_clear()
    yield made
    settings.cache_clear()


def insights(*arguments: str) -> Result:
    return CliRunner().invoke(baseline.app, list(arguments))


def told(*arguments: str) -> Any:
    result = insights(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def shown(*arguments: str) -> str:
    result = insights(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = insights(*arguments)
    assert result.exit_code in (1, 2), result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("verb", ["list", "show"])
def test_every_verb_shows_examples_and_can_print_json(verb: str) -> None:
    text = insights(verb, "--help").output
    assert "Example" in text and "--json" in text


def test_a_baseline_tells_what_the_thirty_days_before_had(home: Path) -> None:
    found = told("show", "Track order")
    assert (found["date"], found["intent_id"]) == (str(NEWEST), "i0")
    of = {row["metric"]: row for row in found["baselines"]}
    days = DayRange.before(NEWEST, 30)
    rows = engine_of(home).lake.read(Slice("traces", days)).to_pylist()
    own = [row for row in rows if row["trace_id"].startswith("i0-")]
    assert of["latency_ms"]["n"] == len(own) and of["latency_ms"]["days"] == 30
    assert of["error_rate"]["rate"] == pytest.approx(sum(row["is_error"] for row in own) / len(own))
    assert of["cost_usd"]["mean"] == pytest.approx(sum(row["cost_usd"] for row in own) / len(own), rel=1e-6)
    assert sum(one["share"] for one in of["tool_mix"]["shares"]) == pytest.approx(1, abs=1e-6)
    text = shown("show", "Track order")
    assert "typical latency" in text and "tools: search" in text


def test_all_traffic_and_a_beginning_of_a_name_can_be_asked_for(home: Path) -> None:
    assert told("show", "all")["intent_id"] == "all"
    assert told("show", "change")["intent_id"] == "i2"
    assert "Track order" in refused("show", "track") and "Track refund" in refused("show", "track")
    assert "insights baseline list" in refused("show", "nothing like it")
    assert "no such traffic" in refused("show", "unknown")


def test_one_metric_and_an_earlier_day_can_be_asked_for(home: Path) -> None:
    found = told("show", "i1", "--metric", "latency", "--date", str(day(DAYS - 2)))
    assert found["date"] == str(day(DAYS - 2))
    assert {row["metric"] for row in found["baselines"]} <= {"latency_ms", "latency_p95_ms"}
    assert "latency_ms" in refused("show", "i1", "--metric", "speed")
    assert "no baselines on 2020-01-01" in refused("list", "--date", "2020-01-01")


def test_the_list_has_a_line_for_each_series_and_obeys_no_name(home: Path) -> None:
    text = shown("list")
    assert "Change address" in text and "5 baselines" in text
    assert "\x1b[31m" not in text and "\x07" not in text
    metrics = {row["metric"] for row in told("list", "--metric", "error")["baselines"]}
    assert metrics == {"error_rate"}


def test_a_slice_that_has_a_baseline_of_its_own_is_found_and_another_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "INSIGHTS_BASELINE_GROUPS" in refused("show", "i0", "--slice", "tenant=acme")
    engine = engine_of(tmp_path)
    kept = engine_of(home).lake.read(Slice("baselines", DayRange.single(NEWEST))).to_pylist()
    sliced = [{**row, "slice": "tenant=acme"} for row in kept if row["intent_id"] == "i0"]
    engine.lake.append("baselines", rows_to_table("baselines", [*kept, *sliced]))
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "data/lake"))
    settings.cache_clear()
    found = told("show", "i0", "--slice", "tenant=acme")
    assert found["slice"] == "tenant=acme" and {row["slice"] for row in found["baselines"]} == {"tenant=acme"}
    assert told("show", "i0")["slices"] == ["tenant=acme"]
    assert "tenant=acme" in shown("show", "i0")
    assert "tenant=acme" in refused("show", "i0", "--slice", "tenant=other")
