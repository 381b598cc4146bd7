"""Trace files to the lake: bounded memory, whatever their size; what cannot be read is a row of `rejects`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from insights_pipeline.lake import Lake, Slice
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Reject
from insights_pipeline.traces.table import Batch

SUFFIXES = (".pb", ".bin", ".json", ".jsonl", ".ndjson")
COMPRESSED = (".gz", ".zst")
FLUSH_ROWS = 20_000
FLUSH_CHARS = 32 * 2**20  # about 300 MB of process memory at the peak, on top of the libraries
_PROGRESS_RECORDS = 500
_ODD = np.uint64(0x9E3779B97F4A7C15)

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What was read: `traces` are distinct ids, `days` the UTC days of span starts, `bytes` as they lie on disk."""

    files: int
    spans: int
    traces: int
    rejects: int
    days: tuple[date, ...]
    spans_by_dialect: dict[str, int]
    bytes: int


def ingest_paths(
    lake: Lake,
    paths: Sequence[Path | str],
    *,
    now_ns: int,
    max_field_chars: int = 100_000,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
) -> IngestReport:
    """Append the spans of files, and of the trace files in folders (in sorted order), to the lake.

    `on_progress(done, total)` gets bytes. A dry run reads everything and writes nothing. Stopping midway loses
    nothing: reading again is harmless, since the last arrival of a (trace_id, span_id) wins. Raises
    FileNotFoundError for a path that does not exist, before anything is read, and ValueError for a folder
    without trace files.
    """
    files = trace_files(paths)
    sizes = [Path(path).stat().st_size for path in files]
    run = _Run(lake, Batch(now_ns, max_field_chars), dry_run=dry_run)
    done, total = 0, sum(sizes)
    for path, size in zip(files, sizes, strict=True):
        run.read(path, _from(done, total, on_progress))
        done += size
        if on_progress is not None:
            on_progress(done, total)
    run.flush()
    return run.report(files=len(files), bytes_=total)


def trace_files(paths: Sequence[Path | str]) -> list[str]:
    """The files to read, each once: a file under any name, of a folder those that look like trace files."""
    missing = [str(path) for path in paths if not Path(path).exists()]
    if missing:
        raise FileNotFoundError(
            f"{', '.join(missing)}: no such file or folder. Give OTLP files "
            f"({', '.join(SUFFIXES)}, also .gz) or folders of them."
        )
    found: dict[str, None] = {}
    for path in paths:
        if Path(path).is_dir():
            inside = sorted(_walk(str(path)))
            if not inside:
                raise ValueError(f"{path}: no trace files in this folder ({', '.join(SUFFIXES)}, also .gz)")
            found.update(dict.fromkeys(inside))
        else:
            found[str(path)] = None
    return list(found)


def _walk(folder: str) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        if "_delta_log" in folders:  # a table, perhaps our own
            folders[:] = []
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            plain = name.lower()
            for suffix in COMPRESSED:
                plain = plain.removesuffix(suffix)
            if plain.endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(base) / name)


def _from(done: int, total: int, on_progress: OnProgress | None) -> OnProgress | None:
    return None if on_progress is None else lambda here, _: on_progress(done + here, total)


def _not_yet_known(lake: Lake, rejects: pa.Table) -> pa.Table:
    """Rejects that no earlier reading of the same files kept already."""
    keys = [
        "source",
        "position",
        "reason",
        "raw",
    ]  # the file may have changed since: another record, same fault
    sources = rejects.column("source").unique()
    known = lake.read(Slice("rejects", columns=tuple(keys)), where=ds.field("source").isin(sources))
    return rejects.join(known, keys, join_type="left anti").select(rejects.column_names)


class _Distinct:
    """Counts distinct trace ids at 8 bytes each: by a mix of their halves, which is random enough."""

    def __init__(self) -> None:
        self._seen: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._new: list[npt.NDArray[np.uint64]] = []

    def add(self, trace_ids: list[str]) -> None:
        halves = np.frombuffer(bytes.fromhex("".join(trace_ids)), np.uint64)
        self._new.append(np.unique(halves[::2] * _ODD ^ halves[1::2]))
        if sum(map(len, self._new)) > len(self._seen):
            self.count()

    def count(self) -> int:
        self._seen = np.unique(np.concatenate([self._seen, *self._new]))
        self._new = []
        return len(self._seen)


@dataclass(slots=True)
class _Run:
    """One ingest: the batch being filled and the counts so far."""

    lake: Lake
    batch: Batch
    dry_run: bool
    spans: int = 0
    rejects: int = 0
    days: set[date] = field(default_factory=set)
    dialects: dict[str, int] = field(default_factory=dict)
    traces: _Distinct = field(default_factory=_Distinct)

    def read(self, path: str, on_progress: OnProgress | None) -> None:
        try:
            raw = Path(path).open("rb")  # noqa: SIM115 – closed below; a failing lake must not pass for a bad file
        except OSError as error:
            reason = f"the file cannot be opened ({error.strerror})"
            self.batch.rejects.append((path, Reject("file", reason, "Check the rights of the file.", "")))
            return
        with raw:
            self._read(raw, path, on_progress)

    def _read(self, raw: BinaryIO, path: str, on_progress: OnProgress | None) -> None:
        for number, record in enumerate(read_records(decompressed(raw), hint=path), start=1):
            batch = self.batch
            batch.add(record, path)
            if batch.chars >= FLUSH_CHARS or max(len(batch.rows), len(batch.rejects)) >= FLUSH_ROWS:
                self.flush()
            if on_progress is not None and number % _PROGRESS_RECORDS == 0:
                on_progress(raw.tell(), 0)

    def flush(self) -> None:
        """Write what the batch holds; spans first, so that no reject is told of a file whose spans are missing."""
        batch = self.batch
        self.spans += len(batch.rows)
        self.rejects += len(batch.rejects)
        if batch.rows:
            self.traces.add([row.trace_id for row in batch.rows])
            table = batch.spans()
            batch.rows.clear()  # the texts are in the table now: not twice in memory while it is written
            self.days.update(table.column("date").unique().to_pylist())
            for entry in table.column("source").value_counts().to_pylist():
                name = entry["values"]
                self.dialects[name] = self.dialects.get(name, 0) + entry["counts"]
            if not self.dry_run:
                self.lake.append("spans", table)
        if batch.rejects and not self.dry_run:
            self.lake.append("rejects", _not_yet_known(self.lake, batch.reject_rows()))
        self.batch = Batch(batch.now_ns, batch.max_field_chars)

    def report(self, *, files: int, bytes_: int) -> IngestReport:
        return IngestReport(
            files=files,
            spans=self.spans,
            traces=self.traces.count(),
            rejects=self.rejects,
            days=tuple(sorted(self.days)),
            spans_by_dialect=dict(sorted(self.dialects.items())),
            bytes=bytes_,
        )
