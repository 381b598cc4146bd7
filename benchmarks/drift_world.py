"""Simulated traffic with hidden changes: raw values of every trace, summed up as rollups would.

Day effects have heavy tails and a memory, weeks a rhythm, values outliers, some costs are zero or missing; one in ten
intents gets one lasting change in one metric, one in twenty a change of its volume or of a feedback score, all on the
same day, fifteen days before the end. The parameters are assumptions, not fitted to anyone's traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from benchmarks import drift_values
from benchmarks.drift_values import QUALITY, later, with_all
from insights_pipeline.drift.constants import (
    ALL,
    COST,
    ERRORS,
    LATENCY,
    NUMERIC,
    OUTPUT,
    REACH_DAYS,
    STEPS,
    TOOLS,
    VOLUME,
)
from insights_pipeline.drift.series.panel import Panel, Scores, Sums
from insights_pipeline.lake import DayRange

DAYS, ONSET, SCORED_FROM = 90, 75, 60
START = date(2026, 1, 5)
METRICS = (*NUMERIC, ERRORS, TOOLS, VOLUME, QUALITY)


@dataclass(frozen=True, slots=True)
class Effect:
    """A change of one metric: x a factor, + an addition, creep a rate a day, tail of a tenth of traces, tv of a mix."""

    metric: str
    kind: str
    size: float

    @property
    def name(self) -> str:
        return f"{self.metric} {self.kind}{self.size:g}"


RISE = Effect(ERRORS, "+", 0.15)
CORE = tuple(
    Effect(*one)
    for one in (
        (COST, "x", 1.2), (COST, "x", 1.5), (ERRORS, "+", 0.15), (ERRORS, "+", 0.02), (ERRORS, "+", 0.05),
        (LATENCY, "creep", 0.02), (LATENCY, "tail", 3.0), (LATENCY, "x", 1.15), (LATENCY, "x", 1.3),
        (LATENCY, "x", 1.5), (LATENCY, "x", 2.0), (OUTPUT, "x", 1.3), (STEPS, "x", 1.3), (TOOLS, "tv", 0.1),
        (TOOLS, "tv", 0.2), (TOOLS, "tv", 0.4),
    )
)  # fmt: skip
FURTHER = (
    Effect(VOLUME, "x", 1.5), Effect(VOLUME, "x", 2.0), Effect(VOLUME, "x", 0.5), Effect(QUALITY, "+", -0.1),
    Effect(QUALITY, "+", -0.2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """Parameters of the traffic; deviations are on the log scale (errors, scores: of the log-odds)."""

    intents: int = 60
    between: float = 0.05
    error_sd: float = 0.35
    concentration: float = 150.0
    volume_sd: float = 0.12
    tail: float = 5.0  # degrees of freedom of a day effect
    memory: float = 0.3
    shared: float = 0.03  # of all intents' latency; twice that of their volume
    weekday: float = 0.04
    drifting: float = 0.10
    further: float = 0.05
    gaps: float = 0.0  # of the intent-days that have no traffic at all
    unpriced: float = 0.0  # of the traces whose cost is missing
    zipf: bool = False
    traffic: tuple[float, float] = (5.0, 5000.0)  # traces a day of the rarest and of the commonest intent
    error_rates: tuple[float, float] = (0.02, 0.12)
    effects: tuple[Effect, ...] = CORE
    days: int = DAYS
    onset: int = ONSET
    reverts: int | None = None  # days after which a change is over; None: it lasts

    @property
    def changed(self) -> slice:
        """The days on which a change is there."""
        return slice(self.onset, None if self.reverts is None else self.onset + self.reverts)


WORLDS = {
    "base": World(),
    "calm": World(between=0.02, error_sd=0.14, concentration=600.0, volume_sd=0.05, tail=200.0, shared=0.012),
    "rough": World(
        between=0.10, error_sd=0.7, concentration=60.0, volume_sd=0.24, tail=4.0, memory=0.5, shared=0.06
    ),
    "gappy": World(gaps=0.3, unpriced=0.5),
    "few": World(intents=6, drifting=0.17),
    "many": World(intents=200, zipf=True),
    "rare": World(
        intents=16,
        traffic=(25.0, 150.0),
        error_sd=0.22,
        error_rates=(0.005, 0.03),
        effects=(RISE,),
        drifting=0.25,
        further=0.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Simulated:
    """One world: `panel` has the intents in order, then "all"; `volume` [intents] is a usual weekday's traffic."""

    panel: Panel  # the 90 days, after as many empty ones as a baseline may reach
    means: Mapping[str, np.ndarray]  # [series, days] as a plain dashboard shows them, NaN without traces
    mixes: np.ndarray  # [series, days, tools]
    volume: np.ndarray
    drifted: Mapping[tuple[int, str], Effect]
    raw: Mapping[
        str, np.ndarray
    ]  # values of every trace by intent and day, NaN where unknown; empty unless asked

    @property
    def intents(self) -> int:
        return len(self.volume)

    @property
    def known_null(self) -> np.ndarray:
        """[series, metrics] Series that did not change; "all" only where no part of it can have moved it."""
        null = np.ones((self.intents + 1, len(METRICS)), dtype=bool)
        for row, metric in self.drifted:
            null[row, METRICS.index(metric)] = False
            null[-1, METRICS.index(metric)] = False
            null[-1] &= metric != VOLUME
        return null


def simulate(world: World, seed: int, *, raw: bool = False) -> Simulated:
    """The world of a seed, the same to the bit every time; `raw` keeps the values of single traces."""
    rng = np.random.default_rng(seed)
    volume = drift_values.volumes(world)
    drift = drift_values.drifts(rng, world, FURTHER)
    n = drift_values.traffic(rng, world, volume, drift)
    shared = world.shared * drift_values.noise(rng, world, 1)
    sums: dict[str, Sums] = {}
    means: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}
    for metric in NUMERIC:
        level = drift_values.levels(rng, world, metric) + (shared if metric == LATENCY else 0.0)
        values = drift_values.values(rng, world, metric, n, level, drift)
        sums[metric], means[metric] = drift_values.summed(values, n, with_p95=metric == LATENCY)
        if raw:
            kept[metric] = np.exp(values)
    k = drift_values.errors(rng, world, n, drift)
    shares = drift_values.mixes(rng, world, n, drift)
    score = drift_values.scores(rng, world, n, drift)
    traces = later(n)
    panel = Panel(
        days=DayRange(START - timedelta(days=REACH_DAYS), START + timedelta(days=world.days - 1)),
        series=(*(f"i{row:03d}" for row in range(world.intents)), ALL),
        n=traces,
        total=traces[-1],
        sums=sums,
        error_n=traces,
        error_k=later(k),
        tools=tuple(f"t{number}" for number in range(drift_values.TOOL_COUNT)),
        tool_n=traces,
        shares=later(shares),
        scores={QUALITY: Scores(*(later(part) for part in score))},
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        means[ERRORS] = with_all(k) / with_all(n)
        means[VOLUME] = with_all(n).astype(np.float64)
        means[QUALITY] = with_all(score[1]) / with_all(score[0])
        mixes = with_all(shares) / with_all(n)[:, :, None]
    if raw:
        kept |= {ERRORS: k, TOOLS: shares}
    drifted = {(row, effect.metric): effect for row, effect in drift.items()}
    return Simulated(panel, means, mixes, volume, drifted, kept)
