"""What an ingest would make of files, from their first records: which fields are filled, what stays unmapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from insights_pipeline.traces.canonical import Row
from insights_pipeline.traces.exports.detect import AUTO, UNKNOWN, open_records
from insights_pipeline.traces.exports.mapping import Mapping
from insights_pipeline.traces.files import trace_files
from insights_pipeline.traces.records import RawSpan
from insights_pipeline.traces.table import Batch
from insights_pipeline.traces.text import as_text, loads

SAMPLE = 100
MAX_EXAMPLE_CHARS = 60
_MAX_REMEDY_CHARS = 600
_MAX_KEY_CHARS = 200
_MAX_UNMAPPED = 200
# Fields of a span in the order in which one asks for them; a field that is 0 or false says nothing.
FIELDS = (
    "name", "kind", "parent_span_id", "start_ns", "end_ns", "model", "provider", "prompt_tokens", "completion_tokens",
    "cached_tokens", "cost_usd", "ttft_ms", "tool_name", "input_text", "output_text", "messages", "is_error",
    "error_message", "session_id", "user_id", "tenant_id", "service", "app", "environment", "release", "prompt",
    "tags",
)  # fmt: skip


@dataclass(slots=True)
class Presence:
    """In how many spans something is, and an example of it."""

    count: int = 0
    example: str = ""

    def see(self, value: object, *, limit: int = MAX_EXAMPLE_CHARS) -> None:
        self.count += 1
        self.example = self.example or shown(value, limit=limit)


@dataclass(slots=True)
class Preview:
    """One format: its files, the records read of it, fields that would be filled, what nothing maps, rejects by reason
    (with one position each). `traces` are those the records belong to."""

    format: str
    files: int = 0
    records: int = 0
    spans: int = 0
    traces: int = 0
    scores: int = 0
    contents: int = 0
    rejects: int = 0
    fields: dict[str, Presence] = field(default_factory=dict)
    unmapped: dict[str, Presence] = field(default_factory=dict)
    reasons: dict[str, Presence] = field(default_factory=dict)


def preview_paths(
    paths: Sequence[Path | str],
    *,
    now_ns: int,
    max_field_chars: int = 100_000,
    format_: str = AUTO,
    mapping: Mapping | None = None,
    at_ns: int | None = None,
    redact: Callable[[str], str] | None = None,
    sample: int = SAMPLE,
) -> list[Preview]:
    """What the first `sample` records of each format found would become. Writes nothing; arguments and errors are
    those of `ingest_paths`."""
    found: dict[str, tuple[Preview, set[str]]] = {}
    for path in trace_files(paths):
        try:
            raw = Path(path).open("rb")  # noqa: SIM115 – closed below
        except OSError as error:
            unread, _ = found.setdefault(UNKNOWN, (Preview(UNKNOWN), set()))
            unread.files += 1
            reason = f"the file cannot be opened ({error.strerror})"
            unread.reasons.setdefault(reason, Presence()).see(path)
            continue
        with raw:
            base_ns = Path(path).stat().st_mtime_ns if at_ns is None else at_ns
            opened = open_records(raw, name=path, base_ns=base_ns, format_=format_, mapping=mapping)
            preview, traces = found.setdefault(opened.format, (Preview(opened.format), set()))
            preview.files += 1
            batch = Batch(now_ns, max_field_chars, redact)
            for record in islice(opened.records, max(0, sample - preview.records)):
                if isinstance(record, RawSpan):
                    traces.add(record.trace_id)
                preview.records += 1
                batch.add(record, path)
            _look(preview, batch, path)
            preview.traces = len(traces)
    return [preview for preview, _ in found.values()]


def _look(preview: Preview, batch: Batch, path: str) -> None:
    preview.spans += len(batch.rows)
    preview.scores += len(batch.scores)
    preview.contents += len(batch.contents)
    preview.rejects += len(batch.rejects)
    for row in batch.rows:
        for name in FIELDS:
            if (value := getattr(row, name)) not in (None, False):
                preview.fields.setdefault(name, Presence()).see(_plain(name, value))
        for long_key, value in _left(row):
            key = shown(long_key, limit=_MAX_KEY_CHARS)
            if key in preview.unmapped or len(preview.unmapped) < _MAX_UNMAPPED:
                preview.unmapped.setdefault(key, Presence()).see(value)
    for _, reject in batch.rejects:
        preview.reasons.setdefault(reject.reason, Presence()).see(
            f"{Path(path).name}, {reject.position}: {reject.remedy}", limit=_MAX_REMEDY_CHARS
        )


def _plain(name: str, value: Any) -> object:
    if name in ("start_ns", "end_ns"):
        return datetime.fromtimestamp(value // 10**9, UTC).isoformat()
    return value.decode() if isinstance(value, bytes) else value


def _left(row: Row) -> Iterator[tuple[str, Any]]:
    """Attributes that nothing mapped; those of the resource one by one."""
    left = loads(row.attributes.decode()) if row.attributes else None
    for key, value in left.items() if isinstance(left, dict) else ():
        if key == "resource" and isinstance(value, dict):
            yield from ((f"resource.{inner}", item) for inner, item in value.items())
        else:
            yield str(key), value


def shown(value: object, *, limit: int = MAX_EXAMPLE_CHARS) -> str:
    """A short example of a value, without control characters: texts come from strangers."""
    text = as_text(value)[: limit * 4]
    printable = "".join(char if char.isprintable() else " " for char in text).strip()
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"


def sorted_by_count(found: dict[str, Presence]) -> list[tuple[str, Presence]]:
    """The most frequent first."""
    order = Counter({key: presence.count for key, presence in found.items()})
    return [(key, found[key]) for key, _ in order.most_common()]
