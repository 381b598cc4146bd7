"""What people decided on in a window: its count, and the changes that are told no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from insights_pipeline.brief.changes import Change, change_of
from insights_pipeline.brief.facts import Decided
from insights_pipeline.drift.constants import VOLUME
from insights_pipeline.drift.life.item import ACCEPT, ACCEPTED, DISMISS, DISMISSED
from insights_pipeline.drift.life.lifecycle import ACCEPT_DAYS

_PAST_TENSE = {ACCEPT: ACCEPTED, DISMISS: DISMISSED}


def hushed_of(
    items: Iterable[Mapping[str, Any]], names: Mapping[str, str], first: date, last: date
) -> list[Change]:
    """The changes that a person accepted or dismissed, as they stood at the end of the window; none is a line.

    Not those that were over before the window: what shows of their series since is another change. Except where
    a person wants to hear nothing until a day that had not passed by its end.
    """
    found = []
    for row in items:
        decision = (row.get("explanation") or {}).get("decision") or {}
        # what 30 days accepted has been told, and nobody said that it is nothing
        by_person = row["state"] == ACCEPTED and decision.get("kind") == ACCEPT
        if row["state"] != DISMISSED and not by_person:
            continue
        until = _day(decision.get("until")) if row["state"] == DISMISSED else None
        if row["closed"] is None or row["closed"] >= first or (until is not None and until >= last):
            found.append(change_of(row, names, row["state"]))
    return found


def decided_of(items: Iterable[Mapping[str, Any]], first: date, last: date) -> tuple[Decided, ...]:
    """Counts of the items that a person decided on in the window, and of those that 30 days accepted."""
    counts: dict[tuple[str, str | None], int] = {}
    for row in items:
        decision = (row.get("explanation") or {}).get("decision") or {}
        if row["state"] not in (ACCEPTED, DISMISSED):
            continue
        when = _day(decision.get("day")) or row["closed"]
        if when is None or not first <= when <= last:
            continue
        if not decision and (row["metric"] == VOLUME or (when - row["opened"]).days < ACCEPT_DAYS):
            continue  # a new intent is accepted by itself, and so is what became part of another intent
        key = (_PAST_TENSE.get(str(decision.get("kind")), row["state"]), decision.get("by"))
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        Decided(kind, by, count)
        for (kind, by), count in sorted(counts.items(), key=lambda one: (one[0][0], one[0][1] or ""))
    )


def _day(text: object) -> date | None:
    if isinstance(text, date):
        return text
    return date.fromisoformat(text) if isinstance(text, str) else None
