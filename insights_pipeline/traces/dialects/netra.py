"""Netra: `netra.*`, `input` and `output`, on top of OpenLLMetry's flattened messages."""

from __future__ import annotations

from insights_pipeline.traces.dialects.openllmetry import fill_legacy
from insights_pipeline.traces.draft import CLIENTS, Draft, Sources, pop_text
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.messages import last_text, read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import MISSING, as_float, as_text, loads_container

NAME = "netra"
# `@task` sends entity task and span type TOOL, and there is no decorator for tools: the span type decides.
_SPAN_TYPES = {"AGENT": "agent", "TOOL": "tool", "GENERATION": "llm", "LLM": "llm", "EMBEDDING": "embedding"}
_ENTITY_TYPES = {"workflow": "workflow", "agent": "agent", "task": "task"}

_SOURCES = Sources(
    model=(as_text, ("netra.model",)),
    provider=(as_text, ("netra.llm_system",)),
    session_id=(as_text, ("netra.session_id",)),
    user_id=(as_text, ("netra.user_id",)),
    tenant_id=(as_text, ("netra.tenant_id",)),
)


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return "netra" in roots or raw.scope.startswith("netra.") or raw.attributes.get("library.name") == "netra"


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    fill_legacy(draft, attributes)
    _kind(draft, attributes)
    _content(draft, attributes)
    client = attributes.get("netra.instrumentation.name")
    _SOURCES.fill(draft, attributes)
    if draft.provider is None and client in CLIENTS:
        draft.provider = client
    if draft.kind == "tool":
        draft.tool_name = draft.tool_name or pop_text(attributes, "netra.task.name") or raw.name
    draft.cost_usd = _usage_cost(attributes) if draft.cost_usd is None else draft.cost_usd
    first = as_float(attributes.pop("gen_ai.performance.time_to_first_token", None))
    if first is not None and draft.is_streaming:  # elsewhere it is the whole latency
        draft.ttft_ms = first * 1_000
    for key in (
        "gen_ai.performance.time_to_first_token.timestamp",
        "gen_ai.performance.relative_time_to_first_token",
    ):
        attributes.pop(key, None)
    failure = pop_text(attributes, "netra.entity.error", "netra.error_message")
    if failure is not None:
        draft.is_error = True
        draft.error_message = failure
    if attributes.get("netra.trace.origin") == "evaluation":
        draft.is_evaluation = True
    for key in ("library.name", "library.version", "sdk.name"):
        attributes.pop(key, None)


def _kind(draft: Draft, attributes: Attributes) -> None:
    span_type = (pop_text(attributes, "netra.span.type") or "").upper()
    entity = pop_text(attributes, "netra.entity.type") or ""
    kind = _SPAN_TYPES.get(span_type) or _ENTITY_TYPES.get(entity)
    draft.kind = kind or draft.kind


def _content(draft: Draft, attributes: Attributes) -> None:
    sent = pop_text(attributes, "input", "netra.entity.input")
    returned = pop_text(attributes, "output", "netra.entity.output")
    prompt = pop_text(attributes, "netra.prompt")
    if draft.kind == "llm":
        draft.inputs = draft.inputs or read_messages(sent or prompt, "user")
        draft.outputs = draft.outputs or read_messages(returned, "assistant")
    conversation = _conversation(attributes)
    draft.input = last_text(conversation, "user") or sent or prompt or draft.input
    draft.output = last_text(conversation, "assistant") or returned or draft.output


def _conversation(attributes: Attributes) -> list[Message]:
    """What the program itself declared to be the conversation."""
    turns = loads_container(attributes.pop("conversation", None))
    return [] if turns is MISSING else read_messages(turns, "user")


def _usage_cost(attributes: Attributes) -> float | None:
    """Sum of the costs the provider or the user reported; unknown when an entry has none."""
    entries = loads_container(attributes.get("netra.usage"))
    if not isinstance(entries, list) or not entries:
        return None
    costs = [as_float(entry.get("cost_in_usd")) if isinstance(entry, dict) else None for entry in entries]
    known = [cost for cost in costs if cost is not None]
    if len(known) != len(costs):
        return None
    del attributes["netra.usage"]
    return sum(known)
