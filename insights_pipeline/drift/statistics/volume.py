"""Volume: an intent's share of the day's traffic as an overdispersed rate; all traffic as daily log-counts.

A day that is busier for everybody is no news of an intent, so the exposure of an intent is the traffic of its day. An
intent that is silent by habit is compared on the days it is used, and by how many days that is (`silence`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from insights_pipeline.drift.constants import DEFAULT, Constants
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask, latest, pick, ratio
from insights_pipeline.drift.statistics.exposure import MIN_DAYS, Exposed, Fit, exposed, fit, inside
from insights_pipeline.drift.statistics.location import Location, weekday_variance, window_level
from insights_pipeline.drift.statistics.moderation import capped, vif
from insights_pipeline.drift.statistics.rates import smallest_rise, weaker_z
from insights_pipeline.drift.statistics.result import TestResult, status_of
from insights_pipeline.drift.statistics.silence import usage

__all__ = ["MIN_DAYS", "Exposed", "Fit", "compare", "detectable", "exposed", "fit"]


def compare(
    daily: Exposed,
    base: Mask,
    window: Mask,
    *,
    cap: float,
    alpha: float,
    pool: Mask | None = None,
    c: Constants = DEFAULT,
) -> TestResult:
    """Traces of the window against what its traffic would bring at the baseline's share; effect is ratio − 1.

    Shares: the weaker of a mid-p binomial tail with the effective number of trials and a log-odds z, as for errors,
    with min(d_i + d0, cap) degrees of freedom. A series that is `whole`: t on daily log-counts, as for numeric metrics.
    Silent by habit: p is twice the smaller of the shares of the days that are not silent and of the number of those.
    `observed` and `baseline_value` are traces a day, the latter at the window's own traffic and weekdays (a `whole`
    series: at its weekdays), without the silent days unless their number is what changed.
    """
    model = fit(daily, base, pool=pool, c=c)
    width = int(window.any(axis=0).sum()) or 1
    column, mask = latest(window & daily.mask, width)
    k, n = np.where(mask, pick(daily.k, column), 0.0), np.where(mask, pick(daily.n, column), 0.0)
    traffic, open_ = n.sum(axis=1), mask.sum(axis=1).astype(np.float64)
    silent = model.habit.of(k, n, mask)
    mask = mask & ~silent
    n = np.where(mask, n / pick(model.presence, column), 0.0)
    weekday = (column + daily.first_weekday) % 7
    days, count = mask.sum(axis=1).astype(np.float64), k.sum(axis=1)
    sides = np.where(model.habit.silent > 0, 2.0, 1.0)
    of_share = _shares(model, k, n, mask, weekday, cap=cap, alpha=alpha / sides)
    level, var = window_level(
        model.traffic,
        np.log(np.maximum(n, 1.0)),
        1 / np.maximum(n, 1.0),
        mask,
        column,
        first_weekday=daily.first_weekday,
        c=c,
    )
    of_count = _counts(
        model, n, level - model.traffic.mu, np.sqrt(np.maximum(var, 1e-12)), cap=cap, alpha=alpha
    )
    change = _Change(*(np.where(daily.whole, a, b) for a, b in zip(of_count, of_share, strict=True)))
    of_use = _used(model, change, count, traffic, silent.sum(axis=1).astype(np.float64), open_)
    rarer = (of_use.z != 0) & ((days == 0) | (_p(of_use) < _p(change)))
    change = _Change(*(np.where(rarer, a, b) for a, b in zip(of_use, change, strict=True)))
    days, n = np.where(rarer, open_, days), np.where(rarer, traffic, n.sum(axis=1))
    status, tested = status_of(
        learning=(model.days < MIN_DAYS) | (model.odds.days < c.min_days),
        # traffic is the data: to test only intents that happen to have traces would select small p-values
        no_data=(days == 0) | np.where(daily.whole, count < c.min_n, np.maximum(count, change.expected) < 1),
    )
    observed, expected = ratio(count, days), ratio(np.maximum(change.expected, 1e-9), days)

    def known(values: Floats) -> Floats:
        return np.where(tested, values, np.nan)

    times = observed / expected
    return TestResult(
        status=status,
        n=count,
        baseline_n=model.n,
        baseline_days=model.days,
        observed=observed,
        baseline_value=np.where(model.days > 0, expected, np.nan),
        effect=known(times - 1),
        low=known(np.minimum(change.low, times) - 1),
        high=known(np.maximum(change.high, times) - 1),
        statistic=known(change.z),
        df=known(change.df),
        p=known(np.minimum(sides * _p(change), 1.0)),
        magnitude=known(change.magnitude),
        smallest_detectable=known(change.detectable),
        parts={"share": ratio(count, n), "baseline_share": model.share},
    )


class _Change(NamedTuple):
    """Of every series: traces expected in the window, bounds of the ratio, the test, the effect in floors."""

    expected: Floats
    low: Floats
    high: Floats
    z: Floats
    df: Floats
    magnitude: Floats
    detectable: Floats  # as ratio − 1


def _p(change: _Change) -> Floats:
    from scipy import special

    return np.asarray(2 * special.stdtr(change.df, -np.abs(change.z)))


def _shares(
    model: Fit, k: Floats, n: Floats, mask: Mask, weekday: Ints, *, cap: float, alpha: Floats
) -> _Change:
    from scipy import special

    odds = model.odds
    p = inside(special.expit(odds.mu[:, None] + odds.effect(weekday)))
    count, total = k.sum(axis=1), np.maximum(n.sum(axis=1), 1.0)
    expected = (n * p).sum(axis=1)
    share = inside(expected / total)
    information = n * p * (1 - p)
    a = information / np.maximum(information.sum(axis=1), 1e-12)[:, None]
    between = (
        vif(mask.sum(axis=1).astype(np.float64), odds.phi) * (a**2).sum(axis=1) * odds.tau2
        + weekday_variance(odds, a, weekday)
        + odds.var_mu
    )
    trials = _trials(share, total, between)
    found = weaker_z(count / total, share, total, trials, between)
    df = capped(odds.df, cap, odds.phi)
    margin = special.stdtrit(df, 0.975) * found.se
    low, high = (special.expit(special.logit(share) + found.log_odds + s * margin) / share for s in (-1, 1))
    traffic = np.exp(model.traffic.mu[:, None] + model.traffic.effect(weekday))
    usual = np.where(mask, p * traffic, 0.0).sum(axis=1)
    return _Change(
        expected=expected,
        low=low,
        high=high,
        z=found.z,
        df=df,
        magnitude=_magnitude(count, expected, usual, total),
        detectable=_rise(share, smallest_rise(share, total, trials, between, alpha=alpha, df=df)),
    )


def _used(
    model: Fit, share: _Change, count: Floats, traffic: Floats, silent: Floats, days: Floats
) -> _Change:
    """The days that a series silent by habit was used on; z is 0 where silence is no habit or traces say otherwise.

    What could have been found is what `share` says: a level is what people look for.
    """
    from scipy import special

    found = usage(model.habit, silent, days)
    expected = traffic * model.habit.share * (1 - model.habit.rate)
    df = np.maximum(model.habit.days - 1, 1.0)  # a count of days has no heavy tails
    margin = special.stdtrit(df, 0.975) * found.se
    log_ratio = np.log(np.maximum(count, 0.5) / np.maximum(expected, 0.5))
    points = np.abs(count - expected) / np.maximum(traffic, 1.0) / floors.SHARE_POINTS
    return _Change(
        expected=expected,
        low=found.ratio(-margin),
        high=found.ratio(margin),
        z=np.where(np.sign(found.z) == np.sign(log_ratio), found.z, 0.0),
        df=df,
        magnitude=np.minimum(np.abs(log_ratio) / floors.SHARE_LOG_RATIO, points),
        detectable=share.detectable,
    )


def _trials(share: Floats, total: Floats, between: Floats) -> Floats:
    """Traces drawn one by one that would scatter as much as `total` of days that scatter."""
    pq = share * (1 - share)
    return np.asarray(1 / np.maximum(1 / total + pq * between, 1e-12))


def _rise(share: Floats, risen: Floats) -> Floats:
    """Relative rise from `share`; at least the floors of factor and points; NaN where that is beyond all traffic."""
    least = np.maximum(np.expm1(floors.SHARE_LOG_RATIO), floors.SHARE_POINTS / share)
    rise = np.maximum(risen / share - 1, least)
    return np.where(share * (1 + rise) <= 1, rise, np.nan)


def _magnitude(count: Floats, expected: Floats, usual: Floats, total: Floats) -> Floats:
    """Effect in units of the floor: share by factor and by points, and the same way in traces a day.

    `usual` are the traces that usual days bring: where another intent floods the traffic, the share of this one shrinks
    though people ask it as often as ever.
    """

    def log_ratio(other: Floats) -> Floats:
        return np.asarray(np.log(np.maximum(count, 0.5) / np.maximum(other, 0.5)))

    of_share, of_count = log_ratio(expected), log_ratio(usual)
    same_way = np.where(np.sign(of_share) == np.sign(of_count), np.abs(of_count), 0.0)
    points = np.abs(count - expected) / total / floors.SHARE_POINTS
    by_share = np.minimum(np.abs(of_share) / floors.SHARE_LOG_RATIO, points)
    return np.asarray(np.minimum(by_share, same_way / floors.COUNT_LOG_RATIO))


def _counts(model: Fit, n: Floats, difference: Floats, se: Floats, *, cap: float, alpha: float) -> _Change:
    from scipy import special

    df = capped(model.traffic.df, cap, model.traffic.phi)
    margin = special.stdtrit(df, 0.975) * se
    return _Change(
        expected=n.sum(axis=1) * np.exp(-difference),
        low=np.exp(difference - margin),
        high=np.exp(difference + margin),
        z=difference / se,
        df=df,
        magnitude=np.abs(difference) / floors.VOLUME_LOG_RATIO,
        detectable=np.expm1(np.maximum(floors.reach(alpha, df) * se, floors.VOLUME_LOG_RATIO)),
    )


def detectable(model: Fit, *, days: int, cap: float, alpha: float, c: Constants = DEFAULT) -> Floats:
    """Smallest relative rise that `days` usual days would show with 80 % power; NaN while learning."""
    k = np.full_like(model.n, float(days))
    total = np.exp(model.traffic.mu) * days
    share = inside(model.share)

    def between(location: Location) -> Floats:
        return np.asarray(vif(k, location.phi) * location.tau2 / days + location.var_mu)

    df = capped(model.odds.df, cap, model.odds.phi)
    other = between(model.odds)
    level = alpha / np.where(model.habit.silent > 0, 2.0, 1.0)
    p1 = smallest_rise(share, total, _trials(share, total, other), other, alpha=level, df=df)
    of_traffic = floors.reach(alpha, capped(model.traffic.df, cap, model.traffic.phi)) * np.sqrt(
        between(model.traffic) + 1 / total
    )
    of_count = np.expm1(np.maximum(of_traffic, floors.VOLUME_LOG_RATIO))
    ready = (model.days >= MIN_DAYS) & (model.odds.days >= c.min_days) & (total * share >= 1)
    return np.where(ready, np.where(model.whole, of_count, _rise(share, p1)), np.nan)
