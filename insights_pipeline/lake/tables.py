"""The tables as contracts: Arrow schemas, partition columns and keys. Column names live here and nowhere else.

Times are int64 ns UTC, money is USD, missing is NULL (never 0). Every table is partitioned by the UTC `date`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

_S, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_DATE, _STRINGS, _DATES, _BYTES = pa.date32(), pa.list_(pa.string()), pa.list_(pa.date32()), pa.binary()
_EXACT = pa.decimal128(38, 9)  # sums that add up exactly in any order
_SHARES = pa.list_(pa.struct([("name", _S), ("share", _EXACT), ("calls", _I)]))
_HISTOGRAM = pa.list_(pa.struct([("bin", pa.int32()), ("count", _I)]))


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the lake. `key` columns are unique within the table; `row_group` is rows per Parquet group."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ("date",)
    row_group: int = 131_072


def _table(name: str, key: tuple[str, ...], columns: dict[str, pa.DataType], **options: object) -> Table:
    return Table(name, pa.schema([("date", _DATE), *columns.items()]), key, **options)  # type: ignore[arg-type]


# Small row groups where rows carry long texts: one group is what a reader must hold in memory.
_TEXT_ROW_GROUP = 16_384

SPANS = _table(
    "spans",
    ("trace_id", "span_id"),
    {
        "trace_id": _S,
        "span_id": _S,
        "parent_span_id": _S,
        "start_ns": _I,
        "end_ns": _I,
        "name": _S,
        "kind": _S,
        "service": _S,
        "environment": _S,
        "app": _S,
        "release": _S,
        "prompt": _S,  # NAME:VERSION
        "model": _S,
        "provider": _S,
        "tool_name": _S,
        "input_text": _S,
        "output_text": _S,
        "messages": _S,
        "prompt_tokens": _I,
        "completion_tokens": _I,
        "cached_tokens": _I,
        "reasoning_tokens": _I,
        "total_tokens": _I,
        "cost_usd": _F,
        "cost_source": _S,
        "is_error": _B,
        "error_type": _S,
        "error_message": _S,
        "session_id": _S,
        "user_id": _S,
        "tenant_id": _S,
        "ttft_ms": _F,
        "is_streaming": _B,
        "is_evaluation": _B,
        "feedback": _S,
        "tags": _STRINGS,
        "attributes": _S,
        "source": _S,
        "ingested_ns": _I,
    },
    row_group=_TEXT_ROW_GROUP,
)

TRACES = _table(
    "traces",
    ("trace_id",),
    {
        "trace_id": _S,
        "thread_id": _S,
        "user_id": _S,
        "tenant_id": _S,
        "environment": _S,
        "service": _S,
        "app": _S,
        "release": _S,
        "prompt": _S,
        "source": _S,
        "start_ns": _I,
        "end_ns": _I,
        "latency_ms": _F,
        "ttft_ms": _F,
        "step_count": _I,
        "llm_calls": _I,
        "tool_calls": _STRINGS,
        "prompt_tokens": _I,
        "completion_tokens": _I,
        "cached_tokens": _I,
        "total_tokens": _I,
        "cost_usd": _F,
        "cost_coverage": _F,
        "models": _STRINGS,
        "primary_model": _S,
        "is_error": _B,
        "error_type": _S,
        "error_message": _S,
        "user_text": _S,
        "output_text": _S,
        "output_chars": _I,
        "messages": _S,
        "feedback": pa.map_(_S, _F),
        "tags": _STRINGS,
        "metadata": _S,
        "span_count": _I,
        "late_spans": _I,
        "is_evaluation": _B,
    },
    row_group=_TEXT_ROW_GROUP,
)

# What spans said, sent apart from them (OTLP logs); `date` is the day of `at_ns`.
SPAN_CONTENTS = _table(
    "span_contents",
    ("trace_id", "span_id", "at_ns", "ordinal"),
    {
        "trace_id": _S,
        "span_id": _S,
        "at_ns": _I,
        "ordinal": _I,
        "inputs": _STRINGS,  # a message each, as JSON
        "outputs": _STRINGS,
        "source": _S,
        "ingested_ns": _I,
    },
    row_group=_TEXT_ROW_GROUP,
)

# Scores of traces. `date` is the first day of the trace; of one that is not known yet, the day of `at_ns`.
FEEDBACK = _table(
    "feedback",
    ("score_id",),
    {
        "score_id": _S,
        "trace_id": _S,
        "span_id": _S,
        "session_id": _S,
        "name": _S,
        "value": _F,
        "label": _S,
        "comment": _S,
        "judge": _S,
        "at_ns": _I,
        "source": _S,
        "ingested_ns": _I,
    },
)

REJECTS = _table(
    "rejects",
    ("source", "position", "ingested_ns"),
    {"source": _S, "position": _S, "reason": _S, "remedy": _S, "raw": _S, "ingested_ns": _I},
)

EMBEDDING_SPACES = _table(
    "embedding_spaces",
    ("space",),
    {"space": _S, "embedder": _S, "fitted_on": _I, "payload": _BYTES},
)

TRACE_EMBEDDINGS = _table(
    "trace_embeddings",
    ("trace_id",),
    {"trace_id": _S, "vector": _BYTES, "space": _S},  # fp16[d], little-endian; Delta has no half float
)

INTENT_MODELS = _table(
    "intent_models",
    ("date",),
    {
        "version": _S,
        "parent": _S,
        "space": _S,
        "status": _S,  # learning | ready
        "traces_seen": _I,
        "bootstrap_traces": _I,
        "thresholds": _S,  # JSON
        "events": _S,  # JSON list: lineage events of this day (bootstrapped, emerged, retired, …)
    },
)

INTENTS = _table(
    "intents",
    ("date", "intent_id"),
    {
        "intent_id": _S,
        "version": _S,
        "slug": _S,
        "name": _S,
        "description": _S,
        "category": _S,
        "status": _S,  # emerging | active | fading | retired | merged
        "phrases": _STRINGS,
        "born": _DATE,
        "size": _I,
        "centroid": _BYTES,  # fp16[d]
        "exemplar_ids": _STRINGS,
        "exemplar_texts": _STRINGS,
        "exemplar_vectors": _BYTES,  # fp16[n, d]
        "changed": _DATE,  # first day of the definition in force; NULL: since birth
        "last_seen": _DATE,
        "named_by": _S,  # words | llm | person
        "category_by": _S,  # words | llm | person | predefined
        "category_margin": _F,
        "nearest_id": _S,
        "apart": _S,
        "sub_intents": _S,  # JSON
        "trend": _S,  # growing | declining | stable | new
        "trend_change": _F,
        "trend_p": _F,
        "merged_into": _S,
        "split_from": _S,
        "pinned": _B,
    },
)

TRACE_INTENTS = _table(
    "trace_intents",
    ("trace_id",),
    {
        "trace_id": _S,
        "intent_id": _S,
        "nearest_intent_id": _S,
        "score": _F,
        "margin": _F,
        "model_version": _S,
    },
)

INTENT_ROLLUPS = _table(
    "intent_rollups",
    ("date", "intent_id", "metric"),
    {
        "intent_id": _S,  # an intent, or "unknown", or "all"
        "metric": _S,
        "n": _I,  # traces
        "n_valid": _I,  # traces where the metric is known
        "n_pos": _I,  # … and above 0
        "k": _I,  # errors
        "sum": _EXACT,
        "sumsq": _EXACT,
        "slog": _EXACT,
        "slog2": _EXACT,
        "min": _F,
        "max": _F,
        "histogram": _HISTOGRAM,
        "shares": _SHARES,
    },
)

# The same sums for the traces of an intent that share a model, tenant, environment, service, release, prompt, or used
# a tool.
SLICE_ROLLUPS = _table(
    "slice_rollups",
    ("date", "intent_id", "metric", "dimension", "value"),
    {
        "intent_id": _S,
        "metric": _S,
        "dimension": _S,
        "value": _S,
        "n": _I,
        "n_valid": _I,
        "n_pos": _I,
        "k": _I,
        "sum": _EXACT,
        "sumsq": _EXACT,
        "slog": _EXACT,
        "slog2": _EXACT,
        "shares": _SHARES,
    },
)

BASELINES = _table(
    "baselines",
    ("date", "intent_id", "slice", "metric"),
    {
        "intent_id": _S,
        "slice": _S,  # "tenant=acme"; NULL: the whole
        "metric": _S,
        "status": _S,  # learning | ready
        "first_day": _DATE,
        "last_day": _DATE,
        "days": _I,
        "n": _I,
        "days_left_out": _DATES,  # quarantined: part of a drift
        "coverage": _F,
        "mean": _F,
        "geometric_mean": _F,
        "sd_within": _F,  # of logarithms; of a score on its own scale
        "sd_between": _F,  # the same; of rates and shares of the log-odds
        "p50": _F,
        "p95": _F,
        "rate": _F,
        "shares": _SHARES,
        "smallest_detectable": _F,
    },
)

DRIFT_OBSERVATIONS = _table(
    "drift_observations",
    ("date", "horizon", "intent_id", "slice", "metric"),
    {
        "cadence": _S,  # daily | weekly | monthly
        "horizon": _S,  # 1d | 3d | 7d | 14d | 30d | week | month
        "intent_id": _S,
        "slice": _S,
        "metric": _S,
        "window_first": _DATE,
        "window_last": _DATE,
        "n": _I,
        "observed": _F,
        "baseline_first": _DATE,
        "baseline_last": _DATE,
        "baseline_days": _I,
        "baseline_n": _I,
        "baseline_value": _F,
        "days_left_out": _DATES,
        "effect": _F,  # ratio − 1, difference of rates or of means (scores), or total variation
        "effect_low": _F,
        "effect_high": _F,
        "statistic": _F,
        "df": _F,
        "p": _F,
        "q": _F,
        "smallest_detectable": _F,
        "trigger": _S,
        "verdict": _S,  # learning | no_data | quiet | drift
        "severity": _S,
        "direction": _S,  # up | down | changed
        "item_id": _S,
        "explanation": _S,  # JSON
    },
    partition_by=("date", "cadence"),
)

DRIFT_ITEMS = _table(
    "drift_items",
    ("date", "item_id"),
    {
        "item_id": _S,
        "intent_id": _S,
        "slice": _S,
        "metric": _S,
        "direction": _S,
        "state": _S,  # pending | new | ongoing | recovering | no_data | resolved | accepted | dismissed
        "opened": _DATE,
        "last_fired": _DATE,
        "closed": _DATE,
        "quiet_days": _I,
        "trigger": _S,
        "horizon": _S,
        "severity": _S,
        "observed": _F,
        "baseline_value": _F,
        "effect": _F,
        "effect_low": _F,
        "effect_high": _F,
        "p": _F,
        "q": _F,
        "n": _I,
        "traffic_share": _F,
        "quarantined_days": _DATES,
        "trace_ids": _STRINGS,
        "baseline_trace_ids": _STRINGS,  # of before the change
        "onset": _DATE,  # when it began, and a 95 % interval
        "onset_first": _DATE,
        "onset_last": _DATE,
        "shape": _S,  # step | ramp
        "explanation": _S,  # JSON
    },
)

BRIEFS = _table(
    "briefs",
    ("date", "cadence"),
    {
        "cadence": _S,  # daily | weekly | monthly
        "window_first": _DATE,
        "window_last": _DATE,
        "status": _S,  # learning | quiet | changed | no_data
        "headline": _S,
        "facts": _S,  # JSON
        "summary": _S,  # two sentences of a language model, checked against the facts; NULL: none
        "markdown": _S,
        "html": _S,
        "slack": _S,  # JSON list of blocks
    },
    partition_by=("date", "cadence"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        SPANS,
        SPAN_CONTENTS,
        FEEDBACK,
        TRACES,
        REJECTS,
        EMBEDDING_SPACES,
        TRACE_EMBEDDINGS,
        INTENT_MODELS,
        INTENTS,
        TRACE_INTENTS,
        INTENT_ROLLUPS,
        SLICE_ROLLUPS,
        BASELINES,
        DRIFT_OBSERVATIONS,
        DRIFT_ITEMS,
        BRIEFS,
    )
}
