from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from insights_pipeline.drift.explanation.explanations import explain_item
from insights_pipeline.drift.life.item_rows import from_rows, to_row
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, connect_with, engine_config
from tests.drift.traffic import START, Behaviour, day_traces, put, read

Row = dict[str, Any]
DAYS, CHANGE = 46, 38
HOSTILE = "a\x1b[31m\u202ecme" + "x" * 500
USUAL = {f"i{k}": Behaviour(volume=140) for k in range(6)}
CHANGES = {
    ("i0", "cost_usd", "up"),
    ("i1", "latency_ms", "up"),
    ("i2", "error_rate", "up"),
    ("i3", "latency_ms", "up"),
    ("i4", "tool_mix", "changed"),
}


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def placed(rng: np.random.Generator, intent: str, offset: int, row: Row) -> Row:
    """Where a trace ran, and what that does to it once the change is there."""
    changed = offset >= CHANGE
    swapped = intent == "i0" and changed and rng.random() < 0.95
    row |= {
        "primary_model": "gpt-4.1" if swapped else "gpt-4o" if rng.random() < 0.7 else "haiku",
        "tenant_id": str(rng.choice(["acme", HOSTILE, "globex", "initech"], p=[0.3, 0.3, 0.2, 0.2])),
        "environment": "prod" if rng.random() < 0.9 else "staging",
        "service": "agent",
        "release": "v2" if offset >= CHANGE - 1 and intent == "i3" else "v1",
        "prompt": "support:8" if offset >= CHANGE and intent == "i3" else "support:7",
    }
    if swapped:
        row["cost_usd"] *= 2
    if intent == "i1" and changed and row["tenant_id"] == HOSTILE:
        row["latency_ms"] *= 4
    if intent == "i2":
        row["tool_calls"] = ["auth", *(tool for tool in ("search", "lookup", "mail") if rng.random() < 0.4)]
        if changed and "lookup" in row["tool_calls"]:
            row["is_error"] = bool(row["is_error"] or rng.random() < 0.5)
    if intent == "i3" and changed:
        row["latency_ms"] *= 1.8
    if intent == "i4" and changed and row["environment"] == "prod":
        row["tool_calls"] = ["web" if tool == "search" else tool for tool in row["tool_calls"]]
    return row


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, DuckDBEngine]]:
    folder = tmp_path_factory.mktemp("explained")
    lake, rng = Lake(str(folder / "lake")), np.random.default_rng(11)
    traces, assigned, intents = [], [], []
    for offset in range(DAYS):
        for name, behaviour in USUAL.items():
            rows = day_traces(rng, day(offset), name, replace(behaviour), name=name)
            traces += [placed(rng, name, offset, row) for row in rows]
            assigned += [
                {"date": row["date"], "trace_id": row["trace_id"], "intent_id": name, "model_version": "m1"}
                for row in rows
            ]
            intents.append({"date": day(offset), "intent_id": name, "born": START, "status": "active"})
    put(lake, "traces", traces)
    put(lake, "trace_intents", assigned)
    put(lake, "intents", intents)
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=1, memory_mb=512, temp_dir=folder)))
    span = DayRange(START, day(DAYS - 1))
    rollup_days(engine, span)
    observe_days(engine, DayRange(day(28), span.last))
    yield lake, engine


def last_items(lake: Lake) -> dict[tuple[str, str, str], Row]:
    rows = read(lake, "drift_items", DayRange.single(day(DAYS - 1)))
    return {
        (row["intent_id"], row["metric"], row["direction"]): row
        | {"explanation": json.loads(row["explanation"])}
        for row in rows
        if row["state"] in ("new", "ongoing") and row["slice"] is None
    }


def carriers(row: Row) -> list[tuple[str, str]]:
    return [(one["dimension"], one["value"]) for one in row["explanation"]["carriers"]]


def test_every_change_is_found_and_dated_within_two_days(explained: tuple[Lake, DuckDBEngine]) -> None:
    items = last_items(explained[0])
    assert set(items) >= CHANGES
    for key in CHANGES:
        row = items[key]
        assert abs((row["onset"] - day(CHANGE)).days) <= 2, key
        assert row["onset_first"] <= day(CHANGE) <= row["onset_last"], key
        assert row["shape"] == "step", key


def test_a_model_that_replaced_others_carries_the_change_by_its_share(
    explained: tuple[Lake, DuckDBEngine],
) -> None:
    row = last_items(explained[0])["i0", "cost_usd", "up"]
    (carrier,) = row["explanation"]["carriers"]
    assert (carrier["dimension"], carrier["value"]) == ("model", "gpt-4.1")
    assert carrier["share_before"] == 0 and carrier["share_now"] > 0.9
    assert carrier["before"] is None and abs(carrier["mix"]) > abs(carrier["own"])
    assert carrier["part"] == pytest.approx(1, abs=0.3)
    assert row["explanation"]["total"]["unit"] == "log_ratio"
    assert row["explanation"]["total"]["change"] == pytest.approx(np.log(2) * 0.95, abs=0.2)
    assert {"dimension": "model", "value": "gpt-4.1", "first_seen": str(day(CHANGE))} in row["explanation"][
        "coincident"
    ]


def test_one_tenant_carries_the_change_and_its_name_is_harmless(
    explained: tuple[Lake, DuckDBEngine],
) -> None:
    row = last_items(explained[0])["i1", "latency_ms", "up"]
    (carrier,) = row["explanation"]["carriers"]
    assert carrier["dimension"] == "tenant" and carrier["value"].startswith("a [31m")
    assert carrier["value"].isprintable() and len(carrier["value"]) <= 120
    assert abs(carrier["own"]) > abs(carrier["mix"]) and carrier["part"] > 0.8


def test_the_failing_tool_is_named_among_those_used_with_it(explained: tuple[Lake, DuckDBEngine]) -> None:
    row = last_items(explained[0])["i2", "error_rate", "up"]
    assert carriers(row) == [("tool", "lookup")]
    assert row["explanation"]["carriers"][0]["now"] > 0.4


def test_a_change_that_all_slices_share_has_no_carrier_and_a_release_is_coincident(
    explained: tuple[Lake, DuckDBEngine],
) -> None:
    told = last_items(explained[0])["i3", "latency_ms", "up"]["explanation"]
    assert told["carriers"] == []
    assert {"dimension": "release", "value": "v2", "first_seen": str(day(CHANGE - 1))} in told["coincident"]


def test_a_new_version_of_the_prompt_is_coincident_and_never_the_carrier(
    explained: tuple[Lake, DuckDBEngine],
) -> None:
    told = last_items(explained[0])["i3", "latency_ms", "up"]["explanation"]
    assert {"dimension": "prompt", "value": "support:8", "first_seen": str(day(CHANGE))} in told["coincident"]
    others = [
        row["explanation"] for key, row in last_items(explained[0]).items() if key[0] not in ("i3", "all")
    ]
    assert others and not any(one["dimension"] == "prompt" for told in others for one in told["coincident"])


def test_a_changed_tool_mix_is_carried_by_its_environment_not_by_a_tool(
    explained: tuple[Lake, DuckDBEngine],
) -> None:
    row = last_items(explained[0])["i4", "tool_mix", "changed"]
    assert carriers(row) in ([], [("environment", "prod")])
    assert row["explanation"]["total"]["unit"] == "variation"
    assert row["explanation"]["gained"][0]["tool"] == "web"


def test_exemplars_are_of_the_carrier_after_and_typical_of_before(
    explained: tuple[Lake, DuckDBEngine],
) -> None:
    traces = {row["trace_id"]: row for row in read(explained[0], "traces")}
    items = last_items(explained[0])

    def of(key: tuple[str, str, str], column: str) -> list[Row]:
        return [traces[trace_id] for trace_id in items[key][column]]

    slow = of(("i1", "latency_ms", "up"), "trace_ids")
    assert len(slow) == 5 and {row["tenant_id"] for row in slow} == {HOSTILE}
    assert min(row["date"] for row in slow) >= day(CHANGE - 2)
    failed = of(("i2", "error_rate", "up"), "trace_ids")
    assert all(row["is_error"] and "lookup" in row["tool_calls"] for row in failed)
    fine = of(("i2", "error_rate", "up"), "baseline_trace_ids")
    assert len(fine) == 3 and not any(row["is_error"] for row in fine)
    usual = of(("i3", "latency_ms", "up"), "baseline_trace_ids")
    assert len(usual) == 3
    assert all(row["latency_ms"] == pytest.approx(2_000, rel=0.15) for row in usual)
    assert all(row["date"] < day(CHANGE) for row in (*usual, *fine))
    assert all(
        "search" in row["tool_calls"] for row in of(("i4", "tool_mix", "changed"), "baseline_trace_ids")
    )
    assert all("web" in row["tool_calls"] for row in of(("i4", "tool_mix", "changed"), "trace_ids"))


def test_all_traffic_names_the_intent_that_carries_its_change(explained: tuple[Lake, DuckDBEngine]) -> None:
    items = last_items(explained[0])
    assert ("all", "error_rate", "up") in items
    told = items["all", "error_rate", "up"]["explanation"]["carriers"]
    assert ("intent", "i2") in {(one["dimension"], one["value"]) for one in told}


def test_the_whole_decomposition_adds_up_to_the_change(explained: tuple[Lake, DuckDBEngine]) -> None:
    lake, engine = explained
    rows = read(lake, "drift_items", DayRange.single(day(DAYS - 1)))
    checked = 0
    for item in from_rows(rows):
        if item.key not in CHANGES and item.intent_id != "all":
            continue
        told = explain_item(engine, item, day(DAYS - 1))
        json.dumps(told, allow_nan=False)
        dimensions = told["dimensions"]
        assert isinstance(dimensions, dict) and isinstance(told["total"], dict)
        for dimension, values in dimensions.items():
            if dimension == "tool":
                continue
            assert sum(one["own"] + one["mix"] for one in values) == pytest.approx(
                told["total"]["change"], abs=1e-9
            )
            assert sum(one["share_now"] for one in values) == pytest.approx(1, abs=1e-9)
            checked += 1
        assert told["carriers"] == item.explanation["carriers"]
    assert checked > 15


def test_items_survive_their_table_without_loss(explained: tuple[Lake, DuckDBEngine]) -> None:
    rows = read(explained[0], "drift_items", DayRange.single(day(DAYS - 1)))
    assert any(row["onset"] and row["baseline_trace_ids"] for row in rows)
    again = from_rows([to_row(item, day(DAYS - 1)) for item in from_rows(rows)])
    assert again == from_rows(rows)


def test_a_range_of_days_is_explained_as_its_days_one_by_one(explained: tuple[Lake, DuckDBEngine]) -> None:
    lake, engine = explained
    once = read(lake, "drift_items")
    for offset in range(CHANGE, DAYS):
        observe_days(engine, DayRange.single(day(offset)))
    assert read(lake, "drift_items") == once
