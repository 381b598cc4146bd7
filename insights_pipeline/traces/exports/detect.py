"""Which format a file has, told by its first records, and its records read in that format."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from insights_pipeline.traces.exports import langfuse, langsmith, phoenix
from insights_pipeline.traces.exports.mapped import is_chat, read_mapped
from insights_pipeline.traces.exports.mapping import OPENAI_CHAT, Mapping, built_in, built_in_names
from insights_pipeline.traces.exports.paths import lookup
from insights_pipeline.traces.exports.rows import LIST_KEYS, UTF16, Row, container_of, is_utf16, read_rows
from insights_pipeline.traces.messages import is_message
from insights_pipeline.traces.otlp.read import Tally, read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Record, Reject, Score, excerpt
from insights_pipeline.traces.text import as_text

AUTO, OTLP, CHAT, MAP, EMPTY, UNKNOWN = "auto", "otlp", "openai-chat", "map", "empty", "unknown"
FORMATS = (AUTO, OTLP, "langsmith", "langfuse", CHAT, "phoenix", MAP)
_READERS: dict[str, Any] = {"langsmith": langsmith, "langfuse": langfuse, "phoenix": phoenix}
_OTLP_KEYS = tuple(f"resource{join}{signal}" for signal in ("spans", "logs", "metrics") for join in ("_", ""))
_OTLP_HEAD = re.compile(rb'"resource_?(?:spans|logs|metrics)"\s*:', re.IGNORECASE)
_HEAD_BYTES = 4_096
_PEEKED = 20  # good rows
_FIELDS_TOLD = 20
_MAX_PEEKED = 1_000  # rows of any kind
_REMEDY = (
    f"Name the format with --format ({', '.join(name for name in FORMATS if name != AUTO)}), or say with "
    "--map map.toml where the fields are."
)


class Opened(NamedTuple):
    """A file as records. `format` is what it was taken for ("map tau2_bench" for a mapping); `scores_only`: its first
    record is a score, so that it is better read after the spans it judges."""

    format: str
    records: Iterator[Record]
    scores_only: bool = False
    tally: Tally | None = None  # of a stream that may hold other signals; filled while the records are read


def open_records(
    raw: BinaryIO, *, name: str, base_ns: int, format_: str = AUTO, mapping: Mapping | None = None
) -> Opened:
    """The records of an open file in a format of `FORMATS`; `auto` looks at the first ones.

    `base_ns` dates chats without times; `mapping` implies the format `map`. Never raises for what a file holds: one
    that no reader recognises is a Reject. Raises ValueError for a format that is none, and `map` without a mapping.
    """
    if format_ not in FORMATS:
        raise ValueError(f"{format_!r} is no format: formats are {', '.join(FORMATS)}")
    if format_ == MAP and mapping is None:
        raise ValueError("--format map needs a mapping: give --map map.toml or --map tau2_bench")
    if mapping is not None and format_ not in (AUTO, MAP):
        raise ValueError(f"--map and --format {format_} contradict each other: leave --format away")
    if mapping is not None:
        return _opened(MAP, mapping, read_rows(raw, name=name), base_ns)
    if format_ == OTLP:
        return _otlp(raw, name)
    if format_ != AUTO:
        chats = built_in(OPENAI_CHAT) if format_ == CHAT else None
        return _opened(format_, chats, read_rows(raw, name=name), base_ns)
    return _detected(raw, name, base_ns)


def _detected(raw: BinaryIO, name: str, base_ns: int) -> Opened:
    window = decompressed(raw)
    window.fill(_HEAD_BYTES)
    head = window.data[window.at : window.at + _HEAD_BYTES]
    raw.seek(0)
    container = container_of(head, name)
    if not head.strip() and len(head) < _HEAD_BYTES and not window.damage:
        return Opened(EMPTY, iter(()))
    if not head.strip() or (container == "json" and _OTLP_HEAD.search(head)):
        return _otlp(raw, name)
    if is_utf16(head):
        return Opened(UNKNOWN, iter([UTF16]))
    if container == "other":
        return _unknown(head) if _is_text(head) else _otlp(raw, name)
    rows = read_rows(raw, name=name, container=container)
    peeked = _peek(rows)
    values = [row.value for row in peeked if isinstance(row, Row)]
    found = next((found for value in values if (found := _recognised(value)) is not None), None)
    if len(peeked) < _PEEKED and len(values) == len(peeked) and not any(values):  # {}, [], a header alone
        return Opened(EMPTY, iter(()))
    if found == OTLP or (values and not any(values)):
        raw.seek(0)
        return _otlp(raw, name)
    if found is None:
        damage = next((row for row in peeked if isinstance(row, Reject) and not values), None)
        if damage is not None and (container == "parquet" or head.lstrip()[:1] in (b"{", b"[")):
            return Opened(UNKNOWN, iter([damage]))
        return _unknown(head, next((value for value in values if isinstance(value, dict)), {}))
    kind, mapping = (MAP, built_in(found)) if found in built_in_names() else (found, None)
    if found == OPENAI_CHAT:
        kind = CHAT
    opened = _opened(kind, mapping, chain(peeked, rows), base_ns)
    label = f"{MAP} {found}" if kind == MAP else kind
    return opened._replace(format=label)


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head and not re.search(rb"[\x01-\x08\x0e-\x1f]", head)


def _peek(rows: Iterator[Row | Reject]) -> list[Row | Reject]:
    found: list[Row | Reject] = []
    good = 0
    for row in rows:
        found.append(row)
        good += isinstance(row, Row)
        if good >= _PEEKED or len(found) >= _MAX_PEEKED:
            break
    return found


def _recognised(value: Any, depth: int = 0) -> str | None:
    """The format of a row: one of FORMATS or the name of a built-in mapping; None when nobody knows it."""
    if isinstance(value, list):
        if _is_conversation(value) or (value and isinstance(value[0], list) and _is_conversation(value[0])):
            return OPENAI_CHAT
        inner = next((item for item in value if isinstance(item, dict)), None)
        return _recognised(inner, depth + 1) if inner is not None and depth < 2 else None
    if not isinstance(value, dict):
        return None
    if any(key.lower() in _OTLP_KEYS for key in value if isinstance(key, str)):
        return OTLP
    for name in built_in_names():
        if _matches(built_in(name), value):
            return name
    for name, reader in _READERS.items():
        if reader.looks_like(value):
            return name
    if any(_is_conversation(lookup(value, path)) for path in built_in(OPENAI_CHAT).fields.messages):
        return OPENAI_CHAT
    lists = (held for key in LIST_KEYS if isinstance(held := value.get(key), list) and held)
    return next((found for held in lists if depth < 2 and (found := _recognised(held, depth + 1))), None)


def _is_conversation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and is_chat(value[:5])
        and any(is_message(item) or "from" in item for item in value[:5])
    )


def _matches(mapping: Mapping, value: dict[str, Any]) -> bool:
    """Whether the records of a document (or the object itself) have what the mapping is recognised by."""
    if mapping.recognise is None:
        return False
    held = next((held for path in mapping.records if isinstance(held := lookup(value, path), list)), None)
    records = held[:3] if held is not None else [value]
    return bool(records) and all(
        isinstance(record, dict)
        and all(lookup(record, path, value) is not None for path in mapping.recognise.fields)
        for record in records
    )


def _otlp(raw: BinaryIO, name: str) -> Opened:
    tally = Tally()
    return Opened(OTLP, read_records(decompressed(raw), hint=name, tally=tally), tally=tally)


def _unknown(head: bytes, example: dict[str, Any] | None = None) -> Opened:
    shown = excerpt(head.decode("utf-8", "replace").strip() if _is_text(head) else head)
    names = [as_text(key)[:40] for key in islice(example or {}, _FIELDS_TOLD)]
    told = f" Its fields: {', '.join(names)}{', …' * (len(example or {}) > len(names))}." * bool(names)
    return Opened(UNKNOWN, iter([Reject("file", "the format is not recognised", _REMEDY + told, shown)]))


def _opened(kind: str, mapping: Mapping | None, rows: Iterator[Row | Reject], base_ns: int) -> Opened:
    if mapping is not None:
        records = read_mapped(rows, mapping, base_ns=base_ns)
        named = kind if kind == CHAT or mapping.name == MAP else f"{MAP} {mapping.name}"
        return Opened(named, records)
    reader = _READERS[kind]
    records = _beside_rejects(reader.read_rows, _unwrapped(rows, reader.looks_like))
    first = next(records, None)
    ahead = chain([] if first is None else [first], records)
    return Opened(kind, ahead, isinstance(first, Score))


def _unwrapped(
    rows: Iterable[Row | Reject], looks_like: Callable[[dict[str, Any]], bool]
) -> Iterator[Row | Reject]:
    """Rows that are objects: lists, and objects that are known to hold lists, give what is in them."""
    for row in rows:
        if isinstance(row, Reject):
            yield row
            continue
        value = row.value
        inner = value if isinstance(value, list) else None
        if isinstance(value, dict) and not looks_like(value):
            inner = next((held for key in LIST_KEYS if _fits(held := value.get(key), looks_like)), None)
        if inner is None:
            yield row._replace(position=row.position or "document")
            continue
        prefix = f"{row.position}, " if row.position else ""
        for number, item in enumerate(inner, start=1):
            position = f"{prefix}row {number}"
            if isinstance(item, dict):
                yield Row(position, item)
            else:
                yield Reject(position, "the record is no JSON object", _REMEDY, excerpt(str(item)[:8_000]))


def _fits(held: Any, looks_like: Callable[[dict[str, Any]], bool]) -> bool:
    return isinstance(held, list) and bool(held) and isinstance(held[0], dict) and looks_like(held[0])


def _beside_rejects(
    read: Callable[[Iterable[Row]], Iterator[Record]], rows: Iterator[Row | Reject]
) -> Iterator[Record]:
    """What a reader of rows makes of them, with the rows that could not be read where they stood."""
    bad: deque[Reject] = deque()

    def good() -> Iterator[Row]:
        for row in rows:
            if isinstance(row, Reject):
                bad.append(row)
            else:
                yield row

    for record in read(good()):
        while bad:
            yield bad.popleft()
        yield record
    yield from bad
