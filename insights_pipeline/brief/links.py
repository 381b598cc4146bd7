"""Where a brief points to: the UI and the command that tells more of an item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Links:
    """`ui_url` is the address of the Dagster UI, as people reach it."""

    ui_url: str

    def brief(self, cadence: str, first: date) -> str:
        """The page of the asset that made the brief, at its partition."""
        return f"{self.ui_url.rstrip('/')}/assets/{quote(cadence)}_brief?partition={first.isoformat()}"


def command(item_id: str) -> str:
    """What to type to be told more."""
    return f"insights drift show {item_id}"
