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
from insights_pipeline.intents.life.window import POOL_DAYS, RECENT_DAYS, Window
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact, unit

LEAST_MEMBERS = 8
_LEAST_DAYS = 2
_LEAST_WORDINGS = 5
_CHANCE = 1e-6  # of a rise this large in a stationary stream, over all days that it may have begun on
_CHANCE_APART = 1e-3  # enough where the group is dense and far from everything known
_RISE = 5.0  # and at least so many times the share before
_LASTING_DAYS = 14  # from the first member to the last of a group that does not rise
_LASTING_MEMBERS = 15
_LASTING_WORDINGS = 8  # none nearly a copy of another
_UNKNOWN = 0.5  # share of a lasting group that is unknown
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
    """Whether any recent unknown trace has more recent company than before: the cheap test that ends most days."""
    pool = np.flatnonzero(window.unknown & (window.age < POOL_DAYS) & window.late)[-1_500:]
    recent = pool[window.age[pool] < RECENT_DAYS]
    if len(recent) < LEAST_MEMBERS:
        return False
    similar = cosines(exact(window.sample.vectors[recent]), exact(window.sample.vectors[pool])) > 0.5
    lately = window.age[pool] < RECENT_DAYS
    company, before = similar[:, lately].sum(axis=1), similar[:, ~lately].sum(axis=1)
    return bool(((company >= LEAST_MEMBERS) & (company >= 2.5 * before)).any())


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
    whole = exact(window.sample.vectors)
    known = cosines(whole, classifier.centroids).max(axis=1)
    cohesion = float(np.median([_cohesion(one) for one in living]))

    def proven(groups: Sequence[NDArray[np.int64]]) -> list[Newcomer]:
        each = [_evidence(window, group, whole, known, cohesion) for group in groups]
        return [one for one in each if one is not None and (one.rises or _is_stranger(window, one, living))]

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


def log_chance(now: int, before: int, recent: int, reference: int) -> float:
    """log10 of the chance that at least `now` of `now + before` traces are recent, were the share constant.

    One-sided exact binomial test, conditional on the total.
    """
    from scipy.stats import binom

    return float(binom.logsf(now - 1, now + before, recent / (recent + reference)) / np.log(10))


def within(vectors: Floats) -> float:
    """Mean similarity of different unit vectors."""
    n = len(vectors)
    if n < 2:
        return 1.0
    total = vectors.sum(axis=0, dtype=np.float64)
    return max((float(total @ total) - n) / (n * (n - 1)), 1e-3)


def _evidence(
    window: Window, group: NDArray[np.int64], whole: Floats, known: Floats, cohesion: float
) -> Newcomer | None:
    vectors = unit(window.sample.vectors[group])
    total = vectors.sum(axis=0, dtype=np.float64)
    # each member against the others, so that members and strangers are held to the same distance
    own = np.einsum("ij,ij->i", unit(total[None, :] - vectors), vectors)
    dense = float(own.mean(dtype=np.float64))
    apart = 1 - max(float(known[group].mean(dtype=np.float64)), 0.0) / max(dense, 1e-3)
    centroid = unit(total[None, :]).astype(np.float16)
    near = cosines(whole, exact(centroid))[:, 0]
    matches = (near >= float(np.quantile(own, 0.4))) & (near > known)
    figures: dict[str, object] = {"apart": round(apart, 3)}
    lone = apart >= _APART_LASTING and dense >= _COHESION * cohesion
    chance = _CHANCE_APART if lone else _CHANCE
    rise = _rise(window, matches, chance) if apart >= _APART_RISING else None
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
    if float(window.unknown[members].mean()) < _UNKNOWN:  # else it has an intent, if not a good one
        return None
    if len(np.unique(near_copies(window.sample.vectors[members[-300:]]))) < _LASTING_WORDINGS:
        return None  # one phrase in nearly the same words
    figures["unknown"] = round(float(window.unknown[members].mean()), 2)
    lasting = first - last >= _LASTING_DAYS and len(set(window.age[members].tolist())) >= _LASTING_DAYS // 2
    return Newcomer(members, window.day - timedelta(days=first), figures) if lasting else None


def _is_stranger(window: Window, one: Newcomer, living: Sequence[Halves]) -> bool:
    vectors = window.floats(one.members)
    return all(likeness(vectors, each.astype(np.float32)) <= _STRANGERS for each in living)


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
    best: tuple[float, int] | None = None
    for age in range(min(lately, oldest - 1) + 1):
        now, recent = int(mine[age]), int(everyone[age])
        before, reference = int(mine[-1]) - now, int(everyone[-1]) - recent
        if now < LEAST_MEMBERS or reference == 0 or now * reference < _RISE * before * recent:
            continue
        # one of so many days that it may have begun on (Bonferroni)
        chance = log_chance(now, before, recent, reference) + log10(lately + 1)
        if best is None or chance < best[0]:
            best = (chance, age)
    if best is None or best[0] >= log10(least):
        return None
    return window.day - timedelta(days=best[1]), best[0]


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
