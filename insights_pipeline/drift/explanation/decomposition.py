"""A change taken apart: what a slice's own change and its changed share give, against the rest of the traffic.

Two periods, 0 before and 1 now; y the mean of a slice's traces, w their share; r is the rest. Exactly

    Y1 − Y0 = w̄·Δy + (ȳ − ȳ_r)·Δw + (1 − w̄)·Δy_r

own change of the slice, mix shift towards it, own change of the rest; a bar is the mean of both periods, so no period
is preferred. Source: Kitagawa (1955), JASA 50; Oaxaca (1973); the rest is the reference, because what the slice gains
in share the rest loses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats, Mask

MIN_TRACES = 5.0  # of a slice in a period, to say anything about its mean
_LEAST_DAYS = 4
_PRIOR_DAYS = 8.0
# Between-day standard deviation of a difference of two means, in within-trace standard deviations, at the least.
_FLOOR_SD = 0.02
# A share of the traffic varies between days by about a tenth of its binomial spread w(1 − w).
_SHARE_SD = 0.1
# From this share on a slice that was not there before has replaced the rest: the few traces that are left of it
# would say less than all those of before.
_REPLACED = 0.8


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums over the traces of slices in one period: `n` of them, their total and sum of squares, all [values]."""

    n: Floats
    total: Floats
    squares: Floats

    @property
    def mean(self) -> Floats:
        return self.total / np.where(self.n > 0, self.n, np.nan)

    @property
    def variance(self) -> Floats:
        """Within the cell; never below what one trace more could show."""
        spread = self.squares - self.total**2 / np.maximum(self.n, 1.0)
        return np.asarray(np.maximum(spread, 0.0) / np.maximum(self.n - 1, 1.0))

    def without(self, part: Cells) -> Cells:
        """The rest, when `part` is taken out of these."""
        return Cells(
            np.maximum(self.n - part.n, 0.0),
            np.where(self.n - part.n > 0, self.total - part.total, 0.0),
            np.where(self.n - part.n > 0, self.squares - part.squares, 0.0),
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """Of each slice [values]: shares, means (NaN without traces), its own change, mix shift, and the rest's change."""

    share_before: Floats
    share_now: Floats
    before: Floats
    now: Floats
    own: Floats
    mix: Floats
    rest: Floats


def take_apart(slice0: Cells, slice1: Cells, rest0: Cells, rest1: Cells) -> Parts:
    """The parts of the change of the mean of all traces; own + mix + rest is that change.

    A slice that one period lacks has no change of its own: it is all mix.
    """
    w0, w1 = (s.n / np.maximum(s.n + r.n, 1.0) for s, r in ((slice0, rest0), (slice1, rest1)))
    y0, y1 = _filled(slice0.mean, slice1.mean)
    r0, r1 = _filled(rest0.mean, rest1.mean)
    # where there is no rest at all, or no slice, its mean is of no consequence: its share is 0
    r0, r1 = np.where(np.isnan(r0), y0, r0), np.where(np.isnan(r1), y1, r1)
    y0, y1 = np.where(np.isnan(y0), r0, y0), np.where(np.isnan(y1), r1, y1)
    share = (w0 + w1) / 2
    return Parts(
        share_before=w0,
        share_now=w1,
        before=slice0.mean,
        now=slice1.mean,
        own=share * (y1 - y0),
        mix=((y0 + y1) - (r0 + r1)) / 2 * (w1 - w0),
        rest=(1 - share) * (r1 - r0),
    )


def _filled(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    return np.where(np.isnan(before), now, before), np.where(np.isnan(now), before, now)


def between_days(y: Floats, v: Floats, days: Mask) -> Floats:
    """tau2 [values] of y [values, days] beyond its sampling variance v, by moments, each held to the median of all.

    Source: DerSimonian and Laird (1986); moderation as for the series themselves (Smyth 2004).
    """
    m = days.sum(axis=1).astype(np.float64)
    w = np.where(days, 1 / np.maximum(v, 1e-12), 0.0)
    total = np.maximum(w.sum(axis=1), 1e-300)
    mean = (w * np.where(days, y, 0.0)).sum(axis=1) / total
    # a wild day counts as three standard deviations: it must not hide what the others show
    q = np.minimum(w * (np.where(days, y, 0.0) - mean[:, None]) ** 2, 9.0).sum(axis=1)
    scale = total - (w**2).sum(axis=1) / total
    raw = np.where(scale > 0, np.maximum(q - (m - 1), 0.0) / np.where(scale > 0, scale, 1.0), 0.0)
    known = m >= _LEAST_DAYS
    prior = float(np.median(raw[known])) if known.any() else 0.0
    return np.asarray((_PRIOR_DAYS * prior + m * raw) / (_PRIOR_DAYS + m))


def own_z(
    slice0: Cells, slice1: Cells, rest0: Cells, rest1: Cells, tau2: Floats, days0: Floats, days1: Floats
) -> Floats:
    """By how many standard errors a slice changed more than the rest did; NaN without 5 traces in each of the four.

    `tau2` is of the difference slice − rest between days, `days0` and `days1` [values] how many days have both.
    """
    pooled = _pooled_variance((slice0, slice1, rest0, rest1))
    enough = np.minimum.reduce([cell.n for cell in (slice0, slice1, rest0, rest1)]) >= MIN_TRACES
    n = [np.maximum(cell.n, 1.0) for cell in (slice0, slice1, rest0, rest1)]
    sampling = sum(
        _variance(cell, pooled) / size for cell, size in zip((slice0, slice1, rest0, rest1), n, strict=True)
    )
    between = np.maximum(tau2, _FLOOR_SD**2 * pooled) * (1 / np.maximum(days0, 1) + 1 / np.maximum(days1, 1))
    difference = (slice1.mean - slice0.mean) - (rest1.mean - rest0.mean)
    return np.where(enough, difference / np.sqrt(np.maximum(sampling + between, 1e-300)), np.nan)


def mix_z(
    slice0: Cells,
    slice1: Cells,
    rest0: Cells,
    rest1: Cells,
    tau2: Floats,
    days0: Floats,
    days1: Floats,
    periods: tuple[int, int],
) -> Floats:
    """The weaker of two: that the slice's share moved, and that its mean is another than the rest's.

    Slice and rest are compared within a period: then what happened to all traffic cannot pass for a difference. Only
    where one took the other's place are the traces of now compared with those of before; `periods` is how many days
    each has.
    """
    pooled = _pooled_variance((slice0, slice1, rest0, rest1))
    floor = np.maximum(tau2, _FLOOR_SD**2 * pooled)
    top, bottom = np.zeros_like(tau2), np.zeros_like(tau2)
    for slice_, rest, days in ((slice0, rest0, days0), (slice1, rest1, days1)):
        usable = (slice_.n >= MIN_TRACES) & (rest.n >= MIN_TRACES)
        var = _sampling(slice_, rest, pooled) + floor / np.maximum(days, 1)
        weight = np.where(usable, 1 / np.maximum(var, 1e-300), 0.0)
        top += weight * np.where(usable, slice_.mean - rest.mean, 0.0)
        bottom += weight
    n0, n1 = slice0.n + rest0.n, slice1.n + rest1.n
    w0, w1 = slice0.n / np.maximum(n0, 1.0), slice1.n / np.maximum(n1, 1.0)
    came = (slice0.n < MIN_TRACES) & (w1 >= _REPLACED)
    left = (rest0.n < MIN_TRACES) & (w1 <= 1 - _REPLACED)
    z = np.where(bottom > 0, top / np.sqrt(np.maximum(bottom, 1e-300)), np.nan)
    between = 2 * floor * sum(1 / max(days, 1) for days in periods)
    for usable, now, before in ((came, slice1, rest0), (left, rest1, slice0)):
        across = (now.mean - before.mean) / np.sqrt(_sampling(now, before, pooled) + between)
        z = np.where(usable, across * np.where(left, -1.0, 1.0), z)
    w = (slice0.n + slice1.n + 0.5) / (n0 + n1 + 1)
    var = w * (1 - w) * (1 / np.maximum(n0, 1) + 1 / np.maximum(n1, 1)) + (_SHARE_SD * w * (1 - w)) ** 2
    return np.asarray(np.sign(z) * np.minimum(np.abs(z), np.abs(w1 - w0) / np.sqrt(var)))


def _sampling(first: Cells, second: Cells, pooled: Floats) -> Floats:
    """Sampling variance of the difference of two means."""
    return np.asarray(sum(_variance(cell, pooled) / np.maximum(cell.n, 1.0) for cell in (first, second)))


def _variance(cell: Cells, pooled: Floats) -> Floats:
    """A small cell's variance held to that of all."""
    return np.asarray((cell.variance * cell.n + pooled * MIN_TRACES) / (cell.n + MIN_TRACES))


def _pooled_variance(cells: tuple[Cells, ...]) -> Floats:
    spread = sum(cell.variance * np.maximum(cell.n - 1, 0.0) for cell in cells)
    freedom = sum(np.maximum(cell.n - 1, 0.0) for cell in cells)
    return np.asarray(np.maximum(spread / np.maximum(freedom, 1.0), 1e-9))


def take_all_apart(before: Cells, now: Cells, whole0: Cells, whole1: Cells) -> tuple[Floats, Floats]:
    """Own change and mix shift [values] of the values that partition all traces; together they are the whole change.

    Here the mean of all is the reference, so what one value gives way to another is shared between both.
    """
    y0, y1 = _filled(before.mean, now.mean)
    y0, y1 = np.nan_to_num(y0), np.nan_to_num(y1)
    w0, w1 = before.n / np.maximum(whole0.n, 1.0), now.n / np.maximum(whole1.n, 1.0)
    middle = (whole0.mean + whole1.mean) / 2
    return (w0 + w1) / 2 * (y1 - y0), ((y0 + y1) / 2 - middle) * (w1 - w0)
