"""`insights ingest` as a person uses it; interrupted as processes are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, connect_with, engine_config
from insights_pipeline.traces.assemble import compact_spans

FILES, SPANS = 20, 400
START = 1_772_366_400_000_000_000
# The command itself, with small batches, so that it can be interrupted between them.
COMMAND = """
import sys
from insights_pipeline.traces import ingest
ingest.FLUSH_ROWS = 300
from insights_pipeline.cli.app import main
sys.argv = ["insights", "ingest", *sys.argv[1:]]
main()
"""


@pytest.fixture
def insights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    from insights_pipeline.cli.app import app
    from insights_pipeline.settings import settings

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("INSIGHTS_"):
            monkeypatch.delenv(name)
    settings.cache_clear()
    return lambda *words: CliRunner().invoke(app, list(words))


def chats(path: Path, count: int = 3, **more: Any) -> None:
    messages = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Here."}]
    rows = [{"messages": messages, "id": f"conversation-{n}", **more} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")


def otlp(folder: Path) -> None:
    folder.mkdir()
    for number in range(FILES):
        lines = []
        for place in range(SPANS):
            spans = [
                {
                    "traceId": f"{number + 1:032x}",
                    "spanId": f"{place + 1:016x}",
                    "name": "n",
                    "startTimeUnixNano": str(START + place),
                    "endTimeUnixNano": str(START + place + 1),
                }
            ]
            lines.append(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
        (folder / f"{number:02d}.jsonl").write_text("\n".join(lines) + "\n")


def started(home: Path, *words: str) -> subprocess.Popen[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("INSIGHTS_")}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def written(home: Path) -> dict[str, int]:
    """What the journal of the running command says."""
    for path in (home / "data" / "tmp" / "ingest").glob("ingest-*.json"):
        try:
            found: dict[str, int] = json.loads(path.read_text())
        except FileNotFoundError:  # replaced or removed meanwhile
            return {}
        return found
    return {}


def interrupt(home: Path, number: int) -> tuple[int, str]:
    """Start the command on `in/` and send it a signal once two files are in the tables."""
    process = started(home, "in", "--json")
    try:
        deadline = time.monotonic() + 120
        while sum(count == -1 for count in written(home).values()) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no file was read"
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        return process.returncode, err
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_continues_where_it_stopped(tmp_path: Path, number: int) -> None:
    otlp(tmp_path / "in")
    code, err = interrupt(tmp_path, number)
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert (code, "stopping: what was read is being written" in err) == (130, True)
    journal = written(tmp_path)
    done = sorted(path for path, count in journal.items() if count == -1)
    part = sum(count for count in journal.values() if count != -1)
    assert 2 <= len(done) < FILES
    for path in done:  # whoever reads them again gives them away: same size and time, other content
        file = tmp_path / path
        stat = file.stat()
        file.write_bytes(b"x" * stat.st_size)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    process = started(tmp_path, "in", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert f"resuming: {len(done)} files, {part} records already read" in err
    assert (report["rejects"], report["formats"]) == (0, {"otlp": FILES - len(done)})
    assert report["spans"] == SPANS * (FILES - len(done)) - part
    assert written(tmp_path) == {}
    lake = Lake(str(tmp_path / "data" / "lake"))
    config = engine_config(threads=2, memory_mb=512, temp_dir=tmp_path / "spill")
    engine = DuckDBEngine(lake, connect_with(config))
    [day] = lake.days("spans")
    assert compact_spans(engine, DayRange(day, day)) == FILES * SPANS
    rows = lake.read(Slice("spans", columns=("trace_id", "span_id"))).to_pylist()
    assert len({tuple(row.values()) for row in rows}) == len(rows) == FILES * SPANS


def test_the_summary_counts_formats_scores_and_spans(insights: Callable[..., Result], tmp_path: Path) -> None:
    chats(tmp_path / "c.jsonl")
    score = {"span_id": "01" * 8, "name": "stars", "result": {"score": 1}, "created_at": "2026-03-01"}
    (tmp_path / "s.json").write_text(json.dumps(score))
    result = insights("ingest", "c.jsonl", "s.json", "--at", "2026-03-01")
    assert result.exit_code == 0, result.output
    assert (
        "2 files (openai-chat 1, phoenix 1): 3 traces, 6 spans, 1 score, 0 rejected; "
        "day 2026-03-01\n3 traces came without a time" in result.output
    )
    assert "Next: insights run" in result.output


def test_a_dry_run_tells_fields_and_what_is_unmapped_and_writes_nothing(
    insights: Callable[..., Result], tmp_path: Path
) -> None:
    chats(tmp_path / "c.jsonl", channel="web", user="u-\x1b[31m1")
    result = insights("ingest", "c.jsonl", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "openai-chat: 1 file, read to the end: 6 spans of 3 traces, 0 rejected" in result.output
    assert "\x1b[31m" not in result.output
    assert [line.split() for line in result.output.splitlines() if line.startswith("channel")] == [
        ["channel", "3", "of", "6", "web"]
    ]
    assert not (tmp_path / "data" / "lake" / "spans").exists()
    told = json.loads(insights("ingest", "c.jsonl", "--dry-run", "--json").stdout)["dry_run"]
    assert told[0]["fields"]["session_id"] == {"count": 6, "example": "conversation-0"}


def test_strict_is_an_error_when_anything_was_rejected_also_in_a_dry_run(
    insights: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    for words in ((), ("--dry-run",)):
        result = insights("ingest", "x.json", "--strict", *words)
        assert result.exit_code == 1
        assert "the format is not recognised" in result.output


def test_a_mapping_file_and_labels_are_options(insights: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[fields]\ninput = "q"\noutput = "a"\n')
    (tmp_path / "x.csv").write_text("q,a\nWhy?,Because.\n")
    words = (
        "x.csv",
        "--map",
        "map.toml",
        "--environment",
        "staging",
        "--tenant",
        "acme",
        "--at",
        "2026-03-01",
    )
    result = insights("ingest", *words, "--json")
    assert json.loads(result.stdout)["formats"] == {"map": 1}
    rows = Lake("data/lake").read(Slice("spans")).to_pylist()
    assert {(row["environment"], row["tenant_id"]) for row in rows} == {("staging", "acme")}
    assert {row["input_text"] for row in rows if row["kind"] == "agent"} == {"Why?"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--map", "nope.toml"), "nope.toml: no such mapping"),
        (("--format", "xml"), "'xml' is no format"),
        (("--format", "map"), "--format map needs a mapping"),
    ],
)
def test_wrong_options_are_told_with_a_remedy(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    chats(tmp_path / "c.jsonl")
    process = started(tmp_path, "c.jsonl", *words)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("error: ")
    assert told in err


def test_what_is_to_be_blotted_out_never_reaches_the_tables(
    insights: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIGHTS_REDACT", '["email"]')
    chats(tmp_path / "c.jsonl", contact="jane.doe@example.com")
    assert insights("ingest", "c.jsonl", "--at", "2026-03-01").exit_code == 0
    text = str(Lake("data/lake").read(Slice("spans")).to_pylist())
    assert "jane.doe" not in text
    assert "[EMAIL]" in text


def test_what_can_be_read_only_once_is_refused_with_the_way_round(
    insights: Callable[..., Result], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("-", "pipe"):
        result = insights("ingest", name)
        assert isinstance(result.exception, ValueError)
        assert f"{name}: a stream can be read only once" in str(result.exception)
        assert "> traces.jsonl" in str(result.exception)


def test_a_dry_run_shows_the_whole_remedy_and_says_what_is_empty(
    insights: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "calls.csv").write_text("question,answer\nq,a\n")
    (tmp_path / "nothing.json").write_text("")
    result = insights("ingest", "calls.csv", "nothing.json", "--dry-run")
    assert "Its fields: question, answer." in " ".join(result.output.split())
    assert "empty: 1 file with nothing in it" in result.output


def test_the_next_step_is_told_also_after_rejects(insights: Callable[..., Result], tmp_path: Path) -> None:
    chats(tmp_path / "c.jsonl")
    with (tmp_path / "c.jsonl").open("a") as out:
        out.write("oops\n")
    result = insights("ingest", "c.jsonl")
    assert "1 rejected record" in result.output
    assert "Next: insights run" in result.output
