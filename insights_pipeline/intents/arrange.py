"""How intents stand to one another: categories over them, sub-intents in them, what sets neighbours apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from insights_pipeline.intents.model import Draft
from insights_pipeline.intents.spaces import Space


@dataclass(frozen=True, slots=True)
class Category:
    """A predefined category: its name, what belongs in it, and perhaps messages as examples."""

    name: str
    description: str
    examples: tuple[str, ...] = ()


def arranged(draft: Draft, *, space: Space, categories: Sequence[Category] = ()) -> Draft:
    """Categories of intents that have none yet; of changed intents what sets them apart and what they consist of."""
    return replace(draft)
