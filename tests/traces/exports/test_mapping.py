from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces.exports.detect import open_records
from insights_pipeline.traces.exports.mapping import built_in, built_in_names, load_mapping, parse_mapping
from insights_pipeline.traces.records import RawSpan, Record, Reject, Score
from insights_pipeline.traces.table import Batch

NOW = 1_790_000_000_000_000_000
AT = 1_772_366_400_000_000_000

SPANS = """
unit = "span"
duration_unit = "ms"
[fields]
trace_id = "trace"
span_id = "span"
parent_id = "parent"
kind = "type"
name = "step"
start = "started"
duration = "took"
model = ["model", "llm"]
user = "who.id"
tenant = "org"
session = "chat"
input = "in"
output = "out"
cost = "usd"
prompt_tokens = "tokens_in"
completion_tokens = "tokens_out"
error = "failed"
error_message = "why"
tool_name = "tool"
tool_arguments = "args"
tool_result = "result"
tags = "labels"
release = "version"
prompt = "template"
[scores]
thumbs = "feedback.up"
verdict = "feedback.word"
[constants]
environment = "prod"
provider = "openai"
"""


def records(body: bytes, mapping: str, name: str = "x.jsonl") -> list[Record]:
    found = open_records(
        BytesIO(body), name=name, base_ns=AT, mapping=parse_mapping(mapping.encode(), source="map.toml")
    )
    return list(found.records)


def rows_of(found: list[Record]) -> list[dict[str, Any]]:
    batch = Batch(NOW, 100_000)
    for record in found:
        batch.add(record, "x")
    assert batch.rejects == []
    rows: list[dict[str, Any]] = batch.tables()["spans"].to_pylist()
    return sorted(rows, key=lambda row: row["start_ns"])


def lines(*rows: Any) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


CALL = {
    "trace": "t-1", "span": "s-2", "parent": "s-1", "type": "LLM", "step": "answer", "started": AT / 1e9,
    "took": "1500",
    "llm": "gpt-4.1-mini", "who": {"id": "u"}, "org": "acme", "chat": "c-1", "in": "Hi?", "out": "Hello!", "usd": 0.25,
    "tokens_in": 10, "tokens_out": "2", "labels": "a, b", "version": "1.2", "feedback": {"up": True, "word": "good"},
    "template": "chat:3", "extra": [1, 2], "failed": False,
}  # fmt: skip
TOOL = {
    "trace": "t-1", "span": "s-3", "parent": "s-1", "started": AT / 1e9 + 2, "tool": "look", "args": {"q": 1},
    "result": "none", "failed": "yes", "why": "TimeoutError: 5 s", "usd": 0,
}  # fmt: skip


def test_every_field_of_a_span_is_found() -> None:
    call, tool = rows_of(records(lines(CALL, TOOL), SPANS))
    assert call["trace_id"] == tool["trace_id"]
    assert call["parent_span_id"] == tool["parent_span_id"]
    assert (call["kind"], call["name"], call["model"], call["provider"]) == (
        "llm",
        "answer",
        "gpt-4.1-mini",
        "openai",
    )
    assert (call["start_ns"], call["end_ns"]) == (AT, AT + 1_500_000_000)
    assert (call["user_id"], call["tenant_id"], call["session_id"]) == ("u", "acme", "c-1")
    assert (call["environment"], call["release"], call["tags"]) == ("prod", "1.2", ["a", "b"])
    assert call["prompt"] == "chat:3"
    assert (call["input_text"], call["output_text"]) == ("Hi?", "Hello!")
    assert (call["prompt_tokens"], call["completion_tokens"], call["cost_usd"]) == (10, 2, 0.25)
    assert json.loads(call["attributes"]) == {"extra": [1, 2]}
    assert not call["is_error"]
    assert (tool["kind"], tool["tool_name"], tool["input_text"], tool["output_text"]) == (
        "tool",
        "look",
        '{"q":1}',
        "none",
    )
    assert (tool["is_error"], tool["error_type"], tool["end_ns"]) == (True, "TimeoutError", None)


def test_numbers_yes_and_words_are_scores() -> None:
    scores = [record for record in records(lines(CALL, TOOL), SPANS) if isinstance(record, Score)]
    assert [(score.name, score.value, score.label) for score in scores] == [
        ("thumbs", 1.0, None),
        ("verdict", None, "good"),
    ]
    assert len({score.score_id for score in scores}) == 2
    assert all(score.trace_id and score.span_id and score.at_ns == AT + 1_500_000_000 for score in scores)


def test_a_cost_of_zero_is_unknown_unless_the_mapping_says_otherwise() -> None:
    row = {**CALL, "usd": 0, "llm": "unheard-of"}
    [span] = rows_of([record for record in records(lines(row), SPANS) if isinstance(record, RawSpan)])
    assert span["cost_usd"] is None
    free = "zero_cost_is_unknown = false\n" + SPANS
    [span] = rows_of([record for record in records(lines(row), free) if isinstance(record, RawSpan)])
    assert span["cost_usd"] == 0.0


@pytest.mark.parametrize("lacking", ["trace", "started"])
def test_a_record_without_what_a_span_needs_is_a_reject(lacking: str) -> None:
    broken = {key: value for key, value in CALL.items() if key != lacking}
    found = records(lines(broken, CALL), SPANS)
    [bad] = [record for record in found if isinstance(record, Reject)]
    assert (bad.position, bad.reason.split()[0], bad.reason.split()[-1]) == ("line 1", "no", lacking)
    assert "mapping" in bad.remedy
    assert sum(isinstance(record, RawSpan) for record in found) == 1


def test_a_table_and_a_parquet_file_give_the_same_spans_as_json() -> None:
    flat = {
        "trace": "t",
        "span": "s",
        "type": "llm",
        "started": "2026-03-01T12:00:00Z",
        "took": 5,
        "in": "q",
        "out": "a",
    }
    wanted = rows_of(records(lines(flat), SPANS))
    text = ",".join(flat) + "\n" + ",".join(str(value) for value in flat.values()) + "\n"
    out = BytesIO()
    pq.write_table(pa.Table.from_pylist([flat]), out)
    assert rows_of(records(text.encode(), SPANS, "x.csv")) == wanted
    assert rows_of(records(out.getvalue(), SPANS, "x.parquet")) == wanted


def test_questions_and_answers_in_columns_are_turns() -> None:
    mapping = """
        [fields]
        conversation_id = "ticket"
        input = "question"
        output = "answer"
        start = "asked"
        duration = "seconds"
        model = "model"
        prompt_tokens = "in"
        [scores]
        stars = "stars"
    """
    body = b"ticket,question,answer,asked,seconds,model,in,stars\n"
    body += b"ticket-77,Why?,Because.,2026-03-01 12:00:00,2,gpt-4.1,9,4\n"
    found = records(body, mapping, "x.csv")
    root, call = rows_of([record for record in found if isinstance(record, RawSpan)])
    assert (root["kind"], root["input_text"], root["output_text"], root["session_id"]) == (
        "agent",
        "Why?",
        "Because.",
        "ticket-77",
    )
    assert (root["start_ns"], root["end_ns"]) == (AT, AT + 2 * 10**9)
    assert (call["kind"], call["model"], call["prompt_tokens"]) == ("llm", "gpt-4.1", 9)
    [score] = [record for record in found if isinstance(record, Score)]
    assert (score.name, score.value, score.trace_id) == ("stars", 4.0, root["trace_id"])


def test_records_and_values_of_the_document_around_them() -> None:
    mapping = 'records = "out.items"\n[fields]\nmessages = "chat[*].m"\nmodel = "$.meta.model"\nrelease = "$.meta.v"'
    chat = [{"m": {"role": "user", "content": "q"}}, {"m": {"role": "assistant", "content": "a"}}]
    document = {"meta": {"model": "gpt-4.1", "v": 3}, "out": {"items": [{"chat": chat}, {"other": 1}]}}
    found = records(json.dumps(document).encode(), mapping, "x.json")
    rows = rows_of([record for record in found if isinstance(record, RawSpan)])
    assert {(row["model"], row["release"]) for row in rows if row["kind"] == "llm"} == {("gpt-4.1", "3")}
    assert [record.position for record in found if isinstance(record, Reject)] == ["row 2"]


def test_a_score_of_a_chat_of_several_turns_is_one_of_its_session() -> None:
    mapping = '[fields]\nmessages = "m"\nsession = "s"\n[scores]\ncsat = "csat"'
    messages = [{"role": role, "content": "x"} for _ in range(2) for role in ("user", "assistant")]
    found = records(lines({"m": messages, "s": "sess", "csat": 5}), mapping)
    [score] = [record for record in found if isinstance(record, Score)]
    assert (score.session_id, score.trace_id, score.value) == ("sess", "", 5.0)
    assert score.at_ns >= max(record.start_ns for record in found if isinstance(record, RawSpan))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x =", "map.toml: not TOML"),
        ('unit = "day"', "unit: Input should be 'turn', 'conversation' or 'span'"),
        ("", "fields.messages is missing: say where the messages are"),
        ('unit = "span"', "fields.trace_id is missing"),
        ('[fields]\nmesages = "m"', "fields.mesages: no such key; known are conversation_id, messages"),
        ('[message]\nx = "m"', "message.x: no such key; known are role, content"),
        ('y = 1\n[fields]\nmessages = "m"', "y: no such key; known are name, unit"),
        ('[fields]\nmessages = "a["', "fields.messages: 'a[' is no path: write a.b"),
        ("[fields]\nmessages = 3", "fields.messages: give a path as text, or a list of paths"),
        ('[fields]\nmessages = "m"\n[constants]\nfoo = 1', "constants.foo is no field: fields are app"),
        ('duration_unit = "h"\n[fields]\nmessages = "m"', "duration_unit: Input should be 'ns'"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_told_with_file_key_and_remedy(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^map\.toml: ") as error:
        parse_mapping(text.encode(), source="map.toml")
    assert told in str(error.value)


def test_a_mapping_is_a_file_or_a_built_in_name(tmp_path: Path) -> None:
    assert load_mapping("tau2_bench").unit == "conversation"
    (tmp_path / "mine.toml").write_text('[fields]\nmessages = "m"\n')
    assert load_mapping(str(tmp_path / "mine.toml")).fields.messages == ["m"]
    with pytest.raises(ValueError, match=r"nope: no such mapping\. Give a TOML file, or one of .*tau2_bench"):
        load_mapping("nope")
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ValueError, match="a mapping is a small TOML file"):
        load_mapping(str(tmp_path / "large.toml"))


def test_the_built_in_mappings_are_valid_and_named() -> None:
    assert built_in_names() == ("openai_chat", "swe_agent", "tau2_bench", "tau_bench")
    for name in built_in_names():
        assert built_in(name).name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*CALL, "messages", "role", "content", "traj", "x"]), inner, max_size=6
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4), st.sampled_from(["span", *built_in_names()]))
def test_no_json_raises_whatever_the_mapping(rows: list[Any], name: str) -> None:
    mapping = parse_mapping(SPANS.encode(), source="x") if name == "span" else built_in(name)
    for body in (lines(*rows), json.dumps(rows).encode()):
        found = open_records(BytesIO(body), name="x.json", base_ns=AT, mapping=mapping)
        batch = Batch(NOW, 10_000)
        for record in found.records:
            batch.add(record, "x")
        assert [one.reason for _, one in batch.rejects if "cannot be read" in one.reason] == []
        batch.tables()


def test_records_nested_beyond_reason_are_read_or_rejected() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": [deep]}
    found = records(lines({**CALL, "extra": deep, "in": deep}), SPANS)
    [row] = rows_of([record for record in found if isinstance(record, RawSpan)])
    assert "nested too deep" in row["attributes"]


def test_a_value_that_is_not_what_its_field_wants_stays_under_its_own_name() -> None:
    mapping = """
        time_format = "%d.%m.%Y"
        [fields]
        input = "asked"
        output = "answered"
        start = "day"
        duration = "took"
        cost = "price"
        prompt_tokens = ["counts.in", "tokens"]
        user = "who"
    """
    row = {"asked": "q", "answered": "a", "day": "yesterday", "took": "1,5", "price": "3 EUR", "tokens": "many",
           "who": {"name": "x"}}  # fmt: skip
    root = rows_of(records(lines(row), mapping))[0]
    assert json.loads(root["attributes"]) == {
        "day": "yesterday", "took": "1,5", "price": "3 EUR", "tokens": "many", "who": {"name": "x"},
        "insights.undated": True,
    }  # fmt: skip
    understood = {
        "asked": "q",
        "answered": "a",
        "day": "02.03.2026",
        "took": "1.5",
        "price": 0,
        "tokens": "7.0",
    }
    rows = {row["kind"]: row for row in rows_of(records(lines(understood), mapping))}
    assert (rows["agent"]["attributes"], rows["llm"]["prompt_tokens"]) == (None, 7)


def test_equal_chats_at_other_times_are_others_also_in_another_file() -> None:
    mapping = '[fields]\ninput = "q"\noutput = "a"\nstart = "at"'
    monday, tuesday = (
        {"q": "Hi", "a": "Hello", "at": AT},
        {"q": "Hi", "a": "Hello", "at": AT + 86_400 * 10**9},
    )
    ids = [rows_of(records(lines(row), mapping))[0]["trace_id"] for row in (monday, tuesday, monday)]
    assert ids[0] == ids[2] != ids[1]


def test_only_a_chat_without_any_time_is_called_undated() -> None:
    mapping = '[fields]\nmessages = "m"\nend = "end"\n[message]\ntime = "at"'
    said = {"role": "user", "content": "q"}
    for more, undated in (({}, True), ({"end": AT}, False)):
        [root] = rows_of(records(lines({"m": [said], **more}), mapping))
        assert ("insights.undated" in (root["attributes"] or "")) is undated
    [root] = rows_of(records(lines({"m": [{**said, "at": AT}]}), mapping))
    assert root["attributes"] is None


@pytest.mark.parametrize("key", ["fields", "scores"])
def test_a_value_in_place_of_a_table_is_told_how_a_table_is_written(key: str) -> None:
    with pytest.raises(ValueError, match=rf"map.toml: {key}: give a table: \[{key}\]"):
        parse_mapping(f"{key} = 3".encode(), source="map.toml")
