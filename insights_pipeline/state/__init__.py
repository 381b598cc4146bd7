"""Ground floor: what people edit and what must survive, in SQLite or Postgres."""

from insights_pipeline.state.answers import StoredAnswers
from insights_pipeline.state.database import State, StateError
from insights_pipeline.state.deliveries import Delivery, claim, deliveries, mark_failed, mark_sent
from insights_pipeline.state.drift_decisions import (
    DriftDecision,
    add_drift_decision,
    drift_decisions,
    undo_drift_decision,
)
from insights_pipeline.state.edits import IntentEdit, add_intent_edit, intent_edits, undo_intent_edit

__all__ = [
    "Delivery",
    "DriftDecision",
    "IntentEdit",
    "State",
    "StateError",
    "StoredAnswers",
    "add_drift_decision",
    "add_intent_edit",
    "claim",
    "deliveries",
    "drift_decisions",
    "intent_edits",
    "mark_failed",
    "mark_sent",
    "undo_drift_decision",
    "undo_intent_edit",
]
