"""The engine as a Dagster resource: DuckDB in memory, bounded by settings, over the Delta lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster_duckdb import DuckDBResource

from insights_pipeline.lake import DuckDBEngine, Lake, engine_config
from insights_pipeline.lake.engine import DuckDBPyConnection
from insights_pipeline.settings import Settings


class EngineResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Gives each asset a `DuckDBEngine`. Nobody shares a database file, so runs never meet a lock."""

    lake_uri: str
    duckdb: DuckDBResource

    def engine(self) -> DuckDBEngine:
        from insights_pipeline.settings import settings

        # Store options may hold secrets: they are read from settings, never kept in resource config.
        return DuckDBEngine(Lake(self.lake_uri, settings().storage_options), self._connect)

    @contextmanager
    def _connect(self) -> Iterator[DuckDBPyConnection]:
        # The resource does not close its connection when the body raises, so it is closed here.
        with self.duckdb.get_connection() as connection:
            try:
                yield connection
            finally:
                connection.close()


def resources(config: Settings) -> dict[str, object]:
    """The resources of the code location."""
    config.temp_dir.mkdir(parents=True, exist_ok=True)
    duckdb = DuckDBResource(
        database=":memory:",
        connection_config=engine_config(
            threads=config.threads, memory_mb=config.memory_mb, temp_dir=config.temp_dir
        ),
    )
    return {"engine": EngineResource(lake_uri=config.lake_uri, duckdb=duckdb)}
