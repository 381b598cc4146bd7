"""Communities of an undirected weighted graph by the two-level map equation.

Source: Rosvall and Bergstrom, "Maps of random walks on complex networks reveal community structure",
PNAS 105 (2008); search as in Blondel et al. (2008): node moves, aggregation, then moves of single nodes again.
"""

from __future__ import annotations

from math import log2

import numpy as np
from numpy.typing import NDArray

Neighbours = list[list[tuple[int, float]]]
_GAIN = 1e-10


def _plogp(p: float) -> float:
    return p * log2(p) if p > 0 else 0.0


def codelength(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    weights: NDArray[np.floating],
    labels: NDArray[np.integer],
) -> float:
    """Bits per step of a random walk under a partition. The graph is a symmetric CSR matrix without loops.

    L = plogp(Σq) − 2 Σ plogp(q_i) − Σ plogp(p_a) + Σ plogp(q_i + p_i), q the exit and p the visit rates.
    """
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    total = float(weights.sum())
    if total == 0:
        return 0.0
    visit = np.bincount(rows, weights, minlength=len(indptr) - 1) / total
    module = np.bincount(labels, visit)
    crossing = labels[rows] != labels[indices]
    leave = np.bincount(labels[rows[crossing]], weights[crossing] / total, minlength=len(module))
    return (
        _plogp(float(leave.sum()))
        - 2 * sum(map(_plogp, leave.tolist()))
        - sum(map(_plogp, visit.tolist()))
        + sum(map(_plogp, (leave + module).tolist()))
    )


def communities(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    weights: NDArray[np.floating],
    *,
    seed: int,
    restarts: int = 1,
) -> NDArray[np.int64]:
    """Community of every node, numbered by size (largest first, then smallest node).

    The graph is a symmetric CSR matrix without loops. Equal input and seed give equal labels; of several
    restarts the shortest code wins.
    """
    nodes = len(indptr) - 1
    total = float(weights.sum())
    if total == 0:
        return np.arange(nodes, dtype=np.int64)
    neighbours: Neighbours = []
    scaled = (weights / total).tolist()
    columns, bounds = indices.tolist(), indptr.tolist()
    for node in range(nodes):
        span = slice(bounds[node], bounds[node + 1])
        neighbours.append(list(zip(columns[span], scaled[span], strict=True)))
    best: tuple[float, NDArray[np.int64]] | None = None
    for attempt in range(restarts):
        labels = _search(neighbours, np.random.default_rng([seed, attempt]))
        length = codelength(indptr, indices, weights, labels)
        if best is None or length < best[0] - _GAIN:
            best = (length, labels)
    assert best is not None
    together = np.zeros(nodes, dtype=np.int64)
    if (
        codelength(indptr, indices, weights, together) < best[0]
    ):  # moves of single nodes cannot always get there
        return together
    return by_size(best[1])


def by_size(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """The same partition, numbered from the largest part; equal sizes by their first node."""
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse]


def _search(neighbours: Neighbours, rng: np.random.Generator) -> NDArray[np.int64]:
    labels = np.arange(len(neighbours), dtype=np.int64)
    visits = [sum(weight for _, weight in row) for row in neighbours]
    for _ in range(10):
        moved, labels = _moves(neighbours, visits, labels, rng)
        if not moved:
            break
        labels = _coarsen(neighbours, visits, labels, rng)
    return labels


def _coarsen(
    neighbours: Neighbours, visits: list[float], labels: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Merge whole communities, level by level, while that shortens the code."""
    while True:
        parts = int(labels.max()) + 1
        edges: list[dict[int, float]] = [{} for _ in range(parts)]
        mass = [0.0] * parts
        names = labels.tolist()
        for node, row in enumerate(neighbours):
            own = names[node]
            mass[own] += visits[node]
            outward = edges[own]
            for other, weight in row:
                target = names[other]
                if target != own:
                    outward[target] = outward.get(target, 0.0) + weight
        coarse = [sorted(row.items()) for row in edges]
        moved, merged = _moves(coarse, mass, np.arange(parts, dtype=np.int64), rng)
        if not moved:
            return labels
        labels = merged[labels]


def _moves(
    neighbours: Neighbours, visits: list[float], labels: NDArray[np.int64], rng: np.random.Generator
) -> tuple[bool, NDArray[np.int64]]:
    """Move single nodes to the neighbouring community that shortens the code most, until none does."""
    names = labels.tolist()
    parts = max(names) + 1
    mass, leave = [0.0] * parts, [0.0] * parts
    outward = [sum(weight for _, weight in row) for row in neighbours]
    for node, row in enumerate(neighbours):
        own = names[node]
        mass[own] += visits[node]
        leave[own] += sum(weight for other, weight in row if names[other] != own)
    leaving = sum(leave)
    moved_any = False
    for _ in range(30):
        moved = 0
        for node in rng.permutation(len(names)).tolist():
            links: dict[int, float] = {}
            for other, weight in neighbours[node]:
                module = names[other]
                links[module] = links.get(module, 0.0) + weight
            own, visit, out = names[node], visits[node], outward[node]
            # what the old community looks like without the node
            own_leave = leave[own] - out + 2 * links.get(own, 0.0)
            own_mass = mass[own] - visit
            stay = _plogp(leave[own] + mass[own]) - 2 * _plogp(leave[own])
            gone = _plogp(own_leave + own_mass) - 2 * _plogp(own_leave)
            best_gain, best = -_GAIN, own
            best_leave = 0.0
            for module, weight in links.items():
                if module == own:
                    continue
                new_leave = leave[module] + out - 2 * weight
                total = leaving + own_leave - leave[own] + new_leave - leave[module]
                gain = (
                    _plogp(total)
                    - _plogp(leaving)
                    + gone
                    - stay
                    + _plogp(new_leave + mass[module] + visit)
                    - 2 * _plogp(new_leave)
                    - _plogp(leave[module] + mass[module])
                    + 2 * _plogp(leave[module])
                )
                if gain < best_gain or (gain == best_gain and module < best):
                    best_gain, best, best_leave = gain, module, new_leave
            if best != own:
                leaving += own_leave - leave[own] + best_leave - leave[best]
                leave[own], mass[own] = own_leave, own_mass
                leave[best], mass[best] = best_leave, mass[best] + visit
                names[node] = best
                moved += 1
        moved_any = moved_any or moved > 0
        if moved == 0:
            break
    _, dense = np.unique(np.asarray(names, dtype=np.int64), return_inverse=True)
    return moved_any, dense.astype(np.int64)
