"""What arrived: spans and traces."""

from typing import Any

import dagster as dg

from insights_pipeline.defs.assets.daily import daily_asset
from insights_pipeline.defs.metadata import counted
from insights_pipeline.defs.partitions import days_of
from insights_pipeline.defs.resources import EngineResource


@daily_asset(group="traffic", table="spans", kinds={"delta", "duckdb"})
def spans(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """Spans as they arrived, deduplicated and compacted: the last arrival of a (trace id, span id) wins."""
    from insights_pipeline.traces.assemble import compact_spans
    from insights_pipeline.traces.rejects import reject_reasons

    days = days_of(context)
    lake_engine = engine.engine()
    rows = compact_spans(lake_engine, days)
    reasons = reject_reasons(lake_engine, days)
    return counted(
        context,
        lake_engine.lake,
        "spans",
        rows,
        rejects=sum(reasons.values()),
        reject_reasons=reasons or None,
    )


@daily_asset(group="traffic", table="traces", kinds={"delta", "duckdb"}, deps=[spans])
def traces(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """One row a trace: text, latency, cost, tokens, tools, the deepest error; dated by its earliest span."""
    from insights_pipeline.traces.assemble import assemble_traces

    lake_engine = engine.engine()
    return counted(context, lake_engine.lake, "traces", assemble_traces(lake_engine, days_of(context)))
