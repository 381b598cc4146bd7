"""Embeddings by an API: litellm for real against a local server that answers well or badly."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.llm_endpoint import Reply, endpoint
from insights_pipeline import wiring
from insights_pipeline.intents.embedding.encoder_space import EncoderSpace
from insights_pipeline.intents.embedding.spaces import Embeddings
from insights_pipeline.llm.embeddings import MAX_CHARS, EmbeddingApi, EmbeddingApiError
from insights_pipeline.settings import settings
from insights_pipeline.traces.redaction import Redactor
from tests.intents.embedding_server import answer_with, embedding_server, refusal, vector_of

KEY = "sk-secret-of-the-test"
MODEL = "openai/embedder-1"
TEXTS = [f"where is parcel {word}" for word in ("one", "two", "three", "four", "five")]


def api(address: str, *, tries: int = 4) -> EmbeddingApi:
    return EmbeddingApi(MODEL, api_base=address, api_key=KEY, tries=tries, pause_s=0.01, timeout_s=5.0)


def test_vectors_come_in_the_order_of_the_texts_whatever_the_order_of_the_answer() -> None:
    texts = [f"text {number}" for number in range(230)]
    with embedding_server() as server:
        found = api(server.address).encode(texts)
    assert np.allclose(found, [vector_of(text, 24) for text in texts], atol=1e-5)
    assert sorted(len(request["input"]) for request in server.requests) == [38, 96, 96]
    assert {request["model"] for request in server.requests} == {"embedder-1"}
    assert {request["path"] for request in server.requests} == {"/v1/embeddings"}
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_long_texts_are_cut_before_they_are_sent() -> None:
    with embedding_server() as server:
        api(server.address).encode(["word " * 5_000])
    assert [len(text) for request in server.requests for text in request["input"]] == [MAX_CHARS]


@pytest.mark.parametrize(
    "bad",
    [
        refusal(429),
        refusal(500),
        refusal(503),
        (200, b"{not json", {}),
        (200, b'{"data": "none"}', {}),
        answer_with([[1.0, 2.0]]),  # a vector for five texts
        answer_with([[1.0]] * 4 + [[1.0, 2.0]]),
        answer_with([[1.0]] * 4 + [[float("nan")]]),
    ],
)
def test_what_may_pass_is_tried_again(bad: tuple[int, bytes, dict[str, str]]) -> None:
    with embedding_server(lambda number, texts: bad if number < 2 else None) as server:
        found = api(server.address).encode(TEXTS)
    assert found.shape == (5, 24) and len(server.requests) == 3


def test_the_pause_that_the_service_asks_for_is_kept() -> None:
    limited = refusal(429, retry_after="1")
    with embedding_server(lambda number, texts: limited if number == 0 else None) as server:
        began = time.monotonic()
        api(server.address).encode(TEXTS)
        assert time.monotonic() - began >= 1.0
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "asked"), [(refusal(401, "bad key " + KEY), 1), (refusal(500, TEXTS[0]), 4)]
)
def test_what_does_not_pass_is_told_without_texts_and_keys(
    answer: tuple[int, bytes, dict[str, str]],
    asked: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG), embedding_server(lambda number, texts: answer) as server:
        with pytest.raises(EmbeddingApiError) as raised:
            api(server.address).encode(TEXTS)
        assert len(server.requests) == asked
    told = str(raised.value)
    assert MODEL in told and "embedding_api_key" in told and str(answer[0]) in told
    printed = capfd.readouterr()
    for secret in (KEY, TEXTS[0], TEXTS[-1]):
        assert secret not in told + caplog.text + printed.out + printed.err
    assert raised.value.__cause__ is None and raised.value.__context__ is None
    assert KEY not in repr(api(server.address)) + repr(Embeddings("litellm:x", api_key=KEY))


def test_a_server_that_is_not_there_is_an_error_with_a_remedy() -> None:
    with pytest.raises(EmbeddingApiError, match=r"connection.*Nothing was written"):
        api("http://127.0.0.1:9/v1", tries=2).encode(TEXTS)


def test_one_batch_that_fails_fails_all() -> None:
    broken = refusal(400, "too long")
    with (
        embedding_server(lambda number, texts: broken if "text 150" in texts else None) as server,
        pytest.raises(EmbeddingApiError, match="400"),
    ):
        api(server.address).encode([f"text {number}" for number in range(300)])


def embeddings(address: str) -> Embeddings:
    return Embeddings(f"litellm:{MODEL}", api_base=address, api_key=KEY)


def test_a_space_of_an_api_has_the_dimensions_of_the_first_answer_and_survives_the_lake() -> None:
    said = ["Where is order 12345678?", "hello", "Where is order 999-111?", "12 34", "où est mon colis"]
    with embedding_server(dimensions=40) as server:
        space = embeddings(server.address).fit([f"tell me about topic {word}" for word in ("a", "b", "c")])
        vectors = space.embed(said)
        back = embeddings(server.address).restore(space.name, space.embedder, space.payload())
        assert (back.embed(said) == vectors).all()
        assert space.embed([]).shape == (0, 40)
    assert isinstance(back, EncoderSpace) and back.fitted_on == 3
    assert space.embedder == f"litellm:{MODEL}" and space.name.startswith(f"litellm:{MODEL}/40/")
    assert np.allclose(np.linalg.norm(vectors.astype(float)[[0, 1, 2, 4]], axis=1), 1, atol=2e-3)
    assert (vectors[0] == vectors[2]).all(), "slot values are masked before anything is sent"
    sent = [text for request in server.requests for text in request["input"]]
    assert not any(digit in text for text in sent for digit in ("12345678", "999-111"))
    assert KEY.encode() not in space.payload()


def test_a_model_that_changed_its_dimensions_is_told_and_gives_nothing() -> None:
    with embedding_server(dimensions=40) as server:
        space = embeddings(server.address).fit(["where is my parcel", "reset the password"])
        server.dimensions = 41
        with pytest.raises(RuntimeError, match=r"41 dimensions where .* has 40"):
            space.embed(["where is my parcel"])


def test_litellm_is_imported_without_calling_home() -> None:
    program = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('something called home')\n"
        "socket.getaddrinfo = refuse\n"
        "socket.socket.connect = refuse\n"
        "from insights_pipeline.llm import embeddings\n"
        "import sys; assert 'litellm' not in sys.modules\n"
        "embeddings.litellm()\n"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cost map" not in done.stderr


def test_white_space_for_ever_is_no_answer_in_time() -> None:
    with endpoint(lambda _: Reply(dribble=0.02)) as running:
        asked = EmbeddingApi(MODEL, api_base=running.url, api_key=KEY, tries=2, pause_s=0.01, timeout_s=0.3)
        with pytest.raises(EmbeddingApiError, match="timeout"):
            asked.encode(TEXTS)
        assert running.calls == 2


SECRETS = ("bob@example.com", "+49 30 1234567", "ghp_abcdefghijklmnopqrstuvwxyzabcdefghij", "quokka")


def redacting() -> Redactor:
    return Redactor(("email", "phone", "card", "key", "ip"), patterns={"animal": "Quokka"})


def test_what_an_api_is_sent_is_redacted_each_text_on_its_own() -> None:
    said = [*SECRETS[:3], "tell Quokka where my parcel is", "where is my parcel", "the key is " + SECRETS[2]]
    with embedding_server() as server:
        made = Embeddings(f"litellm:{MODEL}", api_base=server.address, api_key=KEY, redact=redacting())
        space = made.fit(said)
        vectors = space.embed(said)
        back = made.restore(space.name, space.embedder, space.payload())
        assert (back.embed(said) == vectors).all()
        alone = np.concatenate([space.embed([text]) for text in said])
    assert (alone == vectors).all() and vectors.any(axis=1).all()
    sent = [text for request in server.requests for text in request["input"]]
    assert not [text for text in sent for secret in SECRETS if secret in text]
    assert "tell [animal] where my parcel is" in sent and "where is my parcel" in sent
    assert SECRETS[0] in space.core(said)[0], "what stays on this machine is read as it is"


@pytest.mark.parametrize("setting", ["wordllama", "tfidf"])
def test_a_space_on_this_machine_sees_the_texts_as_they_are(setting: str) -> None:
    said = [f"tell Quokka where parcel {word} is" for word in ("one", "two", "three")]
    plain, redacted = Embeddings(setting).fit(said), Embeddings(setting, redact=redacting()).fit(said)
    assert redacted.name == plain.name
    assert (redacted.embed(said) == plain.embed(said)).all()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("INSIGHTS_EMBEDDING", "wordllama"), ("INSIGHTS_EMBEDDING", f"litellm:{MODEL}")],
)
def test_settings_redact_what_leaves_the_machine(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(setting, value)
    monkeypatch.setenv("INSIGHTS_REDACT_PATTERNS", '{"animal": "Quokka"}')
    settings.cache_clear()
    try:
        redact = wiring.embeddings().redact  # also where a stored space of an API is still in use
    finally:
        settings.cache_clear()
    assert redact is not None
    assert redact("Quokka bob@example.com 10.20.30.40") == "[ANIMAL] [EMAIL] [IP]"


@pytest.mark.parametrize("value", [1e39, -1e300, float("inf")])
def test_a_number_beyond_single_precision_is_no_vector(value: float) -> None:
    with (
        embedding_server(lambda number, texts: answer_with([[value, 1.0]] * len(texts))) as server,
        pytest.raises(EmbeddingApiError, match="one vector a text"),
    ):
        api(server.address, tries=1).encode(TEXTS)


@pytest.mark.parametrize(("value", "length"), [(3e38, 1.0), (1e-38, 1.0), (0.0, 0.0), (1e-300, 0.0)])
def test_huge_and_tiny_vectors_become_unit_vectors_and_nothing_stays_nothing(
    value: float, length: float
) -> None:
    with embedding_server(lambda number, texts: answer_with([[value] * 24] * len(texts))) as server:
        space = embeddings(server.address).fit(["where is my parcel", "reset the password"])
        vectors = space.embed(["where is my parcel"])
    assert np.linalg.norm(vectors.astype(float)) == pytest.approx(length, abs=2e-3)
