"""Spaces by setting: fitted, kept in the lake, restored, and changed while days are being run."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from insights_pipeline.intents.daily import classify_days, embed_days, update_model_days
from insights_pipeline.intents.embedding.spaces import Embeddings, Space
from insights_pipeline.intents.embedding.tfidf_space import TfidfSpace, fit_space
from insights_pipeline.intents.steering import Steering
from insights_pipeline.intents.vectors import cosines, exact, pack, packed
from insights_pipeline.lake import DayRange, DuckDBEngine, Slice
from tests.intents.embedding_server import embedding_server
from tests.intents.streams import FIRST, Stream, stream
from tests.intents.test_daily import filled

TFIDF = Embeddings("tfidf")
WORDLLAMA = Embeddings()


def day(offset: int) -> date:
    return FIRST + timedelta(days=offset)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [str(text) for text in stream(2, 150).traces.column("user_text").to_pylist()]


@pytest.fixture(scope="module")
def space(texts: list[str]) -> TfidfSpace:
    return fit_space(texts)


def test_a_tfidf_vector_depends_on_its_own_text_only(space: TfidfSpace, texts: list[str]) -> None:
    some = [*texts[:60], "", "我的订单在哪里", "where is my parcel. my user id is 12345. thank you!", "😀"]
    together = space.embed(some)
    alone = np.concatenate([space.embed([text]) for text in some])
    assert pack(together) == pack(alone)
    assert pack(np.ascontiguousarray(space.embed(some[::-1])[::-1])) == pack(together)


def test_a_tfidf_space_survives_the_lake_without_pickle(space: TfidfSpace, texts: list[str]) -> None:
    payload = space.payload()
    back = TFIDF.restore(space.name, space.embedder, payload)
    assert pack(back.embed(texts)) == pack(space.embed(texts))
    assert back.core(texts) == space.core(texts) and back.fitted_on == 300
    assert len(payload) < 1_000_000
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)


def test_tfidf_tells_requests_apart_and_knows_nothing_of_words_it_never_saw(space: TfidfSpace) -> None:
    a, b, c = exact(space.embed(["where is my parcel", "please track my parcel", "reset my password"]))[
        :, None
    ]
    assert cosines(a, b)[0, 0] > cosines(a, c)[0, 0] + 0.2
    assert not space.embed(["жщюф"]).any()


@pytest.mark.parametrize("said", [["same words here"] * 12, ["a", "b", "c", "d"], ["x"], ["ж", "我"]])
def test_a_tfidf_space_of_next_to_nothing_gives_vectors_all_the_same(said: list[str]) -> None:
    made = fit_space(said)
    back = TfidfSpace.from_payload(made.name, made.payload())
    assert made.embed(said).shape == (len(said), 256) and np.isfinite(made.embed(said)).all()
    assert pack(back.embed(said)) == pack(made.embed(said))


def test_a_tfidf_space_is_the_same_for_any_number_of_threads(texts: list[str]) -> None:
    program = (
        "from insights_pipeline.intents.embedding.tfidf_space import fit_space\n"
        "from tests.intents.streams import stream\n"
        "print(fit_space(stream(2, 150).traces.column('user_text').to_pylist()).name)\n"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True, text=True, check=True,
        ).stdout
        for threads in ("1", "4")
    }  # fmt: skip
    assert names == {fit_space(texts).name + "\n"}


@pytest.mark.parametrize("setting", ["", "word2vec", "litellm:", "fastembed:", "litellm", "TFIDF"])
def test_a_setting_that_is_none_is_told_with_those_that_are(setting: str) -> None:
    with pytest.raises(ValueError, match="wordllama, tfidf, litellm:MODEL, fastembed:MODEL"):
        Embeddings(setting).fit(["where is my parcel"])


def test_a_space_of_an_unknown_embedder_is_told() -> None:
    with pytest.raises(ValueError, match="does not know: word2vec"):
        Embeddings().restore("x", "word2vec", b"")


@pytest.mark.skipif(importlib.util.find_spec("fastembed") is not None, reason="fastembed is installed")
def test_fastembed_without_its_package_says_what_to_install() -> None:
    with pytest.raises(ValueError, match=r"pip install 'insights-pipeline\[fastembed\]'"):
        Embeddings("fastembed:BAAI/bge-small-en-v1.5").fit(["where is my parcel", "reset my password"])


def test_a_fastembed_model_that_is_not_there_is_told() -> None:
    pytest.importorskip("fastembed")
    with pytest.raises(ValueError, match=r"fastembed:no/such-model could not be loaded"):
        Embeddings("fastembed:no/such-model").fit(["where is my parcel"])


def test_fastembed_vectors_depend_on_their_own_text_only() -> None:
    pytest.importorskip("fastembed")
    model = os.environ.get("INSIGHTS_TEST_FASTEMBED_MODEL")
    if model is None:
        pytest.skip("INSIGHTS_TEST_FASTEMBED_MODEL names no model that is on this machine")
    made = Embeddings(f"fastembed:{model}").fit(["where is my parcel", "reset my password"])
    said = ["where is my parcel", "please reset my password for me", "track my package"]
    together, alone = made.embed(said), np.concatenate([made.embed([text]) for text in said])
    assert pack(together) == pack(alone)
    a, b, c = exact(together)[:, None]
    assert cosines(a, c)[0, 0] > cosines(a, b)[0, 0]


def test_an_arrow_column_holds_the_bytes_of_each_vector() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float16)
    assert packed(vectors).to_pylist() == [pack(one) for one in vectors]
    assert packed(vectors[::2]).to_pylist() == [pack(one) for one in vectors[::2]]
    assert packed(vectors[:0]).to_pylist() == []


def run(engine: DuckDBEngine, days: DayRange, embeddings: Embeddings) -> None:
    embed_days(engine, days, bootstrap_traces=200, seed=0, embeddings=embeddings)
    steering = Steering(embeddings=embeddings)
    update_model_days(engine, days, bootstrap_traces=200, seed=0, steering=steering)
    classify_days(engine, days, embeddings=embeddings)


def spaces(engine: DuckDBEngine) -> dict[date, str]:
    rows = engine.lake.read(Slice("embedding_spaces")).to_pylist()
    return {row["date"]: row["embedder"] for row in sorted(rows, key=lambda row: row["date"])}


def embedder_of_models(engine: DuckDBEngine) -> list[str | None]:
    rows = sorted(engine.lake.read(Slice("intent_models")).to_pylist(), key=lambda row: row["date"])
    return [row["space"].split("-")[0] if row["space"] else None for row in rows]


def known_share(engine: DuckDBEngine, one: date) -> float:
    rows = engine.lake.read(Slice("trace_intents", DayRange.single(one))).column("intent_id")
    return 1 - rows.null_count / len(rows)


@pytest.fixture
def made() -> Stream:
    return stream(5, 120)


def test_another_setting_is_in_force_from_the_first_day_that_nothing_was_built_on(
    tmp_path: Path, made: Stream
) -> None:
    engine = filled(tmp_path, made)
    run(engine, DayRange(day(0), day(2)), WORDLLAMA)
    run(engine, DayRange.single(day(1)), TFIDF)  # a later day was built on it: kept
    assert list(spaces(engine)) == [day(1)]
    run(engine, DayRange.single(day(3)), TFIDF)
    run(engine, DayRange.single(day(4)), TFIDF)
    assert spaces(engine) == {day(1): WORDLLAMA.embedder, day(3): TFIDF.embedder}
    assert embedder_of_models(engine) == [None, "wordllama", "wordllama", "tfidf", "tfidf"]
    assert known_share(engine, day(4)) > 0.8
    other = filled(tmp_path / "range", made)
    run(other, DayRange(day(0), day(2)), WORDLLAMA)
    run(other, DayRange(day(3), day(4)), TFIDF)
    for name in ("embedding_spaces", "intent_models", "intents", "trace_intents"):
        assert _rows(other, name) == _rows(engine, name)


def _rows(engine: DuckDBEngine, name: str) -> list[str]:
    return sorted(map(repr, engine.lake.read(Slice(name)).to_pylist()))


def test_the_newest_day_run_again_in_another_setting_is_made_anew_in_it(tmp_path: Path, made: Stream) -> None:
    engine = filled(tmp_path, made)
    run(engine, DayRange(day(0), day(2)), WORDLLAMA)
    run(engine, DayRange.single(day(2)), TFIDF)
    assert embedder_of_models(engine) == [None, "wordllama", "tfidf"]
    run(engine, DayRange.single(day(2)), WORDLLAMA)  # and back
    assert embedder_of_models(engine) == [None, "wordllama", "wordllama"]
    assert list(spaces(engine)) == [day(1)]


def test_vectors_of_an_api_of_other_dimensions_go_through_every_step(tmp_path: Path, made: Stream) -> None:
    engine = filled(tmp_path, made)
    run(engine, DayRange(day(0), day(2)), WORDLLAMA)
    with embedding_server(dimensions=48) as server:
        api = Embeddings("litellm:openai/embedder-1", api_base=server.address, api_key="sk-none-of-it")
        run(engine, DayRange(day(3), day(4)), api)
    widths = {
        row["date"]: len(row["vector"]) // 2
        for row in engine.lake.read(Slice("trace_embeddings")).to_pylist()
    }
    assert widths == {day(1): 256, day(2): 256, day(3): 48, day(4): 48}
    assert known_share(engine, day(4)) > 0.7


def test_a_failing_api_leaves_what_was_there_and_the_day_can_be_run_again(
    tmp_path: Path, made: Stream
) -> None:
    engine = filled(tmp_path, made)
    run(engine, DayRange(day(0), day(2)), WORDLLAMA)
    before = {name: _rows(engine, name) for name in ("embedding_spaces", "trace_embeddings")}
    refused = (401, b'{"error": {"message": "no"}}', {})
    with embedding_server(lambda number, texts: refused if number > 1 else None) as server:
        api = Embeddings("litellm:openai/embedder-1", api_base=server.address, api_key="sk-none-of-it")
        with pytest.raises(RuntimeError, match=r"embedding litellm:openai/embedder-1 failed"):
            embed_days(engine, DayRange.single(day(3)), bootstrap_traces=200, seed=0, embeddings=api)
        assert {name: _rows(engine, name) for name in before} == before
        server.script = lambda number, texts: None
        run(engine, DayRange.single(day(3)), api)
    assert len(spaces(engine)) == 2


def test_a_lake_of_before_keeps_its_vectors_readable(tmp_path: Path) -> None:
    made: Space = WORDLLAMA.fit(["where is my parcel", "reset my password", "hello there. where is it?"] * 4)
    with np.load(io.BytesIO(made.payload())) as arrays:
        kept = {name: arrays[name] for name in arrays if name in ("weights", "reference", "n")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept)
    old = WORDLLAMA.restore("wordllama-256/wls_p.5/0", "wordllama-256/wls_p.5", buffer.getvalue())
    assert np.allclose(np.linalg.norm(old.embed(["where is my parcel"]).astype(float)), 1, atol=2e-3)
