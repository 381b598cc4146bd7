"""What naming remembers from day to day, among the thresholds of a model: on what evidence each intent was named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from insights_pipeline.intents.model import LLM, MERGED, PERSON, RETIRED, Draft, Intent

NAMING, TOLD, CATEGORIES = "naming", "naming_told", "category_descriptions"
_TURNOVER = 0.3  # of the exemplars, after which an intent is named anew
_TRIES = 3  # with the same exemplars, after which an answer that is no name is taken for final
_HASH = 6


@dataclass(slots=True)
class Memory:
    """`of`: by intent the basis of its name (hashes of exemplar ids), tries that failed and why the last one did.

    `told`: pairs and intents of which a merge or a split was suggested. `categories`: name → description.
    """

    of: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    categories: dict[str, str] = field(default_factory=dict)

    @classmethod
    def within(cls, thresholds: Mapping[str, Any]) -> Memory:
        return cls(
            {key: dict(one) for key, one in (thresholds.get(NAMING) or {}).items()},
            set(thresholds.get(TOLD) or ()),
            dict(thresholds.get(CATEGORIES) or {}),
        )

    def into(self, thresholds: Mapping[str, Any], intents: Mapping[str, Intent]) -> dict[str, Any]:
        """The thresholds with this memory, without what is gone."""
        living = {key for key, intent in intents.items() if intent.status not in (RETIRED, MERGED)}
        used = {intent.category for intent in intents.values()}
        return {
            **thresholds,
            NAMING: {key: one for key, one in sorted(self.of.items()) if key in living},
            TOLD: sorted(key for key in self.told if set(key.split("+")) <= living),
            CATEGORIES: {name: said for name, said in sorted(self.categories.items()) if name in used},
        }

    def due(self, draft: Draft) -> list[Intent]:
        """Intents to be named, by id: new ones, changed ones, and those whose last attempt failed."""
        return [intent for _, intent in sorted(draft.intents.items()) if self._is_due(intent)]

    def _is_due(self, intent: Intent) -> bool:
        if intent.status in (RETIRED, MERGED) or intent.named_by == PERSON or intent.pinned:
            return False
        known = self.of.get(intent.intent_id)
        if known is None:
            if (
                intent.named_by == LLM
            ):  # named before this memory began: the name stays until the intent changes
                self.named(intent)
                return False
            return True
        if _turnover(known["basis"], basis_of(intent)) > _TURNOVER:
            return True
        return known.get("why") is not None and known.get("tries", 0) < _TRIES

    def named(self, intent: Intent) -> None:
        self.of[intent.intent_id] = {"basis": basis_of(intent)}

    def failed(self, intent: Intent, why: str, *, final: bool) -> None:
        """`final`: the answer was no name, so that the same question is asked only so many times."""
        known = self.of.get(intent.intent_id, {})
        basis = basis_of(intent)
        same = bool(known) and _turnover(known["basis"], basis) <= _TURNOVER
        tries = (known.get("tries", 0) if same else 0) + final
        self.of[intent.intent_id] = {"basis": basis, "why": why, "tries": tries}

    def why(self, intent_id: str) -> str | None:
        """Why the intent has no name of the model's."""
        found = self.of.get(intent_id, {}).get("why")
        return str(found) if found else None

    def was_refused(self, intent_id: str) -> bool:
        """Whether an answer for it was no name before: then it is asked alone."""
        return bool(self.of.get(intent_id, {}).get("tries"))


def basis_of(intent: Intent) -> str:
    """Hashes of the exemplars' ids in a row, sorted: a fifth of the space of the ids."""
    return "".join(
        sorted(
            hashlib.sha256(one.encode(errors="replace")).hexdigest()[:_HASH] for one in intent.exemplar_ids
        )
    )


def _turnover(before: str, now: str) -> float:
    """The share of the larger set that the other does not have."""
    left, right = _parts(before), _parts(now)
    return 1 - len(left & right) / max(len(left), len(right), 1)


def _parts(basis: str) -> set[str]:
    return {basis[place : place + _HASH] for place in range(0, len(basis), _HASH)}
