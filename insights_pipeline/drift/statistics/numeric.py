"""Latency, time to first token, cost, tokens, steps, output length: a moderated t-test on daily log-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, pick, ratio, voters
from insights_pipeline.drift.statistics.location import Location, locate, window_level
from insights_pipeline.drift.statistics.moderation import capped, vif
from insights_pipeline.drift.statistics.result import TestResult, status_of

# Variance of a log p95 in units of the within-day variance of a log value: p(1−p) / f² at .95 is about 4.5 for a
# normal; 6 leaves room for tails that are heavier.
_P95_VARIANCE = 6.0


@dataclass(frozen=True, slots=True)
class Daily:
    """One statistic of a metric per series and day.

    y is on the log scale and v its sampling variance per unit of within-day variance (1 / n_pos for a mean).
    """

    y: Floats
    v: Floats
    n: Floats
    mask: Mask
    slog: Floats
    slog2: Floats
    n_pos: Floats
    first_weekday: int  # of column 0, Monday is 0


def log_means(slog: Floats, slog2: Floats, n_pos: Floats, *, first_weekday: int) -> Daily:
    """y_d = slog / n_pos, the mean of log x over x > 0."""
    mask = n_pos > 0
    safe = np.maximum(n_pos, 1)
    return Daily(np.where(mask, slog / safe, 0.0), 1 / safe, n_pos, mask, slog, slog2, n_pos, first_weekday)


def log_p95(means: Daily, p95: Floats, *, c: Constants = DEFAULT) -> Daily:
    """y_d = log p95 of days with enough traces; v_d = 6 s2w / n."""
    mask = (means.n_pos >= c.min_day_p95) & (np.nan_to_num(p95) > 0)
    y = np.log(np.where(mask, np.nan_to_num(p95), 1.0))
    n = np.where(mask, means.n_pos, 0.0)
    return Daily(
        y,
        _P95_VARIANCE / np.maximum(n, 1),
        n,
        mask,
        means.slog,
        means.slog2,
        means.n_pos,
        means.first_weekday,
    )


@dataclass(frozen=True, slots=True)
class Fit:
    """The baseline of every series: location mu, its variance, and what a further day is expected to vary."""

    location: Location
    s2w: Floats
    n: Floats
    day_n: Floats  # traces of a usual day
    day_v: Floats  # sampling variance of a usual day, per unit of s2w

    @property
    def mu(self) -> Floats:
        return self.location.mu

    @property
    def tau2(self) -> Floats:
        return self.location.tau2

    @property
    def days(self) -> Floats:
        return self.location.days


def within_variance(daily: Daily, base: Mask, *, pool: Mask | None = None, c: Constants = DEFAULT) -> Floats:
    """s2w = (SSw + d0w·pool) / (DFw + d0w), SSw = Σ_d (slog2 − slog² / n_pos), pool the median of the voters."""
    use = base & (daily.n_pos > 0)
    squares = daily.slog2 - daily.slog**2 / np.maximum(daily.n_pos, 1)
    ss = np.where(use, np.maximum(squares, 0.0), 0.0).sum(axis=1)
    df = np.where(use, daily.n_pos - 1, 0.0).sum(axis=1)
    vote = voters(pool, df > 0)
    pooled = float(np.median(ss[vote] / df[vote])) if vote.any() else 1.0
    return np.asarray(
        np.maximum((ss + c.prior_within * pooled) / np.maximum(df + c.prior_within, 1e-12), 1e-12)
    )


def fit(daily: Daily, base: Mask, *, pool: Mask | None = None, c: Constants = DEFAULT) -> Fit:
    """Baseline of the days of `base` (the latest 30 of each row); variances are moderated across the rows of `pool`."""
    s2w = within_variance(daily, base, pool=pool, c=c)
    column, mask = latest(base & daily.mask, BASELINE_DAYS)
    v = pick(daily.v, column) * s2w[:, None]
    location = locate(
        pick(daily.y, column), v, mask, column, first_weekday=daily.first_weekday, pool=pool, c=c
    )
    n = np.where(mask, pick(daily.n, column), 0.0).sum(axis=1)
    # of days like these a window's weighted mean has the harmonic mean's variance
    weight = np.where(mask, 1 / np.maximum(pick(daily.v, column), 1e-300), 0.0).sum(axis=1)
    day_v = ratio(location.days, weight)
    return Fit(location, s2w, n, n / np.maximum(location.days, 1), day_v)


def compare(
    daily: Daily,
    base: Mask,
    window: Mask,
    *,
    cap: float,
    alpha: float,
    floor: float = floors.LOG_RATIO,
    min_days: int | None = None,
    pool: Mask | None = None,
    c: Constants = DEFAULT,
) -> TestResult:
    """Window against baseline, t = (ybar_W − mu) / sqrt(var), two-sided with min(d_i + d0, cap) degrees of freedom.

    var: see `location.window_level`. Effect is exp(difference) − 1. Priors are pooled over the rows of `pool` (None:
    all). Source: moderated t of Smyth (2004); heavy-tailed days are why df is capped.
    """
    from scipy import special

    model = fit(daily, base, pool=pool, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & daily.mask, width)
    v = pick(daily.v, column) * model.s2w[:, None]
    mean, var = window_level(
        model.location, pick(daily.y, column), v, mask, column, first_weekday=daily.first_weekday, c=c
    )
    n = np.where(mask, pick(daily.n, column), 0.0).sum(axis=1)
    status, tested = status_of(
        learning=(model.days < (c.min_days if min_days is None else min_days)) | (model.n < c.min_base_n),
        no_data=n < c.min_n,
    )
    difference = np.where(tested, mean - model.mu, np.nan)
    se = np.where(tested, np.sqrt(var), np.nan)
    df = np.where(tested, capped(model.location.df, cap, model.location.phi), np.nan)
    t = difference / se
    margin = special.stdtrit(df, 0.975) * se
    return TestResult(
        status=status,
        n=n,
        baseline_n=model.n,
        baseline_days=model.days,
        observed=np.where(n > 0, np.exp(np.where(n > 0, mean, 0.0)), np.nan),
        baseline_value=np.where(model.n > 0, np.exp(np.where(model.n > 0, model.mu, 0.0)), np.nan),
        effect=np.expm1(difference),
        low=np.expm1(difference - margin),
        high=np.expm1(difference + margin),
        statistic=t,
        df=df,
        p=2 * special.stdtr(df, -np.abs(t)),
        magnitude=np.abs(difference) / floor,
        smallest_detectable=np.expm1(np.maximum(floors.reach(alpha, df) * se, floor)),
    )


def detectable(
    model: Fit,
    *,
    days: int,
    cap: float,
    alpha: float,
    floor: float = floors.LOG_RATIO,
    c: Constants = DEFAULT,
) -> Floats:
    """Smallest relative rise that a window of `days` usual days would show with 80 % power; NaN while learning."""
    v = model.s2w * model.day_v
    k = np.full_like(v, float(days))
    se = np.sqrt(v / days + vif(k, model.location.phi) * model.tau2 / days + model.location.var_mu)
    ready = (model.days >= c.min_days) & (model.n >= c.min_base_n) & (model.day_n * days >= c.min_n)
    size = np.maximum(floors.reach(alpha, capped(model.location.df, cap, model.location.phi)) * se, floor)
    return np.where(ready, np.expm1(size), np.nan)
