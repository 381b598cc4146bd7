"""The intent of every trace of some days."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Embeddings, Space
from insights_pipeline.intents.model import READY, Model
from insights_pipeline.intents.stored import models_of, space_named, traces_per_day, vectors_of
from insights_pipeline.intents.vectors import Halves
from insights_pipeline.lake import DayRange, Engine, Slice, load_sql
from insights_pipeline.lake.tables import TABLES

_ROWS = 50_000  # traces in memory at once, about
_TEXTS = ("date", "trace_id", "user_text", "is_evaluation")


@dataclass(frozen=True, slots=True)
class ClassifyReport:
    """Traces written, and how many of them have no intent."""

    rows: int
    unknown: int


@dataclass(slots=True)
class _Judge:
    """A model ready to judge, or one that is still learning."""

    model: Model
    classifier: Classifier | None
    space: Space | None


def classify_days(engine: Engine, days: DayRange, *, embeddings: Embeddings = WORDLLAMA) -> ClassifyReport:
    """Replace `trace_intents` of these days: one row for every trace that is no evaluation, by the model of its day.

    The intent is NULL where the trace is unlike anything known, has no text, or nothing is known yet.
    Raises RuntimeError when a day has no model.
    """
    counts = traces_per_day(engine, days)
    unknown = 0

    def batches(judges: dict[date, _Judge]) -> Iterator[pa.RecordBatch]:
        nonlocal unknown
        unknown = 0
        found = _classified(engine, days, counts, judges)
        # delta-rs draws these batches on a thread of its own runtime, on which no table can be opened
        with ThreadPoolExecutor(1) as reader:
            try:
                while (batch := reader.submit(next, found, None).result()) is not None:
                    unknown += batch.column("intent_id").null_count
                    yield batch
            finally:
                reader.submit(found.close).result()

    def make() -> pa.RecordBatchReader:
        judges = _judges(engine, days, counts, embeddings)
        return pa.RecordBatchReader.from_batches(TABLES["trace_intents"].schema, batches(judges))

    rows = engine.lake.replace(Slice("trace_intents", days), make)
    return ClassifyReport(rows, unknown)


def _portions(days: DayRange, counts: dict[date, int]) -> Iterator[DayRange]:
    """Runs of whole days of at most 50,000 traces together, or one larger day; of small days a batch holds several."""
    first, filled = days.first, 0
    for day in days:
        traces = counts.get(day, 0)
        if filled and filled + traces > _ROWS:
            yield DayRange(first, day - timedelta(days=1))
            first, filled = day, 0
        filled += traces
    yield DayRange(first, days.last)


def _judges(
    engine: Engine, days: DayRange, counts: dict[date, int], embeddings: Embeddings
) -> dict[date, _Judge]:
    models = models_of(engine.lake, days)
    missing = [str(day) for day in days if counts.get(day) and day not in models]
    if missing:
        raise RuntimeError(
            f"no intent model of {missing[0]} ({len(missing)} days): run intent_model for it first"
        )
    judges: dict[date, _Judge] = {}
    by_version: dict[str, _Judge] = {}
    for day, model in sorted(models.items()):
        if model.version not in by_version:
            by_version[model.version] = _judge(engine, day, model, embeddings)
        judges[day] = by_version[model.version]
    return judges


def _judge(engine: Engine, day: date, model: Model, embeddings: Embeddings) -> _Judge:
    if model.status != READY or model.space is None:
        return _Judge(model, None, None)
    space = space_named(engine.lake, model.space, day, embeddings)
    if space is None:
        raise RuntimeError(
            f"the intent model of {day} was made in space {model.space}, which is gone: run intent_model again"
        )
    return _Judge(model, model.classifier(), space)


def _classified(
    engine: Engine, days: DayRange, counts: dict[date, int], judges: dict[date, _Judge]
) -> Generator[pa.RecordBatch]:
    for portion in _portions(days, counts):
        spaces = {_space_of(judge) for day in portion if (judge := judges.get(day))}
        for space in sorted(spaces):
            sources = {
                "traces": Slice("traces", portion, _TEXTS),
                "embeddings": Slice("trace_embeddings", portion),
            }
            sql = load_sql("insights_pipeline.intents", "vectors_of_traces")
            with engine.stream(sql, sources, {"space": space}, rows=_ROWS) as batches:
                for batch in batches:
                    yield from _of_each_day(batch, judges, space)


def _of_each_day(batch: pa.RecordBatch, judges: dict[date, _Judge], space: str) -> Iterator[pa.RecordBatch]:
    rows = pa.Table.from_batches([batch])
    for day in sorted(pc.unique(rows.column("date")).to_pylist()):
        if _space_of(judges[day]) == space:
            yield _rows(day, rows.filter(pc.equal(rows.column("date"), pa.scalar(day))), judges[day])


def _space_of(judge: _Judge) -> str:
    return judge.space.name if judge.space else ""


def _rows(day: date, of_day: pa.Table, judge: _Judge) -> pa.RecordBatch:
    """Rows of `trace_intents`, column by column: a Python object for every cell would cost more than judging."""
    schema = TABLES["trace_intents"].schema
    count = of_day.num_rows
    found = _Found.nothing(count)
    if judge.classifier is not None and judge.space is not None:
        vectors = vectors_of(of_day, judge.space)
        found = _found(judge.classifier, vectors, float(judge.model.thresholds["unknown"]))
    names = pa.array(judge.model.columns if judge.classifier is not None else [], pa.string())
    return pa.RecordBatch.from_arrays(
        [
            pa.repeat(pa.scalar(day, schema.field("date").type), count),
            of_day.column("trace_id").combine_chunks(),
            names.take(pa.array(found.nearest, mask=~found.known)),
            names.take(pa.array(found.nearest, mask=~found.there)),
            pa.array(found.score, mask=~found.there),
            pa.array(found.margin, mask=np.isnan(found.margin)),
            pa.repeat(pa.scalar(judge.model.version, pa.string()), count),
        ],
        schema=schema,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of n traces: `there` has a vector, `known` an intent; the rest is to be read where they are."""

    there: NDArray[np.bool_]
    known: NDArray[np.bool_]
    nearest: NDArray[np.int64]
    score: NDArray[np.float64]
    margin: NDArray[np.float64]  # NaN: none

    @classmethod
    def nothing(cls, count: int) -> _Found:
        no = np.zeros(count, dtype=bool)
        return cls(no, no, np.zeros(count, dtype=np.int64), np.zeros(count), np.full(count, np.nan))


def _found(classifier: Classifier, vectors: Halves, unknown: float) -> _Found:
    there = np.asarray(vectors.any(axis=1))
    verdict = classifier.judge(vectors if there.all() else vectors[there])
    nothing = _Found.nothing(len(vectors))
    nearest, score, margin = nothing.nearest, nothing.score, nothing.margin
    nearest[there], score[there], margin[there] = verdict.nearest, verdict.score, verdict.margin
    return _Found(there, there & (score >= unknown), nearest, score, margin)
