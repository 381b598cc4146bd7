from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from insights_pipeline.intents.discovery import scale
from insights_pipeline.intents.discovery.cohesion import Cohesion
from insights_pipeline.intents.discovery.graph import (
    DIFFERS,
    joined,
    nearest,
    neighbours_for,
    pull_apart,
    similarity_graph,
)
from insights_pipeline.intents.discovery.grouping import group, near_copies
from insights_pipeline.intents.discovery.merge import merge_alike
from insights_pipeline.intents.discovery.scale import Level, absorb_tiny, fitting_communities
from insights_pipeline.intents.embedding.wordllama_space import fit_space
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.intents.vectors import Floats, unit
from tests.intents.streams import stream


def clouds(sizes: list[int], *, spread: float, seed: int, dimensions: int = 64) -> tuple[Floats, list[int]]:
    """Unit vectors around as many random centres, and the number of the centre of each."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(len(sizes), dimensions)))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    rng.shuffle(truth)
    noise = spread * rng.normal(size=(len(truth), dimensions)) / np.sqrt(dimensions)
    return unit(centres[truth] + noise), truth.tolist()


def without_wording(vectors: Floats) -> Floats:
    return np.zeros((len(vectors), 1), dtype=np.float32)


def found(vectors: Floats, **options: object) -> list[int]:
    labels = fitting_communities(vectors, without_wording(vectors), seed=0, **options)  # type: ignore[arg-type]
    return labels.tolist()


@pytest.mark.parametrize("groups", [3, 8, 40])
def test_few_large_and_many_small_groups_are_found_at_their_own_scale(groups: int) -> None:
    vectors, truth = clouds([480 // groups] * groups, spread=1.0, seed=groups)
    result = agreement(truth, found(vectors))
    assert result.nmi > 0.95
    assert 0.9 <= result.k_ratio <= 1.2


def test_one_intent_with_most_of_the_traffic_stays_whole_beside_small_ones() -> None:
    vectors, truth = clouds([240, *[12] * 15], spread=1.1, seed=5)
    labels = np.array(found(vectors))
    large = np.bincount(labels[np.array(truth) == 0])
    assert large.max() > 0.9 * 240
    assert agreement(truth, labels.tolist()).purity > 0.95


def test_large_samples_are_looked_at_in_parts_where_communities_are_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, truth = clouds([300] * 4, spread=1.2, seed=2)
    monkeypatch.setattr(scale, "_EDGES", 1_200 * 40)
    monkeypatch.setattr(scale, "_REACH", 40)
    reaches = [
        level.reach
        for level in scale._levels(vectors, without_wording(vectors), least=4, seed=0, attributes=None)
    ]
    assert max(reaches) > 200  # of which no graph holds more than 160
    result = agreement(truth, found(vectors))
    assert result.nmi > 0.95
    assert result.k_ratio == 1


def levels(*shown: tuple[float, int]) -> list[Level]:
    return [Level(reach, groups, np.full(1, reach, dtype=np.int64)) for reach, groups in shown]


@pytest.mark.parametrize(
    ("shown", "granularity", "reach"),
    [
        (levels((6, 12), (12, 8), (24, 3), (48, 3)), 1.0, 24),  # 24·3 of 100 texts fit, 48·3 do not
        (levels((6, 12), (12, 8), (24, 3), (48, 3)), 2.0, 6),  # 12·8·2 do not
        (
            levels((6, 20), (12, 7), (15, 7), (18, 7)),
            1.0,
            12,
        ),  # a plateau begins where 12·7 of 100 are taken up
        (levels((6, 10), (12, 1), (24, 1)), 1.0, 6),  # never one group only
        (levels((6, 1)), 1.0, 6),
    ],
)
def test_the_scale_is_that_of_neighbourhoods_that_just_fit(
    shown: list[Level], granularity: float, reach: float
) -> None:
    assert scale._fitting(shown, 100, granularity).reach == reach


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.6, 2.0))
def test_more_granularity_gives_no_fewer_groups(seed: int, spread: float) -> None:
    vectors, _ = clouds([60, 30, 30, 15, 15, 15, 8, 8, 8], spread=spread, seed=seed)
    counts = [max(found(vectors, granularity=knob)) for knob in (0.3, 0.6, 1.0, 1.6, 3.0)]
    assert counts == sorted(counts)


def test_the_knob_reaches_from_coarse_to_fine() -> None:
    rng = np.random.default_rng(0)
    coarse = unit(rng.normal(size=(4, 64)))
    fine = unit(np.repeat(coarse, 6, axis=0) + 0.7 * rng.normal(size=(24, 64)) / 8)
    vectors = unit(np.repeat(fine, 16, axis=0) + 0.5 * rng.normal(size=(384, 64)) / 8)
    counts = [max(found(vectors, granularity=knob)) + 1 for knob in (0.2, 1.5)]
    assert counts[0] <= 6
    assert counts[1] >= 20


def test_a_useful_attribute_helps_and_an_irrelevant_one_hurts_little() -> None:
    rng = np.random.default_rng(1)
    without, useful, irrelevant = [], [], []
    for seed in range(4):
        vectors, truth = clouds([40] * 8, spread=2.0, seed=seed)
        right = rng.random(len(truth)) < 0.8
        told = np.where(right, truth, rng.integers(0, 8, len(truth)))[:, None]
        chance = rng.integers(0, 3, (len(truth), 1))
        without.append(agreement(truth, found(vectors)).nmi)
        useful.append(agreement(truth, found(vectors, attributes=told)).nmi)
        irrelevant.append(agreement(truth, found(vectors, attributes=chance)).nmi)
    assert np.mean(useful) > np.mean(without) + 0.02
    assert np.mean(irrelevant) > np.mean(without) - 0.03


def test_edges_count_half_for_each_attribute_that_is_known_and_differs() -> None:
    vectors = unit(np.ones((3, 4)) + 0.1 * np.eye(3, 4))
    graph = similarity_graph(vectors, without_wording(vectors), neighbours=2)
    codes = np.array([[0, 1], [1, 2], [-1, 1]])
    shares = pull_apart(graph, codes).toarray() / np.where(graph.toarray() == 0, 1, graph.toarray())
    assert shares[0, 1] == shares[1, 0] == pytest.approx(DIFFERS**2)
    assert shares[0, 2] == pytest.approx(1)
    assert shares[1, 2] == pytest.approx(DIFFERS)


def test_texts_that_say_the_same_are_told_apart_by_an_attribute() -> None:
    texts = ["where is my parcel", "where is my parcel"] * 30 + ["cancel my plan", "refund me please"] * 15
    space = fit_space(texts)
    queues = [("post",), ("shop",)] * 30 + [(None,)] * 30
    together, _ = group(texts, space.embed(texts), space, seed=0)
    vectors = space.embed(texts)
    assert together[0] == together[1]
    copies = near_copies(vectors, np.array([[0], [1]] * 30 + [[-1]] * 30))
    assert copies[:4].tolist() == [0, 1, 0, 1]
    assert len(group(texts, vectors, space, seed=0, attributes=queues)[0]) == len(texts)


def test_attributes_must_be_given_for_every_text() -> None:
    texts = ["one thing", "another thing"]
    space = fit_space(texts)
    with pytest.raises(ValueError, match="each of 2 texts"):
        group(texts, space.embed(texts), space, seed=0, attributes=[("a",)])
    with pytest.raises(ValueError, match="granularity"):
        group(texts, space.embed(texts), space, seed=0, granularity=0)


def test_groups_do_not_depend_on_the_number_of_threads() -> None:
    texts = stream(1, 400).traces.column("user_text").to_pylist()
    space = fit_space(texts)
    vectors = space.embed(texts)
    labels = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            labels.append(group(texts, vectors, space, seed=0)[0].tolist())
    assert labels[0] == labels[1]


def test_the_nearest_come_first_and_ties_by_number() -> None:
    vectors = unit(np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0.9, 0.1]]))
    assert nearest(vectors, 2).others[0].tolist() == [1, 2]
    assert nearest(vectors, 9).others.shape == (5, 4)
    assert nearest(vectors, 4).others[3].tolist()[0] == 4
    assert nearest(vectors[:1], 3).others.shape == (1, 0)


def test_weights_fade_with_the_rank() -> None:
    vectors = unit(np.array([[1, 0.0, 0], [1, 0.1, 0], [1, 0, 0.3]]))
    views = nearest(vectors, 2), nearest(without_wording(vectors), 2)
    graph = joined(*views, reach=2).toarray()
    alike = vectors @ vectors.T
    assert graph[0, 1] == pytest.approx(alike[0, 1], abs=1e-3)
    assert graph[1, 2] == pytest.approx(alike[1, 2] / 2, abs=1e-3)
    assert graph[0, 2] == pytest.approx(alike[0, 2], abs=1e-3)  # second for one, nearest for the other


def test_the_graph_is_symmetric_without_loops_and_grows_slowly() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(120, 256)))
    graph = similarity_graph(vectors, vectors[:, :64])
    assert abs(graph - graph.T).max() == 0
    assert graph.diagonal().max() == 0
    assert [neighbours_for(n) for n in (20, 64, 500, 2_000, 50_000)] == [2, 8, 10, 20, 50]


def test_copies_follow_the_first_of_their_kind() -> None:
    one, other = unit(np.random.default_rng(0).normal(size=(2, 256)))
    vectors = np.stack([one, other, one + 0.01 * other, one, other]).astype(np.float16)
    assert near_copies(vectors).tolist() == [0, 1, 0, 0, 1]
    many = np.tile(vectors[:2], (400, 1))
    assert near_copies(many).tolist() == [0, 1] * 400


def test_every_copy_is_like_its_leader_and_no_two_leaders_are_alike() -> None:
    vectors, _ = clouds([30] * 40, spread=0.6, seed=0)
    halves = vectors.astype(np.float16)
    copy_of = near_copies(halves)
    _, first = np.unique(copy_of, return_index=True)
    assert np.array_equal(copy_of[first], np.arange(len(first)))
    alike = vectors @ vectors[first].T
    assert (alike[np.arange(len(vectors)), copy_of] > 0.79).all()
    apart = alike[first] - np.eye(len(first))
    assert apart.max() < 0.81


def test_pieces_of_one_cloud_are_joined_and_clouds_are_not() -> None:
    vectors, truth = clouds([40] * 4, spread=1.0, seed=3)
    pieces = 2 * np.array(truth) + np.arange(len(truth)) % 2
    graph = similarity_graph(vectors, without_wording(vectors))
    assert agreement(
        truth, merge_alike(pieces, vectors, without_wording(vectors), graph).tolist()
    ).ari == pytest.approx(1)
    assert merge_alike(pieces, vectors, without_wording(vectors), graph, granularity=9.0).max() == 7


def ways_of_asking(intents: int, *, seed: int) -> tuple[Floats, list[int], list[int]]:
    """Unit vectors of intents that are each said in four ways: with the number of the way and of the intent."""
    rng = np.random.default_rng(seed)
    asked = unit(rng.normal(size=(intents, 64)))
    ways = unit(np.repeat(asked, 4, axis=0) + 0.9 * rng.normal(size=(4 * intents, 64)) / 8)
    way = np.repeat(np.arange(4 * intents), 15)
    vectors = unit(ways[way] + 0.9 * rng.normal(size=(len(way), 64)) / 8)
    return vectors, way.tolist(), (way // 4).tolist()


def test_ways_of_asking_for_few_intents_are_joined_and_the_knob_leaves_them_apart() -> None:
    vectors, way, intent = ways_of_asking(5, seed=1)
    graph = similarity_graph(vectors, without_wording(vectors))

    def merged(granularity: float) -> list[int]:
        joined_ = merge_alike(
            np.array(way), vectors, without_wording(vectors), graph, granularity=granularity
        )
        return joined_.tolist()

    assert agreement(intent, merged(1.0)).ari == pytest.approx(1)
    assert agreement(way, merged(3.0)).ari == pytest.approx(1)


def test_cohesion_is_that_of_the_partition_however_it_came_about() -> None:
    vectors, truth = clouds([30, 20, 12, 8], spread=1.6, seed=4)
    pieces = np.array(truth)
    step_by_step = Cohesion(pieces, vectors, without_wording(vectors))
    step_by_step.join(1, 2)
    at_once = Cohesion(np.array([0, 1, 1, 2])[pieces], vectors, without_wording(vectors))
    assert (step_by_step.mean(), step_by_step.near()) == (at_once.mean(), at_once.near())


def test_cohesion_is_full_for_groups_apart_and_none_for_groups_drawn_by_lot() -> None:
    vectors, truth = clouds([40] * 4, spread=0.5, seed=6)
    assert Cohesion(np.array(truth), vectors, without_wording(vectors)).mean() > 0.99
    drawn = np.random.default_rng(0).permutation(truth)
    assert abs(Cohesion(drawn, vectors, without_wording(vectors)).mean()) < 0.05
    alone = Cohesion(np.arange(3), vectors[:3], without_wording(vectors[:3]))
    assert alone.mean() == 0


def test_cohesion_of_large_samples_is_that_of_some_of_their_texts() -> None:
    vectors, truth = clouds([1_000] * 4, spread=1.0, seed=7)
    some = Cohesion(np.array(truth), vectors, without_wording(vectors))
    every_third = Cohesion(np.array(truth)[::3], vectors[::3], without_wording(vectors[::3]))
    assert some.mean() == every_third.mean()


def test_tiny_groups_join_the_nearest_large_one() -> None:
    vectors = unit(np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1], [1, 0.4]]))
    assert absorb_tiny(np.array([0, 0, 0, 1, 1, 1, 2]), vectors, least=3).tolist() == [0, 0, 0, 1, 1, 1, 0]
    assert absorb_tiny(np.array([0, 1, 2]), vectors[:3], least=3).tolist() == [0, 1, 2]
