"""Cost of calls, offline: rates of each distinct (provider, model, day) once, then multiplied in arrays.

Rates come from genai-prices (dated prices), else from the price map that litellm brings along (its JSON file:
litellm itself is never imported). Unknown is NULL, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from insights_pipeline.lake.days import NS_PER_DAY, day_of_ns
from insights_pipeline.traces.text import as_float

# Names under which instrumentations know a provider that genai-prices calls otherwise.
_ALIASES = {
    "azure_openai": "azure", "az.ai.openai": "azure", "az.ai.inference": "azure", "azure.ai.inference": "azure",
    "google_genai": "google", "google_vertexai": "google", "vertexai": "google", "vertex_ai": "google",
    "gemini": "google", "amazon_bedrock": "aws", "bedrock": "aws", "bedrock_converse": "aws",
    "mistralai": "mistral", "mistral_ai": "mistral", "xai": "x-ai",
}  # fmt: skip
MAX_COST_USD = 1e9  # of one call: more is a fault of the sender
_PRICED_MODES = frozenset({"chat", "completion", "embedding", "responses"})
_MAP = "model_prices_and_context_window_backup.json"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """USD per token of a call whose prompt is longer than `above` tokens; the whole call is billed at it."""

    above: int
    prompt: float
    completion: float
    cached: float
    cache_write: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of a model on a day: bands by prompt length, ascending, and where they come from."""

    bands: tuple[Band, ...]
    source: str


def price(
    *,
    provider: Sequence[str | None],
    model: Sequence[str | None],
    start_ns: Sequence[int],
    kind: Sequence[str],
    tokens: Sequence[Sequence[int | None]],
    shipped: Sequence[float | None],
) -> tuple[list[float | None], list[str | None]]:
    """Cost in USD and its source per span. `tokens` are the prompt, completion, cached and cache-write columns.

    A cost the span shipped is taken as it is, if it is from 0 to MAX_COST_USD. Else both counts must be known (an
    embedding has no completion), and the model's price; otherwise the cost is NULL, also of a failed call, which
    may or may not be billed.
    """
    costs: list[float | None] = [
        cost if cost is not None and 0 <= cost <= MAX_COST_USD else None for cost in shipped
    ]
    sources: list[str | None] = [None if cost is None else "span" for cost in costs]
    groups: dict[tuple[str | None, str, int], list[int]] = {}
    prompts, completions = tokens[0], tokens[1]
    for row, name in enumerate(model):
        if name is None or costs[row] is not None or prompts[row] is None:
            continue
        if completions[row] is not None or kind[row] == "embedding":
            groups.setdefault((provider[row], name, start_ns[row] // NS_PER_DAY), []).append(row)
    for (whose, name, day), rows in groups.items():
        found = rates(whose, name, day_of_ns(day * NS_PER_DAY))
        if found is None:
            continue
        counts = np.array([[column[row] or 0 for row in rows] for column in tokens], dtype=np.float64)
        for row, cost in zip(rows, _multiply(found, counts).tolist(), strict=True):
            costs[row] = cost
            sources[row] = found.source
    return costs, sources


def _multiply(found: Rates, counts: Floats) -> Floats:
    prompt, completion, cached, written = counts
    bands = found.bands
    band = np.searchsorted(np.array([band.above for band in bands]), prompt, side="left") - 1
    band = np.maximum(band, 0)
    per = np.array([[b.prompt, b.completion, b.cached, b.cache_write] for b in bands])[band].T
    plain = np.maximum(prompt - cached - written, 0)
    total: Floats = plain * per[0] + completion * per[1] + cached * per[2] + written * per[3]
    return total


@lru_cache(maxsize=65_536)
def rates(provider: str | None, model: str, day: date) -> Rates | None:
    """Rates of a model on a day, or None when no list knows them.

    Fine-tuned models (`ft:…:org::id`) match only under their full name: what an owner pays for one is not known
    from the name of its base. Prices that change within the day are those of noon, UTC.
    """
    return _genai(provider, model, day) or _litellm(provider, model)


def _genai(provider: str | None, model: str, day: date) -> Rates | None:
    from genai_prices import Usage, calc_price

    noon = datetime.combine(day, time(12), tzinfo=UTC)
    named = _ALIASES.get(provider, provider) if provider else None
    try:
        found = calc_price(
            Usage(input_tokens=1, output_tokens=1), model, provider_id=named, genai_request_timestamp=noon
        )
    except LookupError:
        return None
    listed = found.model_price
    if listed.input_mtok is None:
        return None
    kinds = (listed.input_mtok, listed.output_mtok, listed.cache_read_mtok, listed.cache_write_mtok)
    starts = sorted({0, *(tier.start for kind in kinds for tier in getattr(kind, "tiers", ()))})
    bands = []
    for start in starts:
        prompt, completion, cached, written = (_at(kind, start) for kind in kinds)
        prompt = prompt or 0.0
        bands.append(
            Band(
                start,
                prompt,
                completion or 0.0,
                prompt if cached is None else cached,
                prompt if written is None else written,
            )
        )
    return _trusted(bands, f"genai-prices {_version('genai-prices')}")


def _at(listed: Any, start: int) -> float | None:
    """USD per token of a price of genai-prices (a decimal, or tiers that begin above a prompt length)."""
    if listed is None:
        return None
    per_million = getattr(listed, "base", listed)
    for tier in getattr(listed, "tiers", ()):
        if tier.start <= start:
            per_million = tier.price if start else per_million
    return float(per_million) / 1e6


def _litellm(provider: str | None, model: str) -> Rates | None:
    names = [model] if provider is None else [f"{provider}/{model}", model]
    for name in names:
        entry = _litellm_map().get(name)
        if not isinstance(entry, dict) or entry.get("mode") not in _PRICED_MODES:
            continue
        listed = str(entry.get("litellm_provider") or "")
        if provider is not None and _family(provider) != _family(listed):
            continue
        prompt = as_float(entry.get("input_cost_per_token"))
        completion = as_float(entry.get("output_cost_per_token"))
        if prompt is None or (completion is None and entry["mode"] != "embedding"):
            continue
        cached = as_float(entry.get("cache_read_input_token_cost"))
        written = as_float(entry.get("cache_creation_input_token_cost"))
        band = Band(
            0,
            prompt,
            completion or 0.0,
            prompt if cached is None else cached,
            prompt if written is None else written,
        )
        return _trusted([band], f"litellm {_version('litellm')}")
    return None


def _trusted(bands: list[Band], source: str) -> Rates | None:
    """Rates of zero mean that a list knows the name and not the price."""
    known = any(band.prompt or band.completion for band in bands)
    return Rates(tuple(bands), source) if known else None


def _family(provider: str) -> str:
    """Providers of the two vocabularies as one: `azure.ai.openai` and `azure_ai` are both azure."""
    short = _ALIASES.get(provider, provider).replace("-", "_")
    for family in (
        "azure",
        "aws",
        "bedrock",
        "gcp",
        "google",
        "vertex",
        "gemini",
        "mistral",
        "cohere",
        "x_ai",
        "xai",
    ):
        if short.startswith(family):
            return {
                "bedrock": "aws",
                "gcp": "google",
                "vertex": "google",
                "gemini": "google",
                "x_ai": "xai",
            }.get(family, family)
    return short.partition("_")[0].partition(".")[0]


@cache
def _litellm_map() -> dict[str, Any]:
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).with_name(_MAP)
    found = orjson.loads(path.read_bytes()) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


@cache
def _version(package: str) -> str:
    return version(package)
