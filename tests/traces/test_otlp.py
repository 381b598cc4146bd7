from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable

import pyarrow as pa
import pytest
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from insights_pipeline.lake.tables import REJECTS, SPANS
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import RawSpan
from tests.traces.otlp_cases import START, make_span, request, resource_spans, row, tables


def names(body: bytes, content_type: str = "") -> list[str]:
    spans, rejects = tables(body, content_type)
    assert rejects.num_rows == 0, rejects.to_pylist()
    return sorted(spans.column("name").to_pylist())


def three_requests() -> list[bytes]:
    return [request(make_span(number=n, name=f"s{n}")).SerializeToString() for n in (1, 2, 3)]


def varint(message: bytes) -> bytes:
    return _VarintBytes(len(message)) + message


def fixed(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


def zstd(body: bytes) -> bytes:
    return pa.compress(body, codec="zstd", asbytes=True)


def test_both_tables_have_the_types_of_their_contracts() -> None:
    spans, rejects = tables(request(make_span(), make_span(span_id=b"")).SerializeToString())
    assert spans.schema.equals(SPANS.schema)
    assert rejects.schema.equals(REJECTS.schema)
    assert (spans.num_rows, rejects.num_rows) == (1, 1)


def test_requests_joined_end_to_end_are_one_request() -> None:
    assert names(b"".join(three_requests())) == ["s1", "s2", "s3"]


@pytest.mark.parametrize("prefix", [varint, fixed])
def test_requests_with_a_length_before_each_are_told_apart_from_a_bare_one(
    prefix: Callable[[bytes], bytes],
) -> None:
    assert names(b"".join(map(prefix, three_requests()))) == ["s1", "s2", "s3"]


@pytest.mark.parametrize("size", range(40, 420, 7))
def test_no_length_of_a_first_message_is_taken_for_something_else(size: int) -> None:
    body = request(make_span(name="x" * size)).SerializeToString()
    for wrapped in (body, varint(body), fixed(body)):
        assert names(wrapped) == ["x" * size]


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_compression_is_told_by_content(compress: Callable[[bytes], bytes]) -> None:
    assert names(compress(three_requests()[0])) == ["s1"]


def test_gzip_members_joined_are_one_stream() -> None:
    assert names(b"".join(map(gzip.compress, three_requests()))) == ["s1", "s2", "s3"]


def test_an_empty_body_holds_nothing_and_is_no_error() -> None:
    assert names(b"") == []


def test_a_truncated_file_gives_every_whole_span_before_the_cut_and_one_reject() -> None:
    first, second, third = three_requests()
    spans, rejects = tables(first + second + third[:-5])
    assert sorted(spans.column("name").to_pylist()) == ["s1", "s2"]
    [reject] = rejects.to_pylist()
    assert reject["position"].startswith("byte ")
    assert "ends in the middle" in reject["reason"]


def test_a_cut_inside_a_resource_keeps_the_spans_before_the_cut() -> None:
    body = request(*(make_span(number=n, name=f"s{n}") for n in range(1, 6))).SerializeToString()
    spans, rejects = tables(body[:-40])
    assert sorted(spans.column("name").to_pylist()) == ["s1", "s2", "s3", "s4"]
    assert rejects.num_rows == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_a_file_is_cut_nothing_before_is_lost(data: st.DataObject) -> None:
    parts = [request(make_span(number=n, name=f"s{n}")).SerializeToString() for n in range(1, 5)]
    cut = data.draw(st.integers(0, sum(map(len, parts))))
    ends = [sum(map(len, parts[: n + 1])) for n in range(4)]
    spans, rejects = tables(b"".join(parts)[:cut])
    assert spans.num_rows == sum(end <= cut for end in ends)
    assert rejects.num_rows == (cut not in (0, *ends))


def test_a_truncated_gzip_gives_what_precedes_the_cut() -> None:
    body = gzip.compress(b"".join(three_requests() * 200))
    spans, rejects = tables(body[: len(body) // 2])
    assert spans.num_rows > 10
    [reject] = rejects.to_pylist()
    assert "breaks off" in reject["reason"]


def test_a_span_that_cannot_be_decoded_costs_only_itself() -> None:
    body = request(
        make_span(number=1, name="one"), make_span(number=2, name="broken"), make_span(number=3, name="three")
    ).SerializeToString()
    spans, rejects = tables(body.replace(b"broken", b"brok\xff\xff"))
    assert spans.column("name").to_pylist() == ["one", "three"]
    [reject] = rejects.to_pylist()
    assert reject["reason"] == "the span cannot be decoded"
    assert reject["raw"].startswith("hex 0a10")


def test_a_broken_scope_does_not_hurt_the_next_resource() -> None:
    broken, whole = (resource_spans(make_span(number=n, name=f"s{n}")) for n in (1, 2))
    inner = broken.SerializeToString().replace(b"\x12\x08", b"\x12\x7f", 1)
    body = b"\x0a" + _VarintBytes(len(inner)) + inner
    body += ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()
    spans, rejects = tables(body)
    assert "s2" in spans.column("name").to_pylist()
    assert rejects.num_rows >= 1


def test_metrics_are_left_out_and_do_not_hide_spans() -> None:
    metrics = ExportMetricsServiceRequest()
    for name in ("gen_ai.client.token.usage", "sixteen.letters.", "x"):
        metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name=name, unit="{token}")
        metric.sum.data_points.add(as_int=1, time_unix_nano=START)
    body = metrics.SerializeToString()
    spans, rejects = tables(body + request(make_span(name="here")).SerializeToString() + body)
    assert spans.column("name").to_pylist() == ["here"]
    assert rejects.to_pylist() == []


@pytest.mark.parametrize(
    "body", [b"\x00", b"hello, I am no trace", b"\xff" * 40, b"PK\x03\x04zip", b"\x12\x02\x08"]
)
def test_what_is_no_otlp_is_one_reject(body: bytes) -> None:
    spans, rejects = tables(body)
    assert (spans.num_rows, rejects.num_rows) == (0, 1)


def test_a_bomb_stops_at_the_limit_with_bounded_memory() -> None:
    bomb = gzip.compress(b"\x0a" + _VarintBytes(200 << 20) + bytes(200 << 20))
    tracemalloc.start()
    try:
        spans, rejects = tables(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spans.num_rows == 0
    assert "more than 67,108,864 bytes" in rejects.column("reason").to_pylist()[-1]
    assert peak < 32 << 20


def test_a_lying_length_allocates_only_what_is_there() -> None:
    body = (
        b"\x0a"
        + _VarintBytes(1 << 40)
        + b"\x12"
        + _VarintBytes(1 << 39)
        + b"\x12"
        + _VarintBytes(1 << 25)
        + b"xx"
    )
    spans, rejects = tables(body)
    assert (spans.num_rows, rejects.num_rows) == (0, 1)


def test_spans_come_one_by_one_out_of_small_reads() -> None:
    body = b"".join(three_requests())
    at = 0

    def read(_: int) -> bytes:
        nonlocal at
        at += 1
        return body[at - 1 : at]

    found = list(read_records(Window(read)))
    assert [record.name for record in found if isinstance(record, RawSpan)] == ["s1", "s2", "s3"]


def test_a_whole_message_longer_than_a_window_is_read_whole() -> None:
    assert (
        len(
            row(
                {"input.value": "x" * 3_000_000, "openinference.span.kind": "TOOL"}, max_field_chars=4_000_000
            )["input_text"]
        )
        == 3_000_000
    )


def test_values_nested_deeper_than_32_are_cut() -> None:
    value: object = "deep"
    for _ in range(40):
        value = [value]
    assert "nested too deep" in row({"custom": value})["attributes"]


def field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _VarintBytes(len(content)) + content


def test_values_nested_beyond_protobufs_limit_reject_only_their_span() -> None:
    value = field(0x0A, b"x")
    for _ in range(120):
        value = field(0x2A, field(0x0A, value))
    deep = make_span(number=2).SerializeToString() + field(0x4A, field(0x0A, b"deep") + field(0x12, value))
    scope = field(0x12, make_span(number=1).SerializeToString()) + field(0x12, deep)
    spans, rejects = tables(field(0x0A, field(0x12, scope)))
    assert spans.column("span_id").to_pylist() == ["0000000000000001"]
    assert rejects.column("reason").to_pylist() == ["the span cannot be decoded"]


def test_nan_infinities_and_empty_strings_are_missing() -> None:
    attributes = row({"a": float("nan"), "b": float("inf"), "c": "", "d": 1.5, "e": False})["attributes"]
    assert attributes == '{"d":1.5,"e":false}'


def seed_body() -> bytes:
    return request(
        make_span({"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user"}, number=1),
        make_span(
            {"n": 1, "f": 0.5, "l": ["a", 1], "d": {"k": "v"}},
            number=2,
            events=[("exception", 5, {"m": "x"})],
        ),
        resource={"service.name": "bot"},
        scope="s",
    ).SerializeToString()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=12), st.integers(0, 3)
)
def test_no_mutation_of_the_bytes_crashes_the_reader(changes: list[tuple[int, int]], wrap: int) -> None:
    body = bytearray(seed_body())
    body = bytearray((bytes, varint, fixed, gzip.compress)[wrap](bytes(body)))
    for place, byte in changes:
        body[place % len(body)] = byte
    spans, rejects = tables(bytes(body))
    assert spans.num_rows <= 4
    assert all(reject["reason"] and reject["remedy"] for reject in rejects.to_pylist())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_crash_the_reader(body: bytes) -> None:
    for prefix in (b"", b"\x0a", b"\x0a\x20\x12\x1e", b"{", b"[", b'{"resourceSpans":'):
        spans, rejects = tables(prefix + body)
        assert spans.num_rows <= 1
        assert all(reject["reason"] for reject in rejects.to_pylist())
