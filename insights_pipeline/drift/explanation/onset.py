"""When a change began: the likeliest first day of a step or of a creep, and a 95 % interval of days.

Symbols: y_d a day's statistic, v_d its sampling variance, tau2 the variance between days beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import DEFAULT
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.moderation import autocorrelation, paule_mandel
from insights_pipeline.drift.statistics.weekday import weekday_effects

STEP, RAMP = "step", "ramp"
SEARCH_DAYS = 40  # a change that nobody noticed for longer has no first day worth naming

_LEAST_BEFORE = 4  # days that must lie before a change for it to be one
_LEAST_RAMP = 6  # days that a creep must have lasted to be told from a step
_ROUNDS = 12
# Day effects are heavy-tailed: a t likelihood, which one wild day cannot drag along.
_FREEDOM = 5.0
# 95 % of the likelihood ratio of a change-point: −2 ln(1 − √.95). Source: Hansen (2000), Econometrica 68, eq. 10.
_STEP_CRITICAL = 7.35
# A kink is an ordinary parameter, so chi-square with one degree of freedom (3.84) would do; on a grid of days 4.5
# covered the beginning of 90 to 97 % of simulated creeps (seeds 0-59).
_RAMP_CRITICAL = 4.5
# By how much 2 log L of the creep must exceed that of the step: with 4, 95 % of simulated steps and more are called
# steps on the day they are found (seeds 0-59).
_RAMP_MARGIN = 4.0
_PRIOR_DAYS = 6.0  # days of evidence that the prior of tau2 is worth
_PRIOR_PHI, _PRIOR_PHI_DAYS = 0.25, 30.0  # one series of a month says little about its own autocorrelation


@dataclass(frozen=True, slots=True)
class Found:
    """Columns of the likeliest first day and of the ends of its 95 % interval; `step` or `ramp`."""

    column: int
    first: int
    last: int
    shape: str


def find_onset(
    y: Floats,
    v: Floats,
    mask: Mask,
    base: Mask,
    *,
    earliest: int,
    latest: int,
    sign: int,
    tau2_prior: float,
    first_weekday: int = 0,
) -> Found | None:
    """First day of the change of one series [days], sought in the columns earliest … latest; None: nothing to tell by.

    `mask`: days that count, `base`: those known as normal (the baseline used); `sign`: +1 for a rise, −1 for a fall.
    Profile likelihood over the first day t of y_d = mu + delta·x_d(t), x a step or a linear creep still going on, with
    t errors of scale (v + tau2); the likelihood ratio is divided by the long-run variance (1 + phi)/(1 − phi).
    Source: Hinkley (1970), Biometrika 57, for the step; interval by inversion, Hansen (2000).
    """
    base = base & mask
    if base.sum() < _LEAST_BEFORE:
        return None
    y = np.where(mask, y, 0.0) - _weekdays(y, v, base, first_weekday)
    tau2, phi = _scale(y, v, base, tau2_prior)
    days = np.flatnonzero(mask)
    y, variance = y[days], (v[days] + tau2) * (_FREEDOM - 2) / _FREEDOM
    # a day without data cannot be the first that shows a change
    starts = np.flatnonzero((days >= earliest) & (days <= latest) & (np.arange(len(days)) >= _LEAST_BEFORE))
    if starts.size == 0:
        return None
    inflation = (1 + phi) / (1 - phi)
    elapsed = (days[None, :] - days[starts][:, None]).astype(np.float64)
    steps = 2 * _likelihood((elapsed >= 0).astype(np.float64), y, variance, sign) / inflation
    ramps = 2 * _likelihood(np.maximum(elapsed + 1, 0.0), y, variance, sign) / inflation
    ramps[days[-1] - days[starts] + 1 < _LEAST_RAMP] = -np.inf
    is_ramp = ramps.max() - steps.max() > _RAMP_MARGIN
    best = max(steps.max(), ramps.max())
    # the interval is over both shapes: what looks like a late step may be an early creep
    inside = np.flatnonzero((best - steps <= _STEP_CRITICAL) | (best - ramps <= _RAMP_CRITICAL))
    likeliest = int(np.argmax(ramps if is_ramp else steps))
    inside = np.union1d(inside, [likeliest])
    # what happened between two days with data may have happened on any day between them
    first = int(days[starts[inside[0]] - 1]) + 1
    return Found(
        int(days[starts[likeliest]]), first, int(days[starts[inside[-1]]]), RAMP if is_ramp else STEP
    )


def _weekdays(y: Floats, v: Floats, base: Mask, first_weekday: int) -> Floats:
    """The weekday effect of every day, as far as the normal days show one."""
    level = float(np.median(y[base]))
    spread = float(np.median((y[base] - level) ** 2)) / 0.455 + 1e-12  # 0.455: median of chi-square with 1 df
    w = 1 / (v + spread)
    cut = 3 * np.sqrt(v + spread)
    residual = np.clip(np.where(base, y, level) - level, -cut, cut)
    column = np.arange(len(y), dtype=np.int64)
    effects, _ = weekday_effects(
        residual[None, :],
        w[None, :],
        base[None, :],
        column[None, :],
        first_weekday,
        min_days=DEFAULT.weekday_days,
    )
    return np.asarray(effects[0][(column + first_weekday) % 7])


def _scale(y: Floats, v: Floats, base: Mask, prior: float) -> tuple[float, float]:
    """tau2 of the normal days, held to its prior, and their autocorrelation."""
    m = float(base.sum())
    raw = float(paule_mandel(y[None, :], v[None, :], base[None, :], c=DEFAULT)[0])
    tau2 = max((_PRIOR_DAYS * prior + (m - 1) * raw) / (_PRIOR_DAYS + m - 1), DEFAULT.tau2_floor)
    z = (y - np.median(y[base])) / np.sqrt(v + tau2)
    column = np.arange(len(y), dtype=np.int64)
    own = autocorrelation(z[None, :], np.ones_like(z[None, :]), column[None, :], base[None, :], c=DEFAULT)
    return tau2, (m * own + _PRIOR_PHI_DAYS * _PRIOR_PHI) / (m + _PRIOR_PHI_DAYS)


def _likelihood(x: Floats, y: Floats, variance: Floats, sign: int) -> Floats:
    """log L of each row of regressors x [starts, days] over that of no change, by reweighted least squares."""
    none = _fitted(np.zeros((1, len(y))), y, variance, sign)[0]
    return np.asarray(_fitted(x, y, variance, sign) - none)


def _fitted(x: Floats, y: Floats, variance: Floats, sign: int) -> Floats:
    w = np.broadcast_to(1 / variance, x.shape)
    squares = np.zeros_like(x)
    for _ in range(_ROUNDS):
        total = w.sum(axis=1, keepdims=True)
        x0, y0 = (w * x).sum(axis=1, keepdims=True) / total, (w * y).sum(axis=1, keepdims=True) / total
        sxx = (w * (x - x0) ** 2).sum(axis=1, keepdims=True)
        slope = (w * (x - x0) * (y - y0)).sum(axis=1, keepdims=True) / np.maximum(sxx, 1e-300)
        slope = np.where((sxx > 0) & (slope * sign > 0), slope, 0.0)  # a move the other way is no such change
        squares = (y - y0 - slope * (x - x0)) ** 2 / variance
        w = (_FREEDOM + 1) / (_FREEDOM + squares) / variance
    return np.asarray(-(_FREEDOM + 1) / 2 * np.log1p(squares / _FREEDOM).sum(axis=1))
