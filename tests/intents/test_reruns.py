"""Days run again, out of order, after late traces or cut off: what is in use is kept, and nothing gets stuck."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from insights_pipeline.intents import daily_embeddings, daily_models
from insights_pipeline.intents.corrections.edits import edits_of
from insights_pipeline.intents.daily import classify_days, embed_days, update_model_days
from insights_pipeline.intents.embedding.spaces import Embeddings
from insights_pipeline.intents.steering import Steering
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table
from tests.intents.correcting import Row
from tests.intents.streams import FIRST, Stream, stream, trace
from tests.intents.test_daily import engine_at, filled, model, run, tables


def day(offset: int) -> date:
    return FIRST + timedelta(days=offset)


def late(engine: DuckDBEngine, offset: int, count: int, *, name: str = "late") -> None:
    rows = [
        trace(day(offset), f"{name}-{number}", "i want a refund for the broken lamp")
        for number in range(count)
    ]
    engine.lake.append("traces", rows_to_table("traces", rows))


def fresh(engine: DuckDBEngine, path: Path, days: DayRange, *, bootstrap: int = 200) -> DuckDBEngine:
    """A lake with the same traces after one run over all the days."""
    other = engine_at(path)
    other.lake.append("traces", engine.lake.read(Slice("traces")))
    run(other, days, bootstrap=bootstrap)
    return other


def intent_ids(engine: DuckDBEngine, name: str) -> list[str | None]:
    rows = engine.lake.read(Slice("trace_intents")).to_pylist()
    return [row["intent_id"] for row in rows if row["trace_id"].startswith(f"{name}-")]


def test_late_traces_of_the_fit_day_keep_the_space_when_the_days_after_it_had_no_traffic(
    tmp_path: Path,
) -> None:
    engine = filled(tmp_path, stream(2, 120))
    run(engine, DayRange(FIRST, day(3)))
    before = tables(engine)
    assert [row["date"] for row in before["embedding_spaces"]] == [day(1)]
    late(engine, 1, 40)
    run(engine, DayRange.single(day(1)))
    after = tables(engine)
    assert all(after[name] == before[name] for name in ("embedding_spaces", "intent_models", "intents"))
    assert len(intent_ids(engine, "late")) == 40 and None not in intent_ids(engine, "late")


def test_a_range_that_reaches_the_newest_day_fits_and_builds_anew(tmp_path: Path) -> None:
    made = stream(3, 120)
    engine = filled(tmp_path / "late", made)
    run(engine, made.days)
    space = model(engine, day(1))["space"]
    late(engine, 1, 40)
    run(engine, DayRange(day(1), day(2)))
    assert model(engine, day(1))["space"] == model(engine, day(2))["space"] != space
    assert tables(engine) == tables(fresh(engine, tmp_path / "fresh", made.days))


def test_an_earlier_space_does_not_take_away_the_one_that_later_models_name(tmp_path: Path) -> None:
    made = stream(6, 130)
    engine = engine_at(tmp_path)
    of_days = made.traces.column("date").to_pylist()
    recent = [row for row, one in enumerate(of_days) if one >= day(2)]
    older = [row for row, one in enumerate(of_days) if one < day(2)]
    engine.lake.append("traces", made.traces.take(recent))
    run(engine, DayRange(day(2), day(5)))
    in_use = model(engine, day(5))["space"]
    engine.lake.append("traces", made.traces.take(older))
    run(engine, DayRange(day(0), day(1)))
    assert model(engine, day(1))["status"] == "ready" and model(engine, day(1))["space"] != in_use
    late(engine, 3, 10)
    for first, last in ((3, 3), (0, 4)):
        run(engine, DayRange(day(first), day(last)))
        classify_days(engine, made.days)
        assert in_use in {row["space"] for row in tables(engine)["embedding_spaces"]}
    assert len(intent_ids(engine, "late")) == 10 and None not in intent_ids(engine, "late")
    run(engine, made.days)
    assert tables(engine) == tables(fresh(engine, tmp_path / "fresh", made.days))


@pytest.mark.parametrize("step", ["_embed", "_replace_spaces"])
def test_a_run_cut_off_while_it_fits_the_space_can_be_repeated(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stream(2, 120)
    engine = filled(tmp_path / "cut", made)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(daily_embeddings, step, killed)
        with pytest.raises(KeyboardInterrupt):
            embed_days(engine, made.days, bootstrap_traces=200, seed=0)
    assert engine.lake.row_count("embedding_spaces") == 0
    run(engine, made.days)
    assert tables(engine) == tables(fresh(engine, tmp_path / "fresh", made.days))


def test_a_run_cut_off_while_it_writes_the_intents_can_be_repeated_day_by_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stream(3, 120)
    engine = filled(tmp_path / "cut", made)
    embed_days(engine, made.days, bootstrap_traces=200, seed=0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(daily_models, "_intent_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            update_model_days(engine, made.days, bootstrap_traces=200, seed=0)
    for one in made.days:
        run(engine, DayRange.single(one))
    assert tables(engine) == tables(fresh(engine, tmp_path / "fresh", made.days))


def test_a_space_without_any_vector_does_not_stop_the_lake(tmp_path: Path) -> None:
    made = stream(2, 120)
    engine = filled(tmp_path / "cut", made)
    embed_days(engine, made.days, bootstrap_traces=200, seed=0)
    engine.lake.replace(Slice("trace_embeddings", made.days), lambda: rows_to_table("trace_embeddings", []))
    run(engine, made.days)
    assert tables(engine) == tables(fresh(engine, tmp_path / "fresh", made.days))


def test_enough_late_traces_on_a_learning_day_end_the_learning(tmp_path: Path) -> None:
    made = stream(3, 50)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    assert model(engine, day(2))["status"] == "learning"
    late(engine, 0, 200)
    run(engine, DayRange.single(day(0)))
    assert model(engine, day(0))["status"] == "ready"
    run(engine, DayRange(day(1), day(2)))
    assert {model(engine, one)["status"] for one in made.days} == {"ready"}


def test_a_learning_day_stays_one_when_a_later_day_is_ready(tmp_path: Path) -> None:
    made = stream(4, 80)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    assert [model(engine, one)["status"] for one in made.days] == ["learning", "learning", "ready", "ready"]
    before = tables(engine)
    late(engine, 0, 200)
    run(engine, DayRange.single(day(0)))
    run(engine, DayRange(day(0), day(1)))
    after = tables(engine)
    for name in ("embedding_spaces", "trace_embeddings", "intent_models", "intents"):
        assert after[name] == before[name]
    assert intent_ids(engine, "late") == [None] * 200
    run(engine, made.days)
    assert model(engine, day(0))["status"] == "ready"


def test_a_missing_day_is_made_from_the_day_before_and_the_days_around_it_are_kept(tmp_path: Path) -> None:
    made = stream(5, 120)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    before = tables(engine)
    for name in ("intent_models", "intents"):
        engine.lake.replace(Slice(name, DayRange.single(day(2))), lambda name=name: rows_to_table(name, []))
    late(engine, 1, 40)
    run(engine, DayRange(day(1), day(3)))
    after = tables(engine)
    assert after["embedding_spaces"] == before["embedding_spaces"]
    assert after["intents"] == before["intents"]
    assert [row["version"] for row in after["intent_models"]] == [
        row["version"] for row in before["intent_models"]
    ]


def test_a_model_whose_space_is_gone_is_made_again_even_if_later_days_have_models(tmp_path: Path) -> None:
    made = stream(4, 120)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    engine.lake.replace(Slice("embedding_spaces", made.days), lambda: rows_to_table("embedding_spaces", []))
    late(engine, 1, 40)
    for one in made.days:
        run(engine, DayRange.single(one))
    spaces = {row["space"] for row in tables(engine)["embedding_spaces"]}
    assert {model(engine, one)["space"] for one in made.days if one > FIRST} == spaces
    assert None not in intent_ids(engine, "late")


@pytest.mark.parametrize("seed", [0, 3])
def test_any_order_of_late_traces_partial_runs_and_ranges_ends_in_the_tables_of_one_run(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    days = DayRange(FIRST, day(4))
    engine = filled(tmp_path / "any", stream(5, 14, seed=seed, intents=("order", "refund")))
    for number in range(9):
        if rng.random() < 0.4:
            late(engine, rng.randrange(5), rng.choice((3, 30)), name=f"late{number}")
        first = rng.randrange(5)
        some = DayRange(day(first), day(rng.randrange(first, 5)))
        embed_days(engine, some, bootstrap_traces=40, seed=0)
        other = DayRange.single(day(rng.randrange(5)))
        if rng.random() < 0.5:  # another run in between, as two partitions of a backfill may be
            run(engine, other, bootstrap=40)
        update_model_days(engine, some, bootstrap_traces=40, seed=0)
        assert classify_days(engine, some).rows > 0
    run(engine, days, bootstrap=40)
    assert model(engine, days.last)["status"] == "ready"
    assert tables(engine) == tables(fresh(engine, tmp_path / "fresh", days, bootstrap=40))


def test_a_discovery_asked_for_within_a_range_leaves_the_window_without_a_gap(tmp_path: Path) -> None:
    """A range reads days ahead, and a day of discovery asks for none of them; single days read their own window."""
    made = stream(21, 40, intents=("order", "refund", "password"))
    rows = [Row(1, "rediscover", {"from": str(day(17))})]
    steering = Steering(edits=edits_of(rows))
    models = []
    for name, runs in (("range", [made.days]), ("single", [DayRange.single(one) for one in made.days])):
        engine = filled(tmp_path / name, made)
        for some in runs:
            embed_days(engine, some, bootstrap_traces=80, seed=0)
            update_model_days(engine, some, bootstrap_traces=80, seed=0, steering=steering)
        assert "rediscovered" in str(model(engine, day(17))["events"])
        models.append(tables(engine))
    assert models[0] == models[1]


def test_days_of_one_trace_and_of_none_are_the_same_in_any_split_of_a_range(tmp_path: Path) -> None:
    made = stream(12, 60, intents=("order", "refund", "password"))
    of_days = made.traces.column("date").to_pylist()
    rows = [row for row, one in enumerate(of_days) if one not in (day(5), day(6), day(8))]
    rows += [of_days.index(day(6)), of_days.index(day(8))]
    thin = Stream(made.traces.take(sorted(rows)), made.planted, made.days)
    whole, split = filled(tmp_path / "whole", thin), filled(tmp_path / "split", thin)
    run(whole, made.days, bootstrap=100)
    for first, last in ((0, 4), (5, 5), (6, 9), (10, 11)):
        run(split, DayRange(day(first), day(last)), bootstrap=100)
    assert tables(whole) == tables(split)
    assert model(whole, day(5))["version"] == model(whole, day(4))["version"]


def test_another_embedder_within_the_history_gives_the_same_tables_in_one_range_and_day_by_day(
    tmp_path: Path,
) -> None:
    """Vectors of the two have different lengths: nothing of the first may be held against the second."""
    made = stream(12, 60, intents=("order", "refund", "password"), new="loyalty", new_from=4)
    later = [day(one) for one in range(8, 12)]
    found = []
    for name, runs in (("range", [DayRange(day(8), day(11))]), ("single", list(map(DayRange.single, later)))):
        engine = filled(tmp_path / name, made)
        run(engine, DayRange(day(0), day(7)), bootstrap=100)
        tfidf = Embeddings("tfidf")
        for some in runs:
            embed_days(engine, some, bootstrap_traces=100, seed=0, embeddings=tfidf)
            steering = Steering(embeddings=tfidf)
            update_model_days(engine, some, bootstrap_traces=100, seed=0, steering=steering)
            classify_days(engine, some, embeddings=tfidf)
        found.append(tables(engine))
    spaces = [row["space"] for row in found[0]["intent_models"]]
    assert spaces[7] != spaces[8] == spaces[11]
    assert found[0] == found[1]
