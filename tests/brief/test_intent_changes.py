"""The one line of a brief about what was made of the intents."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from insights_pipeline.brief.gather import gather
from insights_pipeline.brief.intent_changes import changes_line, intent_changes
from insights_pipeline.brief.markdown import escape, markdown
from insights_pipeline.brief.read import read_brief
from insights_pipeline.brief.write import write_daily_briefs, write_window_brief
from insights_pipeline.lake import DayRange, DuckDBEngine, rows_to_table

MONDAY = date(2026, 3, 2)
RENAMED = {"kind": "renamed", "intent_id": "a", "name": "B", "from": "A", "to": "B", "by": "ana", "edit": 1}
MERGED = {"kind": "merged", "intent_id": "c", "name": "C", "into": "d", "into_name": "D"}


def of(*events: dict[str, Any], traces: int = 10) -> str:
    return markdown(
        gather(
            cadence="daily",
            first=MONDAY,
            last=MONDAY,
            items={},
            watched=[],
            model={"status": "ready", "traces_seen": 900},
            intents=[],
            traffic=[{"date": MONDAY, "intent_id": "all", "n": traces, "k": 0}],
            bootstrap_traces=500,
            events=events,
        )
    )


def test_names_and_merges_are_one_line() -> None:
    text = of(RENAMED, MERGED)
    assert "Intents: “A” renamed to “B” (ana), “C” merged into “D”." in text
    assert text.count("Intents:") == 1


def test_without_any_there_is_no_line() -> None:
    assert "Intents:" not in of()
    assert "Intents:" not in of({"kind": "emerged", "name": "N"}, {"kind": "trend", "name": "N"})


def test_what_a_discovery_or_a_model_does_by_itself_is_no_news_but_what_people_do_is() -> None:
    found = {"kind": "bootstrapped", "intents": 9}
    named = {"kind": "renamed", "intent_id": "a", "name": "B", "from": "A", "to": "B"}
    by_model = {**MERGED, "by": "llm"}
    assert intent_changes([found, MERGED, by_model, named, {**named, "by": "llm"}]) == ()
    assert "llm" not in changes_line(intent_changes([by_model]), escape)
    assert intent_changes([found, MERGED, RENAMED]) == (RENAMED,)
    assert intent_changes([MERGED]) == (MERGED,)


def test_many_are_counted() -> None:
    line = changes_line([{**RENAMED, "to": f"B{number}"} for number in range(9)], escape)
    assert line.count("renamed") == 4 and line.endswith("5 more")


def test_texts_of_people_are_no_markup_and_not_long() -> None:
    evil = {**RENAMED, "to": "[x](http://e)\n# **" + "y" * 9_000, "by": "<b>"}
    line = changes_line([evil], escape)
    assert len(line) < 300 and "\n" not in line
    assert "\\[x\\](http://e)" in line and "\\<b\\>" in line


def test_briefs_of_a_day_and_of_a_week_tell_the_events_of_their_days(engine: DuckDBEngine) -> None:
    days = DayRange(MONDAY, date(2026, 3, 8))
    models = [
        {
            "date": day,
            "status": "ready",
            "traces_seen": 900,
            "events": json.dumps([RENAMED] if day.day == 4 else []),
        }
        for day in days
    ]
    engine.lake.append("intent_models", rows_to_table("intent_models", models))
    write_daily_briefs(engine, days, bootstrap_traces=500)
    write_window_brief(engine, "weekly", days, bootstrap_traces=500)
    told = [
        day
        for day in days
        if "Intents:" in (read_brief(engine.lake, "daily", day) or {"markdown": ""})["markdown"]
    ]
    assert told == [date(2026, 3, 4)]
    weekly = read_brief(engine.lake, "weekly", MONDAY)
    assert weekly is not None and "“A” renamed to “B”" in weekly["markdown"]
    assert json.loads(weekly["facts"])["intent_changes"] == [RENAMED]
