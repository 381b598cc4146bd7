from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table, start_ns
from insights_pipeline.traces.assemble import assemble_traces
from insights_pipeline.traces.quality import EXPECTATIONS, QualityResult, check_days, profile_days
from tests.traces.assemble_cases import D0, D1, D2, D3, D4, HOUR, span

NAMES = [expectation.name for expectation in EXPECTATIONS]


def trace(trace_id: str, day: date = D1, **columns: Any) -> dict[str, Any]:
    good = {
        "trace_id": trace_id,
        "date": day,
        "start_ns": start_ns(day) + 5,
        "end_ns": start_ns(day) + 9,
        "latency_ms": 4e-6,
        "llm_calls": 1,
        "prompt_tokens": 3,
        "cost_usd": 0.1,
        "primary_model": "m",
        "user_text": "hello",
    }
    return good | columns


def check(
    engine: DuckDBEngine, *rows: dict[str, Any], days: DayRange | None = None
) -> dict[str, QualityResult]:
    engine.lake.append("traces", rows_to_table("traces", list(rows)))
    return {result.name: result for result in check_days(engine, days or DayRange.single(D1))}


def test_good_traces_pass_every_check(engine: DuckDBEngine) -> None:
    results = check(engine, trace("a"), trace("b"))
    assert list(results) == NAMES
    assert [result.name for result in results.values() if not result.passed] == []
    assert {result.observed["n"] for result in results.values()} == {2}


@pytest.mark.parametrize(
    ("name", "bad", "blocking"),
    [
        ("trace_ids_are_unique", [trace("a"), trace("a")], True),
        ("trace_ids_are_unique", [trace("a"), trace("b") | {"trace_id": None}], True),
        ("traces_end_after_they_start", [trace("a", end_ns=start_ns(D1))], True),
        ("dates_are_start_days", [trace("a", start_ns=start_ns(D1) - 1)], True),
        ("tokens_are_not_negative", [trace("a", prompt_tokens=-1)], True),
        ("latency_is_known", [trace("a", latency_ms=None, end_ns=None)], False),
        ("user_text_is_mostly_known", [trace("a", user_text=None)], False),
        ("cost_is_mostly_known", [trace("a", cost_usd=None)], False),
        ("model_is_mostly_known", [trace("a", primary_model=None)], False),
    ],
)
def test_each_check_fails_on_what_it_is_for_and_on_nothing_else(
    engine: DuckDBEngine, name: str, bad: list[dict[str, Any]], blocking: bool
) -> None:
    results = check(engine, *bad, trace("good")) if blocking else check(engine, *bad)
    failed = [result for result in results.values() if not result.passed]
    assert [(result.name, result.blocking) for result in failed] == [(name, blocking)]
    assert str(D1) in failed[0].observed["first_failing"]
    assert len(failed[0].message) > 60
    json.dumps(failed[0].observed)


def test_an_unfinished_trace_only_warns_and_a_trace_without_a_start_still_blocks(
    engine: DuckDBEngine,
) -> None:
    engine.lake.append(
        "spans", rows_to_table("spans", [span("a") | {"end_ns": None}, span("b", trace_id="u")])
    )
    assemble_traces(engine, DayRange.single(D1))
    results = check_days(engine, DayRange.single(D1))
    assert [result.name for result in results if result.blocking and not result.passed] == []
    latency = {result.name: result for result in results}["latency_is_known"]
    assert (latency.passed, latency.observed["example_trace_ids"]) == (False, ["t"])
    assert not check(engine, trace("x", start_ns=None))["traces_end_after_they_start"].passed


def test_half_of_the_traces_may_lack_words_and_traces_that_call_no_model_need_no_cost(
    engine: DuckDBEngine,
) -> None:
    results = check(
        engine, trace("a", user_text=None), trace("b", llm_calls=0, cost_usd=None, primary_model=None)
    )
    assert all(result.passed for result in results.values())
    assert results["user_text_is_mostly_known"].observed["highest"] == 0.5


def test_an_empty_day_passes_with_nothing_observed(engine: DuckDBEngine) -> None:
    results = check(engine)
    assert list(results) == NAMES
    assert all(result.passed and result.observed["n"] == 0 for result in results.values())


@pytest.mark.parametrize(("today", "passed"), [(3, False), (4, True), (36, True), (37, False)])
def test_a_sudden_change_of_volume_warns(engine: DuckDBEngine, today: int, passed: bool) -> None:
    before = [trace(f"{ago}-{n}", D1 - timedelta(days=ago)) for ago in range(1, 6) for n in range(12)]
    results = check(engine, *before, *(trace(str(n)) for n in range(today)))
    assert results["volume_is_usual"].passed is passed
    assert results["volume_is_usual"].blocking is False


def test_four_days_are_too_few_to_call_a_volume_unusual(engine: DuckDBEngine) -> None:
    before = [trace(f"{ago}-{n}", D1 - timedelta(days=ago)) for ago in range(1, 5) for n in range(12)]
    assert check(engine, *before, trace("one"))["volume_is_usual"].observed["days_judged"] == 0


def test_a_quiet_weekday_is_compared_with_its_like(engine: DuckDBEngine) -> None:
    before = [
        trace(f"{ago}-{n}", D1 - timedelta(days=ago))
        for ago in range(1, 36)
        for n in range(2 if ago % 7 == 0 else 20)
    ]
    results = check(engine, *before, trace("a"), trace("b"))
    assert results["volume_is_usual"].observed["highest"] == 1.0


def test_a_range_tells_which_of_its_days_fail_and_agrees_with_single_days(engine: DuckDBEngine) -> None:
    rows = [trace(f"{day}", day) for day in (D0, D1, D3, D4)]
    rows[2]["latency_ms"] = None
    days = DayRange(D0, D4)
    result = check(engine, *rows, days=days)["latency_is_known"]
    assert result.observed["first_failing"] == {str(D3): 1.0}
    assert result.observed["example_trace_ids"] == [str(D3)]
    singly = [row for day in days for row in profile_days(engine, DayRange.single(day)).to_pylist()]
    assert singly == profile_days(engine, days).to_pylist()


def test_a_trace_active_on_three_days_warns_that_its_last_spans_are_in_no_row(engine: DuckDBEngine) -> None:
    day = 24 * HOUR
    spans = [
        span("a"),
        span("b", at=day),
        span("c", at=2 * day),
        span("x", trace_id="u"),
        span("y", trace_id="u", at=day),
    ]
    engine.lake.append("spans", rows_to_table("spans", spans))
    assemble_traces(engine, DayRange(D0, D4))
    assert sum(engine.lake.read(Slice("traces")).column("span_count").to_pylist()) == 4
    engine.lake.append("traces", rows_to_table("traces", [trace("other", D3), trace("more", D2)]))
    result = {result.name: result for result in check_days(engine, DayRange(D1, D3))}[
        "traces_fit_the_horizon"
    ]
    assert result.observed["first_failing"] == {str(D3): 1.0}
    assert result.observed["example_trace_ids"] == ["t"]


def test_checking_opens_no_connection_and_writes_no_file(
    engine: DuckDBEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the checks tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    assert check(engine, trace("a"))["latency_is_known"].passed
    assert list(elsewhere.rglob("*")) == []


def test_importing_the_checks_does_not_import_great_expectations() -> None:
    code = "import sys, insights_pipeline.traces.quality; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
