"""Rollups of parts of a day add up to the rollups of the day, in every column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import localcontext
from functools import wraps
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, connect_with, engine_config
from tests.drift.traffic import START, put, read

ONE = DayRange.single(START)
TABLES = ("intent_rollups", "slice_rollups")
SUMS = ("n", "n_valid", "n_pos", "k", "sum", "sumsq", "slog", "slog2")
QUICK = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
)  # to shrink an example takes minutes: each try is two lakes
Row = dict[str, Any]
Traffic = tuple[list[Row], list[Row]]

numbers = st.one_of(
    st.none(),
    st.floats(0, 1e6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1e-300, 1e11, -3.0]),
)
counts = st.one_of(st.none(), st.integers(0, 10_000), st.just(9 * 10**18))
words = st.sampled_from(["a", "b", "c"])
values = st.sampled_from([None, "a", "b", "b\x00", "", "(other)"])
traces = st.fixed_dictionaries(
    {
        "latency_ms": numbers,
        "ttft_ms": numbers,
        "cost_usd": numbers,
        "total_tokens": counts,
        "step_count": counts,
        "output_chars": counts,
        "is_error": st.sampled_from([None, False, True]),
        "tool_calls": st.one_of(st.none(), st.lists(st.one_of(st.none(), words), max_size=5)),
        "feedback": st.one_of(
            st.none(), st.dictionaries(words, numbers.filter(lambda x: x is not None), max_size=2)
        ),
        "primary_model": values,
        "tenant_id": values,
        "environment": values,
        "service": values,
        "release": values,
        "prompt": values,
        "is_evaluation": st.sampled_from([None, False, False, True]),
    }
)
intents = st.sampled_from([("x", "m"), ("y", "m"), (None, "m"), (None, None)])


def traffic(made: list[tuple[Row, tuple[str | None, str | None]]]) -> Traffic:
    rows, assigned = [], []
    for number, (trace, (intent, version)) in enumerate(made):
        name = {"date": START, "trace_id": f"{number:04d}"}
        feedback = None if trace["feedback"] is None else list(trace["feedback"].items())
        rows.append(name | trace | {"feedback": feedback})
        assigned.append(name | {"intent_id": intent, "model_version": version})
    return rows, assigned


def rolled(
    folder: Path, of: Traffic, keep: list[bool] | None = None, *, threads: int = 1
) -> dict[str, list[Row]]:
    lake = Lake(str(folder))
    for table, rows in zip(("traces", "trace_intents"), of, strict=True):
        put(lake, table, [row for row, kept in zip(rows, keep or [True] * len(rows), strict=True) if kept])
    config = engine_config(threads=threads, memory_mb=256, temp_dir=folder / "spill")
    rollup_days(DuckDBEngine(lake, connect_with(config)), ONE)
    return {table: read(lake, table) for table in TABLES}


def exactly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decimals of 38 digits are added without rounding to the usual 28."""

    @wraps(function)
    def inside(*arguments: Any) -> Any:
        with localcontext(prec=80):
            return function(*arguments)

    return inside


def key_of(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("intent_id", "dimension", "value", "metric") if name in row)


@exactly
def added(*parts: list[Row]) -> dict[tuple[str, ...], Row]:
    """Rows of several parts added up by hand. What a missing row says: no value, and the traces of `error_rate`."""
    out: dict[tuple[str, ...], Row] = {}
    traces: dict[tuple[str, ...], int] = defaultdict(int)
    for row in (row for part in parts for row in part):
        if row["metric"] == "error_rate":
            traces[key_of(row)[:-1]] += row["n"]
        into = out.setdefault(key_of(row), defaultdict(int))
        for name in SUMS[1:]:
            if row[name] is not None:
                into[name] += row[name]
        for entry in row.get("histogram") or []:
            into["bin", entry["bin"]] += entry["count"]
        for entry in row["shares"] or []:
            into["share", entry["name"]] += entry["share"]
            into["calls", entry["name"]] += entry["calls"]
        for name, best in (("min", min), ("max", max)):
            if row.get(name) is not None:
                into[name] = best(into[name], row[name]) if name in into else row[name]
    return {key: {"n": traces[key[:-1]]} | dict(sums) for key, sums in out.items()}


def known_in_both(halves: list[dict[str, list[Row]]]) -> set[str]:
    """The dimensions that both halves name: of one that a half does not name, that half has no rows."""
    return set.intersection(*({row["dimension"] for row in half["slice_rollups"]} for half in halves))


@settings(max_examples=15, deadline=None, phases=QUICK)
@given(
    made=st.lists(st.tuples(traces, intents), min_size=2, max_size=40),
    seed=st.integers(0, 2**16),
)
def test_two_halves_of_a_day_add_up_to_the_day_in_every_column(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[Row, tuple[str | None, str | None]]], seed: int
) -> None:
    folder, day = tmp_path_factory.mktemp("lake"), traffic(made)
    rng = Random(seed)
    first = [rng.random() < 0.5 for _ in made]
    whole = rolled(folder / "whole", day)
    halves = [
        rolled(folder / "first", day, first),
        rolled(folder / "second", day, [not one for one in first]),
    ]
    assert added(*(half["intent_rollups"] for half in halves)) == added(whole["intent_rollups"])
    both = known_in_both(halves)

    def of_both(rows: list[Row]) -> list[Row]:
        return [row for row in rows if row["dimension"] in both]

    parts = added(*(of_both(half["slice_rollups"]) for half in halves))
    of_day = added(of_both(whole["slice_rollups"]))
    # a half in which no trace of an intent reports a metric has no rows of it: they hold nothing either
    assert {key: sums for key, sums in of_day.items() if key in parts} == parts
    assert all(
        not any(sums.get(name) for name in SUMS[1:]) for key, sums in of_day.items() if key not in parts
    )


@settings(max_examples=15, deadline=None, phases=QUICK)
@given(made=st.lists(st.tuples(traces, intents), min_size=1, max_size=40))
def test_the_values_of_a_dimension_add_up_to_the_whole_and_a_tool_to_less(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[Row, tuple[str | None, str | None]]]
) -> None:
    tables = rolled(tmp_path_factory.mktemp("lake"), traffic(made))
    whole = added(tables["intent_rollups"])
    slices = tables["slice_rollups"]
    for dimension in {row["dimension"] for row in slices} - {"tool"}:
        parts = added(
            [
                {k: v for k, v in row.items() if k not in ("dimension", "value")}
                for row in slices
                if row["dimension"] == dimension
            ]
        )
        wanted = {
            key: {
                name: value for name, value in sums.items() if name not in ("min", "max") and name[0] != "bin"
            }
            for key, sums in whole.items()
            if sums.get("n_valid") or key[-1] == "error_rate"
        }
        assert parts == wanted
    for row in slices:
        if row["dimension"] == "tool":
            of = whole[row["intent_id"], row["metric"]]
            assert all((row[name] or 0) <= of.get(name, 0) for name in ("n", "n_valid", "n_pos", "sumsq"))


def busy_day(n: int = 400) -> Traffic:
    rng = np.random.default_rng(3)

    def pick(*options: object) -> Any:
        return options[int(rng.integers(len(options)))]

    made = []
    for _ in range(n):
        trace = {
            "latency_ms": float(rng.lognormal(7, 1)),
            "ttft_ms": pick(None, float(rng.lognormal(5, 1))),
            "cost_usd": pick(None, 0.0, float(rng.lognormal(-5, 1))),
            "total_tokens": int(rng.integers(1, 9_999)),
            "step_count": int(rng.integers(1, 9)),
            "output_chars": int(rng.integers(0, 999)),
            "is_error": bool(rng.random() < 0.1),
            "tool_calls": [pick("search", "refund", None) for _ in range(int(rng.integers(0, 4)))],
            "feedback": pick(None, {"thumbs": float(rng.integers(2))}, {"quality": float(rng.normal())}),
            "primary_model": pick("gpt", "claude", None),
            "tenant_id": pick("acme", "initech", "hooli"),
            "environment": "production",
            "service": None,
            "release": pick("1.0", "1.1"),
            "is_evaluation": False,
        }
        made.append((trace, pick(("x", "m"), ("y", "m"), (None, "m"), (None, None))))
    return traffic(made)


def test_neither_the_order_of_traces_nor_the_number_of_threads_can_be_seen(tmp_path: Path) -> None:
    traces, assigned = busy_day()
    once = rolled(tmp_path / "once", (traces, assigned))
    Random(5).shuffle(traces)
    Random(6).shuffle(assigned)
    assert rolled(tmp_path / "again", (traces, assigned), threads=2) == once
    assert {row["dimension"] for row in once["slice_rollups"]} == {
        "model",
        "tenant",
        "environment",
        "release",
        "tool",
    }


def test_a_trace_counts_once_under_every_tool_it_called_and_tools_have_their_rest(tmp_path: Path) -> None:
    traces, assigned = busy_day()
    tables = rolled(tmp_path / "all", (traces, assigned))
    using = [row["trace_id"] for row in traces if "search" in row["tool_calls"]]

    def slices_of(*, used: bool) -> dict[tuple[str, ...], Row]:
        keep = [(row["trace_id"] in using) == used for row in traces]
        return added(rolled(tmp_path / f"used-{used}", (traces, assigned), keep)["intent_rollups"])

    whole, only, rest = added(tables["intent_rollups"]), slices_of(used=True), slices_of(used=False)
    seen = 0
    for row in tables["slice_rollups"]:
        if (row["dimension"], row["value"]) != ("tool", "search"):
            continue
        key = (row["intent_id"], row["metric"])
        assert {name: row[name] or 0 for name in SUMS} == {name: only[key].get(name, 0) for name in SUMS}
        for name in SUMS:
            assert (row[name] or 0) + rest.get(key, {}).get(name, 0) == whole[key].get(name, 0), (key, name)
        seen += 1
    assert seen == 4 * 9  # x, y, unknown, all; six numbers, errors and two scores
