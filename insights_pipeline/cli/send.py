"""`insights contact list | test | send`: who is told, whether that works, and a brief by hand."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import typer

from insights_pipeline.cli.output import JSON, fail, open_engine, parse_day, print_json, table

if TYPE_CHECKING:
    from insights_pipeline.notify import ContactPoint
    from insights_pipeline.state import Delivery

app = typer.Typer(
    name="contact", no_args_is_help=True, help="Who is told: Slack, mail, webhooks (docs/delivery.md)."
)
_CADENCE = {"day": "daily", "week": "weekly", "month": "monthly"}
_SHOWN = 5


@app.command("list")
def list_points(as_json: bool = JSON) -> None:
    """List contact points, where they lead (without what is secret) and what was sent to them last.

    Examples:

      insights contact list

      insights contact list --json
    """
    from insights_pipeline.notify import ContactPointError, where
    from insights_pipeline.settings import settings
    from insights_pipeline.state import deliveries
    from insights_pipeline.wiring import brief_points, contact_points, outgoing, state

    points, config = contact_points(), outgoing()
    briefs_to = {point.name for point in brief_points()}
    sent = deliveries(state())
    found: list[dict[str, Any]] = []
    for name, point in points.items():
        try:
            leads, wrong = where(point, config), None
        except ContactPointError as error:
            leads, wrong = None, str(error)
        of_point = [_shown(one) for one in sent if one.contact_point == name]
        found.append(
            {
                "name": name,
                "kind": point.kind,
                "where": leads,
                "error": wrong,
                "briefs": name in briefs_to,
                "deliveries": of_point[: -_SHOWN - 1 : -1],
            }
        )
    if as_json:
        print_json({"contact_points": found, "brief_cadences": settings().brief_cadences})
        return
    if not found:
        typer.echo("no contact points yet: set INSIGHTS_CONTACT_POINTS (docs/delivery.md)")
        return
    columns = [(heading, "left") for heading in ("name", "kind", "where", "briefs", "last delivery")]
    rows = [
        [
            one["name"],
            one["kind"],
            one["where"] or f"!! {one['error']}",
            "yes" if one["briefs"] else "no",
            _last(one["deliveries"]),
        ]
        for one in found
    ]
    table(f"{len(rows)} contact point{'s' * (len(rows) != 1)}", columns, rows)


@app.command("test")
def test(
    name: str = typer.Argument(help="Name of the contact point."),
    as_json: bool = JSON,
) -> None:
    """Send a test message and say what came of it; exit 1 when it was not taken.

    Examples:

      insights contact test ops

      insights contact test ops --json
    """
    import time

    from insights_pipeline.notify import DeliveryError, Message, send
    from insights_pipeline.wiring import outgoing

    [point] = _points([name])
    said = "This is a test of Insights: briefs sent to this contact point arrive here."
    message = Message(
        key=f"test:{time.time_ns()}", subject="Insights: a test message", text=said, data={"test": True}
    )
    error: DeliveryError | None = None
    try:
        send(point, message, outgoing())
    except DeliveryError as raised:
        error = raised
    if as_json:
        print_json(
            {
                "name": name,
                "ok": error is None,
                "error": error and error.reason,
                "retriable": error and error.retriable,
            }
        )
    elif error is None:
        typer.echo(f"{name} took the message: look whether it has arrived")
    if error is not None:
        fail(f"{name}: {error.reason}", code=1)


@app.command("send")
def send_brief(
    window: Literal["day", "week", "month"] = typer.Option("day", help="Which brief."),
    day: str | None = typer.Option(
        None, "--date", help="Day of the brief; for a week or month any day in it; default: the newest."
    ),
    to: list[str] = typer.Option([], "--to", help="A contact point; default: those of INSIGHTS_BRIEF_TO."),
    again: bool = typer.Option(False, "--again", help="Also where it was sent already."),
    as_json: bool = JSON,
) -> None:
    """Send a stored brief now, of any age; exit 1 when a contact point did not take it.

    Examples:

      insights contact send

      insights contact send --date 2026-03-02 --to ops --again

      insights contact send --window week --json
    """
    from insights_pipeline.brief.deliver import deliver_again
    from insights_pipeline.brief.links import Links
    from insights_pipeline.brief.message import brief_key
    from insights_pipeline.brief.read import read_brief
    from insights_pipeline.settings import settings
    from insights_pipeline.state import deliveries
    from insights_pipeline.wiring import outgoing, state

    points, config = _points(to), outgoing()
    brief = read_brief(open_engine().lake, _CADENCE[window], _first_of(window, parse_day(day)))
    if brief is None:
        fail(f"there is no {window} brief{f' of {day}' if day else ' yet'}: `insights run` writes it", code=1)
    database = state()
    key = brief_key(brief["cadence"], brief["date"])
    sent = {one.contact_point for one in deliveries(database, keys=[key]) if one.status == "sent"}
    results: list[dict[str, Any]] = []
    for point in points:
        if point.name in sent and not again:
            results.append({"contact_point": point.name, "status": "sent before", "error": None})
            continue
        outcome = deliver_again(database, brief, point, config=config, links=Links(settings().ui_url))
        status = "being sent by another process" if outcome is None else outcome.status
        results.append(
            {"contact_point": point.name, "status": status, "error": outcome.error if outcome else None}
        )
    if as_json:
        print_json({"cadence": brief["cadence"], "date": brief["date"], "results": results})
    else:
        for one in results:
            hint = " (--again sends it once more)" if one["status"] == "sent before" else ""
            typer.echo(f"{one['contact_point']}: {one['status']}{hint}")
    if wrong := [one for one in results if one["error"]]:
        fail("; ".join(f"{one['contact_point']}: {one['error']}" for one in wrong), code=1)


def _points(names: list[str]) -> list[ContactPoint]:
    from insights_pipeline.notify import ContactPointError, named
    from insights_pipeline.wiring import brief_points, contact_points

    try:
        points = named(contact_points(), names) if names else brief_points()
    except ContactPointError as error:
        fail(str(error))
    if not points:
        fail("nobody to send to: name a contact point by --to, or set INSIGHTS_BRIEF_TO")
    return points


def _first_of(window: str, day: date | None) -> date | None:
    """The date that the brief of a day, week or month bears."""
    from datetime import timedelta

    if day is not None and window == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if day is not None and window == "month" else day


def _shown(delivery: Delivery) -> dict[str, Any]:
    """A row of the ledger with times as people write them."""
    sent = delivery.sent_ns
    return {
        "key": delivery.key,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "sent": None if sent is None else _time(sent),
        "next": _time(delivery.claimed_ns) if delivery.status == "waiting" else None,
        "error": delivery.error,
    }


def _time(ns: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _last(sent: list[dict[str, Any]]) -> str | None:
    if not sent:
        return None
    last = sent[0]
    when = last["sent"] or (f"again {last['next']}" if last["next"] else "")
    return " ".join(filter(None, [last["key"], last["status"], when, last["error"] and f"({last['error']})"]))
