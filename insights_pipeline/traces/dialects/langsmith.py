"""LangSmith's OpenTelemetry mode: `langsmith.*`, with whole inputs and outputs in `gen_ai.prompt` and `.completion`."""

from __future__ import annotations

import re

from insights_pipeline.traces.draft import Draft, identify, pop_text
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_int, loads_container

NAME = "langsmith"
_METADATA = "langsmith.metadata."
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)
# `gen_ai.operation.name` is not to be trusted here: it calls a retriever `embeddings`.
_KINDS = {
    "llm": "llm", "chain": "chain", "tool": "tool", "retriever": "retriever", "embedding": "embedding",
    "prompt": "other", "parser": "other",
}  # fmt: skip


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return "langsmith" in roots


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    draft.kind = _KINDS.get(pop_text(attributes, "langsmith.span.kind") or "", draft.kind)
    sent = pop_text(attributes, "gen_ai.prompt")
    returned = pop_text(attributes, "gen_ai.completion")
    draft.input, draft.output = sent or draft.input, _unwrapped(returned) or draft.output
    if draft.kind == "llm":
        draft.inputs = read_messages(sent, "user") or draft.inputs
        draft.outputs = read_messages(returned, "assistant") or draft.outputs
    elif draft.kind == "tool":
        draft.tool_name = draft.tool_name or raw.name
    _usage(draft, attributes)
    draft.app = pop_text(attributes, "langsmith.trace.session_name") or draft.app
    draft.environment = (
        pop_text(attributes, _METADATA + "environment") or draft.environment
    )  # it has no other place
    draft.tags = _tags(attributes.pop("langsmith.span.tags", None)) or draft.tags
    draft.release = pop_text(attributes, _METADATA + "revision_id") or draft.release
    if isinstance(streaming := attributes.pop("langsmith.request.streaming", None), bool):
        draft.is_streaming = streaming
    _errors(raw)
    if "langsmith.reference_example_id" in attributes or _METADATA + "reference_example_id" in attributes:
        draft.is_evaluation = True
    identify(draft, attributes, _METADATA)
    for key in [key for key in attributes if key.startswith(_METADATA + "LANGSMITH_")]:
        del attributes[key]


def _tags(tags: object) -> list[str]:
    """Tags as a list, or comma-joined as the OpenTelemetry mode writes them."""
    found = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else []
    return [tag.strip() for tag in found if isinstance(tag, str) and tag.strip()]


def _errors(raw: RawSpan) -> None:
    """An error is `RateLimitError('…')` and its traceback in one text, under the type "Exception"."""
    for event in raw.events:
        text = event.attributes.get("exception.message") if event.name == "exception" else None
        if not isinstance(text, str):
            continue
        said, mark, traceback = text.partition(_TRACEBACK)
        if mark:
            event.attributes["exception.stacktrace"] = mark + traceback
        said = said.strip()
        raised = _RAISED.fullmatch(said)
        if raised is not None:
            event.attributes["exception.type"] = raised[1]
            said = _unquoted(raised[2])
        event.attributes["exception.message"] = said


def _unquoted(arguments: str) -> str:
    """The one text that an exception was made with; several arguments stay as they are."""
    quote = arguments[:1]
    if quote not in ("'", '"') or len(arguments) < 2 or arguments[-1] != quote:
        return arguments
    inner = arguments[1:-1].replace("\\" + quote, "")
    return arguments if quote in inner else arguments[1:-1].replace("\\" + quote, quote).replace("\\n", "\n")


def _unwrapped(returned: str | None) -> str | None:
    """An output that is no object was wrapped as `{"output": …}`; an error gives `{"output": null}`."""
    if returned is None or not returned.startswith('{"output"'):
        return returned
    parsed = loads_container(returned)
    if not isinstance(parsed, dict) or set(parsed) != {"output"}:
        return returned
    inner = parsed["output"]
    return None if inner is None else inner if isinstance(inner, str) else returned


def _usage(draft: Draft, attributes: Attributes) -> None:
    """Details of the usage: the `gen_ai.usage.*_details` beside them are Python, not JSON."""
    usage = loads_container(attributes.pop(_METADATA + "usage_metadata", None))
    for key in ("gen_ai.usage.input_token_details", "gen_ai.usage.output_token_details"):
        attributes.pop(key, None)
    if not isinstance(usage, dict):
        return
    read, written = usage.get("input_token_details"), usage.get("output_token_details")
    if isinstance(read, dict):
        draft.cached_tokens = as_int(read.get("cache_read"))
        draft.cache_write_tokens = as_int(read.get("cache_creation"))
    if isinstance(written, dict):
        draft.reasoning_tokens = as_int(written.get("reasoning"))
