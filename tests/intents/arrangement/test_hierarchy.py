from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from insights_pipeline.intents.arrangement.hierarchy import (
    categories,
    category_names,
    grouped,
    nearest_category,
    two_views,
)
from insights_pipeline.intents.arrangement.predefined import FLOOR, OTHER, Category, places, signature
from insights_pipeline.intents.embedding.wordllama_space import fit_space
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.intents.naming.labels import Label, label_groups
from insights_pipeline.intents.vectors import Floats, unit

CARDS = [
    Category("Cards", "Credit and debit cards: a lost card, a card that was declined, the credit limit."),
    Category("Travel", "Travel: booking flights, hotels, luggage that was lost."),
]


def clusters(centres: int, each: int, *, noise: float = 0.02, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    points = np.repeat(unit(rng.normal(size=(centres, 256))), each, axis=0)
    return unit(points + noise * rng.normal(size=points.shape))


def labels_of(texts: list[list[str]]) -> list[Label]:
    return label_groups(texts)


def test_alike_intents_share_a_category_numbered_by_the_first() -> None:
    of = categories(clusters(3, 4))
    assert of.tolist()[0] == 0
    together = {tuple(sorted({index // 4 for index in members})) for members in grouped(of.tolist()).values()}
    assert together == {(0,), (1,), (2,)}


def test_few_intents_are_categories_of_their_own_and_many_never_more_than_fifteen() -> None:
    assert categories(clusters(1, 5)).tolist() == [0, 1, 2, 3, 4]
    assert len(set(categories(clusters(100, 2)).tolist())) == 15


def test_both_views_decide_the_second_with_half_the_weight() -> None:
    texts = [["cancel order", "cancel my order"], ["cancel order now"], ["weather today", "sunny weather"]]
    points = two_views(clusters(3, 1), texts)
    meaning, wording = points[:, :256], points[:, 256:]
    assert np.linalg.norm(meaning, axis=1) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(wording, axis=1) == pytest.approx(0.5, abs=1e-3)
    assert wording[0] @ wording[1] > wording[0] @ wording[2]


def test_intents_without_words_still_have_both_views() -> None:
    assert np.isfinite(two_views(clusters(2, 1), [["?!"], []])).all()


def test_a_new_intent_joins_only_a_category_that_it_is_clearly_near_to() -> None:
    points = clusters(3, 5, noise=0.03)
    of = [f"category {index // 5}" for index in range(15)]
    near = unit((points[5:10].mean(axis=0) + 0.01)[None, :])[0]
    assert nearest_category(points, of, near) == "category 1"
    assert nearest_category(points, of, clusters(1, 1, seed=9)[0]) is None


def test_a_category_is_named_after_what_all_of_its_intents_say() -> None:
    texts = [
        ["apply for a credit card", "new credit card please", "credit card application"] * 3,
        ["my credit card was declined", "credit card declined", "why was the credit card declined"] * 3,
        ["the weather today", "weather forecast", "weather tomorrow"] * 3,
    ]
    names = category_names([[0, 1], [2]], texts, labels_of(texts), taken=[])
    assert "credit card" in names[0].lower()
    assert names[1] == labels_of(texts)[2].name


def test_a_category_of_strangers_is_named_after_its_two_largest_intents() -> None:
    texts = [["flip a coin", "flip coin"] * 3, ["play the next song", "next song"] * 3, ["set alarm"] * 6]
    labels = labels_of(texts)
    (name,) = category_names([[0, 1, 2]], texts, labels, taken=[])
    assert name.split(" and ")[0] == labels[0].name
    assert name.lower().endswith(labels[1].name.lower())


def test_category_names_are_unique_among_themselves_and_those_taken() -> None:
    texts = [["cancel order", "order cancel"] * 3] * 4
    labels = [Label("Cancel order", "cancel-order", ("cancel order",))] * 4
    names = category_names([[0], [1], [2, 3]], texts, labels, taken=["Cancel order", "Other"])
    assert len({*names, "Cancel order", "Other"}) == 5


def test_intents_are_placed_by_name_description_and_examples_with_their_lead() -> None:
    space = fit_space(["i lost my card", "book a flight", "my luggage is lost", "what is the weather"] * 5)
    centroids = space.embed(["my credit card was declined", "book me a flight", "qwzx vfgh plmk"])
    found = places(centroids, CARDS, space)
    assert [place.category for place in found] == ["Cards", "Travel", OTHER]
    assert all(place.margin is not None and place.margin > 0 for place in found[:2])
    assert found[2].margin is None
    assert places(centroids[:1], CARDS[:1], space)[0].margin is None
    with pytest.raises(ValueError, match="no categories"):
        places(centroids, [], space)


def test_an_example_brings_intents_that_a_description_does_not_mention() -> None:
    space = fit_space(["i lost my card", "book a flight", "vaccine for yellow fever", "weather"] * 5)
    centroid = space.embed(["which vaccine do i need for yellow fever"])
    without = places(centroid, CARDS, space)[0]
    example = Category("Travel", CARDS[1].description, ("which vaccine do i need for yellow fever",))
    assert without.category == OTHER
    assert places(centroid, [CARDS[0], example], space)[0].category == "Travel"
    assert 0 < FLOOR < 1


def test_hostile_descriptions_are_bounded() -> None:
    space = fit_space(["i lost my card", "book a flight"] * 5)
    bad = [Category("x", "a,b;c:" * 100_000), Category("", ""), Category("...", "!!", ("", " "))]
    assert len(places(space.embed(["lost card"]), bad, space)) == 1


def test_the_signature_changes_with_any_part_of_a_category() -> None:
    one = Category("a", "b", ("c",))
    others = [
        Category("a", "b"),
        Category("a", "c", ("c",)),
        Category("x", "b", ("c",)),
        Category("a", "b", ("d",)),
    ]
    assert len({signature([one]), *(signature([other]) for other in others), signature([])}) == 6
    assert signature([one]) == signature([Category("a", "b", ("c",))])


def test_categories_of_real_intents_agree_with_the_domains_that_people_drew(real_data: Path) -> None:
    folder = real_data / "clinc150"
    raw = json.loads((folder / "data_small.json").read_text())
    domains = json.loads((folder / "domains.json").read_text())
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    by_intent: dict[str, list[str]] = {}
    for text, intent in raw["train"]:
        by_intent.setdefault(intent, []).append(text)
    chosen = random.Random(101).sample(sorted(by_intent), 75)
    texts = [by_intent[intent][:20] for intent in chosen]
    space = fit_space([text for of in texts for text in of])
    centroids = np.stack([unit(space.embed(of).astype(np.float64).sum(axis=0)[None, :])[0] for of in texts])
    of = categories(two_views(centroids, [space.core(said) for said in texts]))
    assert agreement([domain_of[intent] for intent in chosen], of.tolist()).nmi > 0.55
