"""Values of other tools' records: fields under either spelling of their names, objects as text, bounded sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from insights_pipeline.traces.exports.times import time_ns
from insights_pipeline.traces.otlp.values import NESTED_TOO_DEEP, is_vector
from insights_pipeline.traces.text import MAX_DEPTH, as_float, as_text, loads, loads_container

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_INT = 2**63


def bounded(value: Any, key: str = "", depth: int = 0) -> Any:
    """The value as JSON can hold it: at most 32 deep, no NaN, no embedding vector, text keys, no surrogates."""
    if isinstance(value, str):
        return _encodable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_LARGEST_INT <= value < _LARGEST_INT else str(value)[:40]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        return NESTED_TOO_DEEP
    if isinstance(value, Mapping):
        return {
            (name := _encodable(key if isinstance(key, str) else str(key))): bounded(item, name, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if is_vector(key, len(value), bool(value) and isinstance(value[0], float)):
            return None
        return [bounded(item, "", depth + 1) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """What columns of a file hold beside JSON's own types."""
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    return _encodable(str(value))


def _encodable(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def field(row: Mapping[str, Any], name: str) -> Any:
    """`row[name]`, whether it is written `traceId` or `trace_id`; None for "absent" in its spellings: null, ""."""
    value = row.get(name)
    if value is None or value == "":
        value = row.get(_snake(name))
    return None if value == "" else value


def has(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row has a field under either spelling, whatever it holds."""
    return name in row or _snake(name) in row


@lru_cache(maxsize=512)
def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def text_of(value: object) -> str:
    """An id or a name: text as it is, a number as text, "" for everything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def payload(value: object) -> str | None:
    """An input or output as text, or None when there is none: null, "", {} and [] say nothing."""
    if value is None or value == "" or value == {} or value == [] or value == "null":
        return None
    return as_text(value)


def unquoted(value: object) -> object:
    """A text without the JSON quotes around the whole of it, which exports add where the value was text already."""
    if isinstance(value, str) and value[:1] == '"':
        parsed = loads(value)
        return parsed if isinstance(parsed, str) else value
    return value


def object_of(value: object) -> dict[str, Any]:
    """An object: as it is, as JSON text, or as the pairs that a map column of Parquet becomes; else empty."""
    found = loads_container(value)
    if isinstance(found, dict):
        return found
    if isinstance(found, list) and all(isinstance(item, (list, tuple)) and len(item) == 2 for item in found):
        return {str(name): item for name, item in found}
    return {}


def list_of(value: object) -> list[Any]:
    """A list, as it is or as JSON text; else empty."""
    found = loads_container(value)
    return found if isinstance(found, list) else []


def number_of(value: object) -> float | None:
    """A finite number, also a yes or no (1 or 0); None for all else."""
    return float(value) if isinstance(value, bool) else as_float(value)


def moment(value: object) -> int:
    """A time in any spelling as ns since 1970, or 0 when there is none; JSON quotes around it do not matter."""
    return time_ns(value.strip().strip('"') if isinstance(value, str) else value) or 0


def iso_of(moment_ns: int) -> str:
    """A time as ISO text in UTC; "" when there is none."""
    return (_EPOCH + timedelta(microseconds=moment_ns // 1_000)).isoformat() if moment_ns else ""
