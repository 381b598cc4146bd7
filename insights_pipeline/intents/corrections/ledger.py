"""What corrections have done to the model of a day: kept with it, so that each is told once and can be taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "corrections"  # among the thresholds of a model


@dataclass(slots=True)
class Ledger:
    """JSON-able throughout; edit ids are strings in it.

    `applied`: what an edit made (children of a split, stand-ins of moved traces). `waiting`: why an edit waits.
    `anchors`: which intent stands for an id that is gone. `before`: by intent and field, what a person replaced.
    `merged`: by intent, the status it had before a person merged it.
    """

    applied: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    anchors: dict[str, str] = field(default_factory=dict)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, thresholds: Mapping[str, Any]) -> Ledger:
        """A copy of what a model has."""
        stored = json.loads(json.dumps(thresholds.get(KEY) or {}))
        return cls(**{name: stored.get(name, {}) for name in cls.__slots__})

    def within(self, thresholds: Mapping[str, Any]) -> dict[str, Any]:
        """The thresholds with this ledger; without one where nothing was ever corrected."""
        full = {name: kept for name in self.__slots__ if (kept := getattr(self, name))}
        rest = {name: value for name, value in thresholds.items() if name != KEY}
        return {**rest, KEY: full} if full else rest


def replaced_id(value: Any, old: str, new: str) -> Any:
    """The same JSON value with every key and string that is the id `old` made `new`."""
    if isinstance(value, Mapping):
        return {replaced_id(key, old, new): replaced_id(one, old, new) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced_id(one, old, new) for one in value]
    return new if isinstance(value, str) and value == old else value
