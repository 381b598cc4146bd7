from __future__ import annotations

from typing import Any

import pytest

from insights_pipeline.traces import key_sets
from insights_pipeline.traces.dialects.flattened import pop_flattened
from insights_pipeline.traces.draft import Draft, Sources, identify
from insights_pipeline.traces.key_sets import by_keys
from insights_pipeline.traces.text import as_int, as_text


def test_a_set_of_keys_is_worked_out_once_until_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "MAX_SETS", 2)
    asked: list[tuple[str, ...]] = []

    @by_keys
    def count(keys: tuple[str, ...]) -> int:
        asked.append(keys)
        return len(keys)

    for keys in (("a",), ("a",), ("a", "b"), ("a",)):
        assert count(keys) == len(keys)
    assert asked == [("a",), ("a", "b")]
    count(("c",))  # the third: all are forgotten
    count(("a",))
    assert asked[2:] == [("c",), ("a",)]


def test_long_keys_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "MAX_CHARS", 5)
    asked: list[tuple[str, ...]] = []
    count = by_keys(lambda keys: asked.append(keys) or len(keys))
    assert [count(("abc", "def")), count(("abc", "def"))] == [2, 2]
    assert len(asked) == 2


def test_the_best_source_is_read_and_all_are_taken_out() -> None:
    sources = Sources(model=(as_text, ("new", "old")), prompt_tokens=(as_int, ("count",)))
    draft = Draft(model="before", prompt_tokens=7)
    attributes: dict[str, Any] = {"old": "b", "other": 1, "new": ["a"]}
    sources.fill(draft, attributes)
    assert (draft.model, draft.prompt_tokens, attributes) == ('["a"]', 7, {"other": 1})
    sources.fill(draft, {"count": "none"})
    assert (draft.model, draft.prompt_tokens) == ('["a"]', None)


def test_an_identity_whose_value_is_empty_or_no_text_leaves_the_next_best() -> None:
    for best in ("", 1.5, None):
        draft = Draft()
        metadata = {"session_id": best, "thread_id": "t-1", "x": "y"}
        identify(draft, metadata)
        assert (draft.session_id, metadata) == ("t-1", {"session_id": best, "x": "y"})


def test_the_same_keys_with_other_values_give_other_messages() -> None:
    def spread(role: Any, content: Any) -> list[dict[str, Any]]:
        attributes = {"p.0.role": role, "p.0.content": content, "p.1.finish_reason": "stop", "c.x": 1}
        sent, returned = pop_flattened(attributes, "p.", "c.")
        assert (attributes, sent.whole, returned.messages) == ({"c.x": 1}, True, [])
        return sent.messages

    assert spread("user", "hi") == [{"role": "user", "content": "hi"}]
    assert spread("assistant", "{not a call}") == [{"role": "assistant", "content": "{not a call}"}]
    assert spread("user", ["a"]) == [{"role": "user", "content": '["a"]'}]
    [call] = spread("assistant", '{"name": "f", "arguments": "{}"}')
    assert call["tool_calls"] == [{"id": None, "name": "f", "arguments": "{}"}]
    assert spread("user", '[{"type": "text", "text": "in parts"}]') == [
        {"role": "user", "content": "in parts"}
    ]


def test_messages_that_lost_their_beginning_are_not_whole() -> None:
    gap, _ = pop_flattened({"p.1.role": "user", "p.1.content": "b"}, "p.", "c.")
    no_role, _ = pop_flattened({"p.0.content": "a"}, "p.", "c.")
    assert (gap.whole, no_role.whole) == (False, False)
    assert no_role.messages == [{"role": "user", "content": "a"}]
