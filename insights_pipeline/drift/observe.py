"""The fold over days: rollups and yesterday's items in, observations and items out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pyarrow as pa

from insights_pipeline.drift.constants import (
    BASELINE_DAYS,
    CHANGED,
    DEFAULT,
    DOWN,
    LASTING_HORIZON,
    LATENCY,
    LATENCY_P95,
    REACH_DAYS,
    RECENT_HORIZON,
    TOOLS,
    UP,
)
from insights_pipeline.drift.detect import CONFIRMED, EXTREME, LASTING, MONTH, WEEK, family
from insights_pipeline.drift.explanation.explanations import with_explanations
from insights_pipeline.drift.judge import Judged, LeftOut, judge
from insights_pipeline.drift.life.arrivals import Known
from insights_pipeline.drift.life.decisions import Decision, followed
from insights_pipeline.drift.life.fold import Day, fold_day
from insights_pipeline.drift.life.item import NEW_ITEM, Item, accepted_since
from insights_pipeline.drift.life.item_rows import to_row
from insights_pipeline.drift.life.item_store import items_before
from insights_pipeline.drift.life.left_out import left_out
from insights_pipeline.drift.life.succession import that_go_on
from insights_pipeline.drift.observations import observation_table
from insights_pipeline.drift.series.lineage import Lineage, lineages
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.series.rollups import read_panel
from insights_pipeline.lake import DayRange, Slice, rows_to_table
from insights_pipeline.lake.engine import Engine
from insights_pipeline.lake.tables import TABLES

# Days judged from one read of the rollups: bounds memory on a long backfill and cannot be seen in the result.
_CHUNK_DAYS = 62
_TRIGGER_OF = {"1d": EXTREME, RECENT_HORIZON: CONFIRMED, "7d": WEEK, LASTING_HORIZON: LASTING, "30d": MONTH}


def observe_days(
    engine: Engine,
    days: DayRange,
    *,
    decisions: Sequence[Decision] = (),
    groups: Sequence[str] = (),
    complete_until: date | None = None,
) -> int:
    """Fold `days` in order and replace their observations (cadence daily) and items; gives the observations written.

    The state before is the newest day of `drift_items` before the range. A range gives what single days would give.
    `decisions` are those of people; `groups` the dimensions whose slices are series of their own; `complete_until` is
    the last day that is over: a later one may still be going on, so how little there was of it says nothing.
    """
    items: Sequence[Item] = items_before(engine, days.first)
    written = 0
    for start in range(0, len(days), _CHUNK_DAYS):
        first = days.first + timedelta(days=start)
        chunk = DayRange(first, min(days.last, first + timedelta(days=_CHUNK_DAYS - 1)))
        for run, lineage in lineages(engine, chunk):
            rows, items = _observe_run(
                engine,
                run,
                items,
                lineage,
                decisions=followed(decisions, lineage),
                groups=groups,
                complete_until=complete_until,
            )
            written += rows
    return written


def _observe_run(
    engine: Engine,
    days: DayRange,
    items: Sequence[Item],
    lineage: Lineage,
    *,
    decisions: Sequence[Decision],
    groups: Sequence[str],
    complete_until: date | None,
) -> tuple[int, Sequence[Item]]:
    """Days on which the same intents are merged: each is judged from the past as it counts for them."""
    panel = read_panel(engine, days.widen(before=REACH_DAYS - 1), lineage=lineage, groups=groups)
    known = _known(engine, days)
    folded: list[tuple[date, Sequence[Item]]] = []
    tables: list[pa.Table] = []
    for day in days:
        before = that_go_on(items, day, lineage, groups=groups)
        outcome = fold_day(panel, day, before, known[day], decisions=decisions, complete_until=complete_until)
        items = outcome.items
        folded.append((day, items))
        tables += _tables(outcome)
    told = with_explanations(engine, folded, lineage=lineage)
    rows = [to_row(item, day) for day, of_day in zip(days, told, strict=True) for item in of_day]
    observations = pa.concat_tables([TABLES["drift_observations"].schema.empty_table(), *tables])
    engine.lake.replace(Slice("drift_items", days), lambda: rows_to_table("drift_items", rows))
    written = engine.lake.replace(Slice("drift_observations", days, cadence="daily"), lambda: observations)
    return written, told[-1]


def _tables(outcome: Day) -> list[pa.Table]:
    linked = _linked(outcome.items)
    return [
        observation_table(
            outcome.day,
            "daily",
            outcome.panel,
            judged,
            outcome.out,
            triggers=_triggers(outcome, horizon),
            items=linked,
        )
        for horizon, judged in outcome.judged.items()
    ]


def _linked(items: Sequence[Item]) -> dict[tuple[str, str, str], str]:
    """The item of each (series, metric, direction) whose episode is not over."""
    linked = {}
    for item in sorted((item for item in items if item.live), key=lambda item: (item.opened, item.item_id)):
        metrics = (LATENCY, LATENCY_P95) if family(item.metric) == LATENCY else (item.metric,)
        linked.update({(item.series, metric, item.direction): item.item_id for metric in metrics})
    return linked


def _triggers(outcome: Day, horizon: str) -> dict[tuple[str, str, str], str]:
    """What fired on this horizon today; where nothing saw three days together, B on the day that was the second."""
    own = _TRIGGER_OF[horizon]
    fired = _fired(outcome, own)
    if own == EXTREME:
        together = _fired(outcome, CONFIRMED)
        for item in outcome.items:
            key = (item.series, item.metric, item.direction)
            if item.state == NEW_ITEM and item.trigger == CONFIRMED and key not in together:
                fired.setdefault(key, CONFIRMED)
    return fired


def _fired(outcome: Day, trigger: str) -> dict[tuple[str, str, str], str]:
    return {
        (signal.series, signal.metric, signal.direction): trigger
        for signal in outcome.signals
        if trigger in signal.triggers
    }


def _known(engine: Engine, days: DayRange) -> Mapping[date, Known]:
    """The intents of each day; of a day without its own list, the newest before it (a day may be quiet)."""
    columns = ("date", "intent_id", "born", "status", "split_from")
    rows = engine.query(
        "SELECT date, intent_id, born, status, split_from FROM intents ORDER BY date, intent_id",
        {"intents": Slice("intents", days.widen(before=BASELINE_DAYS), columns)},
    )
    start = engine.query(
        "SELECT min(date) AS first FROM intents", {"intents": Slice("intents", None, ("date",))}
    ).to_pylist()[0]["first"]
    by_day: dict[date, list[dict[str, object]]] = {}
    for row in rows.to_pylist():
        by_day.setdefault(row["date"], []).append(row)
    current: list[dict[str, object]] = []
    known = {}
    for day in days.widen(before=BASELINE_DAYS):
        current = by_day.get(day, current)
        known[day] = _intents(current, start)
    return known


def _intents(rows: Sequence[Mapping[str, object]], bootstrapped: date | None) -> Known:
    return Known(
        bootstrapped=bootstrapped,
        # a part of a known intent is nothing that people did not ask before
        born={
            str(row["intent_id"]): row["born"]
            for row in rows
            if isinstance(row["born"], date) and row["split_from"] is None
        },
        status={str(row["intent_id"]): str(row["status"]) for row in rows},
    )


def observe_window(engine: Engine, cadence: str, window: DayRange, *, groups: Sequence[str] = ()) -> int:
    """A calendar week or month against the 30 days before it; gives the rows written, at date `window.first`.

    Days that an item quarantined by the end of the window are left out of the baseline. No items: those are daily.
    """
    if cadence not in ("weekly", "monthly"):
        raise ValueError(f"cadence is weekly or monthly, not {cadence!r}")
    horizon, trigger = ("week", WEEK) if cadence == "weekly" else ("month", MONTH)
    length = len(window) + REACH_DAYS - 1
    lineage = lineages(engine, DayRange.single(window.last))[0][1]
    panel = read_panel(engine, DayRange.ending(window.last, length), lineage=lineage, groups=groups)
    panel = panel.ending(window.last, length)
    items = [
        item
        for item in items_before(engine, window.last + timedelta(days=1))
        if (since := accepted_since(item)) is None or since <= window.first
    ]
    # an episode that began and ended inside the window is part of its story
    out = LeftOut(left_out(panel, items).baseline, LeftOut.nothing(panel).window)
    tables = []
    if panel.series:
        judged = judge(panel, window, out, horizon=horizon, cap=DEFAULT.cap_week)
        tables.append(
            observation_table(
                window.first,
                cadence,
                panel,
                judged,
                out,
                triggers=_window_triggers(panel, judged, trigger),
                items=_linked(items),
            )
        )
    rows = pa.concat_tables([TABLES["drift_observations"].schema.empty_table(), *tables])
    into = Slice("drift_observations", DayRange.single(window.first), cadence=cadence)
    return engine.lake.replace(into, lambda: rows)


def _window_triggers(panel: Panel, judged: Judged, trigger: str) -> dict[tuple[str, str, str], str]:
    fired = {}
    for metric, result in judged.results.items():
        pulled = (judged.q[metric] <= DEFAULT.q) & (result.magnitude >= 1)
        for row in pulled.nonzero()[0]:
            direction = CHANGED if metric == TOOLS else UP if result.effect[row] > 0 else DOWN
            fired[panel.series[row], metric, direction] = trigger
    return fired
