from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource

from insights_pipeline.defs.delivery import BriefNotDeliveredError, brief_delivery
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.lake import Lake, rows_to_table, today
from insights_pipeline.notify import ContactPointError
from insights_pipeline.settings import settings
from tests.notify.http_server import Server, response, serving

DAY = today() - timedelta(days=2)
pytestmark = pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run:DeprecationWarning")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    brief = {
        "date": DAY,
        "cadence": "daily",
        "window_first": DAY,
        "window_last": DAY,
        "status": "changed",
        "headline": "1 new change",
        "facts": "{}",
        "markdown": "# 1 new change\n",
        "slack": '[{"type": "divider"}]',
    }
    lake.append("briefs", rows_to_table("briefs", [brief]))
    return lake


@pytest.fixture
def configured(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    points = {"ops": {"kind": "slack", "url": f"{server.url}/services/hunter2"}}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_STATE_URL", f"sqlite:///{tmp_path}/state.db")
    monkeypatch.setenv("INSIGHTS_CONTACT_POINTS", json.dumps(points))
    monkeypatch.setenv("INSIGHTS_BRIEF_TO", '["ops"]')
    monkeypatch.setenv("INSIGHTS_OUTBOUND_HOSTS", '["127.0.0.1"]')
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def tick(lake: Lake) -> str:
    engine = EngineResource(lake_uri=lake.uri, duckdb=DuckDBResource(database=":memory:"))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"engine": engine}) as context,
    ):
        found = brief_delivery.evaluate_tick(context)
    assert not found.run_requests and found.skip_message is not None
    return found.skip_message


def test_the_sensor_sends_a_finished_brief_once_and_says_so(
    lake: Lake, server: Server, configured: pytest.MonkeyPatch
) -> None:
    assert tick(lake) == f"daily brief of {DAY} to ops: sent"
    assert tick(lake) == "no brief is due"
    assert len(server.requests) == 1 and server.requests[0].json["blocks"] == [{"type": "divider"}]


def test_what_can_be_tried_again_is_told_and_what_cannot_makes_the_tick_fail_once(
    lake: Lake, server: Server, configured: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script = response(503)
    assert tick(lake).startswith(f"daily brief of {DAY} to ops: waiting (127.0.0.1:{server.port} answers 503")
    assert tick(lake) == "1 wait to be tried again"
    configured.setenv("INSIGHTS_STATE_URL", "sqlite:///other.db")
    settings.cache_clear()
    server.script = response(410, b"channel_is_archived")
    with pytest.raises(
        Exception, match=r"ops: failed .*archived.*insights contact send --to NAME --date"
    ) as raised:
        tick(lake)
    causes = [raised.value, raised.value.__cause__, raised.value.__context__]
    assert any(isinstance(error, BriefNotDeliveredError) for error in causes)
    assert "hunter2" not in "".join(map(str, causes)) + caplog.text
    assert tick(lake) == "no brief is due"


def test_a_name_that_is_no_contact_point_is_said_with_those_that_are(
    lake: Lake, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("INSIGHTS_BRIEF_TO", '["opps"]')
    settings.cache_clear()
    with pytest.raises(Exception, match=r"INSIGHTS_BRIEF_TO: .*'opps'; known are ops") as raised:
        tick(lake)
    assert isinstance(raised.value.__cause__ or raised.value, ContactPointError)


def test_without_recipients_nothing_is_read_and_the_setting_is_named(
    tmp_path: Path, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("INSIGHTS_BRIEF_TO", "[]")
    settings.cache_clear()
    assert "INSIGHTS_BRIEF_TO is empty" in tick(Lake(str(tmp_path / "none")))
    assert not (tmp_path / "none").exists() and not (tmp_path / "state.db").exists()
