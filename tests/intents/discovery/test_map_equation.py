from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from insights_pipeline.intents.discovery.map_equation import by_size, codelength, communities


def graph(edges: list[tuple[int, int]], nodes: int) -> csr_matrix:
    rows = [a for a, b in edges] + [b for a, b in edges]
    columns = [b for a, b in edges] + [a for a, b in edges]
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))


def ring_of_cliques(cliques: int, size: int) -> csr_matrix:
    edges = [
        (size * c + a, size * c + b) for c in range(cliques) for a in range(size) for b in range(a + 1, size)
    ]
    edges += [(size * c, size * ((c + 1) % cliques) + 1) for c in range(cliques)]
    return graph(edges, cliques * size)


def length(matrix: csr_matrix, labels: list[int]) -> float:
    return codelength(matrix.indptr, matrix.indices, matrix.data, np.array(labels))


def found(matrix: csr_matrix, seed: int = 0) -> np.ndarray:
    return communities(matrix.indptr, matrix.indices, matrix.data, seed=seed)


def test_one_module_costs_the_entropy_of_the_visits() -> None:
    path = graph([(0, 1), (1, 2)], 3)
    assert length(path, [0, 0, 0]) == pytest.approx(1.5)  # visits 1/4, 1/2, 1/4


def test_two_triangles_joined_by_an_edge_cost_what_the_formula_says_by_hand() -> None:
    triangles = graph([(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)], 6)
    q, visits = 1 / 14, [2 / 14, 2 / 14, 3 / 14]
    index = 2 * q * 1.0  # two exits, equally likely: one bit each
    total = q + sum(visits)
    module = -(q / total) * log2(q / total) - sum(p / total * log2(p / total) for p in visits)
    assert length(triangles, [0, 0, 0, 1, 1, 1]) == pytest.approx(index + 2 * total * module)
    assert found(triangles).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("cliques", "size"), [(4, 5), (12, 6), (30, 5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_ring_of_cliques_is_taken_apart_into_its_cliques(cliques: int, size: int, seed: int) -> None:
    labels = found(ring_of_cliques(cliques, size), seed)
    assert labels.reshape(cliques, size).tolist() == [[c] * size for c in range(cliques)]


def test_a_graph_without_edges_is_all_single_nodes() -> None:
    assert found(csr_matrix((4, 4))).tolist() == [0, 1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 40), st.integers(0, 10**6))
def test_the_code_found_is_never_longer_than_one_module_or_single_nodes(nodes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.random((nodes, nodes)) * (rng.random((nodes, nodes)) < 0.2), 1)
    matrix = csr_matrix(weights + weights.T)
    labels = found(matrix, seed)
    assert labels.tolist() == found(matrix, seed).tolist()
    for other in (np.zeros(nodes, dtype=int), np.arange(nodes)):
        assert length(matrix, labels.tolist()) <= length(matrix, other.tolist()) + 1e-9


def test_parts_are_numbered_from_the_largest() -> None:
    assert by_size(np.array([7, 2, 2, 9, 9])).tolist() == [2, 0, 0, 1, 1]


def test_a_search_from_the_answer_keeps_it() -> None:
    matrix = ring_of_cliques(6, 5)
    answer = np.repeat(np.arange(6), 5)
    labels = communities(matrix.indptr, matrix.indices, matrix.data, seed=0, start=answer[::-1].copy())
    assert labels.tolist() == answer.tolist()


def test_nodes_that_come_alone_join_what_they_are_linked_to_or_found_a_community() -> None:
    matrix = ring_of_cliques(6, 5)
    start = np.repeat(np.arange(6), 5)
    start[4] = -1
    start[10:15] = -1
    labels = communities(matrix.indptr, matrix.indices, matrix.data, seed=0, start=start)
    assert labels.reshape(6, 5).tolist() == [[c] * 5 for c in range(6)]


def test_what_was_together_stays_together_where_the_graph_does_not_say_otherwise() -> None:
    start = np.array([5, 5, 2, -1])
    empty = csr_matrix((4, 4))
    assert communities(empty.indptr, empty.indices, empty.data, seed=0, start=start).tolist() == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="each of 4 nodes"):
        communities(empty.indptr, empty.indices, empty.data, seed=0, start=start[:3])
