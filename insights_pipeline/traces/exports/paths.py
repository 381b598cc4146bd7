"""Dotted paths into records: `usage.prompt_tokens`, `messages[*].content`, `history[1].content`, `$.info.model`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from insights_pipeline.traces.text import loads_container

DOCUMENT = "$"
_ALL: Final = "*"
_PART = re.compile(r"\[(\*|-?\d{1,9})\]|([^.\[\]]+)|\.")
_SYNTAX = re.compile(r"(?:\$\.?)?[^.\[\]$]+(?:\[(?:\*|-?\d{1,9})\]|\.[^.\[\]]+)*")


def check_path(path: str) -> str:
    """The path itself; ValueError when it is none."""
    if not _SYNTAX.fullmatch(path):
        raise ValueError(f"{path!r} is no path: write a.b, a[*].b, a[0].b or $.a for the whole document")
    return path


def lookup(record: Any, path: str, document: Any = None) -> Any:
    """The value at a path, or None. `[*]` gives the list of what is there; a key may itself hold dots; text that is
    JSON is entered as what it says; `$.` starts at the document around the record."""
    if path[:1] == DOCUMENT:
        record, path = document, path[1:].removeprefix(".")
    if isinstance(record, dict) and path in record:  # a column `context.span_id`, and every plain key
        return record[path]
    return _walk(record, _parts(path))


def first_key(path: str) -> str:
    """The key of the record (not of the document) under which a path lies, or ""."""
    parts = _parts(path) if path[:1] != DOCUMENT else ()
    return str(parts[0]) if parts else ""


@lru_cache(maxsize=4_096)
def _parts(path: str) -> tuple[str | int, ...]:
    found: list[str | int] = []
    for match in _PART.finditer(path):
        index, key = match.groups()
        if index is not None:
            found.append(_ALL if index == _ALL else int(index))
        elif key is not None:
            found.append(key)
    return tuple(found)


def _walk(value: Any, parts: tuple[str | int, ...]) -> Any:
    for place, part in enumerate(parts):
        if isinstance(value, str):
            value = loads_container(value)
        if part == _ALL:
            if not isinstance(value, list):
                return None
            rest = parts[place + 1 :]
            return [found for item in value if (found := _walk(item, rest)) is not None]
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and -len(value) <= part < len(value) else None
        elif isinstance(value, dict):
            if part not in value and (dotted := ".".join(map(str, parts[place:]))) in value:
                return value[dotted]
            value = value.get(part)
        else:
            return None
        if value is None:
            return None
    return value
