"""Names of a language model in the daily fold: kept from day to day, the same when days are run again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.llm_endpoint import Endpoint, endpoint, failing
from benchmarks.llm_models import blocks_of, data_of, task_of, well_behaved
from insights_pipeline.intents.daily import embed_days, update_model_days
from insights_pipeline.intents.naming.language_model import LlmNamer
from insights_pipeline.intents.steering import Steering
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice
from insights_pipeline.llm import Budget, LlmClient, LlmConfig, MemoryCache
from tests.intents.streams import FIRST, stream
from tests.intents.test_daily import filled

DAYS, NEW_FROM = 24, 16


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with endpoint(well_behaved) as running:
        yield running


def namer_of(server: Endpoint, cache: MemoryCache) -> LlmNamer:
    config = LlmConfig("openai/gpt-4.1-mini", api_base=server.url, api_key="none", max_retries=0)
    client = LlmClient(config, budget=Budget(usd=None, tokens=None), cache=cache, sleep=lambda _: None)
    return LlmNamer(client, redact=lambda text: text)


def engine_of(path: Path) -> DuckDBEngine:
    made = stream(DAYS, 60, new="loyalty", new_from=NEW_FROM)
    engine = filled(path, made)
    embed_days(engine, made.days, bootstrap_traces=200, seed=0)
    return engine


def run(engine: DuckDBEngine, days: DayRange, namer: LlmNamer | None) -> None:
    update_model_days(engine, days, bootstrap_traces=200, seed=0, steering=Steering(namer=namer))


def rows(engine: DuckDBEngine) -> list[dict[str, Any]]:
    found = []
    for table, key in (("intents", "intent_id"), ("intent_models", "version")):
        read = engine.lake.read(Slice(table)).sort_by([("date", "ascending"), (key, "ascending")])
        found += read.to_pylist()
    return found


def test_names_last_new_intents_get_one_and_days_run_again_are_the_same(
    tmp_path: Path, server: Endpoint
) -> None:
    days = DayRange(FIRST, FIRST + timedelta(days=DAYS - 1))
    cache = MemoryCache()
    engine = engine_of(tmp_path / "whole")
    run(engine, days, namer_of(server, cache))
    last = [row for row in rows(engine) if "slug" in row and row["date"] == days.last]
    living = [row for row in last if row["status"] not in ("retired", "merged")]
    assert len(living) >= 5
    assert {row["named_by"] for row in living} == {"llm"}
    assert any(row["born"] > FIRST + timedelta(days=NEW_FROM - 1) for row in living)
    asked = [blocks_of(data_of(one), "intent") for one in server.requests if task_of(one) == "naming"]
    assert sum(map(len, asked)) <= 3 * len(last)  # not every day

    calls = server.calls
    again = engine_of(tmp_path / "again")
    half = FIRST + timedelta(days=DAYS // 2)
    run(again, DayRange(FIRST, half), namer_of(server, cache))
    run(again, DayRange(half + timedelta(days=1), days.last), namer_of(server, cache))
    assert server.calls == calls
    assert rows(again) == rows(engine)


def test_without_the_endpoint_the_intents_are_those_without_a_model(tmp_path: Path, server: Endpoint) -> None:
    days = DayRange(FIRST, FIRST + timedelta(days=DAYS - 1))
    server.script = lambda _: failing(503)
    plain, failed = engine_of(tmp_path / "plain"), engine_of(tmp_path / "failed")
    run(plain, days, None)
    run(failed, days, namer_of(server, MemoryCache()))
    assert server.calls == 3
    kept = [row for row in rows(failed) if "slug" in row]
    assert kept == [row for row in rows(plain) if "slug" in row]
