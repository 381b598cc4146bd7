"""From communities to intents: tiny ones join the nearest, and fragments of one intent are put together.

The map equation splits a large intent into its phrasings when there are few intents. All greedy merges are walked,
the most alike pair first, and two rules say how far to go; the one that goes further decides:

- the coarsest partition whose silhouette is within one standard error of the best (the one-standard-error rule of
  Breiman et al., CART, 1984, on the silhouette of Rousseeuw, 1987, by mean similarities). It follows the scale of
  the project, but is content with compact fragments where requests follow templates.
- every merge of a pair that is alike beyond doubt, whatever the scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.map_equation import by_size
from insights_pipeline.intents.vectors import Floats, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Labels = NDArray[np.int64]
Wide = NDArray[np.float64]
_WORDING = 0.5  # of the second view, where partitions are compared
_LINKS = 0.25  # exponent of the share of graph links that cross
_BEYOND_DOUBT = 0.38  # measured on 8 kinds of CLINC150 samples and 2 of templates; flat from 0.34 to 0.42


@dataclass(frozen=True, slots=True)
class _Level:
    """A partition, how alike the pair was that its last merge joined, and the silhouette width of every node."""

    partition: Labels
    alike: float
    width: NDArray[np.float32]


def absorb_tiny(labels: Labels, meaning: Floats, *, least: int) -> Labels:
    """Communities of fewer than `least` nodes join the nearest centroid of the others; numbered by size again."""
    sizes = np.bincount(labels)
    kept = np.flatnonzero(sizes >= least)
    if len(kept) == 0 or len(kept) == len(sizes):
        return labels
    centroids = unit(_sums(labels, meaning))[kept]
    small = sizes[labels] < least
    joined = labels.copy()
    joined[small] = kept[(meaning[small] @ centroids.T).argmax(axis=1)]
    return by_size(joined)


def merge_fragments(labels: Labels, meaning: Floats, wording: Floats, graph: csr_matrix) -> Labels:
    """The partition after the merges that the silhouette allows; never fewer than two parts, unless it began so.

    `meaning` and `wording` are unit rows of both views, `graph` the similarity graph the communities come from.
    """
    if labels.max() < 2:
        return labels
    scale = np.float32(1 / np.sqrt(1 + _WORDING**2))
    both: Floats = np.hstack([scale * meaning, scale * np.float32(_WORDING) * wording])
    levels = list(_levels(labels, meaning, both, graph))
    best = int(np.argmax([level.width.mean(dtype=np.float64) for level in levels]))
    chosen = best
    for place in range(best + 1, len(levels)):
        loss = (levels[best].width - levels[place].width).astype(np.float64)
        if loss.mean() <= loss.std() / np.sqrt(len(loss)):
            chosen = place
    certain = next((place for place, level in enumerate(levels) if level.alike < _BEYOND_DOUBT), len(levels))
    return by_size(levels[max(chosen, certain - 1)].partition)


def _levels(labels: Labels, meaning: Floats, both: Floats, graph: csr_matrix) -> Iterator[_Level]:
    """Partitions from fine to two parts, the most alike pair merged each time."""
    parts = int(labels.max()) + 1
    member = np.zeros((len(labels), parts))
    member[np.arange(len(labels)), labels] = 1
    sums, sizes = _sums(labels, meaning), member.sum(axis=0)
    links: Wide = member.T @ (graph @ member)
    nearness = (both @ _sums(labels, both).astype(np.float32).T).astype(np.float32)
    names, partition = np.arange(parts), labels
    yield _Level(partition, np.inf, _silhouette(nearness, partition, sizes, names))
    while len(names) > 2:
        score = _alike(sums, sizes, links)
        alike = float(score.max())
        left, right = divmod(int(score.argmax()), len(names))
        left, right = min(left, right), max(left, right)
        partition = np.where(partition == names[right], names[left], partition)
        nearness[:, left] += nearness[:, right]
        for array in (sums, sizes):
            array[left] += array[right]
        links[left] += links[right]
        links[:, left] += links[:, right]
        rest = np.delete(np.arange(len(names)), right)
        sums, sizes, links = sums[rest], sizes[rest], links[np.ix_(rest, rest)]
        nearness, names = nearness[:, rest], names[rest]
        yield _Level(partition, alike, _silhouette(nearness, partition, sizes, names))


def _alike(sums: Wide, sizes: Wide, links: Wide) -> Wide:
    """Mean similarity between parts over that within them, times the share of crossing links to the power 1/4."""
    between = (sums @ sums.T) / np.outer(sizes, sizes)
    within = ((sums**2).sum(axis=1) - sizes) / np.maximum(sizes * (sizes - 1), 1)
    within = np.maximum(within, 1e-3)
    inside = np.maximum(np.diag(links), 0.5)
    crossing = links / np.minimum.outer(inside, inside)
    score: Wide = between / np.sqrt(np.outer(within, within)) * np.maximum(crossing, 1e-9) ** _LINKS
    np.fill_diagonal(score, -np.inf)
    return score


def _silhouette(
    nearness: NDArray[np.float32], partition: Labels, sizes: Wide, names: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(b − a) / max(a, b) of every node: a the mean distance to its own part without itself, b to the nearest other."""
    column = np.searchsorted(names, partition)
    rows = np.arange(len(partition))
    count = sizes.astype(np.float32)
    own = 1 - (nearness[rows, column] - 1) / np.maximum(count[column] - 1, 1)
    mean = nearness / count
    mean[rows, column] = -np.inf
    other = 1 - mean.max(axis=1)
    width = (other - own) / np.maximum(np.maximum(own, other), 1e-6)
    return np.asarray(np.where(count[column] < 2, 0, width), dtype=np.float32)


def _sums(labels: Labels, vectors: Floats) -> Wide:
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    return sums
