"""What people wrote, kept for ever: rows that are added, read in order, and undone by a mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from sqlalchemy import Table, insert, select, update

from insights_pipeline.state.database import State, StateError

Entry = TypeVar("Entry")


class Ledger(Generic[Entry]):
    """A table whose only key counts up, with at_ns, by, kind, payload, undone_at_ns and undone_by."""

    def __init__(self, table: Table, entry: Callable[..., Entry], *, noun: str, listed_by: str) -> None:
        (self._id,) = table.primary_key
        self._table, self._entry, self._noun, self._listed_by = table, entry, noun, listed_by

    def entries(self, state: State) -> list[Entry]:
        """All of them, undone ones too, oldest first; none where there is no database. Raises StateError."""
        with state.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(select(self._table).order_by(self._id)).all()
        return [self._entry(**row._asdict()) for row in rows]

    def add(self, state: State, *, at_ns: int, by: str, kind: str, payload: Mapping[str, Any]) -> Entry:
        """Store one; gives it with its id. Raises StateError."""
        values = {"at_ns": at_ns, "by": by, "kind": kind, "payload": dict(payload)}
        with state.writing() as connection:
            row = connection.execute(insert(self._table).values(values).returning(self._table)).one()
        return self._entry(**row._asdict())

    def undo(self, state: State, number: int, *, at_ns: int, by: str) -> Entry:
        """Mark one as undone; gives it. Raises StateError when there is none, or it is undone already."""
        with state.writing() as connection:
            row = connection.execute(
                update(self._table)
                .where(self._id == number, self._table.c.undone_at_ns.is_(None))
                .values(undone_at_ns=at_ns, undone_by=by)
                .returning(self._table)
            ).one_or_none()
            if row is not None:
                return self._entry(**row._asdict())
            known = connection.execute(select(self._id).where(self._id == number)).first()
        if known is not None:
            raise StateError(f"{self._noun} {number} is undone already")
        raise StateError(f"there is no {self._noun} {number}: `{self._listed_by}` lists them")
