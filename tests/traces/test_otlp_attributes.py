from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from insights_pipeline.traces.otlp import attributes as module
from insights_pipeline.traces.otlp.attributes import (
    RawAttributesSpan,
    attributes_from_bytes,
    attributes_from_messages,
    string_start,
)
from tests.traces.otlp_cases import make_span, pairs

scalars = (
    st.text(max_size=200)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=9)
)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=4), scalars, max_size=3)
keys = st.sampled_from(["gen_ai.request.model", "input", ""]) | st.text(max_size=150)


def read(span: Span) -> dict[str, Any]:
    return attributes_from_bytes(RawAttributesSpan.FromString(span.SerializeToString()).attributes)


@given(st.dictionaries(keys, values, max_size=8))
def test_bytes_give_what_the_library_gives_in_the_same_order(attributes: dict[str, Any]) -> None:
    span = Span(attributes=pairs(attributes))
    expected = list(attributes_from_messages(span.attributes).items())
    assert list(read(span).items()) == expected
    assert list(read(span).items()) == expected  # now that short ones are known


@pytest.mark.parametrize(
    "length", [*range(1, 200), *range(4_050, 4_110), 16_383, 16_384, 2_097_151, 2_097_152]
)
def test_the_start_of_a_string_value_follows_from_its_length(length: int) -> None:
    value = KeyValue(value=AnyValue(string_value="x" * length)).SerializeToString()
    assert value == string_start(len(value)) + b"x" * length


@given(st.binary(max_size=80))
def test_any_bytes_are_read_as_the_library_reads_them_or_refused(item: bytes) -> None:
    try:
        expected = attributes_from_messages([KeyValue.FromString(item)])
    except DecodeError:
        with pytest.raises((DecodeError, UnicodeDecodeError)):
            attributes_from_bytes([item])
        return
    assert attributes_from_bytes([item]) == expected


@pytest.mark.parametrize("text", ["a", "a" * 100])
def test_text_that_is_not_utf8_is_refused_in_short_and_long_attributes(text: str) -> None:
    item = (
        pairs({"key": text})[0]
        .SerializeToString()
        .replace(b"aa" if len(text) > 1 else b"a", b"\xff\xfe"[: len(text)])
    )
    with pytest.raises((DecodeError, UnicodeDecodeError)):
        attributes_from_bytes([item])


def test_lists_are_not_shared_between_spans() -> None:
    item = pairs({"tags": ["a"]})[0].SerializeToString()
    attributes_from_bytes([item])["tags"].append("b")
    assert attributes_from_bytes([item]) == {"tags": ["a"]}


def test_known_attributes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KNOWN", 10)
    for number in range(100):
        long = pairs({f"{number} {'k' * 50}": "v" * 20})[0].SerializeToString()
        attributes_from_bytes([pairs({f"k{number}": "v"})[0].SerializeToString(), long])
    assert len(module._known) <= 10
    assert len(module._keys) <= 10


def test_the_other_fields_of_a_span_are_those_of_otlp() -> None:
    span = make_span({"a": "b"}, events=[("exception", 5, {"exception.type": "E"})], status=2, message="bad")
    read_back = RawAttributesSpan.FromString(span.SerializeToString())
    for field in Span.DESCRIPTOR.fields:
        if field.name != "attributes":
            assert getattr(read_back, field.name) == getattr(span, field.name), field.name
