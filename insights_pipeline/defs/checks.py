"""Asset checks: broken invariants of traces stop the run, odd shares warn; so do grave changes of behaviour."""

from collections.abc import Iterator

import dagster as dg

from insights_pipeline.defs.assets.drift import drift_observations
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


@dg.asset_check(
    asset=drift_observations,
    partitions_def=DAILY,
    description="No change of high or critical severity is open on the last day of the run.",
)
def no_grave_drift(context: dg.AssetCheckExecutionContext, engine: EngineResource) -> dg.AssetCheckResult:
    """Warns, never blocks: the brief must be written above all when something changed."""
    from insights_pipeline.drift.read import grave_items

    day = days_of(context).last
    found = grave_items(engine.engine().lake, day)
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(found)} open" if found else "none open",
        metadata={
            "day": str(day),
            "items": dg.MetadataValue.json(
                [
                    {
                        name: item[name]
                        for name in ("item_id", "intent", "slice", "metric", "direction", "severity")
                    }
                    for item in found
                ]
            ),
        },
    )
