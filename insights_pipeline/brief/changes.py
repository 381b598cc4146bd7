"""Items of a window, each with what became of it there: new, worsened, resolved, decided on, or just going on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from insights_pipeline.brief.facts import WORSENED, Also
from insights_pipeline.drift.constants import ALL, RESERVED, TESTED, UNKNOWN
from insights_pipeline.drift.detect import family
from insights_pipeline.drift.life.item import (
    CLOSED,
    DISMISSED,
    NEW_ITEM,
    ONGOING,
    OPEN,
    PENDING,
    RESOLVED,
)
from insights_pipeline.drift.read import rank
from insights_pipeline.drift.statistics import floors

# An item may be open for so long; what was told of it before is of no interest.
HISTORY_DAYS = 30
GROWTH = 1.5  # an effect that grew by half since it was last told is told again
# Until then a 7-day window still fills with the days of the change: its effect grows though nothing gets worse.
_FILLING_DAYS = 7
_NUMBERS = (
    *("baseline_value", "observed", "effect", "effect_low", "effect_high", "n", "explanation"),
    *("onset", "onset_first", "onset_last", "shape"),
)
Story = tuple[str, str]  # family of a metric, direction
_NAMES = {ALL: "All traffic", UNKNOWN: "Requests of no known intent"}


@dataclass(frozen=True, slots=True)
class Change:
    """An item, or the verdict of a whole week or month, as the window saw it. `began`: its onset, else when opened."""

    state: str
    item_id: str | None
    intent_id: str
    intent: str
    slice: str | None
    metric: str
    direction: str
    severity: str
    began: date
    opened: date
    closed: date | None
    rank: float
    row: Mapping[str, Any] = field(repr=False)
    before: float | None = None
    named: frozenset[Story] = frozenset()  # what a line that told it before this window named beside it

    @property
    def story(self) -> Story:
        """The metric's family and the direction: what must agree for two changes to be one."""
        return family(self.metric), self.direction

    @property
    def key(self) -> tuple[str, str | None, Story]:
        """Whose change it is, and its story."""
        return self.intent_id, self.slice, self.story

    @property
    def over(self) -> date | None:
        """The last day on which it showed: it is closed only after some normal days. None while it is open."""
        if self.closed is None:
            return None
        shown: date = self.row.get("last_fired") or self.closed
        return max(self.began, min(shown, self.closed))

    @property
    def whole(self) -> bool:
        return self.slice is None and self.intent_id not in RESERVED

    @property
    def effect(self) -> float | None:
        number: float | None = self.row["effect"]
        return number

    @property
    def share(self) -> float:
        return float(self.row["traffic_share"] or 0.0)

    @property
    def explanation(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self.row.get("explanation") or {}
        return told

    @property
    def gravity(self) -> tuple[int, float, int, str, str]:
        """Sorts the most important first; ties by metric and series."""
        place = TESTED.index(self.metric) if self.metric in TESTED else len(TESTED)
        severity = -floors.SEVERITIES.index(self.severity)
        return severity, -self.rank, place, self.metric, f"{self.intent_id} {self.slice or ''}"

    @property
    def moved_with(self) -> frozenset[Story]:
        return frozenset(_moved_with(self.row))

    def as_also(self) -> Also:
        return Also(self.metric, self.direction, self.effect, self.item_id)


def changes_of(
    history: Mapping[date, Sequence[Mapping[str, Any]]],
    names: Mapping[str, str],
    first: date,
    last: date,
) -> list[Change]:
    """What the items of the window came to. `history`: rows by day, from `HISTORY_DAYS` before the window to its end.

    Items that are pending, that closed before the window, or that somebody decided on are none.
    """
    past: dict[str, list[Mapping[str, Any]]] = {}
    for day in sorted(history):
        if first - timedelta(days=HISTORY_DAYS) <= day <= last:
            for row in history[day]:
                past.setdefault(row["item_id"], []).append(row)
    found = []
    for row in sorted(history.get(last, ()), key=lambda row: str(row["item_id"])):
        state, before = _state(row, past[row["item_id"]], first)
        if state is not None:
            # a week that still fills with the days of a change dilutes it: it did not get better since it was told
            diluted = state == ONGOING and _filling(row)
            told = _at_its_worst(row, past[row["item_id"]]) if state == RESOLVED or diluted else row
            named = _named_before(past[row["item_id"]], first)
            found.append(change_of(told, names, state, before=before, named=named))
    return found


def change_of(
    row: Mapping[str, Any],
    names: Mapping[str, str],
    state: str,
    *,
    before: float | None = None,
    named: frozenset[Story] = frozenset(),
) -> Change:
    intent = row["intent_id"]
    return Change(
        state=state,
        item_id=row["item_id"],
        intent_id=intent,
        intent=names.get(intent, _NAMES.get(intent, intent)),
        slice=row["slice"],
        metric=row["metric"],
        direction=row["direction"],
        severity=row["severity"] or floors.INFO,
        began=row["onset"] or row["opened"],
        opened=row["opened"],
        closed=row["closed"],
        rank=rank(row),
        row=row,
        before=before,
        named=named,
    )


def _moved_with(row: Mapping[str, Any]) -> Iterator[Story]:
    for moved in (row.get("explanation") or {}).get("moved_with") or ():
        yield family(str(moved["metric"])), str(moved["direction"])


def _named_before(past: Sequence[Mapping[str, Any]], first: date) -> frozenset[Story]:
    """What was named beside it on the day that told it as new; of what just goes on, nothing else is named."""
    told = [row for row in past if row["state"] == NEW_ITEM and row["date"] < first]
    return frozenset(story for row in told for story in _moved_with(row))


def _state(
    row: Mapping[str, Any], past: Sequence[Mapping[str, Any]], first: date
) -> tuple[str | None, float | None]:
    """The item's state in the window and, where it got worse, the effect it had been told with."""
    state = row["state"]
    if state in (PENDING, DISMISSED):
        return None, None
    # the day it became an item, which may be days after the first hit that it was opened with
    is_new = any(one["state"] == NEW_ITEM and one["date"] >= first for one in past)
    if state in CLOSED:
        if row["closed"] is None or row["closed"] < first:
            return None, None
        if state == RESOLVED:
            return RESOLVED, None
        # an intent is new once, and accepted on its second day; else somebody, or 30 days, accepted the level
        told = is_new and "decision" not in (row.get("explanation") or {})
        return (NEW_ITEM if told else None), None
    if is_new:
        return NEW_ITEM, None
    before = _worsened(past, first)
    return (WORSENED, before) if before is not None else (state, None)


def _at_its_worst(row: Mapping[str, Any], past: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The item with the numbers of the day of its largest effect: those of its end are hardly off the normal."""
    known = [one for one in past if one["effect"] is not None and one["state"] in OPEN]
    if not known:
        return row
    worst = max(known, key=lambda one: (abs(one["effect"]), one["date"]))
    return {**row, **{name: worst[name] for name in _NUMBERS}}


def _worsened(past: Sequence[Mapping[str, Any]], first: date) -> float | None:
    """The effect told before, if within the window the severity rose or the effect grew by half; else None."""
    told: Mapping[str, Any] | None = None
    since: float | None = None
    for row in past:
        if row["state"] not in OPEN or row["effect"] is None:
            continue
        if told is None or row["state"] == NEW_ITEM:
            told = row
        elif _graver(row, told) or _grew(row, told):
            if row["date"] >= first and since is None:
                since = told["effect"]
            told = row
        elif _filling(row):
            told = row
    return since


def _graver(row: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    now, then = (floors.SEVERITIES.index(one["severity"] or floors.INFO) for one in (row, told))
    return now > then


def _grew(row: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    return not _filling(row) and abs(row["effect"]) >= GROWTH * abs(told["effect"])


def _filling(row: Mapping[str, Any]) -> bool:
    return bool((row["date"] - (row["onset"] or row["opened"])).days < _FILLING_DAYS)
