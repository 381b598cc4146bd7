"""The common part of spans → traces as one would write it in pandas and in polars, over the same Parquet files.

Columns: latency, steps, model calls, ordered tools, tokens, cost (NULL when one billed call has none), error,
first user text, last output text. Both keep the last arrival of each span and write one Parquet file, as ours
does; neither back-fills sessions, finds the deepest error, merges tags and feedback, or cuts days.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

COLUMNS = (
    "trace_id", "span_id", "parent_span_id", "start_ns", "end_ns", "kind", "name", "tool_name",
    "input_text", "output_text", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd", "is_error",
    "ingested_ns",
)  # fmt: skip
SHARED = (
    "trace_id", "latency_ms", "step_count", "llm_calls", "tool_calls", "prompt_tokens", "completion_tokens",
    "total_tokens", "cost_usd", "is_error", "user_text", "output_text",
)  # fmt: skip
STEPS = ["llm", "tool", "retriever"]
INNER_STEPS = ["agent", "task"]  # at the root they are the trace itself
CALLS = ["llm", "embedding"]


def pandas_traces(files: Sequence[str], out: Path) -> int:
    import numpy as np
    import pandas as pd

    spans = pd.concat([pd.read_parquet(file, columns=list(COLUMNS), partitioning=None) for file in files])
    spans = spans.sort_values("ingested_ns").drop_duplicates(["trace_id", "span_id"], keep="last")
    spans = spans.sort_values(["trace_id", "start_ns", "span_id"])
    is_call = spans.kind.isin(CALLS)
    calls = spans[is_call]
    used = calls.total_tokens.fillna(calls.prompt_tokens.fillna(0) + calls.completion_tokens.fillna(0))
    billed = calls[~(calls.is_error & (used == 0))]
    tools = spans[spans.kind == "tool"]
    llm = spans[spans.kind == "llm"]

    by = spans.groupby("trace_id", sort=False)
    traces = pd.DataFrame(
        {"latency_ms": (by.end_ns.max() - by.start_ns.min()) / 1e6, "is_error": by.is_error.any()}
    )
    is_step = spans.kind.isin(STEPS) | (spans.kind.isin(INNER_STEPS) & spans.parent_span_id.notna())
    traces["step_count"] = is_step.groupby(spans.trace_id, sort=False).sum()
    traces["llm_calls"] = (spans.kind == "llm").groupby(spans.trace_id, sort=False).sum()
    traces["tool_calls"] = tools.tool_name.fillna(tools.name).groupby(tools.trace_id, sort=False).agg(list)
    for column in ("prompt_tokens", "completion_tokens", "total_tokens"):
        traces[column] = calls.groupby("trace_id", sort=False)[column].sum(min_count=1)
    costs = billed.groupby("trace_id", sort=False).cost_usd.agg(["sum", "count", "size"])
    traces["cost_usd"] = costs["sum"].where(costs["count"] == costs["size"], np.nan)
    traces["user_text"] = llm.groupby("trace_id", sort=False).input_text.first()
    traces["output_text"] = llm.groupby("trace_id", sort=False).output_text.last()
    traces = traces.sort_index().reset_index()
    traces.to_parquet(out, index=False)
    return len(traces)


def polars_traces(files: Sequence[str], out: Path) -> int:
    import polars as pl

    call, tool, llm = pl.col("kind").is_in(CALLS), pl.col("kind") == "tool", pl.col("kind") == "llm"
    used = pl.coalesce(
        "total_tokens", pl.col("prompt_tokens").fill_null(0) + pl.col("completion_tokens").fill_null(0)
    )
    billed = call & ~(pl.col("is_error") & (used == 0))
    tokens = [
        pl.when(pl.col(name).filter(call).is_not_null().any())
        .then(pl.col(name).filter(call).sum())
        .alias(name)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    ]
    costs = pl.col("cost_usd").filter(billed)
    traces = (
        pl.scan_parquet(list(files), hive_partitioning=False)
        .select(COLUMNS)
        .sort("ingested_ns")
        .unique(["trace_id", "span_id"], keep="last", maintain_order=False)
        .sort("trace_id", "start_ns", "span_id")
        .group_by("trace_id")
        .agg(
            ((pl.col("end_ns").max() - pl.col("start_ns").min()) / 1e6).alias("latency_ms"),
            (
                pl.col("kind").is_in(STEPS)
                | (pl.col("kind").is_in(INNER_STEPS) & pl.col("parent_span_id").is_not_null())
            )
            .sum()
            .alias("step_count"),
            llm.sum().alias("llm_calls"),
            pl.coalesce("tool_name", "name").filter(tool).alias("tool_calls"),
            *tokens,
            pl.when(costs.is_not_null().all() & (costs.len() > 0)).then(costs.sum()).alias("cost_usd"),
            pl.col("is_error").any().alias("is_error"),
            pl.col("input_text").filter(llm & pl.col("input_text").is_not_null()).first().alias("user_text"),
            pl.col("output_text")
            .filter(llm & pl.col("output_text").is_not_null())
            .last()
            .alias("output_text"),
        )
        .sort("trace_id")
        .collect(engine="streaming")
    )
    traces.write_parquet(out)
    return traces.height
