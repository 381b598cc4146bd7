"""What was sent to whom: the ledger that makes a message go out once.

A row is claimed before its message is sent and marked after it. Who dies in between leaves a claim that lapses, and the
message is sent again: at least once, never lost. A second sending is possible only then.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, literal, or_, select, update

from insights_pipeline.state.answers import insert_of
from insights_pipeline.state.database import State
from insights_pipeline.state.tables import DELIVERIES

SENDING = "sending"  # claimed; since when is `claimed_ns`
SENT = "sent"
WAITING = "waiting"  # it did not arrive; it may be claimed again from `claimed_ns` on
FAILED = "failed"  # for good
ABANDONED = "whoever sent it was stopped each time before the answer came"

_C = DELIVERIES.c


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of `deliveries`: a message for a contact point. `claimed_ns` of a waiting one lies in the future."""

    key: str
    contact_point: str
    status: str
    attempts: int
    claimed_ns: int
    sent_ns: int | None = None
    error: str | None = None


def claim(
    state: State,
    key: str,
    contact_point: str,
    *,
    now_ns: int,
    lease_ns: int,
    max_attempts: int,
    anew: bool = False,
) -> Delivery | None:
    """The delivery, if it is this caller's to send now: one caller over all processes gets it. Raises StateError.

    None where it was sent, failed for good, waits for a later time, or is being sent by another whose lease has not
    run out. A lease that ran out on the last attempt makes it failed. `anew` is the wish of a person: whatever is not
    being sent right now, with its attempts counted from the start.
    """
    lapsed = and_(_C.status == SENDING, _C.claimed_ns <= now_ns - lease_ns)
    due = or_(lapsed, and_(_C.status == WAITING, _C.claimed_ns <= now_ns))
    mine = or_(lapsed, _C.status != SENDING) if anew else and_(due, _C.attempts < max_attempts)
    attempts = literal(1) if anew else _C.attempts + 1
    this = (_C.key == key, _C.contact_point == contact_point)
    with state.writing() as connection:
        insert = insert_of(connection.dialect.name)
        values = {"status": SENDING, "claimed_ns": now_ns}
        row = connection.execute(
            insert(DELIVERIES)
            .values(key=key, contact_point=contact_point, attempts=1, **values)
            .on_conflict_do_update(
                index_elements=["key", "contact_point"],
                set_={**values, "attempts": attempts},
                where=mine,
            )
            .returning(DELIVERIES)
        ).one_or_none()
        if row is None:
            connection.execute(
                update(DELIVERIES)
                .where(*this, lapsed, _C.attempts >= max_attempts)
                .values(status=FAILED, error=ABANDONED)
            )
    return None if row is None else Delivery(**row._asdict())


def mark_sent(state: State, claimed: Delivery, *, now_ns: int) -> None:
    """The message arrived: it never goes again, whoever else has claimed it meanwhile. Raises StateError."""
    with state.writing() as connection:
        connection.execute(
            update(DELIVERIES)
            .where(*_same(claimed), _C.status != SENT)
            .values(status=SENT, sent_ns=now_ns, error=None)
        )


def mark_failed(state: State, claimed: Delivery, error: str, *, retry_ns: int | None) -> None:
    """It did not arrive: try again from `retry_ns` on, or never. `error` must hold no secret. Raises StateError.

    Of a claim that lapsed and was taken over, the other decides.
    """
    values: dict[str, Any] = {"status": FAILED, "error": error}
    if retry_ns is not None:
        values = {"status": WAITING, "error": error, "claimed_ns": retry_ns}
    with state.writing() as connection:
        connection.execute(
            update(DELIVERIES)
            .where(*_same(claimed), _C.status == SENDING, _C.attempts == claimed.attempts)
            .values(**values)
        )


def deliveries(state: State, *, keys: Collection[str] | None = None) -> list[Delivery]:
    """All deliveries, or those of some messages, by the time of their last attempt. Raises StateError."""
    with state.reading() as connection:
        if connection is None:
            return []
        query = select(DELIVERIES).order_by(_C.claimed_ns, _C.key, _C.contact_point)
        if keys is not None:
            query = query.where(_C.key.in_(keys))
        rows = connection.execute(query).all()
    return [Delivery(**row._asdict()) for row in rows]


def _same(claimed: Delivery) -> tuple[Any, Any]:
    return _C.key == claimed.key, _C.contact_point == claimed.contact_point
