"""Bodies that LangSmith's SDKs send: multipart, batches, single runs, feedback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.exports.langsmith_run import SYSTEM, feedback_score, id_of
from insights_pipeline.traces.exports.merge import ORDER, Piece
from insights_pipeline.traces.exports.multipart import read_multipart
from insights_pipeline.traces.exports.values import bounded
from insights_pipeline.traces.json_lines import parsed_json
from insights_pipeline.traces.records import Reject, Score, excerpt
from insights_pipeline.traces.text import MISSING

_ORDERS = {"post": 0, "patch": 1}
_SEND = (
    "Send what LangSmith's SDK sends: JSON objects of runs, or multipart parts `post.<id>` and `patch.<id>`."
)


def run_body(body: bytes, headers: dict[str, str]) -> Iterator[Piece | Reject]:
    """One run: a POST, or a PATCH whose id is in the path (header `run-id`)."""
    run = parsed_json(body)
    if not isinstance(run, dict):
        yield Reject("body", "the body is no JSON object", _SEND, excerpt(body[:2_000]))
        return
    operation = "patch" if headers.get("method", "").upper() == "PATCH" else "post"
    given = headers.get("run-id")
    yield _piece(operation, {**run, "id": given} if given else run, "body")


def batch_body(body: bytes) -> Iterator[Piece | Reject]:
    """`{"post": [run, …], "patch": [run, …]}`."""
    payload = parsed_json(body)
    if isinstance(payload, dict):
        yield from payload_pieces(payload, "")
    else:
        yield Reject("body", "the body is no JSON object", _SEND, excerpt(body[:2_000]))


def feedback_body(body: bytes) -> Iterator[Score | Reject]:
    """One feedback, or a list of them."""
    parsed = bounded(parsed_json(body))
    for number, feedback in enumerate(parsed if isinstance(parsed, list) else [parsed], start=1):
        place = f"feedback {number}"
        if isinstance(feedback, dict):
            yield feedback_score(feedback, place)
        else:
            yield Reject(place, "the feedback is no JSON object", _SEND, excerpt(body[:2_000]))


def multipart_body(body: bytes, content_type: str) -> Iterator[Piece | Score | Reject]:
    """Runs from their parts: `post.<id>` is the run, `post.<id>.inputs` one field of it; attachments are left out."""
    runs: dict[tuple[str, str], dict[str, Any]] = {}
    for part in read_multipart(body, content_type):
        if isinstance(part, Reject):
            yield part
            continue
        operation, _, rest = part.name.partition(".")
        run_id, _, name = rest.partition(".")
        if operation == "attachment":
            continue
        if operation not in ("post", "patch", "feedback") or not run_id:
            yield Reject(
                f"part {part.name[:200]}", "a part of another kind", _SEND, excerpt(part.data[:2_000])
            )
            continue
        value = parsed_json(part.data)
        if value is MISSING or not (name or isinstance(value, dict)):
            yield Reject(f"part {part.name[:200]}", "the part is not JSON", _SEND, excerpt(part.data[:2_000]))
        elif operation == "feedback":
            yield feedback_score({"id": run_id, **bounded(value)}, f"part {part.name[:200]}")
        else:
            _gather(runs, operation, run_id, name, value)
    for (operation, run_id), run in runs.items():
        yield _piece(operation, {**run, "id": run_id}, f"part {operation}.{run_id}")


def payload_pieces(payload: dict[str, Any], position: str) -> Iterator[Piece | Reject]:
    """The pieces of a `{"post": […], "patch": […]}` payload."""
    for operation in _ORDERS:
        runs = payload.get(operation)
        for number, run in enumerate(runs if isinstance(runs, list) else (), start=1):
            place = f"{position}, {operation} {number}".lstrip(", ")
            if isinstance(run, dict):
                yield _piece(operation, run, place)
            else:
                yield Reject(place, "the run is no JSON object", _SEND, excerpt(str(run)[:2_000]))


def _gather(
    runs: dict[tuple[str, str], dict[str, Any]], operation: str, run_id: str, name: str, value: Any
) -> None:
    run = runs.setdefault((operation, run_id), {})
    if name:
        run[name] = value
    else:
        run.update(value)


def _piece(operation: str, run: dict[str, Any], position: str) -> Piece | Reject:
    fields: dict[str, Any] = bounded(run)
    run_id = id_of(fields)
    if not run_id:
        return Reject(position, "a run without id", _SEND, excerpt(str(fields)[:2_000]))
    fields.pop("attachments", None)
    return Piece(SYSTEM, run_id.lower(), {**fields, "id": run_id, ORDER: _ORDERS[operation]}, position)
