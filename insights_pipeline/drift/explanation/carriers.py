"""Which slice of the traffic carries a change: one value per dimension at most, or none when all changed alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import ERRORS, NUMERIC, TOOL, TOOLS, VOLUME
from insights_pipeline.drift.explanation.decomposition import (
    Cells,
    Parts,
    between_days,
    mix_z,
    own_z,
    take_apart,
)
from insights_pipeline.drift.statistics.arrays import Floats, Mask

LEAST_PART = 0.5
# The best of some dozens of slices, and few days: of 180 simulated changes that all slices share (seeds 0-29), 4 gives
# one a carrier.
LEAST_Z = 4.0
# The rest must have changed by less than half as much: where all traffic moved, its largest part is no carrier.
LEAST_LEAD = 0.5
_PAIR = 2.0  # traces of a slice and of the rest that a day needs to compare them

LOG_RATIO, RATE, VARIATION, SCORE, PER_DAY = "log_ratio", "rate", "variation", "score", "traces_per_day"


@dataclass(frozen=True, slots=True)
class Daily:
    """Daily sums of one metric over the values of a dimension: [values, days], `shares` [values, days, tools].

    `n` counts the traces whose value is known (numeric: above 0), `total` and `squares` are of what is compared.
    """

    values: tuple[str, ...]
    n: Floats
    total: Floats
    squares: Floats
    shares: Floats | None = None

    def only(self, rows: Mask) -> Daily:
        """Some of the values."""
        return Daily(
            tuple(value for value, keep in zip(self.values, rows, strict=True) if keep),
            self.n[rows],
            self.total[rows],
            self.squares[rows],
            None if self.shares is None else self.shares[rows],
        )

    def towards(self, gained: Mask) -> Daily:
        """Of a tool mix: the share of a trace's calls that goes to the tools that gained."""
        if self.shares is None:
            return self
        total = self.shares[:, :, gained].sum(axis=2)
        # a share lies between 0 and 1, so its square is at most itself
        return Daily(self.values, self.n, total, total)


@dataclass(frozen=True, slots=True)
class Change:
    """The change of all traces together, on the scale of the metric; `before` and `now` in its unit."""

    before: float
    now: float
    change: float
    unit: str


@dataclass(frozen=True, slots=True)
class Carrier:
    """A value of a dimension and its part of the change; `z` says how sure it is that it differs from the rest."""

    dimension: str
    value: str
    n_before: int
    n: int
    share_before: float
    share_now: float
    before: float  # in the unit of the metric, NaN without traces
    now: float
    own: float
    mix: float
    part: float
    z: float
    clear: bool

    @property
    def carries(self) -> bool:
        return self.clear and self.part >= LEAST_PART and abs(self.z) >= LEAST_Z


def unit_of(metric: str) -> str:
    if metric == ERRORS:
        return RATE
    if metric == TOOLS:
        return VARIATION
    if metric == VOLUME:
        return PER_DAY
    return LOG_RATIO if metric in NUMERIC or metric.endswith("_ms") else SCORE


def gained_tools(whole: Daily, before: Mask, now: Mask) -> Mask:
    """The tools [tools] whose share of the calls of all traces grew."""
    if whole.shares is None:
        raise ValueError("only a tool mix has tools")
    first, second = (
        whole.shares[0, days].sum(axis=0) / max(float(whole.n[0, days].sum()), 1.0) for days in (before, now)
    )
    return np.asarray(second > first)


def change_of(whole: Daily, before: Mask, now: Mask, unit: str) -> Change | None:
    """How far all traces moved; None where a period has none."""
    if not (whole.n[0, before].sum() > 0 and whole.n[0, now].sum() > 0):
        return None
    if unit == PER_DAY:
        first, second = (float(whole.n[0, days].sum() / days.sum()) for days in (before, now))
        return Change(first, second, second - first, unit)
    first, second = (float(_cells(whole, days).mean[0]) for days in (before, now))
    return Change(_shown(first, unit), _shown(second, unit), second - first, unit)


def dimension_parts(
    dimension: str, slices: Daily, whole: Daily, before: Mask, now: Mask, change: Change
) -> list[Carrier]:
    """Every value of a dimension against the rest, in the order of `slices`."""
    if change.unit == PER_DAY:
        return _volume_parts(dimension, slices, whole, before, now, change)
    slice0, slice1 = _cells(slices, before), _cells(slices, now)
    rest0, rest1 = _cells(whole, before).without(slice0), _cells(whole, now).without(slice1)
    parts = take_apart(slice0, slice1, rest0, rest1)
    rest = Cells(slices.n, slices.total, slices.squares)
    rest = Cells(whole.n, whole.total, whole.squares).without(rest)
    days = (slices.n >= _PAIR) & (rest.n >= _PAIR)
    y = np.where(days, slices.total / np.maximum(slices.n, 1) - rest.total / np.maximum(rest.n, 1), 0.0)
    within = [cell.variance[:, None] for cell in (slice0, rest0)]
    v = within[0] / np.maximum(slices.n, 1) + within[1] / np.maximum(rest.n, 1)
    tau2 = between_days(y, np.maximum(v, 1e-9), days & before)
    counts = ((days & before).sum(axis=1).astype(np.float64), (days & now).sum(axis=1).astype(np.float64))
    own = own_z(slice0, slice1, rest0, rest1, tau2, *counts)
    mix = mix_z(slice0, slice1, rest0, rest1, tau2, *counts, (int(before.sum()), int(now.sum())))
    by_mix = np.abs(parts.mix) > np.abs(parts.own)
    moved = parts.now - parts.before
    lead = np.abs(moved - (rest1.mean - rest0.mean)) >= LEAST_LEAD * np.abs(moved)
    z, clear = np.where(by_mix, mix, own), np.where(by_mix, True, lead)
    return _carriers(dimension, slices.values, slice0.n, slice1.n, parts, z, clear, change)


def _volume_parts(
    dimension: str, slices: Daily, whole: Daily, before: Mask, now: Mask, change: Change
) -> list[Carrier]:
    """Traces a day add up: a slice's part is what it grew by; it stands out where its share of the traffic moved."""
    first, second = slices.n[:, before].sum(axis=1), slices.n[:, now].sum(axis=1)
    others = np.maximum(whole.n - slices.n, 0.0)
    rest0, rest1 = others[:, before].sum(axis=1), others[:, now].sum(axis=1)
    days0, days1 = float(before.sum()), float(now.sum())
    odds = np.log((slices.n + 0.5) / (others + 0.5))
    v = 1 / (slices.n + 0.5) + 1 / (others + 0.5)
    tau2 = between_days(odds, v, np.broadcast_to(before & (whole.n[0] > 0), odds.shape))
    moved = np.log((second + 0.5) / days1) - np.log((first + 0.5) / days0)
    of_rest = np.log((rest1 + 0.5) / days1) - np.log((rest0 + 0.5) / days0)
    var = sum(1 / (count + 0.5) for count in (first, second, rest0, rest1)) + tau2 * (1 / days0 + 1 / days1)
    known = np.maximum(rest0, rest1) > 0
    parts = Parts(
        share_before=first / np.maximum(first + rest0, 1.0),
        share_now=second / np.maximum(second + rest1, 1.0),
        before=first / days0,
        now=second / days1,
        own=second / days1 - first / days0,
        mix=np.zeros_like(first),
        rest=rest1 / days1 - rest0 / days0,
    )
    z = np.where(known, (moved - of_rest) / np.sqrt(var), np.nan)
    clear = np.abs(moved - of_rest) >= LEAST_LEAD * np.abs(moved)
    return _carriers(dimension, slices.values, first, second, parts, z, clear, change)


def _carriers(
    dimension: str,
    values: Sequence[str],
    first: Floats,
    second: Floats,
    parts: Parts,
    z: Floats,
    clear: Floats,
    change: Change,
) -> list[Carrier]:
    share = (parts.own + parts.mix) / change.change if change.change != 0 else np.zeros_like(parts.own)
    return [
        Carrier(
            dimension=dimension,
            value=value,
            n_before=int(first[row]),
            n=int(second[row]),
            share_before=float(parts.share_before[row]),
            share_now=float(parts.share_now[row]),
            before=_shown(float(parts.before[row]), change.unit),
            now=_shown(float(parts.now[row]), change.unit),
            own=float(parts.own[row]),
            mix=float(parts.mix[row]),
            part=float(share[row]),
            z=float(z[row]) if np.isfinite(z[row]) else 0.0,
            clear=bool(clear[row]),
        )
        for row, value in enumerate(values)
    ]


def standing_out(parts: Mapping[str, Sequence[Carrier]]) -> list[Carrier]:
    """The best value of each dimension that carries the change, surest first. [] when all slices changed alike."""
    best = []
    for dimension in parts:
        carrying = [carrier for carrier in parts[dimension] if carrier.carries]
        if carrying:
            best.append(min(carrying, key=_rank))
    return sorted(best, key=lambda carrier: (-round(abs(carrier.z), 6), carrier.dimension))


def _rank(carrier: Carrier) -> tuple[bool, float, float, str]:
    # what came explains more than what left to make room for it
    left = carrier.share_now < carrier.share_before / 2
    return left, -round(abs(carrier.z), 6), -round(carrier.part, 6), carrier.value


def applies(dimension: str, metric: str) -> bool:
    """Whether a dimension can explain a metric: that a tool is used more is what a tool mix says already."""
    return not (metric == TOOLS and dimension == TOOL)


def _cells(daily: Daily, days: Mask) -> Cells:
    return Cells(*(part[:, days].sum(axis=1) for part in (daily.n, daily.total, daily.squares)))


def _shown(value: float, unit: str) -> float:
    return float(np.exp(value)) if unit == LOG_RATIO else value
