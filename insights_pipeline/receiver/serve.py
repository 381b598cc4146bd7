"""`serve`: the whole receiver in one process, its drain in another, from the lock on the folder to a clean end."""

from __future__ import annotations

import fcntl
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from insights_pipeline.receiver.app import create_app
from insights_pipeline.receiver.auth import check_binding
from insights_pipeline.receiver.child import DrainChild
from insights_pipeline.receiver.config import ReceiverConfig
from insights_pipeline.receiver.intake import Door
from insights_pipeline.receiver.limits import Limits
from insights_pipeline.receiver.metrics import Meters
from insights_pipeline.receiver.segments import SegmentWriter
from insights_pipeline.receiver.writer import GroupWriter

_MAX_HEAD_BYTES = 2**20  # generous: what is counted may hold a piece of an earlier body
_MAX_CONNECTIONS = 2_000  # beyond them uvicorn answers 503 by itself


class Addresses(NamedTuple):
    """Where it listens now: URLs without a path, and HOST:PORT of gRPC."""

    http: str
    grpc: str | None


@contextmanager
def receiving(config: ReceiverConfig) -> Iterator[Door]:
    """A door with its writer and meters, alone in its folder. Raises ValueError when another receiver has it."""
    with _locked(config):
        meters = Meters()
        writer = GroupWriter(SegmentWriter(config.folder), on_sync=meters.on_sync)
        limits = Limits(config, writer)
        meters.watch(limits, writer)
        door = Door(config, writer, limits=limits, meters=meters)
        try:
            yield door
        finally:
            door.close()
            writer.close()


def serve(config: ReceiverConfig, *, on_ready: Callable[[Addresses], None] | None = None) -> None:
    """Receive until SIGTERM or SIGINT; returns when requests, log and (within limits) the drain are finished.

    Raises ValueError for a binding without keys, a port that is taken, or a folder that another receiver has.
    """
    check_binding(config)
    with _bound(config) as sock, receiving(config) as door:
        child = DrainChild(_drain_options(config)) if config.with_drain else None
        app = create_app(config, door.writer, door=door, drain_trouble=child.trouble if child else None)
        grpc_server, grpc_port = _grpc(config, door)
        if child:
            child.start()
        addresses = Addresses(
            f"http://{_in_url(config.host)}:{sock.getsockname()[1]}",
            f"{_in_url(config.host)}:{grpc_port}" if grpc_server else None,
        )
        server = http_server(config, app, on_ready=lambda: on_ready(addresses) if on_ready else None)
        try:
            server.run(sockets=[sock])
        finally:
            if grpc_server:
                grpc_server.stop(config.stop_seconds).wait()
            if child:
                child.stop(config.drain_stop_seconds)


def _grpc(config: ReceiverConfig, door: Door) -> tuple[Any, int]:
    if config.grpc_port is None:
        return None, 0
    from insights_pipeline.receiver.grpc import start_grpc

    return start_grpc(config, door)


def http_server(config: ReceiverConfig, app: ASGIApp, *, on_ready: Callable[[], None]) -> uvicorn.Server:
    """The HTTP server, not yet running; `on_ready` is called when it listens."""
    return _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=_Http,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=int(config.stop_seconds),
        ),
        on_ready,
    )


class _Http(HttpToolsProtocol):
    """uvicorn's protocol, which would keep a head of any size in memory, with a limit to it."""

    _in_head = True
    _head_bytes = 0

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > _MAX_HEAD_BYTES:
            self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal ends the server in order; unlike uvicorn's own handler it is not raised again afterwards."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _drain_options(config: ReceiverConfig) -> dict[str, Any]:
    finish = max(1.0, config.drain_stop_seconds - 5)
    fixed = {"folder": str(config.folder.absolute()), "max_body_bytes": config.max_body_bytes}
    return {"finish_seconds": finish, **config.drain, **fixed}


@contextmanager
def _locked(config: ReceiverConfig) -> Iterator[None]:
    config.folder.mkdir(parents=True, exist_ok=True)
    with (config.folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another receiver runs in {config.folder}: stop it, or give this one a folder of its own"
            ) from None
        yield


@contextmanager
def _bound(config: ReceiverConfig) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        sock = socket.create_server((config.host, config.port), family=family, backlog=2048)
    except OSError as error:
        raise ValueError(
            f"cannot listen on {_in_url(config.host)}:{config.port} ({error.strerror}); give another --port"
        ) from None
    with sock:
        yield sock


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
