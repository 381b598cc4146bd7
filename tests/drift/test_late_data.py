"""What arrives late counts as if it had been on time, once the day is run again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, connect_with, engine_config, rows_to_table
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from tests.drift.traffic import Behaviour, fill, one_change, put, read
from tests.traces.assemble_cases import D1, MINUTE, span

ROLLUPS = ("intent_rollups", "slice_rollups")
DRIFT = ("drift_observations", "drift_items")
Row = dict[str, Any]


def engine_of(lake: Lake, folder: Path) -> DuckDBEngine:
    return DuckDBEngine(
        lake, connect_with(engine_config(threads=1, memory_mb=256, temp_dir=folder / "spill"))
    )


def tables(lake: Lake, *names: str) -> dict[str, list[Row]]:
    return {name: read(lake, name) for name in names}


def turn(trace: str, *, at: int, tenant: str) -> list[Row]:
    """An agent's turn: one call of a model and one of a tool."""
    shared = {"trace_id": trace, "tenant_id": tenant, "environment": "production"}
    return [
        span("a", "agent", at=at, **shared),
        span("b", at=at + MINUTE, parent_span_id="a", model="gpt", total_tokens=40, cost_usd=0.02, **shared),
        span(
            "c", "tool", at=at + 2 * MINUTE, parent_span_id="a", tool_name="search", is_error=True, **shared
        ),
    ]


def test_spans_that_arrive_late_change_the_rollups_to_what_they_would_have_been(tmp_path: Path) -> None:
    turns = [turn(f"t{i}", at=i * MINUTE, tenant=("acme", "hooli")[i % 2]) for i in range(6)]
    spans = [one for part in turns for one in part]
    late = [
        one for one in spans if one["trace_id"] == "t5" or one["span_id"] == "c"
    ]  # a trace, and every tool
    day = DayRange.single(D1)

    def run(lake: Lake, *batches: list[Row]) -> dict[str, list[Row]]:
        engine = engine_of(lake, tmp_path)
        for batch in batches:
            lake.append("spans", rows_to_table("spans", batch))
            compact_spans(engine, day)
            assemble_traces(engine, day)
            rollup_days(engine, day)
        return tables(lake, *ROLLUPS)

    on_time = run(Lake(str(tmp_path / "on-time")), spans)
    early = [one for one in spans if one not in late]
    without = run(Lake(str(tmp_path / "without")), early)
    assert run(Lake(str(tmp_path / "late")), early, late) == on_time != without
    assert {row["dimension"] for row in on_time["slice_rollups"]} == {
        "model",
        "tenant",
        "environment",
        "tool",
    }


def test_after_late_traces_drift_goes_on_as_if_they_had_been_on_time(tmp_path: Path) -> None:
    usual = {"x": Behaviour(volume=80, tenants=("acme", "hooli")), "y": Behaviour(volume=60)}
    slow = one_change("x", 24, 40, latency=2.0)
    source = Lake(str(tmp_path / "source"))
    days = fill(source, usual, 32, change=slow, seed=4)
    traces, assigned, intents = (read(source, name) for name in ("traces", "trace_intents", "intents"))
    late_day = days.first + timedelta(days=25)
    is_late = {row["trace_id"] for n, row in enumerate(traces) if row["date"] == late_day and n % 3}
    assert len(is_late) > 30

    def started(name: str, rows: list[Row]) -> tuple[Lake, DuckDBEngine]:
        lake = Lake(str(tmp_path / name))
        put(lake, "traces", rows)
        put(lake, "trace_intents", assigned)
        put(lake, "intents", intents)
        return lake, engine_of(lake, tmp_path)

    on_time, engine = started("on-time", traces)
    rollup_days(engine, days)
    observe_days(engine, days, groups=["tenant"])

    late, engine = started("late", [row for row in traces if row["trace_id"] not in is_late])
    rollup_days(engine, days)
    observe_days(engine, DayRange(days.first, late_day + timedelta(days=2)), groups=["tenant"])
    before = tables(late, *DRIFT)
    put(late, "traces", [row for row in traces if row["trace_id"] in is_late])
    rollup_days(engine, DayRange.single(late_day))
    for day in DayRange(late_day, days.last):
        observe_days(engine, DayRange.single(day), groups=["tenant"])
    assert tables(late, *ROLLUPS) == tables(on_time, *ROLLUPS)
    after = tables(late, *DRIFT)
    assert after == tables(on_time, *DRIFT)
    told = [row for row in before["drift_observations"] if row["date"] == late_day]
    assert told != [row for row in after["drift_observations"] if row["date"] == late_day]
    assert {row["intent_id"] for row in after["drift_items"] if row["state"] == "new"} >= {"x"}
