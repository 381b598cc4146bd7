"""Rollups of the parts of an intent's traffic: by model, tenant, environment, service, release, prompt and tool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from insights_pipeline.drift.constants import DIMENSIONS
from insights_pipeline.drift.series.lineage import ITSELF, Lineage
from insights_pipeline.lake import DayRange, Slice, load_sql
from insights_pipeline.lake.engine import Engine

_PACKAGE = "insights_pipeline.drift"
NONE, OTHER = "(none)", "(other)"  # traces without a value; the values beyond the largest of a day
# What sums are read of a rollup: neither its extremes nor its histogram.
SUMS = (
    "date",
    "intent_id",
    "metric",
    "n",
    "n_valid",
    "n_pos",
    "k",
    "sum",
    "sumsq",
    "slog",
    "slog2",
    "shares",
)
_WANTED = pa.schema([("intent_id", pa.string())])


def read_slices(
    engine: Engine,
    days: DayRange,
    *,
    lineage: Lineage = ITSELF,
    intents: Iterable[str],
    dimensions: Sequence[str] = DIMENSIONS,
    metrics: Sequence[str] | None = None,
) -> pa.Table:
    """Daily sums of the slices of `intents` ("all" and "unknown" too), sorted, merged intents under their target.

    `metrics` None is all of them.

    Columns: date, intent_id, metric, dimension, value, n, n_valid, n_pos, k (int64), sum, sumsq, slog, slog2 (float64)
    and, of tool_mix, shares (list of name, share). The values of a dimension partition the traces, those of "tool"
    overlap. A metric that no trace of the intent reported on a day has no rows on that day.
    """
    if metrics is not None and not metrics:
        raise ValueError("no metric is asked for")
    wanted = sorted(set(intents))
    return engine.query(
        load_sql(_PACKAGE, "slices"),
        {
            "slice_rollups": Slice("slice_rollups", days),
            "intent_rollups": Slice("intent_rollups", days, SUMS),
            "lineage": lineage.table(),
            "wanted": pa.table({"intent_id": wanted}, schema=_WANTED),
        },
        {"dimensions": list(dimensions), "metrics": [] if metrics is None else list(metrics)},
    )
