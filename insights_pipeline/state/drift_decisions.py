"""Decisions about drift items as people made them: kept for ever, undone by a mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Row

from insights_pipeline.state.database import State, StateError
from insights_pipeline.state.tables import DRIFT_DECISIONS


@dataclass(frozen=True, slots=True)
class DriftDecision:
    """One row of `drift_decisions`. What `kind` and `payload` mean is known to `drift.life.decisions`."""

    decision_id: int
    at_ns: int
    by: str
    kind: str
    payload: Mapping[str, Any]
    undone_at_ns: int | None = None
    undone_by: str | None = None


def drift_decisions(state: State) -> list[DriftDecision]:
    """All decisions, undone ones too, oldest first; none where there is no database. Raises StateError."""
    with state.reading() as connection:
        if connection is None:
            return []
        rows = connection.execute(select(DRIFT_DECISIONS).order_by(DRIFT_DECISIONS.c.decision_id)).all()
    return [_decision(row) for row in rows]


def add_drift_decision(
    state: State, *, at_ns: int, by: str, kind: str, payload: Mapping[str, Any]
) -> DriftDecision:
    """Store a decision; gives it with its id. Raises StateError."""
    values = {"at_ns": at_ns, "by": by, "kind": kind, "payload": dict(payload)}
    with state.writing() as connection:
        row = connection.execute(insert(DRIFT_DECISIONS).values(values).returning(DRIFT_DECISIONS)).one()
    return _decision(row)


def undo_drift_decision(state: State, decision_id: int, *, at_ns: int, by: str) -> DriftDecision:
    """Mark a decision as undone; gives it. Raises StateError when there is none, or it is undone already."""
    with state.writing() as connection:
        row = connection.execute(
            update(DRIFT_DECISIONS)
            .where(DRIFT_DECISIONS.c.decision_id == decision_id, DRIFT_DECISIONS.c.undone_at_ns.is_(None))
            .values(undone_at_ns=at_ns, undone_by=by)
            .returning(DRIFT_DECISIONS)
        ).one_or_none()
        if row is not None:
            return _decision(row)
        known = connection.execute(
            select(DRIFT_DECISIONS.c.decision_id).where(DRIFT_DECISIONS.c.decision_id == decision_id)
        ).one_or_none()
    if known is None:
        raise StateError(f"there is no decision {decision_id}")
    raise StateError(f"decision {decision_id} is undone already")


def _decision(row: Row[Any]) -> DriftDecision:
    return DriftDecision(**row._asdict())
