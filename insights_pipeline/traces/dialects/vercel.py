"""Vercel AI SDK: `ai.*` up to version 5; since version 7 `gen_ai.*`, with the program's own context in `ai.*`."""

from __future__ import annotations

from insights_pipeline.traces.draft import Draft, identify, pop_first, pop_text
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_float, as_int, loads_container

NAME = "vercel"
_METADATA = "ai.telemetry.metadata."
_CONTEXT = "ai.settings.context."
# The outer span of a call is the whole loop of steps, the `do…` span is one call of the model.
_KINDS = {
    "ai.generateText": "agent", "ai.streamText": "agent", "ai.generateObject": "agent", "ai.streamObject": "agent",
    "ai.generateText.doGenerate": "llm", "ai.streamText.doStream": "llm", "ai.generateObject.doGenerate": "llm",
    "ai.streamObject.doStream": "llm", "ai.embed": "task", "ai.embedMany": "task", "ai.embed.doEmbed": "embedding",
    "ai.embedMany.doEmbed": "embedding", "ai.toolCall": "tool",
}  # fmt: skip


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return "ai" in roots


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    operation = pop_text(attributes, "ai.operationId") or raw.name
    draft.kind = _KINDS.get(operation, draft.kind)
    draft.model = draft.model or pop_text(attributes, "ai.response.model", "ai.model.id")
    draft.provider = draft.provider or pop_text(attributes, "ai.model.provider")
    prompt = as_int(pop_first(attributes, "ai.usage.promptTokens", "ai.usage.inputTokens"))
    completion = as_int(pop_first(attributes, "ai.usage.completionTokens", "ai.usage.outputTokens"))
    cached = as_int(attributes.pop("ai.usage.cachedInputTokens", None))
    draft.prompt_tokens = prompt if draft.prompt_tokens is None else draft.prompt_tokens
    draft.completion_tokens = completion if draft.completion_tokens is None else draft.completion_tokens
    draft.cached_tokens = cached if draft.cached_tokens is None else draft.cached_tokens
    _content(draft, attributes)
    first = as_float(pop_first(attributes, "ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"))
    if first is not None:
        draft.ttft_ms, draft.is_streaming = first, True
    draft.tool_name = pop_text(attributes, "ai.toolCall.name") or draft.tool_name
    identify(draft, attributes, _METADATA)
    identify(draft, attributes, _CONTEXT)


def _content(draft: Draft, attributes: Attributes) -> None:
    messages = attributes.pop("ai.prompt.messages", None)
    prompt = pop_text(attributes, "ai.prompt", "ai.value", "ai.values")
    text = pop_text(attributes, "ai.response.text", "ai.response.object")
    calls = loads_container(attributes.pop("ai.response.toolCalls", None))
    if messages is not None:
        draft.inputs = read_messages(messages, "user")
    if text is not None or isinstance(calls, list):
        answer: Message = {"role": "assistant", "content": text or ""}
        if isinstance(calls, list):
            named = [{**call, "name": call.get("toolName")} for call in calls if isinstance(call, dict)]
            answer["tool_calls"] = named
        draft.outputs = read_messages([answer], "assistant")
    draft.input = pop_text(attributes, "ai.toolCall.args") or prompt or draft.input
    draft.output = pop_text(attributes, "ai.toolCall.result") or text or draft.output
