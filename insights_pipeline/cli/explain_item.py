"""A change taken apart: what every slice of its traffic adds to it, and its days."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.show import shorten
from insights_pipeline.cli.show_item import change, print_cause, say, spans, who

if TYPE_CHECKING:
    from insights_pipeline.lake import DuckDBEngine

_SLICES = 12  # of one dimension; the others are summed
_VALUE = 40


def explained(engine: DuckDBEngine, item: Mapping[str, Any]) -> dict[str, Any]:
    """The item with `decomposition` (of `explain_item`) and `daily`: its days with the band that is usual."""
    from insights_pipeline.drift.daily import read_daily
    from insights_pipeline.drift.explanation.explanations import explain_item
    from insights_pipeline.drift.life.item_rows import from_rows
    from insights_pipeline.drift.read import item_tests, named

    raw = {**item, "explanation": json.dumps(item["explanation"])}
    daily = read_daily(engine, item, item_tests(engine.lake, item, item["date"]))
    apart: dict[str, Any] = explain_item(engine, from_rows([raw])[0], item["date"])
    intents = apart["dimensions"].get("intent", [])
    names = named(engine.lake, item["date"], [{"intent_id": row["value"]} for row in intents])
    for row, name in zip(intents, names, strict=True):
        row["name"] = name["intent"]
    return {
        **item,
        "decomposition": apart,
        "daily": None if daily is None else daily.to_json(),
    }


def print_explained(told: Mapping[str, Any]) -> None:
    """The decomposition for a person, without anything that a terminal would obey."""
    from insights_pipeline.brief import units

    metric = told["metric"]
    typer.secho(f"{who(told)}: {units.verb(metric, told['direction'])}", bold=True)
    say("item", f"{told['item_id']}, {told['state']} as of {told['date']}")
    say("change", change(told))
    print_cause(told)
    say("quarantined", spans(told["quarantined_days"] or []))
    apart = told["decomposition"]
    for dimension, rows in apart["dimensions"].items():
        if rows:
            _dimension_table(metric, dimension, rows, apart["total"])
    if not any(apart["dimensions"].values()):
        typer.echo(
            "Nothing to take it apart by: no model, tenant, environment, service, release, prompt or tool is known."
        )
    _plot(told)


def _dimension_table(
    metric: str, dimension: str, rows: list[dict[str, Any]], total: Mapping[str, Any]
) -> None:
    from insights_pipeline.cli.output import table

    shown, rest = rows[:_SLICES], rows[_SLICES:]
    cells: list[list[Any]] = [
        [
            shorten(str(row.get("name") or row["value"]), _VALUE),
            _share(row["share_before"]),
            _share(row["share_now"]),
            _level(metric, row["before"]),
            _level(metric, row["now"]),
            _part(total, row["own"]),
            _part(total, row["mix"]),
            _part(total, row["own"] + row["mix"]),
        ]
        for row in shown
    ]
    if rest:
        sums = [sum(row[name] for row in rest) for name in ("share_before", "share_now", "own", "mix")]
        parts = [_part(total, amount) for amount in (sums[2], sums[3], sums[2] + sums[3])]
        cells.append([f"{len(rest)} more", _share(sums[0]), _share(sums[1]), None, None, *parts])
    overlapping = dimension == "tool"
    if not overlapping:
        amounts = [sum(row[name] for row in rows) for name in ("own", "mix")]
        before, now = _level(metric, total["before"]), _level(metric, total["now"])
        cells.append(["all", None, None, before, now, *(_part(total, x) for x in (*amounts, sum(amounts)))])
    title = "By tool (traces use several: each against the rest)" if overlapping else f"By {dimension}"
    title += ": what each adds to the change"
    names = ("share before", "share now", "before", "now", "from its own", "from its share", "of the change")
    table(title, [(dimension, "left"), *((name, "right") for name in names)], cells)


def _plot(told: Mapping[str, Any]) -> None:
    from insights_pipeline.brief import units
    from insights_pipeline.cli.plot import plot

    daily, metric = told["daily"], told["metric"]
    if daily is None:
        return
    lines = plot(
        [row["date"] for row in daily["days"]],
        [math.nan if row["value"] is None else row["value"] for row in daily["days"]],
        mean=daily["mean"],
        low=daily["low"],
        high=daily["high"],
        open_points=set(told["quarantined_days"] or []),
        say=lambda value: units.value("error_rate" if metric == "tool_mix" else metric, value),
    )
    if not lines:
        return
    of = "part of the calls that moved" if metric == "tool_mix" else units.LABELS.get(metric, metric)
    typer.echo(
        f"{of[:1].upper()}{of[1:]} day by day (○ quarantined; ─ mean and ░ ± 2 sd of the baseline's days):"
    )
    for line in lines:
        typer.echo(line)


def _level(metric: str, value: float | None) -> str:
    from insights_pipeline.brief import units

    return units.value("error_rate" if metric == "tool_mix" else metric, value)


def _part(total: Mapping[str, Any], amount: float) -> str:
    """An amount as its part of the whole change; parts of one dimension add up to 100 %."""
    # + 0: nothing is 0 %, not -0 %
    return f"{round(100 * amount / total['change']) + 0:d} %" if total["change"] else "–"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
