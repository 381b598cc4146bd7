"""Communities of an undirected weighted graph by the two-level map equation.

Source: Rosvall and Bergstrom, "Maps of random walks on complex networks reveal community structure",
PNAS 105 (2008); search as in Blondel et al. (2008): node moves, aggregation, then moves of single nodes again.
"""

from __future__ import annotations

from math import log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
_GAIN = 1e-10
_FAINT = 0.25  # of the strongest link to another community: weaker ones are not tried, they hardly ever win


class _Flow(NamedTuple):
    """A graph as plain lists, which a search over single nodes reads fastest; flows add up to 1 over both directions.

    `visits` are the visit rates of nodes, what stays inside a node that stands for several included.
    """

    bounds: list[int]
    columns: list[int]
    flows: list[float]
    visits: list[float]


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
    start: NDArray[np.integer] | None = None,
) -> Labels:
    """Community of every node, numbered by size (largest first, then smallest node).

    The graph is a symmetric CSR matrix without loops. Equal input and seed give equal labels; of several
    restarts the shortest code wins. `start` holds a label for every node from which the search sets out instead of
    from single nodes (−1: alone): what was found before stays together unless the graph says otherwise.
    Raises ValueError when `start` is of another length.
    """
    nodes = len(indptr) - 1
    if start is not None and len(start) != nodes:
        raise ValueError(f"need a label for each of {nodes} nodes, got {len(start)}")
    begin = _begin(nodes, start)
    total = float(weights.sum())
    if total == 0:
        return by_size(begin)
    flow = _flow_of(indptr, indices, weights / total)
    best: tuple[float, Labels] | None = None
    for attempt in range(restarts):
        labels = _search(flow, begin, np.random.default_rng([seed, attempt]))
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


def by_size(labels: NDArray[np.integer]) -> Labels:
    """The same partition, numbered from the largest part; equal sizes by their first node."""
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse]


def _begin(nodes: int, start: NDArray[np.integer] | None) -> Labels:
    """Single nodes, or the labels to start from; every node without one alone."""
    single = np.arange(nodes, dtype=np.int64)
    if start is None:
        return single
    apart = np.where(start < 0, int(start.max(initial=-1)) + 1 + single, start)
    return np.unique(apart, return_inverse=True)[1].astype(np.int64)


def _flow_of(indptr: NDArray[np.integer], indices: NDArray[np.integer], flows: NDArray[np.floating]) -> _Flow:
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    visits = np.bincount(rows, flows, minlength=len(indptr) - 1)
    return _Flow(indptr.tolist(), indices.tolist(), flows.tolist(), visits.tolist())


def _search(flow: _Flow, labels: Labels, rng: np.random.Generator) -> Labels:
    for turn in range(10):
        moved, labels = _moves(flow, labels, rng)
        if not moved and turn > 0:
            break
        parts = int(labels.max()) + 1
        labels = _coarsen(flow, labels, rng)
        if int(labels.max()) + 1 == parts:  # no two communities were joined: nothing new for single nodes
            break
    return labels


def _coarsen(flow: _Flow, labels: Labels, rng: np.random.Generator) -> Labels:
    """Merge whole communities, level by level, while that shortens the code."""
    from scipy.sparse import csr_matrix

    nodes = len(labels)
    graph = csr_matrix((flow.flows, flow.columns, flow.bounds), shape=(nodes, nodes))
    while True:
        parts = int(labels.max()) + 1
        member = csr_matrix((np.ones(nodes), (np.arange(nodes), labels)), shape=(nodes, parts))
        between = (member.T @ graph @ member).tolil()
        between.setdiag(0)
        coarse = between.tocsr()
        coarse.sort_indices()
        visits = np.bincount(labels, flow.visits, minlength=parts).tolist()
        edges = _Flow(coarse.indptr.tolist(), coarse.indices.tolist(), coarse.data.tolist(), visits)
        moved, merged = _moves(edges, np.arange(parts, dtype=np.int64), rng)
        if not moved:
            return labels
        labels = merged[labels]


def _moves(flow: _Flow, labels: Labels, rng: np.random.Generator) -> tuple[bool, Labels]:
    """Move single nodes to the neighbouring community that shortens the code most, until none does.

    After the first round only nodes are looked at again that have a neighbour which has moved.
    """
    bounds, columns, flows, visits = flow
    names = labels.tolist()
    nodes, parts = len(names), max(names) + 1
    outward = [sum(flows[bounds[node] : bounds[node + 1]]) for node in range(nodes)]
    mass, leave = _modules(flow, labels, parts)
    leaving = sum(leave)
    both = [_plogp(out + inside) for out, inside in zip(leave, mass, strict=True)]
    exits = [_plogp(out) for out in leave]
    waiting = [True] * nodes
    moved_any = False
    for _ in range(30):
        moved = False
        for node in rng.permutation(nodes).tolist():
            if not waiting[node]:
                continue
            waiting[node] = False
            links: dict[int, float] = {}
            near = columns[bounds[node] : bounds[node + 1]]
            for other, weight in zip(near, flows[bounds[node] : bounds[node + 1]], strict=True):
                module = names[other]
                links[module] = links.get(module, 0.0) + weight
            own, visit, out = names[node], visits[node], outward[node]
            staying = links.pop(own, 0.0)
            heavy = _FAINT * max(links.values(), default=0.0)
            # what the old community looks like without the node
            own_leave = leave[own] - out + 2 * staying
            own_mass = mass[own] - visit
            rest = leaving + own_leave - leave[own]
            same = _plogp(own_leave + own_mass) - 2 * _plogp(own_leave) - both[own] + 2 * exits[own]
            same -= _plogp(leaving)
            best_gain, best, best_leave = -_GAIN, own, 0.0
            for module, weight in links.items():
                if weight < heavy:
                    continue
                new_leave = leave[module] + out - 2 * weight
                total, inside = rest + new_leave - leave[module], new_leave + mass[module] + visit
                gain = same + inside * log2(inside) - both[module] + 2 * exits[module]
                if total > 0:
                    gain += total * log2(total)
                if new_leave > 0:
                    gain -= 2 * new_leave * log2(new_leave)
                if gain < best_gain or (gain == best_gain and module < best):
                    best_gain, best, best_leave = gain, module, new_leave
            if best == own:
                continue
            leaving = rest + best_leave - leave[best]
            leave[own], mass[own] = own_leave, own_mass
            leave[best], mass[best] = best_leave, mass[best] + visit
            for module in (own, best):
                both[module] = _plogp(leave[module] + mass[module])
                exits[module] = _plogp(leave[module])
            names[node] = best
            moved = moved_any = True
            for other in near:
                if names[other] != best:
                    waiting[other] = True
        if not moved:
            break
    _, dense = np.unique(np.asarray(names, dtype=np.int64), return_inverse=True)
    return moved_any, dense.astype(np.int64)


def _modules(flow: _Flow, labels: Labels, parts: int) -> tuple[list[float], list[float]]:
    """Visit rates (parts,) and exit rates (parts,) of the communities."""
    rows = np.repeat(np.arange(len(labels)), np.diff(flow.bounds))
    crossing = labels[rows] != labels[flow.columns] if len(rows) else np.zeros(0, dtype=bool)
    leave = np.bincount(labels[rows], np.asarray(flow.flows) * crossing, minlength=parts)
    return np.bincount(labels, flow.visits, minlength=parts).tolist(), leave.tolist()
