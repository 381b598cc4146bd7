"""Names from a language model, for new and changed intents only; when it fails, names read off texts stay."""

from __future__ import annotations

from typing import Protocol

from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import Draft


class Namer(Protocol):
    """Something that names intents."""

    def named(self, draft: Draft, *, space: Space, first: bool) -> Draft:
        """The draft with names for new and changed intents; never raises because a model fails.

        `first` is the day of discovery, on which merges and splits that the model proposes are carried out; later
        they are told as suggestions.
        """
