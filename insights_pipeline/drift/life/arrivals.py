"""Intents that arrive and intents that vanish: a line of their own, never a drift of their metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DOWN, GONE, NEW, UP, VOLUME
from insights_pipeline.drift.detect import Signal
from insights_pipeline.drift.life.item import (
    ACCEPTED,
    DISMISSED,
    NEW_ITEM,
    ONGOING,
    RECOVERING,
    RESOLVED,
    Item,
    Onset,
    item_id,
)
from insights_pipeline.drift.life.lifecycle import ACCEPT_DAYS, QUIET_DAYS, forgotten, trimmed
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import floors
from insights_pipeline.lake import DayRange

MIN_TRACES = 20
MIN_DAYS = 2
SILENT_DAYS = 3
_WEEK = 7
YOUNG_DAYS = 14  # an intent that grows in its first days is new, not growing
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
    but not that it is gone. An intent that is silent by habit (a weekly job) is gone once it is silent for longer than
    ever in its last 30 days.
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
        silence = _silence(panel, row, slice(usual.start, -1))
        if expected >= MIN_TRACES and silence[-1] > max(silence[:-1], default=0):
            found.append((intent, expected))
    return found


def _silence(panel: Panel, row: int, days: slice) -> list[int]:
    """How many days without a trace followed each day with one, in time order, where others came."""
    runs: list[int] = []
    for n, total in zip(panel.n[row, days], panel.total[days], strict=True):
        if n > 0:
            runs.append(0)
        elif total > 0 and runs:
            runs[-1] += 1
    return runs


def arrives_or_leaves(item: Item) -> bool:
    """Whether the item says that an intent is new or gone; growing and fading are drifts of its volume."""
    return item.direction in (NEW, GONE)


def beside_arrivals(
    signals: Sequence[Signal], day: date, items: Sequence[Item], panel: Panel, known: Known
) -> list[Signal]:
    """The signals without those that would tell an arrival or a leave a second time as a change of volume.

    An intent that is young, or was told as new within the last days, does not also grow. One that fell silent this
    week, or was told as gone, does not also fade, unless that is what was told first: where silence would be noticed,
    it is told by `vanished` or was too short.
    """
    row = {one: position for position, one in enumerate(panel.series)}
    young = {one for one, born in known.born.items() if _young(born, day, known)}
    young |= {one.series for one in items if one.direction == NEW and (day - one.opened).days < YOUNG_DAYS}
    gone = {one.series for one in items if one.direction == GONE and one.live}
    fading = {one.series for one in items if one.key[1:] == (VOLUME, DOWN) and one.live}

    def told(signal: Signal) -> bool:
        if signal.metric != VOLUME:
            return False
        if signal.direction == UP:
            return signal.series in young
        silent = signal.series in known.status and _fell_silent(panel, row[signal.series])
        return signal.direction == DOWN and signal.series not in fading and (silent or signal.series in gone)

    return [signal for signal in signals if not told(signal)]


def _fell_silent(panel: Panel, row: int) -> bool:
    """Whether a series whose silence would be noticed had none of a day's traffic more often this week than usual."""
    week, usual = slice(-_WEEK, None), slice(-_WEEK - BASELINE_DAYS, -_WEEK)
    flowing = max(1, int((panel.total[usual] > 0).sum()))
    expected = SILENT_DAYS * float(panel.n[row, usual].sum()) / flowing

    def empty(days: slice) -> int:
        return int(((panel.n[row, days] == 0) & (panel.total[days] > 0)).sum())

    since = int(np.argmax(panel.n[row, usual] > 0))  # before its first trace an intent was not silent
    habit = max(0, empty(usual) - since) / flowing
    return expected >= MIN_TRACES and empty(week) > math.ceil(_WEEK * habit)


def _young(born: date, day: date, known: Known) -> bool:
    """Born after the bootstrap (before it, all intents are as old as the lake) and less than two weeks ago."""
    return known.bootstrapped is not None and born > known.bootstrapped and (day - born).days < YOUNG_DAYS


def step_arrivals(day: date, items: Sequence[Item], panel: Panel, known: Known) -> list[Item]:
    """Today's new and gone intents from yesterday's items (all of them).

    A new intent is told once; a vanished one stays until it is back, unless it was told to be fading.
    """
    row = {intent: position for position, intent in enumerate(panel.series)}
    today = {}
    for item in items:
        if not arrives_or_leaves(item) or forgotten(item, day):
            continue
        if not item.live:
            today[item.item_id] = item
        elif item.direction == NEW:
            today[item.item_id] = replace(item, state=ACCEPTED, closed=day)
        else:
            at = row.get(item.series)
            seen = at is not None and panel.n[at, -1] > 0
            today[item.item_id] = _still_gone(day, item, seen=seen)
    told = {item.series for item in today.values() if item.direction == GONE and _tells(item, panel, row)}
    told |= {item.series for item in items if item.key[1:] == (VOLUME, DOWN) and item.live}
    for intent, count in arrived(panel, known):
        item = _item(
            day, intent, NEW, count=float(count), onset=_first_day(panel, row[intent], known.born[intent])
        )
        today.setdefault(item.item_id, item)
    for intent, expected in vanished(panel, known):
        if intent not in told:
            item = _item(day, intent, GONE, count=expected, onset=_first_silent(panel, row[intent]))
            today.setdefault(item.item_id, item)
    return sorted(today.values(), key=lambda item: item.item_id)


def _tells(item: Item, panel: Panel, row: Mapping[str, int]) -> bool:
    """Whether the item says already that its intent is gone: it goes on, or nothing came since it was accepted."""
    if item.live or item.state != ACCEPTED or item.closed is None:
        return item.live
    at = row.get(item.series)
    since = max(0, panel.column(item.closed))
    return at is None or float(panel.n[at, since:].sum()) == 0


def _still_gone(day: date, item: Item, *, seen: bool) -> Item:
    if not seen:
        item = trimmed(replace(item, quarantined=(*item.quarantined, day), quiet_days=0), day)
    hushed = item.state == DISMISSED
    if seen:
        quiet = item.quiet_days + 1
        if quiet >= QUIET_DAYS:
            return replace(item, state=DISMISSED if hushed else RESOLVED, closed=day, quiet_days=quiet)
        return replace(item, state=DISMISSED if hushed else RECOVERING, quiet_days=quiet)
    if (day - item.opened).days >= ACCEPT_DAYS:
        return replace(item, state=ACCEPTED, closed=day)
    until = item.decision.until if hushed and item.decision is not None else None
    if hushed and (until is None or day <= until):
        return replace(item, last_fired=day)
    return replace(item, state=NEW_ITEM if hushed else ONGOING, last_fired=day)


def _first_day(panel: Panel, row: int, born: date) -> date:
    since = panel.column(born)
    return born + timedelta(days=int(np.argmax(panel.n[row, since:] > 0)))


def _first_silent(panel: Panel, row: int) -> date:
    return panel.days.first + timedelta(days=int(np.flatnonzero(panel.n[row] > 0)[-1]) + 1)


def _item(day: date, intent: str, direction: str, *, count: float, onset: date) -> Item:
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
        # silence is not how little there usually is
        quarantined=tuple(DayRange.ending(day, SILENT_DAYS + 1)) if direction == GONE else (),
        onset=Onset(onset, onset, onset, "step"),
        explanation=explanation,
    )
