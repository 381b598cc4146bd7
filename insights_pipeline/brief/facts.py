"""What a brief may say: the facts of one window, gathered from the tables, ranked, with nothing phrased yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from insights_pipeline.brief.units import METRICS

MAX_LINES = 10
_SHOWN_STATES = ("new", "resolved")
_OPEN_STATES = ("ongoing", "recovering")
# One unit of effect for ranking: the floor below which a change is not worth a line.
_FLOORS = {"error_rate": 0.01, "tool_mix": 0.05}
_DEFAULT_FLOOR = 0.10


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
    def rank(self) -> float:
        """Traffic × effect in floors (at most 10) × direction (worse 1, else 0.3); new intents count as 1 floor."""
        floors = min(10.0, abs(self.effect or 0.0) / _FLOORS.get(self.metric, _DEFAULT_FLOOR)) or 1.0
        worse = METRICS[self.metric].worse if self.metric in METRICS else "up"
        weight = 1.0 if worse in ("none", self.direction) else 0.3
        return (self.traffic_share or 0.0) * floors * weight


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
) -> Facts:
    """Facts of a window from rows of drift_items, drift_observations, intent_models, intents and intent_rollups.

    `items` are those of the last day of the window; `traffic` the rollups of `error_rate` of the window and of
    the 30 days before it.
    """
    names = {row["intent_id"]: row["name"] for row in intents}
    lines = [_line(item, names, first) for item in items if item["state"] != "pending"]
    shown = sorted((x for x in lines if x.state in _SHOWN_STATES), key=_order)
    ongoing = sorted((x for x in lines if x.state in _OPEN_STATES), key=_order)
    traces, errors = _total(traffic, "all", first, last)
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
    )


def _status(traces: int, learning: bool, shown: Sequence[Line]) -> str:
    if learning:
        return "learning"
    if traces == 0 and not shown:
        return "no_data"
    return "changed" if shown else "quiet"


def _line(item: Mapping[str, Any], names: Mapping[str, str], window_first: date) -> Line:
    state = item["state"]
    if state in _OPEN_STATES and item["opened"] >= window_first:
        state = "new"  # opened within this window, however many days ago that is
    if state in ("resolved", "accepted") and (item["closed"] is None or item["closed"] < window_first):
        state = "past"
    return Line(
        state=state,
        intent_id=item["intent_id"],
        intent=names.get(item["intent_id"], item["intent_id"]),
        metric=item["metric"],
        direction=item["direction"],
        severity=item["severity"] or "info",
        since=item["opened"],
        until=item["closed"],
        baseline=item["baseline_value"],
        observed=item["observed"],
        effect=item["effect"],
        effect_low=item["effect_low"],
        effect_high=item["effect_high"],
        n=item["n"],
        traffic_share=item["traffic_share"],
        trace_ids=tuple(item["trace_ids"] or ()),
        explanation=item["explanation"] or {},
    )


def _order(line: Line) -> tuple[int, float, str, str]:
    return (line.state != "new", -line.rank, line.intent_id, line.metric)


def _total(traffic: Sequence[Mapping[str, Any]], intent_id: str, first: date, last: date) -> tuple[int, int]:
    rows = [row for row in traffic if row["intent_id"] == intent_id and first <= row["date"] <= last]
    return sum(int(row["n"]) for row in rows), sum(int(row["k"] or 0) for row in rows)


def _per_day_before(traffic: Sequence[Mapping[str, Any]], first: date) -> float | None:
    before = [int(row["n"]) for row in traffic if row["intent_id"] == "all" and row["date"] < first]
    return sum(before) / len(before) if before else None
