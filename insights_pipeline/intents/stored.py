"""What the daily steps read of the lake: texts, vectors, spaces and models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from insights_pipeline.intents.attributes import attribute_columns
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Embeddings, Space
from insights_pipeline.intents.model import READY, Model
from insights_pipeline.intents.vectors import Halves, Texts
from insights_pipeline.lake import DayRange, Engine, Lake, Slice, load_sql

RESERVOIR = 5_000
_PACKAGE = "insights_pipeline.intents"
_TEXTS = ("date", "trace_id", "user_text", "is_evaluation")
_BEGINNING = date(1970, 1, 1)


def up_to(day: date) -> DayRange:
    """Every day up to `day`."""
    return DayRange(_BEGINNING, day)


def texts_per_day(engine: Engine, days: DayRange) -> dict[date, int]:
    """How many traces with text each day has; days without are left out."""
    rows = engine.query(
        load_sql(_PACKAGE, "texts_per_day"), {"traces": Slice("traces", days, _TEXTS)}
    ).to_pylist()
    return {row["date"]: row["texts"] for row in rows}


def traces_per_day(engine: Engine, days: DayRange) -> dict[date, int]:
    rows = engine.query(
        load_sql(_PACKAGE, "traces_per_day"), {"traces": Slice("traces", days, ("date", "is_evaluation"))}
    ).to_pylist()
    return {row["date"]: row["traces"] for row in rows}


def reservoir(engine: Engine, upto: date, *, seed: int, attributes: Sequence[str] = ()) -> pa.Table:
    """Up to 5,000 texts of all days until `upto`: date, trace_id, user_text, and a list of the attributes.

    Raises ValueError for an attribute that traces do not have.
    """
    steering = attribute_columns(attributes)
    return engine.query(
        steering.within(load_sql(_PACKAGE, "reservoir")),
        {"traces": Slice("traces", up_to(upto), _with(_TEXTS, steering.columns))},
        {"size": RESERVOIR, "salt": f":{seed}", **steering.params},
    )


def _with(columns: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*columns, *more]))


def newest_space(lake: Lake, upto: date, embeddings: Embeddings = WORDLLAMA) -> Space | None:
    """The space in force on `upto`, or None while there is none."""
    rows = lake.read(Slice("embedding_spaces", up_to(upto), ("date", "space"))).to_pylist()
    if not rows:
        return None
    return space_named(lake, max((row["date"], row["space"]) for row in rows)[1], upto, embeddings)


def days_to_build(lake: Lake, days: DayRange) -> list[DayRange]:
    """The runs of days whose models are made by a run over `days`; the models of the others are kept.

    All of them, unless a later day has a ready model: that was built on these, so then only days without a model
    are made, and days whose model names a space that the lake does not have.
    """
    if not ready_after(lake, days):
        return [days]
    fitted = {
        row["space"]: row["date"]
        for row in lake.read(Slice("embedding_spaces", up_to(days.last), ("date", "space")))
        .sort_by([("date", "descending")])
        .to_pylist()
    }
    models = lake.read(Slice("intent_models", days, ("date", "status", "space"))).to_pylist()
    kept = {
        row["date"]
        for row in models
        if row["status"] != READY or fitted.get(row["space"], date.max) <= row["date"]
    }
    runs: list[DayRange] = []
    for day in (day for day in days if day not in kept):
        if runs and runs[-1].last + timedelta(days=1) == day:
            runs[-1] = DayRange(runs[-1].first, day)
        else:
            runs.append(DayRange.single(day))
    return runs


def ready_after(lake: Lake, days: DayRange) -> bool:
    """Whether a day after these has a ready model: then stored spaces and models of these days are in use."""
    known = lake.days("intent_models")
    if not known or max(known) <= days.last:
        return False
    later = DayRange(days.last + timedelta(days=1), max(known))
    return READY in lake.read(Slice("intent_models", later, ("status",))).column("status").to_pylist()


def space_named(lake: Lake, name: str, upto: date, embeddings: Embeddings = WORDLLAMA) -> Space | None:
    """A space by its name, or None when it is not there (any more) on a day until `upto`."""
    rows = lake.read(Slice("embedding_spaces", up_to(upto)), where=ds.field("space") == name).to_pylist()
    return embeddings.restore(name, rows[0]["embedder"], rows[0]["payload"]) if rows else None


def samples(
    engine: Engine, days: DayRange, space: Space, *, per_day: int, seed: int, attributes: Sequence[str] = ()
) -> dict[date, Texts]:
    """At most `per_day` texts of every day that has any; vectors that are not stored are computed.

    Raises ValueError for an attribute that traces do not have.
    """
    steering = attribute_columns(attributes)
    found = engine.query(
        steering.within(load_sql(_PACKAGE, "day_samples")),
        {
            "traces": Slice("traces", days, _with(_TEXTS, steering.columns)),
            "embeddings": Slice("trace_embeddings", days),
        },
        {"per_day": per_day, "space": space.name, "salt": f":{seed}", **steering.params},
    )
    by_day: dict[date, Texts] = {}
    for day in pc.unique(found.column("date")).to_pylist():
        by_day[day] = texts_of(found.filter(pc.equal(found.column("date"), pa.scalar(day))), space)
    return by_day


def texts_of(rows: pa.Table, space: Space) -> Texts:
    """Rows of date, trace_id, user_text and perhaps vector and attributes (a list a row, empty: none steer)."""
    user_texts = rows.column("user_text").to_pylist()
    attributes = rows.column("attributes").to_pylist() if "attributes" in rows.column_names else []
    return Texts(
        tuple(rows.column("date").to_pylist()),
        tuple(rows.column("trace_id").to_pylist()),
        tuple(user_texts),
        vectors_of(rows, space) if "vector" in rows.column_names else space.embed(user_texts),
        tuple(map(tuple, attributes)) if any(attributes) else (),
    )


def vectors_of(rows: pa.Table, space: Space) -> Halves:
    """Vectors (n, d) of rows with vector and user_text: the stored ones, computed where none is, zeros without text."""
    stored = pc.cast(rows.column("vector"), pa.binary()).combine_chunks()
    there = np.asarray(stored.is_valid())
    dense = stored.drop_null()
    if len(dense) == len(rows):
        return _unpacked(dense)
    texts = rows.column("user_text").combine_chunks()
    missing = np.flatnonzero(~there & np.asarray(texts.is_valid()))
    computed = space.embed(texts.take(pa.array(missing)).to_pylist())
    vectors = np.zeros((len(rows), computed.shape[1]), dtype=np.float16)
    if len(dense):
        vectors[there] = _unpacked(dense)
    vectors[missing] = computed
    return vectors


def _unpacked(column: pa.BinaryArray) -> Halves:
    """Vectors of a column without nulls, read where Arrow keeps them."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, dtype="<f2")[bounds[0] // 2 : bounds[-1] // 2].reshape(len(column), -1)


def model_before(lake: Lake, day: date) -> Model | None:
    """The newest model of a day before `day`, or None."""
    before = max((known for known in lake.days("intent_models") if known < day), default=None)
    return models_of(lake, DayRange.single(before)).get(before) if before else None


def models_of(lake: Lake, days: DayRange) -> dict[date, Model]:
    """The models of some days; days on which nothing changed share one object."""
    models: dict[date, Model] = {}
    for row in sorted(lake.read(Slice("intent_models", days)).to_pylist(), key=_date_of):
        day = row["date"]
        last = models.get(day - timedelta(days=1))
        if last is not None and row["status"] == READY and row["version"] == last.version:
            models[day] = last
        else:
            models[day] = Model.from_rows(row, lake.read(Slice("intents", DayRange.single(day))).to_pylist())
    return models


def _date_of(row: dict[str, Any]) -> date:
    found = row["date"]
    assert isinstance(found, date)
    return found
