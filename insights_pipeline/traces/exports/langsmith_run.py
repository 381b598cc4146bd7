"""A run of LangSmith to a span in the `langsmith` dialect; also what judges said of it."""

from __future__ import annotations

import re
from typing import Any

from insights_pipeline.traces.exports.langsmith_usage import cost_of, models_of, usage_attributes
from insights_pipeline.traces.exports.values import (
    field,
    list_of,
    moment,
    number_of,
    object_of,
    payload,
    text_of,
)
from insights_pipeline.traces.ids import fingerprint, span_id_of, trace_id_of
from insights_pipeline.traces.records import Attributes, Event, RawSpan, Reject, Score, excerpt
from insights_pipeline.traces.text import dumps

SYSTEM = "langsmith"
_DOTTED = re.compile(r"(\d{8}T\d{6})(\d{0,9})Z(.+)", re.DOTALL)
_ENVIRONMENTS = ("environment", "env", "deployment_environment", "deployment.environment")
# Read into fields of their own, or nothing but bookkeeping.
_READ = frozenset(
    {
        "id", "trace_id", "parent_run_id", "parent_run_ids", "dotted_order", "is_root", "name", "run_type", "inputs",
        "outputs", "error", "start_time", "end_time", "extra", "serialized", "events", "tags", "session_name",
        "session_id", "reference_example_id", "feedback_stats", "prompt_tokens", "completion_tokens", "total_tokens",
        "prompt_token_details", "completion_token_details", "prompt_cost", "completion_cost", "total_cost",
        "first_token_time", "child_runs", "child_run_ids", "direct_child_run_ids", "attachments", "inputs_preview",
        "outputs_preview", "execution_order", "manifest_id", "last_queued_at", "latency", "_order",
    }
)  # fmt: skip
_METADATA_READ = frozenset({"usage_metadata", "ls_provider", "ls_model_name", *_ENVIRONMENTS})
_BEGUN = "Send the run's beginning as well (POST), or its dotted_order: an update alone says neither trace nor start."


def run_span(run: dict[str, Any], position: str) -> RawSpan | Reject:
    """The span of a run as the API, the SDKs and the bulk export write it; objects may be JSON text.

    The code signature in `serialized` is left out but for its name.
    """
    path = _path(run)
    run_id = id_of(run)
    parent = _parent(run, [part[3] for part in path])
    trace = text_of(run.get("trace_id")) or (path[0][3] if path else "" if parent else run_id)
    start = moment(run.get("start_time")) or (_dotted_ns(path[-1]) if path else 0)
    if not run_id:
        return Reject(
            position, "a run without id", "Export or send the run whole.", excerpt(str(run)[:2_000])
        )
    if not trace or not start:
        return Reject(
            position, f"a run without {'start' if trace else 'trace'}", _BEGUN, excerpt(str(run)[:2_000])
        )
    end = moment(run.get("end_time"))
    inputs, outputs, extra = run.get("inputs"), run.get("outputs"), object_of(run.get("extra"))
    attributes: Attributes = {"langsmith.span.kind": text_of(run.get("run_type")) or "chain"}
    _metadata(attributes, extra)
    _put(attributes, "gen_ai.prompt", payload(inputs))
    _put(attributes, "gen_ai.completion", payload(outputs))
    _put(attributes, "langsmith.trace.session_name", field(run, "session_name") or field(run, "session_id"))
    _put(attributes, "langsmith.span.tags", [str(tag) for tag in list_of(run.get("tags"))])
    _put(attributes, "langsmith.reference_example_id", field(run, "reference_example_id"))
    _call(attributes, run, object_of(inputs), object_of(outputs), extra)
    _stream(attributes, run, object_of(inputs), start)
    attributes.update(_rest(run))
    return RawSpan(
        trace_id_of(trace),
        span_id_of(run_id),
        span_id_of(parent),
        text_of(run.get("name")),
        start,
        end,
        2 if field(run, "error") else 1 if text_of(run.get("status")) == "success" else 0,
        "",
        attributes,
        _events(run, end or start),
        {},
        SYSTEM,
        position,
    )  # fmt: skip


def id_of(run: dict[str, Any]) -> str:
    """The id of a run, also where only its dotted order says it; "" when neither does."""
    if own := text_of(run.get("id")):
        return own
    path = _path(run)
    return str(path[-1][3]) if path else ""


def run_scores(run: dict[str, Any], span: RawSpan) -> list[Score]:
    """`feedback_stats` as scores: of each key its average. Those in words only are an attribute of the span."""
    found = []
    at = span.end_ns or span.start_ns
    for name, stats in object_of(run.get("feedback_stats")).items():
        if (value := number_of(object_of(stats).get("avg"))) is not None:
            score_id = fingerprint(SYSTEM, span.span_id, name)
            target = (span.trace_id, span.span_id, "")
            found.append(Score(score_id, *target, name, value, None, None, None, at, SYSTEM, span.position))
    return found


def feedback_score(body: dict[str, Any], position: str) -> Score | Reject:
    """A feedback as sent or exported. Its `session_id` is the project. Without `trace_id` only the run is known."""
    name, run_id = text_of(body.get("key")), text_of(body.get("run_id"))
    trace = text_of(body.get("trace_id"))
    if not name or not (run_id or trace):
        remedy = "A feedback names its key and the run or the trace that it judges."
        return Reject(position, "a feedback without key or run", remedy, excerpt(str(body)[:2_000]))
    value, said = number_of(body.get("score")), body.get("value")
    at = moment(body.get("created_at")) or moment(body.get("modified_at"))
    judge = text_of(object_of(body.get("feedback_source")).get("type")) or None
    return Score(
        text_of(body.get("id")) or fingerprint(SYSTEM, run_id or trace, name, dumps([value, said])),
        trace_id_of(trace),
        span_id_of(run_id),
        "",
        name,
        number_of(said) if value is None else value,
        None if said is None or number_of(said) is not None else payload(said),
        payload(body.get("comment")),
        judge,
        at,
        SYSTEM,
        position,
    )


def _path(run: dict[str, Any]) -> list[re.Match[str]]:
    """The runs from the root to this one: start and id of each, as `20260301T120000000000Z<id>` joined by dots."""
    parts = text_of(run.get("dotted_order")).split(".")
    return [found for part in parts if (found := _DOTTED.fullmatch(part))]


def _parent(run: dict[str, Any], path: list[str]) -> str:
    if run.get("is_root") is True:
        return ""
    above = list_of(run.get("parent_run_ids"))
    given = text_of(run.get("parent_run_id")) or text_of(above[-1] if above else None)
    return given or (path[-2] if len(path) > 1 else "")


def _dotted_ns(part: re.Match[str]) -> int:
    return moment(part[1] + "." + (part[2] or "0") + "Z")


def _metadata(attributes: Attributes, extra: dict[str, Any]) -> None:
    metadata = object_of(extra.get("metadata"))
    for key, value in metadata.items():
        if key not in _METADATA_READ:
            _put(attributes, f"langsmith.metadata.{key}", value)
    for key in _ENVIRONMENTS:
        if value := text_of(metadata.get(key)):
            attributes.setdefault("deployment.environment.name", value)
    for key in ("runtime", "invocation_params"):
        _put(attributes, f"langsmith.{key}", object_of(extra.get(key)))


def _call(
    attributes: Attributes,
    run: dict[str, Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    extra: dict[str, Any],
) -> None:
    """Model, tokens and cost; chains carry the sums of their calls, which are counted at the calls."""
    if attributes["langsmith.span.kind"] not in ("llm", "embedding"):
        return
    metadata = object_of(extra.get("metadata"))
    requested, responded = models_of(inputs, outputs, extra)
    _put(attributes, "gen_ai.request.model", requested)
    _put(attributes, "gen_ai.response.model", responded)
    _put(attributes, "gen_ai.provider.name", text_of(metadata.get("ls_provider")))
    attributes.update(usage_attributes(run, outputs, metadata))
    _put(attributes, "operation.cost", cost_of(run))


def _stream(attributes: Attributes, run: dict[str, Any], inputs: dict[str, Any], start: int) -> None:
    """Only streams have a first token: its time is told, or is that of the first `new_token` event."""
    first = moment(run.get("first_token_time"))
    if not first:
        times = (moment(event.get("time")) for event in _objects(run.get("events")) if _is_token(event))
        first = next((time for time in times if time), 0)
    if first:
        attributes["gen_ai.request.stream"] = True
        attributes["gen_ai.response.time_to_first_chunk"] = (first - start) / 1e9
    elif isinstance(streams := inputs.get("stream"), bool):
        attributes["gen_ai.request.stream"] = streams


def _events(run: dict[str, Any], at: int) -> tuple[Event, ...]:
    found = []
    for event in _objects(run.get("events")):
        name = text_of(event.get("name"))
        if name not in ("", "start", "end", "new_token"):
            found.append(Event(name, moment(event.get("time")), object_of(event.get("kwargs"))))
    if error := payload(
        field(run, "error")
    ):  # as LangSmith's OpenTelemetry mode writes it: the dialect reads both
        found.append(Event("exception", at, {"exception.type": "Exception", "exception.message": error}))
    return tuple(found)


def _rest(run: dict[str, Any]) -> Attributes:
    """What no field of ours takes, under its own name."""
    rest: Attributes = {}
    for key, value in run.items():
        if key not in _READ and isinstance(value, (str, int, float, bool)) and value != "":
            rest[f"langsmith.{key}"] = value
    serialized = object_of(run.get("serialized"))
    _put(rest, "gen_ai.serialized.name", text_of(serialized.get("name")))
    labels = {
        name: stats
        for name, stats in object_of(run.get("feedback_stats")).items()
        if number_of(object_of(stats).get("avg")) is None
    }
    _put(rest, "langsmith.feedback_stats", labels)
    return rest


def _put(attributes: Attributes, key: str, value: Any) -> None:
    if value is not None and value not in ("", [], {}):
        attributes[key] = value


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in list_of(value) if isinstance(item, dict)]


def _is_token(event: dict[str, Any]) -> bool:
    return event.get("name") == "new_token"
