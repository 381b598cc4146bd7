"""Whatever is sent: the receiver answers 2xx or 4xx, stays small, and the drain brings in what was good around it."""

from __future__ import annotations

import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from benchmarks.hostile_bodies import Client, Sample, as_json, mutated, request
from benchmarks.hostile_bombs import bombs, towers
from benchmarks.receiver_process import ReceiverProcess
from insights_pipeline.lake import DuckDBEngine, Lake, Slice
from insights_pipeline.receiver.drain import drain_once
from insights_pipeline.receiver.filling import MAX_REJECTS
from insights_pipeline.receiver.segments import Entry, SegmentWriter
from tests.traces.otlp_cases import NOW

BODIES = int(os.environ.get("INSIGHTS_HOSTILE_BODIES", "1500"))
ANSWERS = {200, 400, 413, 415}  # 503 is for overload, and there is none
GROWTH_MB = 32
BOMBS = {sample.name: sample for sample in bombs(parts=200_000)}
TOWERS = {sample.name: sample for sample in towers()}
OBJECTS_MB = 150  # what the parsers' own objects take


class Sent(NamedTuple):
    answers: Counter[int]
    good: set[str]
    grown_mb: float


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """A receiver as a process, without a drain."""
    receiver = ReceiverProcess(tmp_path_factory.mktemp("hostile"), port=free_port(), options=("--no-drain",))
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def sent(door: ReceiverProcess) -> Sent:
    """Thousands of damaged bodies, each fiftieth followed by a good one."""
    client = Client(door.port)
    for sample in mutated(300, seed=1):
        client.status(sample)
    before = door.rss_mb()
    rng = random.Random("good")
    answers: Counter[int] = Counter()
    good: set[str] = set()
    for number, sample in enumerate(mutated(BODIES)):
        answers[client.status(sample)] += 1
        if number % 50 == 0:
            good |= take_good(client, rng, is_json=number % 100 == 0)
    client.close()
    return Sent(answers, good, door.rss_mb() - before)


def take_good(client: Client, rng: random.Random, *, is_json: bool = False) -> set[str]:
    """A good body is taken; its span ids."""
    message = request(rng, 3)
    body = as_json(message) if is_json else message.SerializeToString()
    sample = Sample("good", body, "application/json" if is_json else "application/x-protobuf")
    assert client.status(sample) == 200
    return {span.span_id.hex() for span in message.resource_spans[0].scope_spans[0].spans}


def entry(sample: Sample) -> Entry:
    headers = {"content-encoding": sample.encoding} if sample.encoding else {}
    return Entry("otlp.traces", NOW, sample.content_type, headers, None, None, sample.body)


def span_counts(lake: Lake) -> Counter[str]:
    return Counter(lake.read(Slice("spans", columns=("span_id",))).column("span_id").to_pylist())


def test_damaged_bodies_are_answered_with_success_or_a_client_error(sent: Sent) -> None:
    assert sent.answers.total() == BODIES
    assert set(sent.answers) <= ANSWERS
    assert (
        sent.answers[200] > BODIES / 10
    )  # much of the damage is in what protobuf ignores, or in one span of many
    assert sent.answers[400] > BODIES / 10


def test_damaged_bodies_leave_no_memory_behind(sent: Sent) -> None:
    assert sent.grown_mb <= GROWTH_MB


def test_what_was_acknowledged_among_damaged_bodies_is_drained_and_all_good_spans_are_there_once(
    door: ReceiverProcess, sent: Sent, lake: Lake, engine: DuckDBEngine
) -> None:
    report = drain_once(lake, engine, door.folder)
    stored = span_counts(lake)
    assert {span: stored[span] for span in sent.good} == dict.fromkeys(sent.good, 1)
    assert report.spans == stored.total() > len(sent.good)
    assert report.rejects == lake.row_count("rejects") >= sent.answers[400]
    rejects = lake.read(Slice("rejects", columns=("reason", "remedy"))).to_pylist()
    assert all(row["reason"] and row["remedy"] for row in rejects)
    assert not [row["reason"] for row in rejects if "bug of the reader" in row["remedy"]]


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_answered_and_its_memory_is_bounded(door: ReceiverProcess, name: str) -> None:
    client = Client(door.port)
    door.forget_peak()
    before = door.rss_mb()
    assert client.status(BOMBS[name]) in ANSWERS
    limit = GROWTH_MB if BOMBS[name].encoding else OBJECTS_MB
    assert door.recent_peak_mb() - before <= limit
    assert take_good(client, random.Random(name))
    client.close()


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_of_nesting_is_answered(door: ReceiverProcess, name: str) -> None:
    client = Client(door.port)
    assert client.status(TOWERS[name]) in ANSWERS
    assert take_good(client, random.Random(name))
    client.close()


def test_bombs_and_towers_in_the_log_are_drained_beside_good_spans(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    """As if the door had not looked: it does not decode bodies of more than 8 MiB."""
    rng = random.Random(2)
    writer = SegmentWriter(tmp_path / "log")
    good: set[str] = set()
    for sample in [*BOMBS.values(), *TOWERS.values()]:
        message = request(rng, 2)
        good |= {span.span_id.hex() for span in message.resource_spans[0].scope_spans[0].spans}
        writer.append([entry(sample), entry(Sample("good", message.SerializeToString()))])
    writer.close()
    report = drain_once(lake, engine, tmp_path / "log")
    stored = span_counts(lake)
    assert {span: stored[span] for span in good} == dict.fromkeys(good, 1)
    towers_kept = stored["09" * 8]
    assert 0 < towers_kept < len(TOWERS)
    assert len(BOMBS) <= report.rejects <= 20 * MAX_REJECTS


def test_of_a_body_with_thousands_of_unreadable_records_the_first_are_kept_and_the_rest_is_counted(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    [sample] = [sample for sample in bombs(parts=MAX_REJECTS + 234) if sample.name == "many empty spans"]
    writer = SegmentWriter(tmp_path / "log")
    writer.append([entry(sample)])
    writer.close()
    assert drain_once(lake, engine, tmp_path / "log").rejects == MAX_REJECTS + 1
    reasons = Counter(lake.read(Slice("rejects", columns=("reason",))).column("reason").to_pylist())
    assert reasons["234 more records of this body cannot be read"] == 1


@pytest.mark.parametrize("place", range(10))
@pytest.mark.parametrize("is_json", [False, True])
def test_one_unreadable_span_leaves_the_nine_others(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path, place: int, is_json: bool
) -> None:
    message = request(random.Random(3), 10)
    spans = message.resource_spans[0].scope_spans[0].spans
    ids = [span.span_id.hex() for span in spans]
    if is_json:
        request_of = orjson.loads(as_json(message))
        request_of["resourceSpans"][0]["scopeSpans"][0]["spans"][place] = 42
        body = Sample("one", orjson.dumps(request_of), "application/json")
    else:
        spans[place].name = "\x7f" * 40
        body = Sample("one", message.SerializeToString().replace(b"\x7f" * 40, b"\xff" * 40))
    writer = SegmentWriter(tmp_path / "log")
    writer.append([entry(body)])
    writer.close()
    report = drain_once(lake, engine, tmp_path / "log")
    assert sorted(span_counts(lake)) == sorted(ids[:place] + ids[place + 1 :])
    assert (report.spans, report.rejects) == (9, 1)
