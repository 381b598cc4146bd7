"""Effects too small to matter whatever their p-value, and how bad the others are."""

from __future__ import annotations

import math

import numpy as np

from insights_pipeline.drift.constants import DOWN, ERRORS, SCORE, TOOLS, VOLUME, WORSE_UP
from insights_pipeline.drift.statistics.arrays import Floats

LOG_RATIO = math.log(1.10)
LOG_RATIO_P95 = math.log(1.15)
RATE_POINTS = 0.01
RATE_LOG_RATIO = math.log(1.20)
EXCESS_VARIATION = 0.05
# A fifth of the deviation among the scores of a day: Cohen's "small". 0.2 points of 1 to 5, 8 points of a thumb that is
# up four times in five; less is no difference that anybody who reads conversations would notice.
SCORE_DEVIATIONS = 0.20
# Half as much again (or a third less) of an intent's share of the traffic, and half a point of all traffic: with 100
# intents a usual one has a point. Below that it is weather in what people happen to ask.
SHARE_LOG_RATIO = math.log(1.50)
SHARE_POINTS = 0.005
# … of which at least half must show in traces a day too: beside a flood of other traffic every share shrinks.
COUNT_LOG_RATIO = SHARE_LOG_RATIO / 2
# All traffic is the sum of all intents and steadier than each: a third more is a capacity and a cost question.
VOLUME_LOG_RATIO = math.log(1.30)

INFO, WARNING, HIGH, CRITICAL = "info", "warning", "high", "critical"
SEVERITIES = (INFO, WARNING, HIGH, CRITICAL)
_CRITICAL_P = 1e-4
_STEPS = {ERRORS: (0.05, 0.15), TOOLS: (0.20, 0.40)}
_RATIO_STEPS = (math.log(1.5), math.log(2.0))
# What people ask is nobody's fault: news up to a doubling, then something to plan for, grave only when it is a flood or
# nearly gone.
_VOLUME_STEPS = (math.log(2.0), math.log(5.0))
POWER = 0.80


def severity(metric: str, direction: str, *, effect: float, p: float) -> str:
    """info for an improvement, else warning, high (1.5x, +5 pp, TV .2) or critical (2x, +15 pp, TV .4; p <= 1e-4).

    Volume: info, warning from 2x either way, high from 5x. A score: always a warning, for neither its direction nor its
    unit says how bad a change is, and few traces have one.
    """
    if metric in WORSE_UP and direction == DOWN:
        return INFO
    if metric.startswith(SCORE):
        return WARNING
    size = abs(effect) if metric in _STEPS else abs(math.log1p(max(effect, -1 + 1e-9)))
    if metric == VOLUME:
        many, flood = _VOLUME_STEPS
        return HIGH if size >= flood else WARNING if size >= many else INFO
    high, critical = _STEPS.get(metric, _RATIO_STEPS)
    if size >= critical and p <= _CRITICAL_P:
        return CRITICAL
    return HIGH if size >= high else WARNING


def worst(first: str, second: str) -> str:
    """The graver of two severities."""
    return max(first, second, key=SEVERITIES.index)


def reach(alpha: Floats | float, df: Floats) -> Floats:
    """Standard errors that a shift must span to be found at two-sided level `alpha` with 80 % power, t with `df`.

    Source: the usual normal-theory sample-size argument, with t quantiles for both terms.
    """
    from scipy import special

    usable = np.where(df > 0, df, np.nan)
    return np.asarray(special.stdtrit(usable, 1 - np.asarray(alpha) / 2) + special.stdtrit(usable, POWER))
