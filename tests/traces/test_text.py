from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.text import as_float, as_int, cut, loads
from insights_pipeline.traces.unwrap import call_arguments, call_result, said, told

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "answer"},
    {"role": "user", "content": "Hello"},
]


@pytest.mark.parametrize(
    "value",
    [
        "Hello",
        '"Hello"',
        {"args": ["Hello"], "kwargs": {}},
        {"args": ["Hello", [{"role": "system", "content": "Be kind."}]], "kwargs": {}},
        {"args": [MESSAGES], "kwargs": {}},
        {"args": [], "kwargs": {"question": "Hello", "limit": 5}},
        {"args": [], "kwargs": {"anything": "Hello"}},
        {"args": [7], "kwargs": {"query": "Hello"}},
        {"user_input": "Hello", "messages": json.dumps(MESSAGES[:1])},
        {"messages": json.dumps(MESSAGES)},
        {"messages": MESSAGES, "model": "gpt"},
        {"inputs": {"message": "Hello"}, "tags": []},
        {"input": {"messages": [["user", "Hello"]]}},
        {"prompt": "Hello", "temperature": 0.5, "model": "x"},
        {"q": "Hello"},
        {"city_question": "Hello", "n": 3, "flag": True},
        MESSAGES,
        [MESSAGES],
        ["Hello"],
        {"role": "user", "content": "Hello"},
        {"role": "user", "parts": [{"text": "Hello"}]},
        [{"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "image_url"}]}],
        [{"type": "human", "data": {"content": "Hello"}}],
    ],
)
def test_what_a_person_said_is_found_however_it_was_passed(value: Any) -> None:
    assert said(value if isinstance(value, str) else json.dumps(value)) == "Hello"
    assert said(value) == "Hello"


@pytest.mark.parametrize(
    "value",
    [
        "Hello",
        '"Hello"',
        {"output": "Hello"},
        {"answer": "Hello", "sources": ["a"]},
        {"messages": [*MESSAGES[:2], {"role": "assistant", "content": "Hello"}]},
        {"choices": [{"message": {"role": "assistant", "content": "Hello"}}]},
        {"role": "assistant", "content": "Hello", "tool_calls": None},
        {"content": [{"type": "text", "text": "Hello"}], "role": "assistant"},
        {"messages": [{"type": "human", "content": "x"}, {"type": "ai", "data": {"content": "Hello"}}]},
    ],
)
def test_what_a_person_was_told_is_found_however_it_was_returned(value: Any) -> None:
    assert told(value if isinstance(value, str) else json.dumps(value)) == "Hello"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        '{"a": "b", "c": "d"}',
        '{"args": ["one", "two"], "kwargs": {}}',
        '[{"name": "tool", "args": {}, "id": "1"}]',
        "[1, 2]",
        "{}",
        "[]",
        '{"messages": "[{\\"role',
        '{"user_input": 5}',
    ],
)
def test_what_cannot_be_recognised_is_left_alone(value: str) -> None:
    assert said(value) is None


def test_text_that_only_looks_like_json_to_a_person_is_not_lost() -> None:
    assert said("(see [1]) what is it?") == "(see [1]) what is it?"
    assert said('"quoted" word first') == '"quoted" word first'
    assert said("5") == "5"
    assert said("null") == "null"


def test_a_result_of_several_strings_is_not_taken_for_an_answer() -> None:
    assert told('{"city": "Paris", "temp_c": 21}') is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('{"args": [], "kwargs": {"a": 1}}', '{"a":1}'),
        ('{"args": [1], "kwargs": {}}', "[1]"),
        ('{"args": [1], "kwargs": {"a": 1}}', '{"args": [1], "kwargs": {"a": 1}}'),
        ('{"args": "broken', '{"args": "broken'),
        ("Paris", "Paris"),
    ],
)
def test_arguments_lose_the_wrapping_of_decorators(sent: str, expected: str) -> None:
    assert call_arguments(sent) == expected


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ('"sunny"', "sunny"),
        ('"broken', '"broken'),
        ('{"type": "tool", "data": {"content": "sunny"}}', "sunny"),
        ('{"temp": 21}', '{"temp": 21}'),
        ('{"kind": "tool"}', '{"kind": "tool"}'),
    ],
)
def test_results_are_unquoted(returned: str, expected: str) -> None:
    assert call_result(returned) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (3.0, 3), ("3", 3), ("3.0", 3),
     (3.5, None), ("3.5", None), (".0", None), (-1, None), ("-1", None), (True, None), ("x", None), (None, None),
     (float("nan"), None), (1e300, None), (2**70, None), (10**12, 10**12),
     (10**12 + 1, None), (1e12 + 1, None), (str(10**12 + 1), None), ("9" * 40, None), ("٣", None), ([], None)],
)  # fmt: skip
def test_a_count_is_a_natural_number_or_missing(value: Any, expected: int | None) -> None:
    assert as_int(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), ("0.5", 0.5), ("x", None), (True, None), (float("inf"), None), ("nan", None), (10**400, None)],
)
def test_a_number_is_finite_or_missing(value: Any, expected: float | None) -> None:
    assert as_float(value) == expected


@given(st.text(max_size=300), st.integers(60, 200))
def test_cut_text_is_never_longer_than_the_limit(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert short is not None
    assert len(short) <= limit
    assert short == text or f"{len(text):,}" in short


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "parts", "type", "data", "tool_calls", "function", "arguments", "id",
                         "messages", "choices", "message", "args", "kwargs", "lc", "name", "input", "text"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(_json)
def test_no_json_crashes_the_readers_of_text(value: Any) -> None:
    for text in (said(value), told(value)):
        assert text is None or text.strip()
    for message in read_messages(value, "user"):
        assert isinstance(message["role"], str)
        assert isinstance(message["content"], str)
        for call in message.get("tool_calls", ()):
            assert isinstance(call["arguments"], str)


def test_json_deeper_than_the_parser_allows_is_no_json() -> None:
    deep = "[" * 5_000 + "]" * 5_000
    assert said(deep) is None
    assert not isinstance(loads(deep), list)
