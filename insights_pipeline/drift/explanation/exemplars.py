"""The traces that an item points to: of now, which show the change best, and typical ones of before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from insights_pipeline.drift.constants import CHANGED, DOWN, ERRORS, GONE, NEW, SCORE, TOOLS, VOLUME
from insights_pipeline.drift.explanation.carriers import Carrier
from insights_pipeline.drift.life.arrivals import SILENT_DAYS
from insights_pipeline.drift.life.item import NEW_ITEM, Item
from insights_pipeline.drift.series.lineage import ITSELF, Lineage
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine

_MOST, _MOST_BEFORE = 5, 3
_WINDOW_DAYS = 7
_BEFORE_DAYS = 3  # the last of the days compared with: a few typical traces need no month
_LEAST_BEFORE = 0.05  # a carrier with less of the traffic before is new: what was before has other traces
_SHORTEST = 200  # rollups cut no name that is shorter
_HIGH, _LOW, _NEAR = "high", "low", "near"
_COLUMNS = (
    "date",
    "trace_id",
    "start_ns",
    "latency_ms",
    "ttft_ms",
    "cost_usd",
    "total_tokens",
    "step_count",
    "output_chars",
    "is_error",
    "tool_calls",
    "feedback",
    "primary_model",
    "tenant_id",
    "environment",
    "service",
    "release",
    "prompt",
    "is_evaluation",
)
_WANTED = pa.schema(
    [
        ("item_id", pa.string()),
        ("intent_id", pa.string()),
        ("metric", pa.string()),
        ("score", pa.string()),
        ("tool", pa.string()),
        ("rank", pa.string()),
        ("typical", pa.float64()),
        ("dimension", pa.string()),
        ("value", pa.string()),
        ("only_inside", pa.bool_()),
        ("first", pa.date32()),
        ("last", pa.date32()),
    ]
)
Row = dict[str, Any]


def with_exemplars(
    engine: Engine,
    days: Sequence[tuple[date, Sequence[Item]]],
    *,
    lineage: Lineage = ITSELF,
    focus: Mapping[tuple[date, str], Carrier] | None = None,
) -> list[list[Item]]:
    """The items of consecutive days with trace ids, read on the day an item opens and kept from then on.

    `focus` is the slice, by day and item, whose traces are preferred.
    """
    after: dict[str, tuple[str, ...]] = {}
    before: dict[str, tuple[str, ...]] = {}
    out = []
    for day, items in days:
        opening = [item for item in items if item.state == NEW_ITEM]
        carriers = {item.item_id: (focus or {}).get((day, item.item_id)) for item in opening}
        now = [_after(item, day, carriers[item.item_id]) for item in opening]
        then = [row for item in opening if (row := _before(item, carriers[item.item_id])) is not None]
        after |= _read(engine, now, lineage, most=_MOST)
        before |= _read(engine, then, lineage, most=_MOST_BEFORE)
        out.append(
            [
                replace(
                    item,
                    trace_ids=after.get(item.item_id, item.trace_ids),
                    baseline_trace_ids=before.get(item.item_id, item.baseline_trace_ids),
                )
                for item in items
            ]
        )
    return out


def _read(engine: Engine, rows: Sequence[Row], lineage: Lineage, *, most: int) -> dict[str, tuple[str, ...]]:
    if not rows:
        return {}
    days = DayRange(min(row["first"] for row in rows), max(row["last"] for row in rows))
    found = engine.query(
        load_sql("insights_pipeline.drift", "exemplars"),
        {
            "lineage": lineage.table(),
            "wanted": pa.Table.from_pylist(list(rows), schema=_WANTED),
            "traces": Slice("traces", days, _COLUMNS),
            "trace_intents": Slice("trace_intents", days, ("date", "trace_id", "intent_id", "model_version")),
        },
        {"most": most, "shortest": _SHORTEST},
    )
    return {row["item_id"]: tuple(row["trace_ids"]) for row in found.to_pylist()}


def _after(item: Item, day: date, carrier: Carrier | None) -> Row:
    length = 1 if item.evidence is not None and item.evidence.horizon == "1d" else _WINDOW_DAYS
    # of an intent that vanished, the last traces there were: it is told on the day after the silent ones
    length += SILENT_DAYS + 1 if item.direction == GONE else 0
    first = DayRange.ending(day, length).first
    # traces of before the change do not show it
    if item.onset is not None and item.direction != GONE:
        first = min(max(first, item.onset.day), day)
    return _row(item, carrier) | {
        "tool": _moved(item.explanation, "gained") if item.metric == TOOLS else None,
        "rank": _LOW if item.direction == DOWN else _HIGH,
        "first": first,
        "last": day,
    }


def _before(item: Item, carrier: Carrier | None) -> Row | None:
    """What to look for before the change; None where before tells nothing: of volumes."""
    if item.metric == VOLUME or item.direction in (NEW, GONE):
        return None
    last = _last_before(item)
    known = carrier if carrier is not None and carrier.share_before >= _LEAST_BEFORE else None
    typical = None if item.evidence is None else item.evidence.baseline_value
    rank = _NEAR
    if item.metric == ERRORS:
        rank = _HIGH if item.direction == DOWN else _LOW
    elif item.direction == CHANGED or typical is None:
        rank = _HIGH
    return _row(item, known) | {
        "tool": _moved(item.explanation, "lost") if item.metric == TOOLS else None,
        "rank": rank,
        "typical": typical,
        "first": last - timedelta(days=_BEFORE_DAYS - 1),
        "last": last,
    }


def _last_before(item: Item) -> date:
    """The last of the days that were compared with."""
    compared = item.explanation.get("compared")
    runs = compared.get("before") if isinstance(compared, Mapping) else None
    if runs:
        return date.fromisoformat(str(runs[-1][1]))
    began = item.opened if item.onset is None else item.onset.day
    return began - timedelta(days=1)


def _row(item: Item, carrier: Carrier | None) -> Row:
    """A slice's own series is of its traces only; those of a carrier are merely preferred."""
    own = item.slice
    dimension, _, value = own.partition("=") if own is not None else ("", "", "")
    preferred = (None, None) if carrier is None else (carrier.dimension, carrier.value)
    return {
        "item_id": item.item_id,
        "intent_id": item.intent_id,
        "metric": item.metric,
        "score": item.metric.removeprefix(SCORE) if item.metric.startswith(SCORE) else None,
        "typical": None,
        "dimension": dimension if own is not None else preferred[0],
        "value": value if own is not None else preferred[1],
        "only_inside": own is not None,
    }


def _moved(explanation: Mapping[str, Any], way: str) -> str | None:
    moved = explanation.get(way) or []
    return str(moved[0]["tool"]) if moved else None
