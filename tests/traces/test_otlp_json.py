from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.traces import json_lines
from tests.traces.otlp_cases import SECOND, START, make_span, request, tables

JSON = "application/json"


def span(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "traceId": "0102030405060708090A0B0C0D0E0F10",
        "spanId": f"{number:016x}",
        "name": f"s{number}",
        "kind": 1,
        "startTimeUnixNano": str(START + number * SECOND),
        "endTimeUnixNano": str(START + (number + 1) * SECOND),
        **changes,
    }


def body(*spans: Any, **options: Any) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}],
        **options,
    }


def read(text: str | bytes, content_type: str = JSON) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    data = text.encode() if isinstance(text, str) else text
    spans, rejects = tables(data, content_type)
    return spans.to_pylist(), rejects.to_pylist()


def names(text: str | bytes, content_type: str = "") -> list[str]:
    spans, rejects = read(text, content_type)
    assert rejects == []
    return [row["name"] for row in spans]


def test_every_layout_of_requests_is_read_without_a_hint() -> None:
    one, two = body(span(1)), body(span(2))
    assert names(json.dumps(one)) == ["s1"]
    assert names(json.dumps(one, indent=2)) == ["s1"]
    assert names("\n" + json.dumps(one, indent=2)) == ["s1"]
    assert names("\ufeff" + json.dumps(one)) == ["s1"]
    assert names(f"{json.dumps(one)}\n\n{json.dumps(two)}\r\n") == ["s1", "s2"]
    assert names(json.dumps([one, two])) == ["s1", "s2"]
    assert names(json.dumps([one, two], indent=1)) == ["s1", "s2"]
    assert names("{}") == []
    assert names(json.dumps({"resourceSpans": []})) == []


def test_the_snake_case_of_protobuf_printers_is_read() -> None:
    one = span()
    snake = {"trace_id": one["traceId"], "span_id": one["spanId"], "name": "s1"}
    snake |= {
        "start_time_unix_nano": one["startTimeUnixNano"],
        "end_time_unix_nano": int(one["endTimeUnixNano"]),
    }
    assert names(json.dumps({"resource_spans": [{"scope_spans": [{"spans": [snake]}]}]})) == ["s1"]


def test_json_and_protobuf_of_the_same_span_give_the_same_row() -> None:
    attributes = {"a": "text", "b": 3, "c": 0.5, "d": True, "e": ["x", 1], "f": {"k": "v"}, "g": b"\x01"}
    spelled = [
        {"key": "a", "value": {"stringValue": "text"}},
        {"key": "b", "value": {"intValue": "3"}},
        {"key": "c", "value": {"doubleValue": 0.5}},
        {"key": "d", "value": {"boolValue": True}},
        {"key": "e", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": 1}]}}},
        {"key": "f", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
        {"key": "g", "value": {"bytesValue": "AQ=="}},
    ]
    event = {"name": "note", "timeUnixNano": str(START + SECOND + 5), "attributes": spelled[:1]}
    status = {"code": "STATUS_CODE_ERROR", "message": "boom"}
    [from_json], _ = read(json.dumps(body(span(attributes=spelled, events=[event], status=status))))
    protobuf = request(
        make_span(attributes, name="s1", events=[("note", 5, {"a": "text"})], status=2, message="boom"),
        resource={"service.name": "bot"},
    )
    [from_protobuf] = tables(protobuf.SerializeToString())[0].to_pylist()
    assert from_json == from_protobuf
    assert from_json["is_error"] and from_json["error_message"] == "boom" and from_json["service"] == "bot"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"intValue": "10"}, 10),
        ({"intValue": 10}, 10),
        ({"intValue": "-3"}, -3),
        ({"intValue": "9" * 30}, None),
        ({"intValue": "ten"}, None),
        ({"intValue": True}, None),
        ({"doubleValue": "NaN"}, None),
        ({"doubleValue": "Infinity"}, None),
        ({"doubleValue": 2}, 2.0),
        ({"boolValue": "true"}, None),
        ({"stringValue": ""}, None),
        ({}, None),
        ("bare", None),
        ({"arrayValue": {}}, []),
        ({"arrayValue": []}, []),
    ],
)
def test_values_are_read_by_their_kind_or_are_missing(value: Any, expected: Any) -> None:
    [row], rejects = read(json.dumps(body(span(attributes=[{"key": "k", "value": value}]))))
    assert rejects == []
    attributes = json.loads(row["attributes"] or "{}")
    assert attributes.get("k") == expected


def test_a_line_that_is_not_json_is_one_reject_with_its_number_and_the_rest_goes_on() -> None:
    lines = [json.dumps(body(span(1))), '{"resourceSpans": [', "garbage", json.dumps(body(span(2)))]
    spans, rejects = read("\n".join(lines))
    assert [row["name"] for row in spans] == ["s1", "s2"]
    assert [reject["position"] for reject in rejects] == ["line 2", "line 3"]
    assert {reject["reason"] for reject in rejects} == {"the line is not JSON"}
    assert rejects[1]["raw"] == "garbage"


def test_a_first_line_that_is_not_json_does_not_cost_the_rest() -> None:
    spans, rejects = read("garbage\n" + "\n".join(json.dumps(body(span(n))) for n in (1, 2)))
    assert [row["name"] for row in spans] == ["s1", "s2"]
    assert [reject["position"] for reject in rejects] == ["line 1"]


def test_a_broken_document_is_one_reject_with_the_line_of_the_error() -> None:
    text = json.dumps(body(span(1), span(2)), indent=2)
    spans, rejects = read(text[: len(text) // 2])
    assert spans == []
    [reject] = rejects
    assert reject["position"].startswith("line ")
    assert "not JSON" in reject["reason"]


def test_other_signals_and_other_json_are_named() -> None:
    _, rejects = read(
        "\n".join(
            [
                json.dumps(body(span(1))),
                '{"resourceLogs": []}',
                '{"a": 1}',
                "[1]",
                '"x"',
                *['{"resourceMetrics": []}'] * 3,
            ]
        )
    )
    assert [reject["reason"] for reject in rejects] == [
        "no resourceSpans",
        "no resourceSpans",
        "the line holds no resourceSpans",
    ]


def test_ids_in_base64_are_told_from_hex() -> None:
    spans, rejects = read(json.dumps(body(span(traceId="W47/95gDgQPSabYzgT/GDA==", spanId="7uGbfsPBsXQ="))))
    assert spans == []
    assert rejects[0]["reason"] == "the ids are base64, not hex"
    assert rejects[0]["position"] == "line 1, span 1"


def test_the_position_tells_line_and_span() -> None:
    lines = [json.dumps(body(span(1))), json.dumps(body(span(2), span(3, spanId=""), "no span"))]
    _, rejects = read("\n".join(lines))
    assert [(reject["position"], reject["reason"]) for reject in rejects] == [
        ("line 2, span 2", "no span id"),
        ("line 2, span 3", "the span is not a JSON object"),
    ]


def test_nan_and_half_surrogates_which_other_writers_let_pass_are_read() -> None:
    text = json.dumps(body(span(1, name="half \ud83d pair"), span(2)))
    [first, _], rejects = read(text.replace('"kind": 1', '"kind": NaN'))
    assert rejects == []
    assert first["name"] == "half ? pair"


def test_a_byte_that_is_not_utf8_costs_only_itself() -> None:
    [row], rejects = read(json.dumps(body(span(1, name="caf#"))).encode().replace(b"#", b"\xe9"))
    assert rejects == []
    assert row["name"] == "caf\ufffd"


def test_a_line_over_the_limit_is_a_reject_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 2_000)
    lines = [
        json.dumps(body(span(1))),
        json.dumps(body(span(2, name="x" * 3_000))),
        json.dumps(body(span(3))),
    ]
    spans, rejects = read("\n".join(lines))
    assert [row["name"] for row in spans] == ["s1", "s3"]
    assert [(reject["position"], reject["reason"]) for reject in rejects] == [
        ("line 2", "a line of more than 2,000 bytes")
    ]


def test_json_nested_too_deep_is_a_reject() -> None:
    deep = "[" * 20_000 + "]" * 20_000
    spans, rejects = read(json.dumps(body(span(1))) + "\n" + deep)
    assert (len(spans), len(rejects)) == (1, 1)
    _, rejects = read('{"resourceSpans":' + deep + "}")
    assert len(rejects) == 1


def test_attribute_values_nested_deeper_than_32_are_cut() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    [row], rejects = read(json.dumps(body(span(attributes=[{"key": "k", "value": value}]))))
    assert rejects == []
    assert "nested too deep" in row["attributes"]


_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_keys = st.sampled_from([*span(), "attributes", "events", "status", "links"])


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(_keys, _any, max_size=4), st.sampled_from(["span", "scope", "resource", "request"]), _any
)
def test_no_json_of_any_shape_crashes_the_reader(changes: dict[str, Any], place: str, value: Any) -> None:
    one = body({**span(), **changes})
    if place == "scope":
        one["resourceSpans"][0]["scopeSpans"] = value
    elif place == "resource":
        one["resourceSpans"][0] = value
    elif place == "request":
        one["resourceSpans"] = value
    spans, rejects = read(json.dumps(one))
    assert len(spans) + len(rejects) <= 1 or place != "span"
