"""`insights intents …` on a small real lake: what it shows, what it stores, and that runs apply it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from insights_pipeline.cli import intents, output
from insights_pipeline.cli.app import app
from insights_pipeline.intents.corrections.correct import edits_of
from insights_pipeline.intents.daily import classify_days, embed_days, update_model_days
from insights_pipeline.intents.steering import Steering
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, connect_with, engine_config
from insights_pipeline.settings import settings
from insights_pipeline.state import State, intent_edits
from tests.intents.streams import FIRST, stream

MADE = stream(3, 120)
VERBS = [
    "list", "show", "events", "rename", "describe", "merge", "split", "pin", "unpin", "move", "edits", "undo",
    "rediscover", "evaluate",
]  # fmt: skip


def run(folder: Path, days: DayRange = MADE.days) -> None:
    """The days run with the edits of the folder's state, as the assets do."""
    engine = engine_of(folder)
    edits = edits_of(intent_edits(State(f"sqlite:///{folder}/data/state.db")))
    embed_days(engine, days, bootstrap_traces=200, seed=0)
    update_model_days(engine, days, bootstrap_traces=200, seed=0, steering=Steering(edits=edits))
    classify_days(engine, days)


def engine_of(folder: Path) -> DuckDBEngine:
    config = engine_config(threads=2, memory_mb=512, temp_dir=folder / "spill")
    return DuckDBEngine(Lake(str(folder / "data/lake")), connect_with(config))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    engine_of(folder).lake.append("traces", MADE.traces)
    run(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the lake to work in."""
    shutil.copytree(made / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "data/lake"))
    monkeypatch.setenv("INSIGHTS_STATE_URL", f"sqlite:///{tmp_path}/data/state.db")
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def insights(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["intents", *arguments])


def told(*arguments: str) -> Any:
    result = insights(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    return {row["intent_id"]: row for row in told("list", *arguments)["intents"]}


def ids_of() -> list[str]:
    """Intents by traffic."""
    return list(listed())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_examples_and_can_print_json(verb: str) -> None:
    shown = insights(verb, "--help").output
    assert "Example" in shown and "--json" in shown


def test_the_bare_command_is_the_list(home: Path) -> None:
    bare = insights()
    assert bare.exit_code == 0 and bare.stdout == insights("list").stdout
    assert f"intents on {MADE.days.last}" in bare.stdout


def test_the_list_is_one_line_an_intent_and_says_what_has_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ids_of()[0]
    told("rename", first, "Where is " + "my " * 30 + "parcel")
    rows = told("list")["intents"]
    for width in (80, 100, 160):
        monkeypatch.setattr(output, "console", lambda width=width: Console(width=width))
        monkeypatch.setattr(intents, "console", lambda width=width: Console(width=width))
        lines = [line.rstrip() for line in insights("list").stdout.splitlines()]
        hint = next(place for place, line in enumerate(lines) if line.startswith("With 1 change"))
        assert hint == 2 + len(rows) + 2  # title and heads, one line each, unknown, without a text
        assert max(map(len, lines)) <= width
        assert lines[2 + len(rows)].startswith("unknown: like no intent")
        assert ("what people say" in lines[1]) == (width > 80)
    assert "unknown" not in insights("list", "--status", "active").stdout


def test_nothing_to_show_is_one_plain_line(home: Path) -> None:
    assert insights("edits").stdout == "no edits\n"
    assert insights("list", "--category", "whales").stdout == f"no such intents on {MADE.days.last}\n"
    none = insights("events", "--from", "2020-01-01", "--to", "2020-01-02").stdout
    assert none == "no events, 2020-01-01..2020-01-02\n"


def test_an_undone_correction_that_the_tables_still_have_is_called_so(home: Path) -> None:
    told("rename", ids_of()[0], "Parcels")
    run(home)
    told("undo", "1")
    assert [row["state"] for row in told("edits")] == ["pending"]
    assert "undone from the next run" in insights("edits").stdout
    run(home)
    assert told("edits") == []


def test_options_before_a_verb_are_refused_instead_of_lost(home: Path) -> None:
    lost = insights("--json", "edits")
    assert lost.exit_code == 2 and "`insights intents edits …`" in lost.output
    assert insights("--json").exit_code == 0
    assert insights("list", "--status", "sleeping").exit_code == 2
    assert insights("list", "--status", "ACTIVE").stdout == insights("list", "--status", "active").stdout


def test_a_name_that_is_taken_or_too_long_is_refused(home: Path) -> None:
    first, second = ids_of()[:2]
    name = listed()[second]["name"]
    taken = insights("rename", first, name.upper())
    assert taken.exit_code == 2 and f"insights intents merge {first} --into {second}" in taken.output
    long = insights("rename", first, "x" * 121)
    assert long.exit_code == 2 and "at most 120" in long.output
    assert insights("describe", first, "x" * 1_001).exit_code == 2
    assert told("edits") == []


def test_a_correction_calls_intents_by_the_names_that_people_gave_them(home: Path) -> None:
    first, second = ids_of()[:2]
    told("rename", first, "Parcels")
    merged = told("merge", second, "--into", first)
    assert [event["into_name"] for event in merged["will"]] == ["Parcels"]
    again = told("rename", first, "Deliveries")
    assert [(event["kind"], event["to"]) for event in again["will"]] == [("renamed", "Deliveries")]
    facts = told("show", first)
    assert (facts["nearest_id"] != second) or not facts["apart_from"]


def test_looking_makes_no_database(home: Path) -> None:
    first = ids_of()[0]
    for arguments in (["list"], ["show", first], ["events"], ["edits"]):
        assert insights(*arguments).exit_code == 0
    assert not (home / "data/state.db").exists()


def test_a_new_name_is_said_shown_at_once_and_in_the_tables_after_a_run(home: Path) -> None:
    first = ids_of()[0]
    was = listed()[first]["name"]
    result = insights("rename", first, "Where is my parcel", "--by", "ana")
    assert result.exit_code == 0
    assert f"“{was}” is called “Where is my parcel” (ana)" in result.stdout
    assert "insights run --from" in result.stdout
    row = listed()[first]
    assert (row["name"], row["slug"], row["named_by"]) == (
        "Where is my parcel",
        "where-is-my-parcel",
        "person",
    )
    assert [edit["state"] for edit in told("edits")] == ["pending"]
    stored = engine_of(home).lake.read(Slice("intents", None, ("name",))).column("name").to_pylist()
    assert "Where is my parcel" not in stored
    run(home)
    assert [edit["state"] for edit in told("edits")] == ["applied"]
    assert told("list")["pending"] == []
    assert [event["to"] for event in told("events") if event["kind"] == "renamed"] == ["Where is my parcel"]


def test_merged_intents_are_one_row_with_the_traffic_of_both_before_and_after_the_run(home: Path) -> None:
    into, merged = ids_of()[:2]
    before = listed()
    answer = told("merge", merged, "--into", into)
    assert [event["kind"] for event in answer["will"]] == ["merged"]
    assert answer["apply_to_past"].startswith("insights run --from ")
    both = before[into]["traces"] + before[merged]["traces"]
    assert merged not in listed() and listed()[into]["traces"] == both
    assert listed("--all")[merged]["merged_into"] == into
    run(home)
    assert merged not in listed() and listed()[into]["traces"] == both
    again = insights("merge", merged, "--into", into)
    assert again.exit_code == 2 and "is part of" in again.output
    told("undo", "1")
    assert listed()[merged]["status"] == "active"
    run(home)
    assert listed()[merged]["traces"] == before[merged]["traces"]
    assert [edit["state"] for edit in told("edits", "--all")] == ["undone"]
    assert told("edits") == []


def test_a_split_keeps_its_parts_wherever_it_is_applied(home: Path) -> None:
    first = ids_of()[0]
    answer = told("split", first)
    (event,) = answer["will"]
    assert event["kind"] == "split"
    (edit,) = edits_of(intent_edits(State(f"sqlite:///{home}/data/state.db")))
    assert [part.keeps for part in edit.parts].count(True) == 1 and all(part.texts for part in edit.parts)
    assert all(one in MADE.planted for part in edit.parts for one in part.trace_ids)
    run(home)
    child = event["parts"][0]["intent_id"]
    rows = listed()
    assert rows[child]["split_from"] == first and rows[child]["traces"] > 0 and rows[first]["traces"] > 0


def test_a_split_by_messages_names_its_parts(home: Path) -> None:
    first = ids_of()[0]
    exemplars = told("show", first)["exemplars"]
    parts = [f"--part=Ones={exemplars[0]['text']}", f"--part=Others={exemplars[-1]['text']}"]
    told("split", first, *parts)
    assert {"Ones", "Others"} <= {row["name"] for row in listed().values()}


def test_traces_are_moved_by_their_id(home: Path) -> None:
    first, second = ids_of()[:2]
    trace_id = told("show", second)["exemplars"][0]["trace_id"]
    answer = told("move", first, "--trace", trace_id)
    assert [(event["kind"], event["traces"]) for event in answer["will"]] == [("moved", 1)]
    assert insights("move", first, "--trace", "nowhere").exit_code == 2
    assert insights("move", first).exit_code == 2
    run(home)
    given = engine_of(home).lake.read(Slice("trace_intents")).to_pylist()
    assert {row["nearest_intent_id"] for row in given if row["trace_id"] == trace_id} == {first}
    again = told("undo", "1")
    assert [(event["kind"], event["undone"]) for event in again["will"]] == [("moved", True)]
    assert len(listed("--all")) == len(listed())  # what held the moved traces is gone
    (home / "data/state.db").unlink()
    assert insights("list").exit_code == 0


def test_category_description_and_pin(home: Path) -> None:
    first = ids_of()[0]
    told("move", first, "--category", "Shipping")
    told("describe", first, "Where a parcel is.")
    told("pin", first)
    assert set(listed("--category", "shipp")) == {first}
    facts = told("show", first)
    assert (facts["description"], facts["pinned"], len(facts["edits"])) == ("Where a parcel is.", True, 3)
    assert insights("pin", first).exit_code == 1  # so already
    told("unpin", first)
    assert told("show", first)["pinned"] is False


def test_show_tells_all_of_an_intent(home: Path) -> None:
    first = ids_of()[0]
    facts = told("show", first)
    assert {one["trace_id"] for one in facts["exemplars"]} <= MADE.planted.keys()
    shown = insights("show", first)
    assert shown.exit_code == 0
    for part in (facts["name"], first, "people say:", facts["exemplars"][0]["trace_id"]):
        assert part in shown.stdout


def test_an_intent_is_named_by_id_slug_name_or_the_beginning_of_one(home: Path) -> None:
    rows = list(listed().values())
    first = rows[0]
    for reference in (first["intent_id"], first["slug"], first["name"], first["name"].upper()):
        assert told("show", reference)["intent_id"] == first["intent_id"]
    for number, row in enumerate(rows[:2]):
        told("rename", row["intent_id"], f"Parcel {'abc'[number]}")
    assert told("show", "parcel b")["intent_id"] == rows[1]["intent_id"]
    unclear = insights("show", "parcel")
    assert unclear.exit_code == 2
    assert all(row["intent_id"] in unclear.output for row in rows[:2])
    inside = insights("show", "arcel b").output
    assert inside.index("Parcel b") < inside.index("Parcel a")
    nothing = insights("show", "whales")
    assert nothing.exit_code == 2 and "Parcel a" in nothing.output


def test_terminal_escapes_and_markup_of_a_name_do_not_reach_the_terminal(home: Path) -> None:
    first = ids_of()[0]
    insights("rename", first, "Evil\x1b]0;owned\x07 [red]x[/red]", "--by", "an\x1b[2Ja")
    for verb in (["list"], ["edits"], ["show", first], ["events"]):
        shown = insights(*verb).stdout
        assert "\x1b" not in shown and "\x07" not in shown
    assert "[red]x[/red]" in insights("list").stdout
    assert insights("rename", first, "\x00\u202e ").exit_code == 2


def test_rediscovery_is_stored_and_says_which_days_to_run(home: Path) -> None:
    answer = told("rediscover", "--from", str(MADE.days.last))
    assert answer["apply_to_past"] == f"insights run --from {MADE.days.last} --to {MADE.days.last}"
    assert [edit["state"] for edit in told("edits")] == ["pending"]
    told("undo", str(answer["edit"]))
    assert [edit["state"] for edit in told("edits", "--all")] == ["undone"]
    assert told("rediscover", "--from", "2999-01-01")["apply_to_past"] is None


def test_an_edit_can_be_undone_once_and_only_if_there_is_one(home: Path) -> None:
    told("rename", ids_of()[0], "Parcels")
    told("undo", "1", "--by", "bo")
    twice, nowhere = insights("undo", "1"), insights("undo", "7")
    assert (twice.exit_code, nowhere.exit_code) == (2, 2)
    assert "undone already" in twice.output and "no edit 7" in nowhere.output
    assert told("edits", "--all")[0]["undone_by"] == "bo"


def test_without_a_model_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "lake"))
    monkeypatch.setenv("INSIGHTS_STATE_URL", f"sqlite:///{tmp_path}/state.db")
    settings.cache_clear()
    for arguments in (["list"], ["show", "x"], ["events"], ["rename", "x", "y"], ["rediscover"]):
        result = insights(*arguments)
        assert result.exit_code == 1 and "insights run" in result.output
    assert told("edits") == []
    settings.cache_clear()


def test_a_password_of_the_state_never_shows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSIGHTS_STATE_URL", "postgresql://ana:hunter2secret@127.0.0.1:1/none")
    settings.cache_clear()
    for arguments in (["list"], ["edits"], ["rename", "x", "y"]):
        result = insights(*arguments)
        assert result.exit_code == 2
        assert "hunter2secret" not in result.output and "ana:***@127.0.0.1" in result.output


def test_the_day_of_the_discovery_is_where_the_past_begins(home: Path) -> None:
    answer = told("rename", ids_of()[0], "Parcels")
    assert answer["apply_to_past"] == f"insights run --from {FIRST.replace(day=3)} --to {MADE.days.last}"
