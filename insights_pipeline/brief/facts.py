"""What a brief says, before it is phrased: one line per change. The JSON of a brief is exactly this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any

MAX_LINES = 10
SHAPE = 2  # of the JSON; raised when a field changes its meaning or goes

# What a line is about.
INTENT, SLICE, ALL_INTENTS, ALL_TRAFFIC = "intent", "slice", "all_intents", "all_traffic"
# States of a line besides those of an item.
WORSENED = "worsened"


@dataclass(frozen=True, slots=True)
class Also:
    """Another metric of the same series that moved at the same time. `item_id` None: it has no item of its own."""

    metric: str
    direction: str
    effect: float | None
    item_id: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """An intent, or a slice of one, that shares the change of a line."""

    intent_id: str
    intent: str
    slice: str | None
    effect: float | None
    traffic_share: float | None
    item_id: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One change: what, for whom, by how much, since when, carried by what, and the traces that show it.

    `effect` is ratio − 1, a difference of rates or of scores, or a total variation, with a 95 % interval; values are
    in the unit of the metric (ms, USD, a share, traces a day). `since` is when it began where that is known, else the
    day it was found; `since_first` and `since_last` a 95 % interval of that day. `before` is the effect last told.
    `explanation` is the item's own, for what a program may want; people are shown the fields beside it.
    """

    state: str  # new | worsened | resolved, and ongoing | recovering | no_data
    scope: str  # intent | slice | all_intents | all_traffic
    intent_id: str
    intent: str
    slice: str | None
    metric: str
    direction: str
    severity: str  # info | warning | high | critical
    since: date
    since_first: date | None
    since_last: date | None
    shape: str | None  # step | ramp
    opened: date
    until: date | None
    baseline: float | None
    observed: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    before: float | None
    n: int | None
    traffic_share: float | None
    rank: float  # traffic share × effect in floors (at most 10) × direction (better 0.3)
    reopened: int
    item_ids: tuple[str, ...]
    trace_ids: tuple[str, ...]
    baseline_trace_ids: tuple[str, ...]
    also: tuple[Also, ...] = ()
    members: tuple[Member, ...] = ()  # of a shared change, the largest first, at most MOST_MEMBERS
    member_count: int = 0
    eligible: int = 0  # intents that the shared change could have reached
    slices: tuple[str, ...] = ()  # that have an item of their own for it
    carriers: tuple[Mapping[str, Any], ...] = ()
    coincident: tuple[Mapping[str, Any], ...] = ()
    explanation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """Items that a person, or 30 days, closed in the window."""

    kind: str  # accepted | dismissed
    by: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Watched:
    """What was tested in the window, and what could not be. A series is one metric of one intent, all or slice.

    `coverage_moved` counts, by metric, the series whose known values changed too much to be compared.
    `detectable` is the smallest change found with 80 % power, the median of the intents, by metric.
    """

    series: int = 0
    learning: int = 0
    no_data: int = 0
    coverage_moved: Mapping[str, int] = field(default_factory=dict)
    detectable: Mapping[str, float] = field(default_factory=dict)


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
    watched: Watched
    lines: tuple[Line, ...]  # new, worsened and resolved, at most MAX_LINES
    more: Mapping[str, int]  # lines beyond these, by state
    ongoing: tuple[Line, ...]
    decided: tuple[Decided, ...] = ()
    # renamed, merged, split, moved, returned; oldest first
    intent_changes: tuple[Mapping[str, Any], ...] = ()
    shape: int = SHAPE

    def to_json(self) -> dict[str, Any]:
        """Plain values: dates as ISO text, tuples as lists. Fields are only ever added under one `shape`."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Facts:
        """The facts that `to_json` wrote. Raises ValueError for those of another shape."""
        if found.get("shape") != SHAPE:
            raise ValueError(f"facts of shape {found.get('shape')!r}; this version reads {SHAPE}")
        values = _known(cls, found) | {
            "first": date.fromisoformat(found["first"]),
            "last": date.fromisoformat(found["last"]),
            "watched": Watched(**_known(Watched, found["watched"])),
            "lines": tuple(_line(one) for one in found["lines"]),
            "ongoing": tuple(_line(one) for one in found["ongoing"]),
            "decided": tuple(Decided(**_known(Decided, one)) for one in found["decided"]),
            "intent_changes": tuple(found["intent_changes"]),
        }
        return cls(**values)


_DAYS = ("since", "since_first", "since_last", "opened", "until")


def _line(found: Mapping[str, Any]) -> Line:
    values = _known(Line, found)
    values |= {name: date.fromisoformat(found[name]) for name in _DAYS if found[name] is not None}
    values |= {
        name: tuple(found[name])
        for name in ("item_ids", "trace_ids", "baseline_trace_ids", "slices", "carriers", "coincident")
    }
    values["also"] = tuple(Also(**_known(Also, one)) for one in found["also"])
    values["members"] = tuple(Member(**_known(Member, one)) for one in found["members"])
    return Line(**values)


def _known(of: type[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(of)}
    return {name: value for name, value in found.items() if name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [_plain(one) for one in value]
