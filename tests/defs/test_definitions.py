from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from insights_pipeline.defs.partitions import ended_in, next_first, next_monday, range_tags
from insights_pipeline.lake import DayRange

DAILY_ASSETS = {
    "spans",
    "traces",
    "trace_embeddings",
    "intent_model",
    "trace_intents",
    "intent_rollups",
    "baselines",
    "drift_observations",
    "daily_brief",
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    from insights_pipeline.definitions import defs

    dg.Definitions.validate_loadable(defs)
    return defs


def test_everything_loads_under_the_names_that_people_use(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert names == DAILY_ASSETS | {"weekly_brief", "monthly_brief"}
    assert {job.name for job in repository.get_all_jobs()} >= {
        "daily",
        "drift",
        "weekly",
        "monthly",
        "maintenance",
    }
    assert {s.name for s in repository.sensor_defs} == {"landed_data", "run_failed", "brief_delivery"}
    assert len(repository.schedule_defs) == 4
    assert {s.default_status for s in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}


def test_every_asset_has_a_description_an_owner_kinds_and_a_column_schema(defs: dg.Definitions) -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description and spec.owners and spec.kinds, spec.key
        assert "dagster/column_schema" in spec.metadata, spec.key


def test_daily_assets_share_one_backfill_policy_so_that_a_backfill_is_not_split(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    policies = {graph.get(dg.AssetKey(name)).backfill_policy for name in DAILY_ASSETS}
    assert policies == {dg.BackfillPolicy.single_run()}


def test_only_the_assets_that_read_their_own_yesterday_run_one_at_a_time(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    pools = {name: graph.get(dg.AssetKey(name)).pools for name in DAILY_ASSETS}
    folds = {"trace_embeddings", "intent_model", "drift_observations"}
    assert {name for name, pool in pools.items() if pool} == folds
    assert all(graph.get(dg.AssetKey(name)).parent_keys >= {dg.AssetKey(name)} for name in folds)


def test_weeks_start_on_the_first_monday_and_months_on_the_first_first_inside_the_days() -> None:
    assert next_monday(date(2026, 3, 2)) == date(2026, 3, 2)
    assert next_monday(date(2026, 3, 3)) == date(2026, 3, 9)
    assert next_first(date(2026, 3, 1)) == date(2026, 3, 1)
    assert next_first(date(2026, 12, 2)) == date(2027, 1, 1)


def test_weeks_and_months_belong_to_the_range_that_they_end_in() -> None:
    weeks = dg.WeeklyPartitionsDefinition(start_date="2026-03-02", day_offset=1)
    months = dg.MonthlyPartitionsDefinition(start_date="2026-03-01")
    march = DayRange(date(2026, 3, 9), date(2026, 3, 31))
    assert ended_in(weeks, march) == [
        DayRange(date(2026, 3, day), date(2026, 3, day + 6)) for day in (9, 16, 23)
    ]
    assert ended_in(weeks, DayRange(date(2026, 3, 9), date(2026, 3, 14))) == []
    assert ended_in(months, march) == [DayRange(date(2026, 3, 1), date(2026, 3, 31))]
    assert ended_in(months, DayRange(date(2026, 3, 9), date(2026, 3, 30))) == []


def test_range_tags_are_what_dagster_reads() -> None:
    assert range_tags(DayRange(date(2026, 3, 1), date(2026, 3, 2))) == {
        "dagster/asset_partition_range_start": "2026-03-01",
        "dagster/asset_partition_range_end": "2026-03-02",
    }
