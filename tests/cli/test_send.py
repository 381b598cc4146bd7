from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from insights_pipeline.cli.send import app
from insights_pipeline.lake import Lake, rows_to_table, today
from insights_pipeline.settings import settings
from tests.notify.http_server import OK, Server, response, serving

DAY = today() - timedelta(days=40)  # however old
MONDAY = DAY - timedelta(days=DAY.weekday())


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A working folder with two contact points, of which one gets briefs, and a brief of a day and of a week."""
    points = {
        "ops": {"kind": "slack", "url": f"{server.url}/services/hunter2"},
        "team": {"kind": "email", "to": ["ana@example.org"]},
    }
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "LAKE_URI": str(tmp_path / "lake"),
        "CONTACT_POINTS": json.dumps(points),
        "BRIEF_TO": '["ops"]',
        "OUTBOUND_HOSTS": '["127.0.0.1"]',
        "STATE_URL": f"sqlite:///{tmp_path}/state.db",
    }.items():
        monkeypatch.setenv(f"INSIGHTS_{name}", value)
    settings.cache_clear()
    briefs = [
        {
            "date": first,
            "cadence": cadence,
            "window_first": first,
            "window_last": last,
            "status": "quiet",
            "headline": "Nothing",
            "facts": "{}",
            "markdown": "# Nothing\n",
        }
        for cadence, first, last in (("daily", DAY, DAY), ("weekly", MONDAY, MONDAY + timedelta(days=6)))
    ]
    Lake(str(tmp_path / "lake")).append("briefs", rows_to_table("briefs", briefs))
    yield monkeypatch
    settings.cache_clear()


def contact(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("verb", ["list", "test", "send"])
def test_every_verb_shows_examples_and_can_print_json(verb: str) -> None:
    shown = contact(verb, "--help").output
    assert "Example" in shown and "--json" in shown


def test_the_list_says_where_points_lead_and_what_is_missing_but_no_secret(
    home: pytest.MonkeyPatch, server: Server
) -> None:
    found = json.loads(contact("list", "--json").stdout)["contact_points"]
    assert found == [
        {
            "name": "ops",
            "kind": "slack",
            "where": f"127.0.0.1:{server.port}",
            "error": None,
            "briefs": True,
            "deliveries": [],
        },
        {
            "name": "team",
            "kind": "email",
            "where": None,
            "error": "contact point team: mail needs a server: set INSIGHTS_SMTP_URL",
            "briefs": False,
            "deliveries": [],
        },
    ]
    shown = contact("list")
    assert "2 contact points" in shown.stdout and "hunter2" not in shown.output
    assert server.connections == 0


def test_a_test_message_is_sent_and_its_failure_is_exit_1_with_the_remedy(
    home: pytest.MonkeyPatch, server: Server
) -> None:
    told = contact("test", "ops")
    assert (told.exit_code, told.stdout) == (0, "ops took the message: look whether it has arrived\n")
    assert "test message" in server.requests[0].json["text"]
    server.script = response(404, b"no_service")
    failed = contact("test", "ops")
    assert failed.exit_code == 1 and "revoked or disabled" in failed.output and "hunter2" not in failed.output
    as_json = contact("test", "ops", "--json")
    assert as_json.exit_code == 1 and json.loads(as_json.stdout)["ok"] is False


def test_an_unknown_name_is_said_with_the_known_ones(home: pytest.MonkeyPatch) -> None:
    for asked in (("test", "opps"), ("send", "--to", "ops", "--to", "opps")):
        told = contact(*asked)
        assert told.exit_code == 2
        assert "error: there is no contact point 'opps'; known are ops, team" in told.output


def test_a_brief_of_any_age_is_sent_by_hand_once_or_again_when_asked(
    home: pytest.MonkeyPatch, server: Server
) -> None:
    assert contact("send").stdout == "ops: sent\n"
    assert contact("send").stdout == "ops: sent before (--again sends it once more)\n"
    assert contact("send", "--again", "--date", str(DAY)).stdout == "ops: sent\n"
    assert len(server.requests) == 2
    last = json.loads(contact("list", "--json").stdout)["contact_points"][0]["deliveries"]
    assert [(one["key"], one["status"], one["attempts"]) for one in last] == [
        (f"brief:daily:{DAY}", "sent", 1)
    ]
    assert f"brief:daily:{DAY} sent" in contact("list").stdout


def test_a_week_is_found_by_any_of_its_days(home: pytest.MonkeyPatch, server: Server) -> None:
    sent = json.loads(contact("send", "--window", "week", "--date", str(DAY), "--json").stdout)
    assert (sent["cadence"], sent["date"]) == ("weekly", str(MONDAY))
    assert [one["status"] for one in sent["results"]] == ["sent"]


def test_what_is_not_taken_is_exit_1_and_can_be_sent_once_mended(
    home: pytest.MonkeyPatch, server: Server
) -> None:
    server.script = response(410, b"channel_is_archived")
    failed = contact("send", "--to", "ops", "--to", "team")
    assert failed.exit_code == 1
    assert "archived" in failed.output and "INSIGHTS_SMTP_URL" in failed.output
    server.script = OK
    assert contact("send", "--to", "ops").stdout == "ops: sent\n"


def test_a_brief_that_is_not_there_and_nobody_to_send_to_are_said(home: pytest.MonkeyPatch) -> None:
    missing = contact("send", "--date", "2020-01-01")
    assert missing.exit_code == 1 and "no day brief of 2020-01-01" in missing.output
    home.setenv("INSIGHTS_BRIEF_TO", "[]")
    settings.cache_clear()
    nobody = contact("send")
    assert nobody.exit_code == 2 and "--to" in nobody.output


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys\nfrom insights_pipeline.cli import send\n"
        "heavy = {'httpx', 'httpcore', 'sqlalchemy', 'pydantic', 'pyarrow', 'deltalake'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
