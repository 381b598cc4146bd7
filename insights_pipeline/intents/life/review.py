"""A weekly look at the intents themselves: one that is two is split, two that are one are merged, beyond doubt only.

What the communities of one week show is chance as often as not. The same parts, or the same pair, must show on
three reviews, and be as far apart as different intents are (or as near as halves of one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.life.growth import likeness
from insights_pipeline.intents.life.proposals import Proposal
from insights_pipeline.intents.life.step import Step, anchored
from insights_pipeline.intents.model import ACTIVE, MERGED, Intent
from insights_pipeline.intents.naming.labels import label_groups
from insights_pipeline.intents.vectors import Texts, cosines, exact, unit

_REVIEWS = 3
_PART = 12  # members of a part at least, and a share of the intent
_SHARE = 0.2
_OWN = 0.6  # of a community that a part must be, or of two intents that lies in the same communities
_TWO = 0.3  # likeness of parts below which they are different intents
_ONE = 0.65  # likeness above which two intents are one; 1 for halves, .7–.8 once each has the traces nearer to it
_SAME_PART = 0.5  # Jaccard overlap of exemplars


@dataclass(frozen=True, slots=True)
class _Members:
    """An intent in the graph of today: exemplars and recent traces in one table, and the community of each."""

    sample: Texts = field(repr=False)
    community: NDArray[np.int64] = field(repr=False)


def review(step: Step, found: Proposal) -> None:
    """Carry out the splits and merges that this review makes certain; remember the others."""
    members = {one.intent_id: _members(step, found, one) for one in step.judged()}
    _merge(step, members)
    _split(step, members, np.bincount(np.concatenate([found.of_exemplars, found.of_traces])))


def _members(step: Step, found: Proposal, intent: Intent) -> _Members:
    place = {one: number for number, one in enumerate(intent.exemplar_ids)}
    mine = [
        (number, place[one])
        for number, (owner, one) in enumerate(found.exemplars)
        if owner == intent.intent_id and one in place
    ]
    own = step.window.ids.index(intent.intent_id)
    recent = np.flatnonzero(step.window.given[found.traces] == own)
    traces = found.traces[recent]
    sample = step.window.sample
    texts = Texts(
        (intent.born,) * len(mine) + tuple(sample.days[index] for index in traces),
        tuple(intent.exemplar_ids[one] for _, one in mine) + tuple(sample.ids[index] for index in traces),
        tuple(intent.exemplar_texts[one] for _, one in mine) + tuple(sample.texts[index] for index in traces),
        np.concatenate([intent.exemplar_vectors[[one for _, one in mine]], sample.vectors[traces]]),
    )
    # a trace that became an exemplar is there twice
    _, first = np.unique(np.array(texts.ids), return_index=True)
    community = np.concatenate([found.of_exemplars[[number for number, _ in mine]], found.of_traces[recent]])
    kept = np.sort(first)
    return _Members(_taken(texts, kept), community[kept].astype(np.int64))


def _taken(texts: Texts, rows: NDArray[np.int64]) -> Texts:
    return Texts(
        tuple(texts.days[row] for row in rows),
        tuple(texts.ids[row] for row in rows),
        tuple(texts.texts[row] for row in rows),
        texts.vectors[rows],
    )


def _merge(step: Step, members: dict[str, _Members]) -> None:
    """Pairs that lie in the same communities, and that are as alike as halves of one intent."""
    before = step.remembered("merging")
    now: dict[str, int] = {}
    for left, right in combinations(sorted(members), 2):
        if _together(members[left].community, members[right].community) < _OWN:
            continue
        alike = likeness(
            members[left].sample.vectors.astype(np.float32), members[right].sample.vectors.astype(np.float32)
        )
        if alike < _ONE:
            continue
        pair = f"{left}|{right}"
        now[pair] = int(before.get(pair, 0)) + 1
        if now[pair] == _REVIEWS:
            _merge_pair(step, left, right, members, alike)
    step.memory["merging"] = {
        pair: count
        for pair, count in now.items()
        if all(step.intents[one].status != MERGED for one in pair.split("|"))
    }


def _together(left: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    """The part of their members that two intents have in the same communities, 0 to 1."""
    if min(len(left), len(right)) < _PART:
        return 0.0
    most = int(max(left.max(), right.max())) + 1
    shares = [np.bincount(one, minlength=most) / len(one) for one in (left, right)]
    return float(np.minimum(*shares).sum())


def _merge_pair(step: Step, left: str, right: str, members: dict[str, _Members], alike: float) -> None:
    """The anchored one stays, else the older, else the larger."""
    pair = [step.intents[left], step.intents[right]]
    if any(one.status == MERGED for one in pair):
        return
    stays, goes = sorted(pair, key=lambda one: (not anchored(one), one.born, -one.size, one.intent_id))
    evidence = {
        "likeness": round(alike, 3),
        "sizes": [len(members[one.intent_id].sample) for one in (stays, goes)],
        "exemplar_ids": [list(one.exemplar_ids[:3]) for one in (stays, goes)],
        "reviews": _REVIEWS,
    }
    if anchored(goes):
        step.tell("suggested_merge", goes, into=stays.intent_id, into_name=stays.name, **evidence)
        return
    step.change(goes.intent_id, status=MERGED, merged_into=stays.intent_id)
    step.tell("merged", goes, into=stays.intent_id, into_name=stays.name, **evidence)


def _split(step: Step, members: dict[str, _Members], sizes: NDArray[np.int64]) -> None:
    before = step.remembered("splitting")
    now: dict[str, Any] = {}
    for intent_id, of in sorted(members.items()):
        intent = step.intents[intent_id]
        if intent.status != ACTIVE:
            continue
        parts = _parts(of, sizes)
        if parts is None:
            continue
        larger, smaller = (of.sample.vectors[one].astype(np.float32) for one in parts)
        alike = likeness(larger, smaller)
        exemplars = set(intent.exemplar_ids)
        mark = sorted({of.sample.ids[row] for row in parts[1]} & exemplars)
        if alike > _TWO or len(mark) < 3:
            continue
        last = before.get(intent_id, {"exemplars": [], "reviews": 0})
        again = _jaccard(mark, last["exemplars"]) >= _SAME_PART
        now[intent_id] = {"exemplars": mark, "reviews": last["reviews"] + 1 if again else 1}
        if now[intent_id]["reviews"] == _REVIEWS:
            _split_in_two(step, intent, of, parts, alike)
        if now[intent_id]["reviews"] >= _REVIEWS and not anchored(intent):
            del now[intent_id]
    step.memory["splitting"] = now


def _parts(of: _Members, sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The two largest communities of an intent that are mostly its own, the larger first."""
    counts = np.bincount(of.community, minlength=len(sizes))
    least = max(_PART, _SHARE * len(of.community))
    own = np.flatnonzero((counts >= least) & (counts >= _OWN * sizes))
    if len(own) < 2:
        return None
    larger, smaller = own[np.lexsort((own, -counts[own]))][:2]
    return np.flatnonzero(of.community == larger), np.flatnonzero(of.community == smaller)


def _split_in_two(
    step: Step,
    intent: Intent,
    of: _Members,
    parts: Sequence[NDArray[np.int64]],
    alike: float,
) -> None:
    """The larger part keeps the id; what is in neither part goes to the nearer one."""
    evidence = {
        "likeness": round(alike, 3),
        "sizes": [len(one) for one in parts],
        "exemplar_ids": [[of.sample.ids[row] for row in one[:3]] for one in parts],
        "reviews": _REVIEWS,
    }
    if anchored(intent):
        step.tell("suggested_split", intent, **evidence)
        return
    centroids = unit(np.stack([of.sample.vectors[one].sum(axis=0, dtype=np.float64) for one in parts]))
    side = cosines(exact(of.sample.vectors), exact(centroids)).argmax(axis=1)
    label = label_groups(
        [step.space.core([of.sample.texts[row] for row in np.flatnonzero(side == 1)])],
        background=[step.space.core(one.exemplar_texts) for one in step.living()],
        taken=[one.slug for one in step.intents.values()],
    )[0]
    step.refit(intent.intent_id, of.sample, np.flatnonzero(side == 0))
    larger = step.change(intent.intent_id, changed=step.day)
    smaller = step.mint(
        of.sample,
        np.flatnonzero(side == 1),
        label,
        status=ACTIVE,
        category=intent.category,
        split_from=intent.intent_id,
        changed=step.day,
        last_seen=intent.last_seen,
    )
    step.tell("split", larger, part=smaller.intent_id, part_name=smaller.name, **evidence)


def _jaccard(left: Sequence[str], right: Sequence[str]) -> float:
    both = set(left) | set(right)
    return len(set(left) & set(right)) / len(both) if both else 0.0
