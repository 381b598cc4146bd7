from __future__ import annotations

import pytest

from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice, rows_to_table
from tests.traces.assemble_cases import D1


@pytest.mark.parametrize("column", ["latency_ms", "cost_usd", "step_count", "output_chars"])
def test_a_trace_with_a_number_that_cannot_be_true_fails_no_rollup_and_counts_as_missing(
    engine: DuckDBEngine, column: str
) -> None:
    values = [2, 9 * 10**18] if column in ("step_count", "output_chars") else [2.0, 9e18, 1e300, float("nan")]
    rows = [{"date": D1, "trace_id": str(n), column: value} for n, value in enumerate(values)]
    engine.lake.append("traces", rows_to_table("traces", rows))
    rollup_days(engine, DayRange.single(D1))
    rollups = engine.lake.read(Slice("intent_rollups")).to_pylist()
    [found] = [row for row in rollups if (row["intent_id"], row["metric"]) == ("all", column)]
    assert (found["n"], found["n_valid"], found["n_pos"], found["max"]) == (len(values), 1, 1, 2.0)
    assert (found["sum"], found["sumsq"]) == (2, 4)
