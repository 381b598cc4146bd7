"""What the tables say about drift, for commands, checks and pages: items of a day, one item's life, baselines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.dataset as ds

from insights_pipeline.drift.constants import (
    ALL,
    DOWN,
    ERRORS,
    LATENCY_P95,
    SCORE,
    TOOLS,
    UNKNOWN,
    VOLUME,
    WORSE_UP,
)
from insights_pipeline.drift.life.item import OPEN
from insights_pipeline.drift.statistics import floors
from insights_pipeline.lake import DayRange, Lake, Slice

Row = dict[str, Any]

# One unit of effect: the floor below which a change is not worth a line.
_FLOORS = {
    ERRORS: floors.RATE_POINTS,
    TOOLS: floors.EXCESS_VARIATION,
    LATENCY_P95: math.expm1(floors.LOG_RATIO_P95),
    VOLUME: math.expm1(floors.SHARE_LOG_RATIO),
}
_DEFAULT_FLOOR = math.expm1(floors.LOG_RATIO)
_BETTER = 0.3
_SUGGESTED = 5


class UnknownReferenceError(ValueError):
    """A reference that names nothing, or more than one thing; the message says what there is."""


@dataclass(frozen=True, slots=True)
class DayItems:
    """Drift items as of a day, heaviest first. `status` is that of the day's model: learning | ready."""

    date: date
    status: str
    traces_seen: int
    bootstrap_traces: int
    items: list[Row]


def read_items(lake: Lake, day: date | None = None) -> DayItems | None:
    """Drift items as of a day (default: the newest with a model) with the intents' names; None without a model.

    The model says which days were worked on: a day on which nothing could be tested has no drift rows.
    """
    when = day or max(lake.days("intent_models"), default=None)
    if when is None:
        return None
    days = DayRange.single(when)
    models = lake.read(
        Slice("intent_models", days, ("status", "traces_seen", "bootstrap_traces"))
    ).to_pylist()
    if not models:
        return None
    items = named(lake, when, [_parsed(row) for row in lake.read(Slice("drift_items", days)).to_pylist()])
    return DayItems(when, items=sorted(items, key=_order), **models[0])


def grave_items(lake: Lake, day: date) -> list[Row]:
    """Open items of severity high or critical as of `day`, gravest first, then by rank."""
    found = read_items(lake, day)
    grave = (floors.HIGH, floors.CRITICAL)
    rows = [row for row in found.items if row["state"] in OPEN and row["severity"] in grave] if found else []
    return sorted(rows, key=lambda row: (-floors.SEVERITIES.index(row["severity"]), *_order(row)))


def rank(item: Mapping[str, Any]) -> float:
    """How much an item matters: share of the traffic × effect in floors (at most 10) × direction (better 0.3).

    A score has a unit of its own, and an intent that is new or gone no effect: those count as one floor.
    """
    size = min(10.0, abs(item["effect"] or 0.0) / _FLOORS.get(item["metric"], _DEFAULT_FLOOR)) or 1.0
    if item["metric"].startswith(SCORE):
        size = 1.0
    weight = _BETTER if item["metric"] in WORSE_UP and item["direction"] == DOWN else 1.0
    return (item["traffic_share"] or 0.0) * size * weight


def _order(item: Mapping[str, Any]) -> tuple[int, float, str]:
    """Open ones first, then by rank, ties by id."""
    return (item["state"] not in OPEN, -rank(item), item["item_id"])


def item_history(lake: Lake, item_id: str) -> list[Row]:
    """One row a day of an item's life, oldest first; empty where no day knows it."""
    rows = lake.read(Slice("drift_items"), where=ds.field("item_id") == item_id).to_pylist()
    return sorted((_parsed(row) for row in rows), key=lambda row: row["date"])


def item_tests(lake: Lake, item: Mapping[str, Any], day: date) -> list[Row]:
    """The daily tests of an item's series and metric on `day`, shortest horizon first: effect, interval, p, q, …"""
    where = (ds.field("intent_id") == item["intent_id"]) & (ds.field("metric") == item["metric"])
    rows = lake.read(
        Slice("drift_observations", DayRange.single(day), cadence="daily"), where=where
    ).to_pylist()
    own = [_parsed(row) for row in rows if row["slice"] == item["slice"]]
    return sorted(own, key=lambda row: int(row["horizon"].removesuffix("d")))


def find_item(items: Iterable[Mapping[str, Any]], reference: str) -> Row:
    """The item with this id, the only one whose id begins so, or the only one of an intent of that name.

    Raises UnknownReferenceError with what there is.
    """
    there = [dict(item) for item in items]
    return one_of(
        there,
        reference,
        what="drift item",
        exact=(lambda row: row["item_id"], lambda row: row["intent"].lower()),
        begins=(lambda row: row["item_id"], lambda row: row["item_id"].removeprefix("drf_"), _intent_name),
        told=lambda row: f"{row['item_id']} ({row['intent']}, {row['metric']} {row['direction']})",
    )


def _intent_name(row: Row) -> str:
    return str(row["intent"]).lower()


def find_intent(intents: Iterable[Mapping[str, Any]], reference: str) -> str:
    """Id of the intent with this id or name, or the only one that begins so; "all" and "unknown" are themselves.

    `intents` have intent_id and name. Raises UnknownReferenceError with what there is.
    """
    if reference.strip().lower() in (ALL, UNKNOWN):
        return reference.strip().lower()
    found = one_of(
        [dict(row) for row in intents],
        reference,
        what="intent",
        exact=(lambda row: row["intent_id"], lambda row: row["name"].lower()),
        begins=(lambda row: row["intent_id"], lambda row: row["name"].lower()),
        told=lambda row: f"“{row['name']}” ({row['intent_id']})",
    )
    return str(found["intent_id"])


def one_of(
    rows: Sequence[Row],
    reference: str,
    *,
    what: str,
    exact: Sequence[Callable[[Row], str]],
    begins: Sequence[Callable[[Row], str]],
    told: Callable[[Row], str],
) -> Row:
    """The one row that `reference` names. Raises UnknownReferenceError: the candidates, or the nearest there are."""
    wanted = " ".join(reference.split()).lower()
    tests: list[Callable[[Row], bool]] = [lambda row, key=key: key(row).lower() == wanted for key in exact]  # type: ignore[misc]
    tests += [lambda row, key=key: key(row).lower().startswith(wanted) for key in begins]  # type: ignore[misc]
    for fits in tests if wanted else ():
        found = [row for row in rows if fits(row)]
        if len(found) == 1:
            return found[0]
        if found:
            listed = "; ".join(told(row) for row in found[:_SUGGESTED])
            more = f"; and {len(found) - _SUGGESTED} more" if len(found) > _SUGGESTED else ""
            raise UnknownReferenceError(
                f"{reference!r} may be {listed}{more}: use the id or more of the name"
            )
    if not rows:
        raise UnknownReferenceError(f"there is no {what} {reference!r}, nor any other")
    raise UnknownReferenceError(
        f"there is no {what} {reference!r}; nearest: {'; '.join(map(told, _nearest(rows, wanted, begins)))}"
    )


def _nearest(rows: Sequence[Row], wanted: str, keys: Sequence[Callable[[Row], str]]) -> list[Row]:
    from difflib import SequenceMatcher

    def likeness(row: Row) -> float:
        return max(SequenceMatcher(None, wanted, key(row).lower(), autojunk=False).ratio() for key in keys)

    return sorted(rows, key=likeness, reverse=True)[:_SUGGESTED]


def read_baselines(lake: Lake, day: date | None = None) -> tuple[date, list[Row]] | None:
    """The baselines of a day (default: the newest) with the intents' names, by traffic; None where there are none.

    Dated `day` are the 30 days before it; most traffic first, whole intents before their slices.
    """
    when = day or max(lake.days("baselines"), default=None)
    if when is None:
        return None
    rows = named(lake, when, lake.read(Slice("baselines", DayRange.single(when))).to_pylist())
    if not rows:
        return None
    traffic: dict[str, int] = {}
    for row in rows:
        row["shares"] = [{**one, "share": float(one["share"])} for one in row["shares"] or []] or None
        traffic[row["intent_id"]] = max(traffic.get(row["intent_id"], 0), row["n"] or 0)
    place = {ALL: 0, UNKNOWN: 2}
    return when, sorted(
        rows,
        key=lambda row: (
            place.get(row["intent_id"], 1),
            -traffic[row["intent_id"]],
            row["intent_id"],
            row["slice"] or "",
            row["metric"],
        ),
    )


def named(lake: Lake, day: date, rows: list[Row]) -> list[Row]:
    """The rows with `intent`: the name that their intent had on `day`, or its id. Intents that carry get theirs too."""
    intents = lake.read(Slice("intents", DayRange.single(day), ("intent_id", "name")))
    names = dict(zip(*(column.to_pylist() for column in intents.columns), strict=True))
    for row in rows:
        row["intent"] = names.get(row["intent_id"]) or row["intent_id"]
        for carrier in (row.get("explanation") or {}).get("carriers") or []:
            if carrier["dimension"] == "intent":
                carrier["name"] = names.get(carrier["value"])
    return rows


def _parsed(row: Row) -> Row:
    row["explanation"] = json.loads(row["explanation"]) if row["explanation"] else {}
    return row
