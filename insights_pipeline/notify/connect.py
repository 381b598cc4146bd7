"""Connections to addresses that were checked before, ended at a time, whatever the other side does."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore


class Checked(httpcore.NetworkBackend):
    """Connects to one of `addresses`, whatever the URL's host resolves to by now; nothing lasts past `until`.

    `until` is of the monotonic clock. `refused` is why a certificate was not accepted, in OpenSSL's own words.
    """

    def __init__(self, addresses: Sequence[str], until: float) -> None:
        self._addresses = addresses
        self._until = until
        self._sockets = httpcore.SyncBackend()
        self.refused: str | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        last: Exception = httpcore.ConnectError()
        for number, address in enumerate(self._addresses):
            # an address that swallows packets must leave time for the others
            patience = left(self._until) / (len(self._addresses) - number)
            try:
                stream = self._sockets.connect_tcp(address, port, timeout=patience)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
                continue
            return _Bounded(stream, self)
        raise last

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise httpcore.UnsupportedProtocol("no message goes to a local socket")

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, left(self._until)))

    @property
    def until(self) -> float:
        return self._until


class _Bounded(httpcore.NetworkStream):
    """A stream of which each operation may take what is left of the time."""

    def __init__(self, stream: httpcore.NetworkStream, owner: Checked) -> None:
        self._stream = stream
        self._owner = owner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=left(self._owner.until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=left(self._owner.until))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, timeout=left(self._owner.until))
        except httpcore.ConnectError as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ssl.SSLCertVerificationError):
                self._owner.refused = cause.verify_message.rstrip(".")
            raise
        return _Bounded(stream, self._owner)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def left(until: float) -> float:
    """Seconds until a time of the monotonic clock. Raises ReadTimeout when it has come: zero would mean for ever."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout
    return seconds
