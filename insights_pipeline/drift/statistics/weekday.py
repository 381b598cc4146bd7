"""Weekday rhythm of a metric, believed only as far as it shows."""

from __future__ import annotations

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask, voters

_WEEK = 7


def weekday_effects(
    residual: Floats,
    w: Floats,
    mask: Mask,
    column: Ints,
    first_weekday: int,
    *,
    min_days: int,
    pool: Mask | None = None,
) -> tuple[Floats, Floats]:
    """Effect [series, 7] to subtract from a day's log-mean, and its posterior variance; zeros without evidence.

    e_k = g_k + deviation of the series, each level shrunk by kappa2 / (kappa2 + var), kappa2 by moments. The variance
    of g_k comes from the spread of whole dates, because series share a day's weather. g_k and both kappa2 come from the
    rows of `pool` alone. Source: two-level normal empirical Bayes (Efron and Morris 1973).
    """
    series = len(residual)
    effects, variances = np.zeros((series, _WEEK)), np.zeros((series, _WEEK))
    enough = mask.sum(axis=1) >= min_days
    usable = mask & enough[:, None]
    vote = voters(pool, enough)
    dates = np.flatnonzero(np.bincount(column[vote][usable[vote]]))
    if dates.size < min_days:
        return effects, variances
    weight = np.where(usable, w, 0.0)
    day = np.where(usable, column, 0)
    residual = np.where(usable, residual, 0.0)
    size = int(day.max()) + 1
    of_day = day[vote].ravel()
    mass = np.bincount(of_day, weight[vote].ravel(), size)[dates]
    of_date = np.bincount(of_day, (weight * residual)[vote].ravel(), size)[dates] / mass
    shared, shared_var = _shrunk(of_date[None, :], (dates + first_weekday)[None, :] % _WEEK)
    weekday = (day + first_weekday) % _WEEK
    rest = residual - np.take_along_axis(np.repeat(shared, series, axis=0), weekday, axis=1)
    own, own_var = _shrunk(rest, np.where(usable, weekday, -1), vote)
    return np.where(enough[:, None], shared + own, 0.0), np.where(enough[:, None], shared_var + own_var, 0.0)


def by_weekday(values: Floats, weekday: Ints) -> Floats:
    """Sums [rows, 7] of the values of each weekday; entries of weekday −1 are none's."""
    cell = np.where(weekday >= 0, np.arange(len(values))[:, None] * _WEEK + weekday, len(values) * _WEEK)
    sums = np.bincount(cell.ravel(), values.ravel(), len(values) * _WEEK + 1)
    return np.asarray(sums[:-1].reshape(len(values), _WEEK), dtype=np.float64)


def _shrunk(values: Floats, weekday: Ints, vote: Mask | None = None) -> tuple[Floats, Floats]:
    """Weekday means of every row, centred and shrunk with one kappa2 for all rows, and their posterior variances."""
    known = weekday >= 0
    count = by_weekday(known.astype(np.float64), weekday)
    mean = by_weekday(values, weekday) / np.maximum(count, 1)
    own = np.take_along_axis(mean, np.maximum(weekday, 0), axis=1)
    inside = np.where(known, (values - own) ** 2, 0.0).sum(axis=1)
    free = count.sum(axis=1) - (count > 0).sum(axis=1)
    spread = inside / np.maximum(free, 1)
    seen = (count > 0) & (free > 0)[:, None]
    var = np.where(seen, spread[:, None] / np.maximum(count, 1), 0.0)
    level = (mean * count).sum(axis=1) / np.maximum(count.sum(axis=1), 1)
    centred = np.where(seen, mean - level[:, None], 0.0)
    rows = voters(vote, seen.any(axis=1))
    voting = seen[rows]
    if not voting.any():
        return np.zeros_like(mean), np.zeros_like(mean)
    kappa2 = max(0.0, float((centred[rows][voting] ** 2 - var[rows][voting] * (_WEEK - 1) / _WEEK).mean()))
    keep = kappa2 / np.maximum(kappa2 + var, 1e-300)
    return centred * keep, np.where(seen, keep * var, 0.0)
