"""Which series of the past are one series as of a day: merged intents count for what they are part of.

Rollups are never rewritten. They are additive, so those of a merged intent are added to its target's when they are
read. An intent whose definition changed (a split, an undone merge) begins anew on that day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from insights_pipeline.drift.constants import BASELINE_DAYS
from insights_pipeline.intents.model import MERGED, whole_of
from insights_pipeline.lake import DayRange, Slice
from insights_pipeline.lake.engine import Engine

_COLUMNS = ("date", "intent_id", "status", "merged_into", "changed")
_SCHEMA = pa.schema([("intent_id", pa.string()), ("target", pa.string()), ("since", pa.date32())])


@dataclass(frozen=True, slots=True)
class Lineage:
    """As of a day. `target`: of a merged intent, what it is part of in the end. `since`: first day that counts."""

    target: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, date] = field(default_factory=dict)

    def of(self, intent_id: str) -> str:
        return self.target.get(intent_id, intent_id)

    def table(self) -> pa.Table:
        """Rows of every intent that is not simply itself: intent_id, target, since."""
        rows = [
            {"intent_id": one, "target": self.of(one), "since": self.since.get(self.of(one))}
            for one in sorted(self.target.keys() | self.since.keys())
        ]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)


ITSELF = Lineage()


def lineage_of(rows: Sequence[Mapping[str, Any]]) -> Lineage:
    """From a day's rows of `intents`: intent_id, status, merged_into, changed. Merges in a circle lead nowhere."""
    into = {str(row["intent_id"]): row["merged_into"] for row in rows if row["status"] == MERGED}
    target = {one: end for one in into if (end := whole_of(into, one)) != one}
    since: dict[str, date] = {}
    for row in rows:
        if isinstance(row["changed"], date):
            whole = target.get(str(row["intent_id"]), str(row["intent_id"]))
            # what came in with another set of traces makes the whole another one
            since[whole] = max(since.get(whole, date.min), row["changed"])
    return Lineage(target, since)


def lineages(engine: Engine, days: DayRange) -> list[tuple[DayRange, Lineage]]:
    """The days in runs of equal lineage; of a day without intents of its own that of the newest before it."""
    table = engine.lake.read(Slice("intents", days.widen(before=BASELINE_DAYS), _COLUMNS))
    by_day: dict[date, list[Mapping[str, Any]]] = {}
    for row in table.to_pylist():
        by_day.setdefault(row["date"], []).append(row)
    current = Lineage()
    runs: list[tuple[DayRange, Lineage]] = []
    for day in days.widen(before=BASELINE_DAYS):
        if day in by_day:
            current = lineage_of(by_day[day])
        if day not in days:
            continue
        if runs and runs[-1][1] == current and runs[-1][0].last + timedelta(days=1) == day:
            runs[-1] = (DayRange(runs[-1][0].first, day), current)
        else:
            runs.append((DayRange.single(day), current))
    return runs
