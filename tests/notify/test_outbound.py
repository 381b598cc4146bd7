"""Where messages may go: 60 addresses and spellings of them, at set-up, when connecting, and when the name moves."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.notify import (
    ContactPointError,
    DeliveryError,
    Message,
    Outbound,
    Slack,
    Webhook,
    check,
    send,
)
from insights_pipeline.notify.addresses import is_public
from insights_pipeline.notify.connect import Checked
from insights_pipeline.notify.outbound import addresses_of, target_of
from tests.notify.http_server import serving

MESSAGE = Message("k", "s", "t")


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "233.252.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3ffe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_addresses_that_are_not_public_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "52.89.1.2", "::ffff:1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"],
)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "LOCALHOST",
        "localhost.",
    ],
)
def test_no_spelling_of_a_private_address_is_called(host: str) -> None:
    target = target_of(f"https://{host}/x", Outbound())
    with pytest.raises(DeliveryError) as raised:
        addresses_of(target)
    private = "not public" in raised.value.reason and not raised.value.retriable
    assert private or "resolved" in raised.value.reason


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/", "not https"),
        ("ftp://example.org/", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
        ("example.org/x", "must begin with https"),
        ("https:///x", "must begin with https"),
        ("https://user:hunter2@example.org/", "user or password"),
        ("https://hunter2@example.org/", "user or password"),
        ("https://example.org\\@127.0.0.1/hunter2", "blank or a character"),
        ("https://example.org/a b", "blank or a character"),
        ("https://example.org/\r\nX: y", "blank or a character"),
        ("https://exämple.org/", "blank or a character"),
        ("https://example.org:99999/hunter2", "no URL"),
        ("https://example.org:80x/hunter2", "no URL"),
        ("https://[::1/hunter2", "no URL"),
        ("https://ex%61mple.org/", "not a plain ASCII name"),
        ("https://a..b/", "not a plain ASCII name"),
        ("https://-/", "not a plain ASCII name"),
        ("https://example.org/" + "a" * 5_000, "too long"),
        ("", "must begin with https"),
    ],
)
def test_a_url_that_may_not_be_called_is_said_without_its_secret(url: str, said: str) -> None:
    with pytest.raises(ContactPointError, match=said) as raised:
        target_of(url, Outbound())
    assert "hunter2" not in str(raised.value)


@given(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(r"https?://[a-zA-Z0-9@:\[\].%\\_-]{1,30}[/?#\\]?[!-~]{0,20}", fullmatch=True),
    )
)
def test_whatever_is_accepted_is_read_alike_by_another_reader_of_urls(url: str) -> None:
    try:
        target = target_of(url, Outbound())
    except ContactPointError:
        return
    other = httpx.URL(url)
    assert target.scheme == other.scheme == "https" and "@" not in target.host
    assert target.host.strip("[]") == other.host.lower() and target.port == (other.port or 443)


def test_slack_goes_to_slack_only_unless_another_host_is_allowed() -> None:
    point = Slack("ops", "https://hooks.slack.com.evil.example/services/hunter2")
    with pytest.raises(DeliveryError, match=r"not hooks\.slack\.com or hooks.slack-gov.com") as raised:
        send(point, MESSAGE, Outbound())
    assert not raised.value.retriable and "hunter2" not in str(raised.value)
    allowed = Outbound(hosts=("Chat.Internal:8443",))
    assert target_of("http://chat.internal:8443/h", allowed, only=("hooks.slack.com",)).allowed
    assert target_of("https://hooks.slack.com/services/x", Outbound(), only=("hooks.slack.com",)).port == 443


def test_a_host_is_allowed_on_its_port_or_on_all() -> None:
    for entry, url, allowed in (
        ("h.internal", "http://h.internal:81/", True),
        ("h.internal:81", "http://h.internal:81/", True),
        ("h.internal:80", "http://h.internal/", True),
        ("[::1]:81", "http://[::1]:81/", True),
    ):
        assert target_of(url, Outbound(hosts=(entry,))).allowed is allowed
    for entry, url in (("h.internal:81", "http://h.internal/"), ("internal", "http://h.internal/")):
        with pytest.raises(ContactPointError, match="not https"):
            target_of(url, Outbound(hosts=(entry,)))


Answers = list[list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What the name server answers, one list of addresses a question; the last is repeated."""
    answers: Answers = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


def test_a_name_with_one_private_address_among_public_ones_is_not_called(names: Answers) -> None:
    names.append(["1.1.1.1", "10.0.0.7"])
    with pytest.raises(DeliveryError, match=r"hook\.example has an address that is not public"):
        send(Webhook("hook", "https://hook.example/x"), MESSAGE, Outbound())


def test_the_connection_goes_to_the_address_that_was_checked(
    names: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers otherwise the second time is not asked a second time."""
    names.extend([["93.184.216.34"], ["127.0.0.1"]])
    dialled: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(DeliveryError, match="cannot be reached"):
        send(Webhook("hook", "https://hook.example/x"), MESSAGE, Outbound())
    assert dialled == [("93.184.216.34", 443)] and names == [["127.0.0.1"]]


def test_an_address_that_refuses_leaves_it_to_the_next_whatever_the_name_says() -> None:
    with serving() as server:
        backend = Checked(["127.0.0.2", "127.0.0.1"], time.monotonic() + 5)
        backend.connect_tcp("elsewhere.example", server.port).close()


def test_a_check_sends_nothing() -> None:
    with serving() as server:
        config = Outbound(hosts=("127.0.0.1",))
        assert check(Webhook("hook", f"{server.url}/hunter2"), config) == f"127.0.0.1:{server.port}"
    assert server.connections == 0
    with pytest.raises(ContactPointError, match=r"contact point hook: .* not https"):
        check(Webhook("hook", "http://example.org/"), config)
    with pytest.raises(
        DeliveryError, match="contact point hook: localhost has an address that is not public"
    ):
        check(Webhook("hook", "https://localhost/"), config)
