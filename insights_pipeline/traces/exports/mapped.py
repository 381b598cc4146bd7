"""Records as a mapping says to spans and scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from insights_pipeline.traces.exports.chat import Chat, spans_of, turns
from insights_pipeline.traces.exports.mapped_chat import said_of
from insights_pipeline.traces.exports.mapped_fields import Found
from insights_pipeline.traces.exports.mapped_span import span_of
from insights_pipeline.traces.exports.mapping import Mapping
from insights_pipeline.traces.exports.paths import lookup
from insights_pipeline.traces.exports.rows import LIST_KEYS, Row
from insights_pipeline.traces.exports.values import bounded
from insights_pipeline.traces.ids import fingerprint, trace_id_of
from insights_pipeline.traces.records import RawSpan, Record, Reject, Score, excerpt
from insights_pipeline.traces.text import as_float, dumps

_SHORT_DIGITS = 8
_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


class _Item(NamedTuple):
    position: str
    record: Any
    document: Any


def read_mapped(rows: Iterable[Row | Reject], mapping: Mapping, *, base_ns: int) -> Iterator[Record]:
    """Records of rows (or of lists inside them) as the mapping says. `base_ns` dates what has no time.

    A record without the fields that the mapping needs is a Reject; the others go on. Conversations without an id get
    one of their content and time; the second of two equal ones in a file another, so that reading again gives the same.
    """
    seen: Counter[int] = Counter()
    for row in rows:
        if isinstance(row, Reject):
            yield row
            continue
        for item in _items(row, mapping):
            try:
                yield from _records(item, mapping, base_ns, seen)
            except _FAULTS as error:
                reason = f"the record cannot be read ({type(error).__name__}: {error})"
                remedy = "This is a bug of the reader: report it with this record."
                yield Reject(item.position, reason[:500], remedy, excerpt(str(item.record)[:8_000]))


def _items(row: Row, mapping: Mapping) -> Iterator[_Item]:
    """The records in a row: itself, or the list in it that the mapping names."""
    value = row.value
    inner = None
    for path in mapping.records:
        inner = lookup(value, path)
        if isinstance(inner, list):
            break
    if inner is None and isinstance(value, list) and not is_chat(value):
        inner = value
    if inner is None and isinstance(value, dict) and not mapping.records and not has_record(value, mapping):
        inner = next((held for key in LIST_KEYS if isinstance(held := value.get(key), list)), None)
    if not isinstance(inner, list):
        yield _Item(row.position or "document", value, value)
        return
    prefix = f"{row.position}, " if row.position else ""
    for number, record in enumerate(inner, start=1):
        yield _Item(f"{prefix}row {number}", record, value)


def has_record(value: dict[str, Any], mapping: Mapping) -> bool:
    """Whether an object has what every record of the mapping has."""
    fields = mapping.fields
    needed = mapping.steps.list if mapping.steps else fields.messages or fields.trace_id
    if mapping.unit == "span":
        needed = fields.trace_id
    return any(lookup(value, path) is not None for path in needed or fields.input)


def is_chat(value: list[Any]) -> bool:
    """Whether a list is one conversation, not a list of records."""
    return bool(value) and all(
        isinstance(item, dict) and ("role" in item or "from" in item) for item in value
    )


def _records(item: _Item, mapping: Mapping, base_ns: int, seen: Counter[int]) -> Iterator[Record]:
    record = bounded(item.record)
    if isinstance(record, list) and mapping.fields.messages:
        record = {mapping.fields.messages[0]: record}
    if not isinstance(record, dict):
        yield _other_shape(item, "the record is no JSON object")
        return
    found = Found(record, item.document, mapping)
    if mapping.unit == "span":
        span = span_of(found, item.position)
        yield span
        if isinstance(span, RawSpan):
            yield from _scores(
                found, span.end_ns or span.start_ns, span.trace_id, span.span_id, "", item.position
            )
        return
    said = said_of(found)
    if not said:
        where = ", ".join(mapping.fields.messages or mapping.fields.input)
        yield _other_shape(item, f"no messages under {where}")
        return
    start, end = found.times()
    conversation = found.text("conversation_id")
    texts = [dumps(one.message) for one in said]
    if conversation:
        asked = next(
            (text for one, text in zip(said, texts, strict=True) if one.message["role"] == "user"), ""
        )
        key = fingerprint("id", conversation, asked)
    else:
        when = start or next((one.at_ns for one in said if one.at_ns is not None), None)
        content = fingerprint("content", *texts, *([] if when is None else [str(when)]))
        number = int(content[:16], 16)
        seen[number] += 1
        key = content if seen[number] == 1 else fingerprint(content, str(seen[number]))
    named = found.text("trace_id")
    chat = Chat(
        key=key,
        said=said,
        unit=mapping.unit,
        base_ns=base_ns,
        position=item.position,
        name=mapping.name,
        trace_id=trace_id_of(named) if named else None,
        thread=found.text("session") or _thread(conversation, key, mapping),
        start_ns=start,
        end_ns=end,
        error=found.error(),
        about=found.about(),
        call=found.call(),
        totals={} if any(one.facts.keys() - {"gen_ai.request.model"} for one in said) else found.usage(),
        resource=found.resource(),
    )
    spans = list(spans_of(chat))
    yield from spans
    if mapping.scores:
        made = turns(chat)
        at = end or max(span.end_ns or span.start_ns for span in spans)
        trace_id, session = (made[0].trace_id, "") if len(made) == 1 else ("", chat.thread or "")
        yield from _scores(found, at, trace_id, "", session, item.position)


def _thread(conversation: str | None, key: str, mapping: Mapping) -> str | None:
    """The session of a conversation. A short number is not one: every file has a conversation 0."""
    if not conversation:
        return key if mapping.unit == "turn" else None
    short = conversation.isdigit() and len(conversation) < _SHORT_DIGITS
    return f"{conversation}-{key[:8]}" if short else conversation


def _scores(
    found: Found, at_ns: int, trace_id: str, span_id: str, session: str, position: str
) -> Iterator[Score]:
    for name, paths in found.mapping.scores.items():
        value = found.at(paths)
        if value is None or isinstance(value, (dict, list)):
            continue
        number = float(value) if isinstance(value, bool) else as_float(value)
        label = str(value) if number is None else None
        yield Score(
            score_id=fingerprint("score", trace_id, span_id, session, name),
            trace_id=trace_id,
            span_id=span_id,
            session_id=session,
            name=name,
            value=number,
            label=label,
            comment=None,
            judge=None,
            at_ns=at_ns,
            source="map",
            position=position,
        )


def _other_shape(item: _Item, reason: str) -> Reject:
    remedy = "Say where the fields are with --map, or leave this record out: `insights ingest --help` has examples."
    return Reject(item.position, reason, remedy, excerpt(str(item.record)[:8_000]))
