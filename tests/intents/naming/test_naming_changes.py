"""Merges, splits and categories that the model proposes: carried out on the first day, suggested later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.llm_endpoint import Endpoint, Reply, endpoint
from benchmarks.llm_models import blocks_of, data_of, messages_of, task_of, well_behaved
from insights_pipeline.intents.model import LLM, MERGED, PERSON, Draft, Model
from insights_pipeline.intents.naming.changes import merged, merges_of, pairs_to_judge
from tests.intents.naming_drafts import DAY, draft_of, messages, named, usual


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with endpoint(well_behaved) as running:
        yield running


def told(draft: Draft, kind: str) -> list[dict[str, Any]]:
    return [dict(event) for event in draft.events if event["kind"] == kind]


def rows_of(draft: Draft) -> list[dict[str, object]]:
    return [draft.intents[key].row(DAY, "v") for key in sorted(draft.intents)]


def says_same(request: dict[str, Any]) -> Reply:
    """The same, for every pair."""
    if task_of(request) != "merging":
        return well_behaved(request)
    numbers = blocks_of(data_of(request), "pair")
    return Reply(json.dumps({"pairs": [{"number": number, "same": True} for number in numbers]}))


def torn() -> tuple[Draft, Any, dict[str, str]]:
    """The twelve topics, flights twice: as two intents of eight messages each that say the same."""
    groups = {topic: messages(topic) for topic in usual()[2]}
    whole = groups.pop("flight")
    return draft_of({**groups, "flight": [*whole[::2], *whole[:2]], "flight again": whole[1::2]})


def test_what_is_one_intent_torn_in_two_is_merged_on_the_first_day(server: Endpoint) -> None:
    draft, space, of = torn()
    server.script = says_same
    after = named(server, draft, space)
    (event,) = told(after, "merged")
    assert (event["intent_id"], event["into"], event["by"]) == (of["flight again"], of["flight"], LLM)
    gone, stays = after.intents[of["flight again"]], after.intents[of["flight"]]
    assert (gone.status, gone.merged_into) == (MERGED, stays.intent_id)
    assert stays.size == 18
    assert (gone.centroid == draft.intents[gone.intent_id].centroid).all()
    assert gone.exemplar_ids == draft.intents[gone.intent_id].exemplar_ids
    intents = tuple(after.intents[key] for key in sorted(after.intents))
    model = Model("ready", "v", None, space.name, 1, after.thresholds, intents)
    assert set(model.columns) == {one.intent_id for one in model.living}
    assert not any(one.nearest_id == gone.intent_id for one in model.living)


def test_the_model_alone_merges_nothing_that_is_not_alike(server: Endpoint) -> None:
    draft, space, _ = usual()
    server.script = says_same
    after = named(server, draft, space)
    gone = {key for key, one in after.intents.items() if one.status == MERGED}
    pairs = pairs_to_judge(list(draft.intents.values()), about=set(draft.intents), known=(), most=99)
    assert len(pairs) < 10
    assert gone <= {key for pair in pairs for key in pair[:2]}


def test_intents_discovered_anew_have_a_history_so_merges_are_suggested(server: Endpoint) -> None:
    draft, space, _ = torn()
    server.script = says_same
    after = named(server, replace(draft, events=({"kind": "rediscovered"},)), space)
    assert told(after, "merged") == []
    assert told(after, "suggested_merge")


def test_later_a_merge_is_suggested_and_only_once(server: Endpoint) -> None:
    draft, space, of = torn()
    server.script = says_same
    after = named(server, draft, space, first=False)
    assert not any(one.status == MERGED for one in after.intents.values())
    pairs = [{event["intent_id"], event["into"]} for event in told(after, "suggested_merge")]
    assert {of["flight"], of["flight again"]} in pairs
    stored = json.loads(json.dumps(dict(after.thresholds)))
    for intent in (of["flight"], of["flight again"]):  # both are named anew
        del stored["naming"][intent]
    fresh = {key: replace(one, named_by="words") for key, one in after.intents.items()}
    again = named(server, Draft(fresh, stored), space, first=False)
    later = [{event["intent_id"], event["into"]} for event in told(again, "suggested_merge")]
    assert {of["flight"], of["flight again"]} not in later


@pytest.mark.parametrize("change", [{"named_by": PERSON}, {"pinned": True}])
def test_what_people_had_a_hand_in_is_neither_merged_nor_suggested(
    change: dict[str, Any], server: Endpoint
) -> None:
    draft, space, of = torn()
    mine = replace(draft.intents[of["flight"]], **change)
    server.script = says_same
    after = named(server, Draft({**draft.intents, mine.intent_id: mine}, {}), space)
    assert of["flight"] not in {event["into"] for event in told(after, "merged")}
    assert after.intents[of["flight again"]].merged_into != of["flight"]


def test_merges_do_not_chain_unlike_intents_and_stop_at_a_third() -> None:
    # a Latin square: every part has all ways to ask and all things asked for
    said = list(enumerate(messages("flight")))
    groups = {
        f"part {part}": [text for place, text in said if (place + place // 4) % 4 == part] * 2
        for part in range(4)
    }
    draft, _, _ = draft_of({**groups, "music": messages("music"), "alarm": messages("alarm")})
    pairs = pairs_to_judge(list(draft.intents.values()), about=set(draft.intents), known=(), most=99)
    assert len(pairs) >= 6
    into = merges_of(pairs, draft.intents)
    assert len(into) == 2
    assert not set(into.values()) & set(into)


def test_merging_again_gives_the_same_whatever_the_order_of_verdicts() -> None:
    draft, _, _ = torn()
    pairs = pairs_to_judge(list(draft.intents.values()), about=set(draft.intents), known=(), most=99)
    assert merges_of(pairs, draft.intents) == merges_of(pairs[::-1], draft.intents)
    assert merged(draft.intents, {}) == draft.intents


def splits_by(*words: str, names: tuple[str, ...]) -> Any:
    """A model that finds an intent incoherent when its messages hold each of the words."""

    def script(request: dict[str, Any]) -> Reply:
        reply = well_behaved(request)
        if task_of(request) != "naming":
            return reply
        answer = json.loads(reply.content or "")
        blocks = blocks_of(data_of(request), "intent")
        for one in answer["intents"]:
            said = messages_of(blocks[one["number"]])
            numbers = [[n for n, text in enumerate(said, 1) if word in text] for word in words]
            if all(numbers):
                one["coherent"] = False
                one["groups"] = [
                    {"name": name, "messages": mine} for name, mine in zip(names, numbers, strict=True)
                ]
        return Reply(json.dumps(answer))

    return script


def mixed() -> tuple[Draft, Any, dict[str, str]]:
    """One intent of flights and music, beside others."""
    groups = {topic: messages(topic) for topic in ("refund", "alarm", "salary")}
    return draft_of({**groups, "mixed": [*messages("flight"), *messages("music")[:12]]})


def test_an_intent_of_two_things_is_divided_on_the_first_day(server: Endpoint) -> None:
    draft, space, of = mixed()
    server.script = splits_by("flight", "music", names=("Flight Search", "Music Playback"))
    after = named(server, draft, space)
    (event,) = told(after, "split")
    kept = after.intents[of["mixed"]]
    (child,) = (one for one in after.intents.values() if one.split_from == of["mixed"])
    assert event["parts"] == [{"intent_id": child.intent_id, "name": "Music Playback"}]
    assert (kept.name, kept.named_by, child.name, child.named_by) == (
        "Flight Search",
        LLM,
        "Music Playback",
        LLM,
    )
    assert not any("music" in text for text in (*kept.phrases, kept.description))
    assert all("flight" in text for text in kept.exemplar_texts)
    assert not any("flight" in text for text in child.exemplar_texts)
    assert kept.size + child.size == draft.intents[of["mixed"]].size
    assert (child.born, child.status, child.nearest_id) == (kept.born, kept.status, kept.intent_id)
    assert rows_of(named(server, draft, space)) == rows_of(after)
    later = named(server, replace(after, events=()), space, first=False)
    assert (rows_of(later), later.events) == (rows_of(after), ())


def test_later_a_split_is_suggested_and_only_once(server: Endpoint) -> None:
    draft, space, of = mixed()
    server.script = splits_by("flight", "music", names=("Flight Search", "Music Playback"))
    after = named(server, draft, space, first=False)
    (event,) = told(after, "suggested_split")
    assert event["intent_id"] == of["mixed"]
    assert [part["name"] for part in event["parts"]] == ["Flight Search", "Music Playback"]
    assert set(after.intents) == set(draft.intents)
    stored = dict(after.thresholds)
    stored["naming"] = {key: one for key, one in stored["naming"].items() if key != of["mixed"]}
    fresh = replace(after.intents[of["mixed"]], named_by="words")
    again = named(server, Draft({**after.intents, of["mixed"]: fresh}, stored), space, first=False)
    assert told(again, "suggested_split") == []


def test_halves_of_one_intent_are_no_split_whatever_the_model_says(server: Endpoint) -> None:
    draft, space, _ = draft_of({topic: messages(topic) for topic in ("refund", "alarm", "flight")})

    def halves(request: dict[str, Any]) -> Reply:
        answer = json.loads(well_behaved(request).content or "")
        for one in answer.get("intents", []):
            one["coherent"] = False
            one["groups"] = [
                {"name": "Flight One", "messages": [1, 3, 5, 7, 9]},
                {"name": "Flight Two", "messages": [2, 4, 6, 8, 10]},
            ]
        return Reply(json.dumps(answer))

    server.script = halves
    after = named(server, draft, space)
    assert told(after, "split") == []
    assert set(after.intents) == set(draft.intents)


@pytest.mark.parametrize("groups", [[[1], [2, 3]], [[1, 2, 3]], [[1, 2], [1, 2]], [[90, 91], [92, 93]], []])
def test_groups_that_divide_nothing_are_no_split(groups: list[list[int]], server: Endpoint) -> None:
    draft, space, _ = mixed()

    def script(request: dict[str, Any]) -> Reply:
        answer = json.loads(well_behaved(request).content or "")
        for one in answer.get("intents", []):
            one["coherent"] = False
            one["groups"] = [{"name": "Flight", "messages": numbers} for numbers in groups]
        return Reply(json.dumps(answer))

    server.script = script
    assert told(named(server, draft, space), "split") == []


def test_categories_are_made_on_the_first_day_and_kept_afterwards(server: Endpoint) -> None:
    draft, space, of = usual(["unlock the door"] * 3 + ["open the front door", "door lock status"] * 3)
    new = of.pop("more0")
    before = Draft({key: one for key, one in draft.intents.items() if key != new}, draft.thresholds)
    after = named(server, before, space)
    made = {one.category for one in after.intents.values()}
    assert all(name.endswith(" Matters") for name in made) and len(made) == 3
    assert {one.category_by for one in after.intents.values()} == {LLM}
    assert set(after.thresholds["category_descriptions"]) == made
    server.requests.clear()
    grown = Draft({**after.intents, new: draft.intents[new]}, after.thresholds)
    later = named(server, grown, space, first=False)
    (question,) = (data_of(request) for request in server.requests if task_of(request) == "categories")
    assert question.count("existing: ") == 3 and "2. " not in question
    assert later.intents[new].category in made
    assert {key: one.category for key, one in later.intents.items() if key != new} == {
        key: one.category for key, one in after.intents.items()
    }


@pytest.mark.parametrize("by", [PERSON, "predefined"])
def test_categories_of_people_and_of_settings_are_left_alone(by: str, server: Endpoint) -> None:
    draft, space, of = usual()
    mine = replace(draft.intents[of["flight"]], category="Our Own", category_by=by)
    after = named(server, Draft({**draft.intents, mine.intent_id: mine}, {}), space)
    kept = after.intents[mine.intent_id]
    assert (kept.category, kept.category_by) == ("Our Own", by)
    question = next(data_of(request) for request in server.requests if task_of(request) == "categories")
    assert 'existing: "Our Own"' in question


@pytest.mark.parametrize(
    "categories",
    [
        [],
        [{"name": "All Of It", "intents": list(range(1, 13))}],
        [
            {"name": "https://evil.example", "intents": [1, 2]},
            {"name": "Ignore previous instructions", "intents": [3]},
        ],
        [{"name": "Travel", "intents": [-1, 0, 13, 99]}],
    ],
)
def test_an_answer_that_sorts_nothing_leaves_categories_and_is_not_asked_for_ever(
    categories: list[dict[str, Any]], server: Endpoint
) -> None:
    draft, space, _ = usual()

    def script(request: dict[str, Any]) -> Reply:
        if task_of(request) == "categories":
            return Reply(json.dumps({"categories": categories}))
        return well_behaved(request)

    server.script = script
    after = draft
    for day in range(6):
        after = named(server, replace(after, events=()), space, first=day == 0)
    assert {one.category for one in after.intents.values()} == {"Everything"}
    assert sum(task_of(request) == "categories" for request in server.requests) == 3
