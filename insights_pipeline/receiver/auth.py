"""Who may send: ingest keys, as each SDK presents them, and what holds without any key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from insights_pipeline.receiver.config import IngestKey, ReceiverConfig

REMEDY = (
    "Send an ingest key of this receiver as 'Authorization: Bearer KEY', 'x-api-key: KEY' or the password of Basic "
    "authorization (Langfuse: the secret key)."
)
OPEN = IngestKey(key="", name="")


class KeyRing:
    """The keys as hashes. Comparing takes the same time whichever key is near, and whether one is."""

    def __init__(self, keys: Sequence[IngestKey]) -> None:
        self._keys = [(_hash(key.key), key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def holder(self, headers: Mapping[str, str]) -> IngestKey | None:
        """The key a request presents, `OPEN` when none is configured, None when it presents no valid one."""
        if not self._keys:
            return OPEN
        found: IngestKey | None = None
        for candidate in presented(headers):
            hashed = _hash(candidate)
            for known, key in self._keys:
                if hmac.compare_digest(hashed, known) and found is None:
                    found = key
        return found


def presented(headers: Mapping[str, str]) -> list[str]:
    """The secrets a request shows, at most three. The URL is never looked at: URLs end up in logs."""
    found = [headers.get("x-api-key", "")]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        found.append(value)
    elif scheme.lower() == "basic":
        try:
            user, _, password = (
                base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")
            )
        except (binascii.Error, ValueError):
            user = password = ""
        found += [password, user]
    return [text for text in found if text]


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_binding(config: ReceiverConfig) -> None:
    """Raises ValueError when the receiver would take traces from the network from anybody."""
    if not config.keys and not is_loopback(config.host):
        raise ValueError(
            f"{config.host} can be reached from the network, and no ingest key is set: anybody could send. "
            "Set ingest keys, or listen on 127.0.0.1."
        )


def is_foreign_page(headers: Mapping[str, str]) -> bool:
    """Whether a web page of another site makes this request with somebody's browser.

    Without keys the loopback address is the only protection, and a page may post to it.
    """
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        return True
    return not is_loopback(host)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
