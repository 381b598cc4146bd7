"""Langfuse: `langfuse.observation.*` and `langfuse.trace.*`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from insights_pipeline.traces.draft import Draft, identify, pop_text
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_float, as_int, loads, loads_container

NAME = "langfuse"
_OBSERVATION = "langfuse.observation."
_KINDS = {
    "generation": "llm", "embedding": "embedding", "agent": "agent", "tool": "tool", "chain": "chain",
    "retriever": "retriever", "evaluator": "evaluator", "guardrail": "guardrail", "span": "other", "event": "other",
}  # fmt: skip


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return "langfuse" in roots


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    kind = _KINDS.get(pop_text(attributes, _OBSERVATION + "type") or "")
    if kind == "other":  # what `@observe` makes of any function
        kind = draft.kind or ("chain" if raw.attributes.get("langfuse.internal.is_app_root") else "other")
    draft.kind = kind or draft.kind
    sent = pop_text(attributes, _OBSERVATION + "input", "langfuse.trace.input")
    returned = pop_text(attributes, _OBSERVATION + "output", "langfuse.trace.output")
    draft.input, draft.output = sent or draft.input, returned or draft.output
    if draft.kind == "llm":
        draft.inputs = read_messages(sent, "user") or draft.inputs
        draft.outputs = read_messages(returned, "assistant") or draft.outputs
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


def _usage(draft: Draft, attributes: Attributes) -> None:
    """Usage as the provider's own object, or as `{"input", "output"}` where a user set it."""
    usage = loads_container(attributes.pop(_OBSERVATION + "usage_details", None))
    if not isinstance(usage, dict):
        return
    draft.prompt_tokens = _count(usage, "prompt_tokens", "input_tokens", "input")
    draft.completion_tokens = _count(usage, "completion_tokens", "output_tokens", "output")
    draft.total_tokens = _count(usage, "total_tokens", "total")
    read = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    draft.cached_tokens = _count(usage, "cache_read_input_tokens", "input_cached_tokens", "input_cache_read")
    if draft.cached_tokens is None and isinstance(read, dict):
        draft.cached_tokens = as_int(read.get("cached_tokens"))
    draft.cache_write_tokens = _count(usage, "cache_creation_input_tokens", "input_cache_creation")
    written = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    if isinstance(written, dict):
        draft.reasoning_tokens = as_int(written.get("reasoning_tokens"))


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
