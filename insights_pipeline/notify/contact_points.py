"""Who can be told: a Slack channel, an HTTPS endpoint, mail addresses. What is secret of them is never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from insights_pipeline.notify.errors import ContactPointError

# One plain address, without a display name, quotes or comments: nothing in it can end a header or an SMTP command.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_LONGEST_ADDRESS = 254  # RFC 5321
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,4094}[\x21-\x7e])?")
# Set by the client itself; with a second one the request could be read in two ways.
_OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "user-agent",
        "idempotency-key",
    }
)


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook of Slack. The whole path of its URL is a secret."""

    name: str
    url: str = field(repr=False)

    kind = "slack"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that takes a POST of JSON, with headers of its own (say, Authorization).

    Raises ContactPointError for a header that is not one, or that the client must set itself.
    """

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    kind = "webhook"

    def __post_init__(self) -> None:
        for header, value in self.headers.items():
            shown = repr(header[:100])
            if not _HEADER.fullmatch(header):
                raise ContactPointError(f"contact point {self.name}: {shown} cannot be the name of a header")
            if header.lower() in _OWN_HEADERS:
                raise ContactPointError(f"contact point {self.name}: the header {shown} cannot be set")
            if not _HEADER_VALUE.fullmatch(value):
                raise ContactPointError(
                    f"contact point {self.name}: the value of the header {shown} must be one line of ASCII"
                )
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))


@dataclass(frozen=True, slots=True)
class Email:
    """Addresses that get one mail together. Raises ContactPointError for what is no plain address."""

    name: str
    to: tuple[str, ...]

    kind = "email"

    def __post_init__(self) -> None:
        if not self.to:
            raise ContactPointError(f"contact point {self.name}: no address to send to")
        for address in self.to:
            checked_address(address, f"contact point {self.name}")


ContactPoint = Slack | Webhook | Email


def checked_address(address: str, what: str) -> str:
    """A plain mail address as it is. Raises ContactPointError, which names `what`."""
    if len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise ContactPointError(
            f"{what}: {address[:100]!r} is not a plain mail address (name@host, ASCII, no display name)"
        )
    return address
