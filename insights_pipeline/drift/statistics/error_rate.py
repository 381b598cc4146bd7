"""Error rate: a beta-binomial and a log-odds test, the weaker of the two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, pick, ratio, voters
from insights_pipeline.drift.statistics.moderation import (
    autocorrelation,
    capped,
    prior_variance,
    squeeze,
    vif,
    with_known,
)
from insights_pipeline.drift.statistics.rates import share_of, smallest_rise, tail_interval, weaker_z
from insights_pipeline.drift.statistics.result import TestResult, status_of

_PRIOR_N = 5.0  # traces that the pooled rate is worth in a series' own baseline rate
_POOLED_RATE = (0.005, 0.2)
_MAX_RHO = 0.3


@dataclass(frozen=True, slots=True)
class Fit:
    """Baseline of every series: rate p0 (shrunk to the pool), between-day variance s2 of the log-odds, phi."""

    p0: Floats
    s2: Floats
    df: Floats  # d_i + d0, before any cap
    phi: float
    days: Floats
    n: Floats
    k: Floats
    squares: Floats  # Σ a², a a day's share of the traces

    @property
    def rho(self) -> Floats:
        """Correlation of two traces of one day: s2·p0·q0."""
        return np.minimum(self.s2 * self.p0 * (1 - self.p0), _MAX_RHO)


def fit(
    n: Floats,
    k: Floats,
    base: Mask,
    *,
    pool: Mask | None = None,
    most_days: int = BASELINE_DAYS,
    c: Constants = DEFAULT,
) -> Fit:
    """Rates and overdispersion of the latest `most_days` days of `base`.

    p0 = (K + 5 P) / (N + 5); X2_d = n (phat − p0)² / (p0 q0), clipped at 25 (1 + .02 n); rho = Σ(X2 − 1) / Σ(n − 1) by
    moments, moderated across series as rho / (p0 q0), a variance of the log-odds. P, the prior of rho and phi come from
    the rows of `pool` (None: all). The overdispersion of rates is Laney's p' (2002) and the beta-binomial of Kleinman
    (1973).
    """
    column, mask = latest(base & (n > 0), most_days)
    day_n = np.where(mask, pick(n, column), 0.0)
    day_k = np.where(mask, pick(k, column), 0.0)
    total, errors = day_n.sum(axis=1), day_k.sum(axis=1)
    m = mask.sum(axis=1).astype(np.float64)
    vote = voters(pool, m > 0)
    pooled = float(np.clip(errors[vote].sum() / max(total[vote].sum(), 1.0), *_POOLED_RATE))
    p0 = (errors + _PRIOR_N * pooled) / (total + _PRIOR_N)
    pq = p0 * (1 - p0)
    deviation = day_k - day_n * p0[:, None]
    x2 = ratio(deviation**2, day_n * pq[:, None])
    x2 = np.where(mask, np.minimum(x2, 25 * (1 + 0.02 * day_n)), 0.0)
    surplus = (x2 - mask).sum(axis=1)
    rho = np.clip(surplus / np.maximum((day_n - mask).sum(axis=1), 1.0), 0.0, _MAX_RHO)
    vbar = ratio(m, total * pq)
    vbar = np.where(np.isfinite(vbar), vbar, 1.0)
    raw = rho / pq
    t0 = prior_variance(raw, vbar, m, m >= c.min_days, floor=c.tau2_floor, pool=pool)
    s2, d = squeeze(raw, t0, vbar, m, c=c)
    surplus_d = np.maximum(day_n - 1, 0) * (s2 * pq)[:, None]
    scale = np.sqrt(np.maximum(day_n * pq[:, None] * (1 + surplus_d), 1e-12))
    phi = autocorrelation(deviation / scale, surplus_d / (1 + surplus_d), column, mask, c=c, pool=pool)
    a = day_n / np.maximum(total, 1.0)[:, None]
    return Fit(p0, s2, d + c.prior_days, phi, m, total, errors, (a**2).sum(axis=1))


def effective(n: Floats, squares: Floats, days: Floats, rho: Floats, phi: float) -> Floats:
    """n_eff of a pooled rate: n / (1 + (n − 1) rho) for one day, with vif for several that remember each other."""
    return 1 / np.maximum((1 - rho) / np.maximum(n, 1) + rho * vif(days, phi) * squares, 1e-12)


def compare(
    n: Floats,
    k: Floats,
    base: Mask,
    window: Mask,
    *,
    cap: float,
    alpha: float,
    pool: Mask | None = None,
    most_days: int = BASELINE_DAYS,
    c: Constants = DEFAULT,
) -> TestResult:
    """Window rate against p0; effect is the difference of the rates.

    z as in `rates`, with 1 / (1 / n_eff,W + 1 / n_eff,B) trials, compared with t with min(d_i + d0, cap) degrees of
    freedom, and more where most of the variance is that of counts. The interval is that of the log-odds with the same
    t, carried to the rates; where the tail is the weaker or all or none failed, Clopper and Pearson's at that level.
    """
    from scipy import special

    model = fit(n, k, base, pool=pool, most_days=most_days, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & (n > 0), width)
    day_n = np.where(mask, pick(n, column), 0.0)
    n_w, k_w = day_n.sum(axis=1), np.where(mask, pick(k, column), 0.0).sum(axis=1)
    days = mask.sum(axis=1).astype(np.float64)
    squares = ((day_n / np.maximum(n_w, 1.0)[:, None]) ** 2).sum(axis=1)
    status, tested = status_of(
        learning=(model.days < c.min_days) | (model.n < c.min_base_n), no_data=n_w < c.min_n
    )
    p0, rate = model.p0, k_w / np.maximum(n_w, 1.0)
    trials, scatter, other = _precision(model, n_w, squares, days)
    found = weaker_z(rate, p0, n_w, trials, other)
    z = np.where(tested, found.z, np.nan)
    days_df = capped(model.df, cap, model.phi)
    df = np.where(tested, with_known(days_df, share_of(scatter, found.se), c.cap_counts), np.nan)
    margin = special.stdtrit(df, 0.975) * found.se
    p_low, p_high = (special.expit(special.logit(p0) + found.log_odds + s * margin) for s in (-1, 1))
    exact_low, exact_high = tail_interval(rate, trials, special.ndtr(-special.stdtrit(df, 0.975)))
    edge = (rate <= 0) | (rate >= 1)  # where log-odds have no width
    p_low = np.where(edge, exact_low, np.where(found.by_tail, np.maximum(p_low, exact_low), p_low))
    p_high = np.where(edge, exact_high, np.where(found.by_tail, np.minimum(p_high, exact_high), p_high))
    return TestResult(
        status=status,
        n=n_w,
        baseline_n=model.n,
        baseline_days=model.days,
        observed=np.where(n_w > 0, rate, np.nan),
        baseline_value=np.where(model.n > 0, p0, np.nan),
        effect=np.where(tested, rate - p0, np.nan),
        low=np.minimum(p_low - p0, np.where(tested, rate - p0, np.nan)),
        high=np.maximum(p_high - p0, np.where(tested, rate - p0, np.nan)),
        statistic=z,
        df=df,
        p=2 * special.stdtr(df, -np.abs(z)),
        magnitude=np.where(tested, _magnitude(rate, p0), np.nan),
        smallest_detectable=_rise(
            p0,
            smallest_rise(
                p0, n_w, trials, other, alpha=alpha, df=days_df, scatter=scatter, most=c.cap_counts
            ),
        ),
        parts={"k": k_w, "baseline_k": model.k},
    )


def _precision(model: Fit, n: Floats, squares: Floats, days: Floats) -> tuple[Floats, Floats, Floats]:
    """Effective trials of a comparison; of the log-odds the scatter between days, and with the baseline's sampling."""
    rho = model.rho
    trials = 1 / (
        1 / effective(n, squares, days, rho, model.phi)
        + 1 / effective(model.n, model.squares, model.days, rho, model.phi)
    )
    scatter = model.s2 * (vif(days, model.phi) * squares + vif(model.days, model.phi) * model.squares)
    return trials, scatter, scatter + 1 / (model.n * model.p0 * (1 - model.p0) + 0.5)


def _magnitude(rate: Floats, p0: Floats) -> Floats:
    """Effect in units of the floor: both >= 1 pp and >= 1.2x either way."""
    points = np.abs(rate - p0) / floors.RATE_POINTS
    relative = np.abs(np.log(np.maximum(rate, 1e-9) / p0)) / floors.RATE_LOG_RATIO
    return np.minimum(points, relative)


def _rise(p0: Floats, p1: Floats) -> Floats:
    """From p0 to p1, but at least the floors: 1 pp and 1.2x; NaN where that is beyond 1."""
    rise = np.maximum(p1 - p0, np.maximum(floors.RATE_POINTS, p0 * np.expm1(floors.RATE_LOG_RATIO)))
    return np.where(p0 + rise <= 1, rise, np.nan)


def detectable(model: Fit, *, days: int, cap: float, alpha: float, c: Constants = DEFAULT) -> Floats:
    """Smallest rise of the rate that a window of `days` usual days would show with 80 % power; NaN while learning."""
    n = model.n / np.maximum(model.days, 1) * days
    k = np.full_like(n, float(days))
    trials, scatter, other = _precision(model, n, 1 / k, k)
    df = capped(model.df, cap, model.phi)
    ready = (model.days >= c.min_days) & (model.n >= c.min_base_n) & (n >= c.min_n)
    p1 = smallest_rise(
        model.p0,
        np.maximum(n, 1e-9),
        trials,
        other,
        alpha=alpha,
        df=df,
        scatter=scatter,
        most=c.cap_counts,
    )
    return np.where(ready, _rise(model.p0, p1), np.nan)
