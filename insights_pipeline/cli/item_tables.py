"""The tests and the days of one drift item, as tables."""

from __future__ import annotations

from typing import Any

from insights_pipeline.cli.output import table


def tests_table(metric: str, tests: list[dict[str, Any]]) -> None:
    """What each horizon of the day says, from one day to 30."""
    from insights_pipeline.brief import units

    cells = [
        [
            row["horizon"],
            row["n"],
            units.value(metric, row["observed"]),
            units.value(metric, row["baseline_value"]),
            *units.scaled(metric, row["effect"], row["effect_low"], row["effect_high"]),
            None if row["p"] is None else f"{row['p']:.2g}",
            None if row["q"] is None else f"{row['q']:.2g}",
            row["trigger"],
            row["verdict"],
            len(row["days_left_out"] or []),
        ]
        for row in tests
    ]
    names = (
        "horizon",
        "traces",
        "observed",
        "baseline",
        "change",
        "95 %",
        "p",
        "q",
        "trigger",
        "verdict",
        "left out",
    )
    if cells:
        table("Tests of the day", [(name, "right") for name in names], cells)


def history_table(metric: str, history: list[dict[str, Any]]) -> None:
    """A line for each run of days in one state."""
    from insights_pipeline.brief import units

    runs: list[list[dict[str, Any]]] = []
    for row in history:
        if runs and runs[-1][-1]["state"] == row["state"]:
            runs[-1].append(row)
        else:
            runs.append([row])
    cells = [
        [
            run[0]["date"],
            run[-1]["date"],
            run[0]["state"],
            run[-1]["severity"],
            *units.scaled(metric, run[-1]["effect"], run[-1]["effect_low"], run[-1]["effect_high"]),
        ]
        for run in runs
    ]
    names = (
        ("from", "right"),
        ("to", "right"),
        ("state", "left"),
        ("severity", "left"),
        ("change", "right"),
        ("95 %", "right"),
    )
    table("Its days", list(names), cells)
