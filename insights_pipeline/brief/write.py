"""Briefs of days and of calendar windows: read the tables, gather the facts, render, replace."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from insights_pipeline.brief.facts import Facts, gather
from insights_pipeline.brief.render import headline, markdown
from insights_pipeline.lake import DayRange, Engine, Slice, rows_to_table

BASELINE_DAYS = 30


def write_daily_briefs(engine: Engine, days: DayRange, *, bootstrap_traces: int) -> int:
    """Briefs of each day of the range; gives their count."""
    briefs = [
        _row(day, _facts(engine, "daily", DayRange.single(day), bootstrap_traces=bootstrap_traces))
        for day in days
    ]
    return engine.lake.replace(
        Slice("briefs", days, cadence="daily"), lambda: rows_to_table("briefs", briefs)
    )


def write_window_brief(engine: Engine, cadence: str, window: DayRange, *, bootstrap_traces: int) -> int:
    """The brief of a calendar week (cadence weekly) or month (monthly), dated by its first day."""
    brief = _row(window.first, _facts(engine, cadence, window, bootstrap_traces=bootstrap_traces))
    into = Slice("briefs", DayRange.single(window.first), cadence=cadence)
    return engine.lake.replace(into, lambda: rows_to_table("briefs", [brief]))


def _facts(engine: Engine, cadence: str, window: DayRange, *, bootstrap_traces: int) -> Facts:
    lake = engine.lake
    last = DayRange.single(window.last)
    observed_on = last if cadence == "daily" else DayRange.single(window.first)
    models = lake.read(Slice("intent_models", last)).to_pylist()
    traffic = _rows(
        engine,
        Slice(
            "intent_rollups", window.widen(before=BASELINE_DAYS), ("date", "intent_id", "metric", "n", "k")
        ),
    )
    items = lake.read(Slice("drift_items", last)).to_pylist()
    for item in items:
        item["explanation"] = json.loads(item["explanation"]) if item["explanation"] else {}
    return gather(
        cadence=cadence,
        first=window.first,
        last=window.last,
        items=items,
        observations=_rows(
            engine,
            Slice("drift_observations", observed_on, ("intent_id", "metric", "verdict"), cadence=cadence),
        ),
        model=models[0] if models else None,
        intents=_rows(engine, Slice("intents", last, ("intent_id", "name", "status"))),
        traffic=[row for row in traffic if row["metric"] == "error_rate"],
        bootstrap_traces=bootstrap_traces,
    )


def _rows(engine: Engine, slice_: Slice) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = engine.lake.read(slice_).to_pylist()
    return rows


def _row(day: date, facts: Facts) -> dict[str, object]:
    return {
        "date": day,
        "cadence": facts.cadence,
        "window_first": facts.first,
        "window_last": facts.last,
        "status": facts.status,
        "headline": headline(facts),
        "facts": json.dumps(facts.to_json(), default=_plain, sort_keys=True),
        "markdown": markdown(facts),
    }


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"a fact of type {type(value).__name__} cannot be written as JSON")
