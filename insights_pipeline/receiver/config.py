"""What a receiver is told: where it listens, what it lets in, and where the drain brings it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MIB = 2**20


@dataclass(frozen=True, slots=True)
class IngestKey:
    """A secret that lets its holder send; what it sends is marked with `environment` and `tenant` where given.

    `name` is what logs and metrics may show.
    """

    key: str = field(repr=False)
    name: str = ""
    environment: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverConfig:
    """Everything `serve` needs. Sizes in bytes or MiB as named, times in seconds."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 4318
    grpc_port: int | None = None
    keys: tuple[IngestKey, ...] = ()
    max_body_bytes: int = 64 * MIB  # as sent, and again after decompression
    # Larger bodies are not decoded at the door: the smallest objects take 70 times their bytes. A full batch has 3 MiB.
    check_bytes: int = 4 * MIB
    in_flight_bytes: int = 256 * MIB
    queue_bytes: int = 128 * MIB
    max_backlog_mb: int = 8192
    min_free_mb: int = 256
    body_timeout_seconds: float = 30.0  # between two pieces of a body
    stop_seconds: float = 20.0  # for requests under way
    with_drain: bool = True
    drain_stop_seconds: float = 30.0  # for the backlog
    drain: dict[str, Any] = field(default_factory=dict, repr=False)  # the drain's own options, as JSON values

    def __post_init__(self) -> None:
        for key in self.keys:
            if len(key.key) < 8:
                raise ValueError("an ingest key has fewer than 8 characters; use a long random one")
