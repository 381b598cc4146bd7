from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insights_pipeline.drift.constants import NUMERIC
from insights_pipeline.drift.series import groups
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.lineage import Lineage
from insights_pipeline.drift.series.panel import Panel, Sums
from insights_pipeline.drift.series.rollups import read_panel, rollup_days
from insights_pipeline.drift.series.slices import NONE, OTHER, read_slices
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, connect_with, engine_config
from tests.drift.traffic import START, put, read

Row = dict[str, Any]
TWO = DayRange(START, START + timedelta(days=1))


def traces(day: date, intent: str, n: int, **more: object) -> tuple[list[Row], list[Row]]:
    """Traces of an intent with values of their own, and which intent they are in."""
    ids = [f"{day}-{intent}-{'-'.join(map(str, more.values()))}-{i}" for i in range(n)]
    usual = {
        "latency_ms": 100.0,
        "total_tokens": 10,
        "step_count": 2,
        "is_error": False,
        "tool_calls": ["search"],
    }
    made = [
        {"date": day, "trace_id": name} | usual | {"latency_ms": 100.0 + i, "is_error": i % 4 == 0} | more
        for i, name in enumerate(ids)
    ]
    return made, [{"date": day, "trace_id": name, "intent_id": intent, "model_version": "m"} for name in ids]


def fill(lake: Lake, parts: Sequence[tuple[list[Row], list[Row]]]) -> None:
    put(lake, "traces", [row for made, _ in parts for row in made])
    put(lake, "trace_intents", [row for _, assigned in parts for row in assigned])


def engine_of(lake: Lake, folder: Path) -> DuckDBEngine:
    return DuckDBEngine(lake, connect_with(engine_config(threads=1, memory_mb=256, temp_dir=folder)))


def values(lake: Lake, dimension: str, *, intent: str = "all") -> dict[str, int]:
    return {
        row["value"]: row["n"]
        for row in read(lake, "slice_rollups")
        if (row["dimension"], row["metric"], row["intent_id"]) == (dimension, "error_rate", intent)
    }


def test_a_dimension_that_nobody_names_has_no_slices(lake: Lake, engine: DuckDBEngine) -> None:
    fill(
        lake,
        [traces(START, "x", 3, tenant_id="acme", release="\x00 \n", tool_calls=[]), traces(START, "x", 2)],
    )
    rollup_days(engine, DayRange.single(START))
    assert {row["dimension"] for row in read(lake, "slice_rollups")} == {"tenant", "tool"}
    assert values(lake, "tenant") == {"acme": 3, NONE: 2}
    assert values(lake, "tool") == {"search": 2, NONE: 3}


def test_beyond_the_two_hundred_largest_values_of_a_day_the_rest_is_one(
    lake: Lake, engine: DuckDBEngine
) -> None:
    busy = [traces(START, "x", 2, tenant_id=f"t{i:03d}") for i in range(199)]
    rare = [traces(START, "x", 1, tenant_id=name) for name in ("zz", "aa", "mm")]
    fill(lake, [*busy, *rare, traces(START, "y", 5)])
    rollup_days(engine, DayRange.single(START))
    found = values(lake, "tenant")
    assert len(found) == 202
    assert found["aa"] == 1  # ties by name
    assert (found[OTHER], found[NONE]) == (2, 5)
    assert values(lake, "tenant", intent="y") == {NONE: 5}


def test_values_are_kept_short_and_without_control_characters(lake: Lake, engine: DuckDBEngine) -> None:
    names = ["ac\x00me\u202e\n", "ac me", "x" * 500]
    fill(lake, [traces(START, "x", n + 1, tenant_id=name) for n, name in enumerate(names)])
    rollup_days(engine, DayRange.single(START))
    assert values(lake, "tenant") == {"ac me": 3, "x" * 200: 3}


def test_feedback_scores_are_metrics_of_their_own(lake: Lake, engine: DuckDBEngine) -> None:
    hostile = {"a\x1b[31m" + "b" * 200: 1.0, "\x00": 4.0}
    scores: list[dict[str, float]] = [
        {"thumbs": 1.0},
        {"thumbs": 0.0, "grade": -2.5},
        {"thumbs": float("nan")},
        hostile,
    ]
    fill(
        lake, [traces(START, "x", 1, feedback=list(one.items())) for one in scores] + [traces(START, "y", 4)]
    )
    rollup_days(engine, DayRange.single(START))
    rows = {(row["intent_id"], row["metric"]): row for row in read(lake, "intent_rollups")}
    thumbs = rows["all", "score:thumbs"]
    assert [thumbs[name] for name in ("n", "n_valid", "n_pos", "sum", "sumsq", "slog")] == [
        8,
        2,
        1,
        1,
        1,
        None,
    ]
    grade = rows["x", "score:grade"]
    assert (grade["n"], grade["n_valid"], grade["n_pos"], grade["min"], grade["max"]) == (4, 1, 0, -2.5, -2.5)
    assert float(grade["sumsq"]) == 6.25
    names = {metric for _, metric in rows if metric.startswith("score:")}
    assert names == {"score:thumbs", "score:grade", "score:a [31m" + "b" * 74}
    assert ("y", "score:thumbs") not in rows


def test_at_most_twenty_score_names_a_day_are_kept(lake: Lake, engine: DuckDBEngine) -> None:
    parts = [traces(START, "x", 2 if i == 29 else 1, feedback=[(f"s{i:02d}", 1.0)]) for i in range(30)]
    fill(lake, parts)
    rollup_days(engine, DayRange.single(START))
    kept = sorted(
        {row["metric"] for row in read(lake, "intent_rollups") if row["metric"].startswith("score:")}
    )
    assert kept == [f"score:s{i:02d}" for i in range(19)] + ["score:s29"]


def test_cost_keeps_its_coverage_in_slices(lake: Lake, engine: DuckDBEngine) -> None:
    fill(lake, [traces(START, "x", 3, tenant_id="a", cost_usd=0.5), traces(START, "x", 2, tenant_id="b")])
    rollup_days(engine, DayRange.single(START))
    cost = {
        row["value"]: row
        for row in read(lake, "slice_rollups")
        if row["metric"] == "cost_usd" and row["intent_id"] == "x" and row["dimension"] == "tenant"
    }
    assert [(cost[name]["n"], cost[name]["n_valid"]) for name in ("a", "b")] == [(3, 3), (2, 0)]
    assert not [row for row in read(lake, "slice_rollups") if row["metric"] == "ttft_ms"]


def test_slices_of_merged_intents_count_for_their_target(lake: Lake, engine: DuckDBEngine) -> None:
    fill(
        lake,
        [
            traces(START, "x", 3, tenant_id="a", feedback=[("thumbs", 1.0)]),
            traces(START, "y", 5, tenant_id="a"),
            traces(START, "z", 7, tenant_id="b"),
        ],
    )
    rollup_days(engine, DayRange.single(START))
    merged = read_slices(engine, TWO, lineage=Lineage({"y": "x"}), intents=["x", "y"]).to_pylist()
    assert {row["intent_id"] for row in merged} == {"x"}
    rows = {(row["dimension"], row["value"], row["metric"]): row for row in merged}
    errors, tools = rows["tenant", "a", "error_rate"], rows["tenant", "a", "tool_mix"]
    assert (errors["n"], errors["k"], tools["shares"]) == (8, 3, [{"name": "search", "share": 8.0}])
    thumbs = rows["tenant", "a", "score:thumbs"]
    assert (thumbs["n"], thumbs["n_valid"]) == (8, 3)
    assert ("tenant", "b", "error_rate") not in rows
    only = read_slices(engine, TWO, intents=["z"], dimensions=["tenant"], metrics=["latency_ms"]).to_pylist()
    assert [(row["dimension"], row["value"], row["metric"], row["n"]) for row in only] == [
        ("tenant", "b", "latency_ms", 7)
    ]
    later = Lineage({}, {"z": TWO.last})
    assert read_slices(engine, TWO, lineage=later, intents=["z"]).num_rows == 0


def test_of_a_day_without_releases_all_traffic_is_in_none(lake: Lake, engine: DuckDBEngine) -> None:
    fill(
        lake,
        [traces(TWO.first, "x", 3, tenant_id="a"), traces(TWO.last, "x", 4, tenant_id="a", release="2.0")],
    )
    rollup_days(engine, TWO)
    rows = read_slices(engine, TWO, intents=["x"], dimensions=["release"]).to_pylist()
    errors = [(row["date"], row["value"], row["n"]) for row in rows if row["metric"] == "error_rate"]
    assert errors == [(TWO.first, NONE, 3), (TWO.last, "2.0", 4)]
    assert (
        read_slices(engine, DayRange.single(TWO.first), intents=["x"], dimensions=["release"]).num_rows == 0
    )


def of_series(panel: Panel, intent: str, slice_: str | None) -> list[np.ndarray]:
    row = panel.series.index(series_key(intent, slice_))
    used = panel.shares[row].sum(axis=0) > 0
    found = [
        panel.n[row],
        panel.error_n[row],
        panel.error_k[row],
        panel.tool_n[row],
        panel.shares[row][:, used],
    ]
    for metric in NUMERIC:
        sums = panel.sums[metric]
        found += [getattr(sums, field.name)[row] for field in fields(Sums) if field.name != "p95"]
    for name in sorted(panel.scores):
        score = panel.scores[name]
        found += [score.n[row], score.sum[row], score.sumsq[row]]
    return found


def test_the_series_of_a_tenant_is_that_of_a_lake_with_only_its_traces(tmp_path: Path) -> None:
    tenants = {
        name: [
            traces(
                day,
                intent,
                12 + 3 * k,
                tenant_id=name,
                cost_usd=None if k else 0.1,
                feedback=[("thumbs", 1.0)],
            )
            for k, intent in enumerate(("x", "y", "z"))
            for day in TWO
        ]
        for name in ("acme", "hooli")
    }
    lineage = Lineage({"y": "x"})
    both = Lake(str(tmp_path / "both"))
    fill(both, [part for parts in tenants.values() for part in parts])
    engine = engine_of(both, tmp_path)
    rollup_days(engine, TWO)
    panel = read_panel(engine, TWO, lineage=lineage, groups=["tenant", "environment"]).ending(TWO.last, 2)
    plain = read_panel(engine, TWO, lineage=lineage).ending(TWO.last, 2)
    assert [one for one in panel.series if "\x1f" not in one] == list(plain.series) == ["all", "x", "z"]
    for name, parts in tenants.items():
        alone = Lake(str(tmp_path / name))
        fill(alone, parts)
        rollup_days(engine_of(alone, tmp_path), TWO)
        wanted = read_panel(engine_of(alone, tmp_path), TWO, lineage=lineage).ending(TWO.last, 2)
        for intent in ("all", "x", "z"):
            for ours, theirs in zip(
                of_series(panel, intent, f"tenant={name}"), of_series(wanted, intent, None), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
    assert np.isnan(panel.sums["latency_ms"].p95[panel.series.index(series_key("x", "tenant=acme"))]).all()
    assert list(panel.pooled) == [one in ("x", "z") for one in panel.series]


def test_which_slices_are_tested_is_up_to_the_window_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MOST_VALUES", 2)
    monkeypatch.setattr("insights_pipeline.drift.series.rollups.MOST_VALUES", 2)
    days = DayRange(START, START + timedelta(days=4))
    volume = {
        "a": [30, 0, 0, 0, 0],
        "b": [9, 9, 9, 9, 9],
        "c": [8, 8, 8, 8, 30],
        "d": [1, 0, 10, 10, 9],
        "e": [0, 9, 8, 0, 0],
    }
    lake = Lake(str(tmp_path / "lake"))
    fill(
        lake,
        [
            traces(day, "x", n, tenant_id=name)
            for name, counts in volume.items()
            for day, n in zip(days, counts, strict=True)
            if n
        ],
    )
    engine = engine_of(lake, tmp_path)
    rollup_days(engine, days)
    whole = read_panel(engine, days, groups=["tenant"])
    kept = []
    for last in (2, 3, 4):
        window = DayRange(days.first + timedelta(days=last - 2), days.first + timedelta(days=last))
        ended = whole.ending(window.last, 3)
        alone = read_panel(engine, window, groups=["tenant"]).ending(window.last, 3)
        assert ended.series == alone.series
        for intent in ("all", "x"):
            slices = [one.split("=")[1] for one in ended.series if one.startswith(f"{intent}\x1f")]
            np.testing.assert_array_equal(ended.n, alone.n)
        np.testing.assert_array_equal(ended.shares, alone.shares)
        assert ended.shares.flags["C_CONTIGUOUS"] and ended.n.flags["C_CONTIGUOUS"]
        kept.append(slices)
    assert kept == [["a", "b"], ["b", "d"], ["c", "d"]]
