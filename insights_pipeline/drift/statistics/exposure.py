"""An intent's traces beside the traffic of their day, and its usual share of it: the baseline of volume."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, pick, voters
from insights_pipeline.drift.statistics.location import Location, locate
from insights_pipeline.drift.statistics.silence import Habit, habit

# A level is believed from two whole weeks on: with less, a weekend is a change. And the first two weeks of an intent
# are its arrival, told as `new`; its level is learned after them, or every launch would "grow" for a month.
MIN_DAYS = 14
SETTLING_DAYS = 14
_ALWAYS_THERE = 7  # seen this soon after the first traffic there is, an intent is not young: the records are
_SCORINGS = 2
_LEAST_PRESENCE = 0.25


@dataclass(frozen=True, slots=True)
class Exposed:
    """Counts [series, days] with the traffic they are a part of; `mask` are the days that can be compared."""

    k: Floats
    n: Floats
    mask: Mask
    whole: Mask  # [series]: the series is all the traffic there is, so it is counted and not divided
    first_weekday: int  # of column 0, Monday is 0


def exposed(k: Floats, n: Floats, *, first_weekday: int) -> Exposed:
    """Counts `k` and their day's traffic `n`; days without traffic, before birth and of settling are gaps, not zeros.

    A day with traffic but without the series' own is a zero.
    """
    n = np.broadcast_to(n, k.shape)
    width = k.shape[1]
    flowing = n > 0
    first = np.where(flowing.any(axis=1), np.argmax(flowing, axis=1), width)
    born = np.where((k > 0).any(axis=1), np.argmax(k > 0, axis=1), width)
    young = born - first >= _ALWAYS_THERE
    settled = np.where(young, born + SETTLING_DAYS, born)
    mask = flowing & (np.arange(width) >= settled[:, None])
    whole = flowing.any(axis=1) & (k == n).all(axis=1)
    return Exposed(k, np.asarray(n), mask, whole, first_weekday)


@dataclass(frozen=True, slots=True)
class Fit:
    """Baseline of every series: log-odds of its share of a day, and log of the day's whole traffic.

    Of a series that is silent by habit they are those of the days it is used on.
    """

    odds: Location
    traffic: Location
    whole: Mask
    n: Floats  # own traces in the baseline
    day_n: Floats  # … of a usual day
    habit: Habit
    presence: (
        Floats  # [series, days] of the usual traffic, what comes from intents that are not silent by habit
    )

    @property
    def days(self) -> Floats:
        """Baseline days with traffic, silent ones too."""
        return self.habit.days

    @property
    def share(self) -> Floats:
        """Of a usual day's traffic."""
        from scipy import special

        return np.where(self.whole, 1.0, special.expit(self.odds.mu))

    @property
    def sd_between(self) -> Floats:
        """Deviation between days, of the log-odds of the share (of the log of the count if `whole`)."""
        return np.sqrt(np.where(self.whole, self.traffic.tau2, self.odds.tau2))


def fit(daily: Exposed, base: Mask, *, pool: Mask | None = None, c: Constants = DEFAULT) -> Fit:
    """Level, weekday rhythm and overdispersion of the baseline days; priors pooled over the rows of `pool`.

    Days are combined on the log-odds by scoring: y_d = logit p_d + (k − n p_d) / (n p_d q_d) with variance
    1 / (n p_d q_d), which a day with few or no traces does not bias. Source: quasi-likelihood by iterated weighted
    least squares, Williams (1982), Appl. Stat. 31, with the random-effects machinery of `location`.
    """
    from scipy import special

    column, mask = latest(base & daily.mask, BASELINE_DAYS)
    k, n = np.where(mask, pick(daily.k, column), 0.0), np.where(mask, pick(daily.n, column), 0.0)
    habits = habit(k, n, mask)
    mask = mask & ~habits.of(k, n, mask)
    presence = _presence(daily, habits, pool)
    n = np.where(mask, n / pick(presence, column), 0.0)
    count, total = k.sum(axis=1), n.sum(axis=1)
    weekday = (column + daily.first_weekday) % 7
    vote = ~daily.whole if pool is None else ~daily.whole & pool

    def combined(expected: Floats, *, first: bool) -> Location:
        p = inside(special.expit(expected))
        information = np.where(mask, n * p * (1 - p), 1.0)
        # from afar a score overshoots: the first step is between empirical log-odds, which are bounded but biased
        step = _empirical(k, n, p) if first else (k - n * p) / information
        y = np.where(mask, special.logit(p) + step, 0.0)
        found = locate(y, 1 / information, mask, column, first_weekday=daily.first_weekday, pool=vote, c=c)
        # with no trace at all the log-odds would run away
        return replace(found, mu=np.maximum(found.mu, special.logit(0.5 / (total + 1))))

    level = special.logit((count + 0.5) / (total + 1))
    odds = combined(np.repeat(level[:, None], k.shape[1], axis=1), first=True)
    for _ in range(_SCORINGS):
        odds = combined(odds.mu[:, None] + odds.effect(weekday), first=False)
    safe = np.maximum(n, 1.0)
    traffic = locate(np.log(safe), 1 / safe, mask, column, first_weekday=daily.first_weekday, pool=pool, c=c)
    return Fit(odds, traffic, daily.whole, count, count / np.maximum(odds.days, 1), habits, presence)


def _presence(daily: Exposed, habits: Habit, pool: Mask | None) -> Floats:
    """By what a day's traffic is divided so that it is a usual day's, whoever is silent; 1 for a `whole` series.

    Else the share of everybody shrinks on the days of a batch job, and grows on the others.
    """
    votes = voters(pool, ~daily.whole) & ~daily.whole
    silent = habits.of(daily.k, daily.n, daily.mask) & votes[:, None]
    share = np.where(votes, habits.share, 0.0)
    missing = (silent * share[:, None]).sum(axis=0) / max(float(share.sum()), 1e-12)
    return np.where(daily.whole[:, None], 1.0, np.maximum(1 - missing, _LEAST_PRESENCE)[None, :])


def _empirical(k: Floats, n: Floats, p: Floats) -> Floats:
    own = np.log((k + 0.5) / (n * p + 0.5))
    return np.asarray(own - np.log((n - k + 0.5) / (n * (1 - p) + 0.5)))


def inside(p: Floats) -> Floats:
    """Shares kept off 0 and 1, where log-odds end."""
    return np.clip(p, 1e-9, 1 - 1e-9)
