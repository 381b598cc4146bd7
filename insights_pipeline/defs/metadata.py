"""What an asset shows of itself: columns before a run, counts and previews after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from insights_pipeline.lake.tables import TABLES

OWNERS = ["team:ai-platform"]


def described(table: str, **extra: Any) -> dict[str, Any]:
    """Definition metadata of the asset that writes `table`: its name, key and column schema."""
    contract = TABLES[table]
    columns = [dg.TableColumn(column.name, str(column.type)) for column in contract.schema]
    return {
        "dagster/table_name": table,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "key": ", ".join(contract.key),
        **extra,
    }


def counted(rows: int, **more: object) -> dg.MaterializeResult[Any]:
    """A materialisation with its row count and what else is worth seeing."""
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, **_plain(more)})


def _plain(values: Mapping[str, object]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
