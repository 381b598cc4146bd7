"""The OpenTelemetry conventions for generative AI (`gen_ai.*`), also as others build on them."""

from __future__ import annotations

from typing import Any

from insights_pipeline.traces.draft import Draft, Sources, identify, pop_first, pop_text
from insights_pipeline.traces.messages import is_messages, last_text, read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_float, as_int, as_text, loads_container

NAME = "otel_genai"
_KINDS = {
    "chat": "llm", "generate_content": "llm", "text_completion": "llm", "completion": "llm", "responses": "llm",
    "embeddings": "embedding", "embedding": "embedding", "retrieval": "retriever", "execute_tool": "tool",
    "invoke_agent": "agent", "create_agent": "agent", "invoke_workflow": "workflow", "plan": "task",
    "chain": "chain",
}  # fmt: skip


# Before version 1.37 messages were events; some SDKs (Azure, Strands) put them on the span.
EVENTS = {
    "gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool", "gen_ai.choice": "assistant", "gen_ai.content.prompt": "user",
    "gen_ai.content.completion": "assistant", "gen_ai.evaluation.result": "",
}  # fmt: skip
OUTPUT_EVENTS = frozenset({"gen_ai.choice", "gen_ai.content.completion"})


_SOURCES = Sources(
    model=(as_text, ("gen_ai.response.model", "gen_ai.request.model")),
    provider=(as_text, ("gen_ai.provider.name", "gen_ai.system")),
    prompt_tokens=(as_int, ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")),
    completion_tokens=(as_int, ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")),
    total_tokens=(as_int, ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")),
    cached_tokens=(
        as_int,
        (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
        ),
    ),
    cache_write_tokens=(
        as_int,
        (
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
        ),
    ),
    reasoning_tokens=(
        as_int,
        (
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "llm.usage.reasoning_tokens",
        ),
    ),
    cost_usd=(as_float, ("operation.cost",)),
)


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return "gen_ai" in roots or "operation" in roots


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    """Read the current names and those of v1.36 and before; message and tool content may be JSON text or structured."""
    operation = pop_text(attributes, "gen_ai.operation.name")
    _SOURCES.fill(draft, attributes)
    if operation is not None:
        draft.kind = _KINDS.get(operation, draft.kind)
    elif draft.kind is None and _is_agent(raw):
        draft.kind = "agent"
    elif draft.kind is None and draft.model is not None:
        draft.kind = "llm"
    elif draft.kind is None and "gen_ai.tool.call.id" in attributes:
        draft.kind = "tool"
    draft.tool_name = pop_text(attributes, "gen_ai.tool.name") or draft.tool_name
    if isinstance(metadata := loads_container(attributes.get("metadata")), dict):  # of a run of pydantic-ai
        identify(draft, metadata)
    draft.session_id = pop_text(attributes, "gen_ai.conversation.id") or draft.session_id
    _content(draft, attributes)
    _streaming(draft, attributes)
    if raw.events:
        _events(draft, raw)


def _is_agent(raw: RawSpan) -> bool:
    """Whether a span that names no operation is the run of an agent, as pydantic-ai and its like name them."""
    if raw.name.startswith("invoke_agent"):
        return True
    named = "gen_ai.agent.name" in raw.attributes or "agent_name" in raw.attributes
    return named and raw.name.endswith(" run")


def _content(draft: Draft, attributes: Attributes) -> None:
    instructions = attributes.pop("gen_ai.system_instructions", None)
    inputs = attributes.pop("gen_ai.input.messages", None)
    outputs = attributes.pop("gen_ai.output.messages", None)
    whole = attributes.pop("pydantic_ai.all_messages", None)
    if inputs is not None:
        draft.inputs = read_messages(inputs, "user")
    if instructions is not None and not any(message["role"] == "system" for message in draft.inputs):
        draft.inputs = [*instructions_of(instructions), *draft.inputs]
    if outputs is not None:
        draft.outputs = read_messages(outputs, "assistant")
    if whole is not None and inputs is None:
        draft.input = last_text(read_messages(whole, "user"), "user")
    draft.output = (
        pop_text(attributes, "final_result", "gen_ai.tool.call.result", "gen_ai.tool.result") or draft.output
    )
    draft.input = pop_text(attributes, "gen_ai.tool.call.arguments", "tool_arguments") or draft.input
    draft.output = pop_text(attributes, "tool_response") or draft.output


def instructions_of(value: Any) -> list[dict[str, Any]]:
    """System instructions are a list of parts, without the message around them."""
    parts = loads_container(value)
    if isinstance(parts, list) and not is_messages(parts):
        value = {"role": "system", "parts": parts}
    texts = [message["content"] for message in read_messages(value, "system") if message["content"]]
    return [{"role": "system", "content": "\n".join(texts)}] if texts else []


def _streaming(draft: Draft, attributes: Attributes) -> None:
    streaming = pop_first(
        attributes, "gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming", "gen_ai.stream"
    )
    if isinstance(streaming, bool):
        draft.is_streaming = streaming
    first = as_float(
        pop_first(
            attributes,
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.client.operation.time_to_first_chunk",  # Vercel AI SDK 7
        )
    )
    if first is not None:
        draft.ttft_ms = first * 1_000
        draft.is_streaming = draft.is_streaming is not False


def _events(draft: Draft, raw: RawSpan) -> None:
    """Messages and scores that came as events of the span; a verdict without a number stays in the attributes."""
    for event in raw.events:
        if event.name == "gen_ai.evaluation.result":
            name = event.attributes.get("gen_ai.evaluation.name")
            score = as_float(event.attributes.get("gen_ai.evaluation.score.value"))
            if isinstance(name, str) and score is not None:
                draft.feedback = {**(draft.feedback or {}), name: score}
            else:
                raw.attributes.setdefault("gen_ai.evaluation.result", []).append(event.attributes)
        elif (role := EVENTS.get(event.name)) is not None:
            body = event.attributes
            value = body.get("message") or body.get("gen_ai.prompt") or body.get("gen_ai.completion") or body
            found = read_messages({"role": role, **value} if isinstance(value, dict) else value, role)
            if event.name in OUTPUT_EVENTS:
                draft.outputs = [*draft.outputs, *found]
            else:
                draft.inputs = [*draft.inputs, *found]
