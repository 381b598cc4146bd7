"""A real mail server whose manners are set: TLS or none, log-in or none, and what it answers to each step."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Manners:
    """Answers by step; `drop` ends the connection once the mail has been sent to it."""

    mail: str = ""
    recipients: dict[str, str] = field(default_factory=dict)
    data: str = "250 OK"
    drop: bool = False


@dataclass
class MailServer:
    port: int
    manners: Manners
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[bytes, bytes, bool]] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one.content or b"", policy=default) for one in self.envelopes]  # type: ignore[arg-type, misc]


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self.server = server

    async def handle_MAIL(  # noqa: N802
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.server.manners.mail or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.server.manners.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.server.envelopes.append(envelope)
        if self.server.manners.drop:
            assert smtp.transport is not None
            smtp.transport.abort()
        return self.server.manners.data


class _AnyPort(Controller):
    """On a port that the system chose, which the controller would look for on port 0."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        super()._trigger_server()


@contextmanager
def mail_server(
    manners: Manners | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[MailServer]:
    """A server on a free port of localhost; `login` is the only user and password it takes."""
    server = MailServer(0, manners or Manners())

    def authenticate(
        smtp: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        server.logins.append((data.login, data.password, smtp._tls_protocol is not None or tls is not None))
        wanted = tuple(part.encode() for part in login or ())
        return AuthResult(success=(data.login, data.password) == wanted, handled=False)

    controller = _AnyPort(
        _Handler(server),
        hostname="localhost",
        port=0,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        auth_required=login is not None,
        auth_require_tls=starttls is not None,
        authenticator=authenticate if login else None,
    )
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()


def certificate(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    """What verifies certificates, of these authorities only."""
    context = ssl.create_default_context()
    for one in authorities:
        one.configure_trust(context)
    return context
