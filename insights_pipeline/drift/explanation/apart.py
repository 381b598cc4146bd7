"""The change of an item taken apart by the slices of its intent's traffic, as an explanation tells it. JSON-ready."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from insights_pipeline.drift.constants import DOWN, MODEL, TOOL, TOOLS, UP
from insights_pipeline.drift.explanation import carriers
from insights_pipeline.drift.explanation.carriers import Carrier, Change, Daily
from insights_pipeline.drift.explanation.decomposition import MIN_TRACES, Cells, take_all_apart
from insights_pipeline.drift.explanation.explain import significant
from insights_pipeline.drift.explanation.slice_days import INTENT, Sliced
from insights_pipeline.drift.explanation.texts import bounded
from insights_pipeline.drift.life.item import Item
from insights_pipeline.drift.series.slices import NONE
from insights_pipeline.drift.statistics.arrays import Mask

_LEAST_KEPT = 0.9  # of the traces of either period must be known by their slices
_TURNED_OVER = 0.8  # of the traffic has values that are new: from there on now is compared with before
_NUMBERS = ("share_before", "share_now", "before", "now", "own", "mix", "part")


@dataclass(frozen=True, slots=True)
class Apart:
    """The change of all traces between the days `before` and `now` [loaded days], and every value's part of it."""

    change: Change
    before: Mask
    now: Mask
    whole: Daily
    dimensions: Mapping[str, Daily]
    parts: Mapping[str, Sequence[Carrier]]

    @property
    def total(self) -> dict[str, object]:
        unit = self.change.unit
        return {
            "before": self.change.before,
            "now": self.change.now,
            "change": self.change.change,
            "unit": unit,
        }

    def best(self, direction: str, coincident: Collection[tuple[str, str]]) -> list[Carrier]:
        """What carries the change, one value per dimension; nothing if the traces moved the other way.

        `coincident` are the (dimension, value) that first appeared when it began.
        """
        against = {UP: self.change.change <= 0, DOWN: self.change.change >= 0}.get(direction, False)
        if against:
            return []
        told = {dimension: _tellable(parts, coincident) for dimension, parts in self.parts.items()}
        return carriers.standing_out(told)


def _tellable(parts: Sequence[Carrier], coincident: Collection[tuple[str, str]]) -> Sequence[Carrier]:
    """The values that can be told from the passing of time.

    Where most traffic has values that it did not have before, before and after differ by everything that happened
    since. A model is believed to matter if it came when the change began; a release or a
    prompt is coincident, no more.
    """
    came = [one for one in parts if one.n_before < MIN_TRACES]
    if sum(one.share_now for one in came) < _TURNED_OVER:
        return parts
    return [one for one in came if one.dimension == MODEL and (MODEL, bounded(one.value)) in coincident]


def take_item_apart(item: Item, metric: Sliced) -> Apart | None:
    """By the days that the item says it compared; None where it says none or a period has no traces."""
    days = item.explanation.get("compared")
    if not isinstance(days, Mapping):
        return None
    before, now = metric.mask(days["before"]), metric.mask(days["now"])
    whole, dimensions = metric.whole, dict(_known(metric, item.metric, before, now))
    if not (before.any() and now.any()):
        return None
    if item.metric == TOOLS:
        gained = carriers.gained_tools(whole, before, now)
        whole = whole.towards(gained)
        dimensions = {dimension: slices.towards(gained) for dimension, slices in dimensions.items()}
    change = carriers.change_of(whole, before, now, carriers.unit_of(item.metric))
    if change is None:
        return None
    parts = {
        dimension: carriers.dimension_parts(dimension, slices, whole, before, now, change)
        for dimension, slices in dimensions.items()
    }
    return Apart(change, before, now, whole, dimensions, parts)


def _known(metric: Sliced, name: str, before: Mask, now: Mask) -> list[tuple[str, Daily]]:
    """The dimensions with more than one value on the days compared, if enough of the traffic is known by slices."""
    kept, found = metric.kept, []
    for dimension, slices in metric.dimensions.items():
        # whose days are those of the whole, or known from the slices of other dimensions
        has = np.ones_like(kept) if dimension == INTENT else kept
        enough = all(
            metric.whole.n[0, days & has].sum() >= _LEAST_KEPT * metric.whole.n[0, days].sum()
            for days in (before, now)
        )
        seen = slices.n[:, before | now].sum(axis=1) > 0
        if (
            enough
            and carriers.applies(dimension, name)
            and (seen.sum() > 1 or (dimension == TOOL and seen.any()))
        ):
            found.append((dimension, slices.only(seen)))
    return found


def carrier_row(carrier: Carrier) -> dict[str, object]:
    """A carrier as an item stores it."""
    row: dict[str, object] = {
        "dimension": carrier.dimension,
        "value": bounded(carrier.value),
        "n": carrier.n,
    }
    return row | {name: significant(getattr(carrier, name)) for name in _NUMBERS}


def tables(apart: Apart) -> dict[str, list[dict[str, Any]]]:
    """Every value of every dimension, the largest part first; own + mix of a dimension's values add up to the change.

    But those of "tool", which overlap: each is told against the traces without it.
    """
    return {dimension: _table(apart, dimension) for dimension in sorted(apart.parts)}


def _table(apart: Apart, dimension: str) -> list[dict[str, Any]]:
    parts = list(apart.parts[dimension])
    if dimension != TOOL and apart.change.unit != carriers.PER_DAY:
        parts = _together(apart, dimension, parts)
    ranked = sorted(parts, key=lambda one: (-abs(round(one.own + one.mix, 9)), one.value))
    return [
        {"value": bounded(one.value), "n_before": one.n_before, "n": one.n}
        | {name: _finite(getattr(one, name)) for name in (*_NUMBERS, "z")}
        for one in ranked
    ]


def _together(apart: Apart, dimension: str, parts: Sequence[Carrier]) -> list[Carrier]:
    slices = apart.dimensions[dimension]
    before, now = (_cells(slices, days) for days in (apart.before, apart.now))
    whole0, whole1 = (_cells(apart.whole, days) for days in (apart.before, apart.now))
    own, mix = take_all_apart(before, now, whole0, whole1)
    change = apart.change.change
    out = [
        replace(
            one,
            own=float(own[row]),
            mix=float(mix[row]),
            part=float((own[row] + mix[row]) / change) if change else 0.0,
        )
        for row, one in enumerate(parts)
    ]
    rest = change - float((own + mix).sum())
    if abs(rest) > 1e-9 and out:  # traces that no value has, as those before there were intents
        empty = replace(out[0], value=NONE, n=0, n_before=0, share_before=0.0, share_now=0.0, before=math.nan)
        out.append(
            replace(empty, now=math.nan, own=0.0, mix=rest, part=rest / change if change else 0.0, z=0.0)
        )
    return out


def _cells(daily: Daily, days: Mask) -> Cells:
    return Cells(*(part[:, days].sum(axis=1) for part in (daily.n, daily.total, daily.squares)))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
