from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from insights_pipeline.intents import daily_classes
from insights_pipeline.intents.daily_classes import classify_days, vectors_of
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.embedding.wordllama_space import WordLlamaSpace
from insights_pipeline.intents.model import Draft, Model, learning, succeed
from insights_pipeline.intents.vectors import pack
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table
from tests.intents.samples import sample_of
from tests.intents.streams import FIRST, trace, wording

INTENTS = ("order", "refund", "password", "invoice", "address")
DAYS = DayRange(FIRST, FIRST + timedelta(days=1))


def filled(engine: DuckDBEngine) -> tuple[Model, WordLlamaSpace, dict[str, str | None]]:
    """Two days of 150 traces: most with a stored vector, some without one, without text, of an evaluation."""
    rng = random.Random(0)
    said = [wording(rng.choice(INTENTS), rng) for _ in range(200)]
    sample, space = sample_of(said)
    intents, unknown = discover(sample, space, born=FIRST, seed=0)
    known = {intent.intent_id: intent for intent in intents}
    model = succeed(learning(0), Draft(known, {"unknown": unknown}), traces_seen=200, space=space.name)
    texts: dict[str, str | None] = {}
    rows, vectors = [], []
    for day in DAYS:
        for number in range(150):
            text = None if number % 50 == 7 else "?!" if number % 50 == 8 else rng.choice(said)
            name = f"{day.day}-{rng.randrange(16**6):06x}-{number}"
            rows.append(trace(day, name, text, evaluation=number % 50 == 9))
            if number % 50 != 9:
                texts[name] = text
            if text is not None and number % 10:
                vector = pack(space.embed([text])[0])
                vectors.append({"date": day, "trace_id": name, "space": space.name, "vector": vector})
                vectors.append({"date": day, "trace_id": name, "space": "another", "vector": b"\0\0"})
        engine.lake.append(
            "intents", rows_to_table("intents", [one.row(day, model.version) for one in intents])
        )
        engine.lake.append("intent_models", rows_to_table("intent_models", [model.row(day, 500)]))
    place = {"date": FIRST, "space": space.name, "embedder": space.embedder, "payload": space.payload()}
    engine.lake.append("embedding_spaces", rows_to_table("embedding_spaces", [place]))
    engine.lake.append("traces", rows_to_table("traces", rows))
    engine.lake.append("trace_embeddings", rows_to_table("trace_embeddings", vectors))
    return model, space, texts


def stored(engine: DuckDBEngine) -> list[dict[str, object]]:
    return engine.lake.read(Slice("trace_intents")).sort_by("trace_id").to_pylist()


def test_every_trace_that_is_no_evaluation_has_the_verdict_of_its_text(engine: DuckDBEngine) -> None:
    model, space, texts = filled(engine)
    report = classify_days(engine, DAYS)
    rows = stored(engine)
    assert [row["trace_id"] for row in rows] == sorted(texts)
    judge = model.classifier()
    for row in rows:
        text = texts[str(row["trace_id"])]
        assert str(row["date"].day) == str(row["trace_id"]).split("-")[0]  # type: ignore[attr-defined]
        assert row["model_version"] == model.version
        if text in (None, "?!"):
            assert [row[name] for name in ("intent_id", "nearest_intent_id", "score", "margin")] == [None] * 4
            continue
        verdict = judge.judge(space.embed([text or ""]))
        nearest = model.columns[int(verdict.nearest[0])]
        assert (row["nearest_intent_id"], row["score"], row["margin"]) == (
            nearest,
            verdict.score[0],
            verdict.margin[0],
        )
        assert row["intent_id"] == (nearest if verdict.score[0] >= model.thresholds["unknown"] else None)
    assert report.rows == len(rows)
    assert report.unknown == sum(row["intent_id"] is None for row in rows)


@pytest.mark.parametrize("size", [1, 60, 140])
def test_the_size_of_batches_and_portions_is_no_matter(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    filled(engine)
    classify_days(engine, DAYS)
    before = stored(engine)
    monkeypatch.setattr(daily_classes, "_ROWS", size)
    classify_days(engine, DAYS)
    assert stored(engine) == before


def test_a_model_that_is_learning_gives_no_intent(engine: DuckDBEngine) -> None:
    rows = [trace(FIRST, str(number), "where is my order") for number in range(5)]
    engine.lake.append("traces", rows_to_table("traces", rows))
    engine.lake.append("intent_models", rows_to_table("intent_models", [learning(5).row(FIRST, 500)]))
    report = classify_days(engine, DayRange.single(FIRST))
    assert (report.rows, report.unknown) == (5, 5)
    assert {row["nearest_intent_id"] for row in stored(engine)} == {None}


def test_vectors_are_read_from_a_slice_of_a_column_and_computed_where_missing() -> None:
    texts = [
        "refund me for the toaster",
        "where is my parcel",
        None,
        "i forgot my password",
        "track my order",
    ]
    _, space = sample_of([text for text in texts if text] * 6)
    packed = [
        pack(space.embed([text])[0]) if text and index != 3 else None for index, text in enumerate(texts)
    ]
    rows = pa.table({"vector": pa.array(packed, pa.binary()), "user_text": pa.array(texts, pa.string())})
    expected = np.stack([space.embed([text])[0] if text else np.zeros(256) for text in texts])
    assert np.array_equal(vectors_of(rows, space), expected)
    assert np.array_equal(vectors_of(rows.slice(3), space), expected[3:])
    assert np.array_equal(vectors_of(rows.slice(1, 1), space), expected[1:2])
    assert vectors_of(rows.slice(2, 1), space).shape == (1, 256)
