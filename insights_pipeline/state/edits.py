"""Corrections of intents as people made them: kept for ever, undone by a mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Row

from insights_pipeline.state.database import State, StateError
from insights_pipeline.state.tables import INTENT_EDITS


@dataclass(frozen=True, slots=True)
class IntentEdit:
    """One row of `intent_edits`. What `kind` and `payload` mean is known to `intents.corrections.edits`."""

    edit_id: int
    at_ns: int
    by: str
    kind: str
    payload: Mapping[str, Any]
    undone_at_ns: int | None = None
    undone_by: str | None = None


def intent_edits(state: State) -> list[IntentEdit]:
    """All edits, undone ones too, oldest first; none where there is no database. Raises StateError."""
    with state.reading() as connection:
        if connection is None:
            return []
        rows = connection.execute(select(INTENT_EDITS).order_by(INTENT_EDITS.c.edit_id)).all()
    return [_edit(row) for row in rows]


def add_intent_edit(
    state: State, *, at_ns: int, by: str, kind: str, payload: Mapping[str, Any]
) -> IntentEdit:
    """Store an edit; gives it with its id. Raises StateError."""
    values = {"at_ns": at_ns, "by": by, "kind": kind, "payload": dict(payload)}
    with state.writing() as connection:
        row = connection.execute(insert(INTENT_EDITS).values(values).returning(INTENT_EDITS)).one()
    return _edit(row)


def undo_intent_edit(state: State, edit_id: int, *, at_ns: int, by: str) -> IntentEdit:
    """Mark an edit as undone; gives it. Raises StateError when there is none, or it is undone already."""
    with state.writing() as connection:
        row = connection.execute(
            update(INTENT_EDITS)
            .where(INTENT_EDITS.c.edit_id == edit_id, INTENT_EDITS.c.undone_at_ns.is_(None))
            .values(undone_at_ns=at_ns, undone_by=by)
            .returning(INTENT_EDITS)
        ).one_or_none()
        if row is not None:
            return _edit(row)
        known = connection.execute(
            select(INTENT_EDITS.c.edit_id).where(INTENT_EDITS.c.edit_id == edit_id)
        ).first()
    if known is not None:
        raise StateError(f"edit {edit_id} is undone already")
    raise StateError(f"there is no edit {edit_id}: `insights intents edits` lists them")


def _edit(row: Row[Any]) -> IntentEdit:
    return IntentEdit(**row._asdict())
