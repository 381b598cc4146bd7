"""One day's step of the intent model: what was known stays as it is, what is new is added, on evidence only.

Centroids of known intents are frozen: a metric must not move because the model did. Only an intent in its first
two weeks is still fitted, as it was born from few traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier, Verdict
from insights_pipeline.intents.discover import discover, form
from insights_pipeline.intents.growth import (
    POOL_DAYS,
    Window,
    is_wording_of_known,
    likeness,
    rising_groups,
    window_of,
)
from insights_pipeline.intents.labels import label_groups
from insights_pipeline.intents.model import ACTIVE, EMERGING, FADING, RETIRED, Draft, Intent, Model
from insights_pipeline.intents.spaces import Space
from insights_pipeline.intents.vectors import Texts

_YOUNG_DAYS = 14
_PATIENCE = 7  # refreshes that an emerging intent may go unconfirmed
_CONFIRMING = 2  # traces of a later day that confirm it
_EXPECTED = 20  # traces an intent would have had before its silence means anything
_SAME_CATEGORY = 0.3


def first_draft(
    before: Model, sample: Texts, *, space: Space, day: date, seed: int, granularity: float = 1.0
) -> Draft:
    """The intents discovered from a sample of everything up to `day`."""
    intents, unknown = discover(sample, space, born=day, seed=seed, granularity=granularity)
    return Draft(
        {intent.intent_id: intent for intent in intents},
        {"unknown": unknown, "discovered": str(day), "pending": {}},
        ({"kind": "bootstrapped", "intents": len(intents), "traces": len(sample)},),
    )


def refreshed(
    model: Model,
    parts: Sequence[tuple[Texts, Verdict]],
    classifier: Classifier,
    *,
    space: Space,
    day: date,
    seed: int,
    granularity: float = 1.0,
) -> Draft:
    """The intents of `day` from that of the day before and the traces of the last 28 days, each with its verdict."""
    step = _Step(model, parts, classifier, space, day)
    if step.window is not None:
        step.confirm()
        step.watch_traffic()
        step.add(rising_groups(step.window, classifier, space=space, seed=seed))
    return Draft(step.intents, {**model.thresholds, "pending": step.pending}, tuple(step.events))


class _Step:
    """The model under change; intents by id in the order of the classifier's columns."""

    def __init__(
        self,
        model: Model,
        parts: Sequence[tuple[Texts, Verdict]],
        classifier: Classifier,
        space: Space,
        day: date,
    ) -> None:
        self.day = day
        self.space = space
        self.classifier = classifier
        self.intents: dict[str, Intent] = {intent.intent_id: intent for intent in model.intents}
        self.columns = list(model.columns)
        self.pending: dict[str, int] = dict(model.thresholds["pending"])
        self.newborn: dict[str, NDArray[np.int64]] = {}
        self.events: list[dict[str, Any]] = []
        self.discovered = date.fromisoformat(model.thresholds["discovered"])
        self.window: Window | None = None
        if parts and day in parts[-1][0].days:  # a day without traffic decides nothing
            unknown = float(model.thresholds["unknown"])
            self.window = window_of(parts, day=day, discovered=self.discovered, unknown=unknown)
            verdict = self.window.verdict
            self.assigned = np.where(verdict.score < unknown, -1, verdict.nearest)
            self.age = np.array([(day - one).days for one in self.window.sample.days])

    def confirm(self) -> None:
        """Emerging intents that go on are active; those that do not come back within a week are withdrawn."""
        for intent_id, refreshes in sorted(self.pending.items()):
            mine = self.assigned == self.columns.index(intent_id)
            if int((mine & (self.age == 0)).sum()) >= _CONFIRMING:
                self._fit(intent_id, np.flatnonzero(mine), status=ACTIVE)
                self._tell("promoted", self.intents[intent_id])
                del self.pending[intent_id]
            elif refreshes + 1 >= _PATIENCE:
                self.intents[intent_id] = replace(self.intents[intent_id], status=RETIRED)
                self._tell("withdrawn", self.intents[intent_id])
                del self.pending[intent_id]
            else:
                self.pending[intent_id] = refreshes + 1

    def watch_traffic(self) -> None:
        """An intent that nobody asked for in two weeks fades, one that is asked for again is active."""
        late = self.age < POOL_DAYS
        if len(set(self.age.tolist())) < POOL_DAYS:
            return
        everyone = sum(intent.size for intent in self.intents.values())
        counts = np.bincount(self.assigned[late & (self.assigned >= 0)], minlength=len(self.columns))
        for column, intent_id in enumerate(self.columns):
            intent, traces = self.intents[intent_id], int(counts[column])
            expected = intent.size / everyone * int(late.sum())
            if intent.status == ACTIVE and traces == 0 and expected >= _EXPECTED:
                self.intents[intent_id] = replace(intent, status=FADING)
                self._tell("faded", self.intents[intent_id])
            elif intent.status == FADING and traces > 0:
                self.intents[intent_id] = replace(intent, status=ACTIVE)
                self._tell("returned", self.intents[intent_id])

    def add(self, groups: Sequence[NDArray[np.int64]]) -> None:
        """Each group becomes an emerging intent, unless it is another wording of one that is there."""
        assert self.window is not None
        for members in groups:
            nearest, ratio = self._nearest(members)
            young = self._is_young(nearest)
            if not is_wording_of_known(ratio, young=young):
                self._mint(members, nearest if ratio > _SAME_CATEGORY else None)
            elif young:
                self._fit(
                    nearest, np.union1d(members, self._members(nearest)), status=self.intents[nearest].status
                )

    def _nearest(self, members: NDArray[np.int64]) -> tuple[str, float]:
        assert self.window is not None
        living = [one for one, intent in sorted(self.intents.items()) if intent.status != RETIRED]
        ratios = [
            likeness(self.window, members, self.intents[one].exemplar_vectors.astype(np.float32))
            for one in living
        ]
        best = int(np.argmax(ratios))
        return living[best], ratios[best]

    def _members(self, intent_id: str) -> NDArray[np.int64]:
        """Traces of the window that the intent was given, or was made of today."""
        if intent_id in self.newborn:
            return self.newborn[intent_id]
        return np.flatnonzero(self.assigned == self.columns.index(intent_id))

    def _is_young(self, intent_id: str) -> bool:
        born = self.intents[intent_id].born
        return born > self.discovered and (self.day - born).days <= _YOUNG_DAYS

    def _mint(self, members: NDArray[np.int64], sibling: str | None) -> None:
        assert self.window is not None
        sample = self.window.sample
        known = list(self.intents.values())
        label = label_groups(
            [self.space.core([sample.texts[index] for index in members])],
            background=[self.space.core(intent.exemplar_texts) for intent in known],
            taken=[intent.slug for intent in known],
        )[0]
        category = self.intents[sibling].category if sibling else label.name
        intent = form(sample, members, label, born=self.day, status=EMERGING, category=category)
        self.intents[intent.intent_id] = intent
        self.pending[intent.intent_id] = 0
        self.newborn[intent.intent_id] = members
        first = min(sample.days[index] for index in members)
        self._tell("emerged", intent, members=len(members), first_seen=str(first))

    def _fit(self, intent_id: str, members: NDArray[np.int64], *, status: str) -> None:
        """Centroid and exemplars from more members; id, name and birth stay."""
        assert self.window is not None
        intent = self.intents[intent_id]
        if len(members) <= intent.size:
            self.intents[intent_id] = replace(intent, status=status)
            return
        fitted = form(
            self.window.sample, members, intent.label, born=intent.born, status=status,
            category=intent.category, known_as=intent_id,
        )  # fmt: skip
        self.intents[intent_id] = fitted
        if intent_id in self.newborn:
            self.newborn[intent_id] = members

    def _tell(self, kind: str, intent: Intent, **more: object) -> None:
        self.events.append({"kind": kind, "intent_id": intent.intent_id, "name": intent.name, **more})
