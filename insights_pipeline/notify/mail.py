"""Mail by SMTP, protected and verified; the same message always has the same Message-ID."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from insights_pipeline.notify.contact_points import Email
from insights_pipeline.notify.errors import ContactPointError, DeliveryError
from insights_pipeline.notify.message import Message
from insights_pipeline.notify.outbound import Outbound
from insights_pipeline.notify.smtp import Smtp

_ENVELOPE_LIMIT = 10_000_000  # bytes; mail servers begin to refuse at ten megabytes


def send_mail(point: Email, message: Message, config: Outbound) -> None:
    """Send one mail to all addresses of the point.

    An address that is refused for good does not keep the others from getting it, but it is told as an error. One that
    is refused for now means that nothing is sent yet. Raises DeliveryError; without a mail server ContactPointError.
    """
    if config.smtp is None:
        raise ContactPointError("mail needs a server: set INSIGHTS_SMTP_URL")
    body = mail_of(point, message, config.smtp.sender).as_bytes()
    if len(body) > _ENVELOPE_LIMIT:
        raise DeliveryError("the message is too large for mail", retriable=False)
    server = config.smtp
    try:
        with _connected(server, config) as smtp:
            _log_in(smtp, server)
            _hand_over(smtp, server.sender, point.to, body)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        raise DeliveryError(
            f"the certificate of {server.where} is not valid: {why}", retriable=False
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise DeliveryError(
            f"{server.where} cannot do what is needed (STARTTLS, or the log-in): use smtps://, or, in a network that "
            "you trust, smtp+plain://",
            retriable=False,
        ) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(server, error.smtp_code) from None
    except (smtplib.SMTPException, OSError, EOFError):
        raise DeliveryError(
            f"{server.where} cannot be reached, or ended the connection before it took the mail",
            retriable=True,
        ) from None


def mail_of(point: Email, message: Message, sender: str) -> EmailMessage:
    """The mail: text, and the page beside it where there is one."""
    mail = EmailMessage(policy=SMTP)
    digest = hashlib.sha256(message.key.encode()).hexdigest()[:40]
    mail["Message-ID"] = f"<{digest}@{sender.rpartition('@')[2]}>"
    mail["Date"] = formatdate()
    mail["From"] = sender
    mail["To"] = ", ".join(point.to)
    mail["Subject"] = message.title
    mail["Auto-Submitted"] = "auto-generated"  # nobody's holiday note answers it
    # quoted-printable: lines stay short and ASCII, whatever a trace holds
    mail.set_content(_utf8(message.text), cte="quoted-printable")
    if message.html is not None:
        mail.add_alternative(_utf8(message.html), subtype="html", cte="quoted-printable")
    return mail


@contextmanager
def _connected(server: Smtp, config: Outbound) -> Iterator[smtplib.SMTP]:
    """A connection that is protected as it must be, and cut when the time for the whole delivery is over."""
    context = None if server.protection == "plain" else config.context()
    smtp: smtplib.SMTP
    if server.protection == "tls":
        smtp = smtplib.SMTP_SSL(timeout=config.seconds, context=context)
    else:
        smtp = smtplib.SMTP(timeout=config.seconds)
    smtp._host = server.host  # type: ignore[attr-defined]  # the name that the certificate must hold
    done = threading.Event()
    threading.Thread(target=_cut, args=(smtp, config.seconds, done), daemon=True).start()
    try:
        code, _ = smtp.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPResponseException(code, b"")
        smtp.ehlo_or_helo_if_needed()
        if context is not None and server.protection == "starttls":
            code, _ = smtp.starttls(context=context)
            if code != 220:
                raise smtplib.SMTPResponseException(code, b"")
            smtp.ehlo()
        yield smtp
    finally:
        done.set()
        smtp.close()


def _cut(smtp: smtplib.SMTP, seconds: float, done: threading.Event) -> None:
    """End a connection whose other side sends a byte now and then, which no time-out of a socket notices."""
    patience = seconds
    while not done.wait(patience):
        patience = 0.2  # there may be no connection yet, or one that TLS is about to replace
        if smtp.sock is not None:
            with suppress(OSError):  # it ended by itself just now
                smtp.sock.shutdown(socket.SHUT_RDWR)


def _log_in(smtp: smtplib.SMTP, server: Smtp) -> None:
    if server.user is None or server.password is None:
        return
    try:
        smtp.login(server.user, server.password)
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(
            f"{server.where} does not take user and password ({error.smtp_code})",
            retriable=error.smtp_code < 500,
        ) from None
    except UnicodeEncodeError:
        raise DeliveryError("user or password of INSIGHTS_SMTP_URL is not ASCII", retriable=False) from None


def _hand_over(smtp: smtplib.SMTP, sender: str, to: tuple[str, ...], body: bytes) -> None:
    _expect(smtp.mail(sender))
    codes = {address: smtp.rcpt(address)[0] for address in to}
    for code in codes.values():
        if not 200 <= code < 300 and code < 500:
            raise smtplib.SMTPResponseException(code, b"")
    refused = [address for address, code in codes.items() if code >= 500]
    if len(refused) == len(to):
        raise smtplib.SMTPResponseException(codes[refused[0]], b"")
    _expect(smtp.data(body))
    with suppress(smtplib.SMTPException, OSError):  # it has the mail
        smtp.docmd("QUIT")
    if refused:
        raise DeliveryError(
            f"sent, but not to {', '.join(refused)}: the mail server refuses "
            f"{'it' if len(refused) == 1 else 'them'} ({codes[refused[0]]})",
            retriable=False,
        )


def _expect(answer: tuple[int, bytes]) -> None:
    if not 200 <= answer[0] < 300:
        raise smtplib.SMTPResponseException(answer[0], b"")


def _refused(server: Smtp, code: int) -> DeliveryError:
    """4xx is "not now"; -1 is an answer that is none. What the server says besides may name users: it is not shown."""
    if code < 500:
        return DeliveryError(f"{server.where} does not take the mail for now ({code})", retriable=True)
    return DeliveryError(
        f"{server.where} refuses the mail ({code}): check the sender, the addresses and whether it wants a log-in",
        retriable=False,
    )


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
