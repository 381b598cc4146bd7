"""Intents that people make out of others: the parts of a split, and stand-ins for traces that were moved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.corrections.edits import Part
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.embedding.text import one_line
from insights_pipeline.intents.model import ACTIVE, MERGED, PERSON, WORDS, Intent
from insights_pipeline.intents.naming.labels import describe, label_groups, slug_of
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact, unit

LEAST_TO_SPLIT = 4  # exemplars; fewer show nothing that could be divided
_ROUNDS = 20
_SAME = 0.6  # cosine above which moved traces share a stand-in; by eye on CLINC150


def part_id(parent_id: str, edit_id: int, place: int) -> str:
    """The id of a part: the same whenever and on whatever day the edit is applied."""
    digest = hashlib.sha256(f"{parent_id}|{edit_id}|{place}".encode()).hexdigest()
    return "int_" + digest[:10]


def division(vectors: Halves, parts: Sequence[Halves]) -> NDArray[np.int64]:
    """Part (0-based) of every vector (n, d): the one whose example vectors it is nearest to on average.

    With one part the rest is part 1, by two-means with the part's centre held. With none there are two, by two-means
    from two that are far apart. Every sum is of whole numbers, so the answer is the same on any machine.
    """
    whole = exact(vectors)
    if len(parts) >= 2:
        means = [unit(part.astype(np.float64).mean(axis=0)[None, :])[0] for part in parts]
        return np.asarray(cosines(whole, exact(np.stack(means))).argmax(axis=1), dtype=np.int64)
    if len(parts) == 1:
        fixed = unit(parts[0].astype(np.float64).mean(axis=0)[None, :])
        to_part = cosines(whole, exact(fixed))[:, 0]
        of = np.where(to_part > np.median(to_part), 0, 1)
        return _two_means(whole, of, fixed=fixed)
    centre = exact(unit(whole.sum(axis=0, dtype=np.float64)[None, :]))
    first = int(cosines(whole, centre)[:, 0].argmin())
    second = int(cosines(whole, whole[first : first + 1])[:, 0].argmin())
    return _two_means(whole, cosines(whole, whole[[first, second]]).argmax(axis=1))


def _two_means(whole: Floats, of: NDArray[np.int64], *, fixed: Floats | None = None) -> NDArray[np.int64]:
    for _ in range(_ROUNDS):
        if len(set(of.tolist())) < 2:
            break
        centres = unit(np.stack([whole[of == part].sum(axis=0, dtype=np.float64) for part in (0, 1)]))
        if fixed is not None:
            centres[0] = fixed[0]
        again = cosines(whole, exact(centres)).argmax(axis=1)
        if (again == of).all():
            break
        of = again
    return np.asarray(of, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Divided:
    """The parent with what it keeps and the other parts by their place; `keeper` is the place of the parent's own."""

    parent: Intent
    children: Mapping[int, Intent]
    keeper: int


def split(
    parent: Intent, parts: Sequence[Part], *, edit_id: int, space: Space, day: date, taken: Sequence[str]
) -> Divided | None:
    """A new intent for every part but one; None where the intent cannot be divided.

    Without parts: its sub-intents, else two. The part that `keeps` stays the parent, else the largest; with one part
    given, the rest.
    """
    parts = list(parts) or [Part(None, one.exemplar_texts, one.exemplar_ids) for one in parent.sub_intents]
    examples = [space.embed(part.texts) for part in parts if part.texts]
    if len(examples) < len(parts) or any(not vectors.any() for vectors in examples):
        examples = []  # of some part nothing is known
        parts = parts[:2]
    if len(parent.exemplar_ids) < LEAST_TO_SPLIT:
        return None
    of = division(parent.exemplar_vectors, examples)
    largest = 1 if len(parts) == 1 else int(np.bincount(of, minlength=len(parts)).argmax())
    parts += [Part(None)] * (2 - len(parts))
    keeper = next((place for place, part in enumerate(parts) if part.keeps), largest)
    children: dict[int, Intent] = {}
    for place, part in enumerate(parts):
        members = np.flatnonzero(of == place)
        if place != keeper and (len(members) or part.texts):
            used = [*taken, *(child.slug for child in children.values())]
            owner = part_id(parent.intent_id, edit_id, place)
            children[place] = _child(parent, part, members, owner, space, day, used)
    mine = np.flatnonzero(of == keeper)
    if not children or not (len(mine) or parts[keeper].texts):
        return None
    kept = _with_exemplars(parent, parts[keeper], mine, space, parent.intent_id)
    size = max(1, round(parent.size * len(mine) / len(of)))
    return Divided(replace(kept, size=size, changed=day, sub_intents=()), children, keeper)


def _child(
    parent: Intent,
    part: Part,
    members: NDArray[np.int64],
    child_id: str,
    space: Space,
    day: date,
    taken: Sequence[str],
) -> Intent:
    made = _with_exemplars(parent, part, members, space, child_id)
    label = label_groups([space.core(made.exemplar_texts)], taken=taken)[0]
    name = part.name or label.name
    return replace(
        _blank(made),
        intent_id=child_id,
        name=name,
        slug=label.slug if part.name is None else slug_of(name) or child_id.replace("_", "-"),
        named_by=WORDS if part.name is None else PERSON,
        phrases=label.phrases,
        description=describe(label, made.exemplar_texts),
        status=ACTIVE,
        born=day,
        changed=day,
        size=max(1, round(parent.size * len(members) / len(parent.exemplar_ids))),
        split_from=parent.intent_id,
    )


def _with_exemplars(
    parent: Intent, part: Part, members: NDArray[np.int64], space: Space, owner: str
) -> Intent:
    """The intent with its share of the exemplars, and what the person gave as examples."""
    ids = [parent.exemplar_ids[index] for index in members]
    texts = [parent.exemplar_texts[index] for index in members]
    vectors = [parent.exemplar_vectors[members]]
    known = set(texts)
    for place, text in enumerate(part.texts):
        line = one_line(text)
        trace_id = part.trace_ids[place] if place < len(part.trace_ids) else f"example:{owner}:{place}"
        vector = space.embed([text])
        if line in known or trace_id in ids or not vector.any():
            continue
        known.add(line)
        ids.append(trace_id)
        texts.append(line)
        vectors.append(vector)
    return _of_exemplars(parent, ids, texts, np.concatenate(vectors))


def _of_exemplars(intent: Intent, ids: Sequence[str], texts: Sequence[str], vectors: Halves) -> Intent:
    centroid = unit(vectors.astype(np.float64).sum(axis=0)[None, :])[0].astype(np.float16)
    return replace(
        intent,
        centroid=centroid,
        exemplar_ids=tuple(ids),
        exemplar_texts=tuple(texts),
        exemplar_vectors=vectors,
    )


def stand_ins(
    target: Intent, traces: Sequence[tuple[str, str]], *, edit_id: int, space: Space, day: date
) -> list[Intent]:
    """Merged intents that hold moved traces for their target, so that traces like them follow.

    One for each group of like traces: the mean of unlike ones would be like everything. [] when no text says anything.
    """
    vectors = space.embed([text for _, text in traces])
    made = []
    for number, group in enumerate(_alike(vectors)):
        held = _of_exemplars(
            _blank(target),
            [traces[place][0] for place in group],
            [one_line(traces[place][1]) for place in group],
            vectors[group],
        )
        stand_in = replace(
            held,
            intent_id=part_id(target.intent_id, edit_id, number),
            name=f"{target.name} (moved)",
            slug=f"{target.slug}-moved-{edit_id}-{number}",
            description="",
            phrases=(),
            status=MERGED,
            merged_into=target.intent_id,
            born=day,
            size=len(group),
        )
        made.append(stand_in)
    return made


def _alike(vectors: Halves) -> list[list[int]]:
    """Groups of row numbers, each row with the first group whose first is like it; rows of zeros are in none."""
    groups: list[list[int]] = []
    for place in np.flatnonzero(vectors.any(axis=1)).tolist():
        firsts = exact(vectors[[group[0] for group in groups]])
        like = cosines(exact(vectors[place : place + 1]), firsts)[0] >= _SAME
        if like.any():
            groups[int(like.argmax())].append(place)
        else:
            groups.append([place])
    return groups


def _blank(intent: Intent) -> Intent:
    """The intent without what was found out about it."""
    return replace(
        intent,
        named_by=WORDS,
        changed=None,
        sub_intents=(),
        split_from=None,
        merged_into=None,
        nearest_id=None,
        apart="",
        trend=None,
        trend_change=None,
        trend_p=None,
        pinned=False,
    )
