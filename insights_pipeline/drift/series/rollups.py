"""From traces to additive rollups, and from rollups to the arrays of the statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from insights_pipeline.drift.constants import ALL, ERRORS
from insights_pipeline.drift.series.groups import LEAST_TRACES, MOST_VALUES
from insights_pipeline.drift.series.lineage import ITSELF, Lineage
from insights_pipeline.drift.series.panel import Panel, build_panel
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine, Source

_PACKAGE = "insights_pipeline.drift"
# Log-histogram with 2 % relative error: gamma = (1 + a) / (1 − a), bin i holds (gamma^(i−1), gamma^i] and answers
# 2 gamma^i / (gamma + 1). Source: DDSketch, Masson, Rim and Lee (2019), VLDB 12.
ACCURACY = 0.02
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)

# What strangers may name: scores and the values of dimensions, in number a day and in length.
_BOUNDS: dict[str, object] = {"names": 20, "name_chars": 80, "values": 200, "value_chars": 200}

_TRACE_COLUMNS = (
    "date",
    "trace_id",
    "latency_ms",
    "ttft_ms",
    "cost_usd",
    "total_tokens",
    "step_count",
    "output_chars",
    "is_error",
    "tool_calls",
    "feedback",
    "is_evaluation",
    "primary_model",
    "tenant_id",
    "environment",
    "service",
    "release",
    "prompt",
)


def rollup_days(engine: Engine, days: DayRange) -> int:
    """Replace the rollups and slice rollups of `days` from their traces and intents; gives the rollups written.

    Sums are exact: rollups of two halves of a day add up to those of the day, as far as both keep the same names: a day
    keeps its 20 commonest scores and the 200 largest values of each dimension. A score has rows where it occurs, and a
    slice has rows of what its intent reports; where a row is missing, `n_valid` is 0 and `n` that of `error_rate`.
    """
    sources: dict[str, Source] = {
        "traces": Slice("traces", days, _TRACE_COLUMNS),
        "trace_intents": Slice("trace_intents", days, ("date", "trace_id", "intent_id", "model_version")),
    }
    slices = _sql("traffic", "places", "slice_rollup")
    engine.write(slices, sources, Slice("slice_rollups", days), _BOUNDS)
    whole = _sql("traffic", "rollup")
    names = {name: _BOUNDS[name] for name in ("names", "name_chars")}
    return engine.write(whole, sources, Slice("intent_rollups", days), {"gamma": GAMMA, **names})


def _sql(*names: str) -> str:
    return "".join(load_sql(_PACKAGE, name) for name in names)


def read_panel(
    engine: Engine, days: DayRange, *, lineage: Lineage = ITSELF, groups: Sequence[str] = ()
) -> Panel:
    """The rollups of `days`: of the intents as they stand by `lineage`, of "all" and "unknown".

    `groups` are the dimensions whose slices are series of their own ("tenant", "environment"), too; such a series has
    no p95. Which of them a day is judged by is up to that day's window: `Panel.ending`.
    """
    source: dict[str, Source] = {
        "intent_rollups": Slice("intent_rollups", days),
        "lineage": lineage.table(),
    }
    rows = engine.query(load_sql(_PACKAGE, "panel"), source, {"gamma": GAMMA})
    shares = engine.query(load_sql(_PACKAGE, "panel_tools"), source)
    # the error-rate series has all traces of a day
    total = rows.filter((pc.field("intent_id") == ALL) & (pc.field("metric") == ERRORS))
    if groups:
        of_groups: dict[str, Source] = {
            "slice_rollups": Slice("slice_rollups", days),
            "lineage": lineage.table(),
        }
        wanted = {"groups": list(groups), "most": MOST_VALUES, "least": LEAST_TRACES}
        rows = pa.concat_tables([rows, engine.query(_sql("group_series", "group_panel"), of_groups, wanted)])
        shares = pa.concat_tables(
            [shares, engine.query(_sql("group_series", "group_tools"), of_groups, wanted)]
        )
    return build_panel(days, rows, shares, total)


def bin_value(bin_: np.ndarray | int) -> np.ndarray:
    """The value that a histogram bin answers with."""
    return np.asarray(2 * GAMMA ** np.asarray(bin_, dtype=np.float64) / (GAMMA + 1))
