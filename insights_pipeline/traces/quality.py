"""Are the traces of a day sound: great-expectations over one small row of facts a day.

SQL counts (a day of a million traces is one row), great-expectations judges. A broken invariant blocks what
comes after; an odd share or volume only warns. A day without traces passes everything.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from insights_pipeline.lake import DayRange, Engine, Slice, load_sql

_LIGHT = (
    "date", "trace_id", "start_ns", "end_ns", "latency_ms", "llm_calls", "prompt_tokens", "completion_tokens",
    "cached_tokens", "total_tokens", "cost_usd", "primary_model", "user_text",
)  # fmt: skip
_VOLUME_DAYS = 35  # five of each weekday
_SHOWN = 10  # failing days listed in a result


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold of every day: `column` of the profile from `low` to `high`; NULL there is no judgement."""

    name: str
    description: str
    blocking: bool
    column: str
    high: float
    remedy: str
    low: float | None = None


@dataclass(frozen=True, slots=True)
class QualityResult:
    """The verdict of one expectation over the days asked for. `observed` holds plain JSON values only."""

    name: str
    passed: bool
    blocking: bool
    observed: dict[str, Any]
    message: str


EXPECTATIONS = (
    Expectation(
        "trace_ids_are_unique",
        "A trace id occurs once a day and is never missing.",
        True,
        "repeated_ids",
        0,
        "Materialise `traces` of these days again; if it stays, something else writes to the table.",
    ),
    Expectation(
        "traces_end_after_they_start",
        "No trace ends before it starts.",
        True,
        "ends_early",
        0,
        "Look at the spans of the example: a sender with a wrong clock, or times in another unit than ns.",
    ),
    Expectation(
        "dates_are_start_days",
        "The date of a trace is the UTC day of its earliest span.",
        True,
        "on_wrong_day",
        0,
        "Materialise `spans`, then `traces` of these days again: the spans lie on another day than their start.",
    ),
    Expectation(
        "tokens_are_not_negative",
        "No token count is below zero.",
        True,
        "below_zero",
        0,
        "Look at the usage the sender of the example reports.",
    ),
    Expectation(
        "latency_is_known",
        "Every trace has a latency.",
        False,
        "without_latency",
        0,
        "No span of the example has an end: they were exported unfinished. Such a trace counts, without a latency, "
        "until its spans are sent again with their ends; if it stays, see that the sender ends its spans.",
    ),
    Expectation(
        "user_text_is_mostly_known",
        "At most half of the traces lack the user's words.",
        False,
        "share_without_user_text",
        0.5,
        "Without words there are no intents: turn on content capture in the SDK "
        "(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true for OpenTelemetry).",
    ),
    Expectation(
        "cost_is_mostly_known",
        "At most half of the traces that call a model lack a cost.",
        False,
        "share_without_cost",
        0.5,
        "The model may be missing in the price table, or the sender reports no tokens on streamed calls.",
    ),
    Expectation(
        "model_is_mostly_known",
        "At most half of the traces that call a model lack its name.",
        False,
        "share_without_model",
        0.5,
        "Look at the model attributes of the example: the sender may use a name the mapper does not know.",
    ),
    Expectation(
        "volume_is_usual",
        "A day has between a third and three times its usual number of traces (needs 5 days to compare with).",
        False,
        "volume_ratio",
        3.0,
        "If traffic did not change, look at the sender, its sampling, and `rejects` of these days.",
        low=1 / 3,
    ),
    Expectation(
        "traces_fit_the_horizon",
        "No trace is active on three days in a row.",
        False,
        "beyond_horizon",
        0,
        "Spans of the third day on are in no trace: let the sender start a new trace for each turn.",
    ),
)  # fmt: skip


def check_days(engine: Engine, days: DayRange) -> list[QualityResult]:
    """One result for each of `EXPECTATIONS`, over the traces of `days`."""
    return check_profile(profile_days(engine, days))


def profile_days(engine: Engine, days: DayRange) -> pa.Table:
    """One row for each day of `days` that has traces: its counts of what is wrong, shares, and an example of each."""
    sql = load_sql("insights_pipeline.traces", "profile")
    parts = []
    for chunk in engine.lake.chunks("traces", days):
        sources = {
            "traces": Slice("traces", chunk, _LIGHT),
            "recent": Slice("traces", chunk.widen(before=_VOLUME_DAYS), ("date",)),
            "earlier": Slice("traces", chunk.widen(before=2), ("date", "trace_id", "end_ns")),
            "spans": Slice("spans", chunk.widen(before=1), ("date", "trace_id")),
        }
        parts.append(engine.query(sql, sources))
    return pa.concat_tables(parts)


def check_profile(profile: pa.Table) -> list[QualityResult]:
    """Judge the rows of `profile_days` with one run of a great-expectations suite.

    The first call in a process imports great-expectations: about 6 s of CPU and 260 MB.
    """
    rows = sorted(profile.to_pylist(), key=lambda row: row["date"])
    failing = _failing_days(rows) if rows else {}
    return [_result(expectation, rows, failing.get(expectation.name, [])) for expectation in EXPECTATIONS]


def _failing_days(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The dates on which each expectation fails, from great-expectations in memory."""
    import pandas as pd

    with warnings.catch_warnings():  # of its own dependencies' deprecations, which are nothing to act on here
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig
        from great_expectations.expectations.core.expect_column_values_to_be_between import (
            ExpectColumnValuesToBeBetween,
        )

    columns = [expectation.column for expectation in EXPECTATIONS]
    frame = pd.DataFrame(
        {"date": [str(row["date"]) for row in rows]}
        | {column: pd.Series([row[column] for row in rows], dtype="float64") for column in columns}
    )
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    suite = gx.ExpectationSuite(
        name="traces",
        expectations=[
            ExpectColumnValuesToBeBetween(
                column=each.column, min_value=each.low, max_value=each.high, meta={"name": each.name}
            )
            for each in EXPECTATIONS
        ],
    )
    asset = context.data_sources.add_pandas("days").add_dataframe_asset("profile")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    verdict = batch.validate(
        suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["date"]}
    )
    failing = {}
    for result in verdict.results:
        config = result.expectation_config
        if config is None or (result.exception_info or {}).get("raised_exception"):
            raise RuntimeError(f"great-expectations could not judge: {result.exception_info}")
        if not result.success:
            failing[config.meta["name"]] = [entry["date"] for entry in result.result["unexpected_index_list"]]
    return failing


def _result(expectation: Expectation, rows: list[dict[str, Any]], failing: list[str]) -> QualityResult:
    known = [float(row[expectation.column]) for row in rows if row[expectation.column] is not None]
    observed: dict[str, Any] = {
        "n": sum(row["traces"] for row in rows),
        "days": len(rows),
        "days_judged": len(known),
        "lowest": min(known, default=None),
        "highest": max(known, default=None),
    }
    message = expectation.description
    if failing:
        bad = [row for row in rows if str(row["date"]) in set(failing)]
        examples = [row.get(f"{expectation.column}_example") for row in bad]
        observed |= {
            "failing_days": len(bad),
            "first_failing": {str(row["date"]): float(row[expectation.column]) for row in bad[:_SHOWN]},
            "example_trace_ids": [example for example in examples if example is not None][:_SHOWN],
        }
        which = failing[0] if len(bad) == 1 else f"{len(bad)} days from {bad[0]['date']} to {bad[-1]['date']}"
        message = f"Does not hold on {which}: {expectation.description} {expectation.remedy}"
    return QualityResult(expectation.name, not failing, expectation.blocking, observed, message)
