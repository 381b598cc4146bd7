"""An error rate as one number a day on the log-odds, for a look at several days at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats, Mask, voters
from insights_pipeline.drift.statistics.persistence import WINDOW_DAYS, Observed

_PRIOR_N = 5.0  # traces that the usual rate is worth in that of a day, and the pool's in the usual one
_POOLED_RATE = (0.005, 0.2)


def usual_rate(n: Floats, k: Floats, base: Mask, *, pool: Mask) -> Floats:
    """Rate of the reference days of every series, held to that of all rows of `pool`."""
    traffic, errors = (np.where(base, part, 0.0).sum(axis=1) for part in (n, k))
    vote = voters(pool, traffic > 0)
    pooled = float(np.clip(errors[vote].sum() / max(traffic[vote].sum(), 1.0), *_POOLED_RATE))
    return np.asarray((errors + _PRIOR_N * pooled) / (traffic + _PRIOR_N))


def deviations(
    n: Floats, k: Floats, usual: Floats, base: Mask, window: Mask, *, first_weekday: int
) -> tuple[Observed, Observed]:
    """Daily rates [series, days] on the log-odds, linear and smoothed: the weaker counts, each errs at small counts."""
    from scipy import special

    p0, seen = usual[:, None], n > 0
    traces = np.maximum(n, 1.0)
    v = 1 / (traces * p0 * (1 - p0))
    linear = (k / traces - p0) / (p0 * (1 - p0))
    smooth = special.logit((k + _PRIOR_N * p0) / (n + _PRIOR_N))
    shrunk = v * (traces / (traces + _PRIOR_N)) ** 2
    return (
        Observed(linear, v, base & seen, window & seen, first_weekday),
        Observed(smooth, shrunk, base & seen, window & seen, first_weekday),
    )


def at_own_rate(smooth: Observed, n: Floats, k: Floats, usual: Floats, *, days: int) -> Observed:
    """The last `days` with the variance that log-odds have at the window's own rate, not at the usual one.

    Source: Woolf (1955), Annals of Human Genetics 19: 1 / (n p q) with the p that was seen.
    """
    traces, errors = (np.where(smooth.window, part, 0.0)[:, -days:].sum(axis=1) for part in (n, k))
    rate = (errors + _PRIOR_N * usual) / (traces + _PRIOR_N)
    v = smooth.v.copy()
    v[:, -WINDOW_DAYS:] *= (usual * (1 - usual) / (rate * (1 - rate)))[:, None]
    return replace(smooth, v=v)
