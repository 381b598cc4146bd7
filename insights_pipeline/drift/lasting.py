"""Trigger E: changes that are small or slow but stay, judged over 14 days against the 56 days before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from insights_pipeline.drift.constants import (
    DEFAULT,
    ERRORS,
    LASTING_DAYS,
    LASTING_HORIZON,
    LATENCY,
    LATENCY_P95,
    NUMERIC,
    Constants,
)
from insights_pipeline.drift.judge import Judged, LeftOut
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import floors, numeric
from insights_pipeline.drift.statistics.arrays import Floats, Mask, voters
from insights_pipeline.drift.statistics.moderation import capped
from insights_pipeline.drift.statistics.multiplicity import benjamini_hochberg
from insights_pipeline.drift.statistics.persistence import (
    RAMP,
    THREE_DAYS,
    WEEK,
    Contrast,
    Observed,
    contrast,
    p_value,
    reference,
    weaker,
)
from insights_pipeline.drift.statistics.result import Status, TestResult, status_of
from insights_pipeline.lake import DayRange

METRICS = (*NUMERIC, LATENCY_P95, ERRORS)
# In `parts`: p- and q-value of the last three days together, which holding an item and trigger B ask for.
THREE_P, CONFIRM_Q = "three_days_p", "three_days_q"
_PRIOR_N = 5.0
_POOLED_RATE = (0.005, 0.2)


def judge_lasting(
    panel: Panel, out: LeftOut, week: Mapping[str, TestResult], *, c: Constants = DEFAULT
) -> Judged:
    """The last 14 days of `panel` against up to 56 days before them, for continuous metrics and error rates.

    p is twice the smaller of two shapes, the last week and a ramp of two weeks; q is over all series and metrics
    together. Where the 7-day verdict in `week` was withheld because the coverage moved, so is this one.
    """
    alpha = c.q / max(1, len(panel.series) * len(METRICS))
    results, three = {}, {}
    base = {metric: _reference(out.baseline[metric]) for metric in METRICS}
    for metric in METRICS:
        seen = _Seen(panel, metric, base[metric], out.window[metric], c)
        results[metric] = seen.result(blocked=week[metric].status == Status.COVERAGE, alpha=alpha)
        # beside a verdict of the week: the pool of all series counts for as much as it does there
        last = seen.contrast(THREE_DAYS)
        three[metric] = p_value(replace(last, df=last.df + c.prior_days - c.prior_days_long), cap=c.cap_three)
    q, confirm = _together(results), benjamini_hochberg(np.concatenate([three[one] for one in METRICS]))
    for metric, own in zip(METRICS, np.split(confirm, len(METRICS)), strict=True):
        results[metric] = replace(results[metric], parts={THREE_P: three[metric], CONFIRM_Q: own})
    window = DayRange.ending(panel.days.last, LASTING_DAYS)
    return Judged(LASTING_HORIZON, window, results, q, base)


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
            days = list(_rates(panel, base, window))
            self._n, self._k = panel.error_n, panel.error_k
        else:
            days = [_values(panel, metric, base, window, c)]
            self._n = panel.sums[LATENCY if metric == LATENCY_P95 else metric].n_pos
        self._days = days[0]
        self._views = [(one, reference(one, pool=panel.pooled, c=c)) for one in days]

    def contrast(self, shape: tuple[float, ...]) -> Contrast:
        found = [contrast(days, level, shape, c=self._c) for days, level in self._views]
        return found[0] if len(found) == 1 else weaker(found[0], found[1])

    def result(self, *, blocked: Mask, alpha: float) -> TestResult:
        from scipy import special

        c = self._c
        week, ramp = self.contrast(WEEK), self.contrast(RAMP)
        p_week, p_ramp = p_value(week, cap=c.cap_lasting), p_value(ramp, cap=c.cap_lasting)
        use_ramp = np.isfinite(p_ramp) & ~(p_week <= p_ramp)
        shift, se, df = (
            np.where(use_ramp, getattr(ramp, name), getattr(week, name))
            for name in ("difference", "se", "df")
        )
        df = capped(df, c.cap_lasting, week.phi)
        n = np.where(self._days.window, self._n, 0.0)[:, -LASTING_DAYS:].sum(axis=1)
        baseline_n = np.where(self._days.reference, self._n, 0.0).sum(axis=1)
        level = self._views[0][1]
        status, tested = status_of(
            learning=np.isnan(shift) | (baseline_n < c.min_base_n),
            no_data=n < c.min_n,
        )
        status = np.where(tested & blocked, int(Status.COVERAGE), status)
        tested = tested & ~blocked
        shift = np.where(tested, shift, np.nan)
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
            p=np.where(tested, np.minimum(2 * np.fmin(p_week, p_ramp), 1.0), np.nan),
            magnitude=self._magnitude(before, after(shift), shift),
            smallest_detectable=self._effect(
                before, after(floors.reach(alpha, df) * np.where(tested, se, np.nan))
            ),
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


def _rates(panel: Panel, base: Mask, window: Mask) -> Iterator[Observed]:
    """Error rates as deviations on the log-odds, linear and smoothed: the weaker counts, each errs at small counts."""
    from scipy import special

    n, k = panel.error_n, panel.error_k
    seen = n > 0
    traffic, errors = (np.where(base & seen, part, 0.0).sum(axis=1) for part in (n, k))
    vote = voters(panel.pooled, traffic > 0)
    pooled = float(np.clip(errors[vote].sum() / max(traffic[vote].sum(), 1.0), *_POOLED_RATE))
    p0 = ((errors + _PRIOR_N * pooled) / (traffic + _PRIOR_N))[:, None]
    v = 1 / (np.maximum(n, 1.0) * p0 * (1 - p0))
    linear = (k / np.maximum(n, 1.0) - p0) / (p0 * (1 - p0))
    smooth = special.logit((k + _PRIOR_N * p0) / (n + _PRIOR_N))
    shrunk = np.maximum(n, 1.0) / (np.maximum(n, 1.0) + _PRIOR_N)
    for y, variance in ((linear, v), (smooth, v * shrunk**2)):
        yield Observed(y, variance, base & seen, window & seen, panel.first_weekday)
