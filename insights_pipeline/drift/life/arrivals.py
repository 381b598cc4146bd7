"""Intents that arrive and intents that vanish: a line of their own, never a drift of their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, GONE, NEW, VOLUME
from insights_pipeline.drift.life.lifecycle import (
    ACCEPT_DAYS,
    ACCEPTED,
    CLOSED,
    NEW_ITEM,
    ONGOING,
    QUIET_DAYS,
    RECOVERING,
    RESOLVED,
    Item,
    forgotten,
    item_id,
)
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import floors

MIN_TRACES = 20
MIN_DAYS = 2
SILENT_DAYS = 3
RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Known:
    """The intents of a day's model: birth and status; `bootstrapped` is the first day that had a model."""

    bootstrapped: date | None
    born: Mapping[str, date]
    status: Mapping[str, str]


def arrived(panel: Panel, known: Known) -> list[tuple[str, int]]:
    """(intent, traces so far) of intents that came after the bootstrap and reach 20 traces on 2 days today."""
    found = []
    for row, intent in enumerate(panel.series):
        born = known.born.get(intent)
        if (
            born is None
            or known.bootstrapped is None
            or born <= known.bootstrapped
            or born < panel.days.first
        ):
            continue
        n = panel.n[row, panel.column(born) :]
        if _established(n) and not _established(n[:-1]):
            found.append((intent, int(n.sum())))
    return found


def _established(n: np.ndarray) -> bool:
    return bool(n.sum() >= MIN_TRACES and (n > 0).sum() >= MIN_DAYS)


def vanished(panel: Panel, known: Known) -> list[tuple[str, float]]:
    """(intent, traces expected) of intents silent for 3 days though 20 traces or more were due and others came.

    The silent days are those before the last: that one may still be under way, so it can show that an intent is back
    but not that it is gone.
    """
    silent = slice(-SILENT_DAYS - 1, -1)
    usual = slice(max(0, panel.n.shape[1] - 1 - SILENT_DAYS - BASELINE_DAYS), -SILENT_DAYS - 1)
    if not (panel.total[silent] > 0).all():
        return []
    found = []
    for row, intent in enumerate(panel.series):
        if known.status.get(intent, RETIRED) == RETIRED or panel.n[row, silent.start :].sum() > 0:
            continue
        flowing = panel.total[usual] > 0
        expected = SILENT_DAYS * float(panel.n[row, usual].sum()) / max(1, int(flowing.sum()))
        if expected >= MIN_TRACES:
            found.append((intent, expected))
    return found


def arrives_or_leaves(item: Item) -> bool:
    """Whether the item says that an intent is new or gone; growing and fading are drifts of its volume."""
    return item.direction in (NEW, GONE)


def step_arrivals(day: date, items: Sequence[Item], panel: Panel, known: Known) -> list[Item]:
    """Today's volume items from yesterday's: a new intent is told once; a vanished one stays until it is back."""
    row = {intent: position for position, intent in enumerate(panel.series)}
    silent = dict(vanished(panel, known))
    today = {}
    for item in items:
        if forgotten(item, day):
            continue
        if item.state in CLOSED:
            today[item.item_id] = item
        elif item.direction == NEW:
            today[item.item_id] = replace(item, state=ACCEPTED, closed=day)
        else:
            at = row.get(item.series)
            seen = at is not None and panel.n[at, -1] > 0
            today[item.item_id] = _still_gone(day, item, seen=seen)
    told = {(item.series, item.direction) for item in today.values() if item.state not in CLOSED}
    for intent, count in arrived(panel, known):
        item = _item(day, intent, NEW, count=float(count))
        today.setdefault(item.item_id, item)
    accepted = {item.series for item in today.values() if item.direction == GONE and item.state == ACCEPTED}
    for intent, expected in silent.items():
        if (intent, GONE) not in told and intent not in accepted:
            item = _item(day, intent, GONE, count=expected)
            today.setdefault(item.item_id, item)
    return sorted(today.values(), key=lambda item: item.item_id)


def _still_gone(day: date, item: Item, *, seen: bool) -> Item:
    if seen:
        quiet = item.quiet_days + 1
        if quiet >= QUIET_DAYS:
            return replace(item, state=RESOLVED, closed=day, quiet_days=quiet)
        return replace(item, state=RECOVERING, quiet_days=quiet)
    if (day - item.opened).days >= ACCEPT_DAYS:
        return replace(item, state=ACCEPTED, closed=day)
    return replace(item, state=ONGOING, last_fired=day)


def _item(day: date, intent: str, direction: str, *, count: float) -> Item:
    explanation: dict[str, object] = (
        {"traces": round(count)} if direction == NEW else {"expected": round(count, 1)}
    )
    return Item(
        item_id=item_id(intent, VOLUME, direction, day),
        series=intent,
        metric=VOLUME,
        direction=direction,
        state=NEW_ITEM,
        opened=day,
        last_fired=day,
        severity=floors.INFO if direction == NEW else floors.WARNING,
        explanation=explanation,
    )
