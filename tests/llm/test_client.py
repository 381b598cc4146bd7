"""The client against a real local endpoint: what is retried, what is not, what it costs, what is never told."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from benchmarks.llm_endpoint import Endpoint, Reply, endpoint, failing
from insights_pipeline.llm import Budget, LlmClient, LlmConfig, LlmError, MemoryCache, Prompt
from insights_pipeline.llm.client import FAILURES_IN_A_ROW
from insights_pipeline.llm.errors import (
    BudgetSpentError,
    GivenUpError,
    MalformedError,
    RateLimitedError,
    RefusedError,
    RejectedError,
    ServerFailedError,
    TimedOutError,
    TruncatedError,
    UnreachableError,
)

KEY = "sk-canary-4f2a9c"
SECRET = "the-prompt-canary-77"
PROMPT = Prompt("test-1", "Answer in JSON.", f"What is six times seven? {SECRET}")
GOOD = Reply('{"value": 42}')


class Number(BaseModel):
    value: int


class Pauses(list[float]):
    """A sleep that notes how long it was asked for, and a clock that goes on by that."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return sum(self)


Asked = Callable[..., LlmClient]


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with endpoint(lambda _: GOOD) as running:
        yield running


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def client_of(server: Endpoint, pauses: Pauses) -> Asked:
    def made(**more: Any) -> LlmClient:
        options = {name: more.pop(name) for name in ("budget", "cache") if name in more}
        config = LlmConfig(
            more.pop("model", "openai/gpt-4.1-mini"),
            api_base=server.url,
            api_key=KEY,
            **{"timeout_s": 30.0, **more},
        )
        return LlmClient(config, sleep=pauses.sleep, clock=pauses.clock, **options)

    return made


def ask(client: LlmClient, prompt: Prompt = PROMPT) -> int:
    return client.complete(prompt, Number, max_tokens=100).value


def in_turn(*replies: Reply) -> Callable[[dict[str, Any]], Reply]:
    """These replies one after the other, the last for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    "text",
    [
        '{"value": 42}',
        '```json\n{"value": 42}\n```',
        'Here you are: {"value": "42"} – anything else?',
        'In set notation {x}, so {"note": 1} and then {"value": 42, "more": [1]}',
        '<think>{"value": 1} is wrong</think>{"value": 42}',
        '{"answer": {"value": 42}}',
    ],
)
def test_the_object_is_found_whatever_stands_around_it(text: str, server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: Reply(text)
    client = client_of()
    assert ask(client) == 42
    assert client.spent.calls == 1


def test_what_a_call_used_and_cost_is_counted(client_of: Asked) -> None:
    client = client_of()
    ask(client)
    spent = client.spent
    assert (spent.calls, spent.cached, spent.retries, spent.failures) == (1, 0, 0, {})
    assert spent.prompt_tokens > 10 and spent.completion_tokens > 0
    assert spent.usd == pytest.approx(4e-7 * spent.prompt_tokens + 1.6e-6 * spent.completion_tokens)


def test_the_price_of_an_unknown_model_is_not_nothing_but_unknown(client_of: Asked) -> None:
    client = client_of(model="openai/our-own")
    ask(client)
    assert client.spent.usd is None


def test_the_same_question_is_asked_once(server: Endpoint, client_of: Asked) -> None:
    cache = MemoryCache()
    ask(client_of(cache=cache))
    again = client_of(cache=cache)
    assert ask(again) == 42
    assert server.calls == 1
    assert (again.spent.calls, again.spent.cached, again.spent.usd) == (0, 1, 0.0)


@pytest.mark.parametrize("other", [{"model": "openai/gpt-4.1"}, {}])
def test_another_model_or_wording_is_another_question(
    other: dict[str, Any], server: Endpoint, client_of: Asked
) -> None:
    cache = MemoryCache()
    ask(client_of(cache=cache))
    changed = PROMPT if other else Prompt("test-2", PROMPT.system, PROMPT.user)
    ask(client_of(cache=cache, **other), changed)
    assert server.calls == 2


def test_a_kept_answer_of_another_shape_is_asked_for_again(server: Endpoint, client_of: Asked) -> None:
    class Always(MemoryCache):
        def get(self, key: str) -> str | None:
            return '{"old": 1}'

    assert ask(client_of(cache=Always())) == 42
    assert server.calls == 1


def test_the_wait_that_a_rate_limit_asks_for_is_kept(
    server: Endpoint, client_of: Asked, pauses: Pauses
) -> None:
    server.script = in_turn(failing(429, headers={"retry-after": "7"}), GOOD)
    client = client_of()
    assert ask(client) == 42
    assert len(pauses) == 1 and 7 <= pauses[0] < 8
    assert (client.spent.calls, client.spent.retries) == (2, 1)


def test_a_wait_beyond_patience_is_not_waited_for(server: Endpoint, client_of: Asked, pauses: Pauses) -> None:
    server.script = lambda _: failing(429, headers={"retry-after": "3600"})
    with pytest.raises(RateLimitedError):
        ask(client_of())
    assert pauses == []
    assert server.calls == 1


def test_pauses_grow_and_retries_end(server: Endpoint, client_of: Asked, pauses: Pauses) -> None:
    server.script = lambda _: failing(500)
    with pytest.raises(ServerFailedError):
        ask(client_of(max_retries=4))
    assert server.calls == 5
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failing(429), RateLimitedError),
        (failing(500), ServerFailedError),
        (failing(503), ServerFailedError),
        (failing(504), TimedOutError),
        (Reply(reset=True), UnreachableError),
        (Reply(body=b"<html>"), ServerFailedError),
        (Reply(body=b'{"choices": []}'), ServerFailedError),
    ],
)
def test_what_may_pass_is_tried_again(
    reply: Reply, error: type[LlmError], server: Endpoint, client_of: Asked
) -> None:
    server.script = lambda _: reply
    client = client_of(max_retries=2)
    with pytest.raises(error):
        ask(client)
    assert server.calls == 3
    assert client.spent.failures == {error.reason: 1}
    server.script = in_turn(reply, GOOD)
    assert ask(client) == 42


def test_no_answer_in_time_is_a_failure_that_may_have_cost(server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: Reply(delay=30)
    client = client_of(timeout_s=0.3, max_retries=1)
    with pytest.raises(TimedOutError):
        ask(client)
    assert server.calls == 2
    assert client.spent.completion_tokens == 200


def test_white_space_for_ever_is_no_answer_in_time(server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: Reply(dribble=0.02)
    with pytest.raises(TimedOutError):
        ask(client_of(timeout_s=0.5, max_retries=0))


def test_an_address_where_nobody_listens_is_unreachable(client_of: Asked, server: Endpoint) -> None:
    client = LlmClient(
        LlmConfig("openai/gpt-4.1-mini", api_base="http://127.0.0.1:9/v1", api_key=KEY, max_retries=0)
    )
    with pytest.raises(UnreachableError):
        ask(client)
    assert client.spent.tokens == 0


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_is_not_known_does_not_ask_twice(status: int, server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: failing(status)
    client = client_of()
    with pytest.raises(RejectedError, match=str(status)):
        ask(client)
    with pytest.raises(GivenUpError):
        ask(client)
    assert server.calls == 1


def test_a_server_that_knows_no_json_mode_is_asked_without_it(server: Endpoint, client_of: Asked) -> None:
    server.script = lambda request: failing(400) if "response_format" in request else GOOD
    client = client_of()
    assert ask(client) == 42
    assert ask(client, Prompt("test-1", "Answer in JSON.", "And seven times eight?")) == 42
    assert ["response_format" in request for request in server.requests] == [True, False, False]


def test_a_service_that_fails_again_and_again_is_given_up(server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: failing(500)
    client = client_of(max_retries=0)
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(ServerFailedError):
            ask(client)
    with pytest.raises(GivenUpError):
        ask(client)
    assert server.calls == FAILURES_IN_A_ROW
    assert client.spent.failures == {"given up": 1, "server error": FAILURES_IN_A_ROW}


def test_bad_answers_do_not_give_up_the_service(server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: Reply(None, refusal="no")
    client = client_of()
    for _ in range(2 * FAILURES_IN_A_ROW):
        with pytest.raises(RefusedError):
            ask(client)
    assert server.calls == 2 * FAILURES_IN_A_ROW


def test_a_malformed_answer_is_asked_for_once_more(server: Endpoint, client_of: Asked) -> None:
    server.script = in_turn(Reply('{"value": "many"}'), GOOD)
    client = client_of()
    assert ask(client) == 42
    assert client.spent.repairs == 1
    told = server.requests[1]["messages"]
    assert told[2] == {"role": "assistant", "content": '{"value": "many"}'}
    assert "value: int_parsing" in told[3]["content"]


@pytest.mark.parametrize(
    "text", ["no idea", '{"value": "many"}', "{" * 5_000, '{"value":' + "[" * 90_000, ""]
)
def test_a_model_that_stays_malformed_fails(text: str, server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: Reply(text)
    with pytest.raises(MalformedError):
        ask(client_of())
    assert server.calls == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply('{"value": 42}', finish_reason="content_filter"), RefusedError),
        (Reply(None, refusal="I cannot."), RefusedError),
    ],
)
def test_a_refusal_is_no_answer(
    reply: Reply, error: type[LlmError], server: Endpoint, client_of: Asked
) -> None:
    server.script = lambda _: reply
    client = client_of()
    with pytest.raises(error):
        ask(client)
    assert server.calls == 1
    assert client.spent.prompt_tokens > 0


def test_nothing_is_sent_that_could_exceed_the_tokens(server: Endpoint, client_of: Asked) -> None:
    with pytest.raises(BudgetSpentError):
        ask(client_of(budget=Budget(usd=None, tokens=110)))
    assert server.calls == 0


def test_the_budget_stops_a_run_before_it_is_exceeded(server: Endpoint, client_of: Asked) -> None:
    client = client_of(budget=Budget(usd=0.0005, tokens=None))
    asked = 0
    with pytest.raises(BudgetSpentError):
        for asked in range(1_000):
            ask(client, Prompt("test-1", "Answer in JSON.", f"What is {asked} times seven?"))
    assert 10 < asked < 1_000
    assert client.spent.usd is not None and 0.0003 < client.spent.usd <= 0.0005
    assert server.calls == asked


def test_where_no_price_is_known_tokens_are_the_limit(server: Endpoint, client_of: Asked) -> None:
    client = client_of(model="openai/our-own", budget=Budget(usd=0.0, tokens=1_000))
    ask(client)
    with pytest.raises(BudgetSpentError):
        for number in range(100):
            ask(client, Prompt("test-1", "Answer in JSON.", f"What is {number} times seven?"))
    assert client.spent.tokens <= 1_000


def test_a_service_that_tells_no_tokens_is_charged_the_most_it_may_have_used(
    server: Endpoint, client_of: Asked
) -> None:
    server.script = lambda _: Reply('{"value": 42}', usage=False)
    client = client_of()
    ask(client)
    assert client.spent.completion_tokens == 100
    assert client.spent.prompt_tokens > 20


def test_the_key_is_sent_and_without_one_a_local_server_is_shown_none(
    server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for key in (KEY, None):
        ask(LlmClient(LlmConfig("openai/gpt-4.1-mini", api_base=server.url, api_key=key)))
    assert server.keys == [f"Bearer {KEY}", "Bearer none"]


@pytest.mark.parametrize(
    "reply",
    [
        failing(401, f"Incorrect API key provided: {KEY}. You sent: {SECRET}"),
        failing(500, f"{KEY} {SECRET}"),
        failing(400, f"{KEY} {SECRET}"),
        Reply(f"{KEY} {SECRET}"),
        Reply(json.dumps({"value": f"{KEY} {SECRET}"})),
        Reply(None, refusal=f"{KEY} {SECRET}"),
        Reply(body=f"{KEY} {SECRET}".encode()),
        Reply(reset=True),
        GOOD,
    ],
)
def test_neither_key_nor_prompt_is_ever_told(
    reply: Reply,
    server: Endpoint,
    client_of: Asked,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script = lambda _: reply
    client = client_of(max_retries=1)
    told = [repr(client), repr(client.config), repr(PROMPT), repr(client.spent)]
    try:
        ask(client)
    except LlmError as error:
        chain: list[BaseException | None] = [error, error.__cause__, error.__context__]
        told += [repr(one) + "".join(traceback.format_exception(one)) for one in chain if one is not None]
        told += [str(error.args), str(vars(error))]
    gc.collect()
    captured = capfd.readouterr()
    told += [caplog.text, captured.out, captured.err]
    assert not [text for text in told if KEY in text or SECRET in text]


def test_a_model_that_thinks_beyond_the_room_it_has_is_given_more_for_the_rest_of_the_run(
    server: Endpoint, client_of: Asked
) -> None:
    server.script = lambda request: (
        GOOD if request["max_tokens"] >= 400 else Reply("", finish_reason="length")
    )
    client = client_of()
    assert ask(client) == 42
    assert ask(client, Prompt("test-1", "Answer in JSON.", "And seven times eight?")) == 42
    assert [request["max_tokens"] for request in server.requests] == [100, 400, 400]
    assert client.spent.failures == {} and client.spent.retries == 1


@pytest.mark.parametrize("wide", [Reply("{", finish_reason="length"), failing(400, "too many tokens")])
def test_a_model_whom_more_room_does_not_help_gets_it_once(
    wide: Reply, server: Endpoint, client_of: Asked
) -> None:
    server.script = lambda request: (
        wide if request["max_tokens"] > 100 else Reply('{"value": 42}', finish_reason="length")
    )
    client = client_of()
    for number in range(3):
        with pytest.raises(TruncatedError):
            ask(client, Prompt("test-1", "Answer in JSON.", f"What is {number} times seven?"))
    assert {request["max_tokens"] for request in server.requests[-2:]} == {100}
    assert client.spent.failures == {"truncated": 3}


def test_more_room_is_not_taken_where_the_budget_has_none(server: Endpoint, client_of: Asked) -> None:
    server.script = lambda _: Reply("{", finish_reason="length")
    with pytest.raises(TruncatedError):
        ask(client_of(budget=Budget(usd=None, tokens=400)))
    assert server.calls == 1


def test_an_answer_that_no_database_takes_is_kept_as_one_that_every_database_takes(
    server: Endpoint, client_of: Asked
) -> None:
    class Kept(MemoryCache):
        def put(self, key: str, value: str, **more: Any) -> None:
            assert "\x00" not in value and len(value.encode("utf-8")) < 1_000_000
            super().put(key, value, **more)

    server.script = lambda _: Reply('\ud800 \x00 {"value": 42}' + " \udc00" * 300_000)
    cache = Kept()
    assert ask(client_of(cache=cache)) == 42
    assert ask(client_of(cache=cache)) == 42
    assert server.calls == 1


def test_a_malformed_answer_with_half_characters_can_be_shown_again(
    server: Endpoint, client_of: Asked
) -> None:
    server.script = in_turn(Reply('\ud800 {"value": "many"}'), GOOD)
    assert ask(client_of()) == 42
    assert server.calls == 2


def test_what_is_wrong_is_told_of_the_whole_answer_and_not_of_an_object_inside_it(
    server: Endpoint, client_of: Asked
) -> None:
    server.script = in_turn(Reply('{"value": {"inner": {"more": 1}}}'), GOOD)
    ask(client_of())
    assert "value: int_type" in server.requests[1]["messages"][3]["content"]


def test_nothing_is_logged_and_no_environment_is_read_even_where_libraries_are_told_to(
    server: Endpoint,
) -> None:
    program = (
        "import os, sys\n"
        "from insights_pipeline.llm import Budget, LlmClient, LlmConfig, Prompt\n"
        "from pydantic import BaseModel\n"
        "class Number(BaseModel):\n    value: int\n"
        f"config = LlmConfig('openai/gpt-4.1-mini', api_base={server.url!r}, api_key={KEY!r})\n"
        f"got = LlmClient(config).complete(Prompt('t', 'Answer in JSON.', {SECRET!r}), Number, max_tokens=50)\n"
        "assert got.value == 42 and os.environ['LITELLM_MODE'] == 'PRODUCTION'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "LITELLM_LOG": "DEBUG", "OPENAI_LOG": "debug", "HTTPX_LOG_LEVEL": "debug"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
