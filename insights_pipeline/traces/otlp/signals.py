"""Which signal a protobuf record belongs to, told by the kinds of its fields: names are not on the wire."""

from __future__ import annotations

from typing import Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

Signal = Literal["log", "metric", "span", ""]

# (field number, wire type) that only one of the messages Span and LogRecord has.
_SPAN = frozenset({(6, 0), (7, 1), (8, 1), (10, 0), (12, 0), (14, 2), (15, 2), (16, 5)})
_LOG = frozenset({(1, 1), (2, 0), (6, 2), (7, 0), (8, 5), (11, 1), (12, 2)})
_MAX_FIELDS = 4_096


def signal_of(data: bytes) -> Signal:
    """The signal of one record; "" when it shows nothing that only one of them has. Never raises."""
    kinds = _kinds(data)
    if not kinds.isdisjoint(_SPAN):
        return "span"
    if (1, 2) in kinds and _is_metric(data):  # its first field is a name: a log record has a time there
        return "metric"
    return "" if kinds.isdisjoint(_LOG) else "log"


def _is_metric(data: bytes) -> bool:
    try:
        metric = Metric.FromString(data)
    except DecodeError:
        return False
    return metric.WhichOneof("data") is not None and metric.name.isascii() and metric.name.isprintable()


def _kinds(data: bytes) -> set[tuple[int, int]]:
    """The fields of a message by number and wire type, up to where it breaks off."""
    found: set[tuple[int, int]] = set()
    at = 0
    for _ in range(_MAX_FIELDS):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if at > len(data) or not 0 < number < 32:
            break
        found.add((number, wire))
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            size, at = _varint(data, at)
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            break
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; the end is beyond the data when it breaks off."""
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    return 0, len(data) + 1
