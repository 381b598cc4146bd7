"""Tokens and cost of a Langfuse observation, out of all the fields that its versions keep them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from insights_pipeline.traces.exports.values import field, object_of
from insights_pipeline.traces.text import as_float, as_int

# The older fields, under the names that `usage_details` uses today.
_LEGACY = {
    "input": ("promptTokens", "inputUsage"),
    "output": ("completionTokens", "outputUsage"),
    "total": ("totalTokens", "totalUsage"),
}
_COSTS = {
    "input": ("inputCost", "calculatedInputCost"),
    "output": ("outputCost", "calculatedOutputCost"),
    "total": ("totalCost", "calculatedTotalCost"),
}
_UNITS = (None, "TOKENS")  # others are characters, seconds, images or requests


def usage_details(fields: dict[str, Any], *, is_error: bool) -> dict[str, Any] | None:
    """The tokens of a call; None where nobody counted: an errored call, and an older field, say so with zeros."""
    details = object_of(field(fields, "usageDetails"))
    counted = any(as_int(count) for count in details.values())
    if (
        details
        and (counted or not is_error)
        and (counted or any(isinstance(item, dict) for item in details.values()))
    ):
        return details
    usage = object_of(field(fields, "usage"))
    if field(usage, "unit") not in _UNITS or field(fields, "unit") not in _UNITS:
        return None
    given = {name: count for name, count in usage.items() if "cost" not in name.lower() and name != "unit"}
    found = {**given, **_first_of(usage, _LEGACY), **_first_of(fields, _LEGACY)}
    return found if any(as_int(count) for count in found.values()) else None


def cost_details(fields: dict[str, Any]) -> dict[str, float] | None:
    """The cost in USD that was sent, or that Langfuse computed; all zeros mean that it knows no price."""
    for holder in ("costDetails", "providedCostDetails"):
        costs = {
            name: cost
            for name, part in object_of(field(fields, holder)).items()
            if (cost := as_float(part)) is not None
        }
        if any(costs.values()):
            return costs
    found = {**_first_of(object_of(field(fields, "usage")), _COSTS), **_first_of(fields, _COSTS)}
    costs = {name: cost for name, part in found.items() if (cost := as_float(part)) is not None}
    return costs if any(costs.values()) else None


def _first_of(fields: dict[str, Any], names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    found = {}
    for name, spellings in names.items():
        given = next((value for key in spellings if (value := field(fields, key)) is not None), None)
        if given is not None and as_float(given):
            found[name] = given
    return found
