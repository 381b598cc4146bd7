"""Which days landed spans ask for: a pure plan over what was appended, what is done and what is still to do."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from insights_pipeline.lake import DayRange, contiguous

MAX_DAYS_PER_RUN = 30


@dataclass(frozen=True, slots=True)
class Landing:
    """What the sensor remembers between looks, as its cursor.

    `table` and `version` say up to where the log was read; `pending` are days to run with the time (ms) of their
    newest append; `refold_from` is the first day whose drift must follow a late day before it.
    """

    table: str = ""
    version: int = -1
    pending: Mapping[date, int] = field(default_factory=dict)
    refold_from: date | None = None

    @classmethod
    def from_cursor(cls, cursor: str | None, *, table: str) -> Landing:
        """The remembered state; a fresh one at the start or when the table was made anew."""
        stored = json.loads(cursor) if cursor else {}
        if stored.get("table") != table:
            return cls(table)
        refold = stored["refold_from"]
        return cls(
            table,
            stored["version"],
            {date.fromisoformat(day): appended for day, appended in stored["pending"].items()},
            date.fromisoformat(refold) if refold else None,
        )

    def to_cursor(self) -> str:
        pending = {str(day): appended for day, appended in sorted(self.pending.items())}
        refold = str(self.refold_from) if self.refold_from else None
        return json.dumps(
            {"table": self.table, "version": self.version, "pending": pending, "refold_from": refold}
        )

    def after(self, version: int, appended: Mapping[date, int], *, known: Collection[date]) -> Landing:
        """With the appends up to `version`.

        A span may belong to a trace that started the day before, or move the start of one known on the day after:
        neighbours that hold spans are done again too.
        """
        pending = dict(self.pending)
        for day, moment in appended.items():
            for near in DayRange.single(day).widen(before=1, after=1):
                if near == day or near in known:
                    pending[near] = max(moment, pending.get(near, 0))
        return replace(self, version=version, pending=pending)

    def without(self, done: Collection[date]) -> Landing:
        return replace(self, pending={day: at for day, at in self.pending.items() if day not in done})

    def next_run(self, *, first: date, last: date) -> DayRange | None:
        """The earliest pending days that have a partition, at most 30 in a row: days build on the days before them."""
        ranges = contiguous({day for day in self.pending if first <= day <= last})
        if not ranges:
            return None
        days = ranges[0]
        return days if len(days) <= MAX_DAYS_PER_RUN else DayRange.beginning(days.first, MAX_DAYS_PER_RUN)

    def asked(self, days: DayRange, *, newest_brief: date | None) -> Landing:
        """After a run of `days` was requested; briefs of later days will have to follow."""
        state = self.without(list(days))
        if newest_brief is None or newest_brief <= days.last:
            return state
        earlier = [day for day in (self.refold_from, days.last) if day is not None]
        return replace(state, refold_from=min(earlier))
