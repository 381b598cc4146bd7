"""Which lines of the briefs belong to which injected incident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from insights_pipeline.demo.incidents import ANY, Incident

PENDING, OPEN = "pending", frozenset({"new", "ongoing", "recovering"})
OFF_TOPIC, RESERVED = "off_topic", frozenset({"all", "unknown"})
# A creep is below what can be told from the weather for most of its time.
DAYS_TO_FIND, DAYS_TO_FIND_CREEP = 10, 20
# A 7-day window still holds a burst for a week after it; its line may close and flap in that time.
AFTERMATH_DAYS = 10


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
            )
        )
    return tuple(sorted(lines, key=lambda line: (line.shown, line.item_id)))


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
