"""`insights baseline …`: what is normal for each thing that users ask."""

from __future__ import annotations

from datetime import date
from typing import Any

import typer

from insights_pipeline.cli.output import JSON, fail, of_metric, open_engine, parse_day, print_json, table
from insights_pipeline.cli.show import shorten

_DAY = typer.Option(
    None, "--date", help="Day (YYYY-MM-DD, today, yesterday): the 30 days before it; default: the newest."
)
_METRIC = typer.Option(None, "--metric", help="Only this metric (begins with), e.g. cost.")
_NAME = 32
_TOOLS = 5

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """What is normal: of every intent and metric, the 30 days before a day, without those that were part of a drift.

    Examples:

      insights baseline list

      insights baseline show "track order"

      insights baseline show all --metric latency --json
    """


@app.command("list")
def list_(day: str | None = _DAY, metric: str | None = _METRIC, as_json: bool = JSON) -> None:
    """List the intents that have a baseline: days, traces, what is typical, and the smallest change that can be seen.

    Examples:

      insights baseline list

      insights baseline list --metric error_rate --date 2026-03-02

      insights baseline list --json
    """
    when, rows = _found(day)
    rows = of_metric(rows, metric)
    if as_json:
        print_json({"date": when, "baselines": rows})
        return
    # without a metric one line an intent: the typical latency stands for it
    shown = rows if metric else [row for row in rows if row["metric"] == "latency_ms"]
    _list_table(when, shown)


@app.command("show")
def show(
    intent: str = typer.Argument(..., help='Id, name, or the beginning of one; "all" or "unknown".'),
    slice_: str | None = typer.Option(None, "--slice", help="Only this part of it, e.g. tenant=acme."),
    day: str | None = _DAY,
    metric: str | None = _METRIC,
    as_json: bool = JSON,
) -> None:
    """Show the baseline of an intent: of each metric typical values, spread within and between days, what can be seen.

    Examples:

      insights baseline show "track order"

      insights baseline show int_4a1c7f32be --slice tenant=acme --metric latency

      insights baseline show all --json
    """
    from insights_pipeline.drift.read import UnknownReferenceError, find_intent

    when, rows = _found(day)
    there = {row["intent_id"]: {"intent_id": row["intent_id"], "name": row["intent"]} for row in rows}
    try:
        wanted = find_intent(there.values(), intent)
    except UnknownReferenceError as error:
        fail(f"{error}; `insights baseline list` shows those with a baseline on {when}")
    own = [row for row in rows if row["intent_id"] == wanted]
    if not own:
        fail(f"“{wanted}” has no baseline on {when}: there was no such traffic in the 30 days before", code=1)
    slices = sorted({row["slice"] for row in own if row["slice"]})
    own = [row for row in own if row["slice"] == slice_]
    if not own:
        kept = (
            f"there are {', '.join(slices[:20])}" if slices else "set INSIGHTS_BASELINE_GROUPS to keep some"
        )
        fail(f"no slice {slice_!r} has a baseline of its own on {when}: {shorten(kept, 400)}")
    own = of_metric(own, metric)
    if as_json:
        print_json({"date": when, "intent_id": wanted, "slice": slice_, "slices": slices, "baselines": own})
        return
    _show_table(when, own, slices if slice_ is None else [])


def _found(day: str | None) -> tuple[date, list[dict[str, Any]]]:
    from insights_pipeline.drift.read import read_baselines

    wanted = parse_day(day)
    found = read_baselines(open_engine().lake, wanted)
    if found is None:
        of = f" on {wanted}" if wanted else " yet"
        fail(f"there are no baselines{of}: they need a day with intents before, and `insights run`", code=1)
    return found


def _list_table(when: date, rows: list[dict[str, Any]]) -> None:
    from insights_pipeline.brief import units
    from insights_pipeline.cli.show_item import who

    cells: list[list[Any]] = [
        [
            who(row),
            units.LABELS.get(row["metric"], row["metric"]),
            row["status"],
            row["days"],
            f"{row['n']:,}",
            _typical(row),
            units.effect(row["metric"], row["smallest_detectable"]),
            len(row["days_left_out"] or []) or None,
        ]
        for row in rows
    ]
    columns = [
        ("intent", "left"), ("metric", "left"), ("status", "left"), ("days", "right"), ("traces", "right"),
        ("typical", "right"), ("detectable", "right"), ("left out", "right"),
    ]  # fmt: skip
    table(f"{len(rows)} baseline{'s' * (len(rows) != 1)} on {when}: the 30 days before", columns, cells)


def _show_table(when: date, rows: list[dict[str, Any]], slices: list[str]) -> None:
    from insights_pipeline.brief import units
    from insights_pipeline.cli.show_item import spans, who

    typer.secho(f"{who(rows[0])}: baseline of {when}, the 30 days before", bold=True)
    cells: list[list[Any]] = [
        [
            units.LABELS.get(row["metric"], row["metric"]),
            row["status"],
            row["days"],
            f"{row['n']:,}",
            None if row["coverage"] is None else f"{100 * row['coverage']:.0f} %",
            _typical(row),
            _value(row, "mean"),
            _value(row, "p50"),
            _value(row, "p95"),
            _sd(row["sd_within"]),
            _sd(row["sd_between"]),
            units.effect(row["metric"], row["smallest_detectable"]),
        ]
        for row in rows
    ]
    names = (
        "status", "days", "traces", "known", "typical", "mean", "p50", "p95", "sd within", "sd between", "detectable",
    )  # fmt: skip
    table("", [("metric", "left"), *((name, "right") for name in names)], cells)
    for row in rows:
        if row["metric"] == "tool_mix" and row["shares"]:
            typer.echo(f"tools: {_tools(row['shares'])}")
        if row["days_left_out"]:
            label = units.LABELS.get(row["metric"], row["metric"])
            typer.echo(f"{label} without {spans(row['days_left_out'])} (part of a drift)")
    if slices:
        typer.echo(f"slices with a baseline of their own (--slice): {shorten(', '.join(slices), 400)}")


def _typical(row: dict[str, Any]) -> str | None:
    """What a usual day has: the geometric mean, the rate, the mean."""
    from insights_pipeline.brief import units

    # the level of a volume is kept as a share of the traffic; what people know is traces a day
    for name in ("mean",) if row["metric"] == "volume" else ("geometric_mean", "rate", "mean"):
        if row[name] is not None:
            return units.value(row["metric"], row[name])
    return None


def _value(row: dict[str, Any], name: str) -> str | None:
    from insights_pipeline.brief import units

    return None if row[name] is None else units.value(row["metric"], row[name])


def _sd(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _tools(shares: list[dict[str, Any]]) -> str:
    """The tools by their share of a trace's calls, the rare ones counted."""
    largest = sorted(shares, key=lambda one: (-one["share"], one["name"]))
    told = [f"{shorten(one['name'], _NAME)} {100 * float(one['share']):.0f} %" for one in largest[:_TOOLS]]
    rest = largest[_TOOLS:]
    more = [f"{len(rest)} more {100 * float(sum(one['share'] for one in rest)):.0f} %"] if rest else []
    return ", ".join([*told, *more])
