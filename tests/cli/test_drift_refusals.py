"""What `insights drift …` refuses, and what it says then, on a lake with a few rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from insights_pipeline.cli import drift
from insights_pipeline.lake import Lake, rows_to_table
from insights_pipeline.settings import settings

FIRST = date(2026, 3, 1)
EARLIER, TODAY = FIRST + timedelta(days=8), FIRST + timedelta(days=9)
LATENCY, COST, LATER = "drf_aaaa000000000001", "drf_bbbb000000000002", "drf_cccc000000000003"


def item(item_id: str, intent: str, metric: str, day: date, *, opened: date = EARLIER) -> dict[str, object]:
    return {
        "date": day,
        "item_id": item_id,
        "intent_id": intent,
        "metric": metric,
        "direction": "up",
        "state": "ongoing",
        "severity": "high",
        "opened": opened,
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Ten days of data; on the last two an intent with two items, on the last one an item of another intent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "lake"))
    monkeypatch.setenv("INSIGHTS_STATE_URL", f"sqlite:///{tmp_path}/state.db")
    settings.cache_clear()
    lake = Lake(str(tmp_path / "lake"))
    lake.append("spans", rows_to_table("spans", [{"date": day, "trace_id": "t"} for day in (FIRST, TODAY)]))
    for day in (EARLIER, TODAY):
        model = {"date": day, "status": "ready", "traces_seen": 900, "bootstrap_traces": 500}
        names = [
            {"date": day, "intent_id": key, "name": name}
            for key, name in (("i0", "Send return"), ("i1", "Stock"))
        ]
        items = [item(LATENCY, "i0", "latency_ms", day), item(COST, "i0", "cost_usd", day)]
        items += [item(LATER, "i1", "cost_usd", day, opened=TODAY)] if day == TODAY else []
        lake.append("intent_models", rows_to_table("intent_models", [model]))
        lake.append("intents", rows_to_table("intents", names))
        lake.append("drift_items", rows_to_table("drift_items", items))
    baselines = [{"date": TODAY, "intent_id": "i0", "metric": "score:helpful"}]
    lake.append("baselines", rows_to_table("baselines", baselines))
    yield tmp_path
    settings.cache_clear()


def insights(*arguments: str) -> Result:
    return CliRunner().invoke(drift.app, list(arguments))


def refused(*arguments: str, code: int = 2) -> str:
    result = insights(*arguments)
    assert result.exit_code == code, result.output
    return result.stderr.strip()


def test_a_metric_that_there_is_not_is_no_all_clear(home: Path) -> None:
    said = refused("--metric", "foo")
    assert said.startswith("error: no metric begins with 'foo'; there are cost_usd, error_rate, latency_ms")
    assert "score:helpful" in said and refused("list", "--metric", "score:other")
    for begins in ("error", "score:helpful", "Latency"):
        assert insights("--metric", begins).exit_code == 0
    assert "ttft_ms" in insights("--help").stdout


def test_a_day_without_data_is_not_told_to_be_run(home: Path) -> None:
    for day in ("2020-01-01", "2999-01-01"):
        said = refused("--date", day, code=1)
        assert said == f"error: drift was not observed on {day}: data runs from {FIRST} to {TODAY}"
    between = FIRST + timedelta(days=1)
    assert f"insights run --from {between} --to {between}" in refused("--date", str(between), code=1)


@pytest.mark.parametrize(("verb", "does"), [("accept", "accepts"), ("dismiss", "dismisses")])
def test_an_item_that_a_decision_covers_is_decided_again_only_after_an_undo(
    home: Path, verb: str, does: str
) -> None:
    assert insights(verb, LATENCY).exit_code == 0
    said = f"error: decision 1 already {does} it: `insights drift undo 1` first"
    for second in ("accept", "dismiss"):
        assert refused(second, LATENCY) == said
        assert refused(second, LATENCY, "--date", str(EARLIER)) == said
    assert len(json.loads(insights("decisions", "--all", "--json").stdout)) == 1
    assert insights("dismiss", COST).exit_code == 0, "a decision is about its own metric"
    assert insights("undo", "1").exit_code == 0
    assert insights("dismiss", LATENCY).exit_code == 0


def test_a_pause_that_is_over_covers_no_later_day(home: Path) -> None:
    lasting = TODAY + timedelta(days=3)
    assert insights("dismiss", LATENCY, "--date", str(EARLIER), "--until", str(TODAY)).exit_code == 0
    assert "decision 1 already dismisses" in refused("accept", LATENCY)
    assert insights("undo", "1").exit_code == 0
    Lake(str(home / "lake")).append(
        "intent_models", rows_to_table("intent_models", [{"date": lasting, "status": "ready"}])
    )
    Lake(str(home / "lake")).append(
        "drift_items", rows_to_table("drift_items", [item(LATENCY, "i0", "latency_ms", lasting)])
    )
    assert insights("dismiss", LATENCY, "--date", str(EARLIER), "--until", str(TODAY)).exit_code == 0
    assert insights("accept", LATENCY).exit_code == 0


def test_the_whole_name_of_an_intent_with_several_items_is_answered_with_their_ids(home: Path) -> None:
    said = refused("explain", "send  Return")
    assert f"“Send return” has 2 items on {TODAY}" in said
    assert LATENCY in said and COST in said and said.endswith(": use the id")


def test_an_item_that_opened_later_is_said_with_its_day(home: Path) -> None:
    for reference in (LATER, LATER[:8]):
        said = refused("show", reference, "--date", str(EARLIER))
        assert said == f"error: {LATER} opened on {TODAY}: there is nothing of it on {EARLIER}"
    assert "nearest" in refused("show", "drf_ffff", "--date", str(EARLIER))
