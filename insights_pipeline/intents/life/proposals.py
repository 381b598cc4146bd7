"""Where intents would stand if they were found today: communities of exemplars and recent traces in one graph.

A community that holds the most exemplars of an intent is that intent; a community that is nobody's is a candidate.
Nothing here changes a model: what is proposed is accepted, or not, on evidence (see `growth` and `review`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.graph import similarity_graph, wording_vectors
from insights_pipeline.intents.discovery.grouping import group, near_copies
from insights_pipeline.intents.discovery.map_equation import communities
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.life.window import POOL_DAYS, Window
from insights_pipeline.intents.model import Intent
from insights_pipeline.intents.vectors import unit

_EXEMPLARS = 900  # of all intents together
_EXEMPLARS_EACH = 30
_RECENT = 1_200  # newest traces that were given an intent
_UNKNOWN = 900  # newest traces that were not
_LEAST = 8  # unknown traces that may be a group
_OVERLAP = 0.3  # F1 of members above which a community is an intent's


def unknown_groups(window: Window, *, space: Space, seed: int) -> list[NDArray[np.int64]]:
    """Groups of the unknown traces of the last two weeks alone: large intents do not drown them."""
    pool = np.flatnonzero(window.unknown & window.late & (window.age < POOL_DAYS))[-_UNKNOWN:]
    if len(pool) < _LEAST:
        return []
    texts = [window.sample.texts[index] for index in pool]
    found, _ = group(texts, window.sample.vectors[pool], space, seed=seed)
    return [pool[found == number] for number in range(int(found.max()) + 1)]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Communities of one graph. `traces` are indices into the sample, their community beside them; so of exemplars.

    `owner` of a community is the intent whose members it has, None where it is a candidate.
    """

    traces: NDArray[np.int64] = field(repr=False)
    of_traces: NDArray[np.int64] = field(repr=False)
    exemplars: tuple[tuple[str, str], ...] = field(repr=False)  # the living intent, and the trace
    of_exemplars: NDArray[np.int64] = field(repr=False)
    owner: tuple[str | None, ...]

    def candidates(self) -> list[NDArray[np.int64]]:
        """Traces of every community that is nobody's, largest first."""
        return [
            self.traces[self.of_traces == number] for number, owner in enumerate(self.owner) if owner is None
        ]


def proposal(
    window: Window,
    eligible: NDArray[np.int64],
    classes: Sequence[tuple[str, Intent]],
    *,
    space: Space,
    seed: int,
) -> Proposal:
    """Communities of the exemplars and of the eligible traces (indices), found from nothing.

    A search that starts from the assignments of today leaves a new intent where its traces were put so far: on CLINC150
    (seeds 0–2) it found 70 % of new intents, this one 83 %. Ids are stable all the same, as nothing is changed by it.

    `classes` are intents, each with the living one that it stands for.
    """
    from threadpoolctl import threadpool_limits

    traces = _capped(window, eligible)
    each = int(np.clip(_EXEMPLARS // max(len(classes), 1), 8, _EXEMPLARS_EACH))
    exemplars = [(owner, one) for owner, intent in classes for one in intent.exemplar_ids[:each]]
    vectors = np.concatenate(
        [*(intent.exemplar_vectors[:each] for _, intent in classes), window.sample.vectors[traces]]
    )
    texts = [text for _, intent in classes for text in intent.exemplar_texts[:each]]
    texts += [window.sample.texts[index] for index in traces]
    place = {one: number for number, one in enumerate(window.ids)}
    members = np.concatenate(
        [np.array([place[owner] for owner, _ in exemplars], dtype=np.int64), window.given[traces]]
    )
    copy_of = near_copies(vectors)
    _, first = np.unique(copy_of, return_index=True)
    with threadpool_limits(1):  # the number of threads would change last bits, and an edge with them
        meaning = unit(vectors[first])
        wording = wording_vectors(space.core([texts[index] for index in first.tolist()]), seed=seed)
        graph = similarity_graph(meaning, wording)
        found = communities(
            graph.indptr,
            graph.indices,
            graph.data,
            seed=seed,
        )[copy_of]
    return Proposal(
        traces,
        found[len(exemplars) :],
        tuple(exemplars),
        found[: len(exemplars)],
        _owners(found, members, window.ids),
    )


def _capped(window: Window, eligible: NDArray[np.int64]) -> NDArray[np.int64]:
    """The newest of both kinds; days come in order and each day in order of a hash."""
    known = window.given[eligible] >= 0
    return np.sort(np.concatenate([eligible[known][-_RECENT:], eligible[~known][-_UNKNOWN:]]))


def _owners(
    found: NDArray[np.int64], members: NDArray[np.int64], ids: Sequence[str]
) -> tuple[str | None, ...]:
    """Each intent's id goes to one community at most, the best overlap of members first."""
    communities_, sizes = int(found.max()) + 1, np.bincount(found)
    table = np.zeros((len(ids), communities_))
    there = members >= 0
    np.add.at(table, (members[there], found[there]), 1)
    overlap = 2 * table / (table.sum(axis=1)[:, None] + sizes[None, :])
    owner: list[str | None] = [None] * communities_
    taken: set[int] = set()
    for place in np.argsort(-overlap, axis=None, kind="stable").tolist():
        intent, community = divmod(place, communities_)
        if overlap[intent, community] < _OVERLAP:
            break
        if intent not in taken and owner[community] is None:
            owner[community] = ids[intent]
            taken.add(intent)
    return tuple(owner)
