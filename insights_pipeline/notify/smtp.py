"""The mail server: where, how the connection is protected, and who sends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from insights_pipeline.notify.contact_points import checked_address
from insights_pipeline.notify.errors import ContactPointError

_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
_PROTECTION: dict[str, Literal["starttls", "tls", "plain"]] = {
    "smtp": "starttls",
    "smtps": "tls",
    "smtp+plain": "plain",
}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?\.?|[0-9a-f:.]*:[0-9a-f:.]*")
_FORM = (
    "write smtp://USER:PASSWORD@HOST:587, smtps://… or, without TLS, smtp+plain://…, and in user and password / ? # @ "
    "as %2F %3F %23 %40"
)


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server. `starttls` and `tls` verify its certificate; `plain` protects nothing."""

    host: str
    port: int
    protection: Literal["starttls", "tls", "plain"]
    sender: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str, *, sender: str | None = None) -> Smtp:
        """From `smtp://USER:PASSWORD@HOST:PORT` (user and password percent-encoded); the sender's default is the user.

        Raises ContactPointError, which shows nothing of the URL.
        """
        try:
            parts = urlsplit(url.strip())
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise ContactPointError(f"INSIGHTS_SMTP_URL is no URL: {_FORM}") from None
        if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
            raise ContactPointError(f"INSIGHTS_SMTP_URL is no address of a mail server: {_FORM}")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            # most often a character of the password that ends the host's part: / ? #
            raise ContactPointError(f"INSIGHTS_SMTP_URL holds more than a server: {_FORM}")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if any(not char.isprintable() for char in f"{user or ''}{password or ''}"):
            raise ContactPointError("INSIGHTS_SMTP_URL: user or password holds a control character")
        if sender is None and (user is None or "@" not in user):
            raise ContactPointError(
                "INSIGHTS_SMTP_FROM is needed: the user of INSIGHTS_SMTP_URL is no mail address"
            )
        return cls(
            host,
            port or _PORTS[parts.scheme],
            _PROTECTION[parts.scheme],
            checked_address(sender or user or "", "INSIGHTS_SMTP_FROM"),
            user,
            password,
        )

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"
