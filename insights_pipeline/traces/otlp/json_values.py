"""Values as OTLP/JSON spells them: 64-bit integers as strings, attributes as typed pairs, names in two spellings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.otlp.values import NESTED_TOO_DEEP, finite, is_vector, keep
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import MAX_DEPTH, as_float


def attributes_of(items: object) -> Attributes:
    found: Attributes = {}
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(key := item.get("key"), str):
            value = value_of(item.get("value"), key, 0)
            if keep(value):
                found[key] = value
    return found


def value_of(value: object, key: str, depth: int) -> Any:
    if not isinstance(value, dict):
        return None
    for kind, content in value.items():
        if kind == "stringValue" or kind == "string_value" or kind == "bytesValue" or kind == "bytes_value":
            return content if isinstance(content, str) else None
        if kind == "intValue" or kind == "int_value":
            return integer_of(content)
        if kind == "boolValue" or kind == "bool_value":
            return content if isinstance(content, bool) else None
        if kind == "doubleValue" or kind == "double_value":
            return finite(content) if isinstance(content, float) else as_float(content)
        if kind in ("arrayValue", "array_value", "kvlistValue", "kvlist_value"):
            return NESTED_TOO_DEEP if depth >= MAX_DEPTH else _nested(kind, content, key, depth)
    return None


def _nested(kind: str, content: object, key: str, depth: int) -> Any:
    items = content.get("values") if isinstance(content, dict) else None
    if not isinstance(items, list):
        items = []
    if kind.startswith("array"):
        if is_vector(key, len(items), items and isinstance(items[0], dict) and "doubleValue" in items[0]):
            return None
        return [value_of(item, "", depth + 1) for item in items]
    return {
        str(item.get("key")): value_of(item.get("value"), str(item.get("key")), depth + 1)
        for item in items
        if isinstance(item, dict)
    }


def integer_of(value: object) -> int | None:
    """A 64-bit integer as a number or as a string."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**64 else None


def member(value: dict[str, Any], camel: str, snake: str) -> Any:
    found = value.get(camel)
    return value.get(snake) if found is None else found


def string_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def object_of(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def list_of(value: dict[str, Any], camel: str, snake: str) -> list[Any]:
    found = member(value, camel, snake)
    return found if isinstance(found, list) else []


def objects_of(value: dict[str, Any], camel: str, snake: str) -> Iterator[dict[str, Any]]:
    return (item for item in list_of(value, camel, snake) if isinstance(item, dict))
