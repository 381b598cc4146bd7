"""Days of texts to days of vectors, in a space that is fitted once and then frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Embeddings, Space
from insights_pipeline.intents.embedding.text import has_text
from insights_pipeline.intents.stored import (
    days_to_build,
    newest_space,
    ready_after,
    reservoir,
    texts_per_day,
    up_to,
)
from insights_pipeline.intents.vectors import packed
from insights_pipeline.lake import DayRange, Engine, Slice, rows_to_table
from insights_pipeline.lake.tables import TABLES

_SOURCE = ("date", "trace_id", "user_text", "is_evaluation")


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """Vectors written; the space in force at the end (None while learning); the day it was fitted, if one of these."""

    rows: int
    space: str | None
    fitted: date | None
    traces_seen: int | None  # while learning: traces with text so far


def embed_days(
    engine: Engine,
    days: DayRange,
    *,
    bootstrap_traces: int,
    seed: int,
    embeddings: Embeddings = WORDLLAMA,
) -> EmbedReport:
    """Replace `trace_embeddings` and `embedding_spaces` of these days.

    A day is embedded in the newest space fitted before it, if that is of the embedder that `embeddings` says. While
    there is none, nothing is embedded, until the traces with text up to and including a day reach `bootstrap_traces`:
    that day fits the space. After another embedder was set (or its version changed), the first day of the range fits
    one anew, and its intents are discovered in it. Where a day after the range has a ready model, stored spaces are
    in use: they are kept, and each day is embedded in the newest until then. Vectors are written before the space, so
    that a run that was cut off is a run that did not fit.

    Raises ValueError or RuntimeError, with what to do, when a model is not there or its API fails; what was written
    before stays as it was.
    """
    lake = engine.lake
    if ready_after(lake, days) and (
        newest_space(lake, days.last, embeddings) or not days_to_build(lake, days)
    ):
        return _embed_in_stored(engine, days, embeddings)
    space = newest_space(lake, days.first - timedelta(days=1), embeddings)
    if space is not None and space.embedder == embeddings.embedder:
        return _embed_in(engine, days, space)
    seen, fit_day = _fit_day(engine, days, bootstrap_traces)
    if fit_day is None and space is not None:
        return _embed_in(engine, days, space)  # too few texts for another one
    if fit_day is None:
        _clear(engine, days)
        _replace_spaces(engine, days, None, None)
        return EmbedReport(0, None, None, seen)
    sample = reservoir(engine, fit_day, seed=seed).column("user_text").to_pylist()
    fitted, rows = embeddings.fit(sample), 0
    if fit_day > days.first:
        earlier = DayRange(days.first, fit_day - timedelta(days=1))
        if space is None:
            _clear(engine, earlier)
        else:
            rows = _embed(engine, earlier, space)
    rows += _embed(engine, DayRange(fit_day, days.last), fitted)
    _replace_spaces(engine, days, fit_day, fitted)
    return EmbedReport(rows, fitted.name, fit_day, None)


def _embed_in(engine: Engine, days: DayRange, space: Space) -> EmbedReport:
    rows = _embed(engine, days, space)
    _replace_spaces(engine, days, None, None)
    return EmbedReport(rows, space.name, None, None)


def _embed_in_stored(engine: Engine, days: DayRange, embeddings: Embeddings) -> EmbedReport:
    """Embed each day in the newest space until then; days before the first space have no vectors."""
    fitted = sorted(day for day in engine.lake.days("embedding_spaces") if day in days)
    rows, space = 0, None
    for first in sorted({days.first, *fitted}):
        last = min((day - timedelta(days=1) for day in fitted if day > first), default=days.last)
        space = newest_space(engine.lake, first, embeddings)
        if space is None:
            _clear(engine, DayRange(first, last))
        else:
            rows += _embed(engine, DayRange(first, last), space)
    if space is None:
        return EmbedReport(0, None, None, sum(texts_per_day(engine, up_to(days.last)).values()))
    return EmbedReport(rows, space.name, max(fitted, default=None), None)


def _fit_day(engine: Engine, days: DayRange, bootstrap_traces: int) -> tuple[int, date | None]:
    """Texts seen by the end, and the first of the days on which there are enough."""
    seen = 0
    for day, texts in sorted(texts_per_day(engine, up_to(days.last)).items()):
        seen += texts
        if seen >= bootstrap_traces and day >= days.first:
            return seen, day
        if seen >= bootstrap_traces:
            return seen, days.first
    return seen, None


def _embed(engine: Engine, days: DayRange, space: Space) -> int:
    schema = TABLES["trace_embeddings"].schema

    failures: list[Exception] = []

    def embedded(batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return vectors_of(batch)
        except Exception as failure:
            failures.append(failure)
            raise

    def vectors_of(batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("user_text").to_pylist()
        evaluations = batch.column("is_evaluation").to_pylist()
        said = [
            not evaluation and has_text(text) for text, evaluation in zip(texts, evaluations, strict=True)
        ]
        kept = pa.array(said, pa.bool_())
        vectors = space.embed([text for text, there in zip(texts, said, strict=True) if there])
        columns = [
            batch.column("date").filter(kept).cast(schema.field("date").type),
            batch.column("trace_id").filter(kept).cast(pa.string()),
            packed(vectors),
            pa.repeat(pa.scalar(space.name, pa.string()), len(vectors)),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    try:
        return engine.map_batches(Slice("traces", days, _SOURCE), embedded, Slice("trace_embeddings", days))
    except Exception:
        if failures:  # what the writer makes of it hides the remedy behind frames of several languages
            raise failures[-1] from None
        raise


def _replace_spaces(engine: Engine, days: DayRange, day: date | None, space: Space | None) -> None:
    rows: list[dict[str, object]] = []
    if space is not None:
        rows.append(
            {
                "date": day,
                "space": space.name,
                "embedder": space.embedder,
                "fitted_on": space.fitted_on,
                "payload": space.payload(),
            }
        )
    elif not any(known in days for known in engine.lake.days("embedding_spaces")):
        return
    engine.lake.replace(Slice("embedding_spaces", days), lambda: rows_to_table("embedding_spaces", rows))


def _clear(engine: Engine, days: DayRange) -> None:
    """Remove vectors of days that come before there is a space (of a space that an earlier run fitted)."""
    if any(known in days for known in engine.lake.days("trace_embeddings")):
        engine.lake.replace(Slice("trace_embeddings", days), lambda: rows_to_table("trace_embeddings", []))
