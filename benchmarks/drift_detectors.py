"""Detectors on simulated traffic: the policy with and without its life cycle, each trigger, and two rules of thumb.

Every detector answers with flags [series, days] of each metric; nothing is flagged before `SCORED_FROM`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from benchmarks.drift_world import DAYS, METRICS, SCORED_FROM, START, Simulated
from insights_pipeline.drift.constants import REACH_DAYS, TOOLS
from insights_pipeline.drift.detect import (
    CONFIRMED,
    EXTREME,
    LASTING,
    MONTH,
    WEEK,
    family,
    judge_day,
    signals,
)
from insights_pipeline.drift.judge import LeftOut
from insights_pipeline.drift.life.arrivals import Known
from insights_pipeline.drift.life.fold import fold_day
from insights_pipeline.drift.life.item import OPEN, Item

Flags = Mapping[str, np.ndarray]
TRIGGERS = (WEEK, CONFIRMED, EXTREME, MONTH, LASTING)
WARM_UP = 14  # days of life cycle before the first that is scored


@dataclass(frozen=True, slots=True)
class Found:
    """Flags of a detector, its time, and (life cycle only) the items that opened while scored."""

    flags: Flags
    seconds: float
    days: int
    items: tuple[Item, ...] = ()
    on: tuple[int, ...] = ()  # the days it judged, if not all that are scored


def none(simulated: Simulated) -> dict[str, np.ndarray]:
    """No flag anywhere."""
    return {metric: np.zeros((simulated.intents + 1, DAYS), dtype=bool) for metric in METRICS}


def triggers(simulated: Simulated) -> dict[str, Found]:
    """Each trigger on a rolling baseline without quarantine, from one pass over the days, and any of them."""
    begin = time.process_time()
    flags = {trigger: none(simulated) for trigger in TRIGGERS}
    row = {name: number for number, name in enumerate(simulated.panel.series)}
    hits: list[set[tuple[str, str, str]]] = []
    for day in range(SCORED_FROM - 2, DAYS):
        date = START + timedelta(days=day)
        recent = simulated.panel.ending(date, REACH_DAYS)
        found = signals(recent, judge_day(recent, date, LeftOut.nothing(recent)))
        hits.append({signal.key for signal in found if signal.hit})
        for signal in found if day >= SCORED_FROM else ():
            fired = set(signal.triggers)
            if signal.hit and signal.confirms and any(signal.key in earlier for earlier in hits[-3:-1]):
                fired.add(CONFIRMED)
            for trigger in fired:
                flags[trigger][family(signal.metric)][row[signal.series], day] = True
    seconds, days = time.process_time() - begin, DAYS - SCORED_FROM + 2
    either = {metric: np.any([flags[trigger][metric] for trigger in TRIGGERS], axis=0) for metric in METRICS}
    return {"any of A to E": Found(either, seconds, days)} | {
        f"{trigger} alone": Found(flags[trigger], seconds, days) for trigger in TRIGGERS
    }


def life_cycle(simulated: Simulated) -> Found:
    """The whole policy: a flag is an open item, so quarantine, holding and closing count as users would see them."""
    begin = time.process_time()
    flags = none(simulated)
    row = {name: number for number, name in enumerate(simulated.panel.series)}
    opened: dict[str, Item] = {}
    items: list[Item] = []
    known = Known(None, {}, {})
    for day in range(SCORED_FROM - WARM_UP, DAYS):
        items = list(fold_day(simulated.panel, START + timedelta(days=day), items, known).items)
        for item in items:
            if item.state in OPEN and day >= SCORED_FROM:
                flags[family(item.metric)][row[item.series], day] = True
                opened.setdefault(item.item_id, item)
    new = tuple(item for item in opened.values() if item.opened >= START + timedelta(days=SCORED_FROM))
    return Found(flags, time.process_time() - begin, DAYS - SCORED_FROM + WARM_UP, new)


def fixed(simulated: Simulated) -> Found:
    """More than 20 % off the mean of 30 days; tools: Jensen-Shannon distance above .1."""
    begin = time.process_time()
    flags = none(simulated)
    with np.errstate(invalid="ignore", divide="ignore"):
        for day, metric, past, now in _daily(simulated):
            flags[metric][:, day] = np.abs(now / _mean(past) - 1) > 0.2
        for day, _, now in _distances(simulated):
            flags[TOOLS][:, day] = now > 0.1
    return Found(flags, time.process_time() - begin, DAYS - SCORED_FROM)


def sigmas(simulated: Simulated) -> Found:
    """Beyond three standard deviations of the 30 daily means; tools: of the 30 daily distances, upwards."""
    begin = time.process_time()
    flags = none(simulated)
    with np.errstate(invalid="ignore", divide="ignore"):
        for day, metric, past, now in _daily(simulated):
            flags[metric][:, day] = np.abs(now - _mean(past)) > 3 * _deviation(past)
        for day, past, now in _distances(simulated):
            flags[TOOLS][:, day] = now > _mean(past) + 3 * _deviation(past)
    return Found(flags, time.process_time() - begin, DAYS - SCORED_FROM)


def _mean(past: np.ndarray) -> np.ndarray:
    known = np.isfinite(past)
    return np.where(known, past, 0.0).sum(axis=1) / known.sum(axis=1)


def _deviation(past: np.ndarray) -> np.ndarray:
    known = np.isfinite(past)
    squares = np.where(known, past - _mean(past)[:, None], 0.0) ** 2
    return np.sqrt(squares.sum(axis=1) / (known.sum(axis=1) - 1))


def _daily(simulated: Simulated) -> Iterator[tuple[int, str, np.ndarray, np.ndarray]]:
    for metric, values in simulated.means.items():
        for day in range(SCORED_FROM, DAYS):
            yield day, metric, values[:, day - 30 : day], values[:, day]


def _distances(simulated: Simulated) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    mixes = simulated.mixes
    for day in range(SCORED_FROM, DAYS):
        past = mixes[:, day - 30 : day]
        base = np.nan_to_num(np.stack([_mean(past[:, :, tool]) for tool in range(past.shape[2])], axis=1))
        yield day, np.stack([_js(past[:, d], base) for d in range(30)], axis=1), _js(mixes[:, day], base)


def _js(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    middle = (p + q) / 2
    left, right = (np.where(a > 0, a * np.log2(a / middle), 0.0).sum(axis=-1) / 2 for a in (p, q))
    return np.where(np.isfinite(p).all(axis=-1), np.sqrt(np.maximum(left + right, 0)), np.nan)
