"""Small lasting shifts and creep: a weighted look at the last days against the weeks before them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from insights_pipeline.drift.constants import Constants
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, masked_median, pick
from insights_pipeline.drift.statistics.location import Location, locate, weekday_variance
from insights_pipeline.drift.statistics.moderation import capped

WINDOW_DAYS = 14
REFERENCE_DAYS = 56
MIN_REFERENCE_DAYS = 14  # two whole weeks: with less, the scatter between days is hardly known

# What a change may look like on the last 14 days: all of the last three, all of the last week, or growing for two
# weeks. A ramp also sees a step of any age: its correlation with a step of 14 days is .87.
THREE_DAYS = (0.0,) * 11 + (1.0,) * 3
WEEK = (0.0,) * 7 + (1.0,) * 7
RAMP = tuple(float(day) for day in range(1, WINDOW_DAYS + 1))


@dataclass(frozen=True, slots=True)
class Observed:
    """Daily values y of every series and their sampling variance v [series, days]; the masks say which may count."""

    y: Floats
    v: Floats
    reference: Mask
    window: Mask
    first_weekday: int  # of column 0, Monday is 0


@dataclass(frozen=True, slots=True)
class Contrast:
    """Weighted mean of the window minus the reference level, and its standard error; NaN with too few days."""

    difference: Floats
    se: Floats
    df: Floats  # of the variance between days, before any cap
    phi: float

    @property
    def t(self) -> Floats:
        return self.difference / self.se


def reference(days: Observed, *, pool: Mask, c: Constants) -> Location:
    """Level of the latest 56 reference days of every series, priors pooled over the rows of `pool`.

    Twice the days of a baseline also know twice as much of the variance between days, so a series' own scatter counts
    for more of it (`prior_days_long`): that is where the power for small shifts comes from.
    """
    column, mask = latest(days.reference, REFERENCE_DAYS)
    return locate(
        pick(days.y, column),
        pick(days.v, column),
        mask,
        column,
        first_weekday=days.first_weekday,
        pool=pool,
        c=replace(c, prior_days=c.prior_days_long),
    )


def contrast(days: Observed, level: Location, shape: tuple[float, ...], *, c: Constants) -> Contrast:
    """The matched filter for a change of `shape` over the last columns: weights ∝ shape / (v + tau2), summing to 1.

    var = Σ a² v + tau2 Σ_ij a_i a_j phi^|i−j| + the variances of weekday effects and of the level, so the memory of
    the days is part of it. A day further than `clip` deviations from the window's median counts as that far. Source:
    generalised least squares for a known regressor under AR(1) errors (Aitken 1936), the score test of a change with
    known onset.
    """
    template = np.asarray(shape)
    width = len(template)
    first = days.y.shape[1] - width
    column = np.broadcast_to(np.arange(first, first + width), (len(days.y), width))
    use = days.window[:, first:] & (template > 0)
    weekday = (column + days.first_weekday) % 7
    v = days.v[:, first:]
    total = v + level.tau2[:, None]
    shift = np.where(use, days.y[:, first:] - level.effect(weekday) - level.mu[:, None], 0.0)
    middle, cut = masked_median(shift, use)[:, None], c.clip * np.sqrt(total)
    shift = np.clip(shift, middle - cut, middle + cut)
    a = np.where(use, template / total, 0.0)
    a = a / np.maximum(a.sum(axis=1), 1e-300)[:, None]
    lag = np.abs(np.subtract.outer(np.arange(width), np.arange(width)))
    memory = level.phi**lag
    between = ((a[:, :, None] * memory) * a[:, None, :]).sum(axis=(1, 2)) * level.tau2
    var = (
        (a**2 * np.where(use, v, 0.0)).sum(axis=1)
        + between
        + weekday_variance(level, a, weekday)
        + level.var_mu
    )
    enough = (level.days >= MIN_REFERENCE_DAYS) & (2 * use.sum(axis=1) >= (template > 0).sum())
    return Contrast(
        difference=np.where(enough, (a * np.where(use, shift, 0.0)).sum(axis=1), np.nan),
        se=np.where(enough, np.sqrt(np.maximum(var, 1e-300)), np.nan),
        df=np.where(enough, level.df, np.nan),
        phi=level.phi,
    )


def p_value(found: Contrast, *, cap: float) -> Floats:
    """Two-sided, from t with at most `cap` degrees of freedom: days have heavier tails than a normal."""
    from scipy import special

    return np.asarray(2 * special.stdtr(capped(found.df, cap, found.phi), -np.abs(found.t)))
