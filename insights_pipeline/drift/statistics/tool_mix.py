"""Tool mix: a chi-square on per-trace shares, with the day-to-day scatter taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import BASELINE_DAYS, DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Mask, latest, pick
from insights_pipeline.drift.statistics.error_rate import effective
from insights_pipeline.drift.statistics.moderation import autocorrelation, capped, prior_variance, squeeze
from insights_pipeline.drift.statistics.result import Status, TestResult

_MAX_RHO = 0.3


@dataclass(frozen=True, slots=True)
class Fit:
    """Baseline of every series: shares pi [series, tools], between-day correlation rho, phi."""

    pi: Floats
    rho: Floats
    df: Floats  # d_i + d0, before any cap
    phi: float
    days: Floats
    n: Floats
    squares: Floats

    def n_eff(self) -> Floats:
        return effective(self.n, self.squares, self.days, self.rho, self.phi)


def pearson(difference: Floats, pi: Floats, n: Floats) -> tuple[Floats, Floats]:
    """X2 = n Σ_k (p_k − pi_k)² / (pi_k + 1/n) and its expectation m1 under the null (K − 1 for common tools).

    The 1/n in the denominator keeps one trace with a never-seen tool from counting as a miracle: a category that is
    expected less than once counts by its variance, not as a full degree of freedom.
    """
    damped = pi + 1 / np.maximum(n, 1e-9)[..., None]
    x2 = n * (difference**2 / damped).sum(axis=-1)
    return x2, (pi * (1 - pi) / damped).sum(axis=-1)


def fit(n: Floats, shares: Floats, base: Mask, *, pool: Mask | None = None, c: Constants = DEFAULT) -> Fit:
    """Shares and overdispersion of the baseline days; `shares` [series, days, tools] sums to n over the tools.

    E[X2_d] = m1 (1 + (n_d − 1) rho): rho by moments, moderated across series as in `error_rate`; its prior and phi
    come from the rows of `pool` (None: all). Source:
    Dirichlet-multinomial overdispersion of Mosimann (1962).
    """
    column, mask = latest(base & (n > 0), BASELINE_DAYS)
    day_n = np.where(mask, pick(n, column), 0.0)
    day = np.take_along_axis(shares, column[:, :, None], axis=1) * mask[:, :, None]
    total = day_n.sum(axis=1)
    m = mask.sum(axis=1).astype(np.float64)
    pi = day.sum(axis=1) / np.maximum(total, 1.0)[:, None]
    difference = (day / np.maximum(day_n, 1.0)[:, :, None] - pi[:, None, :]) * mask[:, :, None]
    x2, expected = pearson(difference, pi[:, None, :], np.maximum(day_n, 1e-9))
    freedom = m / np.maximum(m - 1, 1)  # pi was estimated from the same days
    relative = np.where(mask & (expected > 1e-6), x2 / np.maximum(expected, 1e-6), mask) * freedom[:, None]
    relative = np.where(mask, np.minimum(relative, 25 * (1 + 0.02 * day_n)), 0.0)
    rho = (relative - mask).sum(axis=1) / np.maximum((day_n - mask).sum(axis=1), 1.0)
    rho = np.clip(rho, 0.0, _MAX_RHO)
    vbar = m / np.maximum(total, 1.0)
    t0 = prior_variance(rho, vbar, m, m >= c.min_days, floor=c.tau2_floor, pool=pool)
    rho, d = squeeze(rho, t0, vbar, m, c=c)
    phi = _phi(difference, pi, day_n, rho, column, mask, pool=pool, c=c)
    a = day_n / np.maximum(total, 1.0)[:, None]
    return Fit(pi, rho, d + c.prior_days, phi, m, total, (a**2).sum(axis=1))


def _phi(
    difference: Floats,
    pi: Floats,
    n: Floats,
    rho: Floats,
    column: np.ndarray,
    mask: Mask,
    *,
    pool: Mask | None,
    c: Constants,
) -> float:
    """Lag-1 autocorrelation of the standardised residual of each series' most variable tool."""
    restless = (difference**2).sum(
        axis=1
    )  # of tools used alike the one that moved more, whatever their order
    lead = np.argmax(pi * (1 - pi) + 1e-9 * restless / (1 + restless), axis=1)
    row = np.arange(len(pi))
    spread = (pi * (1 - pi))[row, lead][:, None] * (1 / np.maximum(n, 1.0) + rho[:, None])
    z = difference[row, :, lead] / np.sqrt(np.maximum(spread, 1e-12))
    share = rho[:, None] / np.maximum(1 / np.maximum(n, 1.0) + rho[:, None], 1e-12)
    return autocorrelation(z, share, column, mask & (spread > 1e-9), c=c, pool=pool)


def compare(
    n: Floats,
    shares: Floats,
    base: Mask,
    window: Mask,
    *,
    cap: float,
    alpha: float,
    pool: Mask | None = None,
    c: Constants = DEFAULT,
) -> TestResult:
    """Window shares against baseline shares; effect is the total variation, half the sum of |differences|.

    F = X2 / m1 ~ F(m1, min(d_i + d0, 2 cap)) with 1 / (1 / n_eff,W + 1 / n_eff,B) traces. Source: the second-order
    (design-effect) correction of Rao and Scott (1984). `parts` has both share vectors [series, tools].
    """
    from scipy import special

    model = fit(n, shares, base, pool=pool, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & (n > 0), width)
    day_n = np.where(mask, pick(n, column), 0.0)
    day = np.take_along_axis(shares, column[:, :, None], axis=1) * mask[:, :, None]
    n_w, days = day_n.sum(axis=1), mask.sum(axis=1).astype(np.float64)
    now = day.sum(axis=1) / np.maximum(n_w, 1.0)[:, None]
    squares = ((day_n / np.maximum(n_w, 1.0)[:, None]) ** 2).sum(axis=1)
    trials = 1 / (1 / effective(n_w, squares, days, model.rho, model.phi) + 1 / model.n_eff())
    difference = now - model.pi
    # a tool that only the window has is judged against its pooled share
    weight = (trials / np.maximum(model.n_eff(), 1e-9))[:, None]
    pooled = model.pi * (1 - weight) + now * weight
    x2, m1 = pearson(difference, pooled, trials)
    status = np.full(len(n_w), int(Status.TESTED))
    status[n_w < c.min_n] = Status.NO_DATA
    status[(model.days < c.min_days) | (model.n < c.min_base_n)] = Status.LEARNING
    tested = status == Status.TESTED
    m1 = np.maximum(m1, 1e-3)
    df = np.where(tested, capped(model.df, 2 * cap, model.phi), np.nan)
    f = np.where(tested, x2 / m1, np.nan)
    variation = np.abs(difference).sum(axis=1) / 2
    by_chance = expected_variation(pooled, trials)
    side = np.where(np.abs(difference) > 1e-12, np.sign(difference), 0.0)
    spread = ((side**2 * now).sum(axis=1) - (side * now).sum(axis=1) ** 2) / trials
    margin = special.stdtrit(df, 0.975) * np.sqrt(np.maximum(spread, 0.0)) / 2
    return TestResult(
        status=status,
        n=n_w,
        baseline_n=model.n,
        baseline_days=model.days,
        observed=np.where(tested, variation, np.nan),
        baseline_value=np.where(tested, by_chance, np.nan),
        effect=np.where(tested, variation, np.nan),
        low=np.maximum(variation - by_chance - margin, 0.0),
        high=np.minimum(variation + margin, 1.0),
        statistic=f,
        df=df,
        p=special.fdtrc(m1, df, f),
        magnitude=np.where(tested, np.maximum(variation - by_chance, 0) / floors.EXCESS_VARIATION, np.nan),
        smallest_detectable=np.where(tested, _detectable(model.pi, m1, df, trials, by_chance, alpha), np.nan),
        parts={"now": now, "before": model.pi},
    )


def expected_variation(pi: Floats, n: Floats) -> Floats:
    """E0[TV]: what chance alone gives, Σ_k sqrt(2 pi_k (1 − pi_k) / (π n)) / 2."""
    return np.asarray(np.sqrt(2 / np.pi * pi * (1 - pi) / n[:, None]).sum(axis=1) / 2)


def _detectable(pi: Floats, m1: Floats, df: Floats, n: Floats, by_chance: Floats, alpha: float) -> Floats:
    """Total variation of a swap between the two tools used most that F would find with 80 % power.

    The noncentrality lambda solves C = m1 + lambda − z sqrt(2 m1 + 4 lambda), C the critical X2 and z the 80 % quantile
    (the noncentral chi-square by its mean and variance); a swap of t has X2 = n t² (1 / pi_1 + 1 / pi_2).
    """
    from scipy import special

    usable = np.where(df > 0, df, np.nan)
    surplus = special.fdtri(m1, usable, 1 - alpha) * m1 - m1
    z = special.stdtrit(usable, floors.POWER)
    noncentral = surplus + 2 * z**2 + z * np.sqrt(np.maximum(4 * surplus + 4 * z**2 + 2 * m1, 0.0))
    first, second = (
        np.sort(pi + 1 / n[:, None], axis=1)[:, ::-1][:, :2].T if pi.shape[1] > 1 else (pi[:, 0],) * 2
    )
    swap = np.sqrt(noncentral / n / (1 / first + 1 / np.maximum(second, 1e-9)))
    return np.asarray(np.minimum(np.maximum(swap, floors.EXCESS_VARIATION + by_chance), 1.0))


def detectable(model: Fit, *, days: int, cap: float, alpha: float, c: Constants = DEFAULT) -> Floats:
    """Smallest total variation that a window of `days` usual days would show with 80 % power; NaN while learning."""
    n = model.n / np.maximum(model.days, 1) * days
    k = np.full_like(n, float(days))
    trials = 1 / (1 / effective(n, 1 / k, k, model.rho, model.phi) + 1 / model.n_eff())
    _, m1 = pearson(np.zeros_like(model.pi), model.pi, trials)
    ready = (model.days >= c.min_days) & (model.n >= c.min_base_n) & (n >= c.min_n)
    df = capped(model.df, 2 * cap, model.phi)
    chance = expected_variation(model.pi, trials)
    return np.where(ready, _detectable(model.pi, np.maximum(m1, 1e-3), df, trials, chance, alpha), np.nan)
