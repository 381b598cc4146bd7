"""What docs/delivery.md tells people to write is what the settings read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from insights_pipeline import wiring
from insights_pipeline.notify import Email, Slack, Webhook, where
from insights_pipeline.settings import Settings, settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "delivery.md"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_the_page_is_read_as_it_says(home: pytest.MonkeyPatch) -> None:
    Path("insights.toml").write_text(block("toml"))
    points, config = wiring.contact_points(), wiring.outgoing()
    assert [type(point) for point in points.values()] == [Slack, Email, Webhook]
    assert [point.name for point in wiring.brief_points()] == ["ops", "team"]
    assert [where(point, config) for point in points.values()] == [
        "hooks.slack.com",
        "ana@corp.example, bo@corp.example by mail.corp.example:587",
        "example.org",
    ]
    assert config.smtp is not None and config.smtp.sender == "insights@corp.example"
    shown = repr(settings()) + repr(points) + repr(config)
    assert not any(secret in shown for secret in ("PASSWORD", "XXXX", "TOKEN"))


def test_contact_points_and_mail_server_may_stand_in_files(home: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "points.json").write_text('{"ops": {"kind": "slack", "url": "https://hooks.slack.com/x"}}\n')
    (tmp_path / "smtp").write_text("smtps://ana%40b.example:p@mail.example\n")
    home.setenv("INSIGHTS_CONTACT_POINTS_FILE", str(tmp_path / "points.json"))
    home.setenv("INSIGHTS_SMTP_URL_FILE", str(tmp_path / "smtp"))
    smtp = wiring.outgoing().smtp
    assert list(wiring.contact_points()) == ["ops"] and smtp is not None
    assert (smtp.host, smtp.port, smtp.password) == ("mail.example", 465, "p")


def test_every_setting_of_the_page_is_one_and_a_wrong_one_shows_no_value(home: pytest.MonkeyPatch) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 8 and set(rows) <= set(Settings.model_fields)
    home.setenv("INSIGHTS_CONTACT_POINTS", json.dumps({"ops": {"kind": "slack", "uri": "hunter2"}}))
    with pytest.raises(ValueError, match="contact_points") as raised:
        Settings()
    assert "hunter2" not in str(raised.value)


def test_the_body_of_a_webhook_is_as_the_page_shows_it() -> None:
    shown = json.loads(block("json"))
    assert set(shown) == {"key", "subject", "text", "html", "data"}
    assert set(shown["data"]) == {
        "cadence",
        "window_first",
        "window_last",
        "status",
        "headline",
        "summary",
        "facts",
    }
