"""Whether an intent is asked for more or less often than before, by a test and not by a bare percentage.

A log-linear Poisson regression of the daily counts on time, with a factor for each weekday once there are three
weeks, and the sampled share of each day as exposure. The variance may exceed the mean (quasi-likelihood: McCullagh
and Nelder, Generalized Linear Models, 1989, §6.2): the slope is judged by Student's t with the Pearson dispersion.
Verdicts over all intents of a day hold the false discovery rate (Benjamini and Hochberg, 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GROWING, DECLINING, STABLE, NEW = "growing", "declining", "stable", "new"
SPAN = 30  # days that a change is stated over
_FDR = 0.05
_LEAST_DAYS = 14
_LEAST_TRACES = 20
_WEEKDAYS_FROM = 21
_FLOOR = float(np.log(1.5))  # a smaller change, however sure, is none
_LEAVE = 0.6  # a verdict stands until the change is below this part of the floor: no flicker at the border
_STILL = 0.2  # or until chance would explain it
_ROUNDS = 25


class Trend(NamedTuple):
    """A verdict, the change over 30 days (0.5: half as many again), and its p; None where there is too little."""

    verdict: str | None
    change: float | None
    p: float | None


def trends(
    counts: NDArray[np.integer],
    *,
    exposure: NDArray[np.floating] | None = None,
    new: Sequence[bool] = (),
    before: Sequence[str | None] = (),
) -> list[Trend]:
    """Verdicts of intents from `counts` (intents, days), the oldest day first.

    `exposure` (days) is the share of a day's traces that were counted, 0 on a day without any traffic, which says
    nothing. `new` intents are called so unless they already grow or decline too little to tell. `before` are the
    verdicts of the day before. Raises ValueError when lengths differ.
    """
    intents, days = counts.shape
    shares = np.ones(days) if exposure is None else exposure.astype(np.float64)
    new, before = list(new) or [False] * intents, list(before) or [None] * intents
    if len(shares) != days or len(new) != intents or len(before) != intents:
        raise ValueError(
            f"{intents} intents and {days} days, but {len(shares)}, {len(new)} and {len(before)}"
        )
    fits = [_fit(row, shares) for row in counts.astype(np.float64)]
    q = _adjusted([fit[1] if fit else 1.0 for fit, young in zip(fits, new, strict=True) if not young])
    adjusted = iter(q)
    found: list[Trend] = []
    for fit, young, last in zip(fits, new, before, strict=True):
        if young:
            found.append(Trend(NEW, None, None))
            continue
        level = next(adjusted)
        found.append(Trend(None, None, None) if fit is None else _verdict(*fit, level, last))
    return found


def _verdict(slope: float, p: float, q: float, last: str | None) -> Trend:
    direction = GROWING if slope > 0 else DECLINING
    stays = direction == last and abs(slope) >= _LEAVE * _FLOOR and p <= _STILL
    moves = q <= _FDR and abs(slope) >= _FLOOR
    return Trend(direction if moves or stays else STABLE, round(float(np.expm1(slope)), 4), round(p, 6))


def _fit(counts: NDArray[np.float64], exposure: NDArray[np.float64]) -> tuple[float, float] | None:
    """Log change over 30 days and its two-sided p, or None when there is too little to tell."""
    from scipy.stats import t as student

    observed = np.flatnonzero(exposure > 0)
    if len(observed) < _LEAST_DAYS or counts[observed].sum() < _LEAST_TRACES:
        return None
    y, days = counts[observed], observed.astype(np.float64)
    columns = [np.ones(len(y)), (days - days.mean()) / SPAN]
    if len(counts) >= _WEEKDAYS_FROM and len(y) >= _WEEKDAYS_FROM:
        weekday = observed % 7
        # sum-to-zero contrasts; a weekday without any traffic has no factor of its own
        there = sorted(set(weekday.tolist()))
        columns += [(weekday == one) * 1.0 - (weekday == there[-1]) for one in there[:-1]]
    design = np.stack(columns, axis=1)
    freedom = len(y) - design.shape[1]
    offset = np.log(exposure[observed])
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(y.sum() / exposure[observed].sum())
    for _ in range(_ROUNDS):  # Fisher scoring
        mean = np.exp(np.clip(design @ beta + offset, -20, 20))
        information = design.T @ (design * mean[:, None]) + 1e-6 * np.eye(len(beta))
        step = np.clip(np.linalg.solve(information, design.T @ (y - mean)), -2, 2)
        beta = np.clip(beta + step, -20, 20)
        if float(np.abs(step).max()) < 1e-8:
            break
    mean = np.exp(np.clip(design @ beta + offset, -20, 20))
    pearson = float(((y - mean) ** 2 / np.maximum(mean, 1e-3)).sum()) / freedom
    information = design.T @ (design * mean[:, None]) + 1e-6 * np.eye(len(beta))
    error = float(np.sqrt(max(pearson, 1.0) * np.linalg.inv(information)[1, 1]))
    slope = float(beta[1])
    return slope, float(2 * student.sf(abs(slope) / error, freedom))


def _adjusted(p: Sequence[float]) -> list[float]:
    """Benjamini–Hochberg: the smallest rate of false discoveries at which each would be one."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return [float(one) for one in adjusted]
