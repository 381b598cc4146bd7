from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from insights_pipeline.intents.daily import classify_days, embed_days, update_model_days
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    rows_to_table,
)
from tests.intents.streams import FIRST, Stream, stream, trace

TABLES = ("embedding_spaces", "trace_embeddings", "intent_models", "intents", "trace_intents")
ORDER = {"embedding_spaces": "space", "intent_models": "version", "intents": "intent_id"}


def engine_at(path: Path) -> DuckDBEngine:
    config = engine_config(threads=2, memory_mb=512, temp_dir=path / "spill")
    return DuckDBEngine(Lake(str(path / "lake")), connect_with(config))


def run(engine: DuckDBEngine, days: DayRange, *, bootstrap: int = 200) -> None:
    embed_days(engine, days, bootstrap_traces=bootstrap, seed=0)
    update_model_days(engine, days, bootstrap_traces=bootstrap, seed=0)
    classify_days(engine, days)


def tables(engine: DuckDBEngine) -> dict[str, list[dict[str, object]]]:
    return {
        name: engine.lake.read(Slice(name))
        .sort_by([("date", "ascending"), (ORDER.get(name, "trace_id"), "ascending")])
        .to_pylist()
        for name in TABLES
    }


def model(engine: DuckDBEngine, day: date) -> dict[str, object]:
    return engine.lake.read(Slice("intent_models", DayRange.single(day))).to_pylist()[0]


def filled(path: Path, made: Stream) -> DuckDBEngine:
    engine = engine_at(path)
    engine.lake.append("traces", made.traces)
    return engine


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> tuple[DuckDBEngine, Stream]:
    """Two days of learning, then daily refreshes, and a new intent from the 17th day; in one run."""
    made = stream(24, 120, new="loyalty", new_from=16)
    engine = filled(tmp_path_factory.mktemp("growing"), made)
    run(engine, made.days)
    return engine, made


def test_late_traces_of_the_day_that_fitted_the_model_are_classified_and_change_no_model(
    tmp_path: Path,
) -> None:
    made = stream(4, 120)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    before = tables(engine)
    fit_day = FIRST + timedelta(days=1)
    assert model(engine, fit_day)["status"] == "ready" and model(engine, FIRST)["status"] == "learning"
    late = [trace(fit_day, f"late-{number}", "i want a refund for the broken lamp") for number in range(40)]
    engine.lake.append("traces", rows_to_table("traces", late))
    run(engine, DayRange.single(fit_day))
    after = tables(engine)
    for name in ("embedding_spaces", "intent_models", "intents"):
        assert after[name] == before[name]
    added = [row for row in after["trace_intents"] if str(row["trace_id"]).startswith("late-")]
    assert len(added) == 40
    assert all(row["intent_id"] is not None for row in added)


def test_a_range_in_one_run_equals_day_by_day_and_any_order_of_arrival(
    growing: tuple[DuckDBEngine, Stream], tmp_path: Path
) -> None:
    engine, made = growing
    daily = engine_at(tmp_path)
    shuffled = made.traces.take(
        pa.array(sorted(range(made.traces.num_rows), key=lambda row: row * 7919 % 104729))
    )
    daily.lake.append("traces", shuffled)
    for day in made.days:
        run(daily, DayRange.single(day))
    assert tables(daily) == tables(engine)


def test_running_any_days_again_changes_nothing(growing: tuple[DuckDBEngine, Stream]) -> None:
    engine, _ = growing
    before = tables(engine)
    for first, last in ((0, 0), (1, 1), (0, 3), (5, 5), (15, 23)):
        run(engine, DayRange(FIRST + timedelta(days=first), FIRST + timedelta(days=last)))
        assert tables(engine) == before


def test_before_there_is_enough_the_model_says_how_far_it_is(growing: tuple[DuckDBEngine, Stream]) -> None:
    engine, _ = growing
    learning = model(engine, FIRST)
    assert (learning["status"], learning["traces_seen"], learning["bootstrap_traces"]) == (
        "learning",
        120,
        200,
    )
    of_day = engine.lake.read(Slice("trace_intents", DayRange.single(FIRST))).to_pylist()
    assert len(of_day) == 120
    assert {(row["intent_id"], row["nearest_intent_id"], row["score"]) for row in of_day} == {
        (None, None, None)
    }
    assert model(engine, FIRST + timedelta(days=1))["status"] == "ready"


def test_found_intents_are_the_planted_ones(growing: tuple[DuckDBEngine, Stream]) -> None:
    engine, made = growing
    rows = engine.lake.read(
        Slice("trace_intents", DayRange(FIRST + timedelta(days=1), made.days.last))
    ).to_pylist()
    result = agreement([made.planted[row["trace_id"]] for row in rows], [row["intent_id"] for row in rows])
    assert result.nmi > 0.8


def test_a_new_intent_is_found_within_days_and_as_one(growing: tuple[DuckDBEngine, Stream]) -> None:
    engine, made = growing
    events = [
        (row["date"], event)
        for row in engine.lake.read(Slice("intent_models")).sort_by("date").to_pylist()
        for event in json.loads(row["events"])
    ]
    assert [event["kind"] for _, event in events[:3]] == ["bootstrapped", "emerged", "promoted"]
    assert [event["kind"] for _, event in events[3:]] in ([], ["renamed"])  # once it is well known
    day, emerged = events[1]
    assert day <= FIRST + timedelta(days=16 + 4)
    assert events[2][0] == day + timedelta(days=1)
    assert events[2][1]["intent_id"] == emerged["intent_id"]
    late = engine.lake.read(Slice("trace_intents", DayRange(day, made.days.last))).to_pylist()
    given = Counter(row["intent_id"] for row in late if made.planted[row["trace_id"]] == "loyalty")
    assert given[emerged["intent_id"]] > 0.85 * given.total()
    named = engine.lake.read(Slice("intents", DayRange.single(made.days.last))).to_pylist()
    born = next(row for row in named if row["intent_id"] == emerged["intent_id"])
    assert (born["born"], born["status"]) == (day, "active")
    assert "points" in born["name"].lower()


def test_intents_of_every_day_are_carried_forward_unchanged(growing: tuple[DuckDBEngine, Stream]) -> None:
    engine, made = growing
    by_id: dict[str, set[tuple[object, ...]]] = {}
    for row in engine.lake.read(Slice("intents")).to_pylist():
        if row["born"] == FIRST + timedelta(days=1):
            by_id.setdefault(row["intent_id"], set()).add(
                (row["centroid"], row["name"], row["status"], row["slug"])
            )
    assert len(by_id) >= 5  # as many as are planted
    assert all(len(states) == 1 for states in by_id.values())
    assert engine.lake.days("intents") == set(made.days) - {FIRST}


def test_a_stationary_stream_gives_birth_to_nothing(tmp_path: Path) -> None:
    made = stream(30, 100, seed=5)
    engine = filled(tmp_path, made)
    embed_days(engine, made.days, bootstrap_traces=200, seed=0)
    report = update_model_days(engine, made.days, bootstrap_traces=200, seed=0)
    assert [event["kind"] for event in report.events] == ["bootstrapped"]
    versions = {row["version"] for row in engine.lake.read(Slice("intent_models")).to_pylist()}
    assert len(versions - {"learning"}) == 1


def test_few_traces_are_learning_20_of_500(engine: DuckDBEngine) -> None:
    engine.lake.append("traces", stream(1, 20).traces)
    day = DayRange.single(FIRST)
    report = embed_days(engine, day, bootstrap_traces=500, seed=0)
    assert (report.rows, report.space, report.traces_seen) == (0, None, 20)
    assert update_model_days(engine, day, bootstrap_traces=500, seed=0).status == "learning"
    assert classify_days(engine, day).unknown == 20
    row = model(engine, FIRST)
    assert (row["status"], row["traces_seen"], row["bootstrap_traces"], row["space"]) == (
        "learning",
        20,
        500,
        None,
    )


def test_empty_evaluation_and_odd_traces_do_no_harm(engine: DuckDBEngine) -> None:
    made = stream(2, 150)
    second = FIRST + timedelta(days=1)
    odd = [
        None,
        "",
        "   ",
        "42",
        "😀",
        "x" * 100_000,
        "где мой заказ",
        "我的订单在哪里?",
        "jo@example.com",
        "a\x00b\n" * 99,
    ]
    rows = [trace(second, f"odd-{number}", text) for number, text in enumerate(odd)]
    rows += [trace(second, f"eval-{number}", "where is my order", evaluation=True) for number in range(5)]
    engine.lake.append("traces", made.traces)
    engine.lake.append("traces", rows_to_table("traces", rows))
    run(engine, made.days, bootstrap=250)
    found = {
        row["trace_id"]: row
        for row in engine.lake.read(Slice("trace_intents", DayRange.single(second))).to_pylist()
    }
    assert len(found) == 150 + len(odd)
    assert not any(trace_id.startswith("eval") for trace_id in found)
    for number, text in enumerate(odd):
        row = found[f"odd-{number}"]
        assert (row["nearest_intent_id"] is not None) == any(map(str.isalpha, text or ""))
    assert model(engine, second)["traces_seen"] == 300 + 5


def test_days_without_traces_keep_what_was_known(engine: DuckDBEngine) -> None:
    engine.lake.append("traces", stream(1, 250).traces)
    days = DayRange(FIRST, FIRST + timedelta(days=3))
    run(engine, days)
    assert model(engine, days.last)["version"] == model(engine, FIRST)["version"]
    assert engine.lake.days("intents") == set(days)


def test_a_day_without_a_model_says_what_to_run(engine: DuckDBEngine) -> None:
    engine.lake.append("traces", stream(1, 5).traces)
    with pytest.raises(RuntimeError, match="run intent_model"):
        classify_days(engine, DayRange.single(FIRST))


def test_a_large_day_is_classified_in_parts(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stream(3, 130)
    engine.lake.append("traces", made.traces)
    run(engine, made.days)
    whole = tables(engine)["trace_intents"]
    assert len(whole) == 3 * 130
    monkeypatch.setattr("insights_pipeline.intents.daily_classes._ROWS", 50)
    classify_days(engine, made.days)
    assert tables(engine)["trace_intents"] == whole


def test_when_an_earlier_day_fits_the_space_the_intents_are_discovered_anew(engine: DuckDBEngine) -> None:
    made = stream(4, 130)
    engine.lake.append("traces", made.traces)
    run(engine, DayRange(FIRST + timedelta(days=2), made.days.last))
    run(engine, made.days)
    fresh = tables(engine)
    assert [row["date"] for row in fresh["embedding_spaces"]] == [FIRST + timedelta(days=1)]
    assert {row["space"] for row in fresh["trace_embeddings"]} == {fresh["embedding_spaces"][0]["space"]}
