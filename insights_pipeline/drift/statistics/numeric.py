"""Latency, cost, steps, output length: a moderated t-test on daily log-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask, latest, pick
from insights_pipeline.drift.statistics.moderation import (
    autocorrelation,
    huber_mean,
    paule_mandel,
    prior_variance,
    squeeze,
    vif,
)
from insights_pipeline.drift.statistics.result import Status, TestResult
from insights_pipeline.drift.statistics.weekday import weekday_effects

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

    mu: Floats
    var_mu: Floats
    s2w: Floats
    tau2: Floats
    df: Floats  # d_i + d0, before any cap
    phi: float
    days: Floats
    n: Floats
    day_n: Floats  # traces of a usual day
    weekday: Floats  # [series, 7]
    weekday_var: Floats


def within_variance(daily: Daily, base: Mask, *, c: Constants = DEFAULT) -> Floats:
    """s2w = (SSw + d0w·pool) / (DFw + d0w), SSw = Σ_d (slog2 − slog² / n_pos), pool the median over series."""
    use = base & (daily.n_pos > 0)
    squares = daily.slog2 - daily.slog**2 / np.maximum(daily.n_pos, 1)
    ss = np.where(use, np.maximum(squares, 0.0), 0.0).sum(axis=1)
    df = np.where(use, daily.n_pos - 1, 0.0).sum(axis=1)
    pool = float(np.median(ss[df > 0] / df[df > 0])) if (df > 0).any() else 1.0
    return np.asarray(
        np.maximum((ss + c.prior_within * pool) / np.maximum(df + c.prior_within, 1e-12), 1e-12)
    )


def fit(daily: Daily, base: Mask, *, c: Constants = DEFAULT) -> Fit:
    """Baseline of the days of `base` (the latest 30 of each row); variances are moderated across all rows."""
    s2w = within_variance(daily, base, c=c)
    column, mask = latest(base & daily.mask, BASELINE_DAYS)
    y, v = pick(daily.y, column), pick(daily.v, column) * s2w[:, None]
    m = mask.sum(axis=1).astype(np.float64)
    effects, effect_var = _weekdays(y, v, mask, column, daily.first_weekday, c=c)
    y = y - np.take_along_axis(effects, (column + daily.first_weekday) % 7, axis=1)
    vbar = np.where(mask, v, 0.0).sum(axis=1) / np.maximum(m, 1)
    raw = paule_mandel(y, v, mask, c=c)
    t0 = prior_variance(raw, vbar, m, m >= c.min_days, floor=c.tau2_floor)
    tau2, d = squeeze(raw, t0, vbar, m, c=c)
    mu, a = huber_mean(y, 1 / (v + tau2[:, None]), mask, huber=c.huber)
    z = (y - mu[:, None]) / np.sqrt(v + tau2[:, None])
    phi = autocorrelation(z, column, mask, c=c)
    var_mu = (a**2 * v).sum(axis=1) + vif(m, phi) * (a**2).sum(axis=1) * tau2
    n = np.where(mask, pick(daily.n, column), 0.0).sum(axis=1)
    return Fit(mu, var_mu, s2w, tau2, d + c.prior_days, phi, m, n, n / np.maximum(m, 1), effects, effect_var)


def _weekdays(
    y: Floats, v: Floats, mask: Mask, column: Ints, first_weekday: int, *, c: Constants
) -> tuple[Floats, Floats]:
    rough = np.where(mask, y - np.where(mask, y, 0).sum(axis=1, keepdims=True) / _count(mask), 0.0)
    spread = np.maximum((rough**2).sum(axis=1, keepdims=True) / _count(mask), c.tau2_floor)
    mu, _ = huber_mean(y, 1 / (v + spread), mask, huber=c.huber)
    cut = 3 * np.sqrt(v + spread)
    residual = np.clip(y - mu[:, None], -cut, cut)
    return weekday_effects(residual, 1 / (v + spread), mask, column, first_weekday, min_days=c.weekday_days)


def _count(mask: Mask) -> Floats:
    return np.asarray(np.maximum(mask.sum(axis=1, keepdims=True), 1).astype(np.float64))


def compare(
    daily: Daily,
    base: Mask,
    window: Mask,
    *,
    cap: float,
    alpha: float,
    floor: float = floors.LOG_RATIO,
    min_days: int | None = None,
    c: Constants = DEFAULT,
) -> TestResult:
    """Window against baseline, t = (ybar_W − mu) / sqrt(var), two-sided with min(d_i + d0, cap) degrees of freedom.

    var adds, for both sides, the sampling variance Σ a² v and vif·Σ a² tau2~ (a are the normalised Huber weights), and
    the uncertainty of the weekday effects. Effect is exp(difference) − 1. Source: moderated t of Smyth (2004) on the
    random-effects mean of DerSimonian and Laird (1986); heavy-tailed days are why df is capped.
    """
    from scipy import special

    model = fit(daily, base, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & daily.mask, width)
    weekday = (column + daily.first_weekday) % 7
    y = pick(daily.y, column) - np.take_along_axis(model.weekday, weekday, axis=1)
    v = pick(daily.v, column) * model.s2w[:, None]
    mean, a = huber_mean(y, 1 / (v + model.tau2[:, None]), mask, huber=c.huber)
    per_weekday = (a[:, :, None] * (weekday[:, :, None] == np.arange(7))).sum(axis=1)
    k = mask.sum(axis=1).astype(np.float64)
    var = (
        (a**2 * v).sum(axis=1)
        + vif(k, model.phi) * (a**2).sum(axis=1) * model.tau2
        + (per_weekday**2 * model.weekday_var).sum(axis=1)
        + model.var_mu
    )
    n = np.where(mask, pick(daily.n, column), 0.0).sum(axis=1)
    status = np.full(len(n), int(Status.TESTED))
    status[n < c.min_n] = Status.NO_DATA
    status[(model.days < (c.min_days if min_days is None else min_days)) | (model.n < c.min_base_n)] = (
        Status.LEARNING
    )
    tested = status == Status.TESTED
    difference = np.where(tested, mean - model.mu, np.nan)
    se = np.where(tested, np.sqrt(var), np.nan)
    df = np.where(tested, np.minimum(model.df, cap), np.nan)
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


def detectable(model: Fit, *, days: int, cap: float, alpha: float, c: Constants = DEFAULT) -> Floats:
    """Smallest relative rise that a window of `days` usual days would show with 80 % power; NaN while learning."""
    v = model.s2w / np.maximum(model.day_n, 1)
    k = np.full_like(v, float(days))
    se = np.sqrt(v / days + vif(k, model.phi) * model.tau2 / days + model.var_mu)
    ready = (model.days >= c.min_days) & (model.n >= c.min_base_n) & (model.day_n * days >= c.min_n)
    size = np.maximum(floors.reach(alpha, np.minimum(model.df, cap)) * se, floors.LOG_RATIO)
    return np.where(ready, np.expm1(size), np.nan)
