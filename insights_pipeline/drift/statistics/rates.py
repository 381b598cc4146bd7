"""A rate against one that days scatter around: the weaker of a binomial tail and a log-odds test, and its power."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.floors import POWER
from insights_pipeline.drift.statistics.moderation import with_known

_HALVINGS = 14  # of 16 units of log-odds: to .001
_REACH = 16.0
_EDGE = 1e-9


class Contrast(NamedTuple):
    """z of every series, its log-odds difference and the standard error that goes with z."""

    z: Floats
    log_odds: Floats
    se: Floats
    by_tail: Mask  # z is that of the binomial tail


def weaker_z(rate: Floats, p0: Floats, n: Floats, trials: Floats, other: Floats) -> Contrast:
    """`rate` of `n` against `p0`: z_beta or z_logit, whichever is nearer to 0; 0 where they disagree on the side.

    z_beta is the mid-p binomial tail at fractional counts of `trials` effective ones (Lancaster 1961), z_logit the
    difference of log-odds over sqrt(other + 1 / (n p q + .5)), half a trace drawn to p0 for rates of 0 and 1. Upwards
    the log-odds are the more cautious of the two, downwards the tail: real days scatter as neither of them says.
    """
    from scipy import special

    z_beta = np.sign(rate - p0) * np.maximum(tail_z(rate, p0, trials), 0.0)
    smooth = np.clip((rate * n + p0 / 2) / (n + 0.5), _EDGE, 1 - _EDGE)
    log_odds = special.logit(smooth) - special.logit(p0)
    se = np.sqrt(other + 1 / (n * smooth * (1 - smooth) + 0.5))
    z_logit = log_odds / se
    agree = np.sign(z_beta) == np.sign(z_logit)
    z = np.where(agree, np.sign(z_logit) * np.minimum(np.abs(z_beta), np.abs(z_logit)), 0.0)
    # widened where the tail is the weaker one, so that interval and p-value say the same
    se = np.where(np.abs(z) > 1e-6, np.abs(log_odds) / np.maximum(np.abs(z), 1e-6), se)
    return Contrast(z, log_odds, se, np.abs(z_beta) < np.abs(z_logit))


def share_of(scatter: Floats | float, se: Floats) -> Floats:
    """The part of se² that is scatter between days; at most 1."""
    return np.asarray(np.minimum(scatter / np.maximum(se**2, 1e-300), 1.0))


def tail_z(rate: Floats, p0: Floats, trials: Floats) -> Floats:
    """z of the mid-p tail of a binomial at fractional counts, on the side where `rate` lies."""
    from scipy import special

    k = rate * trials

    def at_least(count: Floats) -> Floats:
        inside = np.clip(count, 1e-9, None)
        tail = special.betainc(inside, np.maximum(trials - count + 1, 1e-9), p0)
        return np.where(count <= 0, 1.0, np.where(count > trials, 0.0, tail))

    above = (at_least(k) + at_least(k + 1)) / 2
    tail = np.where(rate > p0, above, 1 - above)
    return np.asarray(-special.ndtri(np.clip(tail, 1e-300, 1.0 - 1e-16)))


def tail_interval(rate: Floats, trials: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """The rates whose binomial tails at fractional counts are `outside` on each side (Clopper and Pearson 1934)."""
    from scipy import special

    k = np.clip(rate, 0.0, 1.0) * trials
    low = special.betaincinv(np.maximum(k, 1e-9), trials - k + 1, outside)
    high = special.betaincinv(k + 1, np.maximum(trials - k, 1e-9), 1 - outside)
    return np.where(k > 0, low, 0.0), np.where(k < trials, high, 1.0)


def smallest_rise(
    p0: Floats,
    n: Floats,
    trials: Floats,
    other: Floats,
    *,
    alpha: Floats | float,
    df: Floats,
    scatter: Floats | float = np.inf,
    most: float = 0.0,
) -> Floats:
    """The smallest true rate above p0 that `weaker_z` finds at two-sided level `alpha` with 80 % power; NaN if none.

    The critical rate by bisection, and from it up by the deviation of a rate there: a rate of few traces scatters by
    more the higher it is, so the deviation under the null would promise too much or too little.
    `df` are those of `scatter`, the part of the variance that is estimated, and `most` those of all of it at most.
    """
    from scipy import special

    usable = np.where(df > 0, df, np.nan)
    start = special.logit(np.clip(p0, _EDGE, 1 - _EDGE))
    low, high = start, start + _REACH

    def is_found(log_odds: Floats) -> Mask:
        seen = weaker_z(special.expit(log_odds), p0, n, trials, other)
        freedom = with_known(usable, share_of(scatter, seen.se), most)
        return np.asarray(seen.z >= special.stdtrit(freedom, 1 - alpha / 2))

    possible = is_found(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = is_found(middle)
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    critical = special.expit(high)
    deviation = np.sqrt(other + 1 / (n * critical * (1 - critical) + 0.5))
    risen = special.expit(high + special.stdtrit(usable, POWER) * deviation)
    return np.where(possible, risen, np.nan)
