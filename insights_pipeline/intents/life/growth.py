"""Intents that appear after the first discovery: groups of traces that are nobody's, with evidence that they are new.

Clustering always finds groups, so a group alone proves nothing. It becomes an intent when its share of the traffic
rose beyond chance at some day of the window, which in a stationary stream never happens, however odd its rare
texts are; or when it was there for long, dense and far from everything known, which a fragment of an intent never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import log10

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discovery.grouping import near_copies
from insights_pipeline.intents.embedding.text import request_of
from insights_pipeline.intents.life.window import RECENT_DAYS, Window
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact, unit

LEAST_MEMBERS = 8
_LEAST_DAYS = 2
_LEAST_WORDINGS = 5
_CHANCE = 1e-6  # of a rise this large in a stationary stream, over all days that it may have begun on
_CHANCE_APART = 1e-5  # enough where the group is dense and far from everything known
_RISE = 5.0  # and at least so many times the share before
_LASTING_DAYS = 14  # from the first member to the last of a group that does not rise
_LASTING_MEMBERS = 15
# Of the traffic since its first member. The unknown traces of a large stationary stream hold small groups without end,
# odd wordings of known intents: on the traffic of the demo (seed 0) up to .6 %.
_LASTING_SHARE = 0.01
_LASTING_WORDINGS = 8  # none nearly a copy of another
_UNKNOWN = 0.5  # share of a lasting group that is unknown
_LOOKED_FROM, _LOOKED_AT = 750, 6_000  # newest unknown traces whose company is counted, and among which
_LATELY = (3, RECENT_DAYS)
_CHANCE_ONE = 1e-5  # no less than is asked of a group, which gathers more than the company of one trace
# How far a group is from all intents: 1 − similarity to the nearest over that to its own. Measured on CLINC150,
# seeds 0–2: groups of intents that nobody has .55–.87, fragments of known ones 0–.58 (median .35).
_APART_RISING = 0.4
_APART_LASTING = 0.6
_COHESION = 0.7  # of a lasting group, over the median of the living intents: odd texts are no intent
# Mean similarity between two groups over that within, above which they are one intent:
_TOGETHER = 0.5  # both rise in the same weeks; 1 for halves of one intent, .1–.45 for two
_STRANGERS = (
    0.3  # of a lasting group and any intent: above, it may be a wording that the bootstrap did not have
)
_SIDE = 20  # exemplars of an intent that a lasting group is held against
_KNOWN = 0.8  # a new wording of an intent that has long been there


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A group with evidence: members (indices into the sample), the first day of its rise, and the figures."""

    members: NDArray[np.int64] = field(repr=False)
    since: date
    evidence: dict[str, object]

    @property
    def rises(self) -> bool:
        return "log_chance" in self.evidence


def worth_a_look(window: Window) -> bool:
    """Whether some recent unknown trace has company beyond chance lately: the cheap test that ends most days.

    What does not pass waits for the next day on which all is looked at. The chance is that of one trace: with many
    traces a day some group always has a few more of last week's than of those before.
    """
    pool = np.flatnonzero(window.unknown)[-_LOOKED_AT:]
    recent = pool[window.late[pool] & (window.age[pool] < RECENT_DAYS)][-_LOOKED_FROM:]
    if len(recent) < LEAST_MEMBERS:
        return False
    age, traffic = window.age[pool], np.bincount(window.age).cumsum()
    alike = cosines(exact(window.sample.vectors[recent]), exact(window.sample.vectors[pool])) > 0.5
    company, known = alike.sum(axis=1), traffic[-1 if len(pool) < _LOOKED_AT else age.max()]
    for days in _LATELY:
        lately = traffic[min(days, len(traffic)) - 1]
        now = alike[:, age < days].sum(axis=1)
        enough = now >= LEAST_MEMBERS
        if lately == known or not enough.any():
            continue
        now, before = now[enough], (company - now)[enough]
        chance = log_chance(now, before, np.full_like(now, lately), np.full_like(now, known - lately))
        if chance.min() < log10(_CHANCE_ONE):
            return True
    return False


def newcomers(
    window: Window,
    candidates: Sequence[NDArray[np.int64]],
    classifier: Classifier,
    living: Sequence[Halves],
) -> list[Newcomer]:
    """The candidates that are new beyond doubt, largest first; fragments of one put together.

    `living` are the exemplars of each living intent.
    """
    large = [one for one in candidates if len(one) >= LEAST_MEMBERS]
    if not large:
        return []
    cohesion = float(np.median([_cohesion(one) for one in living]))

    def proven(groups: Sequence[NDArray[np.int64]]) -> list[Newcomer]:
        each = _with_evidence(window, groups, classifier, cohesion)
        return [one for one in each if one.rises or _is_stranger(window, one, living)]

    found = proven(large)
    joined = _joined(window, [one.members for one in found])
    return _disjoint(proven(joined) if len(joined) < len(found) else found)


def likeness(left: Floats, right: Floats) -> float:
    """Mean similarity of two groups of vectors over that within each; around 1 for two halves of one intent."""
    one, other = unit(left), unit(right)
    between = float(one.mean(axis=0, dtype=np.float64) @ other.mean(axis=0, dtype=np.float64))
    return between / float(np.sqrt(within(one) * within(other)))


def is_wording_of_known(ratio: float, *, young: bool) -> bool:
    """Whether a group belongs to the intent it is nearest to; an intent born lately has shown only part of itself."""
    return ratio > (_TOGETHER if young else _KNOWN)


def log_chance(
    now: NDArray[np.int64], before: NDArray[np.int64], recent: NDArray[np.int64], reference: NDArray[np.int64]
) -> NDArray[np.float64]:
    """log10 of the chance that at least `now` of `now + before` traces are recent, were the share constant.

    One-sided exact binomial test, conditional on the total; arrays of one shape.
    """
    from scipy.stats import binom

    found: NDArray[np.float64] = binom.logsf(now - 1, now + before, recent / (recent + reference)) / np.log(
        10
    )
    return found


def within(vectors: Floats) -> float:
    """Mean similarity of different unit vectors."""
    n = len(vectors)
    if n < 2:
        return 1.0
    total = vectors.sum(axis=0, dtype=np.float64)
    return max((float(total @ total) - n) / (n * (n - 1)), 1e-3)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A group in space: the cosine of each member to the others, how far it is from all intents, its centroid."""

    own: Floats = field(repr=False)
    apart: float
    centroid: Halves = field(repr=False)

    @property
    def dense(self) -> float:
        return float(self.own.mean(dtype=np.float64))


def _shape(window: Window, group: NDArray[np.int64], classifier: Classifier) -> _Shape:
    vectors = unit(window.sample.vectors[group])
    total = vectors.sum(axis=0, dtype=np.float64)
    # each member against the others, so that members and strangers are held to the same distance
    own: Floats = np.einsum("ij,ij->i", unit(total[None, :] - vectors), vectors)
    known = cosines(exact(window.sample.vectors[group]), classifier.centroids).max(axis=1)
    dense = float(own.mean(dtype=np.float64))
    apart = 1 - max(float(known.mean(dtype=np.float64)), 0.0) / max(dense, 1e-3)
    return _Shape(own, apart, unit(total[None, :])[0].astype(np.float16))


def _with_evidence(
    window: Window, groups: Sequence[NDArray[np.int64]], classifier: Classifier, cohesion: float
) -> list[Newcomer]:
    shapes = [_shape(window, group, classifier) for group in groups]
    shapes = [one for one in shapes if one.apart >= _APART_RISING]  # most are part of something known
    if not shapes:
        return []
    whole = exact(window.sample.vectors)
    known = cosines(whole, classifier.centroids).max(axis=1)
    near = cosines(exact(np.stack([one.centroid for one in shapes])), whole)
    each = [_evidence(window, one, row > known, row, cohesion) for one, row in zip(shapes, near, strict=True)]
    return [one for one in each if one is not None]


def _evidence(
    window: Window, shape: _Shape, nearer: NDArray[np.bool_], near: Floats, cohesion: float
) -> Newcomer | None:
    """What the traces nearer to the group than to any intent prove, None where that is too little."""
    apart, dense = shape.apart, shape.dense
    matches = (near >= float(np.quantile(shape.own, 0.4))) & nearer
    figures: dict[str, object] = {"apart": round(apart, 3)}
    lone = apart >= _APART_LASTING and dense >= _COHESION * cohesion
    rise = _rise(window, matches, _CHANCE_APART if lone else _CHANCE)
    if rise is not None:
        since, log = rise
        members = np.flatnonzero(matches & (window.age <= (window.day - since).days) & window.late)
        if _enough(window, members):
            return Newcomer(members, since, {**figures, "log_chance": round(log, 1)})
    if not lone:
        return None
    members = np.flatnonzero(matches & window.late)
    if len(members) < _LASTING_MEMBERS or not _enough(window, members):
        return None
    first, last = int(window.age[members].max()), int(window.age[members].min())
    if len(members) < _LASTING_SHARE * int((window.late & (window.age <= first)).sum()):
        return None
    if float(window.unknown[members].mean()) < _UNKNOWN:  # else it has an intent, if not a good one
        return None
    if len(np.unique(near_copies(window.sample.vectors[members[-300:]]))) < _LASTING_WORDINGS:
        return None  # one phrase in nearly the same words
    figures["unknown"] = round(float(window.unknown[members].mean()), 2)
    lasting = first - last >= _LASTING_DAYS and len(set(window.age[members].tolist())) >= _LASTING_DAYS // 2
    return Newcomer(members, window.day - timedelta(days=first), figures) if lasting else None


def _is_stranger(window: Window, one: Newcomer, living: Sequence[Halves]) -> bool:
    vectors = window.floats(one.members)
    return all(likeness(vectors, _nearest(vectors, each)) <= _STRANGERS for each in living)


def _nearest(vectors: Floats, exemplars: Halves) -> Floats:
    """The exemplars nearest to a group: a large intent is asked for in many ways, and it may be one of them."""
    centroid = unit(vectors.sum(axis=0, dtype=np.float64)[None, :]).astype(np.float16)
    near = cosines(exact(exemplars), exact(centroid))[:, 0]
    return exemplars[np.argsort(-near, kind="stable")[:_SIDE]].astype(np.float32)


def _cohesion(vectors: Halves) -> float:
    """Mean similarity to the centroid."""
    centroid = unit(vectors.sum(axis=0, dtype=np.float64)[None, :])
    return float(cosines(exact(vectors), exact(centroid)).mean(dtype=np.float64))


def _rise(window: Window, matches: NDArray[np.bool_], least: float) -> tuple[date, float] | None:
    """The day since which the share of the matches is larger than before, and log10 of the chance of that.

    None unless the chance is below `least`.
    """
    oldest = int(window.age.max())
    mine = np.bincount(window.age[matches], minlength=oldest + 1).cumsum()
    everyone = np.bincount(window.age, minlength=oldest + 1).cumsum()
    lately = int(window.age[window.late].max(initial=-1))
    ages = np.arange(min(lately, oldest - 1) + 1)
    now, recent = mine[ages], everyone[ages]
    before, reference = mine[-1] - now, everyone[-1] - recent
    rises = (now >= LEAST_MEMBERS) & (reference > 0) & (now * reference >= _RISE * before * recent)
    if not rises.any():
        return None
    ages, now, before, recent, reference = (one[rises] for one in (ages, now, before, recent, reference))
    # one of so many days that it may have begun on (Bonferroni)
    chance = log_chance(now, before, recent, reference) + log10(lately + 1)
    best = int(chance.argmin())
    if chance[best] >= log10(least):
        return None
    return window.day - timedelta(days=int(ages[best])), float(chance[best])


def _enough(window: Window, members: NDArray[np.int64]) -> bool:
    """Enough traces on enough days in enough wordings, and still asked for."""
    if len(members) < LEAST_MEMBERS or int(window.age[members].min()) >= RECENT_DAYS:
        return False
    wordings = {request_of(window.sample.texts[index]) for index in members[-200:]}
    return len(set(window.age[members].tolist())) >= _LEAST_DAYS and len(wordings) >= _LEAST_WORDINGS


def _joined(window: Window, groups: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Groups that are fragments of one another put together, the most alike pair first."""
    groups = list(groups)
    while len(groups) > 1:
        pairs = [
            (likeness(window.floats(groups[left]), window.floats(groups[right])), left, right)
            for right in range(len(groups))
            for left in range(right)
        ]
        ratio, left, right = max(pairs, key=lambda pair: (pair[0], -pair[1], -pair[2]))
        if ratio <= _TOGETHER:
            break
        groups[left] = np.union1d(groups[left], groups[right])
        del groups[right]
    return groups


def _disjoint(found: list[Newcomer]) -> list[Newcomer]:
    """Largest first; a trace that two groups claim stays with the larger, and what is left must still be enough."""
    kept: list[Newcomer] = []
    claimed = np.zeros(0, dtype=np.int64)
    for one in sorted(found, key=lambda one: (-len(one.members), one.members.tolist())):
        rest = np.setdiff1d(one.members, claimed)
        if len(rest) >= LEAST_MEMBERS and len(rest) > len(one.members) / 2:
            kept.append(Newcomer(rest, one.since, one.evidence))
            claimed = np.union1d(claimed, rest)
    return kept
