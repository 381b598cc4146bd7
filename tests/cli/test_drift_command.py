"""`insights drift …` on a small real lake: what it shows, what it stores, and that a run applies it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from insights_pipeline.cli import drift
from insights_pipeline.cli.plot import HEIGHT, plot
from insights_pipeline.drift.life.decisions import decisions_of
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.read import grave_items
from insights_pipeline.lake import DayRange, Slice
from insights_pipeline.settings import settings
from insights_pipeline.state import State, drift_decisions
from tests.cli.drift_lake import CHANGED, DAYS, day, engine_of, make
from tests.drift.traffic import Behaviour

VERBS = ["list", "show", "explain", "accept", "dismiss", "undo", "decisions"]
TODAY = day(DAYS - 1)


def change(intent: str, offset: int, usual: Behaviour) -> Behaviour:
    return replace(usual, latency=usual.latency * 2) if intent == "i0" and offset >= CHANGED else usual


def dress(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Two tenants; from the change on, half of what one of them asks about i1 fails."""
    intent, _, number = trace["trace_id"].split("-")
    tenant = ("acme", "globex")[int(number) % 2]
    broken = intent == "i1" and tenant == "acme" and trace["date"] >= day(CHANGED) and int(number) % 4 == 0
    return {**trace, "tenant_id": tenant, "primary_model": "mini", "is_error": trace["is_error"] or broken}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drift")
    make(folder, change, dress=dress)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the lake to work in."""
    shutil.copytree(made / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "data/lake"))
    monkeypatch.setenv("INSIGHTS_STATE_URL", f"sqlite:///{tmp_path}/data/state.db")
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def insights(*arguments: str) -> Result:
    return CliRunner().invoke(drift.app, list(arguments))


def told(*arguments: str) -> Any:
    result = insights(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def items(*arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["intent_id"], row["metric"]): row for row in told("list", *arguments)["items"]}


def refused(*arguments: str) -> str:
    result = insights(*arguments)
    assert result.exit_code in (1, 2), result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_examples_and_can_print_json(verb: str) -> None:
    shown = insights(verb, "--help").output
    assert "Example" in shown and "--json" in shown


def test_without_a_verb_the_open_items_are_listed_weightiest_first(home: Path) -> None:
    assert told() == told("list")
    listed = told("list")
    assert listed["date"] == str(TODAY) and listed["status"] == "ready"
    assert {row["state"] for row in listed["items"]} <= {"new", "ongoing", "recovering", "no_data"}
    latency = items()["i0", "latency_ms"]
    assert (latency["intent"], latency["direction"]) == ("Track order", "up")
    assert latency["effect"] == pytest.approx(1.0, rel=0.3)
    carried = items()["i1", "error_rate"]["explanation"]["carriers"]
    assert (carried[0]["dimension"], carried[0]["value"]) == ("tenant", "acme")
    shown = insights().stdout
    assert "tenant acme" in shown
    assert "drift items on" in shown and "Track order" in shown and latency["item_id"] in shown


def test_the_list_is_narrowed_by_intent_metric_and_state(home: Path) -> None:
    assert {key[0] for key in items("--intent", "track order")} == {"i0"}
    assert {key[1] for key in items("--metric", "error")} == {"error_rate"}
    on_opening = {row["item_id"] for row in told("list", "--date", str(day(CHANGED + 3)), "--all")["items"]}
    assert on_opening
    assert {row["state"] for row in told("list", "--state", "ongoing")["items"]} == {"ongoing"}
    assert "recovering" in refused("--state", "closed")
    assert "Track order" in refused("--intent", "trakc")


def test_a_script_that_gives_options_before_the_verb_is_refused(home: Path) -> None:
    assert "options come after the verb" in refused("--json", "list")


def test_an_item_is_named_by_its_id_a_beginning_of_it_or_its_intent(home: Path) -> None:
    item = items()["i1", "error_rate"]
    for reference in (item["item_id"], item["item_id"][:9], item["item_id"][4:12]):
        assert told("show", reference)["item_id"] == item["item_id"]
    assert told("show", "Track refund")["item_id"] == item["item_id"]
    said = refused("show", "drf_nothing")
    assert item["item_id"] in said and "insights drift list --all" in said
    assert "may be" in refused("show", "drf_")


def test_an_item_is_shown_with_its_days_its_tests_and_its_traces(home: Path) -> None:
    facts = told("show", items()["i0", "latency_ms"]["item_id"])
    states = [row["state"] for row in facts["history"]]
    assert "new" in states and states[-1] == "ongoing"
    horizons = [row["horizon"] for row in facts["tests"]]
    assert horizons[:3] == ["1d", "3d", "7d"] and horizons[-1] == "30d"
    week = facts["tests"][2]
    assert week["verdict"] == "drift" and week["p"] < 0.001
    assert week["effect_low"] < week["effect"] < week["effect_high"]
    shown = insights("show", facts["item_id"]).stdout
    for word in (
        "Track order: typical latency up",
        "Tests of the day",
        "Its days",
        "detectable",
        "quarantined",
    ):
        assert word in shown, shown
    assert facts["trace_ids"][0] in shown


def test_a_change_is_taken_apart_and_its_days_are_drawn(home: Path) -> None:
    item = items()["i1", "error_rate"]
    facts = told("explain", item["item_id"])
    apart = facts["decomposition"]
    assert {"tenant", "tool"} <= set(apart["dimensions"])
    tenants = apart["dimensions"]["tenant"]
    assert sum(row["own"] + row["mix"] for row in tenants) == pytest.approx(
        apart["total"]["change"], rel=1e-6
    )
    assert tenants[0]["value"] == "acme"
    daily = {row["date"]: row for row in facts["daily"]["days"]}
    traces = engine_of(home).lake.read(Slice("traces", DayRange.single(TODAY))).to_pylist()
    own = [row["is_error"] for row in traces if row["trace_id"].startswith("i1-")]
    assert daily[str(TODAY)]["value"] == pytest.approx(sum(own) / len(own))
    assert facts["daily"]["low"] < facts["daily"]["mean"] < facts["daily"]["high"] < 0.2
    assert daily[str(TODAY)]["value"] > facts["daily"]["high"]
    assert not daily[str(TODAY)]["baseline"] and daily[str(day(CHANGED - 5))]["baseline"]
    shown = insights("explain", item["item_id"]).stdout
    lines = [line.split() for line in shown.splitlines()]
    assert int(next(line for line in lines if line[:1] == ["acme"])[-2]) > 80
    assert next(line for line in lines if line[:1] == ["all"])[-2:] == ["100", "%"]
    assert "Error rate day by day" in shown and "○" in shown and "░" in shown


def test_grave_items_are_the_open_ones_of_high_or_critical_severity_gravest_first(home: Path) -> None:
    grave = grave_items(engine_of(home).lake, TODAY)
    severities = [row["severity"] for row in grave]
    assert severities == sorted(severities, key=["critical", "high"].index) and severities[0] == "critical"
    assert {("Track order", "latency_ms"), ("Track refund", "error_rate")} <= {
        (row["intent"], row["metric"]) for row in grave
    }
    assert grave_items(engine_of(home).lake, day(CHANGED - 2)) == []
    assert grave_items(engine_of(home).lake, date(2020, 1, 1)) == []


def test_an_intent_that_carries_a_change_of_all_traffic_is_called_by_its_name(home: Path) -> None:
    item = items()["all", "error_rate"]
    carriers = {one["dimension"]: one for one in item["explanation"]["carriers"]}
    assert (carriers["intent"]["value"], carriers["intent"]["name"]) == ("i1", "Track refund")
    assert "intent Track refund" in insights("show", item["item_id"]).stdout
    assert "Track refund" in insights("explain", item["item_id"]).stdout


def observed(home: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The newest day run again with what people decided."""
    made = decisions_of(drift_decisions(State(f"sqlite:///{home}/data/state.db")))
    observe_days(engine_of(home), DayRange.single(TODAY), decisions=made)
    return items("--all")


def test_an_accepted_item_is_closed_by_the_run_that_the_command_names(home: Path) -> None:
    item = items()["i0", "latency_ms"]
    made = told("accept", item["item_id"], "--note", "the new\nmodel", "--by", "ana")
    assert made["apply_now"] == f"insights run --from {TODAY} --to {TODAY}"
    assert (made["by"], made["note"], made["kind"], made["from"]) == (
        "ana",
        "the new model",
        "accept",
        str(TODAY),
    )
    assert items()["i0", "latency_ms"]["state"] == "ongoing", "nothing is rewritten before a run"
    after = observed(home)["i0", "latency_ms"]
    assert after["state"] == "accepted"
    assert after["explanation"]["decision"]["by"] == "ana"
    assert "accepted" in refused("accept", item["item_id"]) and "already" in refused(
        "dismiss", item["item_id"]
    )
    assert told("undo", str(made["decision"]))["state"] == "undone"
    assert observed(home)["i0", "latency_ms"]["state"] == "ongoing"


def test_a_dismissed_item_is_told_no_more(home: Path) -> None:
    item = items()["i1", "error_rate"]
    text = insights("dismiss", item["item_id"]).stdout
    assert "insights drift undo 1" in text and f"--from {TODAY}" in text
    assert observed(home)["i1", "error_rate"]["state"] == "dismissed"
    assert ("i1", "error_rate") not in items()


def test_decisions_are_listed_with_what_they_are_about(home: Path) -> None:
    assert insights("decisions").stdout == "no decisions\n"
    item = items()["i1", "error_rate"]
    until = str(TODAY + timedelta(days=10))
    told("dismiss", item["item_id"], "--until", until, "--by", "bo")
    (row,) = told("decisions")
    assert (row["kind"], row["until"], row["by"], row["state"]) == ("dismiss", until, "bo", "in force")
    shown = insights("decisions").stdout
    assert "Track refund: error rate up" in shown and until in shown
    told("undo", "1")
    assert told("decisions") == []
    assert told("decisions", "--all")[0]["state"] == "undone"
    assert "undone already" in refused("undo", "1")
    assert refused("undo", "9") == "error: there is no decision 9: `insights drift decisions` lists them"


def test_a_decision_that_would_do_nothing_is_refused(home: Path) -> None:
    item = items()["i1", "error_rate"]["item_id"]
    assert "until a day from" in refused("dismiss", item, "--until", str(TODAY))
    assert "YYYY-MM-DD" in refused("dismiss", item, "--until", "soon")
    assert "at most" in refused("dismiss", item, "--note", "x" * 2_000)
    assert told("decisions", "--all") == []


def test_a_day_without_observations_is_said_with_the_run_that_makes_them(home: Path) -> None:
    assert "insights run --from 2020-01-01" in refused("list", "--date", "2020-01-01")


def test_a_plot_shows_the_band_the_mean_and_the_days_left_out() -> None:
    days = [date(2026, 3, 1) + timedelta(days=k) for k in range(20)]
    values = [10.0] * 9 + [math.nan] + [30.0] * 10
    lines = plot(days, values, mean=10, low=8, high=12, open_points=set(days[10:]), say=lambda x: f"{x:.0f}")
    assert len(lines) == HEIGHT + 1
    assert lines[0].lstrip().startswith("30") and lines[0].endswith("○" * 10) and "●" not in lines[0]
    mean = next(line for line in lines if line.lstrip().startswith("10 "))
    assert mean.split()[1].startswith("●" * 9 + "─")
    assert lines[-1].split() == ["01", "Mar", "20", "Mar"]
    assert plot(days, [math.nan] * 20, mean=None, low=None, high=None, say=str) == []
    flat = plot(days, [0.0] * 20, mean=0.0, low=0.0, high=0.0, say=lambda x: f"{x:.0f}")
    assert sum("●" * 20 in line for line in flat) == 1
