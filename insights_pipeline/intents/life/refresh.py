"""One day's step of the intent model: what was known stays as it is, what is new is added, on evidence only.

Centroids of known intents are frozen: a metric must not move because the model did. Only an intent in its first
two weeks is still fitted, as it was born from few traces; a split fits both parts, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier, Verdict
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.life.growth import (
    LEAST_MEMBERS,
    Newcomer,
    is_wording_of_known,
    likeness,
    newcomers,
    worth_a_look,
)
from insights_pipeline.intents.life.inherit import inherited
from insights_pipeline.intents.life.lifecycle import bring_back, confirm, follow_traffic, is_young, ripen, see
from insights_pipeline.intents.life.proposals import proposal, unknown_groups
from insights_pipeline.intents.life.review import review
from insights_pipeline.intents.life.step import Step
from insights_pipeline.intents.life.trend import DECLINING, GROWING, trends
from insights_pipeline.intents.life.window import POOL_DAYS, WINDOW_DAYS, window_of
from insights_pipeline.intents.model import EMERGING, RETIRED, Draft, Intent, Model
from insights_pipeline.intents.vectors import Texts, cosines, exact, unit

_SAME_CATEGORY = 0.3
_SAME = 0.8  # cosine of centroids: a group is a retired intent come back
_LOOK_EVERY = 3  # days, whether or not something looks new
_REVIEW_EVERY = 7


def first_draft(
    before: Model, sample: Texts, *, space: Space, day: date, seed: int, granularity: float = 1.0
) -> Draft:
    """The intents discovered from a sample of everything up to `day`; ids are those of `before` where they can be."""
    intents, unknown = discover(sample, space, born=day, seed=seed, granularity=granularity)
    fresh = Draft(
        {intent.intent_id: intent for intent in intents},
        {"unknown": unknown, "discovered": str(day), "pending": {}},
        ({"kind": "bootstrapped", "intents": len(intents), "traces": len(sample)},),
    )
    return inherited(before, fresh, space=space, day=day) if before.intents else fresh


def refreshed(
    model: Model,
    parts: Sequence[tuple[Texts, Verdict]],
    classifier: Classifier,
    *,
    space: Space,
    day: date,
    seed: int,
    granularity: float = 1.0,
    totals: Mapping[date, int] | None = None,
) -> Draft:
    """The intents of `day` from that of the day before and the traces of the last 30 days, each with its verdict.

    `parts` are in order of their days; `totals` says how many traces a day had of which `parts` hold a sample.
    """
    if not parts or day not in parts[-1][0].days:  # a day without traffic decides nothing
        return Draft({one.intent_id: one for one in model.intents}, dict(model.thresholds))
    discovered = date.fromisoformat(model.thresholds["discovered"])
    window = window_of(
        parts, model.columns, day=day, discovered=discovered, unknown=float(model.thresholds["unknown"])
    )
    step = Step.of(model, window, classifier, space, discovered)
    see(step)
    confirm(step)
    ripen(step)
    follow_traffic(step)
    _restructure(step, seed)
    _tell_trends(step, totals or {})
    return step.draft()


def _restructure(step: Step, seed: int) -> None:
    """What the communities of today propose, as far as the evidence goes."""
    weekly = step.day.toordinal() % _REVIEW_EVERY == 0
    if not (weekly or step.day.toordinal() % _LOOK_EVERY == 0 or worth_a_look(step.window)):
        return
    eligible = np.flatnonzero(step.window.late & (step.window.age < POOL_DAYS))
    if len(eligible) < LEAST_MEMBERS:
        return
    found = proposal(step.window, eligible, step.classes(), space=step.space, seed=seed)
    _grow(step, [*found.candidates(), *unknown_groups(step.window, space=step.space, seed=seed)])
    if weekly:
        review(step, found)


def _grow(step: Step, candidates: Sequence[NDArray[np.int64]]) -> None:
    living = [intent.exemplar_vectors for _, intent in step.classes()]
    today: dict[str, NDArray[np.int64]] = {}
    for one in newcomers(step.window, candidates, step.classifier, living):
        _add(step, one, today)


def _add(step: Step, new: Newcomer, today: dict[str, NDArray[np.int64]]) -> None:
    """An emerging intent, unless it is a retired one come back or another wording of one that is there."""
    vectors = step.window.floats(new.members)
    retired = _retired_like(step, vectors)
    if retired is not None:
        bring_back(step, retired.intent_id, len(new.members))
        return
    ratio, nearest = max(
        (likeness(vectors, one.exemplar_vectors.astype(np.float32)), one.intent_id) for one in step.living()
    )
    intent = step.intents[nearest]
    young = is_young(step, intent)
    if not is_wording_of_known(ratio, young=young):
        today.update(_mint(step, new, intent if ratio > _SAME_CATEGORY else None))
    elif young:
        mine = today[nearest] if nearest in today else step.window.of(nearest)
        members = np.union1d(mine, new.members)
        if len(members) > intent.size:
            step.refit(nearest, step.window.sample, members)


def _retired_like(step: Step, vectors: NDArray[np.float32]) -> Intent | None:
    retired = [one for _, one in sorted(step.intents.items()) if one.status == RETIRED]
    if not retired:
        return None
    centroid = exact(unit(vectors.sum(axis=0, dtype=np.float64)[None, :]))
    similar = cosines(centroid, exact(np.stack([one.centroid for one in retired])))[0]
    best = int(similar.argmax())
    return retired[best] if float(similar[best]) >= _SAME else None


def _mint(step: Step, new: Newcomer, sibling: Intent | None) -> dict[str, NDArray[np.int64]]:
    sample = step.window.sample
    label = step.label(sample, new.members)
    category = sibling.category if sibling else ""  # `arranged` finds it one
    last = max(sample.days[index] for index in new.members)
    intent = step.mint(sample, new.members, label, status=EMERGING, category=category, last_seen=last)
    step.memory["pending"] = {**step.memory["pending"], intent.intent_id: 0}
    first = min(sample.days[index] for index in new.members)
    step.tell("emerged", intent, members=len(new.members), first_seen=str(first), **new.evidence)
    return {intent.intent_id: new.members}


def _tell_trends(step: Step, totals: Mapping[date, int]) -> None:
    judged = step.judged()
    sampled = step.window.sampled().astype(np.float64)
    exposure = (sampled > 0).astype(np.float64)
    for one in set(step.window.sample.days):
        place = WINDOW_DAYS - 1 - (step.day - one).days
        if totals.get(one, 0) > sampled[place] > 0:
            exposure[place] = sampled[place] / totals[one]
    table = step.window.counts()
    found = trends(
        np.stack([table[step.window.ids.index(one.intent_id)] for one in judged]),
        exposure=exposure,
        new=[one.born > step.discovered and (step.day - one.born).days < WINDOW_DAYS for one in judged],
        before=[one.trend for one in judged],
    )
    for intent, trend in zip(judged, found, strict=True):
        told = step.change(intent.intent_id, trend=trend.verdict, trend_change=trend.change, trend_p=trend.p)
        moving = (GROWING, DECLINING)
        if trend.verdict != intent.trend and (trend.verdict in moving or intent.trend in moving):
            step.tell("trend", told, before=intent.trend, trend=trend.verdict, change=trend.change, p=trend.p)
