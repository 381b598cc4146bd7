"""Feedback scores: a moderated t-test on daily means, on whatever scale people or evaluators score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, pick, voters
from insights_pipeline.drift.statistics.location import Location, locate, window_level
from insights_pipeline.drift.statistics.moderation import capped, vif
from insights_pipeline.drift.statistics.result import TestResult, status_of


@dataclass(frozen=True, slots=True)
class Fit:
    """Baseline of every series; `location` and s2w are in units of `unit`, the deviation of scores within a day."""

    location: Location
    s2w: Floats
    origin: float  # of the standardised scale, in the score's own unit
    unit: float
    n: Floats
    day_n: Floats  # scores of a usual day

    @property
    def mean(self) -> Floats:
        """Baseline mean [series] in the score's own unit."""
        return self.origin + self.unit * self.location.mu

    @property
    def sd_within(self) -> Floats:
        return np.asarray(self.unit * np.sqrt(self.s2w))

    @property
    def sd_between(self) -> Floats:
        return np.asarray(self.unit * np.sqrt(self.location.tau2))


def _centre(n: Floats, total: Floats, vote: Mask) -> float:
    """Mean of all voting scores: subtracted first, or 1e6 ± 1 loses its digits in the squares."""
    return float(total[vote].sum() / max(n[vote].sum(), 1.0))


def fit(
    n: Floats,
    total: Floats,
    squares: Floats,
    base: Mask,
    *,
    first_weekday: int,
    window: Mask | None = None,
    pool: Mask | None = None,
    c: Constants = DEFAULT,
) -> Fit:
    """Baseline of the days of `base` from counts, sums and sums of squares of the scores [series, days].

    Scores are standardised by the pooled deviation within a day, so that the constants found on the log scale (floors,
    priors) mean the same here and a test does not depend on the score's unit. The within variance also counts the days
    of `window`, as in the two-sample t-test: of a score that was always 1 nothing else tells how it varies. Priors are
    pooled over the rows of `pool` (None: all).
    """
    seen = n > 0
    used = (base if window is None else base | window) & seen
    safe = np.maximum(n, 1.0)
    vote = voters(pool, np.asarray(used.any(axis=1)))
    origin = _centre(np.where(used, n, 0.0), np.where(used, total, 0.0), vote)
    mean = np.where(seen, total / safe - origin, 0.0)
    within = np.maximum(squares - total**2 / safe, 0.0)
    # what is left of a difference of large numbers is rounding, not scatter
    within = np.where(within > 1e-12 * np.maximum(squares, 1e-300), within, 0.0)
    ss = np.where(used, within, 0.0).sum(axis=1)
    df = np.where(used, n - 1, 0.0).sum(axis=1)
    own = ss / np.maximum(df, 1.0)
    unit = _unit(own, df, mean, used, voters(pool, df > 0))
    s2w = (ss / unit**2 + c.prior_within) / np.maximum(df + c.prior_within, 1e-12)
    column, mask = latest(base & seen, BASELINE_DAYS)
    day_n = np.where(mask, pick(n, column), 0.0)
    v = np.maximum(s2w, 1e-12)[:, None] / np.maximum(day_n, 1.0)
    y = pick(mean, column) / unit
    location = locate(y, v, mask, column, first_weekday=first_weekday, pool=pool, c=c)
    count = day_n.sum(axis=1)
    return Fit(location, s2w, origin, unit, count, count / np.maximum(location.days, 1))


def _unit(own: Floats, df: Floats, mean: Floats, used: Mask, vote: Mask) -> float:
    """Pooled deviation within a day: the median of the series', their mean where most never vary, else the days'."""
    if vote.any():
        typical = float(np.median(own[vote])) or float((own * df)[vote].sum() / df[vote].sum())
        if typical > 0:
            return float(np.sqrt(typical))
    spread = float(np.ptp(mean[used])) if used.any() else 0.0
    return spread if spread > 0 else 1.0


def compare(
    n: Floats,
    total: Floats,
    squares: Floats,
    base: Mask,
    window: Mask,
    *,
    first_weekday: int,
    cap: float,
    alpha: float,
    pool: Mask | None = None,
    c: Constants = DEFAULT,
) -> TestResult:
    """Window mean against baseline mean; effect and interval are differences in the score's own unit.

    t with min(d_i + d0, cap) degrees of freedom on the random-effects means (`location`); without priors and scatter
    between days it is the two-sample t-test with a pooled variance. Floor: 0.2 within-day deviations.
    """
    from scipy import special

    model = fit(n, total, squares, base, first_weekday=first_weekday, window=window, pool=pool, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & (n > 0), width)
    day_n = np.where(mask, pick(n, column), 0.0)
    safe = np.maximum(day_n, 1.0)
    y = np.where(mask, (pick(total, column) / safe - model.origin) / model.unit, 0.0)
    v = np.maximum(model.s2w, 1e-12)[:, None] / safe
    level, var = window_level(model.location, y, v, mask, column, first_weekday=first_weekday, c=c)
    n_w = day_n.sum(axis=1)
    status, tested = status_of(
        learning=(model.location.days < c.min_days) | (model.n < c.min_base_n), no_data=n_w < c.min_n
    )
    difference = np.where(tested, level - model.location.mu, np.nan)
    se = np.where(tested, np.sqrt(var), np.nan)
    df = np.where(tested, capped(model.location.df, cap, model.location.phi), np.nan)
    t = difference / se
    margin = special.stdtrit(df, 0.975) * se
    return TestResult(
        status=status,
        n=n_w,
        baseline_n=model.n,
        baseline_days=model.location.days,
        observed=np.where(n_w > 0, model.origin + model.unit * level, np.nan),
        baseline_value=np.where(model.n > 0, model.mean, np.nan),
        effect=model.unit * difference,
        low=model.unit * (difference - margin),
        high=model.unit * (difference + margin),
        statistic=t,
        df=df,
        p=2 * special.stdtr(df, -np.abs(t)),
        magnitude=np.abs(difference) / floors.SCORE_DEVIATIONS,
        smallest_detectable=model.unit * np.maximum(floors.reach(alpha, df) * se, floors.SCORE_DEVIATIONS),
    )


def detectable(model: Fit, *, days: int, cap: float, alpha: float, c: Constants = DEFAULT) -> Floats:
    """Smallest shift, in the score's unit, that `days` usual days would show with 80 % power; NaN while learning."""
    location = model.location
    k = np.full_like(model.n, float(days))
    v = np.maximum(model.s2w, 1e-12) / np.maximum(model.day_n, 1)
    se = np.sqrt(v / days + vif(k, location.phi) * location.tau2 / days + location.var_mu)
    ready = (location.days >= c.min_days) & (model.n >= c.min_base_n) & (model.day_n * days >= c.min_n)
    size = np.maximum(
        floors.reach(alpha, capped(location.df, cap, location.phi)) * se, floors.SCORE_DEVIATIONS
    )
    return np.where(ready, model.unit * size, np.nan)
