"""Any OTLP file or body to records: encoding and compression are told by content."""

from __future__ import annotations

import re
from collections.abc import Iterator

from insights_pipeline.traces.otlp.json import read_json
from insights_pipeline.traces.otlp.protobuf import read_protobuf
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Record

# A protobuf message can begin like JSON (0x0A is a line feed, 0x7B a brace), but never with a quoted key in it:
# control characters are not allowed in JSON strings, and a protobuf length or tag follows at once.
_JSON_START = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:"[^"\x00-\x1f]{0,200}"\s*:|\}\s*\Z)|\[\s*(?:\{\s*["}]|\]\s*\Z))'
)
_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f]*\Z")
_JSON_NAMES = (".json", ".jsonl", ".ndjson")


def read_records(window: Window, *, hint: str = "") -> Iterator[Record]:
    """Spans and rejects of a stream. `hint` is a file name or content type: it decides only what is not clear."""
    window.fill(1024)
    head = window.data[window.at : window.at + 1024]
    if _JSON_START.match(head) or (_says_json(hint) and _TEXT.match(head)):
        return read_json(window)
    return read_protobuf(window)


def _says_json(hint: str) -> bool:
    name = hint.lower().removesuffix(".gz").removesuffix(".zst")
    return name.endswith(_JSON_NAMES) or name.startswith("application/json")
