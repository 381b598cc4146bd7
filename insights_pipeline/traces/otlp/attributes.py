"""Attributes of a span straight from their bytes: half the cost of walking over the protobuf library's objects.

An SDK sends the same keys, and many of the same short values, over and over. So a short attribute is looked up by
its bytes, a long one by those of its key; the bytes before a long string are compared with those that its length
demands. What is not known or looks otherwise goes through the library, with the same result.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from sys import intern
from typing import Any, TypeAlias

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from insights_pipeline.traces.otlp.values import NESTED_TOO_DEEP, finite, is_vector, keep
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import MAX_DEPTH

_KEY, _VALUE, _STRING = 0x0A, 0x12, 0x0A  # tags in KeyValue and AnyValue
_SHORT = 64  # bytes of an attribute that may well be the same in many spans
_MAX_KNOWN = 16_384  # what is known is forgotten beyond that: hostile attributes must not fill the memory
_Pair: TypeAlias = tuple[str, Any]
_known: dict[bytes, _Pair] = {}  # short attributes, whole
_keys: dict[bytes, str] = {}  # the beginnings of long ones
_SHARED = frozenset({str, bool, int, float, type(None)})  # types of which spans may share a value


def _span_with_raw_attributes() -> type[Any]:
    """OTLP's Span, but each attribute stays bytes: on the wire a message within a message is just that."""
    definition = DescriptorProto()
    Span.DESCRIPTOR.CopyToProto(definition)
    del definition.nested_type[:], definition.enum_type[:], definition.reserved_range[:]
    for field in definition.field:
        if field.name == "attributes":
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    file = FileDescriptorProto(name="insights/span.proto", package="insights.otlp", syntax="proto3")
    file.dependency.append(Span.DESCRIPTOR.file.name)
    file.message_type.append(definition)
    pool = Default()
    pool.Add(file)
    kind: type[Any] = GetMessageClass(pool.FindMessageTypeByName("insights.otlp.Span"))
    return kind


RawAttributesSpan = _span_with_raw_attributes()


def attributes_from_bytes(items: Iterable[bytes]) -> Attributes:
    """Serialised KeyValues as a dict. Raises DecodeError or UnicodeDecodeError for what is not one."""
    found: Attributes = {}
    for item in items:
        key, value = (_known.get(item) or _learned(item)) if len(item) < _SHORT else _pair(item)
        if value is not None:
            found[key] = value
    return found


def _learned(item: bytes) -> _Pair:
    pair = _pair(item)
    if type(pair[1]) in _SHARED:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[item] = pair
    return pair


def _learned_key(item: bytes, after: int) -> str | None:
    """The key at the start of a KeyValue; None where it does not stand there in the usual form."""
    if item[0] != _KEY or item[1] > 0x7F:  # longer keys have lengths of two bytes
        return None
    if len(_keys) >= _MAX_KNOWN:
        _keys.clear()
    key = _keys[item[:after]] = intern(item[2:after].decode())
    return key


def _pair(item: bytes) -> _Pair:
    """Key and value (None: there is none)."""
    after = item[1] + 2 if len(item) > 1 else 2
    rest = len(item) - after
    start = _STARTS[rest] if 0 <= rest < len(_STARTS) else string_start(rest)
    if item.startswith(start, after) and (key := _keys.get(item[:after]) or _learned_key(item, after)):
        return key, item[after + len(start) :].decode()
    message = KeyValue.FromString(item)
    value = any_value(message.value, message.key, 0)
    return intern(message.key), value if keep(value) else None


def attributes_from_messages(items: Iterable[KeyValue]) -> Attributes:
    """KeyValues as a dict. `string_value` first: nearly all are strings, and asking costs less than `WhichOneof`."""
    found: Attributes = {}
    for item in items:
        value = item.value
        if text := value.string_value:
            found[item.key] = text
        elif keep(converted := any_value(value, item.key, 0)):
            found[item.key] = converted
    return found


def string_start(size: int) -> bytes:
    """The bytes before the text in a value of `size` bytes that holds a string (not the empty one) and nothing else."""
    for length in range(size - 4, max(0, size - 13), -1):
        inner = bytes((_STRING,)) + _varint(length)
        start = bytes((_VALUE,)) + _varint(len(inner) + length) + inner
        if len(start) + length == size:
            return start
    return b"no string has this size"


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_STARTS = [string_start(size) for size in range(4_096)]


def any_value(value: AnyValue, key: str, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind == "int_value" or kind == "bool_value" or kind == "string_value":
        return getattr(value, kind)
    if kind == "double_value":
        return finite(value.double_value)
    if kind is None:
        return None
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()  # as OTLP/JSON spells it
    if depth >= MAX_DEPTH:
        return NESTED_TOO_DEEP
    if kind == "array_value":
        items = value.array_value.values
        if is_vector(key, len(items), items and items[0].WhichOneof("value") == "double_value"):
            return None
        return [any_value(item, "", depth + 1) for item in items]
    if kind == "kvlist_value":
        return {item.key: any_value(item.value, item.key, depth + 1) for item in value.kvlist_value.values}
    return None
