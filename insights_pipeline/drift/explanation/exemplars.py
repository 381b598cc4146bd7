"""The traces that an item points to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa

from insights_pipeline.drift.constants import GONE, TOOLS
from insights_pipeline.drift.life.arrivals import SILENT_DAYS
from insights_pipeline.drift.life.lifecycle import NEW_ITEM, Item
from insights_pipeline.drift.series.lineage import ITSELF, Lineage
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine

_MOST = 5
_WINDOW_DAYS = 7
_COLUMNS = (
    "date",
    "trace_id",
    "start_ns",
    "latency_ms",
    "cost_usd",
    "step_count",
    "output_chars",
    "is_error",
    "tool_calls",
    "is_evaluation",
)
_WANTED = pa.schema(
    [
        ("item_id", pa.string()),
        ("intent_id", pa.string()),
        ("metric", pa.string()),
        ("direction", pa.string()),
        ("tool", pa.string()),
        ("first", pa.date32()),
        ("last", pa.date32()),
    ]
)


def with_exemplars(
    engine: Engine, days: Sequence[tuple[date, Sequence[Item]]], *, lineage: Lineage = ITSELF
) -> list[list[Item]]:
    """The items of consecutive days with trace ids, read on the day an item opens and kept from then on."""
    known: dict[str, tuple[str, ...]] = {}
    out = []
    for day, items in days:
        opening = [item for item in items if item.state == NEW_ITEM]
        if opening:
            known |= _read(engine, day, opening, lineage)
        out.append([replace(item, trace_ids=known.get(item.item_id, item.trace_ids)) for item in items])
    return out


def _read(engine: Engine, day: date, items: Sequence[Item], lineage: Lineage) -> dict[str, tuple[str, ...]]:
    rows = [_wanted(item, day) for item in items]
    days = DayRange(min(row["first"] for row in rows), day)
    found = engine.query(
        load_sql("insights_pipeline.drift", "exemplars"),
        {
            "lineage": lineage.table(),
            "wanted": pa.Table.from_pylist(rows, schema=_WANTED),
            "traces": Slice("traces", days, _COLUMNS),
            "trace_intents": Slice("trace_intents", days, ("date", "trace_id", "intent_id")),
        },
        {"most": _MOST},
    )
    return {row["item_id"]: tuple(row["trace_ids"]) for row in found.to_pylist()}


def _wanted(item: Item, day: date) -> dict[str, Any]:
    length = 1 if item.evidence is not None and item.evidence.horizon == "1d" else _WINDOW_DAYS
    # of an intent that vanished, the last traces there were: it is told on the day after the silent ones
    length += SILENT_DAYS + 1 if item.direction == GONE else 0
    return {
        "item_id": item.item_id,
        "intent_id": item.intent_id,
        "metric": item.metric,
        "direction": item.direction,
        "tool": _gained(item.explanation) if item.metric == TOOLS else None,
        "first": DayRange.ending(day, length).first,
        "last": day,
    }


def _gained(explanation: Mapping[str, Any]) -> str | None:
    gained = explanation.get("gained") or []
    return str(gained[0]["tool"]) if gained else None
