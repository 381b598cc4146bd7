from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from insights_pipeline.demo.incidents import planned
from insights_pipeline.demo.traffic import TrafficReport, write_traffic
from insights_pipeline.demo.truth import Truth, read_truth
from insights_pipeline.demo.world import TOOLS
from insights_pipeline.lake import start_ns

END = date(2026, 3, 15)  # a Sunday
PRICES = {
    "gpt-4.1-mini": (0.4, 0.1, 1.6),
    "gpt-4.1": (2.0, 0.5, 8.0),
    "text-embedding-3-small": (0.02, 0.0, 0.0),
}


@dataclass
class Trace:
    """What the tests look at of one trace."""

    day: date
    intent: str | None = None
    spans: list[Any] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    release: str = ""

    def of(self, operation: str) -> list[tuple[Any, dict[str, Any]]]:
        pairs = zip(self.spans, self.attributes, strict=True)
        return [(span, a) for span, a in pairs if a["gen_ai.operation.name"] == operation]

    @property
    def root(self) -> tuple[Any, dict[str, Any]]:
        return self.of("invoke_agent")[0]

    @property
    def latency_ms(self) -> float:
        span = self.root[0]
        return float(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6

    @property
    def tools(self) -> list[str]:
        return [a["gen_ai.tool.name"] for _, a in self.of("execute_tool")]

    @property
    def tokens(self) -> tuple[int, int]:
        calls = [a for _, a in self.of("chat") if "error.type" not in a]
        return (
            sum(a["gen_ai.usage.input_tokens"] for a in calls),
            sum(a["gen_ai.usage.output_tokens"] for a in calls),
        )

    @property
    def cost(self) -> float:
        total = 0.0
        for _, a in [*self.of("chat"), *self.of("embeddings")]:
            if "error.type" not in a:
                fresh, cached, out = PRICES[a["gen_ai.request.model"]]
                hits = a.get("gen_ai.usage.cache_read.input_tokens", 0)
                total += fresh * (a["gen_ai.usage.input_tokens"] - hits) + cached * hits
                total += out * a.get("gen_ai.usage.output_tokens", 0)
        return total / 1e6


def value(any_value: Any) -> Any:
    kind = any_value.WhichOneof("value")
    got = getattr(any_value, kind)
    return [value(one) for one in got.values] if kind == "array_value" else got


def read(report: TrafficReport, truth: Truth) -> list[Trace]:
    traces: dict[bytes, Trace] = {}
    for path in report.files:
        day = date.fromisoformat(path.name.removeprefix("traces-").removesuffix(".pb.gz"))
        request = ExportTraceServiceRequest.FromString(gzip.decompress(path.read_bytes()))
        for resource in request.resource_spans:
            described = {a.key: value(a.value) for a in resource.resource.attributes}
            assert described["service.name"] == "support-agent"
            assert described["deployment.environment.name"] == "production"
            for scope in resource.scope_spans:
                for span in scope.spans:
                    trace = traces.setdefault(span.trace_id, Trace(day))
                    trace.intent = truth.planted[span.trace_id.hex()]
                    trace.release = described["service.version"]
                    trace.spans.append(span)
                    trace.attributes.append({a.key: value(a.value) for a in span.attributes})
    return list(traces.values())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> TrafficReport:
    return write_traffic(tmp_path_factory.mktemp("demo"), seed=3, days=30, end=END, scale=0.5)


@pytest.fixture(scope="module")
def truth(written: TrafficReport) -> Truth:
    return read_truth(written.truth)


@pytest.fixture(scope="module")
def traces(written: TrafficReport, truth: Truth) -> list[Trace]:
    return read(written, truth)


def ago(days: int) -> date:
    return END - timedelta(days=days)


def between(traces: list[Trace], intent: str, first: date, last: date) -> list[Trace]:
    return [one for one in traces if one.intent == intent and first <= one.day <= last]


def geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def test_the_same_arguments_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    def bytes_of(name: str, seed: int) -> list[bytes]:
        write_traffic(tmp_path / name, seed=seed, days=3, end=END, scale=0.1)
        return [path.read_bytes() for path in sorted((tmp_path / name).rglob("*")) if path.is_file()]

    first = bytes_of("a", 1)
    assert first == bytes_of("b", 1)
    assert first != bytes_of("c", 2)


def test_the_report_counts_what_is_in_the_files(written: TrafficReport, traces: list[Trace]) -> None:
    assert len(written.files) == len(written.days) == 30
    assert written.traces == len(traces)
    assert written.spans == sum(len(trace.spans) for trace in traces)
    assert sorted(path.name for path in written.folder.iterdir()) == [path.name for path in written.files]


def test_progress_is_told_after_each_day(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_traffic(
        tmp_path, days=2, end=END, scale=0.02, on_progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 2), (2, 2)]


def test_every_trace_is_one_tree_in_which_children_run_within_their_parents(traces: list[Trace]) -> None:
    ids: Counter[bytes] = Counter()
    for trace in traces:
        by_id = {span.span_id: span for span in trace.spans}
        ids.update(by_id.keys())
        roots = [span for span in trace.spans if not span.parent_span_id]
        assert len(roots) == 1
        for span in trace.spans:
            assert span.end_time_unix_nano >= span.start_time_unix_nano
            if span.parent_span_id:
                parent = by_id[span.parent_span_id]
                assert parent.start_time_unix_nano <= span.start_time_unix_nano
                assert span.end_time_unix_nano <= parent.end_time_unix_nano
        day = start_ns(trace.day)
        assert day <= roots[0].start_time_unix_nano
        assert (
            roots[0].end_time_unix_nano < day + 86_400 * 10**9
        )  # no span in a day of its own after the last
    assert max(ids.values()) == 1


def test_spans_follow_the_conventions_of_otel_genai(traces: list[Trace]) -> None:
    for trace in traces[:1_500]:
        _, root = trace.root
        assert {"gen_ai.conversation.id", "user.id", "tenant.id"} <= root.keys()
        assert json.loads(root["gen_ai.input.messages"])[0]["role"] == "user"
        answer = json.loads(root["gen_ai.output.messages"])[0]
        assert answer["role"] == "assistant"
        assert len(answer["parts"][0]["content"]) < 2_500
        asked = {
            part["id"]
            for _, call in trace.of("chat")
            if "error.type" not in call
            for message in json.loads(call["gen_ai.output.messages"])
            for part in message["parts"]
            if part["type"] == "tool_call"
        }
        for span, tool in trace.of("execute_tool"):
            assert tool["gen_ai.tool.name"] in TOOLS
            assert tool["gen_ai.tool.call.id"] in asked
            assert isinstance(json.loads(tool["gen_ai.tool.call.arguments"]), dict)
            assert (
                (span.status.code == 2) == ("error.type" in tool) == ("gen_ai.tool.call.result" not in tool)
            )
        for _, call in trace.of("chat"):
            if call.get("gen_ai.request.stream"):
                assert call["gen_ai.response.time_to_first_chunk"] > 0
            if "error.type" not in call:
                assert call["gen_ai.usage.cache_read.input_tokens"] <= call["gen_ai.usage.input_tokens"]


def test_the_price_list_knows_every_model(traces: list[Trace]) -> None:
    from genai_prices import Usage, calc_price

    models = {
        a["gen_ai.request.model"] for trace in traces for a in trace.attributes if "gen_ai.request.model" in a
    }
    assert models == set(PRICES)
    for model in models:
        usage = Usage(input_tokens=10**6)
        assert float(calc_price(usage, model_ref=model, provider_id="openai").total_price) == PRICES[model][0]


def test_traffic_has_the_shape_of_a_shops(traces: list[Trace]) -> None:
    per_day = Counter(trace.day for trace in traces)
    weekday = np.mean([n for day, n in per_day.items() if day.weekday() < 5])
    weekend = np.mean([n for day, n in per_day.items() if day.weekday() >= 5])
    assert 300 <= weekday <= 370  # half scale
    assert 0.4 < weekend / weekday < 0.75
    per_intent = Counter(trace.intent for trace in traces)
    assert per_intent.most_common(1)[0][0] == "order_status"
    assert 0.01 < per_intent[None] / len(traces) < 0.03
    assert 5 <= np.mean([len(trace.spans) for trace in traces]) <= 6.5
    assert len({trace.root[1]["tenant.id"] for trace in traces}) == 4
    sessions = Counter(trace.root[1]["gen_ai.conversation.id"] for trace in traces)
    assert 0.1 < np.mean([sessions[trace.root[1]["gen_ai.conversation.id"]] > 1 for trace in traces]) < 0.4
    turns = [json.loads(trace.of("chat")[-1][1]["gen_ai.input.messages"]) for trace in traces if trace.tools]
    assert 0.2 < np.mean([sum(m["role"] == "user" for m in messages) > 1 for messages in turns]) < 0.3
    latencies = np.array([trace.latency_ms for trace in traces])
    assert np.quantile(latencies, 0.99) / np.median(latencies) > 2.5


def test_usual_errors_are_few_in_every_tool(traces: list[Trace]) -> None:
    calls, failed = Counter(), Counter()
    for trace in traces:
        for _, a in trace.of("execute_tool"):
            if not (a["gen_ai.tool.name"] == "payment_lookup" and ago(20) <= trace.day <= ago(15)):
                calls[a["gen_ai.tool.name"]] += 1
                failed[a["gen_ai.tool.name"]] += "error.type" in a
    assert 0.008 < failed.total() / calls.total() < 0.025
    assert all(failed[tool] / calls[tool] < 0.06 for tool in calls)


def test_the_release_changes_every_two_weeks_and_with_the_new_prompt(traces: list[Trace]) -> None:
    releases = defaultdict(set)
    for trace in traces:
        releases[trace.release].add(trace.day)
    assert [(min(days), max(days)) for _, days in sorted(releases.items())] == [
        (ago(29), ago(27)),
        (ago(26), ago(13)),
        (ago(12), END),
    ]


def test_the_latency_of_returns_creeps_up_and_no_other_does(traces: list[Trace]) -> None:
    def ratio(intent: str) -> float:
        before = [t.latency_ms for t in between(traces, intent, ago(29), ago(20))]
        after = [t.latency_ms for t in between(traces, intent, ago(3), END)]
        return geometric_mean(after) / geometric_mean(before)

    assert 1.5 < ratio("return_item") < 2.0
    for intent in ("order_status", "change_address", "payment_declined", "refund_status"):
        assert 0.85 < ratio(intent) < 1.18


def test_the_model_swap_raises_the_cost_of_product_questions_and_nothing_else(traces: list[Trace]) -> None:
    before, after = (
        between(traces, "product_question", ago(29), ago(1)),
        between(traces, "product_question", END, END),
    )
    cost = [float(np.mean([t.cost for t in part])) for part in (before, after)]
    assert 3 < cost[1] / cost[0] < 6.5
    for metric in (0, 1):
        tokens = [float(np.mean([t.tokens[metric] for t in part])) for part in (before, after)]
        assert 0.75 < tokens[1] / tokens[0] < 1.35
    latency = [geometric_mean([t.latency_ms for t in part]) for part in (before, after)]
    assert 0.75 < latency[1] / latency[0] < 1.3


def test_payment_lookups_time_out_in_a_fifth_of_their_calls_for_six_days(traces: list[Trace]) -> None:
    def share(first: date, last: date) -> float:
        calls = [
            a
            for trace in between(traces, "payment_declined", first, last)
            for _, a in trace.of("execute_tool")
            if a["gen_ai.tool.name"] == "payment_lookup"
        ]
        return sum(a.get("error.type") == "TimeoutError" for a in calls) / len(calls)

    assert 0.12 < share(ago(20), ago(15)) < 0.30
    assert share(ago(29), ago(21)) < 0.04
    assert share(ago(14), END) < 0.04


def test_a_prompt_release_moves_a_quarter_of_the_tools_of_refunds(traces: list[Trace]) -> None:
    def mix(first: date, last: date) -> tuple[dict[str, float], float]:
        part = between(traces, "refund_status", first, last)
        shares: Counter[str] = Counter()
        for trace in part:
            for tool in trace.tools:
                shares[tool] += 1 / len(trace.tools) / len(part)  # type: ignore[assignment]
        return dict(shares), float(np.mean([len(trace.spans) for trace in part]))

    (before, steps_before), (after, steps_after) = mix(ago(29), ago(13)), mix(ago(12), END)
    variation = sum(abs(before.get(t, 0) - after.get(t, 0)) for t in {*before, *after}) / 2
    assert 0.2 < variation < 0.3
    assert after["search_help_center"] > before.get("search_help_center", 0) + 0.2
    assert abs(steps_after / steps_before - 1) < 0.05


def test_the_new_intent_is_unheard_of_before_and_grows(traces: list[Trace]) -> None:
    assert not between(traces, "trade_in", ago(29), ago(14))
    per_day = [len(between(traces, "trade_in", ago(d), ago(d))) for d in range(13, -1, -1)]
    assert per_day[0] >= 1
    weekdays = [n for d, n in zip(range(13, -1, -1), per_day, strict=True) if ago(d).weekday() < 5]
    assert np.mean(weekdays[-3:]) > 2 * np.mean(weekdays[:2])


def test_the_truth_lists_five_incidents_and_the_intent_of_every_trace(
    truth: Truth, traces: list[Trace]
) -> None:
    assert truth.incidents == planned(END)
    assert {one.kind for one in truth.incidents} == {
        "latency_creep",
        "cost_jump",
        "error_burst",
        "tool_mix",
        "new_intent",
    }
    assert truth.planted.keys() == {span.trace_id.hex() for trace in traces for span in trace.spans}
