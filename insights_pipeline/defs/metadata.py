"""What an asset shows of itself: columns before a run, counts and previews of each partition after it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from insights_pipeline.lake import Lake
from insights_pipeline.lake.tables import TABLES


def described(table: str) -> dict[str, Any]:
    """Definition metadata of the asset that writes `table`: its name, key and column schema."""
    contract = TABLES[table]
    columns = [dg.TableColumn(column.name, str(column.type)) for column in contract.schema]
    return {
        "dagster/table_name": table,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "key": ", ".join(contract.key),
    }


def counted(
    context: dg.AssetExecutionContext,
    lake: Lake,
    table: str,
    rows: int,
    *,
    cadence: str | None = None,
    of_day: Mapping[date, Mapping[str, Any]] | None = None,
    **more: object,
) -> dg.MaterializeResult[Any]:
    """A materialisation: rows written by the run, and for each of its partitions that day's own facts.

    `cadence` narrows a table that is also partitioned by it. `of_day` is more to show of a day (for a week or
    month: of its first day), `more` of the whole run.
    """
    counts = lake.rows_by_day(table, cadence=cadence)
    for key in context.partition_keys:
        day = date.fromisoformat(key)  # of a week or month its first day
        facts = {"dagster/partition_row_count": counts.get(day, 0), **(of_day or {}).get(day, {})}
        context.add_asset_metadata(facts, partition_key=key)
    told: dict[str, Any] = {key: value for key, value in more.items() if value is not None}
    return dg.MaterializeResult(metadata={"rows": rows, "dagster/row_count": sum(counts.values()), **told})
