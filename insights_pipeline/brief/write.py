"""Briefs of days and of calendar windows: read the tables, gather the facts, render, replace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.gather import gather
from insights_pipeline.brief.html import html
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.markdown import markdown
from insights_pipeline.brief.slack import blocks
from insights_pipeline.brief.tables import Rows, read_rows
from insights_pipeline.brief.wording import headline
from insights_pipeline.drift.explanation.exemplars import with_exemplars
from insights_pipeline.drift.life.item import NEW_ITEM, Item, item_id
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.lineage import lineage_of
from insights_pipeline.lake import DayRange, Engine, Slice, rows_to_table

_DAYS_AT_ONCE = 60  # rows of this many days are held in memory

Summarise = Callable[[Facts], str | None]


def write_daily_briefs(
    engine: Engine,
    days: DayRange,
    *,
    bootstrap_traces: int,
    links: Links | None = None,
    summarise: Summarise | None = None,
) -> int:
    """Briefs of each day of the range; gives their count. `summarise` says a brief in two sentences, or None."""
    windows = [DayRange.single(day) for day in days]
    return _write(
        engine, "daily", windows, Slice("briefs", days, cadence="daily"), bootstrap_traces, links, summarise
    )


def write_window_brief(
    engine: Engine,
    cadence: str,
    window: DayRange,
    *,
    bootstrap_traces: int,
    links: Links | None = None,
    summarise: Summarise | None = None,
) -> int:
    """The brief of a calendar week (cadence weekly) or month (monthly), dated by its first day."""
    into = Slice("briefs", DayRange.single(window.first), cadence=cadence)
    return _write(engine, cadence, [window], into, bootstrap_traces, links, summarise)


def _write(
    engine: Engine,
    cadence: str,
    windows: Sequence[DayRange],
    into: Slice,
    bootstrap_traces: int,
    links: Links | None,
    summarise: Summarise | None,
) -> int:
    briefs = []
    for facts in _facts(engine, cadence, windows, bootstrap_traces):
        briefs.append(_row(facts, links, summarise(facts) if summarise else None))
    return engine.lake.replace(into, lambda: rows_to_table("briefs", briefs))


def _facts(
    engine: Engine, cadence: str, windows: Sequence[DayRange], bootstrap_traces: int
) -> Iterator[Facts]:
    """Facts of consecutive windows, read many at a time: a table is opened once, not once a day."""
    for start in range(0, len(windows), _DAYS_AT_ONCE):
        some = windows[start : start + _DAYS_AT_ONCE]
        rows = read_rows(engine, cadence, DayRange(some[0].first, some[-1].last))
        for window in some:
            dated = window.last if cadence == "daily" else window.first
            models = rows.models[window.last]
            found = gather(
                cadence=cadence,
                first=window.first,
                last=window.last,
                items=rows.items,
                watched=rows.watched[dated],
                model=models[0] if models else None,
                intents=rows.intents[window.last],
                traffic=rows.traffic_as_of(window),
                bootstrap_traces=bootstrap_traces,
                drifted=rows.drifted[dated],
                events=[
                    event
                    for day in window
                    for row in rows.models[day]
                    for event in json.loads(row["events"] or "[]")
                ],
            )
            yield found if cadence == "daily" else _with_traces(engine, found, rows)


def _with_traces(engine: Engine, facts: Facts, rows: Rows) -> Facts:
    """The lines of what only a whole window's test found, which no item points to traces for, with their traces."""
    bare = {
        item_id(series_key(line.intent_id, line.slice), line.metric, line.direction, line.opened): line
        for line in facts.lines
        if not line.trace_ids and not line.item_ids
    }
    if not bare:
        return facts
    wanted = [
        Item(
            item_id=key,
            series=series_key(line.intent_id, line.slice),
            metric=line.metric,
            direction=line.direction,
            state=NEW_ITEM,
            opened=line.opened,
            last_fired=facts.last,
            explanation=line.explanation,
        )
        for key, line in sorted(bare.items())
    ]
    lineage = lineage_of(rows.intents[facts.last])
    (found,) = with_exemplars(engine, [(facts.last, wanted)], lineage=lineage)
    traces = {id(bare[item.item_id]): item for item in found}
    lines = [
        replace(
            line,
            trace_ids=traces[id(line)].trace_ids,
            baseline_trace_ids=traces[id(line)].baseline_trace_ids,
        )
        if id(line) in traces
        else line
        for line in facts.lines
    ]
    return replace(facts, lines=tuple(lines))


def _row(facts: Facts, links: Links | None, summary: str | None) -> dict[str, object]:
    return {
        "date": facts.first,
        "cadence": facts.cadence,
        "window_first": facts.first,
        "window_last": facts.last,
        "status": facts.status,
        "headline": headline(facts),
        "facts": json.dumps(facts.to_json(), sort_keys=True),
        "summary": summary,
        "markdown": markdown(facts, links=links, summary=summary),
        "html": html(facts, links=links, summary=summary),
        "slack": json.dumps(blocks(facts, links=links, summary=summary), ensure_ascii=False),
    }
