"""Slack and webhooks against a real server that answers, fails, stalls and lies."""

from __future__ import annotations

import logging
import ssl
import traceback

import pytest
import trustme

from insights_pipeline.notify import DeliveryError, Message, Outbound, Slack, Webhook, send
from tests.notify.http_server import Script, Server, response, serving

CANARY = "T000/B000/hunter2secret"
MESSAGE = Message("brief:daily:2026-03-02", "2 changes", "text", blocks=[{"type": "divider"}], data={"a": 1})


def outbound(server: Server, seconds: float = 5.0, tls: ssl.SSLContext | None = None) -> Outbound:
    return Outbound(hosts=(f"127.0.0.1:{server.port}",), seconds=seconds, tls=tls)


def slack(server: Server) -> Slack:
    return Slack("ops", f"{server.url}/services/{CANARY}")


def failure(script: Script, *, seconds: float = 5.0) -> DeliveryError:
    with serving(script) as server:
        with pytest.raises(DeliveryError) as raised:
            send(slack(server), MESSAGE, outbound(server, seconds))
        assert server.connections == 1  # who repeats is the ledger, not the client
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert "hunter2" not in shown and "/services" not in shown
    return raised.value


def test_slack_gets_blocks_and_the_text_beside_them() -> None:
    with serving() as server:
        send(slack(server), MESSAGE, outbound(server))
    [request] = server.requests
    assert request.line == f"POST /services/{CANARY} HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "text": "2 changes",
        "blocks": [{"type": "divider"}],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def test_a_webhook_gets_text_page_and_facts_with_its_headers_and_the_same_key_each_time() -> None:
    with serving(response(204)) as server:
        point = Webhook("hook", f"{server.url}/in?x=1", {"Authorization": "Bearer t"})
        for _ in range(2):
            send(point, MESSAGE, outbound(server))
    first, second = server.requests
    assert first.line == "POST /in?x=1 HTTP/1.1" and first.body == second.body
    assert first.headers["authorization"] == "Bearer t"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == MESSAGE.key
    assert first.json == {
        "key": MESSAGE.key,
        "subject": "2 changes",
        "text": "text",
        "html": None,
        "data": {"a": 1},
    }


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b"invalid_blocks", "cannot show the message's blocks"),
        (403, b"action_prohibited", "administrator"),
        (404, b"channel_not_found", "make a new webhook"),
        (404, b"no_service", "revoked or disabled"),
        (404, b"something new", "revoked"),
        (410, b"channel_is_archived", "archived: unarchive it"),
        (410, b"", "archived, or the webhook is gone"),
        (401, b"\xff\x00", "does not take the message"),
    ],
)
def test_what_slack_refuses_is_not_tried_again_and_the_remedy_is_said(
    status: int, body: bytes, said: str
) -> None:
    error = failure(response(status, body))
    assert not error.retriable and f"Slack answers {status}" in error.reason and said in error.reason
    assert "something new" not in error.reason  # only words of ours are shown


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    error = failure(response(status))
    assert error.retriable and error.retry_after is None and str(status) in error.reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("99999999", 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 86_400.0),
        ("-5", None),
        ("soon", None),
        ("9" * 50, None),
    ],
)
def test_retry_after_is_read_in_both_forms_within_bounds(value: str, seconds: float | None) -> None:
    assert failure(response(429, b"rate_limited", f"Retry-After: {value}")).retry_after == seconds


@pytest.mark.parametrize("script", ["reset", "no http", b""])
def test_a_connection_that_breaks_is_tried_again(script: Script) -> None:
    error = failure(script)
    assert error.retriable and "closed the connection" in error.reason


@pytest.mark.parametrize("script", ["silent", "trickling head"])
def test_a_server_that_never_finishes_its_answer_costs_a_bounded_time(script: Script) -> None:
    error = failure(script, seconds=0.6)
    assert error.retriable and "within 0.6 s" in error.reason


def test_an_error_whose_body_never_ends_is_what_its_status_says() -> None:
    error = failure("slow error body", seconds=0.6)
    assert not error.retriable and "404" in error.reason


def test_an_endless_body_is_cut() -> None:
    error = failure("huge body")
    assert not error.retriable and "400" in error.reason


def test_a_success_with_a_slow_body_is_one_and_not_sent_twice() -> None:
    with serving("slow body") as server:
        send(slack(server), MESSAGE, outbound(server))
    assert len(server.requests) == 1


def test_nobody_listening_is_tried_again() -> None:
    with serving() as server:
        pass
    with pytest.raises(DeliveryError, match="cannot be reached") as raised:
        send(slack(server), MESSAGE, outbound(server))
    assert raised.value.retriable


def test_a_redirect_is_not_followed() -> None:
    with serving() as inner, serving(response(302, b"", f"Location: {inner.url}/x")) as outer:
        config = Outbound(hosts=(f"127.0.0.1:{outer.port}", f"127.0.0.1:{inner.port}"))
        with pytest.raises(DeliveryError, match="it redirects, which is not followed") as raised:
            send(Webhook("hook", f"{outer.url}/a"), MESSAGE, config)
        assert inner.connections == 0 and not raised.value.retriable


def test_an_ipv6_address_is_called_as_it_is_written() -> None:
    with serving(host="::1") as server:
        config = Outbound(hosts=(f"[::1]:{server.port}",))
        send(Webhook("hook", f"http://[::1]:{server.port}/a"), MESSAGE, config)
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for one in authorities:
        one.configure_trust(context)
    return context


def test_over_tls_the_certificate_must_be_of_a_known_authority_and_of_the_host(authority: trustme.CA) -> None:
    def to(name: str, known: ssl.SSLContext) -> None:
        with serving(tls=server_side(authority, name)) as server:
            config = Outbound(hosts=(f"localhost:{server.port}",), tls=known)
            send(Webhook("hook", f"https://localhost:{server.port}/"), MESSAGE, config)

    to("localhost", trusting(authority))
    for name, known in (("localhost", trusting()), ("example.org", trusting(authority))):
        with pytest.raises(DeliveryError, match=r"certificate of localhost:.* is not valid: ") as raised:
            to(name, known)
        assert not raised.value.retriable


def test_no_log_at_any_level_holds_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11"):
        caplog.set_level(logging.DEBUG, logger=name)
    with serving() as server:
        point = Webhook("hook", f"{server.url}/{CANARY}", {"Authorization": "Bearer canary-token"})
        send(slack(server), MESSAGE, outbound(server))
        send(point, MESSAGE, outbound(server))
        server.script = response(404, b"no_service")
        with pytest.raises(DeliveryError):
            send(slack(server), MESSAGE, outbound(server))
    said = caplog.text + repr(slack(server)) + str(point) + repr(outbound(server))
    assert "hunter2" not in said and "canary-token" not in said


def test_a_text_of_strangers_mentions_nobody_and_makes_no_link() -> None:
    message = Message("k", "a <!channel> & <https://evil.example|b>", "x\ud800", blocks=None)
    with serving() as server:
        send(slack(server), message, outbound(server))
    sent = server.requests[0].json
    assert sent["text"].startswith("a &lt;!channel&gt; &amp; &lt;https://evil.example|b&gt;\nx")
    assert "blocks" not in sent and sent["unfurl_links"] is False


def test_more_blocks_than_slack_takes_are_cut() -> None:
    blocks = [{"type": "section", "text": {"type": "plain_text", "text": str(n)}} for n in range(60)]
    with serving() as server:
        send(slack(server), Message("k", "s", "t", blocks=blocks), outbound(server))
    assert server.requests[0].json["blocks"] == blocks[:50]
