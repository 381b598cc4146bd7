"""Texts or trace ids that people have labelled, read from a CSV, TSV or JSONL file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

MAX_ROWS = 1_000_000
_MAX_TEXT = 20_000  # characters of a text or label that are kept
_MAX_LINE = 10_000_000  # bytes
_LONGEST_CELL = 131_072  # characters
_TOLD = 5  # bad rows that are told one by one
_TEXT, _TRACE = "text", "trace_id"
_FORMATS = {".csv": ",;\t", ".tsv": "\t", ".txt": "\t"}
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Items and their labels. `items` are texts, or ids of traces where `of_traces`.

    `bad` says what is wrong with some of the `skipped` rows: line, field and reason.
    """

    items: tuple[str, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    of_traces: bool = False
    skipped: int = 0
    bad: tuple[str, ...] = ()
    cut: bool = False  # the file has more rows than are read


@dataclass(slots=True)
class _Rows:
    """What was read so far."""

    items: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    skipped: int = 0
    bad: list[str] = field(default_factory=list)

    def skip(self, line: int, reason: str) -> None:
        self.skipped += 1
        if len(self.bad) < _TOLD:
            self.bad.append(f"line {line}: {reason}")


def read_labelled(path: Path, *, text_column: str | None = None, label_column: str = "label") -> Labelled:
    """The rows of a file with the columns `text` (or `trace_id`) and `label`.

    A row without text or label, or one that cannot be parsed, is counted and left out. Raises ValueError, naming file,
    line, field and remedy, when there is no such column, no usable row, or the file is not UTF-8.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file: give --labels a csv, tsv or jsonl file")
    kind = path.suffix.lower()
    if kind not in _FORMATS and kind not in _LINES:
        raise ValueError(f"{path}: the name must end in .csv, .tsv or .jsonl, which tells how to read it")
    found = _Rows()
    with path.open("rb") as file:
        lines = _decoded(path, file)
        records = _objects(lines, found) if kind in _LINES else _table(path, lines, _FORMATS[kind], found)
        item_column, cut = _collect(path, records, found, text_column, label_column)
    if not found.items:
        told = f" ({'; '.join(found.bad)})" if found.bad else ""
        raise ValueError(
            f"{path}: no row has both {item_column} and {label_column}{told}: give at least 20 labelled rows"
        )
    of_traces = text_column is None and item_column == _TRACE
    return Labelled(tuple(found.items), tuple(found.labels), of_traces, found.skipped, tuple(found.bad), cut)


def _collect(
    path: Path,
    records: Iterator[tuple[int, Mapping[str, object]]],
    found: _Rows,
    text_column: str | None,
    label_column: str,
) -> tuple[str, bool]:
    """Fill `found`; gives the column that holds the items, and whether rows were left unread."""
    item_column = ""
    for line, record in records:
        if not item_column:
            item_column = _item_column(path, line, record, text_column, label_column)
        if len(found.items) >= MAX_ROWS:
            return item_column, True
        item, label = _value(record.get(item_column)), _value(record.get(label_column))
        if not item:
            found.skip(line, f"no {item_column}")
        elif not label:
            found.skip(line, f"no {label_column}")
        else:
            found.items.append(item)
            found.labels.append(label)
    return item_column or text_column or _TEXT, False


def _item_column(
    path: Path, line: int, record: Mapping[str, object], text_column: str | None, label_column: str
) -> str:
    wanted = [text_column] if text_column else [_TEXT, _TRACE]
    there = next((column for column in wanted if column in record), None)
    missing = None if there and label_column in record else (label_column if there else " or ".join(wanted))
    if missing:
        columns = ", ".join(str(column)[:40] for column in list(record)[:12]) or "none"
        raise ValueError(
            f"{path}: line {line}: there is no column {missing}; the columns are: {columns}. Name them text and "
            "label, or say which they are: --text-column NAME --label-column NAME"
        )
    assert there is not None
    return there


def _value(cell: object) -> str:
    """A cell as text; a number is a label too, a list or an object is none."""
    if isinstance(cell, (str, int, float)) and not isinstance(cell, bool):
        return str(cell)[:_MAX_TEXT].strip()
    return ""


def _decoded(path: Path, file: BinaryIO) -> Iterator[str]:
    """Lines as text, each at most 10 MB."""
    number = 0
    while line := file.readline(_MAX_LINE):
        number += 1
        if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{path}: line 1: the file is UTF-16: save it as UTF-8")
        if len(line) == _MAX_LINE:
            raise ValueError(f"{path}: line {number} is longer than 10 MB: break it up, one text a line")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: line {number}: byte {line[error.start]:#04x} is not UTF-8: save the file as UTF-8, "
                "for instance with `iconv -f latin1 -t utf-8`"
            ) from None


def _objects(lines: Iterator[str], found: _Rows) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            found.skip(number, "not JSON")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            found.skip(number, "not a JSON object")


def _table(
    path: Path, lines: Iterator[str], delimiters: str, found: _Rows
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Rows under the names of the first line. Quotes mean something in CSV; in TSV they are part of the text."""
    first = next(lines, None)
    if first is None:
        raise ValueError(f"{path}: the file is empty: its first line names the columns, text and label")
    delimiter = max(delimiters, key=first.count)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if "," in delimiters else csv.QUOTE_NONE
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter, quoting=quoting), [])]
    csv.field_size_limit(_LONGEST_CELL)  # of the whole process: who reads exports sets another
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            found.skip(reader.line_num + 1, str(error))
            continue
        if row:
            yield reader.line_num + 1, dict(zip(header, row, strict=False))
