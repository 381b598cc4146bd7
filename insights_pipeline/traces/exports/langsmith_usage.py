"""Model, tokens and cost of a LangSmith run: told by the server, by LangChain, or left in the provider's response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.exports.values import object_of, text_of
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_float, as_int

_PROMPT = ("input_tokens", "prompt_tokens")
_COMPLETION = ("output_tokens", "completion_tokens")
_PROMPT_DETAILS = (
    "input_token_details",
    "prompt_token_details",
    "prompt_tokens_details",
    "input_tokens_details",
)
_COMPLETION_DETAILS = (
    "output_token_details",
    "completion_token_details",
    "completion_tokens_details",
    "output_tokens_details",
)
_CACHED = ("cache_read", "cached_tokens")
_CACHE_WRITE = ("cache_creation",)
_REASONING = ("reasoning", "reasoning_tokens")


def usage_attributes(run: dict[str, Any], outputs: dict[str, Any], metadata: dict[str, Any]) -> Attributes:
    """`gen_ai.usage.*` from the first source that counts anything; prompt tokens include the cached ones.

    The server writes zeros where it knows nothing.
    """
    for usage in _usages(run, outputs, metadata):
        prompt, completion = _count(usage, _PROMPT), _count(usage, _COMPLETION)
        total = as_int(usage.get("total_tokens"))
        if not (prompt or completion or total):
            continue
        read = _detail(usage, _PROMPT_DETAILS, _CACHED)
        written = _detail(usage, _PROMPT_DETAILS, _CACHE_WRITE)
        if (
            "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage
        ):  # Anthropic counts them apart
            read = as_int(usage.get("cache_read_input_tokens"))
            written = as_int(usage.get("cache_creation_input_tokens"))
            prompt = None if prompt is None else prompt + (read or 0) + (written or 0)
        found = {
            "gen_ai.usage.input_tokens": prompt,
            "gen_ai.usage.output_tokens": completion,
            "gen_ai.usage.total_tokens": total,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_creation.input_tokens": written,
            "gen_ai.usage.reasoning.output_tokens": _detail(usage, _COMPLETION_DETAILS, _REASONING),
        }
        return {key: count for key, count in found.items() if count is not None}
    return {}


def cost_of(run: dict[str, Any]) -> float | None:
    """The shipped cost in USD; zero is what a server says that knows no price."""
    total = as_float(run.get("total_cost"))
    if total is None:
        parts = [as_float(run.get(key)) for key in ("prompt_cost", "completion_cost")]
        total = sum(part for part in parts if part is not None)
    return total or None


def models_of(
    inputs: dict[str, Any], outputs: dict[str, Any], extra: dict[str, Any]
) -> tuple[str | None, str | None]:
    """The model as it was asked for, and as the provider says that it answered."""
    metadata, parameters = object_of(extra.get("metadata")), object_of(extra.get("invocation_params"))
    message = _first_message(outputs)
    response = object_of(message.get("response_metadata"))
    asked = _text(
        metadata.get("ls_model_name"),
        parameters.get("model"),
        parameters.get("model_name"),
        inputs.get("model"),
    )
    answered = _text(
        outputs.get("model"),
        response.get("model_name"),
        response.get("model"),
        object_of(outputs.get("llm_output")).get("model_name"),
    )
    return asked, answered


def _usages(
    run: dict[str, Any], outputs: dict[str, Any], metadata: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    yield {
        **_details_of(outputs, metadata),
        **{key: value for key, value in run.items() if "token" in key and value},
    }
    message, response = _first_message(outputs), object_of(outputs.get("llm_output"))
    for holder, key in (
        (outputs, "usage_metadata"),
        (metadata, "usage_metadata"),
        (message, "usage_metadata"),
        (outputs, "usage"),
        (response, "token_usage"),
        (response, "usage"),
        (outputs, "token_usage"),
    ):
        if usage := object_of(holder.get(key)):
            yield usage


def _details_of(outputs: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """The server's own counts come without details in most exports; those of the call are beside them."""
    usage = object_of(outputs.get("usage_metadata")) or object_of(metadata.get("usage_metadata"))
    return {key: value for key, value in usage.items() if key in (*_PROMPT_DETAILS, *_COMPLETION_DETAILS)}


def _first_message(outputs: dict[str, Any]) -> dict[str, Any]:
    """The message in what a LangChain model returns: `{"generations": [[{"message": {"kwargs": {…}}}]]}`."""
    found: Any = outputs.get("generations")
    for _ in range(2):
        found = found[0] if isinstance(found, list) and found else found
    message = object_of(object_of(found).get("message"))
    return object_of(message.get("kwargs")) or message


def _count(usage: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((count for key in keys if (count := as_int(usage.get(key))) is not None), None)


def _detail(usage: dict[str, Any], holders: tuple[str, ...], keys: tuple[str, ...]) -> int | None:
    counts = (_count(object_of(usage.get(holder)), keys) for holder in holders)
    return next((count for count in counts if count is not None), None)


def _text(*values: object) -> str | None:
    return next((text for value in values if (text := text_of(value))), None)
