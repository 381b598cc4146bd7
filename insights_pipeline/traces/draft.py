"""The canonical span while the dialects fill it in, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from insights_pipeline.traces.key_sets import by_keys
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_text

# Instrumentations that are named after a provider's own client.
CLIENTS = frozenset({
    "openai", "anthropic", "cohere", "groq", "mistralai", "together", "google_genai", "google_generativeai",
    "vertexai", "bedrock", "deepseek", "cerebras", "fireworks", "ollama", "replicate", "writer",
})  # fmt: skip


@dataclass(slots=True)
class Draft:
    """Fields of a span as the dialects find them; not frozen, since several dialects may fill in one span.

    `input` and `output` are what was sent and returned as text, `inputs` and `outputs` are messages.
    `cache_write_tokens` matters for the price only.
    """

    kind: str | None = None
    service: str | None = None
    environment: str | None = None
    app: str | None = None
    release: str | None = None
    model: str | None = None
    provider: str | None = None
    tool_name: str | None = None
    input: str | None = None
    output: str | None = None
    inputs: list[Message] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: float | None = None
    is_error: bool = False
    error_type: str | None = None
    error_message: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    ttft_ms: float | None = None
    is_streaming: bool | None = None
    is_evaluation: bool = False
    feedback: dict[str, float] | None = None
    tags: list[str] | None = None


@lru_cache(maxsize=1_024)
def client_of(scope: str) -> str | None:
    """The provider whose own client a scope instruments: the provider attribute is among the first to be dropped."""
    return next((part for part in scope.split(".") if part in CLIENTS), None)


def pop_text(attributes: Attributes, *keys: str) -> str | None:
    """Take all the keys out and give the first that is there, as text."""
    found = None
    for key in keys:
        if key in attributes:  # most are not, and this is the cheapest way to tell
            value = attributes.pop(key)
            if found is None and value is not None:
                found = value if type(value) is str else as_text(value)
    return found


def pop_first(attributes: Attributes, *keys: str) -> Any:
    """Take all the keys out and give the first that is there, as it is."""
    found = None
    for key in keys:
        if key in attributes:
            value = attributes.pop(key)
            if found is None:
                found = value
    return found


def identify(draft: Draft, metadata: Attributes, prefix: str = "") -> None:
    """Session, user and tenant out of free-form metadata, under any of their usual names; what was used is taken out.

    `metadata` may be the attributes themselves: then `prefix` tells which keys are free-form.
    """
    named = _identities((prefix, *metadata))
    if not named:
        return
    best: dict[str, tuple[int, str, str]] = {}
    for key, what, rank in named:
        value = metadata[key]
        if isinstance(value, (str, int)) and value != "" and (what not in best or rank < best[what][0]):
            best[what] = (rank, key, _unquoted(value))
    for what, (_, key, text) in best.items():
        if text:
            setattr(draft, what, text)
            del metadata[key]


@by_keys
def _identities(keys: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    """Those of the keys after the first, which is their prefix, that name an identity: which, and how well."""
    prefix, *others = keys
    return tuple(
        (key, *role)
        for key in others
        if key.startswith(prefix) and (role := _identity(key[len(prefix) :])) is not None
    )


class Sources:
    """Fields of a draft, and the attributes that say them: of each field the better first, and how it is read.

    A field is set if one of its attributes is there, to what the reader makes of the best one; all of them are taken
    out.
    """

    def __init__(self, **fields: tuple[Callable[[Any], Any], tuple[str, ...]]) -> None:
        @by_keys
        def there(keys: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], Any], str, list[str]], ...]:
            found = []
            for field_, (read, names) in fields.items():
                present = [name for name in names if name in keys]
                if present:
                    found.append((field_, read, present[0], present[1:]))
            return tuple(found)

        self._there = there

    def fill(self, draft: Draft, attributes: Attributes) -> None:
        for name, read, best, others in self._there(tuple(attributes)):
            setattr(draft, name, read(attributes.pop(best)))
            for key in others:
                del attributes[key]


def _unquoted(value: str | int) -> str:
    text = str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text  # Langfuse 5 quotes metadata


_IDENTITIES = {
    "sessionid": ("session_id", 0), "session": ("session_id", 1), "threadid": ("session_id", 2),
    "conversationid": ("session_id", 3), "chatid": ("session_id", 4), "thread": ("session_id", 5),
    "conversation": ("session_id", 6),
    "userid": ("user_id", 0), "enduserid": ("user_id", 1), "user": ("user_id", 2), "customerid": ("user_id", 3),
    "tenantid": ("tenant_id", 0), "tenant": ("tenant_id", 1), "organizationid": ("tenant_id", 2),
    "organisationid": ("tenant_id", 2), "orgid": ("tenant_id", 3), "organization": ("tenant_id", 4),
    "organisation": ("tenant_id", 4), "org": ("tenant_id", 5), "accountid": ("tenant_id", 6),
    "workspaceid": ("tenant_id", 7),
}  # fmt: skip


def _identity(key: str) -> tuple[str, int] | None:
    """What a metadata key names, and how well: `sessionId`, `session_id` and `session.id` are one."""
    return _IDENTITIES.get(key.lower().replace("_", "").replace("-", "").replace(".", ""))
