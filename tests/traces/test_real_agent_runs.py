"""Twenty real airline-agent runs, replayed through three instrumentations: the same numbers from each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, connect_with, engine_config
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from insights_pipeline.traces.ingest import ingest_paths

FILES = {
    "openinference": "tau2-airline-gpt41.openinference.pb",
    "openllmetry": "tau2-airline-gpt41.openllmetry.pb",
    "openllmetry legacy": "tau2-airline-gpt41.openllmetry-legacy-0.40.14.pb",
}
AGREE = (
    "start_ns",
    "latency_ms",
    "step_count",
    "llm_calls",
    "tool_calls",
    "is_error",
    "models",
    "primary_model",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_usd",
    "span_count",
    "user_text",
    "output_text",
)


def traces_of(path: Path, folder: Path) -> list[dict[str, Any]]:
    lake = Lake(str(folder / "lake"))
    engine = DuckDBEngine(
        lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=folder / "spill"))
    )
    report = ingest_paths(lake, [path], now_ns=1_780_000_000_000_000_000)
    assert (report.traces, report.spans, report.rejects) == (20, 374, 0)
    days = DayRange(min(report.days), max(report.days))
    compact_spans(engine, days)
    assert assemble_traces(engine, days) == 20
    return (
        lake.read(Slice("traces"))
        .sort_by([("start_ns", "ascending"), ("user_text", "ascending")])
        .to_pylist()
    )


@pytest.fixture(scope="module")
def runs(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return {
        name: traces_of(real_data / "otlp" / file, tmp_path_factory.mktemp("real"))
        for name, file in FILES.items()
    }


@pytest.mark.parametrize("column", AGREE)
def test_the_same_run_has_the_same_value_from_every_instrumentation(
    runs: dict[str, list[dict[str, Any]]], column: str
) -> None:
    values = {name: [trace[column] for trace in traces] for name, traces in runs.items()}
    assert values["openinference"] == values["openllmetry"] == values["openllmetry legacy"]
    assert any(value is not None for value in values["openinference"])
