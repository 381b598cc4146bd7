"""Records that could not be read, counted by reason."""

from __future__ import annotations

from insights_pipeline.lake import DayRange, Engine, Slice, load_sql


def reject_reasons(engine: Engine, days: DayRange) -> dict[str, int]:
    """How many records were rejected on the days (of their arrival), by reason, most first."""
    rows = engine.query(
        load_sql("insights_pipeline.traces", "reject_reasons"),
        {"rejects": Slice("rejects", days, ("reason",))},
    ).to_pylist()
    return {row["reason"]: row["records"] for row in rows}
