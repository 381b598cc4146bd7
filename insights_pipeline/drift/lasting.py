"""The last 3 and 14 days against up to 56 before them: what has just begun, and what is small or slow but stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from insights_pipeline.drift.constants import (
    DEFAULT,
    ERRORS,
    LASTING_DAYS,
    LASTING_HORIZON,
    LATENCY,
    LATENCY_P95,
    NUMERIC,
    RECENT_DAYS,
    RECENT_HORIZON,
    Constants,
)
from insights_pipeline.drift.judge import Judged, LeftOut
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import floors, log_odds, numeric
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.multiplicity import benjamini_hochberg
from insights_pipeline.drift.statistics.persistence import (
    RAMP,
    THREE_DAYS,
    WEEK,
    Contrast,
    Observed,
    contrast,
    degrees,
    p_value,
    reference,
    weaker,
)
from insights_pipeline.drift.statistics.result import Status, TestResult, status_of
from insights_pipeline.lake import DayRange

METRICS = (*NUMERIC, LATENCY_P95, ERRORS)


@dataclass(frozen=True, slots=True)
class _View:
    """How the last days are looked at: what a change may look like, and how far the scatter of days is trusted."""

    horizon: str
    days: int
    shapes: tuple[tuple[float, ...], ...]
    cap: float  # of the degrees of freedom …
    prior: float = 0.0  # … and what the pool of all series adds to those of a reference


def judge_lasting(
    panel: Panel, out: LeftOut, week: Mapping[str, TestResult], *, c: Constants = DEFAULT
) -> dict[str, Judged]:
    """Horizons 3d and 14d of continuous metrics and error rates, each with q over all its series and metrics.

    3d: the last three days. 14d: p is twice the smaller of two shapes, the last week and a ramp of two. Where the 7-day
    verdict in `week` was withheld because the coverage moved, so are these.
    """
    alpha = c.q / max(1, len(panel.series) * len(METRICS))
    base = {metric: _reference(out.baseline[metric]) for metric in METRICS}
    views = (
        # beside a verdict of the week: the pool of all series counts for as much as it does there
        _View(RECENT_HORIZON, RECENT_DAYS, (THREE_DAYS,), c.cap_three, c.prior_days - c.prior_days_long),
        _View(LASTING_HORIZON, LASTING_DAYS, (WEEK, RAMP), c.cap_lasting),
    )
    results: dict[str, dict[str, TestResult]] = {view.horizon: {} for view in views}
    for metric in METRICS:
        seen = _Seen(panel, metric, base[metric], out.window[metric], c)
        for view in views:
            blocked = week[metric].status == Status.COVERAGE
            results[view.horizon][metric] = seen.result(view, blocked=blocked, alpha=alpha)
    return {
        view.horizon: Judged(
            view.horizon,
            DayRange.ending(panel.days.last, view.days),
            results[view.horizon],
            _together(results[view.horizon]),
            base,
        )
        for view in views
    }


def _together(results: Mapping[str, TestResult]) -> dict[str, Floats]:
    q = benjamini_hochberg(np.concatenate([results[metric].p for metric in METRICS]))
    return dict(zip(METRICS, np.split(q, len(METRICS)), strict=True))


def _reference(left_out: Mask) -> Mask:
    allowed = ~left_out
    allowed[:, -LASTING_DAYS:] = False
    return allowed


class _Seen:
    """One metric of the panel: its daily values on the scale that is compared, and the level before."""

    def __init__(self, panel: Panel, metric: str, base: Mask, out_window: Mask, c: Constants) -> None:
        self._c, self._metric = c, metric
        window = ~out_window
        if metric == ERRORS:
            self._usual = log_odds.usual_rate(panel.error_n, panel.error_k, base, pool=panel.pooled)
            days: tuple[Observed, ...] = log_odds.deviations(
                panel.error_n, panel.error_k, self._usual, base, window, first_weekday=panel.first_weekday
            )
            self._n, self._k = panel.error_n, panel.error_k
        else:
            days = (_values(panel, metric, base, window, c),)
            self._n = panel.sums[LATENCY if metric == LATENCY_P95 else metric].n_pos
            self._k = np.zeros_like(self._n)
        self._days = days[0]
        self._levels = [(one, reference(one, pool=panel.pooled, c=c)) for one in days]

    def _contrast(self, shape: tuple[float, ...], days: int) -> Contrast:
        if self._metric != ERRORS:
            (one, level), *_ = self._levels
            return contrast(one, level, shape, c=self._c)
        (linear, linear_level), (smooth, smooth_level) = self._levels
        own = log_odds.at_own_rate(smooth, self._n, self._k, self._usual, days=days)
        return weaker(
            contrast(linear, linear_level, shape, c=self._c),
            contrast(own, smooth_level, shape, c=self._c),
        )

    def result(self, view: _View, *, blocked: Mask, alpha: float) -> TestResult:
        """The shape of `view` that shows most, and its p times the number of shapes."""
        from scipy import special

        c = self._c
        seen = [self._contrast(shape, view.days) for shape in view.shapes]
        seen = [replace(one, df=one.df + view.prior) for one in seen]
        most = c.cap_counts if self._metric == ERRORS else 0.0
        df = degrees(seen[0], cap=view.cap, most=most)
        p, best = p_value(seen[0], df), seen[0]
        for other in seen[1:]:
            df_other = degrees(other, cap=view.cap, most=most)
            p_other = p_value(other, df_other)
            use = np.isfinite(p_other) & ~(p <= p_other)
            p = np.where(use, p_other, p)
            best = replace(
                best,
                difference=np.where(use, other.difference, best.difference),
                se=np.where(use, other.se, best.se),
            )
            df = np.where(use, df_other, df)
        n, k = (
            np.where(self._days.window, part, 0.0)[:, -view.days :].sum(axis=1) for part in (self._n, self._k)
        )
        baseline_n, baseline_k = (
            np.where(self._days.reference, part, 0.0).sum(axis=1) for part in (self._n, self._k)
        )
        level = self._levels[0][1]
        status, tested = status_of(
            learning=np.isnan(best.difference) | (baseline_n < c.min_base_n),
            no_data=n < c.min_n,
        )
        status = np.where(tested & blocked, int(Status.COVERAGE), status)
        tested = tested & ~blocked
        shift = np.where(tested, best.difference, np.nan)
        se = np.where(tested, best.se, np.nan)
        margin = special.stdtrit(df, 0.975) * se
        before, after = self._level(level.mu), self._scale(level.mu)
        return TestResult(
            status=status,
            n=n,
            baseline_n=baseline_n,
            baseline_days=level.days,
            observed=after(shift),
            baseline_value=np.where(baseline_n > 0, before, np.nan),
            effect=self._effect(before, after(shift)),
            low=self._effect(before, after(shift - margin)),
            high=self._effect(before, after(shift + margin)),
            statistic=shift / se,
            df=np.where(tested, df, np.nan),
            p=np.where(tested, np.minimum(len(seen) * p, 1.0), np.nan),
            magnitude=self._magnitude(before, after(shift), shift),
            smallest_detectable=self._effect(before, after(floors.reach(alpha, df) * se)),
            # counts are told where they are those of what was compared: of all days alike
            parts={"k": k, "baseline_k": baseline_k} if self._metric == ERRORS and len(seen) == 1 else {},
        )

    def _level(self, mu: Floats) -> Floats:
        if self._metric != ERRORS:
            return np.exp(mu)
        base = self._days.reference
        k, n = (np.where(base, part, 0.0).sum(axis=1) for part in (self._k, self._n))
        return np.asarray((k + 1e-9) / np.maximum(n, 1.0))

    def _scale(self, mu: Floats) -> Callable[[Floats], Floats]:
        """What a shift from the level comes to, in the unit of the metric."""
        from scipy import special

        before = self._level(mu)
        if self._metric != ERRORS:
            return lambda shift: before * np.exp(shift)
        return lambda shift: special.expit(special.logit(np.clip(before, 1e-6, 1 - 1e-6)) + shift)

    def _effect(self, before: Floats, after: Floats) -> Floats:
        return after - before if self._metric == ERRORS else after / before - 1

    def _magnitude(self, before: Floats, after: Floats, shift: Floats) -> Floats:
        if self._metric == ERRORS:
            points = np.abs(after - before) / floors.RATE_POINTS
            relative = np.abs(np.log(np.maximum(after, 1e-9) / before)) / floors.RATE_LOG_RATIO
            return np.minimum(points, relative)
        return np.abs(shift) / (floors.LOG_RATIO_P95 if self._metric == LATENCY_P95 else floors.LOG_RATIO)


def _values(panel: Panel, metric: str, base: Mask, window: Mask, c: Constants) -> Observed:
    """Daily log-means (log p95), with the variance within a day of the reference days."""
    sums = panel.sums[LATENCY if metric == LATENCY_P95 else metric]
    daily = numeric.log_means(sums.slog, sums.slog2, sums.n_pos, first_weekday=panel.first_weekday)
    if metric == LATENCY_P95:
        daily = numeric.log_p95(daily, sums.p95, c=c)
    s2w = numeric.within_variance(daily, base, pool=panel.pooled, c=c)
    return Observed(
        daily.y, daily.v * s2w[:, None], base & daily.mask, window & daily.mask, panel.first_weekday
    )
