"""Corrections over days of a real lake: refreshes, backfills, a re-discovery, another space, a year."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.intents.corrections.edits import Edit
from insights_pipeline.intents.daily import classify_days, embed_days, update_model_days
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Embeddings
from insights_pipeline.intents.model import Intent, Model
from insights_pipeline.intents.steering import Steering
from insights_pipeline.intents.stored import models_of
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice
from tests.intents.correcting import Row, edits, merge, rename, split
from tests.intents.streams import FIRST, Stream, stream
from tests.intents.test_daily import engine_at, filled

MADE = stream(12, 60, seed=1)


def run(
    engine: DuckDBEngine,
    days: DayRange,
    corrections: Sequence[Edit] = (),
    *,
    bootstrap: int = 200,
    embeddings: Embeddings = WORDLLAMA,
) -> None:
    """The days as the assets run them."""
    embed_days(engine, days, bootstrap_traces=bootstrap, seed=0, embeddings=embeddings)
    steering = Steering(embeddings=embeddings, edits=corrections)
    update_model_days(engine, days, bootstrap_traces=bootstrap, seed=0, steering=steering)
    classify_days(engine, days, embeddings=embeddings)


def model(engine: DuckDBEngine, day: date) -> Model:
    return models_of(engine.lake, DayRange.single(day))[day]


def about(model: Model, planted: Any, kind: str) -> Intent:
    """The largest living intent that is mostly of a planted kind."""
    mine = [
        one
        for one in model.living
        if sum(planted.get(trace) == kind for trace in one.exemplar_ids) > len(one.exemplar_ids) / 2
    ]
    return max(mine, key=lambda one: (one.size, one.intent_id))


def events(engine: DuckDBEngine) -> list[tuple[date, dict[str, Any]]]:
    rows = engine.lake.read(Slice("intent_models")).sort_by("date").to_pylist()
    return [(row["date"], event) for row in rows for event in json.loads(row["events"])]


def given(engine: DuckDBEngine, days: DayRange, planted: Any, kind: str) -> Counter[str | None]:
    rows = engine.lake.read(Slice("trace_intents", days)).to_pylist()
    return Counter(row["nearest_intent_id"] for row in rows if planted[row["trace_id"]] == kind)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[DuckDBEngine, Stream]:
    engine = filled(tmp_path_factory.mktemp("plain"), MADE)
    run(engine, MADE.days)
    return engine, MADE


@pytest.fixture(scope="module")
def rows(plain: tuple[DuckDBEngine, Stream]) -> list[Row]:
    """A name, a merge and a split, as people made them on the last day."""
    engine, made = plain
    last = model(engine, made.days.last)
    password, invoice, address, refund = (
        about(last, made.planted, kind) for kind in ("password", "invoice", "address", "refund")
    )
    return [
        rename(1, password, "Logins"),
        merge(2, [invoice], address),
        split(3, refund, {"name": "Lamps", "texts": ["refund me for the broken lamp", "the broken lamp"]}),
    ]


def assert_corrected(engine: DuckDBEngine, made: Stream, days: DayRange, rows: Sequence[Row]) -> None:
    """Every one of these days is corrected, in the models and in the traces."""
    ids = [row.payload["intent"]["intent_id"] for row in (rows[0], rows[2])]
    source, target = rows[1].payload["intents"][0]["intent_id"], rows[1].payload["into"]["intent_id"]
    for day in days:
        now = {one.intent_id: one for one in model(engine, day).intents}
        assert now[ids[0]].name == "Logins", day
        assert (now[source].status, now[source].merged_into) == ("merged", target), day
        assert [one.split_from for one in now.values() if one.name == "Lamps"] == [ids[1]], day
    logins = given(engine, days, made.planted, "password")
    assert logins[ids[0]] > 0.8 * logins.total()
    invoices = given(engine, days, made.planted, "invoice")
    assert invoices[source] == 0 and invoices[target] > 0  # other intents may hold other ways to ask


def ready(engine: DuckDBEngine, days: DayRange) -> DayRange:
    rows = engine.lake.read(Slice("intent_models", days, ("date", "status"))).to_pylist()
    return DayRange(min(row["date"] for row in rows if row["status"] == "ready"), days.last)


def test_a_backfill_corrects_every_day_and_tells_each_correction_once(
    tmp_path: Path, rows: list[Row]
) -> None:
    engine = filled(tmp_path, MADE)
    run(engine, MADE.days, edits(*rows))
    days = ready(engine, MADE.days)
    assert_corrected(engine, MADE, days, rows)
    told = [(day, event["kind"]) for day, event in events(engine) if "edit" in event]
    assert sorted(told) == [(days.first, kind) for kind in ("merged", "renamed", "split")]


def test_single_days_give_what_one_run_gives(tmp_path: Path, rows: list[Row]) -> None:
    one, many = filled(tmp_path / "one", MADE), filled(tmp_path / "many", MADE)
    run(one, MADE.days, edits(*rows))
    for day in MADE.days:
        run(many, DayRange.single(day), edits(*rows))
    for name in ("intents", "intent_models", "trace_intents"):
        tables = [
            engine.lake.read(Slice(name)).sort_by([("date", "ascending"), (key, "ascending")]).to_pylist()
            for engine in (one, many)
            for key in [{"intents": "intent_id", "intent_models": "version"}.get(name, "trace_id")]
        ]
        assert tables[0] == tables[1]


def test_corrections_hold_from_the_next_run_on_and_their_undoing_too(tmp_path: Path, rows: list[Row]) -> None:
    engine = filled(tmp_path, MADE)
    days = list(MADE.days)
    run(engine, DayRange(days[0], days[5]))
    run(engine, DayRange(days[6], days[8]), edits(*rows))
    before = model(engine, days[5])
    assert_corrected(engine, MADE, DayRange(days[6], days[8]), rows)
    assert model(engine, days[5]).version == before.version  # the past is not rewritten silently
    changed = {one.name: one.changed for one in model(engine, days[8]).intents if one.changed}
    assert set(changed.values()) == {days[6]} and "Lamps" in changed
    undone = edits(*(replace(row, undone_by="bo") for row in rows))
    run(engine, DayRange(days[9], days[11]), undone)
    back = {one.intent_id: one for one in model(engine, days[11]).intents}
    for one in before.intents:
        assert (back[one.intent_id].name, back[one.intent_id].status) == (one.name, one.status)
    assert [(day, event["kind"]) for day, event in events(engine) if day > days[8] and "undone" in event] == [
        (days[9], "merged"),
        (days[9], "renamed"),
    ]
    assert [event["kind"] for day, event in events(engine) if event["kind"] == "unmerged"] == ["unmerged"]


def test_corrections_survive_a_discovery_on_another_day_with_other_ids(
    tmp_path: Path, plain: tuple[DuckDBEngine, Stream], rows: list[Row]
) -> None:
    engine = filled(tmp_path, MADE)
    run(engine, MADE.days, bootstrap=300)
    old = {one.intent_id for one in model(plain[0], MADE.days.last).intents}
    assert not old & {one.intent_id for one in model(engine, MADE.days.last).intents}
    run(engine, MADE.days, edits(*rows), bootstrap=300)
    assert_corrected(engine, MADE, ready(engine, MADE.days), rows)


def test_corrections_survive_another_space(tmp_path: Path, rows: list[Row]) -> None:
    engine = filled(tmp_path, MADE)
    run(engine, MADE.days, edits(*rows))
    run(engine, MADE.days, edits(*rows), embeddings=Embeddings("tfidf"))
    last = model(engine, MADE.days.last)
    assert last.space is not None and last.space.startswith("tfidf")
    logins = about(last, MADE.planted, "password")
    assert (logins.name, logins.intent_id) == ("Logins", rows[0].payload["intent"]["intent_id"])
    merged = next(one for one in last.intents if one.intent_id == rows[1].payload["intents"][0]["intent_id"])
    assert merged.merged_into == about(last, MADE.planted, "address").intent_id


def test_a_name_given_late_is_there_from_the_day_that_its_intent_appears(tmp_path: Path) -> None:
    made = stream(24, 60, new="loyalty", new_from=14)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    loyalty = about(model(engine, made.days.last), made.planted, "loyalty")
    assert loyalty.born > FIRST + timedelta(days=14)
    again = engine_at(tmp_path / "again")
    again.lake.append("traces", made.traces)
    run(again, made.days, edits(rename(1, loyalty, "Points")))
    for day in ready(again, made.days):
        names = [one.name for one in model(again, day).intents]
        assert ("Points" in names) == (day >= loyalty.born), day
    assert about(model(again, made.days.last), made.planted, "loyalty").name == "Points"
    kinds = [event["kind"] for _, event in events(again) if "edit" in event]
    assert kinds == ["correction_waiting", "renamed"]


def test_corrections_survive_the_backfill_of_a_year(tmp_path: Path) -> None:
    made = stream(365, 3, seed=3, intents=("order", "refund", "password", "invoice"))
    engine = filled(tmp_path, made)
    start = DayRange.beginning(FIRST, 60)
    run(engine, start, bootstrap=120)
    found = model(engine, start.last)
    password, invoice, refund = (
        about(found, made.planted, kind) for kind in ("password", "invoice", "refund")
    )
    corrections = edits(rename(1, password, "Logins"), merge(2, [invoice], refund))
    year = filled(tmp_path / "year", made)
    run(year, made.days, corrections, bootstrap=120)
    days = ready(year, made.days)
    assert len(days) > 300
    rows = year.lake.read(Slice("intents", days)).to_pylist()
    named = {
        row["date"] for row in rows if row["intent_id"] == password.intent_id and row["name"] == "Logins"
    }
    merged = {
        row["date"]
        for row in rows
        if row["intent_id"] == invoice.intent_id and row["merged_into"] == refund.intent_id
    }
    assert named == merged == set(days)
    assert given(year, days, made.planted, "invoice")[invoice.intent_id] == 0
    told = [(day, event["kind"]) for day, event in events(year) if "edit" in event]
    assert sorted(told) == [(days.first, "merged"), (days.first, "renamed")]
