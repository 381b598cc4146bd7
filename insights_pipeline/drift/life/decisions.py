"""What people decided about drift items, applied by the fold on the day it was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import reduce
from typing import Any

from insights_pipeline.drift.detect import family
from insights_pipeline.drift.life.item import (
    ACCEPT,
    ACCEPTED,
    ACCEPTED_LEVEL_DAYS,
    DISMISS,
    DISMISSED,
    Decided,
    Item,
)
from insights_pipeline.drift.series.keys import intent_of, series_key, slice_of
from insights_pipeline.drift.series.lineage import Lineage
from insights_pipeline.lake.days import day_of_ns
from insights_pipeline.state import DriftDecision

KINDS = (ACCEPT, DISMISS)
# A change that is kept quiet is kept out of the baselines too: for longer, and too little of the past would be left.
MOST_QUIET_DAYS = 30


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word on one (series, metric, direction): `day` is the first day that is folded with it."""

    decision_id: int
    kind: str
    series: str
    metric: str
    direction: str
    day: date
    by: str
    until: date | None = None
    note: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.series, family(self.metric), self.direction

    @property
    def decided(self) -> Decided:
        return Decided(self.decision_id, self.kind, self.by, self.day, self.until, self.note)


def decisions_of(rows: Sequence[DriftDecision]) -> list[Decision]:
    """The decisions in force, oldest first, of the rows of the state. A row that cannot be read raises ValueError."""
    return [_decision(row) for row in rows if row.undone_at_ns is None]


def _decision(row: DriftDecision) -> Decision:
    payload = row.payload
    try:
        if row.kind not in KINDS:
            raise ValueError(f"its kind is {row.kind!r}, not one of {', '.join(KINDS)}")
        return Decision(
            decision_id=row.decision_id,
            kind=row.kind,
            series=series_key(payload["intent_id"], payload.get("slice")),
            metric=payload["metric"],
            direction=payload["direction"],
            # a person looks at the items of a day that is over: it is that day's item the word is about
            day=date.fromisoformat(payload["day"]) if payload.get("day") else day_of_ns(row.at_ns),
            by=row.by,
            until=date.fromisoformat(payload["until"]) if payload.get("until") else None,
            note=payload.get("note"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"decision {row.decision_id} in the state database cannot be read: {error}"
        ) from None


def payload_of(
    item: Mapping[str, Any], *, day: date, until: date | None = None, note: str | None = None
) -> dict[str, str | None]:
    """What the state keeps of a decision on a row of `drift_items` as it stood on `day`.

    Raises ValueError for an item that is over, and for an `until` that is not 1 to 30 days after `day`.
    """
    if item["closed"] is not None:
        raise ValueError(
            f"{item['item_id']} was {item['state']} on {item['closed']}: there is nothing to decide"
        )
    if until is not None and not 0 < (until - day).days <= MOST_QUIET_DAYS:
        last = day + timedelta(days=MOST_QUIET_DAYS)
        raise ValueError(
            f"a change of {day} can be kept quiet until a day from {day + timedelta(days=1)} to {last}, not {until}"
        )
    return {
        "intent_id": item["intent_id"],
        "slice": item["slice"],
        "metric": item["metric"],
        "direction": item["direction"],
        "item_id": item["item_id"],
        "day": day.isoformat(),
        "until": None if until is None else until.isoformat(),
        "note": note,
    }


def effective(kind: str, *, day: date, until: date | None = None) -> str:
    """One sentence on what a decision does, from the run of `day` on."""
    if kind == ACCEPT:
        what = (
            f"the level since the change began (at most {ACCEPTED_LEVEL_DAYS} days) is what later days are"
            " compared with"
        )
    elif until is None:
        what = "its days count as normal again, and it is not told until it has been quiet"
    else:
        what = f"it is not told until {until}; if it still shows after that day, it is told again"
    return f"From the run of {day} on: {what}."


def followed(decisions: Sequence[Decision], lineage: Lineage) -> list[Decision]:
    """The decisions as of a day: one on an intent that was merged since is about what it became part of."""
    return [
        replace(one, series=series_key(lineage.of(intent_of(one.series)), slice_of(one.series)))
        for one in decisions
    ]


def decided(day: date, items: Sequence[Item], decisions: Sequence[Decision]) -> list[Item]:
    """Today's items as people decided: each decision on the first folded day from its own on that has its episode."""
    standing = [one for one in decisions if one.day <= day and (one.until is None or day <= one.until)]
    by_key: dict[tuple[str, str, str], list[Decision]] = {}
    for one in sorted(standing, key=lambda one: one.decision_id):
        by_key.setdefault(one.key, []).append(one)
    return [
        reduce(lambda item, one: _applied(item, one, day), by_key.get(before.key, ()), before)
        for before in items
    ]


def _applied(item: Item, decision: Decision, day: date) -> Item:
    known = item.decision is not None and item.decision.decision_id >= decision.decision_id
    if known or not item.live or item.opened > decision.day:
        return item
    item = replace(item, decision=decision.decided, quiet_days=0)
    if decision.kind == ACCEPT:
        return replace(item, state=ACCEPTED, closed=day)
    quarantined = () if decision.until is None else item.quarantined
    return replace(item, state=DISMISSED, quarantined=quarantined)
