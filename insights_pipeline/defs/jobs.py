"""Jobs: the daily lineage, weekly and monthly briefs, table maintenance."""

from typing import Any

import dagster as dg

from insights_pipeline.defs.assets.drift import monthly_brief, weekly_brief
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.lake import today
from insights_pipeline.lake.tables import TABLES
from insights_pipeline.settings import settings

# In one process: a process per step costs seconds of start-up each; pools hold all the same.
_IN_PROCESS = dg.in_process_executor

daily_job = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.groups("traffic", "intents", "drift")
    | dg.AssetSelection.assets("daily_brief"),
    executor_def=_IN_PROCESS,
    description="Spans to brief, for one day or a range of days.",
)
drift_job = dg.define_asset_job(
    "drift",
    selection=dg.AssetSelection.assets("baselines", "drift_observations", "daily_brief"),
    executor_def=_IN_PROCESS,
    description="Baselines to brief again: for the days after one that late spans changed.",
)
weekly_job = dg.define_asset_job(
    "weekly",
    selection=dg.AssetSelection.assets(weekly_brief),
    executor_def=_IN_PROCESS,
    description="The brief of a calendar week.",
)
monthly_job = dg.define_asset_job(
    "monthly",
    selection=dg.AssetSelection.assets(monthly_brief),
    executor_def=_IN_PROCESS,
    description="The brief of a calendar month.",
)


@dg.op
def compact_and_vacuum(context: dg.OpExecutionContext, engine: EngineResource) -> None:
    """Merge small files of settled days and delete files that no reader can still need."""
    lake = engine.engine().lake
    for table in TABLES:
        report = lake.maintain(table, retention_days=settings().retention_days, now=today())
        context.log.info("%s: %s", table, report)


@dg.job(executor_def=_IN_PROCESS, description="Compact small files and vacuum replaced ones.")
def maintenance() -> None:
    compact_and_vacuum()


JOBS: list[Any] = [daily_job, drift_job, weekly_job, monthly_job, maintenance]
