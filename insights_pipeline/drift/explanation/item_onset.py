"""The onset of an item: its series as one number a day, on the scale that its metric is compared on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from insights_pipeline.drift.constants import DEFAULT, DOWN, ERRORS, LATENCY, LATENCY_P95, TOOLS, VOLUME
from insights_pipeline.drift.explanation.onset import SEARCH_DAYS, find_onset
from insights_pipeline.drift.life.item import Item, Onset
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics.arrays import Floats, Mask

# An episode that is older keeps its onset: later days say little about its beginning and the search moves on.
_SETTLED_DAYS = 14
_P95_VARIANCE = 6.0  # as in the test of the p95
_RECENT_DAYS = 7
# Between-day variances to begin with, until the series' own days say otherwise: 5 % of a level, log-odds .35,
# a Dirichlet of concentration 150, volume 15 % (the simulated worlds' medians).
_LOG_TAU2, _ODDS_TAU2, _MIX_RHO, _VOLUME_TAU2, _SCORE_RHO = 0.05**2, 0.35**2, 1 / 150, 0.15**2, 0.02


@dataclass(frozen=True, slots=True)
class Days:
    """One statistic of one series: y and its sampling variance v, both [days]; a prior of the between-day variance."""

    y: Floats
    v: Floats
    mask: Mask
    tau2_prior: float


def item_onset(item: Item, day: date, panel: Panel, base: Mask, left_out: Mask) -> Onset | None:
    """When the change of an open item began, from the days of `panel` (which ends on `day`); None if nothing tells.

    `base` [days]: the baseline days used; `left_out` [days]: days of other episodes. The change began by the day the
    item opened. A settled item keeps the onset it has.
    """
    if item.onset is not None and (day - item.opened).days > _SETTLED_DAYS:
        return item.onset
    row = panel.series.index(item.series)
    days = daily(panel, row, item.metric, base)
    last = len(days.y) - 1
    earliest, latest = last - SEARCH_DAYS, panel.column(min(item.opened, day))
    if item.onset is not None:  # later days sharpen the interval; they do not find another beginning
        earliest = max(earliest, panel.column(item.onset.first) - 1)
        latest = min(latest, panel.column(item.onset.last) + 1)
    found = find_onset(
        days.y,
        days.v,
        days.mask & ~left_out,
        base,
        earliest=earliest,
        latest=latest,
        sign=-1 if item.direction == DOWN else 1,
        tau2_prior=days.tau2_prior,
        first_weekday=panel.first_weekday,
    )
    if found is None:
        return item.onset
    day_of = [panel.days.first + timedelta(days=column) for column in (found.column, found.first, found.last)]
    return Onset(day_of[0], day_of[1], day_of[2], found.shape)


def daily(panel: Panel, row: int, metric: str, base: Mask) -> Days:
    """The statistic of a metric of one series: log-means, log p95, angles of rates and shares, means, log counts."""
    if metric == ERRORS:
        rate = float((panel.error_k[row] * base).sum() + 0.5) / float((panel.error_n[row] * base).sum() + 1)
        # d angle = d log-odds · √(pq) / 2
        return _angle(panel.error_k[row], panel.error_n[row], _ODDS_TAU2 * rate * (1 - rate) / 4)
    if metric == TOOLS:
        return _angle(_gained(panel, row, base), panel.tool_n[row], _MIX_RHO / 4)
    if metric == VOLUME:
        count = panel.n[row] + 0.5
        return Days(np.log(count), 1 / count, panel.total > 0, _VOLUME_TAU2)
    if metric in panel.scores:
        score = panel.scores[metric]
        y, s2 = _within(score.sum[row], score.sumsq[row], score.n[row])
        return Days(y, s2 / np.maximum(score.n[row], 1), score.n[row] > 0, _SCORE_RHO * s2)
    sums = panel.sums[LATENCY if metric == LATENCY_P95 else metric]
    n = sums.n_pos[row]
    y, s2 = _within(sums.slog[row], sums.slog2[row], n)
    if metric != LATENCY_P95:
        return Days(y, s2 / np.maximum(n, 1), n > 0, _LOG_TAU2)
    p95 = np.nan_to_num(sums.p95[row])
    mask = (n >= DEFAULT.min_day_p95) & (p95 > 0)
    return Days(np.log(np.where(mask, p95, 1.0)), _P95_VARIANCE * s2 / np.maximum(n, 1), mask, _LOG_TAU2)


def _within(total: Floats, squares: Floats, n: Floats) -> tuple[Floats, float]:
    """Daily means, and the variance within a day pooled over all days."""
    safe = np.maximum(n, 1)
    rest = np.maximum(squares - total**2 / safe, 0.0)[n > 0].sum()
    freedom = (n - 1)[n > 1].sum()
    return total / safe, max(float(rest / freedom), 1e-9) if freedom > 0 else 1.0


def _angle(k: Floats, n: Floats, tau2: float) -> Days:
    """arcsin √p, whose sampling variance 1 / 4n does not depend on p. Source: Anscombe (1948), Biometrika 35."""
    y = np.arcsin(np.sqrt((np.clip(k, 0.0, n) + 0.375) / (n + 0.75)))
    return Days(y, 1 / (4 * n + 2), n > 0, tau2)


def _gained(panel: Panel, row: int, base: Mask) -> Floats:
    """Of each day the traces' share of calls [days] to the tools that the last week uses more than the baseline."""
    shares, n = panel.shares[row], panel.tool_n[row]
    before = shares[base].sum(axis=0) / max(float(n[base].sum()), 1.0)
    now = shares[-_RECENT_DAYS:].sum(axis=0) / max(float(n[-_RECENT_DAYS:].sum()), 1.0)
    return np.asarray(shares[:, now > before].sum(axis=1))
