"""The attributes of OTel's GenAI conventions, as a well-instrumented agent fills them in."""

from __future__ import annotations

from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from insights_pipeline.demo.otlp import attribute, constant
from insights_pipeline.demo.world import AGENT, EMBEDDER, RESPONSE_MODEL, TOOLS

_INSTRUCTIONS = orjson.dumps(
    [
        {
            "type": "text",
            "content": "You are the support assistant of Northwind Outfitters. Use the tools to look things up, "
            "never guess, be brief and friendly.",
        }
    ]
).decode()
_FINISH_REASONS = {
    reason: attribute("gen_ai.response.finish_reasons", [reason]) for reason in ("stop", "tool_calls")
}


def text(content: str) -> dict[str, Any]:
    """A text part of a message."""
    return {"type": "text", "content": content}


def message(role: str, parts: list[dict[str, Any]], finish: str | None = None) -> bytes:
    """One message as JSON; what a model said has a `finish` reason."""
    fields: dict[str, Any] = {"role": role, "parts": parts}
    return orjson.dumps(fields if finish is None else fields | {"finish_reason": finish})


def array(messages: list[bytes]) -> str:
    """Messages as the JSON array that an attribute holds."""
    return (b"[" + b",".join(messages) + b"]").decode()


def agent_attributes(session_id: str, said: str, answered: str) -> tuple[KeyValue, ...]:
    return (
        constant("gen_ai.operation.name", "invoke_agent"),
        constant("gen_ai.provider.name", "openai"),
        constant("gen_ai.agent.name", AGENT),
        attribute("gen_ai.conversation.id", session_id),
        attribute("gen_ai.input.messages", said),
        attribute("gen_ai.output.messages", answered),
    )


def model_attributes(model: str, finish: str) -> tuple[KeyValue, ...]:
    """What is the same for all calls of a model that end in the same way."""
    return (
        constant("gen_ai.operation.name", "chat"),
        constant("gen_ai.provider.name", "openai"),
        constant("gen_ai.request.model", model),
        constant("gen_ai.response.model", RESPONSE_MODEL[model]),
        constant("gen_ai.request.temperature", 0.2),
        constant("gen_ai.system_instructions", _INSTRUCTIONS),
        constant("server.address", "api.openai.com"),
        _FINISH_REASONS[finish],
    )


def usage_attributes(prompt: int, answer: int, cached: int) -> tuple[KeyValue, ...]:
    """Tokens; `prompt` includes the cached ones."""
    return (
        attribute("gen_ai.usage.input_tokens", prompt),
        attribute("gen_ai.usage.output_tokens", answer),
        attribute("gen_ai.usage.cache_read.input_tokens", cached),
    )


def refused_attributes(model: str) -> tuple[KeyValue, ...]:
    """A call that the provider turned away."""
    return (
        constant("gen_ai.operation.name", "chat"),
        constant("gen_ai.provider.name", "openai"),
        constant("gen_ai.request.model", model),
        constant("error.type", "RateLimitError"),
    )


def tool_attributes(tool: str, call_id: str, arguments: dict[str, Any]) -> tuple[KeyValue, ...]:
    return (
        constant("gen_ai.operation.name", "execute_tool"),
        constant("gen_ai.tool.name", tool),
        constant("gen_ai.tool.type", TOOLS[tool].type),
        attribute("gen_ai.tool.call.id", call_id),
        attribute("gen_ai.tool.call.arguments", orjson.dumps(arguments).decode()),
    )


def embedding_attributes(query: str) -> tuple[KeyValue, ...]:
    return (
        constant("gen_ai.operation.name", "embeddings"),
        constant("gen_ai.provider.name", "openai"),
        constant("gen_ai.request.model", EMBEDDER),
        constant("gen_ai.response.model", EMBEDDER),
        attribute("gen_ai.usage.input_tokens", max(1, len(query) // 4)),
    )


def retrieval_attributes(query: str, source: str) -> tuple[KeyValue, ...]:
    return (
        constant("gen_ai.operation.name", "retrieval"),
        constant("gen_ai.data_source.id", source),
        attribute("gen_ai.retrieval.query.text", query),
    )
