"""The scale on which texts fall into intents: a neighbourhood no larger than the communities that it shows.

The map equation on nearest neighbours finds more and smaller communities the shorter a neighbourhood reaches, and
joins what belongs apart once it reaches beyond the members of an intent. How far is far enough is not known before
the intents are. The search therefore widens the neighbourhood step by step, each time from the communities found
before, and stops where it would reach over more texts than a community has on average: five large intents are looked
at through wide neighbourhoods, sixty small ones through narrow ones. It stops earlier where the number of communities
hardly falls any more while neighbourhoods grow, since then they are there on several scales.

`_NEAR` and `_STEEP` were chosen on CLINC150 (whole, and one or three of its domains alone: 3 to 150 intents, sampling
seeds 0-2) and on templates of smart-home requests in English; agreement changes little between 0.7 and 0.8 and
between 0.3 and 0.5, but from 0.6 on few intents come out in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.graph import Nearest, joined, nearest, pull_apart
from insights_pipeline.intents.discovery.map_equation import Labels, by_size, communities
from insights_pipeline.intents.discovery.merge import merge_alike
from insights_pipeline.intents.vectors import Floats, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SHORTEST = 6
_STEP = 1.25
_WIDEST = 100  # neighbourhood of the graph in which links between communities are counted
_NEAR = 0.7  # of the mean size of communities: from this reach on a plateau is enough to stop
_STEEP = 0.5  # a number of communities that falls more slowly than the reach to the power −1/2 is a plateau
_AHEAD = 2  # levels over which the fall is measured
_EDGES = (
    200_000  # directed edges of one view that a search may look at, so that many texts cost no more than 5 s
)
_REACH = 48  # but never shorter neighbourhoods than this


class Level(NamedTuple):
    """Communities (n,) on one scale: how many texts a neighbourhood reaches over, and how many groups there are."""

    reach: float
    groups: int
    labels: Labels


def fitting_communities(
    meaning: Floats,
    wording: Floats,
    *,
    seed: int,
    granularity: float = 1.0,
    attributes: NDArray[np.int64] | None = None,
) -> Labels:
    """The communities about as large as the neighbourhoods they were found with, or smaller by `granularity`.

    `meaning` and `wording` are unit rows (n, d) of the same texts, `attributes` codes (n, a), −1 where not known.
    Communities too small to be an intent join the nearest, those that are one intent one another. Never one
    group only, unless the finest scale shows no more.
    """
    least = smallest_group(len(meaning))
    levels: list[Level] = []
    for level in _levels(meaning, wording, least=least, seed=seed, attributes=attributes):
        if levels and level.groups > levels[-1].groups and len(levels) == 1:
            levels.clear()  # on so fine a scale most communities are still too small to count
        levels.append(level)
        if len(levels) > 1 and _fill(level, len(meaning), granularity) > 1:
            break
    fitting = _fitting(levels, len(meaning), granularity)
    found = absorb_tiny(fitting.labels, meaning, least=least)
    reach = int(np.clip(len(meaning) / (int(found.max()) + 1), _SHORTEST, _WIDEST))
    graph = joined(nearest(meaning, reach), nearest(wording, reach), reach=reach)
    if attributes is not None:
        graph = pull_apart(graph, attributes)
    return merge_alike(found, meaning, wording, graph, granularity=granularity)


def _fitting(levels: Sequence[Level], texts: int, granularity: float) -> Level:
    """The last level, from fine to coarse, before neighbourhoods outgrow communities or at which a plateau begins."""
    chosen = levels[0]
    for place, level in enumerate(levels[1:], start=1):
        fill = _fill(level, texts, granularity)
        if fill > 1:
            break
        if 2 <= level.groups <= chosen.groups:
            chosen = level
        if fill > _NEAR and place + _AHEAD < len(levels) and _fall(level, levels[place + _AHEAD]) < _STEEP:
            break
    return chosen


def _fill(level: Level, texts: int, granularity: float) -> float:
    """How much of a community of mean size a neighbourhood takes up."""
    return level.reach * level.groups * granularity / texts


def _fall(fine: Level, coarse: Level) -> float:
    """The power of the reach with which the number of communities falls."""
    return float(np.log(max(fine.groups, 1) / max(coarse.groups, 1)) / np.log(coarse.reach / fine.reach))


def _levels(
    meaning: Floats, wording: Floats, *, least: int, seed: int, attributes: NDArray[np.int64] | None
) -> Iterator[Level]:
    """Communities from the finest scale to the one of two groups, each search starting from those before.

    Beyond what fits `_EDGES`, every other text is left out and the rest looked at through neighbourhoods of half as
    many: a large community shows in fewer texts as well. Those left out go with their nearest.
    """
    texts = len(meaning)
    kept = np.arange(texts)
    views = _views(meaning, wording)
    fine: csr_matrix | None = None
    labels: Labels | None = None
    reach = min(float(_SHORTEST), max(texts / 4, 1))
    while labels is None or reach <= len(kept) / 2:
        if reach > _furthest(len(kept)) and labels is not None:
            if fine is None:
                fine = joined(*views, reach=_furthest(texts))
            kept, labels, reach = kept[::2], labels[::2], reach / 2
            views = _views(meaning[kept], wording[kept])
        graph = joined(*views, reach=round(reach))
        if attributes is not None:
            graph = pull_apart(graph, attributes[kept])
        labels = communities(graph.indptr, graph.indices, graph.data, seed=seed, start=labels)
        everyone = labels if fine is None else _with_nearest(labels, kept, fine, meaning)
        groups = int((np.bincount(everyone) >= least).sum())
        yield Level(round(reach) * texts / len(kept), groups, everyone)
        reach *= _STEP


def _views(meaning: Floats, wording: Floats) -> tuple[Nearest, Nearest]:
    most = min(_furthest(len(meaning)), len(meaning) // 2 + 1)
    return nearest(meaning, most), nearest(wording, most)


def _furthest(texts: int) -> int:
    return max(_REACH, _EDGES // texts)


def _with_nearest(labels: Labels, kept: Labels, graph: csr_matrix, meaning: Floats) -> Labels:
    """Labels of all texts from those of the kept: most of a text's edges decide, without any the nearest centroid."""
    from scipy.sparse import csr_matrix

    parts = int(labels.max()) + 1
    member = csr_matrix((np.ones(len(kept)), (kept, labels)), shape=(len(meaning), parts))
    votes = (graph @ member).toarray()
    everyone = votes.argmax(axis=1)
    alone = votes.max(axis=1) == 0
    if alone.any():
        centroids = unit(member.T @ meaning)
        everyone[alone] = (meaning[alone] @ centroids.T).argmax(axis=1)
    everyone[kept] = labels
    found: Labels = everyone.astype(np.int64)
    return found


def smallest_group(texts: int) -> int:
    """Fewer texts than this are nobody's intent yet: 3 of a few hundred, 8 of 5,000."""
    return int(np.clip(round(np.sqrt(texts) / 8), 3, 8))


def absorb_tiny(labels: Labels, meaning: Floats, *, least: int) -> Labels:
    """Communities of fewer than `least` nodes join the nearest centroid of the others; numbered by size again."""
    sizes = np.bincount(labels)
    kept = np.flatnonzero(sizes >= least)
    if len(kept) == 0 or len(kept) == len(sizes):
        return labels
    sums = np.zeros((len(sizes), meaning.shape[1]))
    np.add.at(sums, labels, meaning)
    centroids = unit(sums)[kept]
    small = sizes[labels] < least
    joined_ = labels.copy()
    joined_[small] = kept[(meaning[small] @ centroids.T).argmax(axis=1)]
    return by_size(joined_)
