from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.traces.otlp_cases import tables

DIALECTS = ("openinference", "openllmetry", "openllmetry-legacy-0.40.14")
NOW = 1_796_000_000 * 1_000_000_000  # after the captures


def rows(path: Path) -> list[dict[str, Any]]:
    spans, rejects = tables(path.read_bytes(), now_ns=NOW)
    assert rejects.to_pylist() == []
    return spans.to_pylist()


@pytest.fixture(scope="module")
def airline(real_data: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: rows(real_data / "otlp" / f"tau2-airline-gpt41.{name}.pb") for name in DIALECTS}


def by_session(spans: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Spans of a trace in order, under the session its root names (trace ids differ between the three files)."""
    sessions = {span["trace_id"]: span["session_id"] for span in spans if span["session_id"]}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span["start_ns"], span["end_ns"], span["name"])):
        found[sessions[span["trace_id"]]].append(span)
    return dict(found)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_airline_runs_are_read_whole(airline: dict[str, list[dict[str, Any]]], name: str) -> None:
    spans = airline[name]
    assert len(spans) == 374
    assert len({span["trace_id"] for span in spans}) == 20
    assert sum(span["kind"] == "llm" for span in spans) == 206
    [failed] = [span for span in spans if span["is_error"]]
    assert (failed["tool_name"], failed["error_type"]) == ("book_reservation", "ToolError")
    assert {span["source"] for span in spans} == {name.partition("-")[0]}
    assert all(span["cost_usd"] for span in spans if span["kind"] == "llm")


def test_the_three_dialects_say_the_same_of_every_run(airline: dict[str, list[dict[str, Any]]]) -> None:
    def facts(spans: list[dict[str, Any]]) -> dict[str, Any]:
        calls = [span for span in spans if span["kind"] == "llm"]
        [root] = [span for span in spans if span["parent_span_id"] is None]
        return {
            "prompt": sum(span["prompt_tokens"] for span in calls),
            "completion": sum(span["completion_tokens"] for span in calls),
            "cost": round(sum(span["cost_usd"] for span in calls), 12),
            "models": {(span["model"], span["provider"]) for span in calls},
            "tools": [
                (span["tool_name"], span["input_text"], span["output_text"])
                for span in spans
                if span["kind"] == "tool"
            ],
            "said": root["input_text"],
            "told": root["output_text"],
            "turns": [span["input_text"] for span in calls],
            "answers": [span["output_text"] for span in calls],
        }

    first, *others = (
        {run: facts(spans) for run, spans in by_session(airline[name]).items()} for name in DIALECTS
    )
    assert len(first) == 20
    for run, expected in first.items():
        assert not expected["said"].startswith(("{", "["))
        for other in others:
            assert other[run] == expected


def test_messages_agree_but_for_those_the_attribute_limit_dropped(
    airline: dict[str, list[dict[str, Any]]],
) -> None:
    per_dialect = [
        [
            json.loads(span["messages"])
            for spans in sorted(by_session(airline[name]).items())
            for span in spans[1]
            if span["kind"] == "llm"
        ]
        for name in DIALECTS
    ]
    shortened = 0
    for flattened, parts, legacy in zip(*per_dialect, strict=True):
        for found in (flattened, legacy):
            shortened += len(found) < len(parts)
            assert found[1:] == parts[len(parts) - len(found) + 1 :]
    assert shortened <= 24


@pytest.mark.parametrize("name", ["openinference", "openllmetry"])
def test_json_and_protobuf_of_the_same_runs_agree(
    real_data: Path, airline: dict[str, list[dict[str, Any]]], name: str
) -> None:
    from_json = by_session(rows(real_data / "otlp" / f"tau2-airline-gpt41-5.{name}.json"))
    from_protobuf = by_session(airline[name])
    assert len(from_json) == 5
    own = {"trace_id", "span_id", "parent_span_id", "attributes"}
    for run, spans in from_json.items():
        for one, other in zip(spans, from_protobuf[run], strict=True):
            assert {key: one[key] for key in one if key not in own} == {
                key: other[key] for key in other if key not in own
            }


def test_the_example_of_the_specification_is_read(real_data: Path) -> None:
    [span] = rows(real_data / "otlp" / "otel-proto_trace.json")
    assert (span["trace_id"], span["service"]) == ("5b8efff798038103d269b633813fc60c", "my.service")


# TRACE_FORMATS §2: prompt, completion and cached tokens, spans, and errors of the one scripted scenario.
SCENARIO = {
    "netra": (530, 200, 24, 19, 2),
    "traceloop": (530, 200, 24, 18, 2),
    "traceloop_0_40": (506, 170, 24, 18, 2),
    "openinference": (530, 200, 24, 20, 2),
    "openinference_json": (530, 200, 24, 20, 2),
    "genai_latest": (510, 200, 24, 11, 1),
    "genai_default": (510, 200, 0, 11, 1),
    "langsmith_otel": (530, 200, 24, 16, 2),
    "langfuse": (540, 205, 28, 19, 2),
    "openinference_langgraph": (96, 85, 0, 10, 3),
}


def captured(real_data: Path, sdk: str) -> list[dict[str, Any]]:
    return rows(real_data / "sdk-captures" / sdk / "1.bin")


@pytest.mark.parametrize("sdk", SCENARIO)
def test_every_sdk_gives_the_numbers_of_the_scenario(real_data: Path, sdk: str) -> None:
    spans = captured(real_data, sdk)
    calls = [span for span in spans if span["kind"] == "llm"]
    sums = [sum(span[f"{kind}_tokens"] or 0 for span in calls) for kind in ("prompt", "completion", "cached")]
    assert (*sums, len(spans), sum(span["is_error"] for span in spans)) == SCENARIO[sdk]
    assert not [
        span
        for span in spans
        if span["kind"] not in ("llm", "embedding") and span["prompt_tokens"] is not None
    ]


@pytest.mark.parametrize("sdk", [sdk for sdk in SCENARIO if sdk not in ("genai_default", "genai_latest")])
def test_every_root_says_what_was_said(real_data: Path, sdk: str) -> None:
    roots = [span for span in captured(real_data, sdk) if span["parent_span_id"] is None]
    said = {span["input_text"] for span in roots}
    assert {"What is the weather in Paris?", "FAIL please"} <= said
    assert not [text for text in said if text is None or text.startswith(("{", "["))]
    told = {span["output_text"] for span in roots if span["input_text"] == "What is the weather in Paris?"}
    assert told == {"It is 21°C and sunny. You could take a light jacket."}


@pytest.mark.parametrize("sdk", [sdk for sdk in SCENARIO if sdk != "genai_default"])
def test_the_tool_is_called_with_the_city(real_data: Path, sdk: str) -> None:
    tools = [span for span in captured(real_data, sdk) if span["tool_name"] == "get_weather"]
    assert tools
    for span in tools:
        assert "Paris" in span["input_text"] or "Berlin" in span["input_text"]
        assert "21" in span["output_text"]
    calls = [
        call
        for span in captured(real_data, sdk)
        for message in json.loads(span["messages"] or "[]")
        for call in message.get("tool_calls", ())
    ]
    assert {call["name"] for call in calls} == {"get_weather"}
    assert {call["arguments"] for call in calls} <= {'{"city":"Paris"}', '{"city":"Berlin"}'}


@pytest.mark.parametrize("sdk", ["netra", "traceloop", "openinference", "genai_latest", "langfuse"])
def test_only_streams_have_a_time_to_the_first_token(real_data: Path, sdk: str) -> None:
    timed = [span for span in captured(real_data, sdk) if span["ttft_ms"] is not None]
    assert len(timed) == (0 if sdk == "traceloop" else 1)
    for span in timed:
        assert span["is_streaming"]
        assert 0 < span["ttft_ms"] < 1_000
