"""Decisions about drift items as people made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from insights_pipeline.state.ledger import Ledger
from insights_pipeline.state.tables import DRIFT_DECISIONS


@dataclass(frozen=True, slots=True)
class DriftDecision:
    """One row of `drift_decisions`. What `kind` and `payload` mean is known to `drift.life.decisions`."""

    decision_id: int
    at_ns: int
    by: str
    kind: str
    payload: Mapping[str, Any]
    undone_at_ns: int | None = None
    undone_by: str | None = None


_LEDGER = Ledger(DRIFT_DECISIONS, DriftDecision, noun="decision", listed_by="insights drift decisions")
drift_decisions = _LEDGER.entries
add_drift_decision = _LEDGER.add
undo_drift_decision = _LEDGER.undo
