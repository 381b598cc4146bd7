"""Why a message did not arrive.

Reasons are written here, never taken from a library: the text of an HTTP exception holds the address it called, and the
address of a Slack webhook is its password.
"""

from __future__ import annotations


class ContactPointError(ValueError):
    """A contact point, or what it is sent through, is set up wrongly; the message says where, without any secret."""


class DeliveryError(Exception):
    """The message was not taken. `retriable`: the same may succeed later; `retry_after`: not before, in seconds."""

    def __init__(self, reason: str, *, retriable: bool, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retriable = retriable
        self.retry_after = retry_after
