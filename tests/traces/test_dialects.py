from __future__ import annotations

import json
from typing import Any

import pytest

from tests.traces.otlp_cases import START, row

CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Weather in Paris?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "name": "weather", "arguments": '{"city":"Paris"}'}],
    },
    {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It is sunny."},
]
PARTS_IN = [
    {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "sunny"}]},
]
PARTS_OUT = [
    {"role": "assistant", "parts": [{"type": "text", "content": "It is sunny."}], "finish_reason": "stop"}
]
OPENAI_IN = [
    *CHAT[:2],
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
            }
        ],
    },
    CHAT[3],
]
OPENAI_OUT = {"choices": [{"message": {"role": "assistant", "content": "It is sunny."}}]}

GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 40,
    "gen_ai.usage.reasoning.output_tokens": 5,
}
LEGACY = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.prompt_tokens": 100,
    "gen_ai.usage.completion_tokens": 20,
    "gen_ai.usage.cache_read_input_tokens": 40,
    "llm.usage.total_tokens": 120,
    "llm.usage.reasoning_tokens": 5,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be kind.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Weather in Paris?",
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "c1",
    "gen_ai.prompt.2.tool_calls.0.name": "weather",
    "gen_ai.prompt.2.tool_calls.0.arguments": '{"city": "Paris"}',
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.content": "sunny",
    "gen_ai.prompt.3.tool_call_id": "c1",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "It is sunny.",
    "gen_ai.completion.0.finish_reason": "stop",
}
NETRA = {
    **{
        key: value
        for key, value in LEGACY.items()
        if not key.startswith(("gen_ai.system", "gen_ai.prompt.2"))
    },
    "library.name": "netra",
    "netra.instrumentation.name": "openai",
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.content": '{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
    "gen_ai.prompt.2.tool_call_id": "c1",
    "gen_ai.completion.1.finish_reason": "stop",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o-mini-2024-07-18",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 20,
    "llm.token_count.total": 120,
    "llm.token_count.prompt_details.cache_read": 40,
    "llm.token_count.completion_details.reasoning": 5,
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be kind.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Weather in Paris?",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"city": "Paris"}',
    "llm.input_messages.3.message.role": "tool",
    "llm.input_messages.3.message.content": "sunny",
    "llm.input_messages.3.message.tool_call_id": "c1",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "It is sunny.",
}
LANGFUSE = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "gpt-4o-mini-2024-07-18",
    "langfuse.observation.input": json.dumps({"tools": [], "messages": OPENAI_IN}),
    "langfuse.observation.output": json.dumps({"role": "assistant", "content": "It is sunny."}),
    "langfuse.observation.usage_details": json.dumps(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }
    ),
}
LANGSMITH = {
    "langsmith.span.kind": "llm",
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.total_tokens": 120,
    "gen_ai.usage.input_token_details": "{'cache_read': 40}",
    "langsmith.metadata.usage_metadata": json.dumps(
        {"input_token_details": {"cache_read": 40}, "output_token_details": {"reasoning": 5}}
    ),
    "gen_ai.prompt": json.dumps({"messages": OPENAI_IN, "model": "x"}),
    "gen_ai.completion": json.dumps(OPENAI_OUT),
}
CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "otel_genai": (
        {
            **GENAI,
            "gen_ai.input.messages": json.dumps(PARTS_IN),
            "gen_ai.output.messages": json.dumps(PARTS_OUT),
        },
        "opentelemetry.instrumentation.genai.openai",
    ),
    "otel_genai structured": (
        {**GENAI, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT},
        "opentelemetry.instrumentation.openai_v2",
    ),
    "openllmetry": (
        {
            **GENAI,
            "gen_ai.input.messages": json.dumps(PARTS_IN),
            "gen_ai.output.messages": json.dumps(PARTS_OUT),
        },
        "opentelemetry.instrumentation.openai.v1",
    ),
    "openllmetry legacy": (LEGACY, ""),
    "netra": (NETRA, "netra.instrumentation.openai"),
    "openinference": (OPENINFERENCE, "openinference.instrumentation.openai"),
    "langfuse": (LANGFUSE, "langfuse-sdk"),
    "langsmith": (LANGSMITH, "langsmith"),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_call_gives_the_same_row_in_every_dialect(name: str) -> None:
    attributes, scope = CALLS[name]
    found = row(attributes, scope=scope)
    assert json.loads(found["messages"]) == CHAT
    assert {key: found[key] for key in ("kind", "model", "input_text", "output_text", "source")} == {
        "kind": "llm",
        "model": "gpt-4o-mini-2024-07-18",
        "input_text": "Weather in Paris?",
        "output_text": "It is sunny.",
        "source": name.split()[0],
    }
    assert [found[f"{kind}_tokens"] for kind in ("prompt", "completion", "cached", "reasoning", "total")] == [
        100,
        20,
        40,
        5,
        120,
    ]
    assert found["provider"] == (None if name == "langfuse" else "openai")
    assert found["cost_usd"] == pytest.approx(60 * 0.15e-6 + 40 * 0.075e-6 + 20 * 0.6e-6)
    assert "Paris" not in (found["attributes"] or "")


def test_a_call_of_a_tool_only_has_no_output_text() -> None:
    calls = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "t", "arguments": {"a": 1}}]}
    ]
    found = row({**GENAI, "gen_ai.output.messages": json.dumps(calls)})
    assert found["output_text"] is None
    assert json.loads(found["messages"])[0]["tool_calls"] == [
        {"id": "c", "name": "t", "arguments": '{"a":1}'}
    ]


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        *(
            ({"openinference.span.kind": sent}, kind)
            for sent, kind in [
                ("LLM", "llm"),
                ("CHAIN", "chain"),
                ("AGENT", "agent"),
                ("TOOL", "tool"),
                ("RETRIEVER", "retriever"),
                ("RERANKER", "retriever"),
                ("EMBEDDING", "embedding"),
                ("GUARDRAIL", "guardrail"),
                ("EVALUATOR", "evaluator"),
                ("PROMPT", "other"),
                ("llm", "llm"),
                ("NEW", "other"),
            ]
        ),
        *(({"traceloop.span.kind": kind}, kind) for kind in ("workflow", "agent", "task", "tool")),
        *(
            ({"gen_ai.operation.name": sent}, kind)
            for sent, kind in [
                ("chat", "llm"),
                ("text_completion", "llm"),
                ("generate_content", "llm"),
                ("embeddings", "embedding"),
                ("execute_tool", "tool"),
                ("invoke_agent", "agent"),
                ("invoke_workflow", "workflow"),
                ("retrieval", "retriever"),
                ("unheard_of", "other"),
            ]
        ),
        ({"netra.entity.type": "workflow", "netra.span.type": "SPAN"}, "workflow"),
        ({"netra.entity.type": "agent", "netra.span.type": "AGENT"}, "agent"),
        ({"netra.entity.type": "task", "netra.span.type": "TOOL"}, "tool"),
        ({"netra.entity.type": "span", "netra.span.type": "SPAN"}, "other"),
        ({"netra.span.type": "llm"}, "llm"),
        ({"library.name": "netra", "llm.request.type": "embedding"}, "embedding"),
        ({"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}, "retriever"),
        ({"langfuse.observation.type": "guardrail"}, "guardrail"),
        ({"ai.operationId": "ai.streamText.doStream"}, "llm"),
        ({"http.request.method": "POST"}, "other"),
    ],
)
def test_the_kind_of_a_span(attributes: dict[str, Any], kind: str) -> None:
    assert row(attributes)["kind"] == kind


def test_a_specific_dialect_overrules_the_general_one_on_the_same_span() -> None:
    found = row({"traceloop.span.kind": "workflow", "gen_ai.operation.name": "invoke_agent"})
    assert (found["kind"], found["source"]) == ("workflow", "openllmetry")
    both = row({**OPENINFERENCE, "traceloop.association.properties.chat_id": "c9"})
    assert (both["kind"], both["session_id"], both["source"]) == ("llm", "c9", "openinference+openllmetry")


def without(attributes: dict[str, Any], *prefixes: str) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if not key.startswith(prefixes)}


def test_flattened_messages_whose_first_ones_were_dropped_are_read_from_the_rest_in_numeric_order() -> None:
    many = {
        f"gen_ai.prompt.{n}.{part}": text
        for n in (10, 9, 2)
        for part, text in (("role", "user"), ("content", f"q{n}"))
    }
    found = row({"llm.request.type": "chat", "gen_ai.prompt.1.content": "half a message", **many})
    assert [message["content"] for message in json.loads(found["messages"])] == [
        "half a message",
        "q2",
        "q9",
        "q10",
    ]
    assert found["input_text"] == "q10"


def test_openinference_reads_the_request_where_flattened_messages_are_incomplete() -> None:
    dropped = without(OPENINFERENCE, "llm.input_messages.0", "llm.output_messages")
    found = row(
        dropped | {"input.value": json.dumps({"messages": OPENAI_IN}), "output.value": json.dumps(OPENAI_OUT)}
    )
    assert json.loads(found["messages"]) == CHAT
    found = row(dropped)
    assert json.loads(found["messages"]) == CHAT[1:4]


def test_openinference_reads_flattened_messages_where_the_request_was_dropped() -> None:
    assert json.loads(row(OPENINFERENCE)["messages"]) == CHAT


def test_a_span_whose_kind_was_dropped_is_still_a_call() -> None:
    assert row(without(OPENINFERENCE, "openinference.span.kind"))["kind"] == "llm"
    assert row(without(GENAI, "gen_ai.operation.name"))["kind"] == "llm"


def test_a_failed_call_takes_its_model_from_the_parameters() -> None:
    found = row(
        {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "gpt-4o"}'}, status=2
    )
    assert found["model"] == "gpt-4o"


def test_the_shapes_langchain_writes_are_read() -> None:
    constructor = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"]}
    sent = {"messages": [[{**constructor, "kwargs": {"content": "Hello", "type": "human"}}]]}
    answer = {"lc": 1, "type": "constructor", "id": ["x", "AIMessage"], "kwargs": {"content": "Hi"}}
    returned = {"generations": [[{"text": "Hi", "message": answer}]]}
    found = row(
        {
            "openinference.span.kind": "LLM",
            "input.value": json.dumps(sent),
            "output.value": json.dumps(returned),
        }
    )
    assert (found["input_text"], found["output_text"]) == ("Hello", "Hi")
    graph = {
        "messages": [
            {"type": "human", "data": {"content": "Hello"}},
            {"type": "ai", "data": {"content": "Hi"}},
        ]
    }
    found = row(
        {
            "openinference.span.kind": "CHAIN",
            "input.value": '{"messages": [["user", "Hello"]]}',
            "output.value": json.dumps(graph),
        }
    )
    assert (found["input_text"], found["output_text"]) == ("Hello", "Hi")


def test_anthropic_tool_results_are_not_what_the_user_said() -> None:
    sent = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"c": "P"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sunny"}]}
            ],
        },
    ]
    found = row({**GENAI, "gen_ai.input.messages": json.dumps(sent)})
    assert found["input_text"] == "Weather?"
    assert json.loads(found["messages"])[1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "t1", "name": "weather", "arguments": '{"c":"P"}'}],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "t1"},
    ]


def test_images_leave_only_their_text() -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:..."}},
    ]
    found = row({**GENAI, "gen_ai.input.messages": json.dumps([{"role": "user", "content": content}])})
    assert json.loads(found["messages"]) == [{"role": "user", "content": "What is this?"}]


def test_messages_that_came_as_events_of_the_span_are_read() -> None:
    events = [
        ("gen_ai.user.message", 1, {"content": "Hello"}),
        ("gen_ai.choice", 2, {"message": json.dumps({"role": "assistant", "content": "Hi"})}),
    ]
    found = row(GENAI, events=events)
    assert (found["input_text"], found["output_text"]) == ("Hello", "Hi")


def test_tokens_stand_on_calls_only() -> None:
    found = row(
        {
            **GENAI,
            "gen_ai.operation.name": "invoke_agent",
            "operation.cost": 0.5,
            "gen_ai.aggregated_usage.input_tokens": 9,
        }
    )
    assert [found[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens", "cost_usd")] == [
        None
    ] * 4


def test_prompt_tokens_sent_without_the_cached_ones_include_them_afterwards() -> None:
    usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 90}
    found = row({**GENAI, **usage})
    assert (found["prompt_tokens"], found["cached_tokens"], found["total_tokens"]) == (100, 90, 120)


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "weather",
            "tool.parameters": "{}",
            "input.value": '{"city": "Paris"}',
            "output.value": "sunny",
        },
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "weather",
            "traceloop.entity.input": '{"args": [], "kwargs": {"city":"Paris"}}',
            "traceloop.entity.output": '"sunny"',
        },
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.arguments": {"city": "Paris"},
            "gen_ai.tool.call.result": "sunny",
        },
        {
            "netra.entity.type": "task",
            "netra.span.type": "TOOL",
            "netra.task.name": "weather",
            "input": '{"city": "Paris"}',
            "output": "sunny",
        },
        {
            "langfuse.observation.type": "tool",
            "langfuse.observation.input": '{"args": [], "kwargs": {"city": "Paris"}}',
            "langfuse.observation.output": "sunny",
        },
        {
            "langsmith.span.kind": "tool",
            "gen_ai.prompt": '{"city":"Paris"}',
            "gen_ai.completion": '{"output":"sunny"}',
        },
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "weather",
            "ai.toolCall.args": '{"city":"Paris"}',
            "ai.toolCall.result": "sunny",
        },
    ],
)
def test_a_tool_has_its_name_arguments_and_result(attributes: dict[str, Any]) -> None:
    found = row(attributes, name="weather")
    assert (found["kind"], found["tool_name"], found["output_text"]) == ("tool", "weather", "sunny")
    assert json.loads(found["input_text"]) == {"city": "Paris"}


def test_the_text_of_an_embedding_is_kept_and_its_vector_is_not() -> None:
    found = row(
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "text-embedding-3-small",
            "llm.token_count.prompt": 10,
            "embedding.embeddings.0.embedding.text": "one",
            "embedding.embeddings.1.embedding.text": "two",
            "embedding.embeddings.0.embedding.vector": [0.25] * 4,
            "other.list": [0.5] * 65,
            "short.list": [0.5, 1.0],
            "output.value": '{"data":[{"embedding":[0.25]}]}',
        }
    )
    assert (found["input_text"], found["output_text"], found["prompt_tokens"]) == ("one\ntwo", None, 10)
    assert json.loads(found["attributes"]) == {"short.list": [0.5, 1.0]}


def test_a_retriever_gives_the_query_and_the_documents() -> None:
    found = row(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "paris",
            "retrieval.documents.10.document.content": "third",
            "retrieval.documents.0.document.content": "first",
            "retrieval.documents.2.document.content": "second",
            "retrieval.documents.0.document.score": 0.5,
        }
    )
    assert (found["input_text"], found["output_text"]) == ("paris", "first\nsecond\nthird")
    assert json.loads(found["attributes"]) == {"retrieval.documents.0.document.score": 0.5}


EXCEPTION = (
    "exception",
    7,
    {
        "exception.type": "openai.RateLimitError",
        "exception.message": "slow down",
        "exception.stacktrace": "Trace",
    },
)


@pytest.mark.parametrize(
    ("attributes", "options", "expected"),
    [
        (
            {},
            {"status": 2, "message": "RateLimitError: slow down"},
            ("RateLimitError", "RateLimitError: slow down"),
        ),
        ({}, {"status": 2}, (None, None)),
        ({}, {"events": [EXCEPTION]}, ("RateLimitError", "slow down")),
        (
            {},
            {"events": [EXCEPTION], "status": 2, "message": "E('slow down')Traceback …"},
            ("RateLimitError", "slow down"),
        ),
        (  # as LangSmith writes an exception
            {"langsmith.span.kind": "llm"},
            {
                "status": 2,
                "message": "RateLimitError('slow\ndown')\n\nTraceback (most recent call last):\n  …",
            },
            ("RateLimitError", "slow\ndown"),
        ),
        (
            {},
            {"status": 2, "message": "no answer\n\nTraceback (most recent call last):\n  …"},
            (None, "no answer"),
        ),
        ({"error.type": "java.net.UnknownHostException"}, {}, ("UnknownHostException", None)),
        ({"error.type": "example.com"}, {}, ("example.com", None)),
        ({"error.type": "timeout"}, {}, ("timeout", None)),
        ({"netra.entity.error": "slow down"}, {}, (None, "slow down")),
        (
            {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "bad"},
            {},
            (None, "bad"),
        ),
        (
            {"gen_ai.operation.name": "chat"},
            {
                "events": [
                    ("exception", 1, {"exception.type": "Exception", "exception.message": "ValueError('no')"})
                ]
            },
            ("ValueError", "ValueError('no')"),
        ),
    ],
)
def test_what_counts_as_an_error(
    attributes: dict[str, Any], options: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    found = row(attributes, **options)
    assert found["is_error"] is True
    assert (found["error_type"], found["error_message"]) == expected


@pytest.mark.parametrize(
    "attributes",
    [
        {"langfuse.observation.level": "WARNING", "langfuse.observation.status_message": "low"},
        {"error.type": ""},
        {"netra.entity.error": ""},
    ],
)
def test_what_does_not_count_as_an_error(attributes: dict[str, Any]) -> None:
    found = row(attributes, status=1)
    assert (found["is_error"], found["error_type"]) == (False, None)


@pytest.mark.parametrize(
    ("attributes", "events", "ttft"),
    [
        (
            {
                "library.name": "netra",
                "llm.is_streaming": True,
                "gen_ai.performance.time_to_first_token": "0.25",
            },
            [],
            250.0,
        ),
        ({"library.name": "netra", "gen_ai.performance.time_to_first_token": "0.25"}, [], None),
        (
            {
                "library.name": "netra",
                "gen_ai.stream": True,
                "gen_ai.performance.time_to_first_token": "0.25",
            },
            [],
            250.0,
        ),
        ({"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.25}, [], 250.0),
        ({"openinference.span.kind": "LLM"}, [("First Token Stream Event", 250_000_000, {})], 250.0),
        (
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.completion_start_time": '"2026-03-01T12:00:01.250000Z"',
            },
            [],
            250.0,
        ),
        ({"ai.operationId": "ai.streamText.doStream", "ai.response.msToFirstChunk": 250.0}, [], 250.0),
        ({"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": -1.0}, [], None),
    ],
)
def test_the_time_to_the_first_token_is_that_of_streams(
    attributes: dict[str, Any], events: list[Any], ttft: float | None
) -> None:
    assert row(attributes, events=events)["ttft_ms"] == (
        None if ttft is None else pytest.approx(ttft, abs=0.01)
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"session.id": "s", "user.id": "u", "tenant.id": "t"},
        {"netra.session_id": "s", "netra.user_id": "u", "netra.tenant_id": "t"},
        {
            "traceloop.association.properties.session_id": "s",
            "traceloop.association.properties.userId": "u",
            "traceloop.association.properties.org_id": "t",
        },
        {
            "traceloop.association.properties.chat_id": "s",
            "traceloop.association.properties.user": "u",
            "traceloop.association.properties.organizationId": "t",
        },
        {
            "openinference.span.kind": "CHAIN",
            "metadata": '{"thread_id": "s", "user_id": "u", "tenant_id": "t", "langgraph_step": 1}',
        },
        {
            "langfuse.observation.type": "span",
            "session.id": "s",
            "user.id": "u",
            "langfuse.trace.metadata.tenant_id": '"t"',
        },
        {
            "langfuse.observation.type": "span",
            "session.id": "s",
            "user.id": "u",
            "langfuse.trace.metadata.tenant": "t",
        },
        {
            "langsmith.span.kind": "chain",
            "langsmith.metadata.conversation_id": "s",
            "langsmith.metadata.user_id": "u",
            "langsmith.metadata.tenant_id": "t",
        },
        {
            "ai.operationId": "ai.generateText",
            "ai.telemetry.metadata.sessionId": "s",
            "ai.telemetry.metadata.userId": "u",
            "ai.telemetry.metadata.tenantId": "t",
        },
        {"gen_ai.conversation.id": "s", "enduser.id": "u", "organization.id": "t"},
        {"gen_ai.conversation.id": "generated", "session.id": "s", "user.id": "u", "tenant.id": "t"},
    ],
)
def test_session_user_and_tenant_under_their_many_names(attributes: dict[str, Any]) -> None:
    found = row(attributes)
    assert (found["session_id"], found["user_id"], found["tenant_id"]) == ("s", "u", "t")


def test_of_several_aliases_the_best_counts_and_the_others_stay_in_the_attributes() -> None:
    prefix = "traceloop.association.properties."
    found = row({prefix + "chat_id": "c", prefix + "session_id": "s", prefix + "plan": "pro"})
    assert found["session_id"] == "s"
    assert json.loads(found["attributes"]) == {prefix + "chat_id": "c", prefix + "plan": "pro"}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (
            {"service.name": "bot", "service.version": "1", "deployment.environment": "staging"},
            ("bot", "staging", "1", None),
        ),
        (
            {
                "service.name": "bot",
                "deployment.environment.name": "prod",
                "openinference.project.name": "trips",
            },
            ("bot", "prod", None, None),
        ),
        (
            {
                "service.name": "unknown_service:python",
                "langfuse.environment": "dev",
                "langfuse.release": "2",
            },
            (None, "dev", "2", None),
        ),
        ({"service.namespace": "shop"}, (None, None, None, "shop")),
    ],
)
def test_where_a_span_ran(resource: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = row({}, resource=resource)
    assert (found["service"], found["environment"], found["release"], found["app"]) == expected


def test_the_project_of_openinference_is_the_app() -> None:
    resource = {"openinference.project.name": "trips"}
    assert row({"openinference.span.kind": "CHAIN"}, resource=resource)["app"] == "trips"


def test_what_a_resource_holds_beyond_the_columns_stays_in_the_attributes() -> None:
    found = row({"k": 1}, resource={"service.name": "bot", "host.name": "h1", "telemetry.sdk.name": "x"})
    assert json.loads(found["attributes"]) == {"k": 1, "resource": {"host.name": "h1"}}


@pytest.mark.parametrize(
    ("attributes", "resource"),
    [
        ({"netra.trace.origin": "evaluation"}, {}),
        ({"langfuse.observation.type": "span", "langfuse.experiment.id": "e1"}, {}),
        ({"openinference.span.kind": "CHAIN"}, {"openinference.project.name": "Experiment-1f"}),
        ({"langsmith.span.kind": "chain", "langsmith.metadata.reference_example_id": "x"}, {}),
    ],
)
def test_evaluation_runs_are_flagged(attributes: dict[str, Any], resource: dict[str, Any]) -> None:
    assert row(attributes, resource=resource)["is_evaluation"] is True
    assert row({})["is_evaluation"] is False


def test_scores_become_feedback_and_tags_a_list() -> None:
    score = (
        "gen_ai.evaluation.result",
        1,
        {"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 0.9},
    )
    verdict = (
        "gen_ai.evaluation.result",
        1,
        {"gen_ai.evaluation.name": "Tone", "gen_ai.evaluation.score.label": "rude"},
    )
    found = row({"gen_ai.operation.name": "chat"}, events=[score, verdict])
    assert json.loads(found["feedback"]) == {"Relevance": 0.9}
    assert "rude" in found["attributes"]
    assert row({"openinference.span.kind": "CHAIN", "tag.tags": ["web", "beta"]})["tags"] == ["web", "beta"]
    assert row({"langsmith.span.kind": "chain", "langsmith.span.tags": "web, beta"})["tags"] == [
        "web",
        "beta",
    ]


def test_netras_conversation_says_what_was_said() -> None:
    conversation = [
        {"type": "input", "role": "user", "content": "Hello", "format": "text"},
        {"type": "output", "role": "assistant", "content": "Hi", "format": "text"},
    ]
    found = row(
        {
            "netra.entity.type": "workflow",
            "input": '{"x": "raw"}',
            "output": "raw",
            "conversation": json.dumps(conversation),
        }
    )
    assert (found["input_text"], found["output_text"]) == ("Hello", "Hi")


def test_netras_empty_presets_and_broken_json_do_no_harm() -> None:
    found = row({"netra.entity.type": "workflow", "input": "", "output": ""})
    assert (found["input_text"], found["output_text"]) == (None, None)
    broken = '{"messages": "[{\\"role\\": \\"user\\", \\"cont'
    assert row({"netra.entity.type": "workflow", "input": broken})["input_text"] == broken


@pytest.mark.parametrize(
    ("attributes", "options", "cost"),
    [
        ({"gen_ai.operation.name": "chat", "operation.cost": 0.25}, {}, 0.25),
        (
            {
                "netra.span.type": "GENERATION",
                "netra.usage": '[{"cost_in_usd": 0.04}, {"cost_in_usd": 0.01}]',
            },
            {},
            0.05,
        ),
        (
            {"netra.span.type": "GENERATION", "netra.usage": '[{"cost_in_usd": 0.04}, {"units_used": 1}]'},
            {},
            None,
        ),
        ({"openinference.span.kind": "LLM", "llm.cost.total": 0.5}, {}, 0.5),
        ({"openinference.span.kind": "LLM", "llm.cost.prompt": 0.5, "llm.cost.completion": 0.25}, {}, 0.75),
        (
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.cost_details": '{"input": 0.001, "output": 0.002}',
            },
            {},
            0.003,
        ),
        (
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.cost_details": '{"input": 1, "total": 2}',
            },
            {},
            2.0,
        ),
        (
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.cost_details": '{"input": 0, "output": 0, "total": 0}',
            },
            {},
            None,
        ),
        (
            {"langfuse.observation.type": "generation", "langfuse.observation.cost_details": '{"total": 2}'},
            {"status": 2},
            None,
        ),
    ],
)
def test_a_cost_the_span_shipped_is_taken_unless_it_says_nothing(
    attributes: dict[str, Any], options: dict[str, Any], cost: float | None
) -> None:
    found = row(attributes, **options)
    assert found["cost_usd"] == (None if cost is None else pytest.approx(cost))
    assert found["cost_source"] == (None if cost is None else "span")


def test_long_texts_are_cut_with_a_mark_and_json_stays_json() -> None:
    long = "é" * 5_000
    found = row(
        {
            **LEGACY,
            "gen_ai.prompt.1.content": long,
            "custom": long,
            "other": 1,
            "gen_ai.completion.0.content": long,
        },
        max_field_chars=1_000,
    )
    for field in ("input_text", "output_text"):
        assert len(found[field]) == 1_000
        assert found[field].endswith("… [cut: 5,000 characters]")
    assert len(found["messages"].encode()) <= 1_000
    assert json.loads(found["messages"])[-1]["content"].endswith("characters]")
    assert len(found["attributes"].encode()) <= 1_000
    json.loads(found["attributes"])


def test_when_messages_are_too_many_the_oldest_go() -> None:
    many = {
        f"gen_ai.prompt.{n}.{part}": text
        for n in range(100)
        for part, text in (("role", "user"), ("content", f"q{n}"))
    }
    found = row({"llm.request.type": "chat", **many}, max_field_chars=1_000)
    messages = json.loads(found["messages"])
    assert messages[0]["role"] == "cut"
    assert messages[-1]["content"] == "q99"
    left_out = 100 - (len(messages) - 1)
    assert messages[0]["content"] == f"… [cut: {left_out} earlier messages]"


def test_a_span_of_nobody_keeps_its_attributes() -> None:
    found = row({"http.url": "https://x", "input": "not ours"}, name="GET", parent_span_id=b"\x09" * 8)
    assert (found["kind"], found["source"], found["parent_span_id"]) == ("other", "otlp", "09" * 8)
    assert json.loads(found["attributes"]) == {"http.url": "https://x", "input": "not ours"}


def test_times_of_a_row_are_those_of_the_span() -> None:
    found = row({}, start_time_unix_nano=START, end_time_unix_nano=START + 5)
    assert (found["start_ns"], found["end_ns"], str(found["date"])) == (START, START + 5, "2026-03-01")


def test_the_metadata_of_a_pydantic_ai_run_tell_user_and_tenant_and_the_conversation_its_session() -> None:
    found = row(
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.conversation.id": "c1",
            "metadata": json.dumps({"user_id": "u1", "tenant_id": "t1", "session_id": "other"}),
        }
    )
    assert (found["session_id"], found["user_id"], found["tenant_id"]) == ("c1", "u1", "t1")


def test_langsmith_has_no_place_for_the_environment_but_its_metadata() -> None:
    assert row({**LANGSMITH, "langsmith.metadata.environment": "staging"})["environment"] == "staging"


def test_version_7_of_the_vercel_sdk_tells_of_streams_and_users_in_attributes_of_its_own() -> None:
    found = row(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.client.operation.time_to_first_chunk": 0.05,
            "ai.settings.context.sessionId": "s1",
            "ai.settings.context.userId": "u1",
            "ai.settings.context.tenantId": "t1",
        }
    )
    assert (found["is_streaming"], found["ttft_ms"]) == (True, 50.0)
    assert (found["session_id"], found["user_id"], found["tenant_id"]) == ("s1", "u1", "t1")
    assert found["source"] == "vercel"


@pytest.mark.parametrize(
    ("sent", "model"),
    [
        ("projects/p-1/locations/eu/publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.0-flash", "gemini-2.0-flash"),
        ("publishers/google/models/", "publishers/google/models/"),
        ("projects/p-1/endpoints/77", "projects/p-1/endpoints/77"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("accounts/fireworks/models/llama-v3", "accounts/fireworks/models/llama-v3"),
    ],
)
def test_a_resource_name_of_google_is_the_model_it_ends_with(sent: str, model: str) -> None:
    assert row({"gen_ai.operation.name": "chat", "gen_ai.request.model": sent})["model"] == model


@pytest.mark.parametrize(
    ("sent", "provider"),
    [
        ("openai.responses", "openai"),
        ("OpenAI.chat", "openai"),
        ("google.generative-ai", "google"),
        ("gcp.vertex_ai", "gcp.vertex_ai"),
        ("langchain", None),
    ],
)
def test_a_provider_is_named_without_the_part_of_its_api(sent: str, provider: str | None) -> None:
    assert row({"gen_ai.operation.name": "chat", "gen_ai.system": sent})["provider"] == provider


@pytest.mark.parametrize(
    ("name", "attributes", "kind"),
    [
        ("qa_agent run", {"agent_name": "qa_agent", "gen_ai.usage.input_tokens": 3}, "agent"),
        ("agent run", {"gen_ai.agent.name": "a", "gen_ai.request.model": "gpt-4o"}, "agent"),
        ("invoke_agent weather", {"gen_ai.agent.id": "1"}, "agent"),
        ("test run", {"gen_ai.agent.id": "1"}, "other"),
        ("chat gpt-4o", {"gen_ai.agent.name": "a", "gen_ai.request.model": "gpt-4o"}, "llm"),
    ],
)
def test_the_run_of_an_agent_is_told_by_its_name_where_it_names_no_operation(
    name: str, attributes: dict[str, object], kind: str
) -> None:
    assert row(attributes, name=name)["kind"] == kind
