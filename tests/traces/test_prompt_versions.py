"""Which prompt a span was made with, as the tools say it, and which prompts a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DuckDBEngine
from insights_pipeline.traces.prompt_versions import take_prompt
from tests.traces.assemble_cases import assemble, span
from tests.traces.otlp_cases import row
from tests.traces.sdk_cases import captured

COMMIT = "50442af133e61576e74536c6556cefe1fac147cad032f4377b60c436e6cdcb6e"


@pytest.mark.parametrize(
    ("attributes", "prompt"),
    [
        ({"gen_ai.prompt.name": "support", "gen_ai.prompt.version": "7"}, "support:7"),
        (
            {"langfuse.observation.prompt.name": "support", "langfuse.observation.prompt.version": 7},
            "support:7",
        ),
        ({"traceloop.prompt.key": "support", "traceloop.prompt.version_hash": COMMIT}, "support:50442af1"),
        (
            {
                "traceloop.prompt.key": "support",
                "traceloop.prompt.version": 3,
                "traceloop.prompt.version_name": "v3",
            },
            "support:3",
        ),
        ({"llm.prompt_template.version": "v1.0", "llm.prompt_template.template": "Be kind."}, "v1.0"),
        ({"prompt.id": "p1", "llm.prompt_template.version": "v1.0"}, "p1:v1.0"),
        (
            {"langsmith.metadata.lc_hub_repo": "rag", "langsmith.metadata.lc_hub_commit_hash": COMMIT},
            "rag:50442af1",
        ),
        ({"langfuse.trace.metadata.promptVersion": '"v9"'}, "v9"),
        ({"traceloop.association.properties.prompt_version": "v9"}, "v9"),
        (
            {
                "ai.telemetry.metadata.langfusePrompt": json.dumps(
                    {"name": "chat", "version": 4, "prompt": "…"}
                )
            },
            "chat:4",
        ),
        ({"metadata": json.dumps({"prompt_name": "chat", "prompt_version": 4})}, "chat:4"),
        ({"prompt_name": "chat"}, "chat"),
        # what has both counts before a version alone, whoever says it
        ({"llm.prompt_template.version": "1", "prompt.name": "chat", "prompt.version": "2"}, "chat:2"),
    ],
)
def test_a_prompt_is_known_by_the_keys_of_each_tool(attributes: dict[str, Any], prompt: str) -> None:
    assert row(attributes)["prompt"] == prompt


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"gen_ai.prompt": "Where is my order?"},
        {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "prompt_version: 3"},
        {"prompt_version": None, "prompt.name": ""},
        {"prompt_version": True, "prompt_name": ["a"]},
        {"ai.telemetry.metadata.langfusePrompt": "fallback"},
        {"metadata": '{"prompt": "prompt_version'},
        {"llm.prompt_template.template": "Be kind."},
    ],
)
def test_what_says_no_name_and_no_version_is_no_prompt(attributes: dict[str, Any]) -> None:
    before = dict(attributes)
    assert take_prompt(attributes) is None
    assert attributes == before


def test_what_was_used_is_taken_out_and_long_names_are_cut() -> None:
    attributes = {"prompt_name": "n" * 5_000, "prompt_version": "v" * 5_000, "plan": "pro"}
    found = take_prompt(attributes)
    assert found == f"{'n' * 80}:{'v' * 80}" and attributes == {"plan": "pro"}


def test_a_trace_has_the_prompts_of_its_calls_sorted_and_few_without_those_of_judges(
    engine: DuckDBEngine,
) -> None:
    [trace] = assemble(
        engine,
        span("root", "workflow", prompt="7"),
        span("b", at=1, parent_span_id="root", prompt="support:7"),
        span("a", at=2, parent_span_id="root", prompt="router:2"),
        span("c", at=3, parent_span_id="root", prompt="support:7"),
        span("j", "evaluator", at=4, parent_span_id="root"),
        span("k", at=5, parent_span_id="j", prompt="judge:1"),
    )
    assert trace["prompt"] == "router:2 + support:7"
    many = [span(f"m{n}", at=n, trace_id="many", prompt=f"p{n}") for n in range(9)]
    found = {trace["trace_id"]: trace["prompt"] for trace in assemble(engine, *many)}
    assert found["many"] == "p0 + p1 + p2 + p3"


def test_without_a_call_that_names_its_prompt_the_other_spans_tell_it(engine: DuckDBEngine) -> None:
    [trace] = assemble(
        engine, span("root", "workflow", prompt="v2"), span("call", at=1, parent_span_id="root")
    )
    assert trace["prompt"] == "v2"


def test_a_trace_without_prompts_has_none(engine: DuckDBEngine) -> None:
    [trace] = assemble(engine, span("root", "workflow"))
    assert trace["prompt"] is None


def test_the_template_version_of_a_captured_sdk_reaches_its_traces(real_data: Path, tmp_path: Path) -> None:
    found = captured(real_data / "sdk-captures" / "openinference_json", tmp_path)
    assert {trace["prompt"] for trace in found.traces} == {"1"}
