"""Bodies that LangSmith's SDKs send."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import input_stream

from insights_pipeline.traces.exports import langsmith
from insights_pipeline.traces.exports.multipart import MAX_PARTS
from insights_pipeline.traces.exports.pieces import Piece, is_finished, live_records
from insights_pipeline.traces.records import Reject, Score
from tests.traces.exports.export_cases import put_together, rejects, spans

RUN = "33333333-3333-4333-8333-333333333333"
BOUNDARY = "xxBOUNDARYxx"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
BEGUN = {"id": RUN, "trace_id": RUN, "run_type": "chain", "name": "ask", "start_time": "2026-03-01T12:00:00"}


def multipart(*parts: tuple[str, object], end: bool = True) -> bytes:
    found = b""
    for name, value in parts:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f'Content-Disposition: form-data; name="{name}"\r\nContent-Type: application/json'
        found += f"--{BOUNDARY}\r\n{head}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n"
    return found + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def live(kind: str, body: bytes, content_type: str = "", **headers: str) -> list[Piece | Score | Reject]:
    return list(
        live_records(kind, body, content_type, {key.replace("_", "-"): text for key, text in headers.items()})
    )


def capture(real_data: Path, name: str, number: int) -> tuple[bytes, str, dict[str, str]]:
    folder = real_data / "sdk-captures" / name
    headers = json.loads((folder / f"{number}.headers.json").read_text())["headers"]
    return (folder / f"{number}.bin").read_bytes(), headers["content-type"], headers


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1)])
def test_the_captured_bodies_are_the_runs_in_whichever_order_they_come(
    real_data: Path, order: tuple[int, ...]
) -> None:
    records = [
        record
        for number in order
        for record in live("langsmith.multipart", *capture(real_data, "langsmith_native", number)[:2])
    ]
    assert not rejects(records)
    found = spans(put_together(records))
    lines = (real_data / "sdk-captures" / "langsmith_runs.jsonl").read_text().splitlines()
    expected = spans(langsmith.read_rows(("", json.loads(line)) for line in lines))
    assert len(found) == 16
    assert [{**row, "attributes": None} for row in found] == [{**row, "attributes": None} for row in expected]


def test_the_body_captured_in_zstd_is_read_once_it_is_decompressed(real_data: Path) -> None:
    body, content_type, headers = capture(real_data, "langsmith_zstd", 1)
    assert headers["content-encoding"] == "zstd"
    with input_stream(BytesIO(body), compression="zstd") as stream:
        plain = stream.read()
    records = live("langsmith.multipart", plain, content_type)
    assert records and not rejects(records)
    assert spans(put_together(records))


def test_parts_of_a_run_are_its_fields_and_attachments_are_left_out() -> None:
    body = multipart(
        (f"post.{RUN}", BEGUN),
        (f"post.{RUN}.inputs", {"question": "Where?"}),
        (f"attachment.{RUN}.photo", b"\x00\xff\r\n--not the boundary\r\n"),
        (f"patch.{RUN}", {"id": RUN, "end_time": "2026-03-01T12:00:01"}),
        (f"patch.{RUN}.outputs", {"answer": "Here."}),
        (f"feedback.{RUN}", {"run_id": RUN, "trace_id": RUN, "key": "good", "score": 1}),
    )
    records = live("langsmith.multipart", body, TYPE)
    assert [type(record) for record in records] == [Score, Piece, Piece]
    [found] = spans(put_together(records))
    assert (found["input_text"], found["output_text"], found["name"]) == ("Where?", "Here.", "ask")
    first, second = (record for record in records if isinstance(record, Piece))
    assert not is_finished("langsmith", first.fields) and is_finished("langsmith", second.fields)
    assert first.key == second.key == RUN


@pytest.mark.parametrize(
    ("body", "content_type", "reason", "whole"),
    [
        (multipart((f"post.{RUN}", BEGUN), end=False), TYPE, "the multipart body breaks off", 1),
        (multipart((f"post.{RUN}", BEGUN))[:-20] + b"\x00garbage", TYPE, "the multipart body", 1),
        (b"no parts at all", TYPE, "the multipart body", 0),
        (multipart((f"post.{RUN}", BEGUN)), "multipart/form-data", "names no boundary", 0),
        (multipart(("post.x", b"{broken")), TYPE, "the part is not JSON", 0),
        (multipart(("post.x", [1])), TYPE, "the part is not JSON", 0),
        (multipart(("weird", {})), TYPE, "a part of another kind", 0),
    ],
)
def test_what_cannot_be_read_of_a_multipart_body_is_rejected_and_the_rest_is_kept(
    body: bytes, content_type: str, reason: str, whole: int
) -> None:
    records = live("langsmith.multipart", body, content_type)
    [found] = rejects(records)
    assert reason in found.reason and found.remedy
    assert sum(isinstance(record, Piece) for record in records) <= whole
    if reason.endswith("off"):
        assert sum(isinstance(record, Piece) for record in records) == whole - 1  # the last part may be cut


def test_a_body_of_too_many_parts_is_stopped() -> None:
    empty = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="attachment.x"\r\n\r\n\r\n'.encode()
    records = live("langsmith.multipart", empty * (MAX_PARTS + 2_000), TYPE)
    assert [record.reason for record in rejects(records)] == ["a body of more than 100,000 parts"]


def test_batches_and_single_runs_give_the_same_span_as_multipart() -> None:
    end: dict[str, Any] = {"end_time": "2026-03-01T12:00:01", "outputs": {"answer": "Here."}}
    begun = {**BEGUN, "inputs": {"question": "Where?"}}
    batch = live("langsmith.batch", json.dumps({"post": [begun], "patch": [{"id": RUN, **end}]}).encode())
    single = [
        *live("langsmith.run", json.dumps(end).encode(), method="PATCH", run_id=RUN),
        *live("langsmith.run", json.dumps(begun).encode(), method="POST"),
    ]
    assert spans(put_together(batch)) == spans(put_together(single))
    assert spans(put_together(batch))[0]["output_text"] == "Here."


@pytest.mark.parametrize("kind", ["langsmith.batch", "langsmith.run"])
@pytest.mark.parametrize("body", [b"", b"[1]", b"{broken", b'"text"'])
def test_a_body_that_is_no_object_is_rejected(kind: str, body: bytes) -> None:
    [found] = live(kind, body)
    assert isinstance(found, Reject) and found.reason == "the body is no JSON object"


def test_runs_of_a_batch_that_are_none_are_rejected_one_by_one() -> None:
    records = live(
        "langsmith.batch", json.dumps({"post": [7, {"name": "no id"}, BEGUN], "patch": None}).encode()
    )
    assert [record.position for record in rejects(records)] == ["post 1", "post 2"]
    assert [record.key for record in records if isinstance(record, Piece)] == [RUN]


def test_feedback_bodies_are_scores() -> None:
    one = {"id": "f1", "run_id": RUN, "trace_id": RUN, "key": "good", "score": 0.5}
    [score] = live("langsmith.feedback", json.dumps(one).encode())
    assert isinstance(score, Score) and (score.score_id, score.value) == ("f1", 0.5)
    many = live("langsmith.feedback", json.dumps([one, {"key": "lost"}, 3]).encode())
    assert [type(record) for record in many] == [Score, Reject, Reject]
