"""Tables on terminals and in pipes of any width, and errors of what is given from outside."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from insights_pipeline.cli.app import app
from insights_pipeline.cli.output import table
from insights_pipeline.lake import Lake, rows_to_table, today
from insights_pipeline.settings import settings

ITEM, STATE, TEXT = "drf_801a74410831a35e", "recovering", "time to first token up " * 3
SHOWN = f"""
from insights_pipeline.cli.output import table
columns = [("item", "left"), *((name, "left") for name in ("state", "what", "by")), ("95 %", "right")]
table("1 item", columns, [["{ITEM}", "{STATE}", "{TEXT.strip()}", None, "+10 to +28 %"]])
"""


def on_terminal(width: int) -> list[str]:
    """The lines of a table on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm"}  # rich takes a dumb one for 80 columns
    subprocess.run(
        [sys.executable, "-c", SHOWN], stdout=theirs, stdin=theirs, env=environment, check=True, timeout=60
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65_536):
            text += part
    except OSError:  # the end of what a terminal got is an error on Linux
        pass
    os.close(ours)
    return re.sub(r"\x1b\[[\d;]*m", "", text.decode()).splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_ids_and_words_are_whole_on_a_terminal_of_any_width(width: int) -> None:
    lines = on_terminal(width)
    words = " ".join(lines).split()
    assert ITEM in words and STATE in words and words.count("token") == 3
    assert "…" not in " ".join(lines)
    assert max(map(len, lines)) <= width


def test_a_narrow_terminal_gets_a_paragraph_for_each_row() -> None:
    lines = [line.rstrip() for line in on_terminal(40)]
    assert lines[:3] == ["1 item", ITEM, "  state recovering · what time to first"]
    assert not any(line.startswith("item") for line in lines), "headings go with the cells"


def test_nothing_is_shortened_or_wrapped_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    table("", [("item", "left"), ("what", "left")], [["drf_1", TEXT * 9], ["[red]x", "\x1b[31m"]])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and (TEXT * 9).strip() in lines[1]
    assert lines[2].split() == ["[red]x", "[31m"]


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_days_that_are_yet_to_come_are_not_run(home: Path, option: str) -> None:
    first, coming = today() - timedelta(days=9), today() + timedelta(days=2)
    lake = Lake(str(home / "data/lake"))
    lake.append("spans", rows_to_table("spans", [{"date": first, "trace_id": "t"}]))
    result = CliRunner().invoke(app, ["run", option, str(coming)])
    assert result.exit_code == 2
    assert f"{option} {coming} is after today, {today()} (UTC); data runs from {first}" in result.stderr
    assert lake.days("traces") == set()


@pytest.mark.parametrize(
    ("variable", "value", "form"),
    [("INSIGHTS_BRIEF_TO", "ops-s3cret", """'["ops"]'"""), ("INSIGHTS_CONTACT_POINTS", "{s3cret", "NAME ->")],
)
def test_a_setting_that_is_no_json_is_named_with_the_form_it_should_have(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, form: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^{variable} must be JSON") as told:
        settings()
    assert form in str(told.value) and "s3cret" not in str(told.value)
    monkeypatch.delenv(variable)
    (home / "value").write_text(value)
    monkeypatch.setenv(f"{variable}_FILE", str(home / "value"))
    with pytest.raises(ValueError, match=f"^{variable}_FILE must be JSON"):
        settings()
