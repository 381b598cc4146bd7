"""What the dialects make of each other's odd spans, as real exports hold them."""

from __future__ import annotations

import json

import pytest

from tests.traces.otlp_cases import row


def test_a_span_with_the_id_of_a_tool_call_and_no_operation_is_a_tool() -> None:
    found = row(
        {"gen_ai.tool.name": "ByeTool", "gen_ai.tool.call.id": "call_1", "gen_ai.tool.call.result": "Bye"}
    )
    assert (found["kind"], found["tool_name"], found["output_text"]) == ("tool", "ByeTool", "Bye")


def test_a_tool_call_of_the_vercel_ai_sdk_is_a_call_and_no_text() -> None:
    call = {"toolCallId": "call_1", "toolName": "getWeather", "input": '{"city": "Paris"}'}
    found = row(
        {"langfuse.observation.type": "generation", "langfuse.observation.output": json.dumps([call])}
    )
    [message] = json.loads(found["messages"])
    assert message["tool_calls"] == [{"id": "call_1", "name": "getWeather", "arguments": '{"city":"Paris"}'}]
    assert found["output_text"] is None


def test_the_repr_of_messages_does_not_replace_messages_of_which_some_are_missing() -> None:
    request = {
        "messages": ["role='system' content='x'", "role='user' content='Hi'", "role='tool' content='y'"]
    }
    found = row(
        {
            "openinference.span.kind": "LLM",
            "input.value": json.dumps(request),
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "x",
            "llm.input_messages.2.message.role": "user",
            "llm.input_messages.2.message.content": "Hi",
        }
    )
    assert found["input_text"] == "Hi"


def test_a_generation_that_another_dialect_knows_as_the_loop_around_the_calls_counts_no_tokens() -> None:
    found = row(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": '{"input": 14, "output": 43, "total": 57}',
            "ai.operationId": "ai.generateText",
            "gen_ai.request.model": "gpt-5",
        },
        name="ai.generateText",
    )
    assert (found["kind"], found["total_tokens"]) == ("agent", None)


@pytest.mark.parametrize(("kind", "said"), [("span", "Tell me a joke"), ("generation", "[prompt]")])
def test_the_input_set_for_a_trace_is_what_was_said_but_a_call_has_its_own(kind: str, said: str) -> None:
    found = row(
        {
            "langfuse.observation.type": kind,
            "langfuse.observation.input": '{"args": ["programming"], "kwargs": {}}'
            if kind == "span"
            else "[prompt]",
            "langfuse.trace.input": "Tell me a joke",
        }
    )
    assert found["input_text"] == said


def test_langsmith_s_tags_release_streaming_and_error_are_read_in_the_opentelemetry_mode() -> None:
    text = "openai.RateLimitError('slow \"down\"')\n\nTraceback (most recent call last):\n  ..."
    found = row(
        {
            "langsmith.span.kind": "llm",
            "langsmith.span.tags": "a, b,",
            "langsmith.metadata.revision_id": "v7",
            "langsmith.request.streaming": True,
        },
        events=[("exception", 1, {"exception.type": "Exception", "exception.message": text})],
        status=2,
    )
    assert (found["tags"], found["release"], found["is_streaming"]) == (["a", "b"], "v7", True)
    assert (found["error_type"], found["error_message"]) == ("RateLimitError", 'slow "down"')
