"""What people decided about drift items, applied by the fold on the day it was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.lake.days import day_of_ns
from insights_pipeline.state import DriftDecision

ACCEPT, DISMISS = "accept", "dismiss"
KINDS = (ACCEPT, DISMISS)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word on one (series, metric, direction): `day` is the UTC day it was given on."""

    decision_id: int
    kind: str
    series: str
    metric: str
    direction: str
    day: date
    by: str
    until: date | None = None
    note: str | None = None


def decisions_of(rows: Sequence[DriftDecision]) -> list[Decision]:
    """The decisions in force, oldest first, of the rows of the state. A row that cannot be read raises ValueError."""
    return [_decision(row) for row in rows if row.undone_at_ns is None]


def _decision(row: DriftDecision) -> Decision:
    payload = row.payload
    try:
        return Decision(
            decision_id=row.decision_id,
            kind=row.kind,
            series=series_key(payload["intent_id"], payload.get("slice")),
            metric=payload["metric"],
            direction=payload["direction"],
            day=day_of_ns(row.at_ns),
            by=row.by,
            until=date.fromisoformat(payload["until"]) if payload.get("until") else None,
            note=payload.get("note"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"decision {row.decision_id} in the state database cannot be read: {error}"
        ) from None
