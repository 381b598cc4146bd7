"""Real agent runs (tau-bench, tau2-bench, SWE-agent) through the built-in mappings: the recorded numbers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, connect_with, engine_config
from insights_pipeline.traces.assemble import assemble_traces
from insights_pipeline.traces.ingest import IngestReport, ingest_paths

NOW = 1_790_000_000_000_000_000
AT = 1_775_000_000_000_000_000
REPLAY = "otlp/tau2-airline-gpt41.openinference.pb"
AIRLINE = "results__gpt-4.1_airline_default_gpt-4.1_1trials.json"


class Runs:
    """Files in a lake of their own: spans, traces and scores."""

    def __init__(self, paths: list[Path], folder: Path) -> None:
        self.lake = Lake(str(folder / "lake"))
        config = engine_config(threads=2, memory_mb=512, temp_dir=folder / "spill")
        engine = DuckDBEngine(self.lake, connect_with(config))
        self.report: IngestReport = ingest_paths(self.lake, paths, now_ns=NOW, at_ns=AT, engine=engine)
        assemble_traces(engine, DayRange(min(self.report.days), max(self.report.days)))
        self.spans = self.lake.read(Slice("spans")).to_pylist()
        order = [("start_ns", "ascending"), ("user_text", "ascending")]
        self.traces = self.lake.read(Slice("traces")).sort_by(order).to_pylist()
        self.scores = self.lake.read(Slice("feedback")).to_pylist()


@pytest.fixture(scope="module")
def tau2(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    paths = sorted((real_data / "tau2-bench").glob("results__*.json"))
    return Runs(paths, tmp_path_factory.mktemp("tau2"))


@pytest.fixture(scope="module")
def recorded(real_data: Path) -> dict[str, dict[str, Any]]:
    """The flat rows of `runs.jsonl`, by trace id."""
    lines = (real_data / "tau2-bench" / "runs.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["sim_id"].replace("-", ""): row for row in rows}


def test_every_simulation_is_one_trace_and_the_mapping_is_found_by_content(
    tau2: Runs, recorded: dict[str, dict[str, Any]]
) -> None:
    assert tau2.report.formats == {"map tau2_bench": 4}
    assert (tau2.report.traces, tau2.report.rejects, tau2.report.scores) == (120, 0, 120)
    assert {trace["trace_id"] for trace in tau2.traces} == set(recorded)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("llm_calls", "n_llm_calls"),
        ("prompt_tokens", "prompt_tokens"),
        ("completion_tokens", "completion_tokens"),
        ("primary_model", "model"),
        ("app", "domain"),
    ],
)
def test_a_trace_has_the_recorded_value(
    tau2: Runs, recorded: dict[str, dict[str, Any]], ours: str, theirs: str
) -> None:
    found = {trace["trace_id"]: trace[ours] for trace in tau2.traces}
    assert len(found) == 120
    assert found == {trace_id: row[theirs] for trace_id, row in recorded.items()}


def test_tool_errors_and_tools_are_the_recorded_ones(tau2: Runs, recorded: dict[str, dict[str, Any]]) -> None:
    errors: Counter[str] = Counter()
    tools: dict[str, Counter[str]] = {}
    for span in tau2.spans:
        if span["kind"] == "tool":
            errors[span["trace_id"]] += span["is_error"]
            tools.setdefault(span["trace_id"], Counter())[span["tool_name"]] += 1
    assert errors.total() == 37
    assert +errors == Counter(
        {key: row["n_tool_errors"] for key, row in recorded.items() if row["n_tool_errors"]}
    )
    assert tools == {key: Counter(row["tools"]) for key, row in recorded.items() if row["tools"]}


def test_the_user_text_begins_with_what_the_user_said_first(
    tau2: Runs, recorded: dict[str, dict[str, Any]]
) -> None:
    for trace in tau2.traces:
        assert trace["user_text"].startswith(recorded[trace["trace_id"]]["first_user_text"])


def test_the_agents_cost_is_the_recorded_one_and_a_cost_of_zero_is_unknown(
    tau2: Runs, recorded: dict[str, dict[str, Any]]
) -> None:
    unknown = 0
    for trace in tau2.traces:
        row = recorded[trace["trace_id"]]
        if row["model"].startswith("ft:"):
            assert (row["agent_cost"], trace["cost_usd"]) == (0.0, None)
            unknown += 1
        else:
            assert trace["cost_usd"] == pytest.approx(row["agent_cost"], abs=1e-9)
    assert unknown == 60


def test_latency_is_the_recorded_duration(tau2: Runs, recorded: dict[str, dict[str, Any]]) -> None:
    for trace in tau2.traces:
        assert trace["latency_ms"] == pytest.approx(recorded[trace["trace_id"]]["duration_s"] * 1_000, abs=20)


def test_the_reward_is_a_score_of_the_trace_on_its_day(
    tau2: Runs, recorded: dict[str, dict[str, Any]]
) -> None:
    days = {trace["trace_id"]: trace["date"] for trace in tau2.traces}
    assert {score["trace_id"]: score["value"] for score in tau2.scores} == {
        key: row["reward"] for key, row in recorded.items()
    }
    assert all(score["date"] == days[score["trace_id"]] for score in tau2.scores)
    assert {score["name"] for score in tau2.scores} == {"reward"}


AGREE = (
    "llm_calls", "tool_calls", "prompt_tokens", "completion_tokens", "primary_model", "user_text", "output_text",
    "step_count", "span_count", "is_error",
)  # fmt: skip


def test_the_mapped_file_and_the_instrumented_replay_of_the_same_runs_agree(
    real_data: Path, tmp_path: Path
) -> None:
    mapped = Runs([real_data / "tau2-bench" / AIRLINE], tmp_path / "mapped")
    replayed = Runs([real_data / REPLAY], tmp_path / "replayed")
    for column in AGREE:
        ours = sorted(str((t["user_text"], t[column])) for t in mapped.traces)
        assert ours == sorted(str((t["user_text"], t[column])) for t in replayed.traces), column

    def of_kind(runs: Runs, kind: str, *fields: str) -> Counter[tuple[Any, ...]]:
        return Counter(
            tuple(plain(span[name]) for name in fields) for span in runs.spans if span["kind"] == kind
        )

    def plain(value: Any) -> Any:
        """Arguments without the spaces of whoever wrote their JSON."""
        return json.dumps(json.loads(value)) if str(value).startswith("{") else value

    # not their starts: of calls made together the replay lets one begin when the one before it ended
    tools = ("tool_name", "input_text", "output_text", "end_ns", "is_error")
    assert of_kind(mapped, "tool", *tools) == of_kind(replayed, "tool", *tools)
    calls = ("output_text", "prompt_tokens", "completion_tokens", "model", "start_ns", "end_ns")
    assert of_kind(mapped, "llm", *calls) == of_kind(replayed, "llm", *calls)


def test_tau_bench_has_texts_tools_and_rewards_and_no_times_tokens_or_cost(
    real_data: Path, tmp_path: Path
) -> None:
    source = real_data / "tau-bench" / "gpt-4o-airline.trials01.json"
    runs = Runs([source], tmp_path)
    given = json.loads(source.read_text())
    assert runs.report.formats == {"map tau_bench": 1}
    assert (len(runs.traces), runs.report.rejects) == (100, 0)
    assert Counter(score["value"] for score in runs.scores) == Counter(row["reward"] for row in given)
    calls = [message for row in given for message in row["traj"] if message["role"] == "assistant"]
    kinds = Counter(span["kind"] for span in runs.spans)
    assert kinds == {"agent": 100, "llm": len(calls), "tool": sum(bool(c.get("tool_calls")) for c in calls)}
    firsts = Counter(next(m["content"] for m in row["traj"] if m["role"] == "user") for row in given)
    roots = [span for span in runs.spans if span["kind"] == "agent"]
    assert Counter(span["input_text"] for span in roots) == firsts
    assert all(trace["user_text"].startswith(tuple(text.strip() for text in firsts)) for trace in runs.traces)
    for column in ("latency_ms", "cost_usd", "prompt_tokens", "total_tokens", "primary_model"):
        assert {trace[column] for trace in runs.traces} == {None}, column
    results = Counter(
        (m["name"], m["content"] or None) for row in given for m in row["traj"] if m["role"] == "tool"
    )
    tools = [span for span in runs.spans if span["kind"] == "tool"]
    assert Counter((span["tool_name"], span["output_text"]) for span in tools) == results
    trials = Counter(json.loads(trace["metadata"])["tau.trial"] for trace in runs.traces)
    assert trials == {0: 50, 1: 50}


def test_a_trajectory_is_one_trace_of_its_steps_with_the_totals_of_the_run(
    real_data: Path, tmp_path: Path
) -> None:
    paths = sorted((real_data / "swe-agent").glob("*.traj"))
    runs = Runs(paths, tmp_path)
    assert runs.report.formats == {"map swe_agent": 3}
    given = [json.loads(path.read_text()) for path in paths]
    stats = [one["info"]["model_stats"] for one in given]
    found = {trace["prompt_tokens"]: trace for trace in runs.traces}
    assert set(found) == {stat["tokens_sent"] for stat in stats}
    for one, stat in zip(given, stats, strict=True):
        trace = found[stat["tokens_sent"]]
        assert trace["completion_tokens"] == stat["tokens_received"]
        assert trace["cost_usd"] == pytest.approx(stat["instance_cost"])
        assert (trace["llm_calls"], len(trace["tool_calls"])) == (stat["api_calls"], len(one["trajectory"]))
        assert trace["latency_ms"] is None
        assert trace["user_text"].startswith("We're currently solving the following issue")
        assert json.loads(trace["metadata"])["swe_agent.exit_status"] == "submitted"
    names = {span["tool_name"] for span in runs.spans if span["kind"] == "tool"}
    assert {"find_file", "open", "edit", "python", "submit"} <= names


def test_reading_a_file_again_gives_the_same_rows(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "tau-bench" / "gpt-4o-airline.trials01.json"
    first, second = (Runs([source], tmp_path / name) for name in ("a", "b"))
    key = ("trace_id", "span_id", "start_ns", "input_text", "output_text")
    rows = [sorted(tuple(str(span[name]) for name in key) for span in runs.spans) for runs in (first, second)]
    assert rows[0] == rows[1]
    assert len({row[:2] for row in rows[0]}) == len(rows[0])
    assert {s["score_id"] for s in first.scores} == {s["score_id"] for s in second.scores}
