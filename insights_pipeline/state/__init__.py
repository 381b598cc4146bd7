"""Ground floor: what people edit and what must survive, in SQLite or Postgres."""

from insights_pipeline.state.answers import StoredAnswers
from insights_pipeline.state.database import State, StateError
from insights_pipeline.state.edits import IntentEdit, add_intent_edit, intent_edits, undo_intent_edit

__all__ = [
    "IntentEdit",
    "State",
    "StateError",
    "StoredAnswers",
    "add_intent_edit",
    "intent_edits",
    "undo_intent_edit",
]
