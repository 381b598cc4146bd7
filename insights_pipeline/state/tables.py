"""The tables as they are now. A table is added here and in a new file of `migrations/versions`.

Times are int64 ns UTC, money is USD, missing is NULL.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Identity, Integer, MetaData, Table, Text
from sqlalchemy.types import JSON

METADATA = MetaData()

# What this release makes of an older database: the newest file in `migrations/versions`.
SCHEMA = "0002"
# Dagster keeps its own in `alembic_version`, perhaps in the same Postgres.
VERSIONS = "insights_state_version"

# SQLite counts only an INTEGER up by itself.
_ID = BigInteger().with_variant(Integer(), "sqlite")


def _ledger(name: str, key: str) -> Table:
    """What a `ledger.Ledger` keeps."""
    return Table(
        name,
        METADATA,
        Column(key, _ID, Identity(), primary_key=True),
        Column("at_ns", BigInteger, nullable=False),
        Column("by", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("payload", JSON, nullable=False),
        Column("undone_at_ns", BigInteger),
        Column("undone_by", Text),
        sqlite_autoincrement=True,  # an id is never given twice
    )


INTENT_EDITS = _ledger("intent_edits", "edit_id")
DRIFT_DECISIONS = _ledger("drift_decisions", "decision_id")

LLM_ANSWERS = Table(
    "llm_answers",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cost_usd", Float),
)

# One row for each message and contact point: what makes a brief go out once.
DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("contact_point", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed_ns", BigInteger, nullable=False),
    Column("sent_ns", BigInteger),
    Column("error", Text),
)
