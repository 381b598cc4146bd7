"""What a brief may say: the facts of one window, gathered from the tables, ranked, with nothing phrased yet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from insights_pipeline.brief.intent_changes import intent_changes
from insights_pipeline.drift.constants import DOWN, ERRORS, LATENCY_P95, TOOLS, WORSE_UP
from insights_pipeline.drift.life.lifecycle import ACCEPTED, CLOSED, NEW_ITEM, OPEN, PENDING, RESOLVED, family
from insights_pipeline.drift.statistics import floors

MAX_LINES = 10
_SHOWN = (NEW_ITEM, RESOLVED)
_STILL_OPEN = OPEN - {NEW_ITEM}
_PAST = "past"  # closed before the window
# One unit of effect for ranking: the floor below which a change is not worth a line.
_FLOORS = {
    ERRORS: floors.RATE_POINTS,
    TOOLS: floors.EXCESS_VARIATION,
    LATENCY_P95: math.expm1(floors.LOG_RATIO_P95),
}
_DEFAULT_FLOOR = math.expm1(floors.LOG_RATIO)


@dataclass(frozen=True, slots=True)
class Line:
    """One change: what, for whom, by how much, since when, and the traces that show it."""

    state: str
    intent_id: str
    intent: str
    metric: str
    direction: str
    severity: str
    since: date
    until: date | None
    baseline: float | None
    observed: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    n: int | None
    traffic_share: float | None
    trace_ids: tuple[str, ...]
    explanation: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.intent_id, family(self.metric), self.direction

    @property
    def rank(self) -> float:
        """Traffic × effect in floors (at most 10) × direction (worse 1, else 0.3); new intents count as 1 floor."""
        size = min(10.0, abs(self.effect or 0.0) / _FLOORS.get(self.metric, _DEFAULT_FLOOR)) or 1.0
        weight = 0.3 if self.metric in WORSE_UP and self.direction == DOWN else 1.0
        return (self.traffic_share or 0.0) * size * weight


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a brief of one window is made of. `status`: no_data | learning | quiet | changed."""

    cadence: str
    first: date
    last: date
    status: str
    traces: int
    traces_per_day_before: float | None
    unknown_traces: int
    errors: int
    traces_seen: int
    bootstrap_traces: int
    intents: int
    series_watched: int
    series_learning: int
    lines: tuple[Line, ...]
    ongoing: tuple[Line, ...]
    intent_changes: tuple[
        Mapping[str, Any], ...
    ] = ()  # renamed, merged, split, moved, returned; oldest first

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gather(
    *,
    cadence: str,
    first: date,
    last: date,
    items: Sequence[Mapping[str, Any]],
    observations: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any] | None,
    intents: Sequence[Mapping[str, Any]],
    traffic: Sequence[Mapping[str, Any]],
    bootstrap_traces: int,
    events: Sequence[Mapping[str, Any]] = (),
) -> Facts:
    """Facts of a window from rows of drift_items, drift_observations, intent_models, intents and intent_rollups.

    `items` are those of the last day of the window; `traffic` the rollups of `error_rate` of the window and of
    the 30 days before it. Observations of a week or month are its own tests: they tell its numbers, and what no item
    tells. Of a day they are only counted. `events` are what happened to the intents in the window.
    """
    names = {row["intent_id"]: row["name"] for row in intents}
    traces, errors = _total(traffic, "all", first, last)
    lines = [_line(item, names, first) for item in items if item["state"] != PENDING]
    if cadence != "daily":
        drifted = [row for row in observations if row["verdict"] == "drift"]
        share = {
            row["intent_id"]: _total(traffic, row["intent_id"], first, last)[0] / max(1, traces)
            for row in drifted
        }
        lines = [*_measured(lines, drifted), *_own(lines, drifted, names, share, first)]
    shown = sorted((x for x in lines if x.state in _SHOWN), key=_order)
    ongoing = sorted((x for x in lines if x.state in _STILL_OPEN), key=_order)
    learning = model is None or model["status"] == "learning"
    tested = [row for row in observations if row["verdict"] in ("quiet", "drift")]
    return Facts(
        cadence=cadence,
        first=first,
        last=last,
        status=_status(traces, learning, shown),
        traces=traces,
        traces_per_day_before=_per_day_before(traffic, first),
        unknown_traces=_total(traffic, "unknown", first, last)[0],
        errors=errors,
        traces_seen=0 if model is None else int(model["traces_seen"]),
        bootstrap_traces=bootstrap_traces,
        intents=sum(row["status"] in ("emerging", "active") for row in intents),
        series_watched=len({(row["intent_id"], row["metric"]) for row in tested}),
        series_learning=len(
            {(row["intent_id"], row["metric"]) for row in observations if row["verdict"] == "learning"}
            - {(row["intent_id"], row["metric"]) for row in tested}
        ),
        lines=tuple(shown[:MAX_LINES]),
        ongoing=tuple(ongoing),
        intent_changes=intent_changes(events),
    )


def _status(traces: int, learning: bool, shown: Sequence[Line]) -> str:
    if learning:
        return "learning"
    if traces == 0 and not shown:
        return "no_data"
    return "changed" if shown else "quiet"


def _line(item: Mapping[str, Any], names: Mapping[str, str], window_first: date) -> Line:
    state = item["state"]
    if state in CLOSED and (item["closed"] is None or item["closed"] < window_first):
        state = _PAST
    elif state in OPEN | {ACCEPTED} and item["opened"] >= window_first:
        # opened within this window, however many days ago; a new intent is accepted on its second day
        state = NEW_ITEM
    return Line(
        state=state,
        intent_id=item["intent_id"],
        intent=names.get(item["intent_id"], item["intent_id"]),
        metric=item["metric"],
        direction=item["direction"],
        severity=item["severity"] or floors.INFO,
        since=item["opened"],
        until=item["closed"],
        traffic_share=item["traffic_share"],
        trace_ids=tuple(item["trace_ids"] or ()),
        **_numbers(item),
    )


def _measured(lines: Sequence[Line], drifted: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """The lines of items with the numbers of the window, where its own test found the same."""
    own = {(row["intent_id"], row["metric"], row["direction"]): row for row in drifted}
    for line in lines:
        row = own.get((line.intent_id, line.metric, line.direction))
        yield line if row is None else replace(line, **_numbers(row))


def _own(
    lines: Sequence[Line],
    drifted: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    share: Mapping[str, float],
    first: date,
) -> Iterator[Line]:
    """What only the test of the whole window found: a line where no item of the window tells it."""
    told = {line.key for line in lines if line.state != _PAST}
    # the mean before its p95: together they are one line
    for row in sorted(
        drifted, key=lambda row: (row["metric"] == LATENCY_P95, row["intent_id"], row["metric"])
    ):
        line = Line(
            state=NEW_ITEM,
            intent_id=row["intent_id"],
            intent=names.get(row["intent_id"], row["intent_id"]),
            metric=row["metric"],
            direction=row["direction"],
            severity=row["severity"] or floors.INFO,
            since=first,
            until=None,
            traffic_share=share[row["intent_id"]],
            trace_ids=(),
            **_numbers(row),
        )
        if line.key not in told:
            told.add(line.key)
            yield line


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "baseline": row["baseline_value"],
        "observed": row["observed"],
        "effect": row["effect"],
        "effect_low": row["effect_low"],
        "effect_high": row["effect_high"],
        "n": row["n"],
        "explanation": row["explanation"] or {},
    }


def _order(line: Line) -> tuple[int, float, str, str]:
    return (line.state != NEW_ITEM, -line.rank, line.intent_id, line.metric)


def _total(traffic: Sequence[Mapping[str, Any]], intent_id: str, first: date, last: date) -> tuple[int, int]:
    rows = [row for row in traffic if row["intent_id"] == intent_id and first <= row["date"] <= last]
    return sum(int(row["n"]) for row in rows), sum(int(row["k"] or 0) for row in rows)


def _per_day_before(traffic: Sequence[Mapping[str, Any]], first: date) -> float | None:
    before = [int(row["n"]) for row in traffic if row["intent_id"] == "all" and row["date"] < first]
    return sum(before) / len(before) if before else None
