"""Intents that are not asked every day: which of their empty days are their habit, and whether the habit changed.

A batch job, a weekly report or a slice whose records arrive with gaps is busy on some days and silent on others. Such a
day is no low count of a busy day, so the two are told apart: how much there is on the days it is used, and on how many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats, Mask, masked_median
from insights_pipeline.drift.statistics.rates import weaker_z

# A day on which five traces were due is empty by chance once in 150 times; a series for which that is usual had three
# such days or more in its baseline, and one in ten. Fewer are accidents, and the level is robust against them.
_DUE = 5.0
_LEAST_DAYS, _LEAST_SHARE = 3, 0.1
_MOST_MEMORY = 0.9


@dataclass(frozen=True, slots=True)
class Habit:
    """Of every series [series]: baseline days with traffic, how many were silent, and the usual share of the others.

    `memory` is the lag-1 autocorrelation of silence. Where silence is no habit `silent` is 0: no day is set apart.
    """

    share: Floats
    days: Floats
    silent: Floats
    memory: Floats

    @property
    def rate(self) -> Floats:
        """Of the days, those that are silent; half a day is added to either side."""
        return np.asarray(np.where(self.silent > 0, (self.silent + 0.5) / (self.days + 1), 0.0))

    def of(self, k: Floats, n: Floats, mask: Mask) -> Mask:
        """The silent days: without a trace though the usual share would bring five or more."""
        bursty = (self.silent > 0)[:, None]
        return np.asarray(mask & bursty & (k == 0) & (n * self.share[:, None] >= _DUE))


def habit(k: Floats, n: Floats, mask: Mask) -> Habit:
    """The habit of baseline days [series, width] with counts `k` of the traffic `n`, in the order of time."""
    used = mask & (k > 0)
    share = masked_median(np.where(used, k / np.maximum(n, 1.0), 0.0), used)
    empty = mask & (k == 0) & (n * share[:, None] >= _DUE)
    days, silent = mask.sum(axis=1).astype(np.float64), empty.sum(axis=1).astype(np.float64)
    usual = (silent >= _LEAST_DAYS) & (silent >= _LEAST_SHARE * days)
    return Habit(share, days, np.where(usual, silent, 0.0), _memory(empty, mask))


def _memory(empty: Mask, mask: Mask) -> Floats:
    """Outages come in runs: how much of a day's silence the day before foretells, in [0, .9]."""
    mean = empty.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    rest = np.where(mask, empty - mean[:, None], 0.0)
    products = (rest[:, 1:] * rest[:, :-1]).sum(axis=1)
    return np.asarray(np.clip(products / np.maximum((rest**2).sum(axis=1), 1e-12), 0.0, _MOST_MEMORY))


class Usage(NamedTuple):
    """z of the days a series was used on; log-odds of a silent day, their change and its standard error."""

    z: Floats
    usual: Floats
    log_odds: Floats
    se: Floats

    def ratio(self, margin: Floats) -> Floats:
        """Days of use as a multiple of the usual, `margin` above what was seen."""
        from scipy import special

        return np.asarray(special.expit(-(self.usual + self.log_odds - margin)) / special.expit(-self.usual))


def usage(model: Habit, silent: Floats, days: Floats) -> Usage:
    """The days of a window that had traffic, `silent` of them without a trace, against the habit; z is 0 without one.

    A binomial (`rates.weaker_z`) whose trials are those of window and baseline, fewer where silence comes in runs:
    divided by (1 + memory) / (1 − memory), what a long mean of an autocorrelated series is worth.
    """
    from scipy import special

    runs = (1 + model.memory) / (1 - model.memory)
    safe, before = np.maximum(days, 1.0), np.maximum(model.days, 1.0)
    rate = np.clip(model.rate, 1e-6, 1 - 1e-6)
    trials = 1 / (runs / safe + runs / before)
    other = runs / (before * rate * (1 - rate) + 0.5)
    found = weaker_z(silent / safe, rate, safe / runs, trials, other)
    z = np.where((model.silent > 0) & (days > 0), -found.z, 0.0)
    return Usage(z, special.logit(rate), found.log_odds, found.se)
