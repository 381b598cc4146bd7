"""What an SDK does not send, or says otherwise than the others, and why; the table in docs/sources.md is this one."""

from __future__ import annotations

from typing import Any, NamedTuple

WEATHER, STREAM, FAIL = "weather", "stream", "fail"
_ALL = (WEATHER, STREAM, FAIL)


class Gap(NamedTuple):
    """In the rows of `turns` these columns have these values instead of the common ones."""

    runs: tuple[str, ...]
    turns: tuple[str, ...]
    columns: dict[str, Any]
    why: str


_NO_CACHED_COST = 2_200 * 0.15e-6 + 35 * 0.6e-6  # the whole prompt at the full price

GAPS = (
    Gap(
        ("traceloop",),
        (STREAM,),
        {"ttft": False},
        "sends the time to the first token as a metric, not with the span",
    ),
    Gap(
        ("traceloop-legacy",),
        (STREAM,),
        {
            "ttft": False,
            "prompt_tokens": None,
            "completion_tokens": None,
            "cached_tokens": None,
            "total_tokens": None,
            "cost_usd": None,
        },
        "sends no usage and no time to the first token of streams",
    ),
    Gap(("traceloop-legacy",), (FAIL,), {"error_type": None}, "sends the text of an error, not its class"),
    Gap(
        ("langfuse", "langfuse-v3", "langfuse-v2"),
        (FAIL,),
        {"error_type": None},
        "sends the text of an error, not its class",
    ),
    Gap(
        ("langfuse-v2",),
        (WEATHER,),
        {"tool_calls": [], "step_count": 2},
        "has no observations of type tool: a tool is a span like any other",
    ),
    Gap(("langsmith-otel",), (STREAM,), {"ttft": False}, "leaves the first token out in OpenTelemetry mode"),
    Gap(
        ("langsmith-otel",),
        _ALL,
        {"feedback": {}},
        "names in feedback run ids that its spans do not carry: scores wait and join no trace",
    ),
    Gap(
        ("otel-genai", "otel-genai-logs", "pydantic-ai"),
        (STREAM,),
        {"cached_tokens": None},
        "leaves a count of zero cached tokens out",
    ),
    Gap(
        ("otel-openai-v2",),
        (STREAM,),
        {"ttft": False, "cached_tokens": None},
        "sends neither the time to the first token nor cached tokens",
    ),
    Gap(
        ("otel-openai-v2",),
        (WEATHER,),
        {"cached_tokens": None, "cost_usd": _NO_CACHED_COST},
        "sends no cached tokens: the cost is that of an uncached prompt",
    ),
    Gap(
        ("pydantic-ai",),
        (FAIL,),
        {
            "error_type": "ModelRateLimitError",
            "error_message": "status_code: 429, model_name: gpt-4o-mini, body: {'message': 'Rate limit reached for "
            "gpt-4o-mini', 'type': 'requests', 'param': None, 'code': 'rate_limit_exceeded'}",
        },
        "raises an error of its own in place of the client's",
    ),
    Gap(
        ("langgraph",),
        (STREAM,),
        {"models": ["gpt-4o-mini"], "ttft": False, "cached_tokens": None},
        "names the model that was asked for, and sends neither the time to the first token nor a count of zero",
    ),
    Gap(
        ("langgraph", "langgraph-langsmith"),
        (FAIL,),
        {"error_type": "OpenAIRateLimitError"},
        "raises an error of LangChain's own in place of the client's",
    ),
    Gap(
        ("vercel", "vercel-v5"),
        (FAIL,),
        {"error_type": "AI_APICallError", "error_message": "Rate limit reached for gpt-4o-mini"},
        "has a client of its own, whose errors are named otherwise",
    ),
    Gap(
        ("vercel-v5",),
        (WEATHER,),
        {"cached_tokens": None, "cost_usd": _NO_CACHED_COST},
        "sends cached tokens of streams only: the cost is that of an uncached prompt",
    ),
)


def gaps_of(run: str, turn: str) -> dict[str, Any]:
    """The columns of one row that differ from the common ones."""
    found: dict[str, Any] = {}
    for gap in GAPS:
        if run in gap.runs and turn in gap.turns:
            found |= gap.columns
    return found
