"""The composition root: everything Dagster loads."""

from __future__ import annotations

import dagster as dg

from insights_pipeline.defs.assets import drift, intents, traffic
from insights_pipeline.defs.checks import no_grave_drift, trace_quality
from insights_pipeline.defs.delivery import brief_delivery
from insights_pipeline.defs.jobs import JOBS
from insights_pipeline.defs.resources import resources
from insights_pipeline.defs.schedules import SCHEDULES
from insights_pipeline.defs.sensors import SENSORS
from insights_pipeline.settings import settings

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([traffic, intents, drift]),
    asset_checks=[trace_quality, no_grave_drift],
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=[*SENSORS, brief_delivery],
    resources=resources(settings()),
    executor=dg.in_process_executor,
)
