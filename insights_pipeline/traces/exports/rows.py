"""Rows of any file a tool exports: JSON, JSON lines, CSV, TSV and Parquet, plain or compressed, in bounded memory."""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

from insights_pipeline.traces.exports.json_text import Value, json_values
from insights_pipeline.traces.exports.values import bounded
from insights_pipeline.traces.otlp.window import CHUNK, Window, decompressed
from insights_pipeline.traces.records import Reject, excerpt

Container: TypeAlias = Literal["json", "csv", "parquet", "other"]
COMPRESSED = (".gz", ".zst")
MAX_CELL_CHARS = 16 * 2**20
PARQUET_ROWS = 200  # at a time: rows of traces are long
# Where documents keep their records, if not at the top.
LIST_KEYS = (
    "data", "runs", "observations", "spans", "traces", "results", "simulations", "conversations", "items", "records",
    "rows", "scores", "annotations", "feedback",
)  # fmt: skip
_JSON_NAMES = (".json", ".jsonl", ".ndjson", ".traj")
_CSV_NAMES = (".csv", ".tsv")
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SEPARATOR = re.compile(r"(?i)sep=([,;|\t])")  # as Excel tells it
_DELIMITERS = ",\t;|"
_HEADER_BYTES = 64 * 1024


class Row(NamedTuple):
    """A record of a file. `position` is "line 17", "row 17", or "" for a whole document."""

    position: str
    value: Any


def container_of(head: bytes, name: str) -> Container:
    """How a file holds its rows, told by its first (decompressed) bytes; the name decides what is not clear."""
    plain = name.lower()
    for suffix in COMPRESSED:
        plain = plain.removesuffix(suffix)
    if head[:4] == b"PAR1":
        return "parquet"
    if _CONTROL.search(head) and head[:3] != b"\xef\xbb\xbf":
        return "other"
    if plain.endswith(_CSV_NAMES):
        return "csv"
    if plain.endswith(_JSON_NAMES) or _JSON_START.match(head):
        return "json"
    return "other"


def read_rows(raw: BinaryIO, *, name: str, container: Container | None = None) -> Iterator[Row | Reject]:
    """Rows of an open file, which may be gzip or zstd; broken ones are Rejects, and the rest goes on.

    A JSON document comes whole, as one row without a position: which list in it holds the records is known by whoever
    knows the format.
    """
    window = decompressed(raw)
    window.fill(1024)
    head = bytes(window.data[window.at : window.at + 1024])
    if is_utf16(head):
        yield UTF16
        return
    kind = container or container_of(head, name)
    if kind == "parquet":
        yield from _parquet(raw, window)
    elif kind == "csv":
        yield from _csv(window)
    else:
        for found in json_values(window):
            if isinstance(found, Value):
                yield Row(f"line {found.line}" if found.line else "", found.value)
            else:
                yield found


def _csv(window: Window) -> Iterator[Row | Reject]:
    """Rows of a table with a header, by their number below it; empty cells are missing."""
    window.fill(_HEADER_BYTES)
    head = bytes(window.data[window.at : window.at + _HEADER_BYTES])
    encoding = _encoding_of(head)
    first_line = head.decode(encoding, "replace").partition("\n")[0].rstrip("\r")
    told = _SEPARATOR.fullmatch(first_line)
    delimiter = told[1] if told else max(_DELIMITERS, key=first_line.count)
    csv.field_size_limit(MAX_CELL_CHARS)
    text = io.TextIOWrapper(
        io.BufferedReader(_Stream(window)), encoding=encoding, errors="replace", newline=""
    )
    reader = csv.reader(text, delimiter=delimiter)
    header: list[str] | None = None
    number = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            number += 1
            remedy = "Quote fields that hold quotes or line ends as RFC 4180 says."
            yield Reject(f"row {number}", f"the row cannot be read ({error})", remedy, "")
            continue
        if cells is None:
            break
        if not any(cells):
            continue
        if header is None:
            if told is None:
                header = _headings(cells)
            told = None  # Excel's line above the headings
            continue
        number += 1
        if len(cells) != len(header):
            reason = f"{len(cells)} field{'s' * (len(cells) != 1)} under {len(header)} headings"
            remedy = "Quote fields that hold the delimiter or line ends."
            yield Reject(f"row {number}", reason, remedy, excerpt(delimiter.join(cells)[:8_000]))
            continue
        yield Row(
            f"row {number}",
            {key: cell for key, cell in zip(header, cells, strict=True) if cell != "" and key},
        )
    if window.damage:
        remedy = "Copy the file again; what precedes the damage was read."
        yield Reject(f"row {number}", window.damage, remedy, "")


def _encoding_of(head: bytes) -> str:
    """UTF-8 where the first bytes are; else what spreadsheets of Windows write."""
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _headings(cells: list[str]) -> list[str]:
    """Headings, each once: of equal ones the second is called "name (2)"."""
    seen: Counter[str] = Counter()
    found = []
    for cell in cells:
        name = cell.strip()
        seen[name] += 1
        found.append(name if seen[name] == 1 or not name else f"{name} ({seen[name]})")
    return found


def is_utf16(head: bytes) -> bool:
    """Whether a text begins with the mark of UTF-16, which no format here uses."""
    return head[:2] in (b"\xff\xfe", b"\xfe\xff")


UTF16 = Reject(
    "file", "the file is UTF-16", "Save it as UTF-8: iconv -f UTF-16 -t UTF-8 old.csv > new.csv", ""
)


class _Stream(io.RawIOBase):
    """A window as the raw stream that text decoding wants."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._window.fill(1)
        chunk = self._window.take(min(len(buffer), len(self._window.data) - self._window.at))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _parquet(raw: BinaryIO, window: Window) -> Iterator[Row | Reject]:
    """Rows of a Parquet file. It is read from its end, so a compressed one is unpacked to disk before."""
    if window.position == 0 and _is_plain(raw):
        yield from _parquet_rows(raw)
        return
    with tempfile.TemporaryFile(prefix="insights-parquet-") as unpacked:
        while window.fill(1):
            unpacked.write(window.take(min(CHUNK, len(window.data) - window.at)))
        if window.damage:
            yield Reject("file", window.damage, "Copy the file again.", "")
            return
        yield from _parquet_rows(unpacked)


def _is_plain(raw: BinaryIO) -> bool:
    raw.seek(0)
    return raw.read(4) == b"PAR1"


def _parquet_rows(raw: Any) -> Iterator[Row | Reject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        raw.seek(0)
        file = pq.ParquetFile(raw)
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, use_threads=False):
            for found in _micros(batch).to_pylist(maps_as_pydicts="lossy"):
                number += 1
                yield Row(f"row {number}", bounded(found))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = f"the Parquet file cannot be read ({str(error)[:300]})"
        yield Reject(f"row {number + 1}", reason, "Export or copy the file again.", "")


def _micros(batch: Any) -> Any:
    """Nanosecond times in microseconds: as Python values they are datetimes then."""
    import pyarrow as pa

    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
        else field
        for field in batch.schema
    ]
    schema = pa.schema(fields)
    return batch if schema == batch.schema.remove_metadata() else batch.cast(schema, safe=False)
