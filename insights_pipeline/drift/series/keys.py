"""What a series is of: an intent (or "all", "unknown"), whole or one slice of it, as one string."""

from __future__ import annotations

from insights_pipeline.drift.constants import ALL

BETWEEN = "\x1f"  # in no name: they are kept without control characters


def series_key(intent_id: str, slice_: str | None = None) -> str:
    """The key of an intent's series; of a slice of it, written "tenant=acme"."""
    return intent_id if slice_ is None else f"{intent_id}{BETWEEN}{slice_}"


def intent_of(series: str) -> str:
    return series.split(BETWEEN, 1)[0]


def slice_of(series: str) -> str | None:
    """ "tenant=acme", or None for the whole."""
    _, _, slice_ = series.partition(BETWEEN)
    return slice_ or None


def adds_up_others(series: str) -> bool:
    """Whether the series repeats traffic that other series have already: all traffic, and every slice."""
    return intent_of(series) == ALL or slice_of(series) is not None
