"""How far the nearest others of a text belong to its own group: a measure by which coarse and fine partitions compare.

A neighbourhood is taken in proportion to the group: the nearest 0.35 of as many others as the group has, and as many
as it has. Fragments of one intent are one another's neighbours, so that joining them loses little in spite of the
wider neighbourhoods, while joining what belongs apart shows in the wide one. What chance alone would give is taken
off. The share of nearest neighbours in the same group is the k-nearest-neighbour consistency of Ding and He (2004).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.graph import WORDING_WEIGHT
from insights_pipeline.intents.discovery.map_equation import Labels
from insights_pipeline.intents.vectors import Floats, cosines, exact

_NEAR = 0.35
_MOST = 1_500  # texts looked at, in even steps over all


class Cohesion:
    """The cohesion of partitions that come from one another by joining two parts."""

    def __init__(self, labels: Labels, meaning: Floats, wording: Floats) -> None:
        """`meaning` and `wording` are unit rows (n, d) of the same texts."""
        step = -(-len(labels) // _MOST)
        self._labels = labels[::step].copy()
        self._ranks = _ranks(meaning[::step], wording[::step])
        self._shares = np.zeros((len(self._labels), 2))
        for part in np.unique(self._labels).tolist():
            self._look_at(part)

    def join(self, left: int, right: int) -> None:
        """Part `right` becomes part of `left`, the parts after it move up."""
        self._labels[self._labels == right] = left
        self._labels[self._labels > right] -= 1
        self._look_at(left)

    def near(self) -> float:
        """Of the nearest 0.35 alone; 1 where every neighbour is of the same group, 0 where groups are drawn by lot."""
        return float(self._shares[:, 0].mean())

    def mean(self) -> float:
        """Of both neighbourhoods, over all texts."""
        return float(self._shares.mean())

    def _look_at(self, part: int) -> None:
        members = np.flatnonzero(self._labels == part)
        others = len(members) - 1
        chance = others / max(len(self._labels) - 1, 1)
        if others < 1 or chance == 1:
            self._shares[members] = 0
            return
        ranks = self._ranks[np.ix_(members, members)]
        for column, reach in enumerate((max(round(_NEAR * others), 1), others)):
            share = (ranks < reach).sum(axis=1) / reach
            self._shares[members, column] = (share - chance) / (1 - chance)


def _ranks(meaning: Floats, wording: Floats) -> NDArray[np.int32]:
    """For every text the rank (n, n) of every other among its nearest, from 0; its own is the last."""
    alike = cosines(exact(meaning), exact(meaning))
    alike += np.float32(WORDING_WEIGHT) * cosines(exact(wording), exact(wording))
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")
    ranks = np.empty(alike.shape, dtype=np.int32)
    np.put_along_axis(ranks, nearest, np.arange(len(alike), dtype=np.int32)[None, :], axis=1)
    return ranks
