"""Trace files to the lake: bounded memory, whatever their size; what cannot be read is a row of `rejects`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.dataset as ds

from insights_pipeline.lake import Engine, Lake, Slice
from insights_pipeline.traces.dialects.imported import UNDATED
from insights_pipeline.traces.distinct import Distinct
from insights_pipeline.traces.exports.detect import AUTO, UNKNOWN, Opened, open_records
from insights_pipeline.traces.exports.mapping import Mapping
from insights_pipeline.traces.feedback import find_scores, place_scores
from insights_pipeline.traces.files import trace_files
from insights_pipeline.traces.journal import DONE, Journal
from insights_pipeline.traces.records import RawSpan, Reject
from insights_pipeline.traces.table import Batch, Labels

__all__ = ["IngestReport", "ingest_paths", "trace_files"]

FLUSH_ROWS = 20_000
FLUSH_CHARS = 32 * 2**20  # about 300 MB of process memory at the peak, on top of the libraries
_PROGRESS_RECORDS = 500
_FAR_DAYS = 366  # exports hold judgements that were made long after the trace

OnProgress = Callable[[int, int], None]
OnResume = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What was read: `traces` are distinct ids, `days` the UTC days of span starts, `bytes` as they lie on disk.

    Of a resumed ingest it tells what this call read. `formats` are files by what they were taken for; `stopped`: it
    was asked to stop, and what it had read by then is in the tables. `undated` traces have no times of their own;
    `left_out` are log records and metrics of OTLP files that are no events of generative AI.
    """

    files: int
    spans: int
    traces: int
    rejects: int
    days: tuple[date, ...]
    spans_by_dialect: dict[str, int]
    bytes: int
    scores: int = 0
    contents: int = 0
    formats: dict[str, int] = field(default_factory=dict, compare=False)
    stopped: bool = False
    undated: int = 0
    left_out: int = 0


def ingest_paths(
    lake: Lake,
    paths: Sequence[Path | str],
    *,
    now_ns: int,
    max_field_chars: int = 100_000,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
    format_: str = AUTO,
    mapping: Mapping | None = None,
    at_ns: int | None = None,
    labels: Labels | None = None,
    redact: Callable[[str], str] | None = None,
    engine: Engine | None = None,
    state_dir: Path | None = None,
    on_resume: OnResume | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> IngestReport:
    """Append the records of files, and of the trace files in folders (in sorted order), to the lake.

    `format_` and `mapping` as in `open_records`; `at_ns` dates chats without times (default: when their file was
    changed last). With an `engine`, scores are dated by the traces they judge. `on_progress(done, total)` gets bytes.
    A dry run reads everything and writes nothing.

    With a `state_dir` a call that was interrupted continues where it stopped when it is repeated, after
    `on_resume(files, records)`. `should_stop` is asked after each record. Reading again is harmless, since the last
    arrival of a (trace_id, span_id) wins. Raises FileNotFoundError for a path that does not exist, before anything is
    read, and ValueError for a folder without trace files.
    """
    files = trace_files(paths)
    sizes = {path: Path(path).stat().st_size for path in files}
    call = [lake.uri, format_, mapping.model_dump_json() if mapping else "", str(at_ns), str(labels)]
    journal = Journal(None if dry_run else state_dir, files, *call)
    if on_resume is not None and any(journal.resumed):
        on_resume(*journal.resumed)
    run = _Run(
        lake=lake,
        batch=Batch(now_ns, max_field_chars, redact),
        dry_run=dry_run,
        journal=journal,
        format_=format_,
        mapping=mapping,
        at_ns=at_ns,
        labels=labels,
        engine=engine,
        should_stop=should_stop or (lambda: False),
    )
    done, total = 0, sum(sizes.values())
    waiting, later = deque(files), deque[str]()
    while (waiting or later) and not run.stopped:
        path = waiting.popleft() if waiting else later.popleft()
        if run.read(path, _from(done, total, on_progress), defer=bool(waiting)):
            later.append(path)
            continue
        done += sizes[path]
        if on_progress is not None:
            on_progress(done, total)
    run.flush()
    if not run.stopped:
        journal.remove()
    return run.report(files=len(files), bytes_=total)


def _from(done: int, total: int, on_progress: OnProgress | None) -> OnProgress | None:
    return None if on_progress is None else lambda here, _: on_progress(min(done + here, total), total)


def _placed(engine: Engine, scores: pa.Table) -> pa.Table:
    """Scores with the day of what they judge; only those that are not found nearby are looked for far back."""
    near = find_scores(engine, scores)
    lost = [place for place, found in enumerate(near.found) if not found]
    if not lost:
        return near.scores
    far = place_scores(engine, scores.take(lost), days=_FAR_DAYS)
    return pa.concat_tables([near.scores.filter(pa.array(near.found)), far])


def _not_yet_known(lake: Lake, rejects: pa.Table) -> pa.Table:
    """Rejects that no earlier reading of the same files kept already."""
    # the file may have changed since: another record, same fault
    keys = ["source", "position", "reason", "raw"]
    sources = rejects.column("source").unique()
    known = lake.read(Slice("rejects", columns=tuple(keys)), where=ds.field("source").isin(sources))
    return rejects.join(known, keys, join_type="left anti").select(rejects.column_names)


@dataclass(slots=True, kw_only=True)
class _Run:
    """One ingest: the batch being filled and the counts so far."""

    lake: Lake
    batch: Batch
    dry_run: bool
    journal: Journal
    format_: str
    mapping: Mapping | None
    at_ns: int | None
    labels: Labels | None
    engine: Engine | None
    should_stop: Callable[[], bool]
    stopped: bool = False
    undated: int = 0
    left_out: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    dialects: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    traces: Distinct = field(default_factory=Distinct)
    pending: dict[str, int] = field(default_factory=dict)  # records in the batch or the tables, by file

    def read(self, path: str, on_progress: OnProgress | None, *, defer: bool) -> bool:
        """Read a file; True when it holds scores and is to be read after the spans that they judge."""
        if self.journal.records_of(path) == DONE:
            return False
        try:
            raw = Path(path).open("rb")  # noqa: SIM115 – closed below; a failing lake must not pass for a bad file
        except OSError as error:
            reason = f"the file cannot be opened ({error.strerror})"
            self.batch.add(Reject("file", reason, "Check the rights of the file.", ""), path)
            return False
        with raw:
            opened = self._open(raw, path)
            if defer and opened.scores_only:
                return True
            self.formats[opened.format] = self.formats.get(opened.format, 0) + 1
            self._read(raw, opened, path, on_progress)
        return False

    def _open(self, raw: BinaryIO, path: str) -> Opened:
        base_ns = Path(path).stat().st_mtime_ns if self.at_ns is None else self.at_ns
        return open_records(raw, name=path, base_ns=base_ns, format_=self.format_, mapping=self.mapping)

    def _read(self, raw: BinaryIO, opened: Opened, path: str, on_progress: OnProgress | None) -> None:
        known = self.journal.records_of(path)
        number = 0
        for number, record in enumerate(opened.records, start=1):
            if self.should_stop():
                self.stopped = True
                return
            if number <= known:
                continue
            if isinstance(record, RawSpan) and UNDATED in record.attributes:
                self.undated += 1
            self.batch.add(record, path, labels=self.labels)
            self.pending[path] = number
            if self.batch.chars >= FLUSH_CHARS or self.batch.size >= FLUSH_ROWS:
                self.flush()
            if on_progress is not None and number % _PROGRESS_RECORDS == 0:
                on_progress(raw.tell(), 0)
        if opened.tally is not None:
            self.left_out += opened.tally.logs + opened.tally.metrics
        if opened.format != UNKNOWN:  # a file that nobody could read is tried again
            self.pending[path] = DONE

    def flush(self) -> None:
        """Write what the batch holds; spans first, so that no reject is told of a file whose spans are missing."""
        batch = self.batch
        if batch.rows:
            self.traces.add([row.trace_id for row in batch.rows])
        tables = batch.tables()
        self.batch = Batch(batch.now_ns, batch.max_field_chars, batch.redact)
        del batch  # the texts are in the tables now: not twice in memory while they are written
        for name, table in tables.items():
            self.counts[name] = self.counts.get(name, 0) + table.num_rows
            if name == "spans":
                self._count(table)
            if not self.dry_run:
                self.lake.append(name, self._placed(name, table))
        self.journal.save(self.pending)
        self.pending = {}

    def _placed(self, name: str, table: pa.Table) -> pa.Table:
        if name == "feedback" and self.engine is not None:
            return _placed(self.engine, table)
        return _not_yet_known(self.lake, table) if name == "rejects" else table

    def _count(self, spans: pa.Table) -> None:
        self.days.update(spans.column("date").unique().to_pylist())
        for entry in spans.column("source").value_counts().to_pylist():
            name = entry["values"]
            self.dialects[name] = self.dialects.get(name, 0) + entry["counts"]

    def report(self, *, files: int, bytes_: int) -> IngestReport:
        return IngestReport(
            files=files,
            spans=self.counts.get("spans", 0),
            traces=self.traces.count(),
            rejects=self.counts.get("rejects", 0),
            days=tuple(sorted(self.days)),
            spans_by_dialect=dict(sorted(self.dialects.items())),
            bytes=bytes_,
            scores=self.counts.get("feedback", 0),
            contents=self.counts.get("span_contents", 0),
            formats=dict(sorted(self.formats.items())),
            stopped=self.stopped,
            undated=self.undated,
            left_out=self.left_out,
        )
