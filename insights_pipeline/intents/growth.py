"""Intents that appear after the first discovery: groups of traces unlike anything known that were not there before.

Clustering always finds groups, so a group alone proves nothing. A group becomes an intent when its share of the
traffic rose beyond chance against the weeks before; of a stationary stream that is never true, however odd its
rare texts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from math import log10

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier, Verdict
from insights_pipeline.intents.grouping import group
from insights_pipeline.intents.spaces import Space
from insights_pipeline.intents.text import request_of
from insights_pipeline.intents.vectors import Floats, Texts, cosines, exact, unit

WINDOW_DAYS = 28
POOL_DAYS = 14
RECENT_DAYS = 7
LEAST_MEMBERS = 8
_LEAST_DAYS = 2
_LEAST_WORDINGS = 5
_POOL = 1_500
_CHANCE = 1e-6  # of a rise this large in a stationary stream
_RISE = 5.0  # and at least so many times the share before
# Mean similarity between two groups over that within, above which they are one intent:
_RISING_TOGETHER = (
    0.33  # both rise in the same weeks: far more often fragments of one than two intents at once
)
_STRANGERS = 0.15  # a fragment of an intent of the last two weeks, if no other intent is nearer
_KNOWN = 0.8  # a new wording of an intent that has long been there


@dataclass(frozen=True, slots=True)
class Window:
    """The traces of the last 28 days as one sample, with the verdict of the current model on each."""

    sample: Texts
    verdict: Verdict
    recent: NDArray[np.bool_] = field(repr=False)  # after the reference weeks
    pooled: NDArray[np.bool_] = field(repr=False)  # unknown, of the last 14 days


def window_of(
    parts: Sequence[tuple[Texts, Verdict]], *, day: date, discovered: date, unknown: float
) -> Window:
    """Days in order. Recent are the last 7 days, but no day that the intents were discovered on."""
    sample = Texts(
        tuple(one for texts, _ in parts for one in texts.days),
        tuple(one for texts, _ in parts for one in texts.ids),
        tuple(one for texts, _ in parts for one in texts.texts),
        np.concatenate([texts.vectors for texts, _ in parts]),
    )
    verdict = Verdict(
        np.concatenate([one.nearest for _, one in parts]),
        np.concatenate([one.score for _, one in parts]),
        np.concatenate([one.margin for _, one in parts]),
    )
    age = np.array([(day - one).days for one in sample.days])
    late = np.array([one > discovered for one in sample.days])
    recent = (age < RECENT_DAYS) & late
    return Window(sample, verdict, recent, (verdict.score < unknown) & (age < POOL_DAYS) & late)


def rising_groups(
    window: Window, classifier: Classifier, *, space: Space, seed: int
) -> list[NDArray[np.int64]]:
    """Members (indices into the window's recent traces) of every group that is new, largest first."""
    pool = _capped(np.flatnonzero(window.pooled), _POOL)
    if not _dense(window, pool):
        return []
    texts = [window.sample.texts[index] for index in pool]
    found, _ = group(texts, window.sample.vectors[pool], space, seed=seed)
    groups = [pool[found == number] for number in range(int(found.max()) + 1)]
    whole = exact(window.sample.vectors)
    known = cosines(whole, classifier.centroids).max(axis=1)
    rising = [members for one in groups if (members := _rising(window, one, whole, known)) is not None]
    joined = _joined(window, rising)
    if len(joined) < len(rising):
        joined = [members for one in joined if (members := _rising(window, one, whole, known)) is not None]
    return _disjoint(joined)


def likeness(window: Window, members: NDArray[np.int64], exemplars: Floats) -> float:
    """Mean similarity of a group to exemplars over that within each; around 1 for two halves of one intent."""
    left, right = unit(window.sample.vectors[members]), unit(exemplars)
    between = float(left.mean(axis=0) @ right.mean(axis=0))
    return between / float(np.sqrt(_within(left) * _within(right)))


def is_wording_of_known(ratio: float, *, young: bool) -> bool:
    """Whether a group belongs to the intent it is nearest to; an intent born lately has shown only part of itself."""
    return ratio > (_STRANGERS if young else _KNOWN)


def _capped(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The newest; days come in order and each day in order of a hash."""
    return indices[-most:]


def _dense(window: Window, pool: NDArray[np.int64]) -> bool:
    """Whether any recent unknown trace has enough recent company; the cheap test that ends most days."""
    recent = pool[window.recent[pool]]
    if len(recent) < LEAST_MEMBERS:
        return False
    similar = cosines(exact(window.sample.vectors[recent]), exact(window.sample.vectors[pool])) > 0.5
    company = (similar & window.recent[pool][None, :]).sum(axis=1)
    before = (similar & ~window.recent[pool][None, :]).sum(axis=1)
    return bool(((company >= LEAST_MEMBERS) & (company >= 2.5 * before)).any())


def _rising(
    window: Window, group_: NDArray[np.int64], whole: Floats, known: Floats
) -> NDArray[np.int64] | None:
    """The recent traces nearer to the group than to any known intent, if there are so many more than before."""
    if len(group_) < LEAST_MEMBERS:
        return None
    vectors = unit(window.sample.vectors[group_])
    total = vectors.sum(axis=0)
    # each member against the others, so that members and strangers are held to the same distance
    others = unit(total[None, :] - vectors)
    radius = float(np.quantile(np.einsum("ij,ij->i", others, vectors), 0.4))
    centroid = unit(total[None, :]).astype(np.float16)
    near = cosines(whole, exact(centroid))[:, 0]
    matches = (near >= radius) & (near > known)
    members = np.flatnonzero(matches & window.recent)
    before = int((matches & ~window.recent).sum())
    recent, reference = int(window.recent.sum()), int((~window.recent).sum())
    days = {window.sample.days[index] for index in members}
    wordings = {request_of(window.sample.texts[index]) for index in members}
    if len(members) < LEAST_MEMBERS or len(days) < _LEAST_DAYS or len(wordings) < _LEAST_WORDINGS:
        return None
    if reference == 0 or len(members) * reference < _RISE * before * recent:
        return None
    return members if log_chance(len(members), before, recent, reference) < log10(_CHANCE) else None


def log_chance(now: int, before: int, recent: int, reference: int) -> float:
    """log10 of the chance that at least `now` of `now + before` traces are recent, were the share constant.

    One-sided exact binomial test, conditional on the total.
    """
    from scipy.stats import binom

    return float(binom.logsf(now - 1, now + before, recent / (recent + reference)) / np.log(10))


def _joined(window: Window, groups: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Groups that are fragments of one another put together, the most alike pair first."""
    groups = list(groups)
    while len(groups) > 1:
        pairs = [
            (
                likeness(window, groups[left], window.sample.vectors[groups[right]].astype(np.float32)),
                left,
                right,
            )
            for right in range(len(groups))
            for left in range(right)
        ]
        ratio, left, right = max(pairs, key=lambda pair: (pair[0], -pair[1], -pair[2]))
        if ratio <= _RISING_TOGETHER:
            break
        groups[left] = np.union1d(groups[left], groups[right])
        del groups[right]
    return groups


def _disjoint(groups: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Largest first; a trace that two groups claim stays with the larger, and what is left must still be enough."""
    kept: list[NDArray[np.int64]] = []
    claimed = np.zeros(0, dtype=np.int64)
    for one in sorted(groups, key=lambda members: (-len(members), members.tolist())):
        rest = np.setdiff1d(one, claimed)
        if len(rest) >= LEAST_MEMBERS and len(rest) > len(one) / 2:
            kept.append(rest)
            claimed = np.union1d(claimed, rest)
    return kept


def _within(vectors: Floats) -> float:
    """Mean similarity of different members."""
    n = len(vectors)
    if n < 2:
        return 1.0
    total = vectors.sum(axis=0, dtype=np.float64)
    return max((float(total @ total) - n) / (n * (n - 1)), 1e-3)
