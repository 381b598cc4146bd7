"""Corrections of intents as people made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from insights_pipeline.state.ledger import Ledger
from insights_pipeline.state.tables import INTENT_EDITS


@dataclass(frozen=True, slots=True)
class IntentEdit:
    """One row of `intent_edits`. What `kind` and `payload` mean is known to `intents.corrections.edits`."""

    edit_id: int
    at_ns: int
    by: str
    kind: str
    payload: Mapping[str, Any]
    undone_at_ns: int | None = None
    undone_by: str | None = None


_LEDGER = Ledger(INTENT_EDITS, IntentEdit, noun="edit", listed_by="insights intents edits")
intent_edits = _LEDGER.entries
add_intent_edit = _LEDGER.add
undo_intent_edit = _LEDGER.undo
