"""The intent of every trace of some days."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.model import READY, Model
from insights_pipeline.intents.spaces import WORDLLAMA, Embeddings, Space
from insights_pipeline.intents.stored import completed, models_of, space_named, traces_per_day
from insights_pipeline.lake import DayRange, Engine, Slice, load_sql
from insights_pipeline.lake.tables import TABLES

_ROWS = 50_000  # traces in memory at once
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
        # delta-rs draws these batches on a thread of its own runtime, on which no table can be opened
        with ThreadPoolExecutor(1) as reader:
            for portion in _portions(days, counts):
                for batch in reader.submit(_classified, engine, portion, judges).result():
                    unknown += batch.column("intent_id").null_count
                    yield batch

    def make() -> pa.RecordBatchReader:
        judges = _judges(engine, days, counts, embeddings)
        return pa.RecordBatchReader.from_batches(TABLES["trace_intents"].schema, batches(judges))

    rows = engine.lake.replace(Slice("trace_intents", days), make)
    return ClassifyReport(rows, unknown)


@dataclass(frozen=True, slots=True)
class _Portion:
    """Some days, or one of `parts` parts of one large day."""

    days: DayRange
    parts: int = 1
    part: int = 0


def _portions(days: DayRange, counts: dict[date, int]) -> Iterator[_Portion]:
    """Runs of whole days of at most 50,000 traces together; a larger day is cut into parts."""
    first, filled = days.first, 0
    for day in days:
        traces = counts.get(day, 0)
        if filled and filled + traces > _ROWS:
            yield from _parts(DayRange(first, day - timedelta(days=1)), filled)
            first, filled = day, 0
        filled += traces
    yield from _parts(DayRange(first, days.last), filled)


def _parts(days: DayRange, traces: int) -> Iterator[_Portion]:
    parts = -(-traces // _ROWS)
    return (_Portion(days, parts, part) for part in range(parts))


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


def _classified(engine: Engine, portion: _Portion, judges: dict[date, _Judge]) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = []
    spaces = {judge.space.name if judge.space else "" for day in portion.days if (judge := judges.get(day))}
    for space in sorted(spaces):
        rows = engine.query(
            load_sql("insights_pipeline.intents", "vectors_of_traces"),
            {
                "traces": Slice("traces", portion.days, _TEXTS),
                "embeddings": Slice("trace_embeddings", portion.days),
            },
            {"space": space, "parts": portion.parts, "part": portion.part},
        )
        for day in sorted(pc.unique(rows.column("date")).to_pylist()):
            judge = judges[day]
            if (judge.space.name if judge.space else "") == space:
                of_day = rows.filter(pc.equal(rows.column("date"), pa.scalar(day)))
                batches.append(_rows(day, of_day, judge))
    return batches


def _rows(day: date, of_day: pa.Table, judge: _Judge) -> pa.RecordBatch:
    ids = of_day.column("trace_id").to_pylist()
    count = len(ids)
    intent: list[str | None] = [None] * count
    nearest: list[str | None] = [None] * count
    score: list[float | None] = [None] * count
    margin: list[float | None] = [None] * count
    if judge.classifier is not None and judge.space is not None:
        vectors = completed(
            of_day.column("vector").to_pylist(), of_day.column("user_text").to_pylist(), judge.space
        )
        there = np.flatnonzero(vectors.any(axis=1))
        verdict = judge.classifier.judge(vectors[there])
        names = judge.model.columns
        unknown = float(judge.model.thresholds["unknown"])
        for place, row in enumerate(there.tolist()):
            nearest[row] = names[int(verdict.nearest[place])]
            score[row] = float(verdict.score[place])
            margin[row] = None if np.isnan(verdict.margin[place]) else float(verdict.margin[place])
            intent[row] = nearest[row] if verdict.score[place] >= unknown else None
    columns = [[day] * count, ids, intent, nearest, score, margin, [judge.model.version] * count]
    schema = TABLES["trace_intents"].schema
    return pa.RecordBatch.from_arrays(
        [pa.array(values, column.type) for values, column in zip(columns, schema, strict=True)], schema=schema
    )
