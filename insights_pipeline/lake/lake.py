"""Delta tables: read by days and columns, append, replace whole partitions; atomic, retried on conflict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from insights_pipeline.lake.days import DayRange
from insights_pipeline.lake.durable import sync_appends
from insights_pipeline.lake.tables import TABLES, Table

# Which days an append touched: the landed-data sensor reads it back from the log.
_APPENDED = "insights.appended_days"

# Live traffic commits every few seconds: a month of the log, the default, would be a million files, and each append
# lists them. Whoever reads the log back (`appended_days`) copes with its beginning being gone.
_PROPERTIES: dict[str, str] = {"delta.logRetentionDuration": "interval 2 days"}

# A file in a lake that holds nothing but the demo's traffic: only such a lake is ever emptied, by a new demo.
DEMO_MARK = "MADE_BY_DEMO"


# Rows that take minutes to make are not made a dozen times: who writes in between will do so again.
_PATIENCE = stop_after_attempt(12) | (stop_after_attempt(3) & stop_after_delay(60))


class ConflictError(Exception):
    """Others wrote to the same partitions each time before the rows for them were made; nothing was replaced."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some days and columns of a table; `days` None is every day, `columns` None is every column.

    `cadence` narrows the two tables that are also partitioned by it.
    """

    table: str
    days: DayRange | None = None
    columns: tuple[str, ...] | None = None
    cadence: str | None = None

    @property
    def contract(self) -> Table:
        return TABLES[self.table]

    @property
    def schema(self) -> pa.Schema:
        schema = self.contract.schema
        return schema if self.columns is None else pa.schema([schema.field(name) for name in self.columns])

    def predicate(self) -> str | None:
        """The slice as SQL over partition columns, or None for the whole table."""
        terms = []
        if self.days is not None:
            terms.append(f"date >= '{self.days.first}' AND date <= '{self.days.last}'")
        if self.cadence is not None:
            terms.append(f"cadence = '{self.cadence}'")
        return " AND ".join(terms) or None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table: what a query reads, whatever others write meanwhile."""

    delta: DeltaTable = field(repr=False)
    slice: Slice

    def files(self) -> list[str]:
        """Paths (of a local lake) or URIs of the version's files."""
        predicate = self.slice.predicate()
        uris = self.delta.file_uris(file_pruning_predicate=predicate) if predicate else self.delta.file_uris()
        # delta-rs escapes a blank in a folder's name as %20
        return [unquote(uri.removeprefix("file://")) if _is_local(uri) else uri for uri in uris]

    def dataset(self) -> ds.Dataset:
        """The version's files as a dataset, read by Arrow's own file system where the lake is local.

        delta-rs would lend its own, which is Python: Arrow's threads may still hold a file of it when the interpreter
        ends, and that aborts the process ("terminate called without an active exception").
        """
        uri = self.delta.table_uri
        if not _is_local(uri):
            return self.delta.to_pyarrow_dataset()
        folder = SubTreeFileSystem(unquote(uri.removeprefix("file://")), LocalFileSystem())
        return self.delta.to_pyarrow_dataset(filesystem=folder)


class Lake:
    """The Delta tables under one URI. Tables are created on first use from their contract."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        if any(char in uri for char in "[]%"):
            raise ValueError(f"the lake cannot lie in {uri}: rename the folder so that it has none of [ ] %")
        self.uri = uri.rstrip("/")
        self._storage = dict(storage_options or {})
        self._known: set[str] = set()

    @property
    def is_local(self) -> bool:
        return _is_local(self.uri)

    @property
    def _folder(self) -> Path:
        return Path(self.uri.removeprefix("file://"))

    def keep(self) -> None:
        """From now on the lake holds somebody's own traces: no demo may empty it."""
        if self.is_local:
            (self._folder / DEMO_MARK).unlink(missing_ok=True)

    def snapshot(self, slice_: Slice) -> Snapshot:
        return Snapshot(self._open(slice_.contract), slice_)

    def read(self, slice_: Slice, *, where: ds.Expression | None = None) -> pa.Table:
        """Rows of the slice as an Arrow table in the contract's column order and types."""
        snapshot = self.snapshot(slice_)
        condition = where
        if slice_.days is not None:
            in_days = (ds.field("date") >= slice_.days.first) & (ds.field("date") <= slice_.days.last)
            condition = in_days if condition is None else condition & in_days
        if slice_.cadence is not None:
            of_cadence = ds.field("cadence") == slice_.cadence
            condition = of_cadence if condition is None else condition & of_cadence
        names = slice_.schema.names
        return snapshot.dataset().to_table(columns=names, filter=condition).cast(slice_.schema)

    def append(self, table: str, rows: pa.Table, *, transaction: tuple[str, int] | None = None) -> None:
        """Add rows; a concurrent replace of the same day makes one of the two retry.

        `transaction` is (application, version), committed with the rows: `transaction(table, application)` then
        tells what an application had appended before it was killed.
        """
        if rows.num_rows == 0:
            return
        contract = TABLES[table]
        touched = sorted({str(day) for day in rows.column("date").unique().to_pylist()})
        marks = [Transaction(*transaction)] if transaction else None
        self._commit(
            lambda: write_deltalake(
                self._open(contract),
                rows.select(contract.schema.names).cast(contract.schema),
                mode="append",
                writer_properties=_writer_properties(contract),
                commit_properties=CommitProperties(
                    custom_metadata={_APPENDED: ",".join(touched)}, app_transactions=marks
                ),
            )
        )

    def transaction(self, table: str, app: str) -> int:
        """The version that an application gave with its newest append, -1 before its first."""
        found = self._open(TABLES[table]).transaction_version(app)
        return -1 if found is None else found

    def sync(self, table: str, *, since: float) -> None:
        """Bring what was committed since a time (s, epoch) to this machine's disk; raises OSError when that fails.

        Nothing is to be done for an object store: it answers when a commit is safe.
        """
        if self.is_local:
            sync_appends(self._folder / table, since=since)

    def replace(self, into: Slice, make: Callable[[], pa.Table | pa.RecordBatchReader]) -> int:
        """Replace the partitions of `into` with the rows that `make` returns; gives their count.

        Either all of the old rows are seen or all of the new ones. `make` is called again when another
        writer committed to the same partitions in between, so rows derived from them are derived anew.
        Raises ConflictError when that happens again and again.
        """
        contract = into.contract
        predicate = into.predicate()
        if predicate is None or into.days is None:
            raise ValueError(f"replace of {into.table} needs days: replacing a whole table is never meant")
        rows = 0

        def counted(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
            def batches() -> Iterator[pa.RecordBatch]:
                nonlocal rows
                for batch in reader:
                    rows += batch.num_rows
                    yield batch.select(contract.schema.names).cast(contract.schema)

            return pa.RecordBatchReader.from_batches(contract.schema, batches())

        def write() -> None:
            nonlocal rows
            rows = 0
            delta = self._open(contract)  # before `make` reads, so that a write in between is a conflict
            made = make()
            reader = made.to_reader() if isinstance(made, pa.Table) else made
            write_deltalake(
                delta,
                counted(reader),
                mode="overwrite",
                predicate=predicate,
                writer_properties=_writer_properties(contract),
            )

        try:
            self._commit(write)
        except CommitFailedError as error:
            raise ConflictError(
                f"{into.table} of {into.days} is written faster than it is replaced"
            ) from error
        return rows

    def days(self, table: str) -> set[date]:
        """Days that have rows."""
        partitions = self._open(TABLES[table]).partitions()
        return {date.fromisoformat(str(partition["date"])) for partition in partitions}

    def rows_by_day(self, table: str, *, cadence: str | None = None) -> dict[date, int]:
        """Rows of each day (of a cadence), from the log: nothing is read."""
        return self._sums(table, "num_records", cadence=cadence)

    def written(self, table: str, *, cadence: str | None = None) -> dict[date, int]:
        """When each day (of a cadence) got its newest rows, in ns since the epoch, from the log: nothing is read."""
        actions = pa.table(self._open(TABLES[table]).get_add_actions(flatten=True))
        if cadence is not None:
            actions = actions.filter(pc.equal(actions.column("partition.cadence"), cadence))
        times: dict[date, int] = {}
        columns = (actions.column(name).to_pylist() for name in ("partition.date", "modification_time"))
        for day, milliseconds in zip(*columns, strict=True):
            times[day] = max(times.get(day, 0), milliseconds * 1_000_000)
        return times

    def row_count(self, table: str) -> int:
        return sum(self.rows_by_day(table).values())

    def chunks(self, table: str, days: DayRange, *, max_bytes: int = 128 * 2**20) -> list[DayRange]:
        """The range cut into runs of days whose files stay below `max_bytes` together (a day is never cut)."""
        size = self._sums(table, "size_bytes")
        chunks: list[DayRange] = []
        filled = 0
        for day in days:
            bytes_ = size.get(day, 0)
            if chunks and filled + bytes_ <= max_bytes:
                chunks[-1] = DayRange(chunks[-1].first, day)
                filled += bytes_
            else:
                chunks.append(DayRange.single(day))
                filled = bytes_
        return chunks

    def table_id(self, table: str) -> str:
        """Tells a table from one that was made anew in its place."""
        return str(self._open(TABLES[table]).metadata().id)

    def appended_days(self, table: str, *, after_version: int) -> tuple[int, dict[date, int]]:
        """The newest version, and the days appended to after `after_version`: the time (ms) of each newest append."""
        delta = self._open(TABLES[table])
        newest = delta.version()
        days: dict[date, int] = {}
        if newest > after_version:
            commits = delta.history(newest - after_version)
            if (
                len(commits) < newest - after_version
            ):  # the log was shortened: any day may have got rows before it
                oldest = min((commit["timestamp"] for commit in commits), default=now_ns() // 1_000_000)
                days = dict.fromkeys(self.days(table), oldest)
            for commit in commits:
                for day in filter(None, str(commit.get(_APPENDED, "")).split(",")):
                    days[date.fromisoformat(day)] = max(
                        commit["timestamp"], days.get(date.fromisoformat(day), 0)
                    )
        return newest, days

    def maintain(self, table: str, *, retention_days: int, now: date) -> dict[str, int]:
        """Compact small files of days before yesterday and drop files replaced more than `retention_days` ago.

        Recent days are left alone: their files are about to be replaced by the daily run anyway.
        """
        contract = TABLES[table]
        settled = now - timedelta(days=2)
        compacted: dict[str, Any] = {}

        def compact() -> None:
            compacted.update(
                self._open(contract).optimize.compact(
                    partition_filters=[("date", "<=", str(settled))],
                    writer_properties=_writer_properties(contract),
                )
            )

        self._commit(compact)
        delta = self._open(contract)
        if not _PROPERTIES.items() <= delta.metadata().configuration.items():  # made by an earlier release
            delta.alter.set_table_properties(_PROPERTIES)
        delta.cleanup_metadata()
        removed = self._open(contract).vacuum(retention_hours=retention_days * 24, dry_run=False)
        return {
            "files_before": int(compacted["numFilesRemoved"]),
            "files_after": int(compacted["numFilesAdded"]),
            "vacuumed": len(removed),
        }

    def _sums(self, table: str, what: str, *, cadence: str | None = None) -> dict[date, int]:
        actions = pa.table(self._open(TABLES[table]).get_add_actions(flatten=True))
        if cadence is not None:
            actions = actions.filter(pc.equal(actions.column("partition.cadence"), cadence))
        sums: dict[date, int] = {}
        columns = (actions.column(name).to_pylist() for name in ("partition.date", what))
        for day, amount in zip(*columns, strict=True):
            sums[day] = sums.get(day, 0) + amount
        return sums

    def _open(self, contract: Table) -> DeltaTable:
        path = f"{self.uri}/{contract.name}"
        if contract.name not in self._known:
            self._create_or_extend(path, contract)
            self._known.add(contract.name)
        return DeltaTable(path, storage_options=self._storage)

    def _create_or_extend(self, path: str, contract: Table) -> None:
        if not DeltaTable.is_deltatable(path, storage_options=self._storage):
            DeltaTable.create(
                path,
                contract.schema,
                mode="ignore",
                partition_by=list(contract.partition_by),
                configuration={**_PROPERTIES},
                storage_options=self._storage,
            )
            return
        delta = DeltaTable(path, storage_options=self._storage)
        there = {column.name for column in delta.schema().fields}
        missing = [name for name in contract.schema.names if name not in there]
        if missing:  # a release added columns: old rows read as NULL
            from deltalake import Schema

            wanted = Schema.from_arrow(contract.schema)
            delta.alter.add_columns([column for column in wanted.fields if column.name in missing])

    @staticmethod
    def _commit(write: Callable[[], None]) -> None:
        for attempt in Retrying(
            retry=retry_if_exception_type(CommitFailedError),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=_PATIENCE,
            reraise=True,
        ):
            with attempt:
                write()


def _is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def _writer_properties(contract: Table) -> WriterProperties:
    return WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=contract.row_group)


def rows_to_table(table: str, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as dicts to an Arrow table of the contract; a missing key is NULL, an unknown one raises KeyError."""
    schema = TABLES[table].schema
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise KeyError(f"{table} has no column {', '.join(sorted(unknown))}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def now_ns() -> int:
    """The clock; called at the edges only."""
    return time.time_ns()
