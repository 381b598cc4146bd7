"""Which lines of the briefs belong to which injected incident."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from insights_pipeline.demo.incidents import ANY, Incident

PENDING, OPEN = "pending", frozenset({"new", "ongoing", "recovering", "no_data"})
OFF_TOPIC, RESERVED = "off_topic", frozenset({"all", "unknown"})
# A creep is below what can be told from the weather for most of its time.
DAYS_TO_FIND, DAYS_TO_FIND_CREEP = 10, 20
# A 7-day window still holds a burst for a week after it; its line may close and flap in that time.
AFTERMATH_DAYS = 10
DAYS_OFF = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A drift item that briefs told of, first on `shown`. `planted` is what most traces of its intent were about."""

    item_id: str
    intent_id: str
    planted: str | None
    metric: str
    direction: str
    shown: date
    last_seen: date
    last_state: str
    effect: float | None
    onset: date | None = None
    onset_first: date | None = None
    onset_last: date | None = None
    carriers: tuple[tuple[str, str], ...] = ()  # (dimension, value)
    coincident: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """An incident and the lines that tell of it in the metric and direction in which it was injected."""

    incident: Incident
    lines: tuple[Line, ...]

    @property
    def days_to_find(self) -> int | None:
        """Days from the start of the incident to its first line; None when there is none."""
        if not self.lines:
            return None
        return (min(line.shown for line in self.lines) - self.incident.first_day).days

    @property
    def found(self) -> bool:
        creeps = self.incident.kind == "latency_creep"
        limit = DAYS_TO_FIND_CREEP if creeps else DAYS_TO_FIND
        return self.days_to_find is not None and self.days_to_find <= limit

    @property
    def best(self) -> Line | None:
        """The line that is judged: one that names carrier and start right where there is one, else the first."""
        return min(
            self.lines,
            key=lambda line: (
                not (self.carrier_ok(line) and self.onset_ok(line)),
                line.shown,
                line.item_id,
            ),
            default=None,
        )

    @property
    def explained(self) -> bool:
        """Whether a line names what carries the incident, and when it began."""
        return self.best is not None and self.carrier_ok(self.best) and self.onset_ok(self.best)

    def carrier_ok(self, line: Line) -> bool:
        """Whether what the line names first is the slice that the incident was injected into; none, where none is.

        A release that came at the time may stand beside it: since then all traffic has it, so the numbers cannot tell
        it from the days. Where the release itself is what was injected, naming it as coincident is all that can be.
        """
        expected = self.incident.carriers
        if expected is None:
            return True
        wanted = {(one.dimension, value) for one in expected for value in one.values}
        named = [one for one in line.carriers if one in wanted or one not in line.coincident]
        if named:
            return named[0] in wanted
        return not wanted or bool(wanted & set(line.coincident))

    def onset_ok(self, line: Line) -> bool:
        """Whether the line's start is within two days of the true one; a new intent has a first day, not a start.

        A creep begins below anything that can be seen: its 95 % interval must hold the true day instead.
        """
        if self.incident.kind == "new_intent" and line.onset is None:
            return True
        off = self.days_off(line)
        if off is None:
            return False
        if self.incident.kind == "latency_creep" and line.onset_first and line.onset_last:
            return abs(off) <= DAYS_OFF or line.onset_first <= self.incident.first_day <= line.onset_last
        return abs(off) <= DAYS_OFF

    def days_off(self, line: Line) -> int | None:
        """Days from the true start to the one that the line tells."""
        return None if line.onset is None else (line.onset - self.incident.first_day).days


def majority(assigned: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """What most traces of each found intent were about, from (found intent, planted intent) of every trace."""
    counts: dict[str, Counter[str]] = {}
    for found, planted in assigned:
        counts.setdefault(found, Counter())[planted or OFF_TOPIC] += 1
    return {found: min(of, key=lambda name: (-of[name], name)) for found, of in counts.items()}


def lines_of(items: Iterable[Mapping[str, Any]], planted: Mapping[str, str]) -> tuple[Line, ...]:
    """Lines from the daily rows of `drift_items`: an item that never left "pending" is none."""
    by_item: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(items, key=lambda row: (row["date"], row["item_id"])):
        by_item.setdefault(row["item_id"], []).append(row)
    lines = []
    for item_id, rows in by_item.items():
        shown = [row for row in rows if row["state"] != PENDING]
        if not shown:
            continue
        intent, last = rows[0]["intent_id"], rows[-1]
        lines.append(
            Line(
                item_id=item_id,
                intent_id=intent,
                planted=intent if intent in RESERVED else planted.get(intent),
                metric=rows[0]["metric"],
                direction=rows[0]["direction"],
                shown=shown[0]["date"],
                last_seen=last["date"],
                last_state=last["state"],
                effect=last["effect"],
                onset=last.get("onset"),
                onset_first=last.get("onset_first"),
                onset_last=last.get("onset_last"),
                carriers=_slices(last, "carriers"),
                coincident=_slices(last, "coincident"),
            )
        )
    return tuple(sorted(lines, key=lambda line: (line.shown, line.item_id)))


def _slices(row: Mapping[str, Any], which: str) -> tuple[tuple[str, str], ...]:
    """What the explanation of an item names, as (dimension, value)."""
    explanation = json.loads(row.get("explanation") or "{}")
    return tuple((str(one["dimension"]), str(one["value"])) for one in explanation.get(which) or [])


def match(incidents: Sequence[Incident], lines: Sequence[Line]) -> tuple[tuple[Match, ...], tuple[Line, ...]]:
    """Each incident with its lines, and the lines that no incident explains."""
    matches = tuple(
        Match(one, tuple(line for line in lines if _tells_of(line, one) and _in_time(line, one)))
        for one in incidents
    )
    rest = (line for line in lines if not any(_explains(one, line) for one in incidents))
    return matches, tuple(rest)


def _explains(incident: Incident, line: Line) -> bool:
    allowed = any(
        line.planted == one.intent
        and one.metric in (ANY, line.metric)
        and one.direction in (ANY, line.direction)
        for one in incident.also_allowed
    )
    return _in_time(line, incident) and (allowed or _tells_of(line, incident))


def _tells_of(line: Line, incident: Incident) -> bool:
    return (
        line.planted == incident.intent
        and line.metric in incident.metrics
        and line.direction == incident.direction
    )


def _in_time(line: Line, incident: Incident) -> bool:
    return incident.first_day <= line.shown <= incident.last_day + timedelta(days=AFTERMATH_DAYS)
