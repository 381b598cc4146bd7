"""OpenInference (Phoenix, Arize): `openinference.span.kind`, `llm.*`, `input.value`."""

from __future__ import annotations

from insights_pipeline.traces.dialects.flattened import Flattened, pop_flattened
from insights_pipeline.traces.draft import Draft, client_of, identify, pop_text
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_float, as_int, loads_container

NAME = "openinference"
_KINDS = {
    "LLM": "llm", "CHAIN": "chain", "AGENT": "agent", "TOOL": "tool", "RETRIEVER": "retriever",
    "RERANKER": "retriever", "EMBEDDING": "embedding", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator",
}  # fmt: skip
_OF_LLM = ("llm.model_name", "llm.token_count.total", "llm.token_count.prompt", "llm.invocation_parameters")
_TOKENS = "llm.token_count."


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return (
        "openinference" in roots
        or raw.scope.startswith("openinference.")
        or ("llm" in roots and any(key in raw.attributes for key in _OF_LLM))
    )


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    kind = pop_text(attributes, "openinference.span.kind")
    if kind is not None:
        draft.kind = _KINDS.get(kind.upper(), "other")
    elif draft.kind is None and any(key in attributes for key in _OF_LLM):
        draft.kind = "llm"  # the kind is among the attributes that a long chat pushed out
    sent = pop_text(attributes, "input.value")
    returned = pop_text(attributes, "output.value")
    attributes.pop("input.mime_type", None)
    attributes.pop("output.mime_type", None)
    _messages(draft, attributes, sent, returned)
    draft.input = sent or draft.input
    draft.output = returned or draft.output
    draft.tool_name = pop_text(attributes, "tool.name") or draft.tool_name
    if draft.kind in ("llm", "embedding"):
        _call(draft, raw, attributes)
    if draft.kind in ("retriever", "embedding"):
        _texts(draft, attributes)
    metadata = loads_container(attributes.get("metadata"))
    if isinstance(metadata, dict):
        identify(draft, metadata)
    tags = attributes.pop("tag.tags", None)
    if isinstance(tags, list):
        draft.tags = [str(tag) for tag in tags]
    app = raw.resource.get("openinference.project.name")
    if isinstance(app, str):
        draft.app = app
        draft.is_evaluation = draft.is_evaluation or app.startswith("Experiment-")  # what Phoenix names them


def _messages(draft: Draft, attributes: Attributes, sent: str | None, returned: str | None) -> None:
    flat_in, flat_out = pop_flattened(attributes, "llm.input_messages.", "llm.output_messages.")
    inputs, outputs = flat_in.messages, flat_out.messages
    if draft.kind == "llm":
        inputs = _fullest(flat_in, sent, "user")
        outputs = _fullest(flat_out, returned, "assistant")
    draft.inputs = inputs or draft.inputs
    draft.outputs = outputs or draft.outputs


def _fullest(flat: Flattened, value: str | None, role: str) -> list[Message]:
    """Flattened messages if they are all there, else the request or response itself if that says more."""
    if (flat.messages and flat.whole) or value is None:
        return flat.messages
    said = read_messages(value, role)
    if flat.messages and all(message["role"] == role for message in said):
        return (
            flat.messages
        )  # of texts that name no roles none is a message: Agno writes the repr of its objects
    return said if len(said) >= len(flat.messages) else flat.messages


def _call(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    model = pop_text(attributes, "llm.model_name", "embedding.model_name")
    if model is None:
        model = _model_of(attributes)
    draft.model = model or draft.model
    system = pop_text(attributes, "llm.provider", "llm.system")
    draft.provider = system or draft.provider or client_of(raw.scope)
    take = attributes.pop
    prompt = as_int(take(_TOKENS + "prompt", None))
    if prompt is not None:
        draft.prompt_tokens = prompt
        draft.cached_tokens = as_int(take(_TOKENS + "prompt_details.cache_read", None))
        draft.cache_write_tokens = as_int(take(_TOKENS + "prompt_details.cache_write", None))
    completion = as_int(take(_TOKENS + "completion", None))
    if completion is not None:
        draft.completion_tokens = completion
        draft.reasoning_tokens = as_int(take(_TOKENS + "completion_details.reasoning", None))
    total = as_int(take(_TOKENS + "total", None))
    draft.total_tokens = draft.total_tokens if total is None else total
    _cost(draft, attributes)
    for event in raw.events:
        if event.name == "First Token Stream Event":
            draft.is_streaming = True
            draft.ttft_ms = (event.time_ns - raw.start_ns) / 1e6
            break


def _model_of(attributes: Attributes) -> str | None:
    """A failed call has no model name; its parameters have."""
    for key in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        parameters = loads_container(attributes.get(key))
        if isinstance(parameters, dict) and isinstance(model := parameters.get("model"), str):
            return model or None
    return None


def _cost(draft: Draft, attributes: Attributes) -> None:
    parts = [as_float(attributes.pop(f"llm.cost.{part}", None)) for part in ("prompt", "completion")]
    total = as_float(attributes.pop("llm.cost.total", None))
    if total is None and None not in parts:
        total = sum(part for part in parts if part is not None)
    draft.cost_usd = draft.cost_usd if total is None else total


def _texts(draft: Draft, attributes: Attributes) -> None:
    """What was embedded, or what was found, one text a line; scores and ids stay in the attributes."""
    if draft.kind == "embedding":
        texts = _numbered(attributes, "embedding.embeddings.", ".embedding.text")
        texts = texts or ([text] if (text := pop_text(attributes, "embedding.text")) else [])
        draft.input = "\n".join(texts) or draft.input
        draft.output = None  # the vectors
    else:
        found = _numbered(attributes, "retrieval.documents.", ".document.content")
        found = found or _numbered(attributes, "reranker.output_documents.", ".document.content")
        draft.output = draft.output or "\n".join(found) or None


def _numbered(attributes: Attributes, prefix: str, suffix: str) -> list[str]:
    keys = [key for key in attributes if key.startswith(prefix) and key.endswith(suffix)]
    keys = [key for key in keys if key[len(prefix) : -len(suffix)].isdigit()]
    keys.sort(key=lambda key: int(key[len(prefix) : -len(suffix)]))
    return [str(attributes.pop(key)) for key in keys]
