"""What was injected into made-up traffic, read back from the folder that only the judge opens."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from insights_pipeline.demo.incidents import Incident
from insights_pipeline.demo.traffic import INJECTED, PLANTED, TRUTH
from insights_pipeline.lake import DayRange


@dataclass(frozen=True, slots=True)
class Truth:
    """`planted` is the intent of every trace id; None is a message about nothing the shop does."""

    days: DayRange
    incidents: tuple[Incident, ...]
    planted: Mapping[str, str | None]


def read_truth(folder: Path) -> Truth:
    """The truth beside the traffic of `folder`, or in `folder` itself. Raises FileNotFoundError without one."""
    at = folder if (folder / INJECTED).exists() else folder / TRUTH
    raw = json.loads((at / INJECTED).read_text())
    incidents = tuple(Incident.from_json(one) for one in raw["incidents"])
    planted = json.loads(gzip.decompress((at / PLANTED).read_bytes()))
    return Truth(
        DayRange(date.fromisoformat(raw["first_day"]), date.fromisoformat(raw["last_day"])),
        incidents,
        planted,
    )
