from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.intents.show import (
    _cell,
    _plain,
    by_category,
    intents_markdown,
    intents_of,
    trend_words,
)
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table
from tests.intents.streams import FIRST, stream
from tests.intents.test_daily import filled, run

HOSTILE = (
    "see https://evil.example ![x](//evil.example/p.png) `<b>` | a\x1b[31m\u202e\n# b www.evil.example\\"
)
Rows = list[dict[str, Any]]


def rewritten(engine: DuckDBEngine, change: Callable[[Rows], object]) -> Rows:
    """The intents of the first day, changed in place, back in the lake."""
    rows = engine.lake.read(Slice("intents", DayRange.single(FIRST))).to_pylist()
    change(rows)
    engine.lake.replace(Slice("intents", DayRange.single(FIRST)), lambda: rows_to_table("intents", rows))
    return rows


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    made = stream(1, 250)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    return engine


@pytest.mark.parametrize("text", [None, "", "``", " \n "])
def test_nothing_to_show_is_a_dash(text: str | None) -> None:
    assert _cell(text) == "–"


@given(st.text(max_size=300))
def test_every_text_is_one_code_span_in_one_cell(text: str) -> None:
    cell = _cell(_plain(text))
    assert cell == "–" or re.fullmatch(r"`[^`|\n]+`", cell)
    assert not any(unicodedata.category(char).startswith("C") for char in cell)


def test_texts_of_strangers_are_neither_markup_nor_links_nor_control_characters(engine: DuckDBEngine) -> None:
    hostile_sub = json.dumps(
        [{"name": HOSTILE, "share": 0.5, "exemplar_ids": ["t"], "exemplar_texts": [HOSTILE]}]
    )
    rows = rewritten(
        engine,
        lambda rows: rows[0].update(
            name=HOSTILE, description=HOSTILE, category=HOSTILE, apart=HOSTILE, sub_intents=hostile_sub
        ),
    )
    shown = intents_markdown(engine, FIRST).splitlines()
    assert len(shown) == 2 + len(rows) + 1
    assert all(line.count("|") == 8 for line in shown)
    assert sum("evil.example" in line for line in shown) == 1
    for line in shown[2:]:
        assert not re.search(r"[<\[\\!#]|//|www", re.sub(r"`[^`]*`", "", line))
    found = intents_of(engine)
    assert found is not None
    hostile = next(row for row in found["intents"] if "evil" in row["name"])
    for text in (hostile["name"], hostile["description"], hostile["apart_from"] or "x"):
        assert text.isprintable()
    assert hostile["sub_intents"][0]["name"].isprintable()
    assert intents_of(engine, FIRST - timedelta(days=1)) is None


def test_intents_come_with_all_that_is_known_of_them(engine: DuckDBEngine) -> None:
    found = intents_of(engine)
    assert found is not None
    traces = [row["traces"] for row in found["intents"]]
    assert traces == sorted(traces, reverse=True)
    names = {row["intent_id"]: row["name"] for row in found["intents"]}
    for row in found["intents"]:
        assert len(row["exemplars"]) == 3
        assert row["named_by"] == row["category_by"] == "words"
        assert row["nearest_name"] == names[row["nearest_id"]]
        assert row["apart_from"].startswith(f"Unlike “{row['nearest_name']}”: ")
        assert row["low_margin"] is False and row["pinned"] is False
        assert isinstance(row["sub_intents"], list)
    assert [event["kind"] for event in found["lineage"]] == ["bootstrapped"]
    assert found["lineage"][0]["date"] == FIRST


def test_known_unknown_and_unanswered_traffic_are_all_traffic(engine: DuckDBEngine) -> None:
    found = intents_of(engine)
    assert found is not None
    told = engine.lake.read(Slice("trace_intents")).to_pylist()
    unknown = [row for row in told if row["intent_id"] is None and row["score"] is not None]
    assert found["unknown"] == {"traces": len(unknown), "share": len(unknown) / len(told)}
    known = sum(row["traces"] for row in found["intents"])
    assert known + found["unknown"]["traces"] + found["unanswered"]["traces"] == len(told)
    last = intents_markdown(engine, FIRST).splitlines()[-1]
    assert "Unknown – like nothing above" in last and f"| {len(unknown)} |" in last


def test_traces_of_a_merged_intent_count_for_what_it_is_part_of(engine: DuckDBEngine) -> None:
    before = intents_of(engine)
    assert before is not None
    first, second, third = (row["intent_id"] for row in before["intents"][:3])
    counted = {row["intent_id"]: row["traces"] for row in before["intents"]}

    def merge(rows: Rows) -> None:
        for row in rows:
            into = {third: second, second: first}.get(row["intent_id"])
            row.update({"status": "merged", "merged_into": into} if into else {})

    rewritten(engine, merge)
    after = intents_of(engine)
    assert after is not None
    rows = {row["intent_id"]: row for row in after["intents"]}
    assert rows[first]["traces"] == counted[first] + counted[second] + counted[third]
    assert (rows[second]["traces"], rows[third]["traces"]) == (0, 0)
    assert rows[third]["merged_into_name"] == rows[second]["name"]
    assert sum(row["share"] for row in after["intents"]) == pytest.approx(
        sum(row["share"] for row in before["intents"])
    )
    assert rows[second]["name"] not in intents_markdown(engine, FIRST)


def test_intents_merged_in_a_circle_do_not_hang(engine: DuckDBEngine) -> None:
    def circle(rows: Rows) -> None:
        rows[0].update(status="merged", merged_into=rows[1]["intent_id"])
        rows[1].update(status="merged", merged_into=rows[0]["intent_id"])

    rows = rewritten(engine, circle)
    found = intents_of(engine)
    assert found is not None and len(found["intents"]) == len(rows)


def test_the_table_goes_by_category_and_says_what_is_unsure_and_where_it_goes(engine: DuckDBEngine) -> None:
    def arrange(rows: Rows) -> None:
        for row in rows:
            row.update(category="Rest")
        rows[0].update(category="Few", category_by="predefined", category_margin=0.01)
        rows[1].update(trend="growing", trend_change=0.354, trend_p=0.001)

    rows = rewritten(engine, arrange)
    shown = intents_markdown(engine, FIRST).splitlines()[2:-1]
    assert len(shown) == len(rows)
    assert [line for line in shown if "`Few`" in line] == [line for line in shown if "(low margin)" in line]
    assert sum("`Rest`" in line for line in shown) == 1
    assert sum("growing (+35 %)" in line for line in shown) == 1
    found = intents_of(engine)
    assert found is not None
    assert {category for category, _ in by_category(found["intents"])} == {"Few", "Rest"}


@pytest.mark.parametrize(
    ("trend", "change", "words"),
    [
        (None, None, "–"),
        ("stable", 0.02, "stable"),
        ("declining", -0.5, "declining (-50 %)"),
        ("growing", None, "growing"),
        ("new", None, "new"),
    ],
)
def test_trends_are_told_in_words(trend: str | None, change: float | None, words: str) -> None:
    assert trend_words({"trend": trend, "trend_change": change}) == words
