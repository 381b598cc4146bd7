"""Day-to-day variation: what makes Tuesday different from Wednesday although nothing happened.

Between-day deviations are t-distributed with 5 degrees of freedom and a lag-1 autocorrelation of 0.3, as in the world
in which the drift statistics were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.demo.world import Intent

_AR, _DF = 0.3, 5
_LOG_SD = {"latency": 0.042, "tokens": 0.038, "chars": 0.03, "volume": 0.07, "errors": 0.22}
_SHARED_LATENCY_SD = 0.02
_PLAN_CONCENTRATION = 300.0


@dataclass(frozen=True, slots=True)
class Weather:
    """Factors of one intent on one day, around 1; `plans` are the shares of its plans."""

    latency: float
    tokens: float
    chars: float
    volume: float
    errors: float
    plans: NDArray[np.float64]


def forecast(intents: Sequence[Intent], days: int, *, seed: int) -> list[dict[str, Weather]]:
    """The weather of each day by intent name. One stream of random numbers per intent: adding one moves no other."""
    shared = _walk(np.random.default_rng([seed, 0]), days, _SHARED_LATENCY_SD)
    result: list[dict[str, Weather]] = [{} for _ in range(days)]
    for intent in intents:
        rng = np.random.default_rng([seed, 1, *intent.name.encode()])
        walks = {name: np.exp(_walk(rng, days, sd)) for name, sd in _LOG_SD.items()}
        walks["latency"] = walks["latency"] * np.exp(shared)
        shares = np.array([plan.share for plan in intent.plans])
        plans = rng.dirichlet(shares / shares.sum() * _PLAN_CONCENTRATION, size=days)
        for day in range(days):
            result[day][intent.name] = Weather(
                **{name: float(walk[day]) for name, walk in walks.items()}, plans=plans[day]
            )
    return result


def _walk(rng: np.random.Generator, days: int, sd: float) -> NDArray[np.float64]:
    """A stationary AR(1) with t innovations and standard deviation `sd`."""
    shocks = rng.standard_t(_DF, size=days) * np.sqrt((_DF - 2) / _DF) * sd
    values = np.empty(days)
    values[0] = shocks[0]
    for day in range(1, days):
        values[day] = _AR * values[day - 1] + np.sqrt(1 - _AR**2) * shocks[day]
    return values
