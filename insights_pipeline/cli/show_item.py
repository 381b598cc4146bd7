"""All of one drift item, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.show import shorten

if TYPE_CHECKING:
    from insights_pipeline.lake import Lake

_HISTORY = (
    "date",
    "state",
    "severity",
    "observed",
    "baseline_value",
    "effect",
    "effect_low",
    "effect_high",
    "n",
)
_TESTS = (
    "horizon", "window_first", "window_last", "n", "observed", "baseline_first", "baseline_last", "baseline_days",
    "baseline_n", "baseline_value", "days_left_out", "effect", "effect_low", "effect_high", "p", "q",
    "smallest_detectable", "trigger", "verdict",
)  # fmt: skip
_SPANS = {"1d": "one day", "3d": "3 days", "7d": "7 days", "14d": "14 days", "30d": "30 days"}
_LEAST_POINTS = 0.01  # of the calls: less is no tool that gained or lost
_LABEL = 15
_WIDTH = 400
_NAME = 48


def who(row: Mapping[str, Any]) -> str:
    """The intent of an item or baseline, with its slice."""
    of = shorten(row["intent"], _NAME) or "–"
    return f"{of} ({shorten(row['slice'], _NAME)})" if row["slice"] else of


def carried_by(row: Mapping[str, Any]) -> str:
    """What carries the change most, with its part of it; "" where nothing stands out."""
    carriers = row["explanation"].get("carriers") or []
    return f"{_slice(carriers[0])}, {_percent(carriers[0]['part'])}" if carriers else ""


def facts_of(lake: Lake, item: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is known of an item as of its date: the row, its days, and the tests of its last day seen."""
    from insights_pipeline.drift.read import item_history, item_tests

    history = [row for row in item_history(lake, item["item_id"]) if row["date"] <= item["date"]]
    tests = item_tests(lake, item, item["date"])
    return {
        **item,
        "history": [{name: row[name] for name in _HISTORY} for row in history],
        "tests": [{name: row[name] for name in _TESTS} for row in tests],
    }


def print_facts(facts: Mapping[str, Any]) -> None:
    """The facts for a person, without anything that a terminal would obey."""
    from insights_pipeline.brief import units
    from insights_pipeline.cli.item_tables import history_table, tests_table

    metric, explanation = facts["metric"], facts["explanation"]
    typer.secho(f"{who(facts)}: {units.verb(metric, facts['direction'])}", bold=True)
    say("item", f"{facts['item_id']}, as of {facts['date']}")
    say("state", _state(facts))
    say("severity", facts["severity"])
    say("change", change(facts))
    for other in explanation.get("also") or []:
        moved, between = units.scaled(
            other["metric"], other["effect"], other["effect_low"], other["effect_high"]
        )
        say("and", f"{units.LABELS.get(other['metric'], other['metric'])} {moved} ({between})")
    for side in ("gained", "lost"):
        moves = [
            one for one in explanation.get(side) or [] if abs(one["now"] - one["before"]) >= _LEAST_POINTS
        ]
        say(side, ", ".join(map(_tool, moves)))
    say("traffic", _traffic(facts))
    print_cause(facts)
    least = next((row["smallest_detectable"] for row in facts["tests"] if row["horizon"] == "7d"), None)
    if least is not None:
        say("detectable", f"{units.effect(metric, least)} or more over a week, four times of five")
    say("quarantined", spans(facts["quarantined_days"] or []))
    if decision := explanation.get("decision"):
        say("decision", _decision(decision))
    tests_table(metric, facts["tests"])
    history_table(metric, facts["history"])
    say("traces before", ", ".join(map(_trace, facts["baseline_trace_ids"] or [])))
    say("traces now", ", ".join(map(_trace, facts["trace_ids"] or [])))


def print_cause(facts: Mapping[str, Any]) -> None:
    """When it began, what carries it, what else moved and what is new: lines of `show` and of `explain`."""
    from insights_pipeline.brief import units

    explanation = facts["explanation"]
    say("began", began(facts))
    for carrier in explanation.get("carriers") or []:
        moved = f"{units.value(facts['metric'], carrier['before'])} → {units.value(facts['metric'], carrier['now'])}"
        versus = "" if carrier["dimension"] == "intent" else ", set against the rest"
        share = f"{_percent(carrier['share_before'])} → {_percent(carrier['share_now'])} of the traces"
        say(
            "carried by",
            f"{_slice(carrier)}: {_percent(min(carrier['part'], 1.0))} of the change{versus}; {moved}; {share}",
        )
    for one in explanation.get("coincident") or []:
        say(
            "coincident",
            f"{_slice(one)} first seen {one['first_seen']} (at that time; not known to be the cause)",
        )
    moved_with = explanation.get("moved_with") or []
    said = [
        f"{units.verb(one['metric'], one['direction'])} {units.effect(one['metric'], one['effect'])}"
        for one in moved_with
    ]
    say("moved with it", ", ".join(said))


def say(label: str, text: object) -> None:
    """One labelled line; nothing where there is nothing to say."""
    if text not in (None, "", []):
        typer.echo(f"{label + ':':<{_LABEL}}{shorten(str(text), _WIDTH)}")


def change(row: Mapping[str, Any]) -> str:
    """From what to what, the change and its interval, and over which window."""
    from insights_pipeline.brief import units

    metric = row["metric"]
    if row["effect"] is None:
        return ""
    text, between = units.scaled(metric, row["effect"], row["effect_low"], row["effect_high"])
    if row["observed"] is not None and row["baseline_value"] is not None and metric != "tool_mix":
        text = (
            f"{units.value(metric, row['baseline_value'])} → {units.value(metric, row['observed'])}, {text}"
        )
    text += f", 95 % {between}" if between else ""
    horizon = row.get("horizon")
    return text + (f", over {_SPANS.get(horizon, horizon)}" if horizon else "")


def began(row: Mapping[str, Any]) -> str:
    """The onset with its interval and shape; else the day on which the item opened."""
    if row["onset"] is None:
        return f"not known; first noticed {row['opened']}"
    first, last = row["onset_first"], row["onset_last"]
    between = f" (95 % between {first} and {last})" if first and last and first != last else ""
    how = {"step": ", at once", "ramp": ", growing"}.get(row["shape"] or "", "")
    return f"{row['onset']}{between}{how}; first noticed {row['opened']}"


def spans(days: list[date]) -> str:
    """Days as ranges: 2026-03-02..2026-03-09, 2026-03-12."""
    from insights_pipeline.lake.days import contiguous

    return ", ".join(map(str, contiguous(set(days))))


def _state(facts: Mapping[str, Any]) -> str:
    parts = [facts["state"]]
    if facts["closed"]:
        parts.append(f"closed {facts['closed']}")
    elif facts["quiet_days"]:
        parts.append(f"{facts['quiet_days']} quiet day{'s' * (facts['quiet_days'] != 1)}")
    if facts["explanation"].get("reopened"):
        parts.append(f"reopened {facts['explanation']['reopened']} times")
    return ", ".join(parts)


def _traffic(facts: Mapping[str, Any]) -> str:
    share = f", {_percent(facts['traffic_share'])} of the traffic" if facts["traffic_share"] else ""
    return f"{facts['n']:,} traces{share}" if facts["n"] else share.removeprefix(", ")


def _decision(decision: Mapping[str, Any]) -> str:
    until = f" until {decision['until']}" if decision.get("until") else ""
    note = f": {decision['note']}" if decision.get("note") else ""
    return f"{decision.get('kind')}{until} by {decision.get('by')} on {decision.get('day')}{note}"


def _slice(one: Mapping[str, Any]) -> str:
    return f"{one['dimension']} {shorten(str(one.get('name') or one['value']), _NAME)}"


def _tool(move: Mapping[str, Any]) -> str:
    return f"{shorten(str(move['tool']), _NAME)} {_percent(move['before'])} → {_percent(move['now'])}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _trace(trace_id: str) -> str:
    return shorten(trace_id, 40) or "–"
