"""What changed: rollups, baselines, drift observations and the briefs."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from insights_pipeline import wiring
from insights_pipeline.defs.assets.daily import daily_asset
from insights_pipeline.defs.assets.intents import intent_model, trace_intents
from insights_pipeline.defs.assets.traffic import traces
from insights_pipeline.defs.metadata import counted, described
from insights_pipeline.defs.partitions import MONTHLY, WEEKLY, WHOLE_RANGE, days_of, windows_of
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.lake import today
from insights_pipeline.settings import settings

if TYPE_CHECKING:
    from insights_pipeline.brief.summary import Summariser


@daily_asset(group="drift", table="intent_rollups", kinds={"delta", "duckdb"}, deps=[trace_intents, traces])
def intent_rollups(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """Additive statistics of every metric of every intent on the day."""
    from insights_pipeline.drift.series.rollups import rollup_days

    lake_engine = engine.engine()
    return counted(context, lake_engine.lake, "intent_rollups", rollup_days(lake_engine, days_of(context)))


@daily_asset(
    group="drift",
    table="drift_observations",
    kinds={"delta", "scipy"},
    deps=[intent_rollups, intent_model],
    follows_itself="drift_observations",
)
def drift_observations(
    context: dg.AssetExecutionContext, engine: EngineResource
) -> dg.MaterializeResult[Any]:
    """Tests of the last 24 hours, 7 and 30 days against the baseline, and the open items they make."""
    from insights_pipeline.drift.observe import observe_days

    lake_engine = engine.engine()
    rows = observe_days(
        lake_engine,
        days_of(context),
        decisions=wiring.decisions(),
        groups=settings().baseline_groups,
        complete_until=today() - timedelta(days=1),
    )
    return counted(context, lake_engine.lake, "drift_observations", rows)


# After the observations: their items say which days are quarantined. A same-day dependency, since with the 30 days
# before declared a backfill would also target 30 later days.
@daily_asset(
    group="drift", table="baselines", kinds={"delta", "python"}, deps=[intent_rollups, drift_observations]
)
def baselines(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """What is normal for every intent and metric: the 30 days before without those of drifts."""
    from insights_pipeline.drift.baselines import baseline_days

    lake_engine = engine.engine()
    rows = baseline_days(lake_engine, days_of(context), groups=settings().baseline_groups)
    return counted(context, lake_engine.lake, "baselines", rows)


@daily_asset(group="briefs", table="briefs", kinds={"delta", "markdown"}, deps=[drift_observations])
def daily_brief(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """What changed yesterday, for whom, by how much and on which traces; one line when nothing did."""
    from insights_pipeline.brief.read import read_briefs
    from insights_pipeline.brief.write import write_daily_briefs

    days = days_of(context)
    lake_engine = engine.engine()
    summarise = wiring.summariser(today())
    rows = write_daily_briefs(
        lake_engine,
        days,
        bootstrap_traces=settings().bootstrap_traces,
        links=wiring.links(),
        summarise=summarise,
    )
    shown = _shown(read_briefs(lake_engine.lake, "daily", days), summarise)
    return counted(context, lake_engine.lake, "briefs", rows, cadence="daily", of_day=shown)


@dg.asset(
    group_name="briefs",
    deps=[drift_observations],
    partitions_def=WEEKLY,
    backfill_policy=WHOLE_RANGE,
    kinds={"delta", "markdown"},
    owners=[settings().owner],
    metadata=described("briefs"),
)
def weekly_brief(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """What changed in a calendar week (Monday to Sunday), against the 30 days before it."""
    return _window_briefs(context, engine, "weekly")


@dg.asset(
    group_name="briefs",
    deps=[drift_observations],
    partitions_def=MONTHLY,
    backfill_policy=WHOLE_RANGE,
    kinds={"delta", "markdown"},
    owners=[settings().owner],
    metadata=described("briefs"),
)
def monthly_brief(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """What changed in a calendar month, against the 30 days before it."""
    return _window_briefs(context, engine, "monthly")


def _window_briefs(
    context: dg.AssetExecutionContext, engine: EngineResource, cadence: str
) -> dg.MaterializeResult[Any]:
    from insights_pipeline.brief.read import read_briefs
    from insights_pipeline.brief.write import write_window_brief
    from insights_pipeline.drift.observe import observe_window

    lake_engine = engine.engine()
    summarise = wiring.summariser(today())
    rows = 0
    for window in windows_of(context):
        observe_window(lake_engine, cadence, window, groups=settings().baseline_groups)
        rows += write_window_brief(
            lake_engine,
            cadence,
            window,
            bootstrap_traces=settings().bootstrap_traces,
            links=wiring.links(),
            summarise=summarise,
        )
    shown = _shown(read_briefs(lake_engine.lake, cadence, days_of(context)), summarise)
    return counted(context, lake_engine.lake, "briefs", rows, cadence=cadence, of_day=shown)


def _shown(briefs: dict[date, dict[str, Any]], summarise: "Summariser | None") -> dict[date, dict[str, Any]]:
    """Metadata of each brief; with a language model also why its summary was kept or dropped."""
    outcomes = {} if summarise is None else summarise.outcomes
    return {
        day: {
            "brief": dg.MetadataValue.md(brief["markdown"]),
            "status": brief["status"],
            "headline": brief["headline"],
        }
        | ({"summary": told} if (told := outcomes.get((brief["cadence"], brief["window_first"]))) else {})
        for day, brief in briefs.items()
    }
