"""The level of a series over its baseline days and that of a window: what all tests on daily values share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insights_pipeline.drift.constants import Constants
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask
from insights_pipeline.drift.statistics.moderation import (
    autocorrelation,
    huber_mean,
    paule_mandel,
    prior_variance,
    squeeze,
    vif,
)
from insights_pipeline.drift.statistics.weekday import by_weekday, weekday_effects


@dataclass(frozen=True, slots=True)
class Location:
    """mu [series] and its variance, tau2 between days, weekday effects [series, 7] that a day is expected to add."""

    mu: Floats
    var_mu: Floats
    tau2: Floats
    df: Floats  # d_i + d0, before any cap
    phi: float
    days: Floats
    weekday: Floats
    weekday_var: Floats

    def effect(self, weekday: Ints) -> Floats:
        """The weekday effect of each entry of `weekday` [series, width]."""
        return np.take_along_axis(self.weekday, weekday, axis=1)


def locate(
    y: Floats,
    v: Floats,
    mask: Mask,
    column: Ints,
    *,
    first_weekday: int,
    pool: Mask | None = None,
    c: Constants,
) -> Location:
    """Level of the days [series, width] where `mask`, at calendar `column`; v is the sampling variance of y.

    Priors (tau2, weekday, phi) are pooled over the rows of `pool` (None: all). Source: the random-effects mean of
    DerSimonian and Laird (1986), made robust by Huber weights, its variance moderated as in Smyth (2004).
    """
    m = mask.sum(axis=1).astype(np.float64)
    effects, effect_var = _weekdays(y, v, mask, column, first_weekday, pool=pool, c=c)
    y = y - np.take_along_axis(effects, (column + first_weekday) % 7, axis=1)
    vbar = np.where(mask, v, 0.0).sum(axis=1) / np.maximum(m, 1)
    raw = paule_mandel(y, v, mask, c=c)
    t0 = prior_variance(raw, vbar, m, m >= c.min_days, floor=c.tau2_floor, pool=pool)
    tau2, d = squeeze(raw, t0, vbar, m, c=c)
    mu, a = huber_mean(y, 1 / (v + tau2[:, None]), mask, huber=c.huber)
    z = (y - mu[:, None]) / np.sqrt(v + tau2[:, None])
    share = tau2[:, None] / np.maximum(v + tau2[:, None], 1e-300)
    phi = autocorrelation(z, share, column, mask, c=c, pool=pool)
    var_mu = (a**2 * v).sum(axis=1) + vif(m, phi) * (a**2).sum(axis=1) * tau2
    return Location(mu, var_mu, tau2, d + c.prior_days, phi, m, effects, effect_var)


def _weekdays(
    y: Floats, v: Floats, mask: Mask, column: Ints, first_weekday: int, *, pool: Mask | None, c: Constants
) -> tuple[Floats, Floats]:
    rough = np.where(mask, y - np.where(mask, y, 0).sum(axis=1, keepdims=True) / _count(mask), 0.0)
    spread = np.maximum((rough**2).sum(axis=1, keepdims=True) / _count(mask), c.tau2_floor)
    mu, _ = huber_mean(y, 1 / (v + spread), mask, huber=c.huber)
    cut = 3 * np.sqrt(v + spread)
    residual = np.clip(y - mu[:, None], -cut, cut)
    return weekday_effects(
        residual, 1 / (v + spread), mask, column, first_weekday, min_days=c.weekday_days, pool=pool
    )


def _count(mask: Mask) -> Floats:
    return np.asarray(np.maximum(mask.sum(axis=1, keepdims=True), 1).astype(np.float64))


def window_level(
    model: Location, y: Floats, v: Floats, mask: Mask, column: Ints, *, first_weekday: int, c: Constants
) -> tuple[Floats, Floats]:
    """Huber mean of the window's days, weekday effects taken out, and the variance of its difference to mu.

    var adds, for both sides, the sampling variance Σ a² v and vif·Σ a² tau2~ (a are the normalised Huber weights), and
    the uncertainty of the weekday effects.
    """
    weekday = (column + first_weekday) % 7
    y = y - model.effect(weekday)
    mean, a = huber_mean(y, 1 / (v + model.tau2[:, None]), mask, huber=c.huber)
    k = mask.sum(axis=1).astype(np.float64)
    var = (
        (a**2 * v).sum(axis=1)
        + vif(k, model.phi) * (a**2).sum(axis=1) * model.tau2
        + weekday_variance(model, a, weekday)
        + model.var_mu
    )
    return mean, var


def weekday_variance(model: Location, a: Floats, weekday: Ints) -> Floats:
    """What the estimated weekday effects add to the variance of Σ a y over days of those `weekday`s."""
    return np.asarray((by_weekday(a, weekday) ** 2 * model.weekday_var).sum(axis=1))
