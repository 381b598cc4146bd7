"""Mail to a real server: protected, verified, logged in, refused, dropped."""

from __future__ import annotations

import socket
import ssl
import threading
import traceback

import pytest
import trustme

from insights_pipeline.notify import ContactPointError, DeliveryError, Email, Message, Outbound, Smtp, send
from tests.notify.mail_server import MailServer, Manners, certificate, mail_server, trusting

# of the test server, about its own set-up
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
MESSAGE = Message("brief:daily:2026-03-02", "2 changes", "Line – one\nLine two\n.\n", html="<p>Ünïcode</p>")
TEAM = Email("team", ("ana@example.org", "bo@example.org"))
SECRET = "hunter2/#?@:"
QUOTED = "hunter2%2F%23%3F%40%3A"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def config(url: str, server: MailServer | int, known: ssl.SSLContext | None = None) -> Outbound:
    port = server if isinstance(server, int) else server.port
    smtp = Smtp.from_url(url.replace("PORT", str(port)), sender="insights@corp.example")
    return Outbound(smtp=smtp, tls=known, seconds=5.0)


def refusal(outbound: Outbound, point: Email = TEAM) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(point, MESSAGE, outbound)
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(outbound)
    assert "hunter2" not in shown
    return raised.value


def test_a_mail_has_text_and_page_and_the_same_id_each_time(authority: trustme.CA) -> None:
    with mail_server(starttls=certificate(authority, "localhost")) as server:
        for _ in range(2):
            send(TEAM, MESSAGE, config("smtp://localhost:PORT", server, trusting(authority)))
    first, second = server.mails
    assert first["Message-ID"] == second["Message-ID"] and first["Message-ID"].endswith("@corp.example>")
    assert (first["From"], first["To"]) == ("insights@corp.example", "ana@example.org, bo@example.org")
    assert first["Subject"] == "2 changes" and first["Auto-Submitted"] == "auto-generated" and first["Date"]
    assert [part.get_content_type() for part in first.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    text, page = first.iter_parts()
    assert text.get_content().splitlines() == MESSAGE.text.splitlines()
    assert page.get_content().strip() == MESSAGE.html
    assert server.envelopes[0].rcpt_tos == list(TEAM.to)
    content = server.envelopes[0].content
    assert isinstance(content, bytes) and content.isascii() and max(map(len, content.splitlines())) < 80


def test_the_log_in_goes_over_starttls_with_what_the_url_says(authority: trustme.CA) -> None:
    with mail_server(
        starttls=certificate(authority, "localhost"), login=("ana@corp.example", SECRET)
    ) as server:
        url = f"smtp://ana%40corp.example:{QUOTED}@localhost:PORT"
        send(TEAM, MESSAGE, config(url, server, trusting(authority)))
    assert server.logins == [(b"ana@corp.example", SECRET.encode(), True)] and len(server.mails) == 1


def test_smtps_is_protected_from_the_first_byte(authority: trustme.CA) -> None:
    with mail_server(tls=certificate(authority, "localhost")) as server:
        send(TEAM, MESSAGE, config("smtps://localhost:PORT", server, trusting(authority)))
    assert len(server.mails) == 1


def test_without_tls_a_mail_goes_out_only_where_the_url_says_so() -> None:
    with mail_server() as server:
        send(TEAM, MESSAGE, config("smtp+plain://localhost:PORT", server))
        error = refusal(config(f"smtp://u:{QUOTED}@localhost:PORT", server))
    assert len(server.mails) == 1 and server.logins == []
    assert not error.retriable and "STARTTLS" in error.reason and "smtp+plain" in error.reason


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_of_another_host_or_authority_gets_no_password(
    authority: trustme.CA, scheme: str
) -> None:
    for name, known in (("example.org", trusting(authority)), ("localhost", trusting())):
        context = certificate(authority, name)
        kind = {"starttls": context} if scheme == "smtp" else {"tls": context}
        with mail_server(**kind, login=("u", SECRET)) as server:  # type: ignore[arg-type]
            error = refusal(config(f"{scheme}://u:{QUOTED}@localhost:PORT", server, known))
        assert not error.retriable and "certificate of localhost" in error.reason
        assert server.logins == [] and server.mails == []


def test_a_wrong_password_is_said_and_not_tried_again(authority: trustme.CA) -> None:
    with mail_server(starttls=certificate(authority, "localhost"), login=("u", "right")) as server:
        error = refusal(config(f"smtp://u:{QUOTED}@localhost:PORT", server, trusting(authority)))
    assert not error.retriable and "does not take user and password (535)" in error.reason


def test_a_server_that_wants_a_log_in_says_so() -> None:
    with mail_server(login=("u", "right")) as server:
        error = refusal(config("smtp+plain://localhost:PORT", server))
    assert not error.retriable and "wants a log-in" in error.reason


PLAIN = "smtp+plain://localhost:PORT"


@pytest.mark.parametrize(
    ("manners", "retriable", "code"),
    [
        (Manners(mail="451 later hunter2"), True, "(451)"),
        (Manners(mail="550 never hunter2"), False, "(550)"),
        (Manners(data="452 full"), True, "(452)"),
        (Manners(data="421 shutting down"), True, "(421)"),
        (Manners(data="554 spam"), False, "(554)"),
        (Manners(recipients=dict.fromkeys(TEAM.to, "550 unknown")), False, "(550)"),
        (Manners(recipients={"bo@example.org": "450 greylisted"}), True, "(450)"),
    ],
)
def test_4xx_is_tried_again_and_5xx_is_not(manners: Manners, retriable: bool, code: str) -> None:
    with mail_server(manners) as server:
        error = refusal(config(PLAIN, server))
    assert error.retriable is retriable and code in error.reason


def test_one_refused_address_does_not_keep_the_mail_from_the_others() -> None:
    with mail_server(Manners(recipients={"bo@example.org": "550 unknown"})) as server:
        error = refusal(config(PLAIN, server))
    assert server.envelopes[0].rcpt_tos == ["ana@example.org"]
    assert not error.retriable and error.reason.startswith("sent, but not to bo@example.org")


def test_an_address_refused_for_now_means_that_nobody_gets_it_twice() -> None:
    with mail_server(Manners(recipients={"bo@example.org": "450 later"})) as server:
        assert refusal(config(PLAIN, server)).retriable
    assert server.mails == []


def test_a_connection_dropped_after_the_mail_was_sent_is_tried_again() -> None:
    with mail_server(Manners(drop=True)) as server:
        error = refusal(config(PLAIN, server))
    assert len(server.mails) == 1
    assert error.retriable and "ended the connection" in error.reason


def test_nobody_listening_is_tried_again() -> None:
    with mail_server() as server:
        pass
    error = refusal(config(PLAIN, server))
    assert error.retriable and "cannot be reached" in error.reason


def test_a_server_that_sends_a_byte_now_and_then_costs_a_bounded_time() -> None:
    listener = socket.create_server(("localhost", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while not over.wait(0.05):
                    connection.sendall(b"2")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        smtp = Smtp.from_url(f"smtp://localhost:{listener.getsockname()[1]}", sender="a@b.example")
        assert refusal(Outbound(smtp=smtp, seconds=0.7)).retriable
    finally:
        over.set()
        thread.join(10)
        listener.close()


@pytest.mark.parametrize(
    "subject", ["a\r\nBcc: eve@evil.example", "a\nb", "a\x00\u2028b", "x" * 5_000, "Ü " * 300]
)
def test_no_subject_becomes_a_header_of_its_own(subject: str) -> None:
    with mail_server() as server:
        send(TEAM, Message("k", subject, "text"), config(PLAIN, server))
    [mail] = server.mails
    assert mail["Bcc"] is None and server.envelopes[0].rcpt_tos == list(TEAM.to)
    assert len(mail["Subject"]) <= 200 and mail["To"] == "ana@example.org, bo@example.org"
    assert mail.get_content_type() == "text/plain"


@pytest.mark.parametrize(
    "address",
    [
        "a@b\r\nBcc: c@d",
        "a@b>",
        "<a@b>",
        "Ana <a@b>",
        "a b@c",
        "a@b, c@d",
        "a@@b",
        "a@",
        "@b",
        "é@b.example",
        'a"b@c',
        "a@b ",
        "",
        "a" * 300 + "@b",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(ContactPointError, match=r"contact point team: .* is not a plain mail address"):
        Email("team", (address,))
    with pytest.raises(ContactPointError, match="INSIGHTS_SMTP_FROM"):
        Smtp.from_url("smtp://h", sender=address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("smtp://u:hunter2/x@h.example", "%2F"),
        ("smtp://u:hunter2#x@h.example", "%2F"),
        ("smtp://u:hunter2@h.example?x", "%2F"),
        ("mail://u:hunter2@h", "no address of a mail server"),
        ("u:hunter2@h", "no address of a mail server"),
        ("smtp://u:hunter2@h:port", "no URL"),
        ("smtp://u:hunter2@", "no address of a mail server"),
        ("smtp://u:hunter2%0d%0aQUIT@h.example", "control character"),
        ("smtp://u:hunter2@h.example", "INSIGHTS_SMTP_FROM is needed"),
    ],
)
def test_a_wrong_server_url_is_said_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ContactPointError, match=said) as raised:
        Smtp.from_url(url)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_ports_sender_and_host_are_read_off_the_url() -> None:
    for scheme, port, protection in (
        ("smtp", 587, "starttls"),
        ("smtps", 465, "tls"),
        ("smtp+plain", 25, "plain"),
    ):
        smtp = Smtp.from_url(f"{scheme}://ana%40corp.example:hunter2@mail.example")
        assert (smtp.port, smtp.protection, smtp.sender) == (port, protection, "ana@corp.example")
        assert "hunter2" not in repr(smtp) and smtp.where == f"mail.example:{port}"


def test_mail_without_a_server_says_what_to_set() -> None:
    with pytest.raises(DeliveryError, match="set INSIGHTS_SMTP_URL") as raised:
        send(TEAM, MESSAGE, Outbound())
    assert not raised.value.retriable
