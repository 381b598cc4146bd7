"""Ground floor: the tables as contracts, Delta storage, and the engine."""

from insights_pipeline.lake.days import DayRange, contiguous, day_of_ns, start_ns, today
from insights_pipeline.lake.engine import DuckDBEngine, Engine, connect_with, engine_config, load_sql
from insights_pipeline.lake.lake import ConflictError, Lake, Slice, now_ns, rows_to_table

__all__ = [
    "ConflictError",
    "DayRange",
    "DuckDBEngine",
    "Engine",
    "Lake",
    "Slice",
    "connect_with",
    "contiguous",
    "day_of_ns",
    "engine_config",
    "load_sql",
    "now_ns",
    "rows_to_table",
    "start_ns",
    "today",
]
