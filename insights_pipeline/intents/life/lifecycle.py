"""emerging → active ⇄ fading → retired, and back under the old id, from nothing but the traffic of the window."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.embedding.text import request_of
from insights_pipeline.intents.life.step import Step, kept
from insights_pipeline.intents.life.window import POOL_DAYS, RECENT_DAYS, WINDOW_DAYS
from insights_pipeline.intents.model import ACTIVE, EMERGING, FADING, RETIRED, WORDS, Intent
from insights_pipeline.intents.vectors import cosines, exact

RETIRED_AFTER = 60  # days that an intent fades without traffic
_YOUNG_DAYS = 14
_RIPER = 1.3  # times the traces that it was fitted to
_WELL_KNOWN = 100  # traces at which an intent born from fewer is named again
_PATIENCE = 7  # refreshes that an emerging intent may go unconfirmed
_CONFIRMING = 2  # traces of a later day that confirm it
_SILENCE = 1e-4  # chance of so few traces in two weeks, had nothing changed
_LEAK = 0.1  # of the usual traffic: what an intent that nobody asks for is given by mistake
_BACK = 0.3  # of the usual traffic in a week: it is asked for again
_RETURNING = 3  # traces at least, on two days; of a retired intent in different words


def confirm(step: Step) -> None:
    """Emerging intents that go on are active; those that do not come back within a week are withdrawn."""
    pending = {
        one: count
        for one, count in kept(step.memory["pending"], step.window.ids).items()
        if step.intents[one].status == EMERGING
    }
    for intent_id, refreshes in sorted(pending.items()):
        mine = _since_birth(step, step.intents[intent_id])
        if int((step.window.age[mine] == 0).sum()) >= _CONFIRMING:
            if len(mine) > step.intents[intent_id].size:  # born from few traces
                _fit_again(step, step.intents[intent_id], mine)
            step.tell("promoted", step.change(intent_id, status=ACTIVE))
            del pending[intent_id]
        elif refreshes + 1 >= _PATIENCE and step.may_go(step.intents[intent_id]):
            step.tell("withdrawn", step.change(intent_id, status=RETIRED))
            del pending[intent_id]
        else:
            pending[intent_id] = refreshes + 1
    step.memory["pending"] = pending


def ripen(step: Step) -> None:
    """An intent born lately is fitted again each time it has clearly more traces than it was fitted to."""
    for intent_id in step.window.ids:
        intent = step.intents.get(intent_id)
        if intent is None or intent.status != ACTIVE or not is_young(step, intent):
            continue
        mine = _since_birth(step, intent)
        if len(mine) >= _RIPER * intent.size:
            _fit_again(step, intent, mine)


def _since_birth(step: Step, intent: Intent) -> NDArray[np.int64]:
    """Its traces of the days since the week it was born in: what looks like it before then was something else."""
    mine = step.window.of(intent.intent_id)
    since = (step.day - intent.born).days + RECENT_DAYS
    found: NDArray[np.int64] = mine[step.window.age[mine] < since]
    return found


def _fit_again(step: Step, intent: Intent, mine: NDArray[np.int64]) -> None:
    """To more traces, and once a new name: what the first happened to say is often none for the rest."""
    step.refit(intent.intent_id, step.window.sample, mine)
    if intent.named_by != WORDS or intent.pinned or not intent.size < _WELL_KNOWN <= len(mine):
        return
    label = step.label(step.window.sample, mine, besides=intent.intent_id)
    if label.slug != intent.slug:
        named = step.change(intent.intent_id, name=label.name, slug=label.slug, phrases=label.phrases)
        step.tell("renamed", named, **{"from": intent.name, "to": label.name, "by": WORDS})


def is_young(step: Step, intent: Intent) -> bool:
    """Whether it was born from few traces, in the last two weeks; parts of a split were not."""
    return (
        intent.born > step.discovered
        and intent.split_from is None
        and (step.day - intent.born).days <= _YOUNG_DAYS
    )


def see(step: Step) -> None:
    """The last day on which each intent was asked for."""
    for place, intent_id in enumerate(step.window.ids):
        ages = step.window.age[step.window.given == place]
        if len(ages) and intent_id in step.intents:
            seen = step.day - timedelta(days=int(ages.min()))
            before = step.intents[intent_id].last_seen
            if before is None or seen > before:
                step.change(intent_id, last_seen=seen)


def follow_traffic(step: Step) -> None:
    """Intents fade when they fall silent beyond chance, are retired after 60 days of it, and come back."""
    quiet = kept(step.memory.get("quiet", {}), step.intents)
    counts, sampled = step.window.counts(), step.window.sampled()
    for place, intent_id in enumerate(step.window.ids):
        intent = step.intents.get(intent_id)
        if intent is None:
            continue
        mine = counts[place]
        if intent.status == ACTIVE and _silent(step, mine, sampled, intent.last_seen or intent.born):
            quiet[intent_id] = {"since": str(step.day), "usual": float(mine.sum() / sampled.sum())}
            step.tell("faded", step.change(intent_id, status=FADING), last_seen=_told(intent.last_seen))
        elif intent.status == FADING:
            _faded(step, intent_id, quiet, mine, sampled)
    step.memory["quiet"] = quiet
    _come_back(step, sampled)


def _silent(step: Step, mine: NDArray[np.int64], sampled: NDArray[np.int64], seen: date) -> bool:
    if int((sampled[-POOL_DAYS:] > 0).sum()) < POOL_DAYS:
        return False  # days without any traffic say nothing of one intent
    if (step.day - seen).days >= WINDOW_DAYS:
        return True
    lately, share = int(mine[-POOL_DAYS:].sum()), float(mine.sum() / sampled.sum())
    expected = share * float(sampled[-POOL_DAYS:].sum())
    return lately <= _LEAK * expected and _log_poisson(lately, expected) < log(_SILENCE)


def _faded(
    step: Step, intent_id: str, quiet: dict[str, Any], mine: NDArray[np.int64], sampled: NDArray[np.int64]
) -> None:
    known = quiet.setdefault(intent_id, {"since": str(step.day), "usual": 0.0})
    intent = step.intents[intent_id]
    week = float(sampled[-RECENT_DAYS:].sum())
    lately = mine[-RECENT_DAYS:]
    asked = int((lately > 0).sum()) >= 2 and int(lately.sum()) >= max(
        _RETURNING, _BACK * known["usual"] * week
    )
    if asked:
        step.tell("returned", step.change(intent_id, status=ACTIVE), silent_since=known["since"])
        del quiet[intent_id]
    elif (step.day - date.fromisoformat(known["since"])).days >= RETIRED_AFTER and step.may_go(intent):
        step.tell("retired", step.change(intent_id, status=RETIRED), last_seen=_told(intent.last_seen))


def _come_back(step: Step, sampled: NDArray[np.int64]) -> None:
    """Retired intents that are asked for again: traces of the week that are nearer to them than to any living one.

    Those that were withdrawn are not looked for: they were never anybody's for long.
    """
    quiet = step.remembered("quiet")
    retired = [step.intents[one] for one in sorted(quiet) if step.intents[one].status == RETIRED]
    recent = np.flatnonzero(step.window.age < RECENT_DAYS)
    if not retired or len(recent) == 0:
        return
    vectors = step.window.sample.vectors[recent]
    living = cosines(exact(vectors), step.classifier.centroids).max(axis=1)
    judge = Classifier.of(
        np.stack([one.centroid for one in retired]), [one.exemplar_vectors for one in retired]
    )
    verdict = judge.judge(vectors)
    own = cosines(exact(vectors), judge.centroids).max(axis=1)
    theirs = np.where((own > living) & (verdict.score >= float(step.memory["unknown"])), verdict.nearest, -1)
    for place, intent in enumerate(retired):
        mine = recent[theirs == place]
        wordings = {request_of(step.window.sample.texts[index]) for index in mine}
        usual = quiet[intent.intent_id]["usual"] * float(sampled[-RECENT_DAYS:].sum())
        days = set(step.window.age[mine].tolist())
        if len(wordings) >= max(_RETURNING, _BACK * usual) and len(days) >= 2 and min(days) <= 1:
            bring_back(step, intent.intent_id, len(mine))


def bring_back(step: Step, intent_id: str, traces: int) -> None:
    """A retired intent is active again, under its old id, name and definition."""
    quiet = step.remembered("quiet")
    silent = quiet.pop(intent_id, {}).get("since")
    step.memory["quiet"] = quiet
    back = replace(step.intents[intent_id], status=ACTIVE, last_seen=step.day)
    step.intents[intent_id] = back
    step.tell("returned", back, silent_since=silent, members=traces)


def _log_poisson(at_most: int, expected: float) -> float:
    """Log of the chance of at most so many where `expected` are."""
    from scipy.stats import poisson

    return float(poisson.logcdf(at_most, expected)) if expected > 0 else 0.0


def _told(day: date | None) -> str | None:
    return None if day is None else str(day)
