"""From traces to additive rollups, and from rollups to the arrays of the statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from insights_pipeline.drift.constants import ALL
from insights_pipeline.drift.series.lineage import ITSELF, Lineage
from insights_pipeline.drift.series.panel import Panel, build_panel
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine, Source

_PACKAGE = "insights_pipeline.drift"
# Log-histogram with 2 % relative error: gamma = (1 + a) / (1 − a), bin i holds (gamma^(i−1), gamma^i] and answers
# 2 gamma^i / (gamma + 1). Source: DDSketch, Masson, Rim and Lee (2019), VLDB 12.
ACCURACY = 0.02
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)

_TRACE_COLUMNS = (
    "date",
    "trace_id",
    "latency_ms",
    "cost_usd",
    "step_count",
    "output_chars",
    "is_error",
    "tool_calls",
    "is_evaluation",
)


def rollup_days(engine: Engine, days: DayRange) -> int:
    """Replace the rollups of `days` from their traces and intents; gives the rows written."""
    return engine.write(
        load_sql(_PACKAGE, "rollup"),
        {
            "traces": Slice("traces", days, _TRACE_COLUMNS),
            "trace_intents": Slice("trace_intents", days, ("date", "trace_id", "intent_id", "model_version")),
        },
        Slice("intent_rollups", days),
        {"gamma": GAMMA},
    )


def read_panel(
    engine: Engine, days: DayRange, *, lineage: Lineage = ITSELF, groups: Sequence[str] = ()
) -> Panel:
    """The rollups of `days`: of the intents as they stand by `lineage`, of "all" and "unknown".

    `groups` are the dimensions whose slices are series of their own ("tenant", "environment").
    """
    source: dict[str, Source] = {
        "intent_rollups": Slice("intent_rollups", days),
        "lineage": lineage.table(),
    }
    rows = engine.query(load_sql(_PACKAGE, "panel"), source, {"gamma": GAMMA})
    shares = engine.query(load_sql(_PACKAGE, "panel_tools"), source)
    total = engine.query(
        "SELECT date, n FROM intent_rollups WHERE intent_id = $name AND metric = 'error_rate' ORDER BY date",
        {"intent_rollups": source["intent_rollups"]},
        {"name": ALL},
    )
    return build_panel(days, rows, shares, total)


def bin_value(bin_: np.ndarray | int) -> np.ndarray:
    """The value that a histogram bin answers with."""
    return np.asarray(2 * GAMMA ** np.asarray(bin_, dtype=np.float64) / (GAMMA + 1))
