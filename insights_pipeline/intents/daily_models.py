"""The intent model carried from day to day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pyarrow as pa

from insights_pipeline.intents.arrangement.arrange import arranged
from insights_pipeline.intents.classify import Classifier, Verdict
from insights_pipeline.intents.corrections.correct import corrected, rediscovery_asked
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.life.refresh import first_draft, refreshed
from insights_pipeline.intents.life.window import WINDOW_DAYS
from insights_pipeline.intents.model import LEARNING, READY, Draft, Model, learning, succeed
from insights_pipeline.intents.steering import UNSTEERED, Steering
from insights_pipeline.intents.stored import (
    days_to_build,
    model_before,
    models_of,
    newest_space,
    reservoir,
    samples,
    space_named,
    texts_of,
    texts_per_day,
)
from insights_pipeline.intents.vectors import Texts
from insights_pipeline.lake import DayRange, Engine, Slice, rows_to_table
from insights_pipeline.lake.tables import TABLES

_PER_DAY = 2_000  # traces of a day that may show something new
_AHEAD = 14  # days read from the lake at once
_LEAST = 10  # texts below which there is nothing to discover


@dataclass(frozen=True, slots=True)
class ModelReport:
    """Rows of `intents` of these days, and the model of the last day: its status, its living intents, traces seen."""

    rows: int
    status: str  # learning | ready
    intents: int
    traces_seen: int
    events: tuple[dict[str, object], ...]  # of all the days that were made, each with its date


def update_model_days(
    engine: Engine, days: DayRange, *, bootstrap_traces: int, seed: int, steering: Steering = UNSTEERED
) -> ModelReport:
    """Replace `intent_models` and `intents` of these days, each day from the day before and the traces until then.

    Learning while no embedding space exists; discovered from a sample of everything on the first day with one;
    after that only added to, on evidence (see `refresh`). Models that later days were built on are kept (see
    `days_to_build`): to make intents anew, run from the day in question to the newest.
    """
    events = [
        event
        for run in days_to_build(engine.lake, days)
        for event in _build(engine, run, bootstrap_traces, seed, steering)
    ]
    last = models_of(engine.lake, DayRange.single(days.last))[days.last]
    by_day = engine.lake.rows_by_day("intents")
    rows = sum(by_day.get(day, 0) for day in days)
    return ModelReport(rows, last.status, len(last.living), last.traces_seen, tuple(events))


def _build(
    engine: Engine, days: DayRange, bootstrap_traces: int, seed: int, steering: Steering
) -> list[dict[str, object]]:
    """Make the models of these days; gives what happened on them."""
    fold = _Fold(engine, days, seed, steering)
    models = [(day, fold.step(day)) for day in days]
    # the intents first: a ready model without its intents would be kept once a later day has one
    engine.lake.replace(Slice("intents", days), lambda: _intent_rows(models))
    engine.lake.replace(
        Slice("intent_models", days),
        lambda: rows_to_table("intent_models", [model.row(day, bootstrap_traces) for day, model in models]),
    )
    return [{"date": str(day), **event} for day, model in models for event in model.events]


def _intent_rows(models: list[tuple[date, Model]]) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for day, model in models:
            rows = [intent.row(day, model.version) for intent in model.intents]
            yield from rows_to_table("intents", rows).to_batches()

    return pa.RecordBatchReader.from_batches(TABLES["intents"].schema, batches())


@dataclass(slots=True)
class _Window:
    """Samples of the days up to 28 before the one at hand, and the verdicts of the newest classifier on them."""

    engine: Engine
    space: Space
    last: date
    seed: int
    attributes: Sequence[str] = ()
    texts: dict[date, Texts] = field(default_factory=dict)
    read_until: date | None = None
    classifier: Classifier | None = None
    version: str = ""
    verdicts: dict[date, Verdict] = field(default_factory=dict)

    def upto(self, day: date, model: Model) -> list[tuple[Texts, Verdict]]:
        first = day - timedelta(days=WINDOW_DAYS - 1)
        if self.read_until is None or self.read_until < day:
            # not from `day` on: the window was not asked for on a day on which intents were discovered anew
            self._read(first if self.read_until is None else self.read_until + timedelta(days=1), day)
        for known in [known for known in self.texts if known < first]:
            del self.texts[known]
            self.verdicts.pop(known, None)
        if self.version != model.version:
            self.version, self.classifier = model.version, model.classifier()
            self.verdicts.clear()
        return [(texts, self._verdict(known)) for known, texts in sorted(self.texts.items()) if known <= day]

    def _read(self, first: date, day: date) -> None:
        self.read_until = min(self.last, day + timedelta(days=_AHEAD))
        days = DayRange(first, self.read_until)
        found = samples(
            self.engine, days, self.space, per_day=_PER_DAY, seed=self.seed, attributes=self.attributes
        )
        self.texts.update(found)

    def _verdict(self, day: date) -> Verdict:
        if day not in self.verdicts:
            assert self.classifier is not None
            self.verdicts[day] = self.classifier.judge(self.texts[day].vectors)
        return self.verdicts[day]


class _Fold:
    """What a range keeps in memory from day to day; a run that starts later reads the same values from the lake."""

    def __init__(self, engine: Engine, days: DayRange, seed: int, steering: Steering) -> None:
        self.engine, self.days, self.seed, self.steering = engine, days, seed, steering
        before = max((day for day in engine.lake.days("intent_models") if day < days.first), default=None)
        self.model = model_before(engine.lake, days.first) or learning(0)
        count_from = before + timedelta(days=1) if before else date(1970, 1, 1)
        self.texts = texts_per_day(engine, DayRange(count_from, days.last))
        window = DayRange(days.first - timedelta(days=WINDOW_DAYS - 1), days.last)
        self.totals = texts_per_day(engine, window)  # of which the samples are a part
        self.window: _Window | None = None

    def step(self, day: date) -> Model:
        seen = self.model.traces_seen + sum(self.texts.pop(one) for one in sorted(self.texts) if one <= day)
        space = self._space(day)
        if space is None:
            self.model = learning(seen)
        elif self._is_discovery(day, space):
            self.model = self._discovered(day, space, seen)
        else:
            assert self.window is not None
            parts = self.window.upto(day, self.model)
            classifier = self.window.classifier or self.model.classifier()
            draft = refreshed(
                self.model,
                parts,
                classifier,
                space=space,
                day=day,
                seed=self.seed,
                granularity=self.steering.granularity,
                totals=self.totals,
            )
            self.model = self._finished(self.model, draft, day, space, seen)
        return self.model

    def _is_discovery(self, day: date, space: Space) -> bool:
        if self.model.status == LEARNING or self.model.space != space.name:
            return True
        return rediscovery_asked(self.steering.edits, day, self.model) is not None

    def _finished(self, parent: Model, draft: Draft, day: date, space: Space, seen: int) -> Model:
        """What is found stands first; people's corrections go over it; then all is arranged, and named last."""
        draft = self._arranged(draft, day, space)
        if self.steering.namer is not None:
            draft = self.steering.namer.named(draft, space=space, first=not parent.intents)
            draft = self._arranged(draft, day, space)  # a model that names may split and merge
        return succeed(parent, draft, traces_seen=seen, space=space.name)

    def _arranged(self, draft: Draft, day: date, space: Space) -> Draft:
        draft = corrected(draft, self.steering.edits, space=space, day=day)
        return arranged(draft, space=space, categories=self.steering.categories)

    def _space(self, day: date) -> Space | None:
        """The model's own space while the lake has it and the setting is its embedder; else the newest, if it may.

        In another space than the model's the intents are discovered anew.
        """
        space = self._own_space(day)
        embeddings = self.steering.embeddings
        if space is None or space.embedder != embeddings.embedder:
            newest = newest_space(self.engine.lake, day, embeddings)
            if space is None or (newest is not None and newest.embedder == embeddings.embedder):
                space = newest
        if space is not None and (self.window is None or self.window.space.name != space.name):
            self.window = _Window(self.engine, space, self.days.last, self.seed, self.steering.attributes)
        return space

    def _own_space(self, day: date) -> Space | None:
        if self.window is not None and self.window.space.name == self.model.space:
            return self.window.space
        if self.model.status != READY or self.model.space is None:
            return None
        return space_named(self.engine.lake, self.model.space, day, self.steering.embeddings)

    def _discovered(self, day: date, space: Space, seen: int) -> Model:
        texts = reservoir(self.engine, day, seed=self.seed, attributes=self.steering.attributes)
        sample = texts_of(texts, space)
        if len(sample) < _LEAST:  # what is known stays, though its texts may be gone
            return replace(self.model, traces_seen=seen, events=()) if self.model.intents else learning(seen)
        before = replace(self.model, status=LEARNING)
        draft = first_draft(
            before, sample, space=space, day=day, seed=self.seed, granularity=self.steering.granularity
        )
        return self._finished(before, draft, day, space, seen)
