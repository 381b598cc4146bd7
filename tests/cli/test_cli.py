from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from insights_pipeline.cli.app import app
from insights_pipeline.cli.demo import _empty_lake
from insights_pipeline.cli.show import shorten
from insights_pipeline.lake import Lake, rows_to_table
from insights_pipeline.lake.lake import DEMO_MARK
from insights_pipeline.receiver.segments import Entry, SegmentWriter
from insights_pipeline.settings import settings

VERBS = ["ingest", "receive", "rejects", "run", "brief", "intents", "drift", "doctor", "demo"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with settings of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "data/lake"))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def insights(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_examples_and_can_print_json(verb: str) -> None:
    shown = insights(verb, "--help").output
    assert "Example" in shown
    assert "--json" in shown


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys\nsys.argv = ['insights', '--help']\n"
        "from insights_pipeline.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "heavy = {'dagster', 'pandas', 'pyarrow', 'duckdb', 'deltalake', 'sklearn', 'scipy', 'numpy', "
        "'great_expectations', 'litellm', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("verb", ["brief", "intents", "drift", "run"])
def test_an_empty_lake_is_said_with_the_remedy(home: Path, verb: str) -> None:
    result = insights(verb)
    assert result.exit_code == 1
    assert "insights" in result.output and "error:" in result.output


def put_model(home: Path, **model: object) -> None:
    row = {"date": date(2026, 3, 2), "traces_seen": 20, "bootstrap_traces": 500, **model}
    Lake(str(home / "data/lake")).append("intent_models", rows_to_table("intent_models", [row]))


def test_a_model_that_is_learning_is_no_missing_observation(home: Path) -> None:
    put_model(home, status="learning")
    told = insights("drift")
    assert (told.exit_code, told.stdout) == (0, "learning (20 of 500)\n")
    assert json.loads(insights("drift", "--json").stdout) == {
        "date": "2026-03-02",
        "status": "learning",
        "items": [],
    }
    assert insights("drift", "--date", "2026-03-01").exit_code == 1


def test_a_day_with_a_model_and_nothing_that_could_be_tested_has_no_items(home: Path) -> None:
    put_model(home, status="ready")
    told = insights("drift")
    assert told.exit_code == 0 and "0 drift items on 2026-03-02" in told.stdout


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert shorten("a\x1b[31mb\x07\u202e\n c\x9b2J", 80) == "a[31mb c2J"
    assert shorten("\x1b" * 9 + "four", 4) == "four"


def test_a_path_that_is_not_there_is_named(home: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "insights_pipeline.cli.app", "ingest", "nowhere.pb"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home,
    )
    assert result.returncode == 2
    assert "nowhere.pb" in result.stderr and "Traceback" not in result.stderr


def test_a_day_that_is_no_day_is_refused_with_the_form_it_should_have(home: Path) -> None:
    result = insights("brief", "--date", "2026-13-01")
    assert result.exit_code == 2
    assert "YYYY-MM-DD" in result.output


def test_the_demo_never_empties_a_lake_that_it_did_not_make(home: Path) -> None:
    precious = home / "data/lake/spans/part.parquet"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    result = insights("demo", "--no-serve")
    assert result.exit_code == 2
    assert "INSIGHTS_LAKE_URI" in result.output
    assert precious.read_text() == "mine"


def test_a_lake_of_the_demo_that_got_traces_of_ones_own_is_not_emptied_either(home: Path) -> None:
    (home / "data/lake").mkdir(parents=True)
    (home / "data/lake/MADE_BY_DEMO").touch()
    (home / "mine.jsonl").write_text("not a trace\n")
    assert insights("ingest", "mine.jsonl").exit_code == 0
    assert insights("demo", "--no-serve").exit_code == 2
    assert (home / "data/lake/rejects").is_dir()


def test_terminal_escapes_of_a_file_name_do_not_reach_the_terminal(home: Path) -> None:
    name = "bad\x1b]0;owned\x07.jsonl"
    (home / name).write_text("not a trace\n")
    insights("ingest", name)
    shown = insights("rejects").output
    assert "owned" in shown and "\x1b]0" not in shown and "\x07" not in shown


def test_the_doctor_checks_every_part_and_prints_json(home: Path) -> None:
    (home / "dagster.yaml").touch()
    result = insights("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert set(findings) == {
        "python",
        "settings",
        "disk",
        "engine",
        "embedder",
        "llm",
        "state",
        "prices",
        "dagster",
        "tables",
        "receiver",
        "contacts",
    }
    assert all(finding["ok"] for finding in findings.values()), findings
    assert result.exit_code == 0


def test_the_doctor_tells_what_waits_and_why_the_tables_cannot_be_written(home: Path) -> None:
    folder = home / "data/receiver"
    SegmentWriter(folder).append([Entry("otlp.traces", 1, "", {}, None, None, b"x" * 2**20)])
    told = {"position": 0, "last_flush_ns": 1_772_366_400 * 10**9, "error": None}
    for error, words in ((None, "last brought in 2026-03-01 12:00:00 UTC"), ("OSError: no room", "no room")):
        (folder / "drain.json").write_text(json.dumps({**told, "error": error}))
        shown = insights("doctor").output
        assert "1.0 MiB wait" in shown and words in shown


def test_the_doctor_fails_where_runs_would_not_be_kept(home: Path) -> None:
    result = insights("doctor")
    assert result.exit_code == 1
    assert "dagster.yaml" in result.output


def test_a_demo_takes_a_lake_without_rows_and_no_other(home: Path) -> None:
    lake = Lake(str(home / "data/lake"))
    assert lake.days("spans") == set()
    _empty_lake(lake.uri)
    assert (Path(lake.uri) / DEMO_MARK).exists()
    lake.keep()
    lake.append("spans", rows_to_table("spans", [{"date": date(2026, 3, 1), "trace_id": "t"}]))
    with pytest.raises(SystemExit):
        _empty_lake(lake.uri)
    (home / "other").mkdir()
    (home / "other/photo.jpg").touch()
    with pytest.raises(SystemExit):
        _empty_lake(str(home / "other"))
