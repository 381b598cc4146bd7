"""Finished briefs to contact points: each once, whatever fails, whoever else is sending, whenever it is killed."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.brief.deliver import LEASE_NS, MAX_ATTEMPTS, Report, deliver_again, deliver_due
from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.html import html
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.markdown import markdown
from insights_pipeline.brief.slack import blocks
from insights_pipeline.brief.wording import headline
from insights_pipeline.lake import DayRange, Lake, Slice, rows_to_table, start_ns, today
from insights_pipeline.notify import ContactPoint, Email, Outbound, Slack, Smtp, Webhook
from insights_pipeline.state import State, claim, deliveries
from tests.brief.made import facts, item, watched
from tests.notify.http_server import OK, Request, Server, response, serving
from tests.notify.mail_server import mail_server
from tests.notify.slack_rules import faults, strict_slack

MINUTE = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE
ENDED = today() - timedelta(days=2)  # for a day at least, at whatever hour the tests run
SECRET = "T000/hunter2"


def _end(day: date) -> int:
    return start_ns(day) + DAY_NS


class Clock:
    """The time, which stands still; `after`: an hour past the end of a day."""

    def __init__(self, *, after: date | None = None) -> None:
        self.now = time.time_ns() if after is None else _end(after) + 60 * MINUTE

    def __call__(self) -> int:
        return self.now


def row(found: Facts) -> dict[str, Any]:
    links = Links("http://localhost:3000")
    return {
        "date": found.first,
        "cadence": found.cadence,
        "window_first": found.first,
        "window_last": found.last,
        "status": found.status,
        "headline": headline(found),
        "facts": json.dumps(found.to_json()),
        "markdown": markdown(found, links=links),
        "html": html(found, links=links),
        "slack": json.dumps(blocks(found, links=links)),
    }


def changed(day: date = ENDED, **more: Any) -> dict[str, Any]:
    return row(facts(item(opened=day), first=day, **more))


def quiet(day: date = ENDED) -> dict[str, Any]:
    return row(facts(first=day))


def put(lake: Lake, *briefs: dict[str, Any]) -> None:
    lake.append("briefs", rows_to_table("briefs", briefs))


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(f"sqlite:///{tmp_path}/state.db")


def hook(server: Server, name: str = "hook") -> Webhook:
    return Webhook(name, f"{server.url}/{SECRET}")


LOCAL = Outbound(hosts=("127.0.0.1",), seconds=5.0)


def deliver(lake: Lake, state: State, *points: ContactPoint, **more: Any) -> Report:
    options: dict[str, Any] = {
        "cadences": ("daily", "weekly", "monthly"),
        "when_quiet": True,
        "config": LOCAL,
        **more,
    }
    return deliver_due(lake, state, points, **options)


def keys(server: Server) -> list[str]:
    return [request.headers["idempotency-key"] for request in server.requests]


def test_a_finished_brief_goes_to_each_point_once(lake: Lake, state: State) -> None:
    put(lake, changed())
    with serving() as server:
        points = hook(server, "one"), hook(server, "two")
        report = deliver(lake, state, *points)
        assert [str(one) for one in report.of("sent")] == [
            f"daily brief of {ENDED} to one: sent",
            f"daily brief of {ENDED} to two: sent",
        ]
        assert deliver(lake, state, *points) == Report()
    assert keys(server) == [f"brief:daily:{ENDED}"] * 2
    told = server.requests[0].json
    assert told["data"]["status"] == "changed" and told["data"]["facts"]["lines"][0]["intent_id"] == "int_1"
    assert "Where is my order" in told["text"] and told["subject"].startswith("Insights, ")


def test_the_first_delivery_needs_no_database_before_there_is_something_to_send(
    lake: Lake, state: State, tmp_path: Path
) -> None:
    with serving() as server:
        assert deliver(lake, state, hook(server)) == Report()
    assert not (tmp_path / "state.db").exists() and server.requests == []


def test_a_window_that_goes_on_and_a_brief_written_before_its_end_are_not_sent(
    lake: Lake, state: State
) -> None:
    put(lake, changed(today()), changed(today() + timedelta(days=1)))
    clock = Clock()
    with serving() as server:
        assert deliver(lake, state, hook(server), now_ns=clock) == Report()
        clock.now += 36 * 60 * MINUTE  # the day is over, but its brief was written while it went on
        assert deliver(lake, state, hook(server), now_ns=clock) == Report()
        assert server.requests == []


def test_a_brief_of_a_day_that_went_on_is_sent_once_it_was_written_anew(lake: Lake, state: State) -> None:
    put(lake, changed())
    log = max((Path(lake.uri) / "briefs" / "_delta_log").glob("*.json"))
    during = (_end(ENDED) - 1_000_000) // 1_000_000  # ms
    log.write_text(re.sub(r'"modificationTime":\d+', f'"modificationTime":{during}', log.read_text()))
    assert Lake(lake.uri).written("briefs", cadence="daily") == {ENDED: during * 1_000_000}
    with serving() as server:
        assert deliver(lake, state, hook(server)) == Report()
        anew = Slice("briefs", DayRange.single(ENDED), cadence="daily")
        lake.replace(anew, lambda: rows_to_table("briefs", [changed()]))
        assert len(deliver(lake, state, hook(server)).of("sent")) == 1


def test_old_briefs_are_never_sent_however_many_a_backfill_writes(lake: Lake, state: State) -> None:
    put(lake, *(changed(today() - timedelta(days=age)) for age in range(5, 40)))
    with serving() as server:
        assert deliver(lake, state, hook(server)) == Report()
        assert server.requests == []


def test_a_brief_is_too_old_three_days_after_its_end(lake: Lake, state: State) -> None:
    put(lake, changed())
    clock = Clock()
    end = _end(ENDED)
    with serving() as server:
        clock.now = end + 3 * DAY_NS + 1
        assert deliver(lake, state, hook(server), now_ns=clock) == Report()
        clock.now = end + 3 * DAY_NS
        assert len(deliver(lake, state, hook(server), now_ns=clock).of("sent")) == 1


def test_what_is_quiet_goes_out_only_when_wanted_no_data_always_and_learning_never(
    lake: Lake, state: State
) -> None:
    week = ENDED - timedelta(days=6)
    put(lake, quiet(), row(facts(first=ENDED - timedelta(days=1), traces=0, active=0)))
    learning = {"status": "learning", "traces_seen": 3}
    put(lake, row(facts(model=learning, cadence="weekly", first=week, last=ENDED)))
    statuses = lake.read(Slice("briefs", columns=("status",))).column("status").to_pylist()
    assert sorted(statuses) == ["learning", "no_data", "quiet"]
    clock = Clock(after=ENDED)
    with serving() as server:
        deliver(lake, state, hook(server), when_quiet=False, now_ns=clock)
        deliver(lake, state, hook(server), when_quiet=True, now_ns=clock)
    assert [one.json["data"]["status"] for one in server.requests] == ["no_data", "quiet"]


def test_only_the_wanted_cadences_are_sent_and_the_window_that_ended_first_comes_first(
    lake: Lake, state: State
) -> None:
    week = ENDED - timedelta(days=6)
    put(
        lake,
        changed(),
        row(facts(item(opened=ENDED), cadence="weekly", first=week, last=ENDED)),
        changed(ENDED - timedelta(days=1)),
    )
    with serving() as server:
        deliver(lake, state, hook(server), cadences=("weekly",))
        assert keys(server) == [f"brief:weekly:{week}"]
        deliver(lake, state, hook(server), now_ns=Clock(after=ENDED))
    assert keys(server)[1:] == [f"brief:daily:{ENDED - timedelta(days=1)}", f"brief:daily:{ENDED}"]


def test_a_point_that_fails_stops_no_other_and_is_tried_again_later_and_later(
    lake: Lake, state: State
) -> None:
    put(lake, changed())
    clock = Clock()
    with serving(response(503)) as down, serving() as up:
        points = hook(down, "down"), hook(up, "up")
        report = deliver(lake, state, *points, now_ns=clock)
        assert [(one.contact_point, one.status) for one in report.outcomes] == [
            ("down", "waiting"),
            ("up", "sent"),
        ]
        waits = []
        while (waiting := deliveries(state)[-1]).status == "waiting":
            waits.append(waiting.claimed_ns - clock.now)
            clock.now = waiting.claimed_ns - 1
            assert deliver(lake, state, *points, now_ns=clock) == Report(waiting=1)
            clock.now += 1
            deliver(lake, state, *points, now_ns=clock)
    assert len(down.requests) == MAX_ATTEMPTS and len(up.requests) == 1
    assert len(waits) == MAX_ATTEMPTS - 1 and waits == sorted(waits)
    assert all(2**n * MINUTE <= wait <= 1.25 * 2**n * MINUTE for n, wait in enumerate(waits))
    assert 17 < sum(waits) / (60 * MINUTE) < 22
    failed = next(one for one in deliveries(state) if one.contact_point == "down")
    assert failed.status == "failed" and "503" in str(failed.error)
    assert deliver(lake, state, *points, now_ns=clock) == Report()


def test_retry_after_is_waited_for(lake: Lake, state: State) -> None:
    put(lake, changed())
    clock = Clock()
    with serving(response(429, b"", "Retry-After: 900")) as server:
        [outcome] = deliver(lake, state, hook(server), now_ns=clock).outcomes
        assert outcome.retry_ns == clock.now + 15 * MINUTE
        server.script = OK
        clock.now += 15 * MINUTE
        assert len(deliver(lake, state, hook(server), now_ns=clock).of("sent")) == 1


def test_what_is_refused_for_good_is_kept_and_not_sent_again(lake: Lake, state: State) -> None:
    put(lake, changed())
    with serving(response(410, b"channel_is_archived")) as server:
        slack = Slack("ops", f"{server.url}/{SECRET}")
        [outcome] = deliver(lake, state, slack).outcomes
        assert outcome.status == "failed" and "archived" in str(outcome)
        assert deliver(lake, state, slack) == Report()
    assert len(server.requests) == 1
    [kept] = deliveries(state)
    assert (kept.status, kept.attempts) == ("failed", 1) and "unarchive it" in str(kept.error)


def test_a_point_that_is_down_is_asked_once_a_look_and_time_for_a_look_is_bounded(
    lake: Lake, state: State
) -> None:
    put(lake, changed(), changed(ENDED - timedelta(days=1)))
    clock = Clock(after=ENDED)

    def slow(request: Request) -> bytes:
        clock.now += 31 * 10**9
        return OK

    with serving(response(500)) as down:
        report = deliver(lake, state, hook(down), now_ns=clock)
        assert (len(report.outcomes), report.untried, len(down.requests)) == (1, 1, 1)
    with serving(slow) as server:
        report = deliver(lake, state, hook(server, "slow"), now_ns=clock)
        assert (len(report.of("sent")), report.untried) == (1, 1)
        assert len(deliver(lake, state, hook(server, "slow"), now_ns=clock).of("sent")) == 1


def test_slack_takes_every_brief_within_its_limits(lake: Lake, state: State) -> None:
    hostile = "<!channel> & *x* " + "ÿ" * 5_000
    metrics = ("latency_ms", "cost_usd", "total_tokens", "step_count", "output_chars", "ttft_ms")
    many = [
        item(
            item_id=f"drf_{n}",
            intent_id=f"int_{n}",
            metric=metrics[n % 6],
            opened=ENDED,
            trace_ids=["<script>" * 20] * 3,
        )
        for n in range(60)
    ]
    names = {f"int_{n}": f"{hostile} {n}" for n in range(60)}
    seen = [watched(metric, eligible=1_000) for metric in metrics]
    put(lake, row(facts(*many, first=ENDED, names=names, active=60, observed=seen)))
    with serving(strict_slack) as server:
        report = deliver(lake, state, Slack("ops", f"{server.url}/{SECRET}"))
        assert [one.status for one in report.outcomes] == ["sent"]
    sent = server.requests[0].json
    assert len(sent["blocks"]) > 5 and "<!channel>" not in server.requests[0].body.decode()
    assert list(faults({"text": "x", "blocks": [{"type": "divider"}] * 51})) == ["more than 50 blocks"]


def test_mail_brings_text_and_page(lake: Lake, state: State) -> None:
    put(lake, changed())
    with mail_server() as server:
        smtp = Smtp.from_url(f"smtp+plain://localhost:{server.port}", sender="insights@corp.example")
        deliver(lake, state, Email("team", ("ana@example.org",)), config=Outbound(smtp=smtp))
    [mail] = server.mails
    text, page = mail.iter_parts()
    assert "Where is my order" in text.get_content() and "Where is my order" in page.get_content()
    assert page.get_content_type() == "text/html" and mail["Subject"].startswith("Insights, ")


def test_a_person_sends_again_under_a_new_key_and_what_failed_under_the_same(
    lake: Lake, state: State
) -> None:
    brief = {**changed(), "summary": None}
    key = f"brief:daily:{ENDED}"
    with serving(response(404)) as server:
        first = deliver_again(state, brief, hook(server), config=LOCAL)
        assert first is not None and first.status == "failed"
        server.script = OK
        for _ in range(2):
            assert str(deliver_again(state, brief, hook(server), config=LOCAL)).endswith("hook: sent")
    assert keys(server)[:2] == [key, key] and keys(server)[2].startswith(f"{key}:again:")
    assert [(one.status, one.attempts) for one in deliveries(state)] == [("sent", 1)]


def test_facts_of_another_release_are_sent_as_they_were_stored(lake: Lake, state: State) -> None:
    put(lake, {**changed(), "facts": '{"shape": 1}'})
    with serving() as server:
        deliver(lake, state, hook(server))
    told = server.requests[0].json
    assert told["subject"].startswith(f"Insights, {ENDED}: ") and "Where is my order" in told["text"]


def test_a_brief_that_cannot_be_made_a_message_waits_and_shows_no_text_of_the_error(
    lake: Lake, state: State
) -> None:
    put(lake, {**changed(), "slack": "hunter2 {"})
    put(lake, changed(ENDED - timedelta(days=1)))
    clock = Clock(after=ENDED)
    with serving() as server:
        report = deliver(lake, state, hook(server), now_ns=clock)
    assert [one.status for one in report.outcomes] == ["sent", "waiting"]
    assert report.outcomes[1].error == "unexpected JSONDecodeError while sending"


CHILD = """
import sys
from insights_pipeline.brief.deliver import deliver_due
from insights_pipeline.lake import Lake
from insights_pipeline.notify import Outbound, Webhook
from insights_pipeline.state import State
lake, state, hook = Lake(sys.argv[1]), State(sys.argv[2]), Webhook("hook", sys.argv[3])
config = Outbound(hosts=("127.0.0.1",))
print("ready", flush=True)
sys.stdin.readline()
report = deliver_due(lake, state, [hook], cadences=("daily",), when_quiet=True, config=config)
print(len(report.of("sent")))
"""


def child(lake: Lake, tmp_path: Path, server: Server) -> subprocess.Popen[str]:
    """A process that delivers when it is given a line."""
    started = subprocess.Popen(
        [sys.executable, "-c", CHILD, lake.uri, f"sqlite:///{tmp_path}/state.db", f"{server.url}/{SECRET}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


def test_of_two_processes_that_deliver_at_once_one_sends(lake: Lake, tmp_path: Path) -> None:
    put(lake, changed())

    def slow(request: Request) -> bytes:
        time.sleep(1.0)  # so that the other looks while this is under way
        return OK

    with serving(slow) as server:
        both = [child(lake, tmp_path, server) for _ in range(2)]
        for one in both:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        sent = [int(one.communicate(timeout=60)[0]) for one in both]
    assert sorted(sent) == [0, 1] and len(server.requests) == 1


def test_a_sender_killed_before_it_could_mark_leads_to_a_second_message_with_the_same_key(
    lake: Lake, state: State, tmp_path: Path
) -> None:
    put(lake, changed())
    running: list[subprocess.Popen[str]] = []

    def kill(request: Request) -> bytes:
        os.kill(running[0].pid, signal.SIGKILL)
        running[0].wait(30)
        return OK

    with serving(kill) as server:
        running.append(child(lake, tmp_path, server))
        running[0].communicate("\n", timeout=60)
        assert running[0].returncode == -signal.SIGKILL and len(server.requests) == 1
        server.script = OK
        clock = Clock()
        assert deliver(lake, state, hook(server), now_ns=clock) == Report()  # perhaps it is still at it
        clock.now += LEASE_NS
        assert len(deliver(lake, state, hook(server), now_ns=clock).of("sent")) == 1
        assert deliver(lake, state, hook(server), now_ns=clock) == Report()
    assert keys(server) == [f"brief:daily:{ENDED}"] * 2
    assert [(one.status, one.attempts) for one in deliveries(state)] == [("sent", 2)]


def test_a_brief_whose_senders_die_each_time_is_given_up_and_told_once(lake: Lake, state: State) -> None:
    put(lake, changed())
    clock = Clock(after=ENDED)
    for _ in range(MAX_ATTEMPTS):
        assert claim(
            state,
            f"brief:daily:{ENDED}",
            "hook",
            now_ns=clock.now,
            lease_ns=LEASE_NS,
            max_attempts=MAX_ATTEMPTS,
        )
        clock.now += LEASE_NS
    with serving() as server:
        [outcome] = deliver(lake, state, hook(server), now_ns=clock).outcomes
        assert outcome.status == "failed" and "was stopped each time" in str(outcome)
        assert deliver(lake, state, hook(server), now_ns=clock) == Report()
    assert server.requests == []


def test_no_secret_reaches_a_log_a_report_or_the_ledger(
    lake: Lake, state: State, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(lake, changed())
    caplog.set_level(logging.DEBUG)
    with serving(response(404, b"no_service")) as gone, serving("reset") as broken:
        points = (
            Slack("slack", f"{gone.url}/{SECRET}"),
            Webhook("hook", f"{broken.url}/{SECRET}", {"Authorization": "Bearer hunter2"}),
            Webhook("bad", "https://hunter2@example.org/"),
            Email("team", ("ana@example.org",)),
        )
        smtp = Smtp.from_url(f"smtp://u:hunter2@127.0.0.1:{gone.port}", sender="a@b.example")
        report = deliver(lake, state, *points, config=Outbound(smtp=smtp, hosts=("127.0.0.1",), seconds=3.0))
    assert [one.status for one in report.outcomes] == ["failed", "waiting", "failed", "waiting"]
    assert "hunter2" not in caplog.text + repr(report) + str(report.outcomes) + repr(points)
    for file in tmp_path.glob("state.db*"):
        assert b"hunter2" not in file.read_bytes()
