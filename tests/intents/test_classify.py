from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.model import ACTIVE, MERGED, Intent, Model
from insights_pipeline.intents.vectors import Halves, unit


def points(rng: np.random.Generator, *shape: int) -> Halves:
    return unit(rng.normal(size=shape)).astype(np.float16)


def around(rng: np.random.Generator, centre: Halves, count: int, spread: float) -> Halves:
    return unit(centre[None, :] + spread * rng.normal(size=(count, len(centre)))).astype(np.float16)


def classifier(rng: np.random.Generator, intents: int, dimensions: int) -> tuple[Classifier, Halves]:
    centroids = points(rng, intents, dimensions)
    exemplars = [around(rng, centre, int(rng.integers(1, 30)), 0.05) for centre in centroids]
    return Classifier.of(centroids, exemplars), np.concatenate(exemplars)


def intent(name: str, centroid: Halves, exemplars: Halves, *, merged_into: str | None = None) -> Intent:
    return Intent(
        name, name, name, "", "", MERGED if merged_into else ACTIVE, (), date(2026, 1, 1), 10, centroid,
        tuple(f"{name}-{number}" for number in range(len(exemplars))), (), exemplars, merged_into=merged_into,
    )  # fmt: skip


@pytest.mark.parametrize("dimensions", [2, 64, 256, 1_024])
def test_verdicts_are_the_same_in_any_batch_and_with_any_number_of_threads(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    judge, exemplars = classifier(rng, 12, dimensions)
    vectors = np.concatenate([exemplars, points(rng, 400, dimensions)])
    whole = judge.judge(vectors)
    for size in (1, 7, 100):
        parts = [judge.judge(vectors[start : start + size]) for start in range(0, len(vectors), size)]
        for name in ("nearest", "score", "margin"):
            assert np.array_equal(
                np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name)
            )
    for threads in (1, 2):
        with threadpool_limits(threads):
            assert np.array_equal(judge.judge(vectors).score, whole.score)


def test_the_score_is_the_mean_cosine_to_five_exemplars_less_half_of_their_crowding() -> None:
    # in the plane: an intent of six requests, each 10 degrees from the next, and one far from it
    angles = np.deg2rad([0, 10, 20, 30, 40, 50])
    near = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    far = -near
    judge = Classifier.of(
        unit(np.stack([near.sum(axis=0), far.sum(axis=0)])).astype(np.float16),
        [near.astype(np.float16), far.astype(np.float16)],
    )
    asked = np.deg2rad(60)
    found = judge.judge(np.array([[np.cos(asked), np.sin(asked)]], dtype=np.float16))
    crowding = {
        degrees: np.mean(
            [np.cos(np.deg2rad(abs(degrees - other))) for other in range(0, 60, 10) if other != degrees]
        )
        for degrees in range(0, 60, 10)
    }
    held = sorted(
        (np.cos(asked - np.deg2rad(one)) - 0.5 * (crowding[one] - 0.5) for one in crowding), reverse=True
    )
    assert found.nearest.tolist() == [0]
    assert found.score[0] == pytest.approx(np.mean(held[:5]), abs=2e-3)


def test_a_near_miss_counts_for_less_among_copies_than_in_a_loose_intent() -> None:
    rng = np.random.default_rng(0)
    centre = points(rng, 1, 256)[0]
    miss = around(rng, centre, 1, 0.06)
    copies, loose = np.repeat(centre[None, :], 20, axis=0), around(rng, centre, 20, 0.06)
    scores = [Classifier.of(centre[None, :], [one]).judge(miss).score[0] for one in (copies, loose)]
    assert miss[0].astype(float) @ centre.astype(float) < 0.8
    assert scores[0] < scores[1]


def test_scores_stay_when_another_intent_is_added_far_away() -> None:
    rng = np.random.default_rng(1)
    centroids = points(rng, 4, 256)
    exemplars = [around(rng, centre, 20, 0.05) for centre in centroids]
    asked = np.concatenate([around(rng, centre, 10, 0.08) for centre in centroids[:3]])
    before = Classifier.of(centroids[:3], exemplars[:3]).judge(asked)
    after = Classifier.of(centroids, exemplars).judge(asked)
    assert np.array_equal(before.score, after.score)
    assert np.array_equal(before.nearest, after.nearest)


def test_an_item_is_not_held_against_itself() -> None:
    rng = np.random.default_rng(0)
    judge, exemplars = classifier(rng, 8, 256)
    itself = np.arange(len(exemplars))
    without = judge.judge(exemplars, itself).score
    assert (without < judge.judge(exemplars).score).all()
    assert np.array_equal(
        judge.judge(exemplars, np.full(len(exemplars), -1)).score, judge.judge(exemplars).score
    )


def test_the_only_request_of_the_only_intent_is_like_nothing_without_itself() -> None:
    one = points(np.random.default_rng(0), 1, 256)
    judge = Classifier.of(one, [one])
    assert judge.judge(one).score[0] == pytest.approx(1, abs=1e-2)
    assert judge.judge(one, np.array([0])).score[0] < -1


def test_a_single_intent_has_no_margin_and_no_vectors_have_no_verdict() -> None:
    one = points(np.random.default_rng(0), 3, 256)
    judge = Classifier.of(one[:1], [one])
    assert np.isnan(judge.judge(one).margin).all()
    assert [len(getattr(judge.judge(one[:0]), name)) for name in ("nearest", "score", "margin")] == [0, 0, 0]


def test_a_text_without_a_vector_is_far_from_everything() -> None:
    rng = np.random.default_rng(0)
    judge, exemplars = classifier(rng, 5, 256)
    found = judge.judge(np.zeros((2, 256), dtype=np.float16))
    assert np.isfinite(found.score).all()
    assert found.score.max() < judge.judge(exemplars, np.arange(len(exemplars))).score.max()
    assert (found.margin == 0).all()


def test_merged_intents_answer_with_their_target_and_the_margin_is_over_another_intent() -> None:
    rng = np.random.default_rng(3)
    centre, other = points(rng, 2, 256)
    near = [around(rng, centre, 6, 0.02) for _ in range(3)]
    intents = (
        intent("a", centre, near[0]),
        intent("b", near[1][0], near[1], merged_into="c"),
        intent("c", near[2][0], near[2], merged_into="a"),
        intent("d", other, around(rng, other, 6, 0.02)),
    )
    model = Model("ready", "v", None, "space", 40, {"unknown": 0.0}, intents)
    verdict = model.classifier().judge(np.concatenate([near[0], near[1], near[2]]))
    assert model.columns == ("a", "a", "a", "d")
    assert set(verdict.nearest.tolist()) == {0}
    assert (verdict.margin > 0.5).all()  # over d; over the merged ones it would be next to nothing
    alone = Model("ready", "v", None, "space", 40, {}, intents[:3]).classifier().judge(near[1])
    assert np.isnan(alone.margin).all()
