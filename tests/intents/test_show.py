from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.intents.show import _cell, _plain, intents_markdown, intents_of
from insights_pipeline.lake import DayRange, Slice, rows_to_table
from tests.intents.streams import FIRST, stream
from tests.intents.test_daily import filled, run

HOSTILE = (
    "see https://evil.example ![x](//evil.example/p.png) `<b>` | a\x1b[31m\u202e\n# b www.evil.example\\"
)


@pytest.mark.parametrize("text", [None, "", "``", " \n "])
def test_nothing_to_show_is_a_dash(text: str | None) -> None:
    assert _cell(text) == "–"


@given(st.text(max_size=300))
def test_every_text_is_one_code_span_in_one_cell(text: str) -> None:
    cell = _cell(_plain(text))
    assert cell == "–" or re.fullmatch(r"`[^`|\n]+`", cell)
    assert not any(unicodedata.category(char).startswith("C") for char in cell)


def test_texts_of_strangers_are_neither_markup_nor_links_nor_control_characters(tmp_path: Path) -> None:
    made = stream(1, 250)
    engine = filled(tmp_path, made)
    run(engine, made.days)
    rows = engine.lake.read(Slice("intents")).to_pylist()
    rows[0].update(name=HOSTILE, description=HOSTILE)
    engine.lake.replace(Slice("intents", DayRange.single(FIRST)), lambda: rows_to_table("intents", rows))
    shown = intents_markdown(engine, FIRST).splitlines()
    assert len(shown) == 2 + len(rows)
    assert all(line.count("|") == 6 for line in shown)
    assert sum("evil.example" in line for line in shown) == 1
    for line in shown[2:]:
        assert line.count("`") == 4
        assert not re.search(r"[<\[\\!#]|//|www", re.sub(r"`[^`]*`", "", line))
    found = intents_of(engine)
    assert found is not None
    hostile = next(row for row in found["intents"] if "evil" in row["name"])
    for text in (hostile["name"], hostile["description"]):
        assert text.startswith("see https://evil.example") and text.isprintable()
    assert intents_of(engine, FIRST - timedelta(days=1)) is None
