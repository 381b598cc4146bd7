from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.discovery.graph import wording_vectors
from insights_pipeline.intents.discovery.grouping import group
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.intents.life.growth import log_chance
from insights_pipeline.intents.vectors import unit
from tests.intents.samples import DAY, clinc, sample_of
from tests.intents.streams import stream


def test_agreement_of_known_labellings() -> None:
    assert agreement([0, 0, 1, 1], ["a", "a", "b", "b"]).nmi == pytest.approx(1)
    crossed = agreement([0, 0, 1, 1], [0, 1, 0, 1])
    assert (crossed.nmi, crossed.ari) == (pytest.approx(0), pytest.approx(-0.5))
    assert agreement([0, 0, 1, 1], [0, 0, 1, 2]).nmi == pytest.approx(0.8)  # 2·ln2 / (ln2 + 1.5·ln2)
    assert agreement([0, 0, 0, 1], [0, 0, 1, 1]).purity == pytest.approx(0.75)


def test_agreement_is_what_scikit_learn_says() -> None:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 7, 300).tolist(), rng.integers(0, 5, 300).tolist()
    ours = agreement(left, right)
    assert ours.nmi == pytest.approx(normalized_mutual_info_score(left, right))
    assert ours.ari == pytest.approx(adjusted_rand_score(left, right))


def test_texts_that_share_no_wording_still_make_a_graph() -> None:
    assert wording_vectors(["??", "!!"], seed=0).shape[0] == 2


def test_planted_intents_are_found_and_named_after_what_people_say() -> None:
    planted = stream(1, 600)
    texts, of = planted.traces.column("user_text").to_pylist(), planted.planted
    sample, space = sample_of(texts)
    found, _ = group(sample.texts, sample.vectors, space, seed=0)
    truth = [of[trace_id] for trace_id in planted.traces.column("trace_id").to_pylist()]
    result = agreement(truth, found.tolist())
    assert result.purity > 0.98
    assert result.nmi > 0.8  # each intent is said in few templates, but its ways of asking are one intent
    assert len(set(found.tolist())) <= 8
    intents, unknown = discover(sample, space, born=DAY, seed=0)
    assert (
        len({intent.slug for intent in intents})
        == len({intent.intent_id for intent in intents})
        == len(intents)
    )
    assert 0.2 < unknown < 0.95
    assert all(
        len(intent.exemplar_ids) <= 60 and intent.description.startswith("People ask: “")
        for intent in intents
    )
    said = " ".join(intent.name.lower() for intent in intents)
    assert all(word in said for word in ("password", "address", "refund"))


def test_equal_input_gives_equal_intents() -> None:
    sample, space = sample_of(stream(1, 300).traces.column("user_text").to_pylist())
    first, second = (discover(sample, space, born=DAY, seed=3) for _ in range(2))
    assert len(first[0]) > 1
    assert [one.row(DAY, "v") for one in first[0]] == [one.row(DAY, "v") for one in second[0]]
    assert first[1] == second[1]


@pytest.mark.parametrize(
    "texts",
    [
        ["same words"] * 40,
        ["a b", "c d", "e f"],
        [f"wörd{n} {n}" for n in range(12)],
        ["我的订单", "привет мир"] * 9,
    ],
)
def test_samples_without_structure_still_give_intents(texts: list[str]) -> None:
    sample, space = sample_of(texts)
    intents, unknown = discover(sample, space, born=DAY, seed=0)
    assert sum(intent.size for intent in intents) == len(texts)
    assert np.isfinite(unknown)
    assert all(intent.name and intent.slug for intent in intents)


def test_classification_has_a_margin_only_over_a_second_intent() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(12, 256))).astype(np.float16)
    two = Classifier.of(vectors[:2], [vectors[:1], vectors[1:2]]).judge(vectors[:2])
    assert two.nearest.tolist() == [0, 1]
    assert (two.margin > 0.5).all()
    assert np.isnan(Classifier.of(vectors[:1], [vectors[:1]]).judge(vectors[:2]).margin).all()
    assert len(Classifier.of(vectors[:1], [vectors[:1]]).judge(vectors[:0]).score) == 0


def test_the_chance_of_a_rise_is_the_binomial_tail() -> None:
    assert log_chance(10, 0, 100, 100) == pytest.approx(10 * np.log10(0.5))
    assert log_chance(5, 5, 100, 100) == pytest.approx(np.log10(638 / 1024))


@pytest.mark.parametrize(
    ("texts", "intents", "zipf", "floor"), [(500, 12, True, 0.85), (500, 30, False, 0.86)]
)
def test_real_requests_are_grouped_as_people_labelled_them(
    real_data: Path, texts: int, intents: int, zipf: bool, floor: float
) -> None:
    scores, ratios = [], []
    for seed in (11, 12):
        said, truth = clinc(real_data, texts=texts, intents=intents, seed=seed, zipf=zipf)
        sample, space = sample_of(said)
        found, _ = group(sample.texts, sample.vectors, space, seed=0)
        result = agreement(truth, found.tolist())
        scores.append(result.nmi)
        ratios.append(result.k_ratio)
    assert np.mean(scores) > floor
    assert 0.7 < np.mean(ratios) < 1.6
