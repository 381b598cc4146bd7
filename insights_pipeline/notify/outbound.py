"""The one HTTP client for messages: to public https addresses only, unless a host was allowed.

Every address of a name is checked, and the connection is made to a checked one, so a second answer of the name server
changes nothing. Redirects are not followed, no proxy or cookie is used, and time and size of an answer are bounded.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from insights_pipeline.notify.addresses import is_public
from insights_pipeline.notify.errors import ContactPointError, DeliveryError

if TYPE_CHECKING:
    from insights_pipeline.notify.smtp import Smtp

_LONGEST_URL = 4_096
_LONGEST_ANSWER = 64 * 1024
_LONGEST_RETRY_AFTER = 86_400.0
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?|\[[0-9a-f:.]{2,45}\]")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Outbound:
    """How messages leave this machine.

    `hosts` may be called though they are private or not https: `name` on any port, `name:port` on that one.
    `seconds` bounds one delivery as a whole. `tls` verifies certificates; default: the usual authorities, or those
    of SSL_CERT_FILE.
    """

    smtp: Smtp | None = None
    hosts: tuple[str, ...] = ()
    seconds: float = 20.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def allows(self, host: str, port: int) -> bool:
        wanted = {host, f"{host}:{port}"}
        return any(entry.strip().lower() in wanted for entry in self.hosts)

    def context(self) -> ssl.SSLContext:
        """What verifies certificates and the names in them."""
        if self.tls is not None:
            return self.tls
        import httpx

        return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL, in parts, so that nothing reads it a second time in another way. The path may be a secret."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    allowed: bool = False

    @property
    def where(self) -> str:
        """What may be shown: the host, and the port where it is not the usual one."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status of an answer, of an error the first 64 KiB, and for how many seconds it asks not to be called again."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None


def target_of(url: str, config: Outbound, *, only: Iterable[str] = ()) -> Target:
    """The URL in parts. Raises ContactPointError where it may not be called, and shows no more of it than the host.

    `only` are the hosts that it may name unless others are allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ContactPointError("its address is no URL") from None
    if len(url) > _LONGEST_URL or any(not "!" <= char <= "~" for char in url) or "\\" in url:
        raise ContactPointError("its URL is too long, or holds a blank or a character that must be escaped")
    if parts.scheme not in _PORTS or not parts.netloc:
        raise ContactPointError("its URL must begin with https://")
    if "@" in parts.netloc:
        raise ContactPointError("its URL must not hold a user or password: use a header for them")
    authority = parts.netloc.lower()
    host = authority[: authority.index("]") + 1] if authority.startswith("[") else authority.partition(":")[0]
    if not _HOST.fullmatch(host) or ".." in host or authority not in (host, f"{host}:{port}"):
        raise ContactPointError("the host of its URL is not a plain ASCII name or address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(path):
        raise ContactPointError("the path of its URL holds a character that must be escaped")
    target = Target(parts.scheme, host, port or _PORTS[parts.scheme], path)
    if config.allows(host, target.port):
        return Target(target.scheme, host, target.port, path, allowed=True)
    if only and host not in only:
        raise ContactPointError(
            f"{target.where} is not {' or '.join(only)}: allow it in INSIGHTS_OUTBOUND_HOSTS, or use another kind"
        )
    if parts.scheme != "https":
        raise ContactPointError(f"{target.where} is not https: allow it in INSIGHTS_OUTBOUND_HOSTS")
    return target


def addresses_of(target: Target) -> list[str]:
    """The addresses of the host, all of them checked. Raises DeliveryError."""
    try:
        found = socket.getaddrinfo(target.host.strip("[]"), target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise DeliveryError(
            f"the name {target.host} cannot be resolved: is it right, and is there a network?", retriable=True
        ) from None
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not target.allowed and not all(is_public(address) for address in addresses):
        raise DeliveryError(
            f"{target.host} has an address that is not public: if it is yours, allow {target.where} in "
            "INSIGHTS_OUTBOUND_HOSTS",
            retriable=False,
        )
    return addresses


def post(target: Target, body: bytes, headers: Mapping[str, str], config: Outbound) -> Answer:
    """POST JSON; whatever answers is given, a redirect too. Raises DeliveryError where nothing did."""
    import httpcore

    from insights_pipeline.notify.connect import Checked

    for name in ("httpx", "httpcore"):  # at lower levels they write addresses and headers down
        logging.getLogger(name).setLevel(logging.WARNING)
    until = time.monotonic() + config.seconds
    backend = Checked(addresses_of(target), until)
    sent = [
        ("Host", target.where),
        ("User-Agent", "insights-pipeline"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        *headers.items(),
    ]
    url = httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.host.strip("[]").encode(),
        port=target.port,
        target=target.path.encode(),
    )
    context = config.context() if target.scheme == "https" else None
    try:
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
            pool.stream(b"POST", url, headers=sent, content=body) as response,
        ):
            # what is said beside a success is not waited for: it is one, and sending again would be a second message
            body = _beginning(response.iter_stream()) if response.status >= 400 else b""
            return Answer(response.status, body, _retry_after(response.headers))
    except httpcore.TimeoutException:
        raise DeliveryError(
            f"{target.where} did not answer within {config.seconds:g} s", retriable=True
        ) from None
    except httpcore.ConnectError:
        raise _unconnected(target, backend.refused) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError):
        raise DeliveryError(
            f"{target.where} closed the connection without an answer", retriable=True
        ) from None


def _unconnected(target: Target, refused: str | None) -> DeliveryError:
    if refused is not None:
        return DeliveryError(f"the certificate of {target.where} is not valid: {refused}", retriable=False)
    return DeliveryError(f"{target.where} cannot be reached", retriable=True)


def _beginning(chunks: Iterable[bytes]) -> bytes:
    """What there is of the first 64 KiB: the status has said it all, so a body that never ends changes nothing."""
    import httpcore

    found = b""
    try:
        for chunk in chunks:
            found += chunk
            if len(found) >= _LONGEST_ANSWER:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass
    return found[:_LONGEST_ANSWER]


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Retry-After in seconds, given as such or as a date; None where it is absent or makes no sense."""
    text = next(
        (value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"), ""
    ).strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), _LONGEST_RETRY_AFTER)
