"""Data quality of traces as asset checks: broken invariants stop the run, odd shares warn."""

from collections.abc import Iterator

import dagster as dg

from insights_pipeline.defs.assets.traffic import traces
from insights_pipeline.defs.partitions import DAILY, days_of
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.traces.quality import EXPECTATIONS


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            expectation.name,
            asset=traces,
            blocking=expectation.blocking,
            description=expectation.description,
            partitions_def=DAILY,
        )
        for expectation in EXPECTATIONS
    ]
)
def trace_quality(
    context: dg.AssetCheckExecutionContext, engine: EngineResource
) -> Iterator[dg.AssetCheckResult]:
    """The great-expectations suite over the traces of the run's days."""
    from insights_pipeline.traces.quality import check_days

    for result in check_days(engine.engine(), days_of(context)):
        yield dg.AssetCheckResult(
            check_name=result.name,
            passed=result.passed,
            severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
            description=result.message,
            metadata=result.observed,
        )
