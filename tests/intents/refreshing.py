"""Days of requests run through the pure steps of the intent model, without a lake."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np

from insights_pipeline.intents.discovery.discover import form
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Space
from insights_pipeline.intents.life.refresh import first_draft, refreshed
from insights_pipeline.intents.life.window import WINDOW_DAYS
from insights_pipeline.intents.model import ACTIVE, Draft, Intent, Model, learning, succeed
from insights_pipeline.intents.naming.labels import label_groups
from insights_pipeline.intents.vectors import Texts
from tests.intents.streams import wording

FIRST = date(2026, 1, 5)


def requests(of: Mapping[str, int], rng: random.Random) -> list[tuple[str, str]]:
    """So many wordings of each intent, with the intent, in random order."""
    rows = [(wording(intent, rng), intent) for intent, count in of.items() for _ in range(count)]
    rng.shuffle(rows)
    return rows


@dataclass
class Life:
    """A model and what it was made of; each `live` is one more day."""

    seed: int = 0
    bootstrap: Mapping[str, int] = field(default_factory=lambda: {"order": 70, "refund": 70, "password": 70})
    day: date = FIRST
    events: list[tuple[date, Mapping[str, object]]] = field(default_factory=list)
    gold: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        rows = requests(self.bootstrap, self.rng)
        self.space: Space = WORDLLAMA.fit([text for text, _ in rows])
        self.seen = [self._texts(rows)]
        self.model = self._next(
            first_draft(learning(0), self.seen[0], space=self.space, day=self.day, seed=0)
        )

    def live(self, of: Mapping[str, int], *, days: int = 1) -> Life:
        for _ in range(days):
            self.day += timedelta(days=1)
            rows = requests(of, self.rng)
            if rows:
                self.seen.append(self._texts(rows))
            self.model = self._next(self.draft())
        return self

    def draft(self) -> Draft:
        """The draft of the day at hand."""
        classifier = self.model.classifier()
        recent = [one for one in self.seen if (self.day - one.days[0]).days < WINDOW_DAYS]
        parts = [(one, classifier.judge(one.vectors)) for one in recent]
        return refreshed(self.model, parts, classifier, space=self.space, day=self.day, seed=0)

    def given(self, intent: str, count: int = 60) -> Counter[str | None]:
        """The ids that fresh wordings of an intent are given, None where they are unknown."""
        texts = [wording(intent, random.Random(number)) for number in range(count)]
        verdict = self.model.classifier().judge(self.space.embed(texts))
        unknown = float(self.model.thresholds["unknown"])
        pairs = zip(verdict.nearest.tolist(), verdict.score.tolist(), strict=True)
        return Counter(None if score < unknown else self.model.columns[place] for place, score in pairs)

    def told(self, *kinds: str) -> list[Mapping[str, object]]:
        return [event for _, event in self.events if event["kind"] in kinds]

    def change(self, intent_id: str, **values: object) -> None:
        """As a person or an earlier day would have left it."""
        intents = {one.intent_id: one for one in self.model.intents}
        intents[intent_id] = replace(intents[intent_id], **values)  # type: ignore[arg-type]
        self._put(intents)

    def make(self, groups: Sequence[Sequence[str]]) -> list[str]:
        """Replace all intents by these groups of trace ids of the bootstrap; gives their ids."""
        sample = self.seen[0]
        place = {one: number for number, one in enumerate(sample.ids)}
        members = [np.array(sorted(place[one] for one in group)) for group in groups]
        labels = label_groups([[sample.texts[index] for index in of] for of in members])
        made: list[Intent] = [
            form(sample, of, label, born=self.day, status=ACTIVE)
            for of, label in zip(members, labels, strict=True)
        ]
        self._put({one.intent_id: one for one in made})
        return [one.intent_id for one in made]

    def _put(self, intents: Mapping[str, Intent]) -> None:
        draft = Draft(intents, self.model.thresholds)
        self.model = succeed(self.model, draft, traces_seen=0, space=self.space.name)

    def _next(self, draft: Draft) -> Model:
        self.events += [(self.day, event) for event in draft.events]
        before = getattr(self, "model", learning(0))
        return succeed(before, draft, traces_seen=0, space=self.space.name)

    def _texts(self, rows: Sequence[tuple[str, str]]) -> Texts:
        ids = tuple(f"{self.day}-{number:03d}" for number in range(len(rows)))
        self.gold.update(zip(ids, (intent for _, intent in rows), strict=True))
        texts = tuple(text for text, _ in rows)
        return Texts((self.day,) * len(rows), ids, texts, self.space.embed(texts))
