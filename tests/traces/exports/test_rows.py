from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces import json_lines
from insights_pipeline.traces.exports import json_text, rows
from insights_pipeline.traces.exports.rows import Row, container_of, read_rows
from insights_pipeline.traces.records import Reject


def read(body: bytes, name: str = "x.jsonl") -> tuple[list[Row], list[Reject]]:
    found = list(read_rows(BytesIO(body), name=name))
    return [row for row in found if isinstance(row, Row)], [row for row in found if isinstance(row, Reject)]


def parquet(table: pa.Table) -> bytes:
    out = BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def zstd(body: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(body)
    return bytes(out.getvalue())


def test_lines_have_their_number_and_broken_ones_are_rejects() -> None:
    good, bad = read(b'{"a":1}\n\nnot json\n{"a":2}\n[1]\n7\n')
    assert good == [Row("line 1", {"a": 1}), Row("line 4", {"a": 2}), Row("line 5", [1])]
    assert [(one.position, one.reason, one.raw) for one in bad] == [
        ("line 3", "the line is not JSON", "not json"),
        ("line 6", "the line is no JSON object", "7"),
    ]


@pytest.mark.parametrize("first", [b"not json\n", b'{"broken": \n', b"[\n"])
def test_a_broken_first_line_does_not_make_a_file_of_lines_one_document(first: bytes) -> None:
    good, bad = read(first + b'{"a":1}\n{"a":2}\n{"a":3}\n')
    assert [row.value["a"] for row in good] == [1, 2, 3]
    assert [one.position for one in bad] == ["line 1"]


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("value", [{"a": [{"b": 1}, {"b": 2}]}, [{"a": 1}, {"a": 2}], {}])
def test_a_document_is_one_row_whatever_its_layout(value: Any, indent: int | None) -> None:
    assert read(json.dumps(value, indent=indent).encode()) == ([Row("", value)], [])


def test_a_list_with_an_object_a_line_is_one_document() -> None:
    assert read(b'[\n{"a":1},\n{"a":2}\n]\n') == ([Row("", [{"a": 1}, {"a": 2}])], [])


def test_what_others_write_although_it_is_no_json_is_read() -> None:
    good, bad = read(b'\xef\xbb\xbf{"a":NaN,"b":"\xff","c":"\\ud800"}\n{"a":Infinity}\n')
    assert bad == []
    assert [row.value["a"] for row in good] == [None, None]


def test_a_broken_document_says_where_it_breaks() -> None:
    good, [bad] = read(b'{\n "a": 1,\n "b": oops\n}')
    assert (good, bad.position) == ([], "line 3")
    assert bad.reason.startswith("the document is not JSON")


def test_a_document_beyond_the_limit_is_a_reject_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_DOCUMENT_BYTES", 1_000)
    good, [bad] = read(b'{"a": [\n' + b"1,\n" * 1_000 + b"1]}")
    assert good == []
    assert "of more than 1,000 bytes" in bad.reason
    assert "one JSON object a line" in bad.remedy


def test_a_line_beyond_the_limit_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 100)
    good, bad = read(b'{"a":1}\n{"a":"' + b"x" * 200 + b'"}\n{"a":3}\n')
    assert [row.value["a"] for row in good] == [1, 3]
    assert [(one.position, one.reason) for one in bad] == [("line 2", "a line of more than 100 bytes")]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_table_is_read_with_its_own_delimiter_and_empty_cells_are_missing(delimiter: str) -> None:
    text = 'id,text,n\r\n1,"two\nlines",\r\n2,"a ""q""",3\r\n'.replace(",", delimiter)
    good, bad = read(text.encode("utf-8-sig"), "x.csv" if delimiter != "\t" else "x.tsv")
    assert bad == []
    assert good == [
        Row("row 1", {"id": "1", "text": "two\nlines"}),
        Row("row 2", {"id": "2", "text": 'a "q"', "n": "3"}),
    ]


def test_a_row_of_another_length_is_a_reject_and_the_rest_goes_on() -> None:
    good, bad = read(b"a,b\n1,2\n3\n4,5,6\n7,8\n", "x.csv")
    assert [row.position for row in good] == ["row 1", "row 4"]
    assert [(one.position, one.reason) for one in bad] == [
        ("row 2", "1 field under 2 headings"),
        ("row 3", "3 fields under 2 headings"),
    ]


def test_a_cell_without_end_is_a_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_CELL_CHARS", 1_000)
    good, bad = read(b'a,b\n1,2\n3,"' + b"x\n" * 2_000, "x.csv")
    assert good[0] == Row("row 1", {"a": "1", "b": "2"})
    assert "field larger than field limit" in bad[0].reason


def test_columns_of_objects_and_times_become_those_of_json() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    table = pa.table(
        {
            "meta": pa.array([{"a": 1, "b": None}, None], pa.struct([("a", pa.int64()), ("b", pa.string())])),
            "map": pa.array([[("k", 1.5)], None], pa.map_(pa.string(), pa.float64())),
            "list": pa.array([[{"x": "y"}], []], pa.list_(pa.struct([("x", pa.string())]))),
            "at": pa.array([moment, None], pa.timestamp("ns", "UTC")),
            "nan": pa.array([float("nan"), 1.0]),
            "raw": pa.array([b"\xff", b"ok"]),
        }
    )
    good, bad = read(parquet(table), "x.parquet")
    assert bad == []
    assert [row.position for row in good] == ["row 1", "row 2"]
    first, second = (row.value for row in good)
    assert first["meta"]["a"] == 1
    assert first["map"] == {"k": 1.5}
    assert first["list"] == [{"x": "y"}]
    assert datetime.fromisoformat(first["at"]) == moment
    assert first["nan"] is None
    assert second["raw"] == "ok"


def test_parquet_is_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PARQUET_ROWS", 3)
    good, _ = read(parquet(pa.table({"n": list(range(10))})), "x")
    assert [(row.position, row.value["n"]) for row in good] == [(f"row {n + 1}", n) for n in range(10)]


@pytest.mark.parametrize("damage", [b"PAR1", b"PAR1" + b"x" * 100 + b"PAR1", b"PAR1" + bytes(200)])
def test_a_damaged_parquet_file_is_one_reject(damage: bytes) -> None:
    good, [bad] = read(damage, "x.parquet")
    assert good == []
    assert bad.reason.startswith("the Parquet file cannot be read")


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_every_container_may_be_compressed(pack: Any) -> None:
    assert read(pack(b'{"a":1}\n{"a":2}\n'), "x.jsonl.gz")[0][1] == Row("line 2", {"a": 2})
    assert read(pack(b"a,b\n1,2\n"), "x.csv.gz")[0] == [Row("row 1", {"a": "1", "b": "2"})]
    assert read(pack(parquet(pa.table({"a": [1]}))), "x.parquet.gz")[0] == [Row("row 1", {"a": 1})]


def test_what_precedes_a_cut_is_read() -> None:
    body = gzip.compress(b"".join(b'{"a":%d,"b":"%d"}\n' % (n, n * 7919) for n in range(5_000)))
    good, bad = read(body[: len(body) // 2], "x.jsonl.gz")
    assert len(good) > 100
    assert "the stream breaks off" in bad[-1].reason


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b'{"a":1}', "no-suffix", "json"),
        (b"a,b\n", "x.CSV.gz", "csv"),
        (b"a\tb\n", "x.tsv", "csv"),
        (b"PAR1\x15", "x.json", "parquet"),
        (b"\n\x8e\x01\x12\x03", "x.json", "other"),
        (b"a,b\n", "x.txt", "other"),
    ],
)
def test_the_container_is_told_by_content_first_and_name_second(head: bytes, name: str, kind: str) -> None:
    assert container_of(head, name) == kind


@given(st.binary(max_size=300), st.sampled_from(["x.jsonl", "x.csv", "x.parquet", "x"]))
def test_any_bytes_give_rows_or_rejects_and_never_an_exception(body: bytes, name: str) -> None:
    for prefix in (b"", b"PAR1", b"{", b"[{"):
        for row in read_rows(BytesIO(prefix + body), name=name):
            assert row.position is not None


def test_memory_does_not_grow_with_the_number_of_lines(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for times in (2, 16):
        path = tmp_path / "x.jsonl"
        path.write_bytes((json.dumps({"text": "x" * 50_000}).encode() + b"\n") * 20 * times)
        tracemalloc.start()
        with path.open("rb") as raw:
            assert sum(1 for _ in read_rows(raw, name=path.name)) == 20 * times
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_table_of_excel_says_its_delimiter_above_the_headings() -> None:
    good, bad = read(b"sep=;\r\na;b\r\n1,5;2\r\n", "x.csv")
    assert (good, bad) == ([Row("row 1", {"a": "1,5", "b": "2"})], [])
    assert read(b"sep=x,b\n1,2\n", "x.csv")[0] == [Row("row 1", {"sep=x": "1", "b": "2"})]


def test_a_table_that_is_not_utf_8_is_what_windows_writes() -> None:
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        good, bad = read("Stra\u00dfe,b\n\u20ac 5,x\n".encode(encoding), "x.csv")
        assert (good, bad) == ([Row("row 1", {"Stra\u00dfe": "\u20ac 5", "b": "x"})], [])


def test_a_character_at_the_end_of_what_is_looked_at_does_not_make_a_table_other_than_utf_8() -> None:
    body = b"a,b\n" + b"x" * (rows._HEADER_BYTES - 5) + "\u00df,1\n".encode()
    [row], bad = read(body, "x.csv")
    assert (row.value["a"][-2:], bad) == ("x\u00df", [])


def test_equal_headings_are_numbered() -> None:
    assert read(b"q,a,q,q\n1,2,3,4\n", "x.csv")[0] == [
        Row("row 1", {"q": "1", "a": "2", "q (2)": "3", "q (3)": "4"})
    ]


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_utf_16_is_one_reject_that_says_so(name: str) -> None:
    good, [reject] = read('{"a": 1}\n'.encode("utf-16"), name)
    assert (good, reject.reason) == ([], "the file is UTF-16")
    assert "iconv" in reject.remedy
