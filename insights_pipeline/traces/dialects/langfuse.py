"""Langfuse: `langfuse.observation.*` and `langfuse.trace.*`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from insights_pipeline.traces.draft import Draft, identify, pop_text
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_float, as_int, loads, loads_container

NAME = "langfuse"
_OBSERVATION = "langfuse.observation."
_METADATA = _OBSERVATION + "metadata."
_READ = (
    "cache_read_input_tokens", "input_cached_tokens", "input_cache_read", "input_cached", "prompt_details.cache_read",
)  # fmt: skip
_WRITTEN = ("cache_creation_input_tokens", "input_cache_creation", "prompt_details.cache_write")
_REASONED = (
    "output_reasoning_tokens", "output_reasoning", "completion_details.reasoning", "reasoning_tokens",
)  # fmt: skip
_OWN = frozenset({"input_tokens", "output_tokens"})
_SPEAKER = re.compile(r"^(system|developer|user|assistant|tool): ", re.MULTILINE)
_STEPS = frozenset({"llm", "tool", "embedding", "retriever"})
_KINDS = {
    "generation": "llm", "embedding": "embedding", "agent": "agent", "tool": "tool", "chain": "chain",
    "retriever": "retriever", "evaluator": "evaluator", "guardrail": "guardrail", "span": "other", "event": "other",
    "trace": "workflow",
}  # fmt: skip


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return "langfuse" in roots


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    kind = _KINDS.get(pop_text(attributes, _OBSERVATION + "type") or "")
    if kind == "other":  # what `@observe` makes of any function, and what older versions make of everything
        kind = draft.kind or ("chain" if raw.attributes.get("langfuse.internal.is_app_root") else "other")
    elif (
        kind == "llm"
    ):  # what Langfuse makes of any span that names a model, also of the loop around the calls
        kind = draft.kind if draft.kind not in (None, "other") else kind
    draft.kind = kind or draft.kind
    sent = _content(attributes, "input", draft.kind)
    returned = _content(attributes, "output", draft.kind)
    draft.input, draft.output = sent or draft.input, returned or draft.output
    if draft.kind == "other" and (result := _tool_result(returned)) is not None:
        draft.kind, draft.output = "tool", result
    if (
        draft.kind == "llm"
    ):  # messages that another dialect found whole are better than Langfuse's text of them
        draft.inputs = draft.inputs or _transcript(sent) or read_messages(sent, "user")
        draft.outputs = draft.outputs or read_messages(returned, "assistant")
    elif draft.kind == "tool":
        draft.tool_name = draft.tool_name or raw.name
    draft.model = pop_text(attributes, _OBSERVATION + "model.name") or draft.model
    _usage(draft, attributes)
    if pop_text(attributes, _OBSERVATION + "level") == "ERROR":
        draft.is_error = True
        draft.error_message = pop_text(attributes, _OBSERVATION + "status_message")
    _cost(draft, raw, attributes)
    _first_token(draft, raw, attributes)
    draft.environment = pop_text(attributes, "langfuse.environment") or draft.environment
    draft.release = pop_text(attributes, "langfuse.release") or draft.release
    draft.session_id = pop_text(attributes, "langfuse.session.id") or draft.session_id
    draft.user_id = pop_text(attributes, "langfuse.user.id") or draft.user_id
    tags = attributes.pop("langfuse.trace.tags", None)
    draft.tags = [str(tag) for tag in tags] if isinstance(tags, list) else draft.tags
    if any(key.startswith("langfuse.experiment.") for key in attributes):
        draft.is_evaluation = True
    identify(draft, attributes, "langfuse.trace.metadata.")
    _from_metadata(draft, attributes)


def _content(attributes: Attributes, side: str, kind: str | None) -> str | None:
    """What the observation or its trace was given. A step has its own; what was set for the trace is what was said,
    where the function around it has only its arguments."""
    own = pop_text(attributes, _OBSERVATION + side)
    of_trace = pop_text(attributes, "langfuse.trace." + side)
    return own or of_trace if kind in _STEPS else of_trace or own


def _tool_result(returned: str | None) -> str | None:
    """What a tool gave back to LangChain, whose callback once sent tools as plain spans: the message of a tool."""
    if returned is None or not returned.startswith("{") or '"tool_call_id"' not in returned:
        return None
    parsed = loads_container(returned)
    if not isinstance(parsed, dict):
        return None
    inner = parsed.get("kwargs") if "lc" in parsed else parsed
    if not isinstance(inner, dict) or "tool_call_id" not in inner:  # not messages of tools among others
        return None
    messages = read_messages(parsed, "tool")
    return str(messages[0]["content"]) if messages and messages[0]["role"] == "tool" else None


def _transcript(sent: str | None) -> list[Message]:
    """Messages that OpenLIT wrote as one text: `system: …`, `user: …`, each beginning a line."""
    if sent is None or _SPEAKER.match(sent) is None:
        return []
    _, *found = _SPEAKER.split(sent)
    roles, texts = found[::2], found[1::2]
    return [
        message
        for role, text in zip(roles, texts, strict=True)
        for message in read_messages([{"role": role, "content": text.removesuffix("\n")}], role)
    ]


def _from_metadata(draft: Draft, attributes: Attributes) -> None:
    """Thread and provider as LangChain's callback leaves them, where nothing better says them."""
    provider = pop_text(attributes, _METADATA + "ls_provider")
    draft.provider = draft.provider or provider
    left = {key: value for key, value in attributes.items() if key.startswith(_METADATA)}
    if left:
        told = Draft()
        identify(told, left, _METADATA)
        draft.session_id = draft.session_id or told.session_id
        draft.user_id = draft.user_id or told.user_id
        draft.tenant_id = draft.tenant_id or told.tenant_id


def _usage(draft: Draft, attributes: Attributes) -> None:
    """Usage as the provider's own object, as a user set it, or as Langfuse keeps it."""
    usage = loads_container(attributes.pop(_OBSERVATION + "usage_details", None))
    if not isinstance(usage, dict):
        return
    prompt = _count(usage, "prompt_tokens", "input_tokens", "input")
    completion = _count(usage, "completion_tokens", "output_tokens", "output")
    total = _count(usage, "total_tokens", "total")
    if "input" in usage or "output" in usage:
        beside_input, beside_output = _beside(usage, "input_"), _beside(usage, "output_")
        counted = (prompt or 0) + beside_input + (completion or 0) + beside_output
        if total is None or counted <= total:
            prompt = prompt + beside_input if prompt is not None else beside_input or None
            completion = completion + beside_output if completion is not None else beside_output or None
    draft.prompt_tokens, draft.completion_tokens, draft.total_tokens = prompt, completion, total
    draft.cached_tokens = _count(usage, *_READ)
    draft.cache_write_tokens = _count(usage, *_WRITTEN)
    draft.reasoning_tokens = _count(usage, *_REASONED)
    read = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    if draft.cached_tokens is None and isinstance(read, dict):
        draft.cached_tokens = as_int(read.get("cached_tokens"))
    written = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    if draft.reasoning_tokens is None and isinstance(written, dict):
        draft.reasoning_tokens = as_int(written.get("reasoning_tokens"))


def _beside(usage: dict[str, Any], prefix: str) -> int:
    """Langfuse keeps `input` without the tokens that it counts apart as `input_cached_tokens`, `input_audio`, …"""
    return sum(
        as_int(count) or 0 for key, count in usage.items() if key.startswith(prefix) and key not in _OWN
    )


def _count(usage: dict[str, Any], *keys: str) -> int | None:
    return next((count for key in keys if (count := as_int(usage.get(key))) is not None), None)


def _cost(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    """The shipped cost; a failed call carries zeros, which mean that nobody knows."""
    costs = loads_container(attributes.pop(_OBSERVATION + "cost_details", None))
    if not isinstance(costs, dict) or draft.is_error or raw.status_code == 2:
        return
    total = as_float(costs.get("total"))
    if total is None:
        parts = [as_float(cost) for cost in costs.values()]
        total = sum(part for part in parts if part is not None)
    draft.cost_usd = total or draft.cost_usd


def _first_token(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    """TTFT from the quoted ISO time that only streams carry."""
    text = pop_text(attributes, _OBSERVATION + "completion_start_time")
    if text is None:
        return
    unquoted = loads(text) if text.startswith('"') else text
    try:
        first = datetime.fromisoformat(str(unquoted))
    except ValueError:
        return
    draft.is_streaming = True
    draft.ttft_ms = first.timestamp() * 1_000 - raw.start_ns / 1e6
