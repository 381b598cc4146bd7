"""A span as sent to a row of the spans table: who speaks the dialect fills in, the shared rules finish."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from insights_pipeline.traces.cutting import attributes_json, messages_json
from insights_pipeline.traces.dialects import (
    imported,
    langfuse,
    langsmith,
    netra,
    openinference,
    openllmetry,
    otel_genai,
    vercel,
)
from insights_pipeline.traces.draft import Draft, Sources, pop_text
from insights_pipeline.traces.messages import first_text, last_text
from insights_pipeline.traces.prompt_versions import take_prompt
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import as_text, cut, dumps
from insights_pipeline.traces.unwrap import call_arguments, call_result, said, told
from insights_pipeline.traces.validate import parent_of

# The more specific a dialect, the later it fills in: what it says replaces what the one before it said. Langfuse is
# the last: it stores the spans of the others, and what it made of them is beside what they said.
DIALECTS = (otel_genai, imported, vercel, langsmith, openllmetry, openinference, netra, langfuse)
_SHARED = otel_genai.NAME  # many dialects build on it; it is named only where it stands alone
_Spoken: TypeAlias = tuple[tuple[Callable[[Draft, RawSpan, Attributes], None], ...], str]  # fills, source
_SPOKEN: dict[tuple[object, ...], _Spoken] = {}
_MAX_SPOKEN, _MAX_TELL_CHARS = 2_048, 8_192
_WITH_TOKENS = frozenset({"llm", "embedding"})
_NO_PROVIDER = frozenset({"langchain", "unknown", "none"})
_APIS = (".responses", ".chat", ".completion", ".messages", ".generative-ai", ".embedding")
_RESOURCE_NAMES = ("projects/", "publishers/", "models/")
_STREAM_EVENTS = (".chunk", "First Token Stream Event", "ai.stream.firstChunk", "ai.stream.finish")
_MAX_EVENTS = 20
_MAX_STACKTRACE = 4_000
_ERROR_NAME = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Timeout))\b\s*[:(]")
# `RateLimitError('…')` and then the traceback: what LangSmith says of an exception
_TRACEBACK = "\n\nTraceback (most recent call last):"
_REPRESENTED = re.compile(r"""([A-Za-z_]\w*)\((['"])(.*)\2\)""", re.DOTALL)
_QUALIFIED = re.compile(r"(?:[A-Za-z_]\w*\.)+([A-Z]\w*)")
_MAPPED_RESOURCE = frozenset(
    {
        "service.name", "service.version", "service.instance.id", "deployment.environment.name",
        "deployment.environment", "langfuse.environment", "langfuse.release", "openinference.project.name",
        "telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version", "app.name", "service.namespace",
    }
)  # fmt: skip


_SOURCES = Sources(
    environment=(as_text, ("deployment.environment.name", "deployment.environment")),
    session_id=(as_text, ("session.id",)),
    user_id=(as_text, ("user.id", "enduser.id")),
    tenant_id=(as_text, ("tenant.id", "organization.id")),
)


class Row(NamedTuple):
    """A row of the spans table under its column names (`date`, prices and arrival are added to the batch)."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_ns: int
    end_ns: int | None
    name: str | None
    kind: str
    service: str | None
    environment: str | None
    app: str | None
    release: str | None
    prompt: str | None
    model: str | None
    provider: str | None
    tool_name: str | None
    input_text: str | None
    output_text: str | None
    messages: bytes | None  # JSON stays in bytes: Arrow takes it so, without two conversions
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None  # for the price only, no column
    reasoning_tokens: int | None
    total_tokens: int | None
    cost_usd: float | None
    is_error: bool
    error_type: str | None
    error_message: str | None
    session_id: str | None
    user_id: str | None
    tenant_id: str | None
    ttft_ms: float | None
    is_streaming: bool | None
    is_evaluation: bool
    feedback: str | None
    tags: list[str] | None
    attributes: bytes | None
    source: str


def canonical(raw: RawSpan, *, max_field_chars: int) -> Row:
    """The row of a valid span. Takes what it maps out of `raw.attributes`; what is left becomes `attributes`."""
    attributes = raw.attributes
    fills, source = _spoken(raw)
    prompt = take_prompt(attributes)  # before a dialect takes all that begins with gen_ai.prompt
    draft = Draft()
    for fill in fills:
        fill(draft, raw, attributes)
    _shared(draft, raw, attributes)
    if draft.is_error or raw.status_code == 2 or raw.events or "error.type" in attributes:
        _error(draft, raw, attributes)
    kind = draft.kind or "other"
    messages = [*draft.inputs, *draft.outputs] if kind == "llm" else []
    sent, returned = _texts(draft, kind)
    _tokens(draft, kind)
    limit = max_field_chars
    return Row(
        raw.trace_id,
        raw.span_id,
        parent_of(raw),
        raw.start_ns,
        raw.end_ns or None,
        cut(raw.name, limit) or None,
        kind,
        draft.service,
        draft.environment,
        draft.app,
        draft.release,
        prompt,
        _model(draft.model),
        _provider(draft.provider),
        cut(draft.tool_name, limit) if kind == "tool" else None,
        cut(sent, limit) or None,
        cut(returned, limit) or None,
        messages_json(messages, limit=limit) if messages else None,
        draft.prompt_tokens,
        draft.completion_tokens,
        draft.cached_tokens,
        draft.cache_write_tokens,
        draft.reasoning_tokens,
        draft.total_tokens,
        draft.cost_usd,
        draft.is_error,
        draft.error_type,
        cut(draft.error_message, limit),
        draft.session_id,
        draft.user_id,
        draft.tenant_id,
        draft.ttft_ms if draft.is_streaming and draft.ttft_ms is not None and draft.ttft_ms >= 0 else None,
        draft.is_streaming,
        draft.is_evaluation,
        dumps(draft.feedback) if draft.feedback else None,
        draft.tags,
        attributes_json(left, limit=limit) if (left := _left(raw)) else None,
        source,
    )


def _spoken(raw: RawSpan) -> _Spoken:
    """The dialects a span is in. Spans of one SDK share few sets of keys, so what was found is looked up again.

    That is right because a dialect is told by the keys, the scope and `library.name`, and nothing else.
    """
    attributes = raw.attributes
    tell = (raw.scope, attributes.get("library.name"), *attributes)
    try:
        known = _SPOKEN.get(tell)
    except TypeError:  # a library whose name is a list
        return _find_spoken(raw)
    if known is None:
        known = _find_spoken(raw)
        if (
            sum(map(len, attributes)) + len(str(tell[:2])) < _MAX_TELL_CHARS
        ):  # hostile keys must not fill the memory
            if len(_SPOKEN) >= _MAX_SPOKEN:
                _SPOKEN.clear()
            _SPOKEN[tell] = known
    return known


def _find_spoken(raw: RawSpan) -> _Spoken:
    roots = {key.partition(".")[0] for key in raw.attributes}
    spoken = [dialect for dialect in DIALECTS if dialect.speaks(raw, roots)]
    names = [dialect.NAME for dialect in spoken if dialect.NAME != _SHARED or len(spoken) == 1]
    return tuple(dialect.fill for dialect in spoken), "+".join(reversed(names)) or "otlp"


def _shared(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    """What no dialect owns: OpenTelemetry's resource and its general attributes."""
    resource = raw.resource
    service = resource.get("service.name")
    if isinstance(service, str) and not service.startswith("unknown_service"):
        draft.service = service
    _SOURCES.fill(draft, attributes)
    draft.environment = draft.environment or _resource_text(
        resource, "deployment.environment.name", "deployment.environment", "langfuse.environment"
    )
    draft.release = draft.release or _resource_text(resource, "service.version", "langfuse.release")
    draft.app = draft.app or _resource_text(resource, "app.name", "service.namespace")


def _resource_text(resource: Attributes, *keys: str) -> str | None:
    for key in keys:
        if (value := resource.get(key)) is not None:
            return as_text(value)
    return None


def _error(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    """An error is status 2, an exception event, `error.type`, or what a dialect found; a dialect's words come last.

    The exception event is preferred to the status message, which some SDKs fill with a whole traceback.
    """
    error_type = pop_text(attributes, "error.type")
    exception = next((event.attributes for event in reversed(raw.events) if event.name == "exception"), None)
    if raw.status_code != 2 and exception is None and error_type is None and not draft.is_error:
        return
    draft.is_error = True
    message = raw.status_message or None
    if exception is not None:
        message = _resource_text(exception, "exception.message") or message
        named = _resource_text(exception, "exception.type")
        error_type = error_type or (named if named != "Exception" else None)
    message = message or draft.error_message
    error_type = error_type or draft.error_type
    if message is not None:
        named, draft.error_message = _named_and_said(message)
        error_type = error_type or named
    draft.error_type = _class_of(error_type) or ("Exception" if exception is not None else None)


def _named_and_said(message: str) -> tuple[str | None, str]:
    """The class that an error message names, and what it says without the class and a traceback around it."""
    before, found, _ = message.partition(_TRACEBACK)
    if found and (represented := _REPRESENTED.fullmatch(before)) is not None:
        return represented.group(1), represented.group(3)
    said = before if found and before else message
    named = _ERROR_NAME.match(said)
    return (named.group(1) if named else None), said


def _class_of(name: str | None) -> str | None:
    """`openai.RateLimitError` as `RateLimitError`: half of the SDKs leave the module out."""
    qualified = _QUALIFIED.fullmatch(name) if name else None
    return qualified.group(1) if qualified else name


def _texts(draft: Draft, kind: str) -> tuple[str | None, str | None]:
    """`input_text` and `output_text`: what was said and told where that can be recognised, else as it was sent."""
    sent, returned = draft.input, draft.output
    if kind == "llm":
        if draft.inputs or draft.outputs:
            return last_text(draft.inputs, "user"), first_text(draft.outputs, "assistant")
        return said(sent) or sent, told(returned) or returned
    if kind == "tool":
        return (call_arguments(sent) if sent else None), (call_result(returned) if returned else None)
    if kind == "embedding":
        if sent is None and draft.inputs:
            sent = "\n".join(str(message["content"]) for message in draft.inputs)
        return sent, None
    return (
        said(sent) or last_text(draft.inputs, "user") or sent,
        (returned if kind == "retriever" else told(returned))
        or first_text(draft.outputs, "assistant")
        or returned,
    )


def _tokens(draft: Draft, kind: str) -> None:
    """Counts on calls only: agents repeat the sum of theirs. `prompt_tokens` includes the cached ones."""
    if kind not in _WITH_TOKENS:
        draft.prompt_tokens = draft.completion_tokens = draft.cached_tokens = None
        draft.cache_write_tokens = draft.reasoning_tokens = draft.total_tokens = draft.cost_usd = None
        return
    prompt, completion = draft.prompt_tokens, draft.completion_tokens
    cached = (draft.cached_tokens or 0) + (draft.cache_write_tokens or 0)
    if prompt is not None and cached > prompt:  # sent as Anthropic counts: without the cached ones
        draft.prompt_tokens = prompt = prompt + cached
    counted = (prompt or 0) + (completion or 0)
    if prompt is not None or completion is not None:
        draft.total_tokens = max(draft.total_tokens or 0, counted)


def _model(name: str | None) -> str | None:
    """The model of Google's resource names: `projects/…/publishers/google/models/gemini-2.5-flash`."""
    if name is None or not name.startswith(_RESOURCE_NAMES):
        return name
    before, found, model = name.rpartition("models/")
    return model if found and model and before[-1:] in ("", "/") else name


def _provider(name: str | None) -> str | None:
    """In lower case, without the part of its API that the Vercel AI SDK adds: `openai.responses`."""
    lower = name.lower() if name else None
    if lower is None or lower in _NO_PROVIDER:
        return None
    return lower.rpartition(".")[0] if lower.endswith(_APIS) else lower


def _left(raw: RawSpan) -> Attributes:
    """What nothing mapped: attributes, events and resource."""
    left = raw.attributes
    if raw.events:
        _keep_events(raw)
    resource = {key: value for key, value in raw.resource.items() if key not in _MAPPED_RESOURCE}
    if resource:
        left["resource"] = resource
    return left


def _keep_events(raw: RawSpan) -> None:
    """The stack trace of the last exception, and other events; chunks of a stream say nothing."""
    events = []
    for event in raw.events:
        if event.name == "exception":
            if isinstance(trace := event.attributes.get("exception.stacktrace"), str):
                raw.attributes["exception.stacktrace"] = cut(trace, _MAX_STACKTRACE)
        elif not event.name.endswith(_STREAM_EVENTS) and event.name not in otel_genai.EVENTS:
            events.append({"name": event.name, **event.attributes})
    if events:
        raw.attributes["events"] = events[:_MAX_EVENTS]
