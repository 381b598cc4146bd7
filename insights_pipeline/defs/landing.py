"""Which days landed data asks for: a pure plan over what was appended, what is done and what is still to do."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from insights_pipeline.lake import DayRange, contiguous

MAX_DAYS_PER_RUN = 30
# What arrives goes into these tables: spans, and what completes them when it comes apart from them.
ARRIVING = ("spans", "span_contents", "feedback")


@dataclass(frozen=True, slots=True)
class Landing:
    """What the sensor remembers between looks, as its cursor.

    `seen` says per table of `ARRIVING` up to where its log was read (table id, version); `pending` are days to run
    with the time (ms) of their newest append, `asked_at` when (ms) a day was asked for; `refold_from` is the first
    day whose drift must follow a late day before it.
    """

    seen: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    pending: Mapping[date, int] = field(default_factory=dict)
    asked_at: Mapping[date, int] = field(default_factory=dict)
    refold_from: date | None = None

    @classmethod
    def from_cursor(cls, cursor: str | None, *, tables: Mapping[str, str]) -> Landing:
        """The remembered state; `tables` are the ids that the tables have now.

        Of a table that was made anew everything is new; when that is `spans`, all else is forgotten too.
        """
        stored = json.loads(cursor) if cursor else {}
        seen = {
            name: (table_id, version)
            for name, (table_id, version) in stored.get("seen", {}).items()
            if tables.get(name) == table_id
        }
        seen = {name: seen.get(name, (table_id, -1)) for name, table_id in tables.items()}
        if not stored or seen["spans"][1] < 0:
            return cls({name: (table_id, -1) for name, table_id in tables.items()})
        refold = stored["refold_from"]
        return cls(
            seen,
            _by_day(stored["pending"]),
            _by_day(stored["asked_at"]),
            date.fromisoformat(refold) if refold else None,
        )

    def to_cursor(self) -> str:
        return json.dumps(
            {
                "seen": self.seen,
                "pending": {str(day): moment for day, moment in sorted(self.pending.items())},
                "asked_at": {str(day): moment for day, moment in sorted(self.asked_at.items())},
                "refold_from": str(self.refold_from) if self.refold_from else None,
            }
        )

    def after(
        self, table: str, version: int, appended: Mapping[date, int], *, known: Collection[date]
    ) -> Landing:
        """With the appends to a table up to `version`; `known` are the days that hold spans.

        A span may belong to a trace that started the day before, or move the start of one known on the day after:
        neighbours that hold spans are done again too. A score stands on the day of its trace.
        """
        pending = dict(self.pending)
        for day, moment in appended.items():
            around = 0 if table == "feedback" else 1
            for near in DayRange.single(day).widen(before=around, after=around):
                if near in known or (near == day and table == "spans"):
                    pending[near] = max(moment, pending.get(near, 0))
        table_id = self.seen[table][0]
        return replace(self, seen={**self.seen, table: (table_id, version)}, pending=pending)

    def without(self, done: Collection[date]) -> Landing:
        return replace(self, pending={day: at for day, at in self.pending.items() if day not in done})

    def rested(self, *, before: int) -> Landing:
        """Without the memory of days that were asked for before a time (ms): these may be asked for again."""
        return replace(self, asked_at={day: at for day, at in self.asked_at.items() if at >= before})

    def next_run(self, *, first: date, last: date) -> DayRange | None:
        """The earliest pending days that have a partition, at most 30 in a row: days build on the days before them.

        The last two days wait when they were asked for a moment ago: live traffic would keep their lineage running.
        """
        live = last - timedelta(days=1)
        wanted = {
            day for day in self.pending if first <= day <= last and (day < live or day not in self.asked_at)
        }
        ranges = contiguous(wanted)
        if not ranges:
            return None
        days = ranges[0]
        return days if len(days) <= MAX_DAYS_PER_RUN else DayRange.beginning(days.first, MAX_DAYS_PER_RUN)

    def asked(self, days: DayRange, *, now: int, newest_brief: date | None) -> Landing:
        """After a run of `days` was requested at a time (ms); briefs of later days will have to follow."""
        state = replace(self.without(list(days)), asked_at={**self.asked_at, **dict.fromkeys(days, now)})
        if newest_brief is None or newest_brief <= days.last:
            return state
        earlier = [day for day in (self.refold_from, days.last) if day is not None]
        return replace(state, refold_from=min(earlier))


def _by_day(stored: Mapping[str, int]) -> dict[date, int]:
    return {date.fromisoformat(day): moment for day, moment in stored.items()}
