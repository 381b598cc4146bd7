"""Small bodies that cost much: compression bombs, millions of empty parts, towers of nesting."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence

import orjson
import pyarrow as pa

from benchmarks.hostile_bodies import JSON, PROTOBUF, START_NS, Sample, varint

MIB = 2**20


def bombs(parts: int = 2_000_000) -> Iterator[Sample]:
    """Small bodies that want much memory or time of whoever reads them; `parts` of those that have many."""
    zeros = gzip_of_zeros(256 * MIB)
    yield Sample("256 MiB of zeros in gzip", zeros, PROTOBUF, "gzip")
    yield Sample("256 MiB of zeros in gzip, not said", zeros, PROTOBUF)
    yield Sample("256 MiB of zeros in gzip as JSON", zeros, JSON, "gzip")
    yield Sample("256 gzip members of 1 MiB", gzip_of_zeros(MIB) * 256, PROTOBUF, "gzip")
    yield Sample("100,000 empty gzip members", gzip.compress(b"") * 100_000, PROTOBUF, "gzip")
    yield Sample("a cut gzip bomb", zeros[: len(zeros) // 2], PROTOBUF, "gzip")
    yield Sample("gzip in gzip", gzip.compress(zeros, 9), PROTOBUF, "gzip")
    yield Sample("256 MiB of zeros in zstd", zstd_of_zeros(256 * MIB), PROTOBUF, "zstd")
    yield Sample("256 zstd frames of 1 MiB", zstd_of_zeros(MIB) * 256, PROTOBUF, "zstd")
    yield Sample(
        "zstd with a window of 2 GiB", b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x03\x00\x02a" * 99, PROTOBUF, "zstd"
    )
    yield Sample("many empty resources", b"\x0a\x00" * parts)
    yield Sample("many empty spans", _wrapped(b"\x12\x00" * parts))
    yield Sample("many unknown fields", b"\x78\x01" * parts)
    yield Sample("many empty objects", b'{"resourceSpans":[' + b"{}," * parts + b"{}]}", JSON)
    yield Sample("many empty arrays", b"[" + b"[]," * parts + b"[]]", JSON)
    yield Sample(
        "many keys", b"{" + b",".join(b'"%d":1' % number for number in range(parts // 2)) + b"}", JSON
    )
    yield Sample("a long number", b'{"resourceSpans":' + b"9" * (parts // 2) + b"}", JSON)
    yield Sample("7 MiB of quotes", b'{"' * (7 * MIB // 2), JSON)


def towers(depths: Sequence[int] = (10, 31, 33, 100, 1_000, 20_000)) -> Iterator[Sample]:
    """One span whose attribute is nested so deep, in both encodings and both kinds of container."""
    span = b"\x0a\x10" + b"\x07" * 16 + b"\x12\x08" + b"\x09" * 8 + b"\x2a\x01t"
    span += b"\x39" + START_NS.to_bytes(8, "little") + b"\x41" + (START_NS + 1).to_bytes(8, "little")
    ids = b'"traceId":"%s","spanId":"%s","name":"t","startTimeUnixNano":"%d","endTimeUnixNano":"%d"' % (
        b"07" * 16, b"09" * 8, START_NS, START_NS + 1)  # fmt: skip
    head, tail = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{' + ids + b',"attributes":[{"key":"a","value":',
        b"}]}]}]}]}",
    )
    for depth in depths:
        lists = maps = b"\x18\x01"
        for _ in range(depth):
            lists = _field(5, _field(1, lists))
            maps = _field(6, _field(1, b"\x0a\x01k" + _field(2, maps)))
        for name, value in (("arrays", lists), ("kvlists", maps)):
            attribute = _field(9, b"\x0a\x01a" + _field(2, value))
            yield Sample(f"{depth} {name} in protobuf", _wrapped(_field(2, span + attribute)))
        arrays = b'{"arrayValue":{"values":[' * depth + b'{"intValue":"1"}' + b"]}}" * depth
        kvlists = (
            b'{"kvlistValue":{"values":[{"key":"k","value":' * depth + b'{"intValue":"1"}' + b"}]}}" * depth
        )
        bare = b"[" * depth + b"]" * depth
        text = b'{"stringValue":' + orjson.dumps('{"a":' * depth + "1" + "}" * depth) + b"}"
        for name, value in (
            ("arrays", arrays),
            ("kvlists", kvlists),
            ("brackets", bare),
            ("JSON in a text", text),
        ):
            yield Sample(f"{depth} {name} in JSON", head + value + tail, JSON)
        yield Sample(f"{depth} groups in protobuf", b"\x0b" * depth + b"\x0c" * depth)


def gzip_of_zeros(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*parts, packer.flush()])


def zstd_of_zeros(size: int) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for _ in range(size // MIB):
            stream.write(bytes(MIB))
    return sink.getvalue().to_pybytes()


def _wrapped(scope_spans: bytes) -> bytes:
    return _field(1, _field(2, scope_spans))


def _field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data
