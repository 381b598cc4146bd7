"""What every daily asset has in common."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from insights_pipeline.defs.metadata import described
from insights_pipeline.defs.partitions import DAILY, DAY_BEFORE, WHOLE_RANGE
from insights_pipeline.settings import settings


def daily_asset(
    *, group: str, table: str, kinds: set[str], deps: Sequence[Any] = (), follows_itself: str | None = None
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorator of an asset that replaces days of `table`.

    `follows_itself` is the asset's own name where a day continues from the day before it; such an asset runs one
    at a time (a pool of that name).
    """
    itself = [] if follows_itself is None else [dg.AssetDep(follows_itself, partition_mapping=DAY_BEFORE)]
    return dg.asset(
        group_name=group,
        deps=[*deps, *itself],
        partitions_def=DAILY,
        backfill_policy=WHOLE_RANGE,
        pool=follows_itself,
        kinds=kinds,
        owners=[settings().owner],
        metadata=described(table),
    )
