"""Real SDKs, each in its own environment, against the running receiver: the same agent, the same trace row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdks import gaps
from tests.sdks.agents import scenario
from tests.sdks.conftest import Outcome, Outcomes, require
from tests.sdks.environments import RUNS
from tests.sdks.openai_endpoint import ANSWER, FAILURE, MODEL, STEP_MS, STREAM

_PROMPT, _CACHED, _COMPLETION = 0.15e-6, 0.075e-6, 0.6e-6  # USD a token of gpt-4o-mini
_CLOCK_MS = 5.0  # the wall clock that spans tell against the steady one that agents measure with
_COMMON: dict[str, Any] = {
    "thread_id": scenario.SESSION,
    "user_id": scenario.USER,
    "tenant_id": scenario.TENANT,
    "environment": "staging",
    "is_error": False,
    "error_type": None,
    "error_message": None,
    "ttft": False,
    "models": [MODEL],
    "is_evaluation": False,
    "feedback": {"helpful": 1.0},
}
EXPECTED: dict[str, dict[str, Any]] = {
    gaps.WEATHER: {
        **_COMMON,
        "user_text": scenario.WEATHER,
        "output_text": ANSWER,
        "step_count": 3,
        "llm_calls": 2,
        "tool_calls": ["get_weather"],
        "prompt_tokens": 2_200,
        "completion_tokens": 35,
        "cached_tokens": 1_024,
        "total_tokens": 2_235,
        "cost_usd": (2_200 - 1_024) * _PROMPT + 1_024 * _CACHED + 35 * _COMPLETION,
    },
    gaps.STREAM: {
        **_COMMON,
        "user_text": scenario.STREAM,
        "output_text": "".join(STREAM),
        "step_count": 1,
        "llm_calls": 1,
        "tool_calls": [],
        "prompt_tokens": 40,
        "completion_tokens": 30,
        "cached_tokens": 0,
        "total_tokens": 70,
        "cost_usd": 40 * _PROMPT + 30 * _COMPLETION,
        "ttft": True,
    },
    gaps.FAIL: {
        **_COMMON,
        "user_text": scenario.FAIL,
        "output_text": None,
        "step_count": 1,
        "llm_calls": 1,
        "tool_calls": [],
        "prompt_tokens": None,
        "completion_tokens": None,
        "cached_tokens": None,
        "total_tokens": None,
        "cost_usd": None,
        "is_error": True,
        "error_type": "RateLimitError",
        "error_message": f"Error code: 429 - {FAILURE}",
        "models": [scenario.MODEL],
    },
}
TURNS = {gaps.WEATHER: scenario.WEATHER, gaps.STREAM: scenario.STREAM, gaps.FAIL: scenario.FAIL}
# one of each exporter: OpenTelemetry's in Python (1.41, 1.45, JSON) and in JavaScript, Langfuse's and LangSmith's own
REFUSED = ("netra", "traceloop", "langfuse", "langfuse-v2", "langsmith", "openinference-json", "vercel")
WITH_SCORES = ("langfuse", "langsmith")  # the agents of the others judge nothing


@pytest.fixture
def outcome(run: str, request: pytest.FixtureRequest) -> Outcome:
    require(run)
    outcomes: Outcomes = request.getfixturevalue("outcomes")
    assert outcomes.rejects == []
    assert outcomes.of[run].failure == ""
    return outcomes.of[run]


def row_of(outcome: Outcome, turn: str) -> dict[str, Any]:
    [row] = [row for row in outcome.traces if row["user_text"] == TURNS[turn]]
    return row


@pytest.mark.parametrize("run", RUNS)
def test_every_turn_is_one_trace(run: str, outcome: Outcome) -> None:
    assert [turn.get("answer") for turn in outcome.turns] == [ANSWER, "".join(STREAM), None]
    assert [row["user_text"] for row in outcome.traces] == list(TURNS.values())


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("run", RUNS)
def test_the_same_agent_gives_the_same_trace_row_from_each_sdk(run: str, turn: str, outcome: Outcome) -> None:
    row = row_of(outcome, turn)
    found = {**row, "ttft": row["ttft_ms"] is not None, "feedback": dict(row["feedback"] or {})}
    common = EXPECTED[turn] if run.startswith(WITH_SCORES) else {**EXPECTED[turn], "feedback": {}}
    expected = {**common, **gaps.gaps_of(run, turn)}
    expected["cost_usd"] = expected["cost_usd"] and pytest.approx(expected["cost_usd"], rel=1e-9)
    assert {column: found[column] for column in expected} == expected


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("run", RUNS)
def test_latencies_lie_between_the_endpoint_s_and_the_agent_s_own(
    run: str, turn: str, outcome: Outcome
) -> None:
    [measured] = [said["ms"] for said in outcome.turns if said["question"] == TURNS[turn]]
    row = row_of(outcome, turn)
    assert STEP_MS * row["llm_calls"] - _CLOCK_MS <= row["latency_ms"] <= measured + _CLOCK_MS
    if row["ttft_ms"] is not None:
        assert STEP_MS - _CLOCK_MS <= row["ttft_ms"] <= row["latency_ms"]


@pytest.mark.parametrize("refused_run", REFUSED)
def test_what_is_answered_503_is_sent_again_by_itself(
    refused_run: str, request: pytest.FixtureRequest
) -> None:
    require(refused_run)
    outcomes: Outcomes = request.getfixturevalue("outcomes_after_503")
    assert len(outcomes.refusals[refused_run]) > 0
    outcome = outcomes.of[refused_run]
    assert outcome.failure == ""
    assert [row["user_text"] for row in outcome.traces] == list(TURNS.values())


def test_every_gap_is_of_a_run_and_differs_from_what_is_common() -> None:
    for gap in gaps.GAPS:
        assert set(gap.runs) <= set(RUNS)
        for turn in gap.turns:
            assert all(EXPECTED[turn][column] != value for column, value in gap.columns.items()), gap
