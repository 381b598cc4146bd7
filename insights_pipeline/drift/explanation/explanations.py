"""Items with what their traces tell: the slice that carries a change, what came at the time, and exemplars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from insights_pipeline.drift.constants import REACH_DAYS, VOLUME
from insights_pipeline.drift.explanation.apart import Apart, carrier_row, tables, take_item_apart
from insights_pipeline.drift.explanation.carriers import Carrier
from insights_pipeline.drift.explanation.coincidence import coincident
from insights_pipeline.drift.explanation.exemplars import with_exemplars
from insights_pipeline.drift.explanation.explain import significant
from insights_pipeline.drift.explanation.slice_days import Sliced, read_slice_days
from insights_pipeline.drift.life.item import OPEN, Item
from insights_pipeline.drift.series.lineage import ITSELF, Lineage, lineages
from insights_pipeline.lake import DayRange
from insights_pipeline.lake.engine import Engine

Facts = dict[str, object]


def with_explanations(
    engine: Engine, days: Sequence[tuple[date, Sequence[Item]]], *, lineage: Lineage = ITSELF
) -> list[list[Item]]:
    """The items of consecutive days with carriers, coincidences and traces; on quiet days they keep what they had.

    An item is taken apart on every open day that shows its change. Slices are read once for all days.
    """
    told = _told(engine, days, lineage)
    known: dict[str, Facts] = {}
    out: list[tuple[date, list[Item]]] = []
    for day, items in days:
        today = []
        for item in items:
            if (day, item.item_id) in told:
                known[item.item_id] = told[day, item.item_id][0]
            facts = known.get(item.item_id)
            today.append(item if facts is None else replace(item, explanation={**item.explanation, **facts}))
        out.append((day, today))
    focus = {key: best for key, (_, best) in told.items() if best is not None}
    return with_exemplars(engine, out, lineage=lineage, focus=focus)


def explain_item(engine: Engine, item: Item, day: date) -> dict[str, object]:
    """The whole decomposition of an item as of `day`, JSON-ready; `dimensions` is {} where no slices are known.

    Keys: item_id, metric, compared, total, dimensions (of each a list of values: n_before, n, share_before, share_now,
    before, now, own, mix, part, z), carriers, coincident.
    """
    lineage = lineages(engine, DayRange.single(day))[0][1]
    days = DayRange.ending(day, REACH_DAYS)
    slices = read_slice_days(engine, days, lineage=lineage, intents=[item.intent_id], metrics=[item.metric])
    metric = slices.of(item.intent_id, item.metric) if item.slice is None else None
    apart = None if metric is None else take_item_apart(item, metric)
    facts, _ = _facts(item, day, apart, slices.of(item.intent_id, VOLUME))
    return {
        "item_id": item.item_id,
        "metric": item.metric,
        "compared": item.explanation.get("compared"),
        "total": None if apart is None else apart.total,
        "dimensions": {} if apart is None else tables(apart),
        "carriers": facts.get("carriers", []),
        "coincident": facts.get("coincident", []),
    }


def _told(
    engine: Engine, days: Sequence[tuple[date, Sequence[Item]]], lineage: Lineage
) -> dict[tuple[date, str], tuple[Facts, Carrier | None]]:
    """Of each day and item that is explained on it: its facts, and the slice that its traces should be of."""
    asked = [
        (item.intent_id, item.metric, day, item) for day, items in days for item in items if _asks(item, day)
    ]
    if not asked:
        return {}
    loaded = DayRange(days[0][0] - timedelta(days=REACH_DAYS - 1), days[-1][0])
    intents, metrics = {intent_id for intent_id, *_ in asked}, {metric for _, metric, *_ in asked}
    slices = read_slice_days(engine, loaded, lineage=lineage, intents=intents, metrics=metrics)
    told: dict[tuple[date, str], tuple[Facts, Carrier | None]] = {}
    spread: tuple[tuple[str, str], Sliced | None, Sliced | None] | None = None
    for intent_id, name, day, item in sorted(asked, key=lambda entry: (entry[:3], entry[3].item_id)):
        if spread is None or spread[0] != (intent_id, name):  # one metric of one intent in memory at a time
            spread = (intent_id, name), slices.of(intent_id, name), slices.of(intent_id, VOLUME)
        _, metric, counts = spread
        apart = None if metric is None or item.slice is not None else take_item_apart(item, metric)
        told[day, item.item_id] = _facts(item, day, apart, counts)
    return told


def _asks(item: Item, day: date) -> bool:
    """An item is taken apart on the days that show its change."""
    compared = item.explanation.get("compared")
    return item.state in OPEN and isinstance(compared, Mapping) and compared.get("day") == str(day)


def _facts(item: Item, day: date, apart: Apart | None, counts: Sliced | None) -> tuple[Facts, Carrier | None]:
    facts: Facts = {}
    at_onset: list[dict[str, object]] = []
    if item.onset is not None and counts is not None:
        at_onset = coincident(item.onset, day, item.metric, counts.days, counts.whole, counts.dimensions)
        facts["coincident"] = at_onset
    if apart is None:
        return facts, None
    total = apart.total
    facts["total"] = {key: significant(one) if isinstance(one, float) else one for key, one in total.items()}
    if not apart.dimensions:
        return facts, None
    best = apart.best(item.direction, {(str(one["dimension"]), str(one["value"])) for one in at_onset})
    facts["carriers"] = [carrier_row(carrier) for carrier in best]
    return facts, best[0] if best else None
