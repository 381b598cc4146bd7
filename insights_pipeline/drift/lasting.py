"""The last 3 and 14 days against up to 56 before them: what has just begun, and what is small or slow but stays."""

from __future__ import annotations

from collections.abc import Mapping
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
from insights_pipeline.drift.judge import Judged, LeftOut, covered
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import error_rate, floors, numeric
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.moderation import capped
from insights_pipeline.drift.statistics.multiplicity import benjamini_hochberg
from insights_pipeline.drift.statistics.persistence import (
    MIN_REFERENCE_DAYS,
    RAMP,
    REFERENCE_DAYS,
    THREE_DAYS,
    WEEK,
    Observed,
    contrast,
    p_value,
    reference,
)
from insights_pipeline.drift.statistics.result import Status, TestResult, status_of, strongest
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

    3d: the last three days. 14d: p is twice the smaller of two shapes, the last week and a ramp of two (of error rates:
    all of two weeks). Withheld where the coverage moved, also where it moved in the week, whose verdicts are `week`.
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
        window = ~out.window[metric]
        if metric == ERRORS:
            for view in views:
                results[view.horizon][metric] = _rates(panel, base[metric], window, view, alpha, c)
            continue
        seen = _Seen(panel, metric, base[metric], window, c)
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
    """One continuous metric of the panel: its daily values on the scale that is compared, and the level before."""

    def __init__(self, panel: Panel, metric: str, base: Mask, window: Mask, c: Constants) -> None:
        self._c, self._metric = c, metric
        sums = panel.sums[LATENCY if metric == LATENCY_P95 else metric]
        self._n, self._valid, self._traces = sums.n_pos, sums.n_valid, panel.n
        self._days = _values(panel, metric, base, window, c)
        self._level = reference(self._days, pool=panel.pooled, c=c)

    def result(self, view: _View, *, blocked: Mask, alpha: float) -> TestResult:
        """The shape of `view` that shows most, and its p times the number of shapes."""
        window = _latest(self._days.window, view.days)
        found = strongest([self._look(shape, view, window, blocked, alpha) for shape in view.shapes])
        return covered(found, self._valid, self._traces, self._days.reference, window, c=self._c)

    def _look(
        self, shape: tuple[float, ...], view: _View, window: Mask, blocked: Mask, alpha: float
    ) -> TestResult:
        from scipy import special

        c, level = self._c, self._level
        seen = contrast(self._days, level, shape, c=c)
        seen = replace(seen, df=seen.df + view.prior)
        p, df = p_value(seen, cap=view.cap), capped(seen.df, view.cap, seen.phi)
        n, baseline_n = (np.where(mask, self._n, 0.0).sum(axis=1) for mask in (window, self._days.reference))
        status, tested = status_of(
            learning=np.isnan(seen.difference) | (baseline_n < c.min_base_n),
            no_data=n < c.min_n,
        )
        status = np.where(tested & blocked, int(Status.COVERAGE), status)
        tested = tested & ~blocked
        shift = np.where(tested, seen.difference, np.nan)
        se = np.where(tested, seen.se, np.nan)
        margin = special.stdtrit(df, 0.975) * se
        before = np.exp(level.mu)
        floor = floors.LOG_RATIO_P95 if self._metric == LATENCY_P95 else floors.LOG_RATIO
        return TestResult(
            status=status,
            n=n,
            baseline_n=baseline_n,
            baseline_days=level.days,
            observed=before * np.exp(shift),
            baseline_value=np.where(baseline_n > 0, before, np.nan),
            effect=np.expm1(shift),
            low=np.expm1(shift - margin),
            high=np.expm1(shift + margin),
            statistic=shift / se,
            df=np.where(tested, df, np.nan),
            p=np.where(tested, p, np.nan),
            magnitude=np.abs(shift) / floor,
            smallest_detectable=np.expm1(floors.reach(alpha, df) * se),
        )


def _rates(panel: Panel, base: Mask, window: Mask, view: _View, alpha: float, c: Constants) -> TestResult:
    """Error rates: all of the last days together, as a week is judged, against more days before."""
    looks = []
    for shape in view.shapes:
        width = int(np.count_nonzero(shape))
        inside = _latest(window & (panel.error_n > 0), width)
        inside &= (2 * inside.sum(axis=1) >= width)[:, None]
        looks.append(
            error_rate.compare(
                panel.error_n,
                panel.error_k,
                base,
                inside,
                cap=c.cap_day,
                alpha=alpha,
                pool=panel.pooled,
                most_days=REFERENCE_DAYS,
                c=replace(c, prior_days=c.prior_days_long + view.prior, min_days=MIN_REFERENCE_DAYS),
            )
        )
    return strongest(looks)


def _latest(mask: Mask, days: int) -> Mask:
    inside = mask.copy()
    inside[:, :-days] = False
    return inside


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
