"""The heavy operations, named; DuckDB does them in memory over the files of a table version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from insights_pipeline.lake.lake import Lake, Slice, Snapshot

Source: TypeAlias = "Slice | pa.Table"
Params = Mapping[str, object]
Connect = Callable[[], AbstractContextManager[DuckDBPyConnection]]
BATCH_ROWS = 8_192

__all__ = [
    "DuckDBEngine",
    "DuckDBPyConnection",
    "Engine",
    "Slice",
    "connect_with",
    "engine_config",
    "load_sql",
]


class Engine(Protocol):
    """What the domains need of an engine. Each operation reads one version of every source."""

    lake: Lake

    def query(self, sql: str, sources: Mapping[str, Source], params: Params | None = None) -> pa.Table:
        """A result that fits in memory. `sources` become views under their names."""

    def stream(
        self, sql: str, sources: Mapping[str, Source], params: Params | None = None, *, rows: int = BATCH_ROWS
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """A result of any size, drawn in batches of about `rows` while the context lasts."""

    def write(
        self, sql: str, sources: Mapping[str, Source], into: Slice, params: Params | None = None
    ) -> int:
        """Replace the partitions of `into` with the result, streamed; gives its rows."""

    def map_batches(
        self, source: Slice, function: Callable[[pa.RecordBatch], pa.RecordBatch], into: Slice
    ) -> int:
        """Replace the partitions of `into` with `function` of every batch of `source`, streamed; gives its rows."""


def load_sql(package: str, name: str) -> str:
    """Text of `<package>/sql/<name>.duckdb.sql`, e.g. `load_sql("insights_pipeline.traces", "assemble")`."""
    return files(package).joinpath("sql", f"{name}.duckdb.sql").read_text()


def engine_config(*, threads: int, memory_mb: int, temp_dir: Path) -> dict[str, Any]:
    """DuckDB settings: bounded threads and memory, spill folder, no extension is ever fetched."""
    return {
        "threads": threads,
        "memory_limit": f"{memory_mb}MiB",
        "temp_directory": str(temp_dir),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def connect_with(config: Mapping[str, Any]) -> Connect:
    """A private in-memory DuckDB per operation, closed on every path."""

    @contextmanager
    def connect() -> Iterator[DuckDBPyConnection]:
        connection = duckdb.connect(":memory:", config=dict(config))
        try:
            yield connection
        finally:
            connection.close()

    return connect


class DuckDBEngine:
    """The default engine. Nobody shares a database file, so readers and writers never meet a lock."""

    def __init__(self, lake: Lake, connect: Connect) -> None:
        self.lake = lake
        self._connect = connect

    def query(self, sql: str, sources: Mapping[str, Source], params: Params | None = None) -> pa.Table:
        with self._connect() as connection:
            self._views(connection, sources)
            return connection.execute(sql, dict(params or {})).to_arrow_table()

    @contextmanager
    def stream(
        self, sql: str, sources: Mapping[str, Source], params: Params | None = None, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatchReader]:
        with self._connect() as connection:
            self._views(connection, sources)
            yield connection.execute(sql, dict(params or {})).to_arrow_reader(rows)

    def write(
        self, sql: str, sources: Mapping[str, Source], into: Slice, params: Params | None = None
    ) -> int:
        with ExitStack() as stack:

            def make() -> pa.RecordBatchReader:
                stack.close()  # a retry starts on a fresh connection and fresh snapshots
                connection = stack.enter_context(self._connect())
                self._views(connection, sources)
                return connection.execute(sql, dict(params or {})).to_arrow_reader(BATCH_ROWS)

            return self.lake.replace(into, make)

    def map_batches(
        self, source: Slice, function: Callable[[pa.RecordBatch], pa.RecordBatch], into: Slice
    ) -> int:
        with ExitStack() as stack:

            def make() -> pa.RecordBatchReader:
                stack.close()
                connection = stack.enter_context(self._connect())
                self._views(connection, {"source": source})
                batches = connection.execute("SELECT * FROM source").to_arrow_reader(BATCH_ROWS)
                return pa.RecordBatchReader.from_batches(
                    into.contract.schema, (function(batch) for batch in batches)
                )

            return self.lake.replace(into, make)

    def _views(self, connection: DuckDBPyConnection, sources: Mapping[str, Source]) -> None:
        for name, source in sources.items():
            if isinstance(source, Slice):
                self._slice_view(connection, name, self.lake.snapshot(source))
            else:
                connection.register(name, source)

    def _slice_view(self, connection: DuckDBPyConnection, name: str, snapshot: Snapshot) -> None:
        """A view over exactly the files of the snapshot, typed by the contract: a column that a file lacks is NULL."""
        slice_ = snapshot.slice
        connection.register(f"{name}__contract", slice_.contract.schema.empty_table())
        if self.lake.is_local:
            paths = snapshot.files()
            body = f"SELECT * FROM {name}__contract"
            if paths:
                quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
                body += (
                    f" UNION ALL BY NAME SELECT * FROM read_parquet([{quoted}], union_by_name = true,"
                    " hive_partitioning = true, hive_types = {'date': DATE})"
                )
        else:  # DuckDB would have to download an extension; Arrow's own file systems read any store
            connection.register(f"{name}__files", snapshot.dataset())
            predicate = slice_.predicate()
            where = f" WHERE {predicate}" if predicate else ""
            body = f"SELECT * FROM {name}__contract UNION ALL BY NAME SELECT * FROM {name}__files{where}"
        columns = ", ".join(f'"{column}"' for column in slice_.schema.names)
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM ({body})")
