"""What real exports of twenty agent frameworks become: a table to read, and to keep true."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from insights_pipeline.lake import DuckDBEngine
from insights_pipeline.traces.exports import langfuse
from tests.traces.exports.export_cases import rejects, scores, spans, traces


class Framework(NamedTuple):
    """The trace row, and the kinds of its spans; texts by how they begin."""

    kinds: dict[str, int]
    prompt: int
    completion: int | None
    model: str
    user_text: str
    output_text: str | None
    tools: tuple[str, ...] = ()
    thread: str | None = None
    scores: int = 0


_LANGFUSE = "What is Langfuse?"
_QA = Framework(
    {"agent": 1, "other": 1, "llm": 1},
    31,
    96,
    "gpt-4o",
    _LANGFUSE,
    "Langfuse is a tool designed for",
    (),
    "session_abc",
    1,
)
FRAMEWORKS = {
    # both of its instrumentations trace every call: one inside the other
    "agno-2025-06-11": Framework(
        {"agent": 1, "llm": 4, "tool": 1}, 826, 245, "gpt-4o-mini", "What is currently trending on Twitter?",
        "To find out what's currently trending", ("duckduckgo_search",), "35cc6c90-b657-4819-b66c-c931c03ad569",
    ),
    "autogen-2025-06-06": Framework(
        {"other": 1, "llm": 1}, 41, 3, "gpt-4o", "Say 'Hello World!'", "Hello World!", (), "session_abc"
    ),
    # counts no completion tokens, and makes three spans of each call
    "beeai-2025-08-01": Framework(
        {"agent": 18, "chain": 3, "llm": 5, "tool": 3}, 5542, None, "gpt-4o-mini", "I'm planning a trip to Barcelona",
        ".", tuple(f"tool.search.wikipedia.{what}-12" for what in ("start", "finish", "success")), None, 2,
    ),
    "claude-agent-2025-12-22": Framework(
        {"llm": 4, "chain": 1, "tool": 2}, 34, 232, "claude-sonnet-4-5-20250929", "What's the weather like in Berlin",
        "Great! Here's the current weather", ("mcp__weather__get_weather",) * 2, "6fb9b4b8-dd4d-4d41-8d4f-c0c0799a6559",
        3,
    ),
    "crewai-2025-07-11": Framework(
        {"chain": 1, "other": 3, "agent": 1, "llm": 1}, 190, 164, "gpt-4o-mini", "Current Task: Define the HTML",
        "I now can give a great answer", (), None, 2,
    ),
    "csharp-agent-with-gemini-2026-03-09": Framework(
        {"other": 3, "llm": 3, "tool": 2}, 8047, 414, "gemini-2.5-flash", "What are my month over month performance",
        "I couldn't retrieve the month-over-month", ("get_custom_report", "final_result"),
        "9714061f-20c0-4d98-9220-1dc7df15c3c2",
    ),
    "google-adk-2025-08-28": Framework(
        {"chain": 1, "agent": 1, "llm": 2, "tool": 1}, 67, 9, "gemini-2.0-flash", "hi", "Hello Langfuse",
        ("say_hello",), "demo-session", 2,
    ),
    "google-gemini-2025-08-01": Framework(
        {"llm": 1}, 6, 2055, "gemini-2.5-flash", _LANGFUSE, "**Langfuse** is an **open-source", (), None, 2
    ),
    "koog-2025-08-26": Framework(
        {"agent": 2, "other": 5, "llm": 2, "tool": 2}, 215, 125, "gpt-4o", "Greet and say goodbye to the user",
        "Hello my darling Bob! And, bye my dear Bob!", ("ByeTool", "HelloTool"), "6f8d2449-33ed-4c7c-82e7-5410e34ee4e6",
    ),
    "langgraph-js-2025-10-30": Framework(
        {"other": 17, "llm": 2, "tool": 1}, 321, 123, "gpt-5-mini-2025-08-07", "What's the weather in San Francisco?",
        "It's always sunny in San Francisco!", ("get_weather",), None, 2,
    ),
    # its system message was sent as one of the user
    "langgraph-python-2025-08-22": Framework(
        {"other": 6, "llm": 2, "tool": 1}, 168, 66, "gpt-4o-2024-08-06", "Be helpful!\nSearch the web for 'example'",
        'The search for "example"', ("Web-Search",), "demo-thread-1", 2,
    ),
    "llamaindex-2025-06-05": Framework(
        {"other": 1, "llm": 1}, 13, 81, "gpt-4o", _LANGFUSE, "Langfuse is a tool designed to help", (), "session_abc"
    ),
    # its conversation id is that of the response before
    "microsoft-agent-2025-12-17": Framework(
        {"agent": 1, "llm": 2, "tool": 1}, 293, 106, "gpt-5-mini-2025-08-07", "What's the weather in Tokyo?",
        "Current conditions in Tokyo", ("get_weather",), "resp_0e32bda5b6259ecd00694279e271348194a818447145cd1763", 3,
    ),
    "openai-agents-2025-09-30": Framework(
        {"agent": 2, "llm": 2, "tool": 1}, 140, 44, "gpt-4.1-2025-04-14", "What's the weather in Tokyo?",
        "The weather in Tokyo is currently sunny.", ("get_weather",), None, 2,
    ),
    "pydantic-ai-2025-06-06": _QA,
    "pydantic-ai-tools-2025-06-06": _QA,
    "pydantic-ai-tools-2025-12-04": Framework(
        {"agent": 3, "other": 2, "llm": 4, "tool": 3}, 1315, 209, "gpt-4o-mini-2024-07-18", "programming\n",
        "Why do programmers hate nature?",
        ("get_pun_suggestion", "get_dad_joke_suggestion", "get_one_liner_suggestion"),
    ),
    "pydantic-ai-with-gemini-2025-12-24": Framework(
        {"llm": 1}, 40, 159, "gemini-2.5-flash", "what is 1+1?", '{"answer": "2"'
    ),
    # the call answers with a tool call alone, and nothing follows it
    "vercel-aisdk-2025-11-17": Framework(
        {"agent": 1, "llm": 1, "tool": 1}, 62, 85, "gpt-5", "What is the weather like today", None, ("getWeather",),
        None, 2,
    ),
    "vertex-ai-2025-08-01": Framework(
        {"llm": 1}, 5, 845, "gemini-2.5-flash", _LANGFUSE, "**Langfuse** is an **open-source", (), None, 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_export_of_a_framework_is_one_trace_that_says_what_happened(
    real_data: Path, engine: DuckDBEngine, name: str
) -> None:
    parsed = json.loads((real_data / "langfuse" / f"{name}.trace.json").read_bytes())
    expected = FRAMEWORKS[name]
    assert langfuse.looks_like(parsed)
    records = list(langfuse.read_rows([("", parsed)]))
    assert not rejects(records) and len(scores(records)) == expected.scores
    found = spans(records)
    assert Counter(span["kind"] for span in found) == Counter(expected.kinds)
    assert len(found) == len(parsed["observations"])
    assert sum(span["parent_span_id"] is None for span in found) == 1
    [trace] = traces(engine, langfuse.read_rows([("", parsed)]))
    assert trace["trace_id"] == parsed["trace"]["id"]
    assert (trace["prompt_tokens"], trace["completion_tokens"]) == (expected.prompt, expected.completion)
    assert (trace["primary_model"], trace["thread_id"]) == (expected.model, expected.thread)
    assert tuple(trace["tool_calls"]) == expected.tools
    assert_begins(trace["user_text"], expected.user_text)
    assert_begins(trace["output_text"], expected.output_text)
    assert trace["is_error"] is False
    assert trace["cost_usd"] is None if name.startswith("beeai") else trace["cost_usd"] > 0


def assert_begins(text: Any, start: str | None) -> None:
    assert text == start if text is None or start is None else text.removeprefix("\\n").startswith(start), (
        text
    )


def test_every_export_is_in_the_table(real_data: Path) -> None:
    assert {path.name.removesuffix(".trace.json") for path in (real_data / "langfuse").glob("*.json")} == set(
        FRAMEWORKS
    )
