"""Answers of the language model, by a hash of the question: the same is never paid twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from insights_pipeline.state.database import State
from insights_pipeline.state.tables import LLM_ANSWERS


class StoredAnswers:
    """The cache table. `now_ns` is the clock. Raises StateError."""

    def __init__(self, state: State, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._state = state
        self._now_ns = now_ns

    def get(self, key: str) -> str | None:
        """The answer to a question, None when it was not asked yet."""
        with self._state.reading() as connection:
            if connection is None:
                return None
            found = connection.execute(select(LLM_ANSWERS.c.value).where(LLM_ANSWERS.c.key == key)).scalar()
        return None if found is None else str(found)

    def put(
        self,
        key: str,
        value: str,
        *,
        model: str,
        prompt_tokens: int | None,
        completion_tokens: int | None,
        cost_usd: float | None,
    ) -> None:
        """Keep an answer; a newer one to the same question takes its place."""
        values = {
            "value": value,
            "at_ns": self._now_ns(),
            "model": model,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "cost_usd": cost_usd,
        }
        with self._state.writing() as connection:
            insert = insert_of(connection.dialect.name)
            statement = insert(LLM_ANSWERS).values(key=key, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


def insert_of(dialect: str) -> Any:
    """INSERT … ON CONFLICT, which SQLAlchemy has for each database apart."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as of_postgres

        return of_postgres
    from sqlalchemy.dialects.sqlite import insert as of_sqlite

    return of_sqlite
