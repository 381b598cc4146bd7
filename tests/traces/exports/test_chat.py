from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces.exports import chat as chat_module
from insights_pipeline.traces.exports.detect import CHAT, Opened, open_records
from insights_pipeline.traces.records import RawSpan, Record, Reject, Score
from insights_pipeline.traces.table import Batch

NOW = 1_790_000_000_000_000_000
AT = 1_772_366_400_000_000_000


def opened(*conversations: Any, name: str = "chats.jsonl", format_: str = CHAT) -> Opened:
    body = "\n".join(json.dumps(one) for one in conversations).encode()
    return open_records(BytesIO(body), name=name, base_ns=AT, format_=format_)


def rows_of(records: Iterable[Record]) -> list[dict[str, Any]]:
    batch = Batch(NOW, 100_000)
    for record in records:
        assert isinstance(record, (RawSpan, Score)), record
        batch.add(record, "chats.jsonl")
    assert batch.rejects == []
    rows: list[dict[str, Any]] = batch.tables()["spans"].to_pylist()
    return sorted(rows, key=lambda row: (row["start_ns"], row["kind"], row["span_id"]))


def spans(*conversations: Any) -> list[dict[str, Any]]:
    return rows_of(opened(*conversations).records)


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call(name: str, arguments: str, call_id: str | None = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = [
    said("system", "Be brief."),
    said("user", "Weather in Oslo?"),
    said("assistant", None, tool_calls=[call("get_weather", '{"city": "Oslo"}')]),
    said("tool", "4 °C", tool_call_id="c1"),
    said("assistant", "4 °C."),
    said("user", "And in Rome?"),
    said("assistant", "I do not know."),
]


def test_each_user_turn_is_a_trace_of_one_session() -> None:
    rows = spans({"messages": WEATHER})
    roots = [row for row in rows if row["kind"] == "agent"]
    assert [(row["input_text"], row["output_text"]) for row in roots] == [
        ("Weather in Oslo?", "4 °C."),
        ("And in Rome?", "I do not know."),
    ]
    assert len({row["trace_id"] for row in rows}) == 2
    assert len({row["session_id"] for row in rows}) == 1
    assert all(row["session_id"] for row in rows)
    assert [sum(row["trace_id"] == root["trace_id"] for row in rows) for root in roots] == [4, 2]
    assert {row["parent_span_id"] for row in rows if row["trace_id"] == roots[0]["trace_id"]} == {
        None,
        roots[0]["span_id"],
    }
    assert {row["source"] for row in rows} == {"chat"}


def test_a_tool_call_and_its_message_are_a_tool_span() -> None:
    [tool] = [row for row in spans({"messages": WEATHER}) if row["kind"] == "tool"]
    assert (tool["tool_name"], tool["input_text"], tool["output_text"]) == (
        "get_weather",
        '{"city":"Oslo"}',
        "4 °C",
    )
    assert not tool["is_error"]


def test_only_the_last_call_of_a_turn_shows_the_whole_history() -> None:
    first, second, third = [row for row in spans({"messages": WEATHER}) if row["kind"] == "llm"]
    sizes = [len(json.loads(row["messages"])) for row in (first, second, third)]
    assert sizes == [3, 5, 7]
    many = [said("user", "q"), *([said("assistant", "a")] * 50)]
    assert [
        len(json.loads(row["messages"])) for row in spans({"messages": many}) if row["kind"] == "llm"
    ] == [
        2,
        *[1] * 48,
        51,
    ]


def test_without_times_the_order_is_kept_and_nothing_has_an_end() -> None:
    rows = spans({"messages": WEATHER})
    assert {row["end_ns"] for row in rows} == {None}
    assert AT <= min(row["start_ns"] for row in rows) <= max(row["start_ns"] for row in rows) < AT + 10**9
    texts = [row["output_text"] for row in rows if row["kind"] == "llm"]
    assert texts == [None, "4 °C.", "I do not know."]


def test_the_times_of_messages_become_those_of_spans() -> None:
    moments = [None, *(f"2026-03-01T12:00:{second:02d}Z" for second in (0, 2, 3, 7, 30, 31))]
    messages = [
        {**message, "timestamp": at} if at else message for message, at in zip(WEATHER, moments, strict=True)
    ]
    rows = spans({"messages": messages})
    took = [
        (row["kind"], (row["start_ns"] - AT) / 1e9, (row["end_ns"] - row["start_ns"]) / 1e9) for row in rows
    ]
    assert took == [
        ("agent", 0.0, 7.0),
        ("llm", 0.0, 2.0),
        ("tool", 2.0, 1.0),
        ("llm", 3.0, 4.0),
        ("agent", 30.0, 1.0),
        ("llm", 30.0, 1.0),
    ]


def test_a_message_that_is_earlier_than_the_one_before_it_has_no_end() -> None:
    messages = [said("user", "q", timestamp=AT + 10**9), said("assistant", "a", timestamp=AT)]
    [call_] = [row for row in spans({"messages": messages}) if row["kind"] == "llm"]
    assert (call_["start_ns"], call_["end_ns"]) == (AT, None)


def test_reading_again_gives_the_same_ids_and_equal_chats_of_a_file_are_told_apart() -> None:
    chats = [{"messages": WEATHER}, {"messages": WEATHER}, {"messages": WEATHER[:5]}]
    first, second = spans(*chats), spans(*chats)
    ids = [(row["trace_id"], row["span_id"]) for row in first]
    assert ids == [(row["trace_id"], row["span_id"]) for row in second]
    assert len(set(ids)) == len(ids)
    assert len({row["trace_id"] for row in first}) == 5
    appended = spans(*chats, {"messages": WEATHER[5:]})
    assert set(ids) < {(row["trace_id"], row["span_id"]) for row in appended}


def test_a_chat_with_an_id_keeps_its_traces_when_it_grows() -> None:
    short = spans({"conversation_id": "thread-1234", "messages": WEATHER[:5]})
    long = spans({"conversation_id": "thread-1234", "messages": WEATHER})
    assert {row["session_id"] for row in long} == {"thread-1234"}
    assert {row["span_id"] for row in short} < {row["span_id"] for row in long}


def test_the_number_of_a_row_is_no_session_of_its_own() -> None:
    one, other = spans({"id": 0, "messages": WEATHER}), spans({"id": 0, "messages": WEATHER[5:]})
    assert one[0]["session_id"] != other[0]["session_id"]
    assert one[0]["session_id"].startswith("0-")


def test_what_is_known_of_the_chat_is_on_the_root_and_what_is_not_mapped_stays() -> None:
    chat = {
        "messages": WEATHER[:5],
        "model": "gpt-4.1-mini",
        "user": "u1",
        "tenant_id": "acme",
        "environment": "staging",
        "tags": ["a", "b"],
        "channel": {"kind": "web"},
        "tools": [{"type": "function"}],
    }
    rows = spans(chat)
    [root] = [row for row in rows if row["kind"] == "agent"]
    assert (root["user_id"], root["tenant_id"], root["environment"]) == ("u1", "acme", "staging")
    assert root["tags"] == ["a", "b"]
    assert json.loads(root["attributes"]) == {"channel": {"kind": "web"}, "insights.undated": True}
    assert {row["model"] for row in rows if row["kind"] == "llm"} == {"gpt-4.1-mini"}


def test_results_find_their_calls_whatever_the_order() -> None:
    messages = [
        said("user", "q"),
        said("tool", "early", tool_call_id="b"),
        said(
            "assistant",
            "",
            tool_calls=[call("one", "{}", "a"), call("two", "{}", "b"), call("three", "{}", "x")],
        ),
        said("tool", "late", tool_call_id="a"),
        said("tool", "nobody asked", tool_call_id="zzz", name="four"),
        said("assistant", "done"),
    ]
    tools = [row for row in spans({"messages": messages}) if row["kind"] == "tool"]
    assert sorted((row["tool_name"], row["output_text"]) for row in tools) == [
        ("four", "nobody asked"),
        ("one", "late"),
        ("three", None),
        ("two", "early"),
    ]


def test_an_id_that_is_used_again_belongs_to_each_of_its_calls_in_turn() -> None:
    messages = [said("user", "q")]
    for number in range(3):
        messages += [
            said("assistant", "", tool_calls=[call("look", f"[{number}]", "call_1")]),
            said("tool", f"found {number}", tool_call_id="call_1"),
        ]
    tools = [row for row in spans({"messages": messages}) if row["kind"] == "tool"]
    assert [(row["input_text"], row["output_text"]) for row in tools] == [
        (f"[{number}]", f"found {number}") for number in range(3)
    ]


def test_legacy_function_calls_are_tool_calls() -> None:
    messages = [
        said("user", "q"),
        said("assistant", None, function_call={"name": "look", "arguments": '{"a": 1}'}),
        said("function", "found", name="look"),
        said("assistant", "yes"),
    ]
    [tool] = [row for row in spans({"messages": messages}) if row["kind"] == "tool"]
    assert (tool["tool_name"], tool["input_text"], tool["output_text"]) == ("look", '{"a":1}', "found")


def test_parts_and_the_developer_role_are_read() -> None:
    messages = [
        said("developer", "Be kind."),
        said(
            "user",
            [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}],
        ),
        said("assistant", [{"type": "text", "text": "A cat."}]),
    ]
    rows = spans({"messages": messages})
    [root] = [row for row in rows if row["kind"] == "agent"]
    assert (root["input_text"], root["output_text"]) == ("What is this?", "A cat.")
    [llm] = [row for row in rows if row["kind"] == "llm"]
    assert json.loads(llm["messages"])[0] == {"role": "system", "content": "Be kind."}


def test_a_greeting_is_no_call_and_consecutive_questions_are_one_turn() -> None:
    messages = [
        said("assistant", "Hello, how can I help?"),
        said("user", "Hi"),
        said("user", "I want a refund"),
        said("assistant", "Sure."),
        said("user", "thanks"),
    ]
    rows = spans({"messages": messages})
    assert [row["kind"] for row in rows].count("llm") == 1
    roots = [row for row in rows if row["kind"] == "agent"]
    assert [(row["input_text"], row["output_text"]) for row in roots] == [
        ("I want a refund", "Sure."),
        ("thanks", None),
    ]


@pytest.mark.parametrize(
    "document",
    [
        WEATHER,
        [WEATHER],
        {"data": [{"messages": WEATHER}]},
        [{"messages": WEATHER}],
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
    ],
)
def test_chats_are_recognised_in_every_usual_shape(document: Any) -> None:
    found = opened(document, format_="auto", name="whatever.json")
    assert found.format == CHAT
    assert [row["kind"] for row in rows_of(found.records)].count("agent") in (1, 2)


def test_a_row_that_is_no_chat_is_a_reject_and_the_others_go_on() -> None:
    found = list(
        opened({"messages": WEATHER}, {"prompt": "x"}, {"messages": []}, {"messages": WEATHER}).records
    )
    rejects = [record for record in found if isinstance(record, Reject)]
    assert [(one.position, one.reason.partition(" under")[0]) for one in rejects] == [
        ("line 2", "no messages"),
        ("line 3", "no messages"),
    ]
    assert sum(isinstance(record, RawSpan) for record in found) == 12


def test_a_very_long_chat_is_not_quadratic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "MAX_HISTORY", 10)
    messages = [said(role, f"{role} {n}") for n in range(300) for role in ("user", "assistant")]
    found = [record for record in opened({"messages": messages}).records if isinstance(record, RawSpan)]
    assert len(found) == 600
    histories = [len(span.attributes.get("gen_ai.input.messages", ())) for span in found]
    assert max(histories) == 11


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "id", "name", "function"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "function", "x"]) | VALUES},
    optional={
        "content": VALUES,
        "tool_calls": VALUES | st.lists(VALUES),
        "function_call": VALUES,
        "tool_call_id": VALUES,
        "name": VALUES,
        "timestamp": VALUES,
        "usage": VALUES,
        "parts": VALUES,
    },
)


@given(st.lists(MESSAGES | VALUES, max_size=8), VALUES)
def test_no_chat_raises_and_every_span_can_be_stored(messages: list[Any], extra: Any) -> None:
    batch = Batch(NOW, 10_000)
    for record in opened({"messages": messages, "id": extra, "model": extra, "tags": extra}).records:
        batch.add(record, "chats.jsonl")
    bugs = [reject.reason for _, reject in batch.rejects if "cannot be read" in reject.reason]
    assert bugs == []
    batch.tables()
