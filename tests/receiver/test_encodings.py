"""Bombs, cuts and damage: counted within bounds, in memory and over real HTTP."""

from __future__ import annotations

import gzip
import resource
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from insights_pipeline.receiver.encodings import DamagedError, TooLargeError, encoding_of, unpack
from tests.receiver.door_cases import BODY, PROTOBUF, running

MIB = 2**20
ZEROS = bytes(MIB)
GZIP_BOMB = gzip.compress(ZEROS * 65)
MANY_MEMBERS = gzip.compress(ZEROS) * 65


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


ZSTD_BOMB = zstd(ZEROS * 65)
MANY_FRAMES = zstd(ZEROS) * 65


@pytest.mark.parametrize(("body", "encoding"), [
    (GZIP_BOMB, "gzip"), (MANY_MEMBERS, "gzip"), (ZSTD_BOMB, "zstd"), (MANY_FRAMES, "zstd"),
    (GZIP_BOMB, "identity"), (ZSTD_BOMB, "identity"),
])  # fmt: skip
def test_a_bomb_is_stopped_without_keeping_what_it_unpacks_to(body: bytes, encoding: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            unpack(body, encoding, max_bytes=64 * MIB, keep_bytes=8 * MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MIB


@pytest.mark.parametrize("data", [b"", b"x", BODY, ZEROS * 3 + b"end", ZEROS * 20])
@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_content_comes_back_whole_or_is_only_counted(data: bytes, encoding: str) -> None:
    pack = {"identity": bytes, "gzip": gzip.compress, "zstd": zstd}[encoding]
    found = unpack(pack(data), encoding, max_bytes=64 * MIB, keep_bytes=8 * MIB)
    assert found.size == len(data)
    assert found.content == (data if len(data) <= 8 * MIB else None)


@pytest.mark.parametrize("size", [1, 2**20 - 1, 2**20, 2**20 + 1])
def test_gzip_content_at_the_edges_of_a_piece_is_whole(size: int) -> None:
    data = bytes(size)
    body = gzip.compress(data) + gzip.compress(b"more") + b"\0\0\0"
    assert unpack(body, "gzip", max_bytes=64 * MIB, keep_bytes=8 * MIB).content == data + b"more"


def test_exactly_the_limit_is_let_in() -> None:
    assert unpack(gzip.compress(ZEROS * 2), "gzip", max_bytes=2 * MIB, keep_bytes=1).size == 2 * MIB


@pytest.mark.parametrize("cut", [1, 5, 11, 30, -9, -1])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_cut_body_is_told(cut: int, encoding: str) -> None:
    whole = gzip.compress(BODY * 5) if encoding == "gzip" else zstd(BODY * 5)
    with pytest.raises(DamagedError, match=encoding):
        unpack(whole[:cut], encoding, max_bytes=64 * MIB, keep_bytes=8 * MIB)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_damage_and_junk_are_told(encoding: str) -> None:
    whole = gzip.compress(BODY * 5) if encoding == "gzip" else zstd(BODY * 5)
    damaged = bytearray(
        whole
    )  # literals of a zstd frame without a checksum may be anything: its head may not
    damaged[len(whole) // 2 if encoding == "gzip" else 3] ^= 0xFF
    for body in (bytes(damaged), whole + b"junk", BODY):
        with pytest.raises(DamagedError, match=encoding):
            unpack(body, encoding, max_bytes=64 * MIB, keep_bytes=8 * MIB)


def test_header_names_of_encodings() -> None:
    assert [encoding_of(text) for text in ("", "identity", "GZIP ", "x-gzip", "zstd", "br", "gzip,gzip")] == [
        "identity", "identity", "gzip", "gzip", "zstd", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(("body", "encoding", "status"), [
    (GZIP_BOMB, "gzip", 413), (MANY_MEMBERS, "gzip", 413), (ZSTD_BOMB, "zstd", 413), (MANY_FRAMES, "zstd", 413),
    (gzip.compress(BODY)[:-5], "gzip", 400), (zstd(BODY)[:-5], "zstd", 400), (BODY, "gzip", 400),
])  # fmt: skip
def test_over_http_bombs_are_413_and_cuts_400(
    tmp_path: Path, body: bytes, encoding: str, status: int
) -> None:
    with running(tmp_path) as receiver:
        answer = receiver.post("/v1/traces", body, {**PROTOBUF, "content-encoding": encoding})
        assert answer.status_code == status
        assert receiver.post("/v1/traces", BODY).status_code == 200
        assert receiver.kinds == (["refused"] if status == 400 else []) + ["otlp.traces"]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_the_limit_is_413_whether_its_length_is_told_or_not(
    tmp_path: Path, is_chunked: bool
) -> None:
    with running(tmp_path, max_body_bytes=3 * MIB) as receiver:
        body = (ZEROS for _ in range(4)) if is_chunked else ZEROS * 4
        answer = receiver.client.post("/v1/traces", content=body, headers=PROTOBUF)
        assert answer.status_code == 413
        assert b"3,145,728" in answer.content
        assert receiver.entries == []
        assert receiver.door.limits.in_flight == 0


def test_a_large_body_that_is_not_looked_at_is_accepted(tmp_path: Path) -> None:
    with running(tmp_path, check_bytes=1_000) as receiver:
        assert receiver.post("/v1/traces", BODY * 100).status_code == 200
        assert receiver.entries[0].body == BODY * 100


def test_bomb_after_bomb_does_not_grow_the_process(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        headers = {**PROTOBUF, "content-encoding": "gzip"}
        receiver.post("/v1/traces", GZIP_BOMB, headers)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(10):
            assert receiver.post("/v1/traces", GZIP_BOMB, headers).status_code == 413
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
