"""Between-day variance, borrowed across series: what makes a p-value mean what it says.

Symbols: y a day's statistic, v its sampling variance, tau2 the variance between days beyond v, m the number of days.
"""

from __future__ import annotations

import numpy as np

from insights_pipeline.drift.constants import Constants
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask, masked_median, voters

_MOST_STEPS = 60  # halving alone needs no more for the precision; Newton about five
_PRECISION = 1e-7  # relative, of tau2
_POOL_ROUNDS = 6
_USUAL_PHI = 0.3


def huber_mean(
    y: Floats, w: Floats, mask: Mask, *, huber: float, start: Floats | None = None
) -> tuple[Floats, Floats]:
    """Weighted mean of each row by two Huber steps from `start` (the median), and its weights, which sum to 1.

    `w` is 1 / variance; `huber` infinite is the plain weighted mean. Source: Huber (1964), scale known from `w`.
    """
    mu = masked_median(y, mask) if start is None else start
    weight = np.where(mask, w, 0.0)
    root = np.sqrt(weight)
    a = weight
    for _ in range(2):
        z = np.abs(y - mu[:, None]) * root
        a = weight if np.isinf(huber) else weight * np.minimum(1.0, huber / np.maximum(z, huber))
        total = a.sum(axis=1)
        a = a / np.where(total > 0, total, 1.0)[:, None]
        mu = (a * y).sum(axis=1)
    return mu, a


def paule_mandel(y: Floats, v: Floats, mask: Mask, *, c: Constants) -> Floats:
    """tau2 of each row: the root of sum(min((y − mu)² / (tau2 + v), winsor)) · consistency = m − 1; 0 if there is none.

    Source: Paule and Mandel (1982), J. Res. NBS 87, winsorised, with mu by Huber steps. Newton steps on 1 / sum, which
    is a straight line in tau2 where the days have one v, inside a bracket that is halved where a step would leave it.
    Every row stops on its own: its bits do not depend on the rows beside it.
    """
    y, v = np.where(mask, y, 0.0), np.where(mask, v, 1.0)
    target = mask.sum(axis=1) - 1.0
    median = masked_median(y, mask)

    def squares(tau2: Floats, row: Ints) -> tuple[Floats, Floats]:
        """The sum, and by how much it falls per unit of tau2."""
        w = 1.0 / np.maximum(tau2[:, None] + v[row], 1e-200)
        mu, _ = huber_mean(y[row], w, mask[row], huber=c.huber, start=median[row])
        z = np.where(mask[row], (y[row] - mu[:, None]) ** 2 * w, 0.0)
        falling = np.where(z < c.winsor, z * w, 0.0).sum(axis=1)
        return np.minimum(z, c.winsor).sum(axis=1) * c.consistency, falling * c.consistency

    found = np.zeros(len(y))
    surplus = squares(found, np.arange(len(y)))[0] - target
    row = np.flatnonzero((surplus > 0) & (target > 0))
    spread = np.where(mask, np.abs(y - median[:, None]), 0.0).max(axis=1)
    high = (spread**2 * np.maximum(mask.sum(axis=1), 1) * 2 + 1e-12)[row]
    low, tau2 = np.zeros(len(row)), high / np.maximum(2 * mask.sum(axis=1), 1)[row]
    for _ in range(_MOST_STEPS):
        if not row.size:
            break
        total, falling = squares(tau2, row)
        above = total > target[row]
        low, high = np.where(above, tau2, low), np.where(above, high, tau2)
        step = (total - target[row]) * total / np.maximum(target[row] * falling, 1e-300)
        halved = np.where(low > 0, np.sqrt(low * high), high * 1e-3)  # a variance: on the log scale
        after = np.where((tau2 + step > low) & (tau2 + step < high), tau2 + step, halved)
        found[row] = after
        open_ = np.abs(after - tau2) > _PRECISION * tau2
        row, low, high, tau2 = row[open_], low[open_], high[open_], after[open_]
    return found


def prior_variance(
    tau2: Floats, vbar: Floats, m: Floats, usable: Mask, *, floor: float, pool: Mask | None = None
) -> float:
    """t0: the precision-weighted pool of tau2 across the series of a metric, winsorised at 6 median + 3 vbar.

    Only rows of `pool` vote (all, if it is None or none of them is usable): a slice repeats its intent's traffic.
    The cut is at the median, not at the pool itself: with six series or fewer one wild one would move its own cut.
    """
    usable = voters(pool, usable)
    if not usable.any():
        return floor
    tau2, vbar, m = tau2[usable], vbar[usable], m[usable]
    t0 = max(float(np.median(tau2)), floor)
    cut = np.minimum(tau2, 6 * t0 + 3 * vbar)
    for _ in range(_POOL_ROUNDS):
        precision = np.maximum(m - 1, 0.5) / (t0 + vbar) ** 2
        pooled = (precision * cut).sum() / precision.sum()
        t0 = max(float(pooled), floor)
    return t0


def squeeze(tau2: Floats, t0: float, vbar: Floats, m: Floats, *, c: Constants) -> tuple[Floats, Floats]:
    """Moderated tau2 and the degrees of freedom d_i that a series' own days are worth.

    tau2~ = (d0·t0 + d_i·tau2) / (d0 + d_i), d_i = (m − 1)(t0 / (t0 + vbar))²: sampling noise of a day counts against
    what it says about the days. Source: Smyth (2004), SAGMB 3(1), `limma::squeezeVar`, with d0 fixed.
    """
    d = np.maximum(m - 1, 0) * (t0 / (t0 + vbar)) ** 2
    return (c.prior_days * t0 + d * tau2) / np.maximum(c.prior_days + d, 1e-12), d


def autocorrelation(
    z: Floats, share: Floats, column: Ints, mask: Mask, *, c: Constants, pool: Mask | None = None
) -> float:
    """phi: the pooled lag-1 autocorrelation of day effects, in [0, phi_max], from standardised residuals z.

    `share` is the part of a residual's variance that is the day's and not sampling noise, which has no memory: the
    product of two neighbours is phi·sqrt(share·share'), so phi is its slope. A mean estimated from m days takes
    (1 + 3 phi) / m away (Kendall 1954), which is put back. Few pairs of days are held to `phi_prior`.

    `column` says which calendar day an entry is: only neighbours count. Residuals beyond 3 are cut. Rows outside
    `pool` do not vote.
    """
    rows = voters(pool, np.asarray(mask.any(axis=1)))
    z, share, column, mask = z[rows], share[rows], column[rows], mask[rows]
    if c.phi_max == 0 or z.shape[1] < 2:
        return 0.0
    z = np.where(mask, np.clip(z, -3, 3), 0.0)
    pairs = mask[:, 1:] & mask[:, :-1] & (np.diff(column, axis=1) == 1)
    slope = np.where(pairs, np.sqrt(np.maximum(share[:, 1:] * share[:, :-1], 0.0)), 0.0)
    squares = float((z**2).sum() / max(1, mask.sum()))
    weight = float((slope**2).sum())
    if squares <= 0:
        return min(c.phi_prior, c.phi_max)
    phi = float((z[:, 1:] * z[:, :-1] * slope).sum()) / max(weight, 1e-300) / squares
    phi += (1 + 3 * max(phi, 0.0)) * float((mask.sum(axis=1) > 0).sum() / max(1, mask.sum()))
    phi = (weight * phi + c.phi_pairs * c.phi_prior) / max(weight + c.phi_pairs, 1e-300)
    return float(np.clip(phi, 0.0, c.phi_max))


def capped(df: Floats, cap: float, phi: float) -> Floats:
    """Degrees of freedom of a t, at most `cap`, and fewer where days remember each other more than usual.

    Of m days with autocorrelation phi a variance is known as of m (1 − phi²) / (1 + phi²) independent ones. Source:
    Bayley and Hammersley (1946), JRSS Suppl. 8. The caps were chosen where phi is .3, so only more memory counts.
    """
    independent = (1 - phi**2) / (1 + phi**2) * (1 + _USUAL_PHI**2) / (1 - _USUAL_PHI**2)
    return np.asarray(np.minimum(df, cap * min(independent, 1.0)))


def with_known(df: Floats, share: Floats, most: float) -> Floats:
    """Degrees of freedom, at most `most`, of a variance of which only `share` is estimated, with `df`; never below df.

    The rest is known, as that of a count is. Source: Satterthwaite (1946), Biometrics 2.
    """
    return np.asarray(np.maximum(df, np.minimum(df / np.maximum(share, 1e-3) ** 2, most)))


def vif(k: Floats, phi: float) -> Floats:
    """By how much autocorrelation inflates the variance of a mean of k days: 1 + 2 Σ_{j<k} (1 − j/k) phi^j."""
    if phi <= 0:
        return np.ones_like(k)
    safe = np.maximum(k, 1.0)
    head = phi * (1 - phi ** (safe - 1)) / (1 - phi)
    weighted = phi * (1 - safe * phi ** (safe - 1) + (safe - 1) * phi**safe) / (1 - phi) ** 2
    return 1 + 2 * (head - weighted / safe)
