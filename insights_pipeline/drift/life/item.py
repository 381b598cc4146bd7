"""An item: one episode of drift of one series, as it stands on a day."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from insights_pipeline.drift.detect import Evidence, family
from insights_pipeline.drift.series.keys import intent_of, slice_of
from insights_pipeline.drift.statistics import floors

PENDING, NEW_ITEM, ONGOING, RECOVERING, NO_DATA = "pending", "new", "ongoing", "recovering", "no_data"
RESOLVED, ACCEPTED, DISMISSED = "resolved", "accepted", "dismissed"
OPEN = frozenset({NEW_ITEM, ONGOING, RECOVERING, NO_DATA})
# Not a line any more. A dismissed one may still be going on: it is over when it has a closing day.
CLOSED = frozenset({RESOLVED, ACCEPTED, DISMISSED})

ACCEPT, DISMISS = "accept", "dismiss"

ACCEPTED_LEVEL_DAYS = 14  # the level that an accepted item's series is compared with from then on


@dataclass(frozen=True, slots=True)
class Onset:
    """When a change began: the likeliest first day, a 95 % interval of days, and whether it came at once or grew."""

    day: date
    first: date
    last: date
    shape: str  # step | ramp


@dataclass(frozen=True, slots=True)
class Decided:
    """The latest decision of a person on an item; `until` is the last day that a dismissed one stays quiet."""

    decision_id: int
    kind: str  # accept | dismiss
    by: str
    day: date
    until: date | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One (series, metric, direction) episode as of a day. `last_fired` is the last day it was seen at all."""

    item_id: str
    series: str
    metric: str
    direction: str
    state: str
    opened: date
    last_fired: date
    closed: date | None = None
    quiet_days: int = 0
    trigger: str | None = None
    severity: str = floors.INFO  # the gravest so far
    evidence: Evidence | None = None
    reopened: int = 0
    quarantined: tuple[date, ...] = ()
    traffic_share: float | None = None
    trace_ids: tuple[str, ...] = ()
    baseline_trace_ids: tuple[str, ...] = ()  # … of before the change, to compare with
    onset: Onset | None = None
    decision: Decided | None = None
    explanation: Mapping[str, object] = field(default_factory=dict)

    @property
    def intent_id(self) -> str:
        return intent_of(self.series)

    @property
    def slice(self) -> str | None:
        return slice_of(self.series)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.series, family(self.metric), self.direction

    @property
    def live(self) -> bool:
        """Whether the episode is not over: pending, open, or dismissed and still going on."""
        return self.closed is None


def item_id(series: str, metric: str, direction: str, opened: date) -> str:
    digest = hashlib.sha256(f"{series}\x1f{metric}\x1f{direction}\x1f{opened}".encode())
    return "drf_" + digest.hexdigest()[:16]


def accepted_since(item: Item) -> date | None:
    """First day of the level that an accepted item's series is compared with; earlier days no longer count.

    Of one that a person accepted, not before the change began: the days before are of the old level.
    """
    if item.state != ACCEPTED or item.closed is None:
        return None
    level = item.closed - timedelta(days=ACCEPTED_LEVEL_DAYS - 1)
    if item.decision is None or item.decision.kind != ACCEPT:
        return level
    began = item.onset.day if item.onset else min(item.quarantined, default=item.opened)
    return min(max(level, began), item.closed)
