"""The receiver as a Starlette application."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from insights_pipeline.receiver import metrics, replies
from insights_pipeline.receiver.auth import REMEDY, is_loopback
from insights_pipeline.receiver.config import ReceiverConfig
from insights_pipeline.receiver.intake import Door
from insights_pipeline.receiver.routes import INFO_PATHS, Intake, intakes
from insights_pipeline.receiver.writer import GroupWriter

Endpoint = Callable[[Request], Awaitable[Response]]
_SLASHES = re.compile(r"//+")


def create_app(
    config: ReceiverConfig,
    writer: GroupWriter,
    *,
    door: Door,
    drain_trouble: Callable[[], str | None] | None = None,
) -> ASGIApp:
    """All routes of the receiver.

    `drain_trouble` tells what is wrong with the drain; None when this receiver has none. /healthz and /readyz are open
    to all; /metrics wants an ingest key, where keys are set, unless the request comes from this machine. Through a
    proxy on this machine every request does: let the proxy keep /metrics to itself.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reasons = metrics.not_ready(door.limits, writer, drain_trouble=drain_trouble)
        return PlainTextResponse(
            "".join(f"{text}\n" for text in reasons) or "ready\n", 503 if reasons else 200
        )

    async def meters(request: Request) -> Response:
        is_near = request.client is not None and is_loopback(request.client.host)
        if not is_near and door.keys.holder(request.headers) is None:
            return _unauthorized()
        return Response(door.meters.text(), headers={"content-type": metrics.CONTENT_TYPE})

    async def info(_: Request) -> Response:
        return replies.langsmith_info(max_body_bytes=config.max_body_bytes)

    async def health(_: Request) -> Response:
        return replies.langfuse_health()

    async def projects(request: Request) -> Response:
        if door.keys.holder(request.headers) is None:
            return _unauthorized()
        return replies.langfuse_projects()

    routes = [Route(item.path, _endpoint(door, item), methods=list(item.methods)) for item in intakes()]
    routes += [Route(path, info, methods=["GET"]) for path in INFO_PATHS]
    routes += [
        Route("/api/public/health", health, methods=["GET"]),
        Route("/api/public/projects", projects, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", meters, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    return _with_plain_paths(app)


def _endpoint(door: Door, intake: Intake) -> Endpoint:
    async def take(request: Request) -> Response:
        return await door.answer(intake, request)

    return take


def _unauthorized() -> Response:
    return replies.error(401, f"no valid ingest key. {REMEDY}")


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 503
    remedies = {
        404: "nothing is received here; OTLP goes to /v1/traces",
        405: "this path does not take this method",
    }
    return replies.error(status, remedies.get(status, "the request cannot be served"))


def _with_plain_paths(app: ASGIApp) -> ASGIApp:
    """An address configured with a slash at its end makes `//v1/traces`, which is meant as `/v1/traces`."""

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = _SLASHES.sub("/", scope["path"])
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await app(scope, receive, send)

    return plain
