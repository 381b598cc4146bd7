"""Any OTLP file or body to records: encoding and compression are told by content."""

from __future__ import annotations

import re
from collections.abc import Iterator

from insights_pipeline.traces.dialects.genai_events import Found, Ignored
from insights_pipeline.traces.otlp.json import read_json
from insights_pipeline.traces.otlp.protobuf import read_protobuf
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Content, RawSpan, Record, Reject, Score

# A protobuf message can begin like JSON (0x0A is a line feed, 0x7B a brace), but never with a quoted key in it:
# control characters are not allowed in JSON strings, and a protobuf length or tag follows at once.
_JSON_START = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:"[^"\x00-\x1f]{0,200}"\s*:|\}\s*\Z)|\[\s*(?:\{\s*["}]|\]\s*\Z))'
)
_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f]*\Z")
_JSON_NAMES = (".json", ".jsonl", ".ndjson")


class Tally:
    """What a stream held that is neither kept nor a fault, counted while it is read."""

    __slots__ = ("logs", "metrics")

    def __init__(self) -> None:
        self.logs = 0
        self.metrics = 0


def read_records(window: Window, *, hint: str = "", tally: Tally | None = None) -> Iterator[Record]:
    """Spans, contents and scores (from logs), and rejects of a stream, which may mix traces and logs.

    `hint` is a file name or content type: it decides only what is not clear. Metrics, and log records that are no
    events of generative AI, are left out and counted in `tally`.
    """
    window.fill(1024)
    head = window.data[window.at : window.at + 1024]
    is_json = _JSON_START.match(head) or (_says_json(hint) and _TEXT.match(head))
    return _kept(read_json(window) if is_json else read_protobuf(window), tally or Tally())


def _kept(found: Iterator[Found], tally: Tally) -> Iterator[Record]:
    """Contents of one span and one time are numbered, so that no order gets lost and a repeat is known as one."""
    before: tuple[str, str, int] | None = None
    ordinal = 0
    for record in found:
        kind = type(record)
        if kind is RawSpan or kind is Reject or kind is Score:
            yield record  # type: ignore[misc]
        elif isinstance(record, Content):
            here = (record.trace_id, record.span_id, record.at_ns)
            ordinal = ordinal + 1 if here == before else 0
            before = here
            yield record._replace(ordinal=ordinal) if ordinal else record
        elif isinstance(record, Ignored) and record.signal == "metric":
            tally.metrics += 1
        else:
            tally.logs += 1


def _says_json(hint: str) -> bool:
    name = hint.lower().removesuffix(".gz").removesuffix(".zst")
    return name.endswith(_JSON_NAMES) or name.startswith("application/json")
