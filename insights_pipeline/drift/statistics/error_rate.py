"""Error rate: a beta-binomial and a log-odds test, the weaker of the two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, pick, ratio
from insights_pipeline.drift.statistics.moderation import autocorrelation, prior_variance, squeeze, vif
from insights_pipeline.drift.statistics.result import Status, TestResult

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


def fit(n: Floats, k: Floats, base: Mask, *, c: Constants = DEFAULT) -> Fit:
    """Rates and overdispersion of the baseline days.

    p0 = (K + 5 P) / (N + 5); X2_d = n (phat − p0)² / (p0 q0), clipped at 25 (1 + .02 n); rho = Σ(X2 − 1) / Σ(n − 1) by
    moments, moderated across series as rho / (p0 q0), a variance of the log-odds. The overdispersion of rates is
    Laney's p' (2002) and the beta-binomial of Kleinman (1973).
    """
    column, mask = latest(base & (n > 0), BASELINE_DAYS)
    day_n = np.where(mask, pick(n, column), 0.0)
    day_k = np.where(mask, pick(k, column), 0.0)
    total, errors = day_n.sum(axis=1), day_k.sum(axis=1)
    m = mask.sum(axis=1).astype(np.float64)
    pooled = float(np.clip(errors.sum() / max(total.sum(), 1.0), *_POOLED_RATE))
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
    t0 = prior_variance(raw, vbar, m, m >= c.min_days, floor=c.tau2_floor)
    s2, d = squeeze(raw, t0, vbar, m, c=c)
    scale = np.sqrt(np.maximum(day_n * pq[:, None] * (1 + (day_n - 1) * (s2 * pq)[:, None]), 1e-12))
    phi = autocorrelation(deviation / scale, column, mask, c=c)
    a = day_n / np.maximum(total, 1.0)[:, None]
    return Fit(p0, s2, d + c.prior_days, phi, m, total, errors, (a**2).sum(axis=1))


def _effective(n: Floats, squares: Floats, days: Floats, rho: Floats, phi: float) -> Floats:
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
    c: Constants = DEFAULT,
) -> TestResult:
    """Window rate against p0; effect is the difference of the rates.

    z_beta is the mid-p binomial tail at fractional counts with 1 / (1 / n_eff,W + 1 / n_eff,B) trials, z_logit the
    difference of log-odds over its standard error; the smaller one counts, as t with min(d_i + d0, cap) degrees of
    freedom. Mid-p: Lancaster (1961). The interval is that of the log-odds with the same t, carried to the rates.
    """
    from scipy import special

    model = fit(n, k, base, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & (n > 0), width)
    day_n = np.where(mask, pick(n, column), 0.0)
    n_w, k_w = day_n.sum(axis=1), np.where(mask, pick(k, column), 0.0).sum(axis=1)
    days = mask.sum(axis=1).astype(np.float64)
    squares = ((day_n / np.maximum(n_w, 1.0)[:, None]) ** 2).sum(axis=1)
    status = np.full(len(n_w), int(Status.TESTED))
    status[n_w < c.min_n] = Status.NO_DATA
    status[(model.days < c.min_days) | (model.n < c.min_base_n)] = Status.LEARNING
    tested = status == Status.TESTED
    p0, rate = model.p0, k_w / np.maximum(n_w, 1.0)
    trials = 1 / (
        1 / _effective(n_w, squares, days, model.rho, model.phi)
        + 1 / _effective(model.n, model.squares, model.days, model.rho, model.phi)
    )
    z_beta = np.sign(rate - p0) * np.maximum(_tail_z(rate, p0, trials), 0.0)
    smooth = (k_w + _PRIOR_N * p0 / 10) / (n_w + _PRIOR_N / 10)
    log_odds = special.logit(np.clip(smooth, 1e-6, 1 - 1e-6)) - special.logit(p0)
    between = vif(days, model.phi) * squares + vif(model.days, model.phi) * model.squares
    se = np.sqrt(
        model.s2 * between + 1 / (n_w * smooth * (1 - smooth) + 0.5) + 1 / (model.n * p0 * (1 - p0) + 0.5)
    )
    z_logit = log_odds / se
    agree = np.sign(z_beta) == np.sign(z_logit)
    z = np.where(agree & tested, np.sign(z_logit) * np.minimum(np.abs(z_beta), np.abs(z_logit)), 0.0)
    z = np.where(tested, z, np.nan)
    df = np.where(tested, np.minimum(model.df, cap), np.nan)
    # widened where the beta test is the weaker one, so that interval and p-value say the same
    se = np.where(np.abs(z) > 1e-6, np.abs(log_odds) / np.maximum(np.abs(z), 1e-6), se)
    margin = special.stdtrit(df, 0.975) * se
    p_low, p_high = (special.expit(special.logit(p0) + log_odds + s * margin) for s in (-1, 1))
    reach = np.maximum(
        floors.reach(alpha, df)
        * np.sqrt(model.s2 * between + 1 / (n_w * p0 * (1 - p0) + 0.5) + 1 / (model.n * p0 * (1 - p0) + 0.5)),
        floors.RATE_LOG_RATIO,
    )
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
        smallest_detectable=_rise(p0, reach),
        parts={"k": k_w, "baseline_k": model.k},
    )


def _tail_z(rate: Floats, p0: Floats, trials: Floats) -> Floats:
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


def _magnitude(rate: Floats, p0: Floats) -> Floats:
    """Effect in units of the floor: both >= 1 pp and >= 1.2x either way."""
    points = np.abs(rate - p0) / floors.RATE_POINTS
    relative = np.abs(np.log(np.maximum(rate, 1e-9) / p0)) / floors.RATE_LOG_RATIO
    return np.minimum(points, relative)


def _rise(p0: Floats, reach: Floats) -> Floats:
    """A shift of the log-odds as a rise of the rate; at least the floor of 1 pp."""
    from scipy import special

    return np.asarray(np.maximum(special.expit(special.logit(p0) + reach) - p0, floors.RATE_POINTS))


def detectable(model: Fit, *, days: int, cap: float, alpha: float, c: Constants = DEFAULT) -> Floats:
    """Smallest rise of the rate that a window of `days` usual days would show with 80 % power; NaN while learning."""
    n = model.n / np.maximum(model.days, 1) * days
    pq = model.p0 * (1 - model.p0)
    k = np.full_like(n, float(days))
    between = vif(k, model.phi) / days + vif(model.days, model.phi) * model.squares
    se = np.sqrt(model.s2 * between + 1 / (n * pq + 0.5) + 1 / (model.n * pq + 0.5))
    ready = (model.days >= c.min_days) & (model.n >= c.min_base_n) & (n >= c.min_n)
    reach = np.maximum(floors.reach(alpha, np.minimum(model.df, cap)) * se, floors.RATE_LOG_RATIO)
    return np.where(ready, _rise(model.p0, reach), np.nan)
