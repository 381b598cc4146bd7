"""Every captured request of every SDK is read, put into a lake and assembled: the scripted scenario comes out.

Two turns of a chat (Paris, then Berlin) with a tool each, a stream ("Say hi") and a call that fails ("FAIL please").
What an SDK does not send stands below as None or 0, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.traces.sdk_cases import Captured, captured

PARIS = "What is the weather in Paris?"
BERLIN = f"{PARIS}\nAnd in Berlin?"
ANSWER = "It is 21°C and sunny. You could take a light jacket."
HELLO = "Hello! I can help you with trips — ask away. "
FAILED = "Error code: 429 - Rate limit reached for gpt-4o-mini in organization org-x on requests per min."


class Expected(NamedTuple):
    """Of the calls: tokens of (prompt, completion, cached) in the Paris turn, the Berlin turn and the stream.

    Prompts include those of embeddings. `steps` are those of a turn. `streamed_by` and `failed_by` tell whether the
    traces of the stream and of the error name session and user; `tenant_everywhere` whether all four name the tenant.
    """

    paris: tuple[int | None, ...] = (146, 85, 8)
    berlin: tuple[int | None, ...] = (376, 85, 16)
    stream: tuple[int | None, ...] | None = (24, 30, 0)
    steps: int = 5
    spans: int = 19
    calls: int = 6
    tools: tuple[str, ...] = ("get_weather",)
    environment: str | None = "staging"
    named: bool = True  # session and user of the stream and the error
    tenant: bool = True  # their tenant
    has_ttft: bool = True
    error_type: str | None = "RateLimitError"
    feedback: tuple[tuple[str, float], ...] | None = None
    metrics: int = 0


# The stream and the error are run outside of the session, which these SDKs therefore do not name there.
_OUTSIDE: dict[str, Any] = {"named": False, "tenant": False}
# No embedding and no retriever in the traces; LangSmith has no environment; the tenant is set on the turns only.
_LANGSMITH = Expected((136, 85, 8), (370, 85, 16), steps=4, spans=16, environment=None, tenant=False)
EXPECTED = {
    # Netra cannot tell a task from a tool, so the ranking task is one.
    "netra": Expected(tools=("rank_docs", "get_weather"), calls=7, **_OUTSIDE),
    # The time to the first token is only in a metric.
    "traceloop": Expected(spans=18, has_ttft=False, metrics=1, **_OUTSIDE),
    # No usage and no first token of streams, and no exception event: the error has no type.
    "traceloop_0_40": Expected(
        spans=18, stream=(None, None, None), has_ttft=False, error_type=None, metrics=1, **_OUTSIDE
    ),
    "openinference": Expected(spans=20),
    "openinference_json": Expected(spans=20),
    # No turn in Berlin, no stream (and so no first token), no embedding, no environment.
    "openinference_langgraph": Expected(
        (96, 85, 0), (), None, 3, 10, 3, environment=None, has_ttft=False, error_type="OpenAIRateLimitError"
    ),
    # One more generation was made by hand: 10, 5 and 4 tokens. Langfuse tells no type of an error.
    "langfuse": Expected(calls=7, error_type=None, feedback=(("user-feedback", 1.0),), **_OUTSIDE),
    "langsmith_otel": _LANGSMITH._replace(has_ttft=False),  # the OTel mode sends no time of the first token
    "langsmith_native": _LANGSMITH,
    "langsmith_zstd": _LANGSMITH,
    # A shorter result of the tool, the embedding in a trace of its own.
    "genai_latest": Expected(
        (131, 85, 8), (355, 85, 16), (24, 30, None), 3, 11, feedback=(("Relevance", 0.9),), **_OUTSIDE
    ),
    # Conventions of v1.36: no cached tokens, no time to the first token; messages came as log records.
    "genai_default": Expected(
        (131, 85, None), (355, 85, None), (24, 30, None), 3, 11,
        has_ttft=False, feedback=(("Relevance", 0.9),), **_OUTSIDE,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lakes(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Captured]:
    folders = [path for path in (real_data / "sdk-captures").iterdir() if path.is_dir()]
    return {path.name: captured(path, tmp_path_factory.mktemp(path.name)) for path in folders}


def by_question(found: Captured) -> dict[str, dict[str, Any]]:
    rows = {row["user_text"]: row for row in found.traces}
    assert len(rows) == len(found.traces)
    return rows


def tokens(row: dict[str, Any]) -> tuple[int | None, ...]:
    return row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]


def test_every_capture_is_expected_here(lakes: dict[str, Captured]) -> None:
    assert lakes.keys() == EXPECTED.keys()


@pytest.mark.parametrize("sdk", EXPECTED)
def test_every_request_is_read_without_a_reject(lakes: dict[str, Captured], sdk: str) -> None:
    found, expected = lakes[sdk], EXPECTED[sdk]
    assert found.rejects == []
    assert (len(found.spans), found.metrics) == (expected.spans, expected.metrics)
    assert sum(row["span_count"] for row in found.traces) == expected.spans
    assert sum(row["llm_calls"] for row in found.traces) == expected.calls


@pytest.mark.parametrize("sdk", EXPECTED)
def test_the_turns_of_the_chat_are_as_scripted(lakes: dict[str, Captured], sdk: str) -> None:
    rows, expected = by_question(lakes[sdk]), EXPECTED[sdk]
    turns = [(PARIS, expected.paris), *([(BERLIN, expected.berlin)] if expected.berlin else [])]
    assert (BERLIN in rows) == bool(expected.berlin)
    for question, used in turns:
        row = rows[question]
        assert tokens(row) == used
        assert (row["llm_calls"], row["step_count"]) == (2, expected.steps)
        assert tuple(row["tool_calls"]) == expected.tools
        assert (row["thread_id"], row["user_id"], row["tenant_id"]) == ("sess-42", "user-7", "acme-corp")
        assert row["environment"] == expected.environment
        assert row["output_text"] == ANSWER
        assert (row["is_error"], row["error_type"], row["ttft_ms"]) == (False, None, None)
        assert row["feedback"] == (list(expected.feedback) if expected.feedback else None)
        assert row["primary_model"] == "gpt-4o-mini-2024-07-18"
        assert row["cost_usd"] > 0
        assert '"get_weather"' in row["messages"]
        assert ANSWER in row["messages"]


@pytest.mark.parametrize("sdk", EXPECTED)
def test_the_stream_is_as_scripted(lakes: dict[str, Captured], sdk: str) -> None:
    rows, expected = by_question(lakes[sdk]), EXPECTED[sdk]
    assert ("Say hi" in rows) == (expected.stream is not None)
    assert {row["user_text"] for row in rows.values() if row["ttft_ms"] is not None} == (
        {"Say hi"} if expected.has_ttft else set()
    )
    if expected.stream is None:
        return
    row = rows["Say hi"]
    assert tokens(row) == expected.stream
    assert (row["llm_calls"], row["step_count"], row["tool_calls"]) == (1, 1, [])
    assert (row["output_text"], row["environment"]) == (HELLO, expected.environment)
    assert_identity(row, expected)
    if expected.has_ttft:
        assert 50 < row["ttft_ms"] < 100


@pytest.mark.parametrize("sdk", EXPECTED)
def test_the_failed_call_tells_its_deepest_error(lakes: dict[str, Captured], sdk: str) -> None:
    rows, expected = by_question(lakes[sdk]), EXPECTED[sdk]
    row = rows["FAIL please"]
    assert [each["user_text"] for each in rows.values() if each["is_error"]] == ["FAIL please"]
    assert row["error_type"] == expected.error_type
    if sdk == "traceloop_0_40":  # it prints the body of the response
        assert "Rate limit reached for gpt-4o-mini" in row["error_message"]
    else:
        assert row["error_message"] == FAILED
    assert (row["llm_calls"], row["output_text"], row["primary_model"]) == (1, None, "gpt-4o-mini")
    assert (*tokens(row), row["cost_usd"]) == (None, None, None, None)  # it is not billed
    assert row["environment"] == expected.environment
    assert_identity(row, expected)


def assert_identity(row: dict[str, Any], expected: Expected) -> None:
    named = ("sess-42", "user-7") if expected.named else (None, None)
    assert (row["thread_id"], row["user_id"]) == named
    assert row["tenant_id"] == ("acme-corp" if expected.tenant else None)
