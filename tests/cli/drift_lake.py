"""A small real lake with a drift in it, for the commands that read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from insights_pipeline.drift.baselines import baseline_days
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    rows_to_table,
)
from tests.drift.traffic import START, Behaviour, Change, fill

USUAL = {f"i{k}": Behaviour(volume=volume) for k, volume in enumerate((120, 100, 90, 80))}
NAMES = {"i0": "Track order", "i1": "Track refund", "i2": "Change address", "i3": "Bad \x1b[31mname\x07"}
DAYS, CHANGED = 44, 36


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def engine_of(folder: Path) -> DuckDBEngine:
    config = engine_config(threads=2, memory_mb=512, temp_dir=folder / "spill")
    return DuckDBEngine(Lake(str(folder / "data/lake")), connect_with(config))


def make(
    folder: Path,
    change: Change,
    *,
    days: int = DAYS,
    observe_from: int = 30,
    dress: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
) -> DuckDBEngine:
    """Traces, named intents, rollups, observations, items and baselines of `days` days; `dress` makes each trace."""
    engine = engine_of(folder)
    span = fill(engine.lake, USUAL, days, change=change, seed=1)
    traces = [dress(row) for row in engine.lake.read(Slice("traces", span)).to_pylist()]
    engine.lake.replace(Slice("traces", span), lambda: rows_to_table("traces", traces))
    intents = engine.lake.read(Slice("intents", span)).to_pylist()
    rows = [{**row, "name": NAMES[row["intent_id"]]} for row in intents]
    engine.lake.replace(Slice("intents", span), lambda: rows_to_table("intents", rows))
    models = [{"date": one, "status": "ready", "traces_seen": 9_000, "bootstrap_traces": 500} for one in span]
    engine.lake.append("intent_models", rows_to_table("intent_models", models))
    rollup_days(engine, span)
    judged = DayRange(day(observe_from), span.last)
    observe_days(engine, judged)
    baseline_days(engine, judged)
    return engine
