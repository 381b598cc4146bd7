"""What settings and people say about the intents: how texts become vectors, how fine, what was corrected, who names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from insights_pipeline.intents.arrangement.arrange import Category
from insights_pipeline.intents.corrections.correct import Edit
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Embeddings
from insights_pipeline.intents.naming.namer import Namer


@dataclass(frozen=True, slots=True)
class Steering:
    """Defaults: nothing is steered.

    `granularity`: above 1 more and finer intents, below 1 fewer. `attributes`: columns of `traces`, or
    "metadata.KEY", in which texts of one intent should agree. `categories`: predefined ones; none: they are found.
    `edits`: corrections of people, oldest first. `namer`: a language model that names; None: names are read off texts.
    """

    embeddings: Embeddings = WORDLLAMA
    granularity: float = 1.0
    attributes: Sequence[str] = ()
    categories: Sequence[Category] = ()
    edits: Sequence[Edit] = ()
    namer: Namer | None = None


UNSTEERED = Steering()
