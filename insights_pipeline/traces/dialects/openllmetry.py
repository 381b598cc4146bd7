"""OpenLLMetry / Traceloop: `traceloop.*`, and the flattened `gen_ai.prompt.N` of releases before 0.60."""

from __future__ import annotations

from insights_pipeline.traces.dialects.flattened import pop_flattened
from insights_pipeline.traces.draft import Draft, client_of, identify, pop_text
from insights_pipeline.traces.records import Attributes, RawSpan

NAME = "openllmetry"
_PROPERTIES = "traceloop.association.properties."
_KINDS = {"workflow": "workflow", "agent": "agent", "task": "task", "tool": "tool"}
_REQUEST_TYPES = {"chat": "llm", "completion": "llm", "embedding": "embedding", "rerank": "retriever"}
# Its instrumentations name their scope so; the official ones end in `_v2` or say `genai`.
_SCOPE = "opentelemetry.instrumentation."
_OFFICIAL = ("_v2", "_genai", ".genai")


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    if "traceloop" in roots:
        return True
    scope = raw.scope
    if not ("gen_ai" in roots or "llm" in roots) or scope.startswith(("openinference", "netra")):
        return False
    ours = scope.startswith(_SCOPE) and not any(mark in scope for mark in _OFFICIAL)
    return ours or "llm.request.type" in raw.attributes


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    fill_legacy(draft, attributes)
    kind = _KINDS.get(pop_text(attributes, "traceloop.span.kind") or "")
    draft.kind = kind or draft.kind
    draft.input = pop_text(attributes, "traceloop.entity.input") or draft.input
    draft.output = pop_text(attributes, "traceloop.entity.output") or draft.output
    draft.provider = draft.provider or client_of(raw.scope)
    entity = pop_text(attributes, "traceloop.entity.name")
    if draft.kind == "tool":
        draft.tool_name = draft.tool_name or entity
    identify(draft, attributes, _PROPERTIES)


def fill_legacy(draft: Draft, attributes: Attributes) -> None:
    """Flattened prompts and completions, and the request type; Netra sends the same."""
    kind = _REQUEST_TYPES.get(pop_text(attributes, "llm.request.type") or "")
    draft.kind = kind or draft.kind
    sent, returned = pop_flattened(attributes, "gen_ai.prompt.", "gen_ai.completion.")
    draft.inputs = sent.messages or draft.inputs
    draft.outputs = returned.messages or draft.outputs
    attributes.pop("llm.headers", None)
