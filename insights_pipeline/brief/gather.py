"""The facts of one window from rows of the tables, ranked, with nothing phrased yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from insights_pipeline.brief.changes import Change, change_of, changes_of
from insights_pipeline.brief.decisions import decided_of, hushed_of
from insights_pipeline.brief.facts import MAX_LINES, WORSENED, Facts, Line, Watched
from insights_pipeline.brief.intent_changes import intent_changes
from insights_pipeline.brief.merging import lines_of
from insights_pipeline.drift.constants import ALL, ERRORS, LATENCY, LATENCY_P95, UNKNOWN
from insights_pipeline.drift.life.item import NEW_ITEM, RESOLVED
from insights_pipeline.drift.statistics import floors

_NEWS = (NEW_ITEM, WORSENED, RESOLVED)
_WEEKDAYS = 3  # of one weekday, before a Sunday is compared with Sundays
_TOLD_DETECTABLE = (LATENCY, ERRORS)
# What only the test of a whole window found has no item: what an item's row would say of it.
_NO_ITEM = {
    "item_id": None,
    "closed": None,
    "onset": None,
    "onset_first": None,
    "onset_last": None,
    "shape": None,
    "trace_ids": (),
    "baseline_trace_ids": (),
}


def gather(
    *,
    cadence: str,
    first: date,
    last: date,
    items: Mapping[date, Sequence[Mapping[str, Any]]],
    watched: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any] | None,
    intents: Sequence[Mapping[str, Any]],
    traffic: Sequence[Mapping[str, Any]],
    bootstrap_traces: int,
    drifted: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
) -> Facts:
    """Facts of a window from rows of drift_items, intent_models, intents and intent_rollups.

    `items` are by day, from 30 days before the window to its end, explanations parsed; `watched` counts by metric what
    was tested; `drifted` the observations of a week's or month's own tests that found a drift; `traffic` the rollups of
    `error_rate` of the window and of the 30 days before it. `events` are what happened to the intents in the window.
    """
    names = {row["intent_id"]: row["name"] for row in intents}
    traces, errors = _total(traffic, ALL, first, last)
    changes = changes_of(items, names, first, last)
    hushed = hushed_of(items.get(last, ()), names, first, last)
    if drifted:
        share = {
            one: _total(traffic, one, first, last)[0] / max(1, traces)
            for one in {row["intent_id"] for row in drifted}
        }
        changes = [*_measured(changes, drifted), *_own(changes, hushed, drifted, names, share, first)]
    eligible = {row["metric"]: int(row["eligible"]) for row in watched}
    lines = lines_of(changes, eligible, hushed)
    told = sorted((line for line in lines if line.state in _NEWS), key=_order)
    learning = model is None or model["status"] == "learning"
    return Facts(
        cadence=cadence,
        first=first,
        last=last,
        status=_status(traces, learning, told),
        traces=traces,
        traces_per_day_before=_per_day_before(traffic, first, last),
        unknown_traces=_total(traffic, UNKNOWN, first, last)[0],
        errors=errors,
        traces_seen=0 if model is None else int(model["traces_seen"]),
        bootstrap_traces=bootstrap_traces,
        intents=sum(row["status"] in ("emerging", "active") for row in intents),
        watched=_watched(watched),
        lines=tuple(told[:MAX_LINES]),
        more=dict(sorted(Counter(line.state for line in told[MAX_LINES:]).items())),
        ongoing=tuple(sorted((line for line in lines if line.state not in _NEWS), key=_order)),
        decided=decided_of(items.get(last, ()), first, last),
        intent_changes=intent_changes(events),
    )


def _status(traces: int, learning: bool, told: Sequence[Line]) -> str:
    if learning:
        return "learning"
    if traces == 0 and not told:
        return "no_data"
    return "changed" if told else "quiet"


def _order(line: Line) -> tuple[bool, float, str, str, str]:
    """What is over comes last; else by rank."""
    return (line.state == RESOLVED, -line.rank, line.intent_id, line.slice or "", line.metric)


def _watched(rows: Sequence[Mapping[str, Any]]) -> Watched:
    def total(column: str) -> int:
        return sum(int(row[column]) for row in rows)

    moved = {row["metric"]: int(row["coverage_moved"]) for row in rows if row["coverage_moved"]}
    reach = {
        row["metric"]: float(f"{row['detectable']:.3g}")
        for row in rows
        if row["metric"] in _TOLD_DETECTABLE and row["detectable"] is not None
    }
    return Watched(total("tested"), total("learning"), total("no_data"), moved, reach)


def _measured(changes: Sequence[Change], drifted: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """The changes of items with the numbers of the window, where its own test found the same."""
    own = {_key(row): row for row in drifted}
    for change in changes:
        row = own.get((change.intent_id, change.slice, change.metric, change.direction))
        if row is None or change.state == RESOLVED:
            yield change
        else:
            explanation = {**change.explanation, **(row["explanation"] or {})}
            yield replace(change, row={**change.row, **_numbers(row), "explanation": explanation})


def _own(
    changes: Sequence[Change],
    hushed: Sequence[Change],
    drifted: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    share: Mapping[str, float],
    first: date,
) -> Iterator[Change]:
    """What only the test of the whole window found, where no item of the window tells it and nobody decided on it."""
    told = {change.key for change in changes}
    quiet = {change.key for change in hushed}
    # the mean before its p95: together they are one story
    for row in sorted(drifted, key=lambda row: (row["metric"] == LATENCY_P95, *map(str, _key(row)))):
        full = {
            **_NO_ITEM,
            **_numbers(row),
            "intent_id": row["intent_id"],
            "slice": row["slice"],
            "metric": row["metric"],
            "direction": row["direction"],
            "severity": row["severity"] or floors.INFO,
            "opened": first,
            "traffic_share": share[row["intent_id"]] if row["slice"] is None else None,
            "explanation": row["explanation"] or {},
        }
        change = change_of(full, names, NEW_ITEM)
        # a decision on the whole is one on its slices, which had been told with it
        decided = not quiet.isdisjoint({change.key, (change.intent_id, None, change.story)})
        if change.key not in told and not decided:
            told.add(change.key)
            yield change


def _key(row: Mapping[str, Any]) -> tuple[str, str | None, str, str]:
    return row["intent_id"], row["slice"], row["metric"], row["direction"]


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    columns = ("baseline_value", "observed", "effect", "effect_low", "effect_high", "n")
    return {column: row[column] for column in columns}


def _total(traffic: Sequence[Mapping[str, Any]], intent_id: str, first: date, last: date) -> tuple[int, int]:
    rows = [row for row in traffic if row["intent_id"] == intent_id and first <= row["date"] <= last]
    return sum(int(row["n"]) for row in rows), sum(int(row["k"] or 0) for row in rows)


def _per_day_before(traffic: Sequence[Mapping[str, Any]], first: date, last: date) -> float | None:
    """Traces a day of the days before; for a single day of its own weekday, where that was seen often enough."""
    before = {
        row["date"]: int(row["n"]) for row in traffic if row["intent_id"] == ALL and row["date"] < first
    }
    alike = [n for day, n in before.items() if day.weekday() == first.weekday()]
    counts = alike if first == last and len(alike) >= _WEEKDAYS else list(before.values())
    return sum(counts) / len(counts) if counts else None
