"""One request from its first byte to its acknowledgement: key, encoding, size, room, shape, disk."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from insights_pipeline.receiver import replies
from insights_pipeline.receiver.auth import REMEDY, KeyRing, is_foreign_page
from insights_pipeline.receiver.config import IngestKey, ReceiverConfig
from insights_pipeline.receiver.encodings import (
    ENCODINGS,
    DamagedError,
    TooLargeError,
    encoding_of,
    unpack,
)
from insights_pipeline.receiver.framing import MAX_REFUSED_BYTES
from insights_pipeline.receiver.limits import Limits, OverloadedError
from insights_pipeline.receiver.metrics import Meters
from insights_pipeline.receiver.routes import METRICS, Intake
from insights_pipeline.receiver.segments import Entry, refused
from insights_pipeline.receiver.shape import LOGS, TRACES, Verdict, look
from insights_pipeline.receiver.writer import GroupWriter, NotWrittenError

_log = logging.getLogger(__name__)
_OTLP = (TRACES, LOGS, METRICS)
_INLINE_BYTES = 256 * 1024
_INLINE_COMPRESSED_BYTES = 32 * 1024  # may be a thousand times as much when unpacked
# Stored beside a body: what readers need and what tells the sender apart. Never credentials.
_KEPT_HEADERS = (
    "content-encoding",
    "user-agent",
    "langsmith-project",
    "x-langfuse-sdk-name",
    "x-langfuse-sdk-version",
)
_MAX_HEADER_CHARS = 300
_PROTOBUF_TYPES = ("application/x-protobuf", "application/protobuf")
_LEFT = 499  # the client went away before its body was complete


class RefusedError(Exception):
    """An answer other than success: its status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Door:
    """Takes bodies in. Also used by the gRPC server, which has its own transport."""

    def __init__(
        self, config: ReceiverConfig, writer: GroupWriter, *, limits: Limits, meters: Meters
    ) -> None:
        self.config = config
        self.writer = writer
        self.limits = limits
        self.meters = meters
        self.keys = KeyRing(config.keys)
        self._pool = ThreadPoolExecutor(2, "body")

    def close(self) -> None:
        self._pool.shutdown()

    async def answer(self, intake: Intake, request: Request) -> Response:
        """The reply to any request of an intake; nothing that a body holds makes it anything but 2xx or 4xx."""
        began = time.perf_counter()
        otlp = _otlp_encoding(intake.kind, request.headers)
        try:
            response = await self._take(intake, request, as_json=otlp == "json")
        except RefusedError as error:
            response = replies.error(error.status, str(error), otlp=otlp)
        except (OverloadedError, NotWrittenError) as error:
            response = replies.error(503, f"{error}; send again", otlp=otlp)
        except ClientDisconnect:
            response = Response(status_code=_LEFT)
        except Exception as error:  # noqa: BLE001 – 500 makes exporters drop the batch; no text of the body is logged
            where = "".join(traceback.format_tb(error.__traceback__)[-3:])
            _log.error("%s in %s\n%s", type(error).__name__, intake.kind, where)
            response = replies.error(503, "an unexpected failure; see the receiver's log", otlp=otlp)
        if response.status_code >= 400 and request.headers.get("connection", "").lower() == "close":
            await _throw_away(request, self.config.max_body_bytes)  # a closed socket would hide the answer
        self.meters.requests.labels(intake.kind, str(response.status_code)).inc()
        if response.status_code < 300 and intake.kind != METRICS:
            self.meters.acknowledged.labels(intake.kind).observe(time.perf_counter() - began)
        return response

    async def _take(self, intake: Intake, request: Request, *, as_json: bool) -> Response:
        key = self._holder(request.headers)
        content_type = _clean(request.headers.get("content-type", ""))
        encoding = _checked_encoding(intake.kind, content_type, request.headers)
        if intake.kind == METRICS:
            return replies.otlp_accepted(METRICS, Verdict(0), as_json=as_json)
        expected = self._expected(request.headers)
        self.limits.check(expected)
        reserved = _Reserved(self.limits)
        try:
            body = await self._body(request, reserved)
            verdict = await self._judge(intake.kind, body, encoding, content_type, key)
            headers = _kept(request)
            entry = Entry(
                intake.kind, time.time_ns(), content_type, headers, key.environment, key.tenant, body
            )
            await self.writer.write(entry)
        finally:
            reserved.release()
        self.count(intake.kind, len(body), verdict)
        return _accepted(intake.kind, verdict, as_json=as_json)

    def count(self, kind: str, size: int, verdict: Verdict) -> None:
        """Meter an acknowledged body."""
        self.meters.bytes.labels(kind).inc(size)
        if verdict.good:
            self.meters.items.labels(kind, "readable").inc(verdict.good)
        if verdict.bad:
            self.meters.items.labels(kind, "unreadable").inc(verdict.bad)

    def _holder(self, headers: Mapping[str, str]) -> IngestKey:
        key = self.keys.holder(headers)
        if key is None:
            raise RefusedError(401, f"no valid ingest key. {REMEDY}")
        if not self.keys and is_foreign_page(headers):
            raise RefusedError(403, "a web page of another site may not send here without an ingest key")
        return key

    def _expected(self, headers: Mapping[str, str]) -> int:
        text = headers.get("content-length", "")
        if not text:
            return 0
        if not text.isdecimal() or len(text) > 18:
            raise RefusedError(400, "the content length is no number")
        if int(text) > self.config.max_body_bytes:
            raise self._too_large()
        return int(text)

    async def _body(self, request: Request, reserved: _Reserved) -> bytes:
        """The body as sent. Each piece is counted as it arrives: a promise of bytes takes no room from others."""
        pieces: list[bytes] = []
        stream = request.stream()
        try:
            while True:
                async with asyncio.timeout(self.config.body_timeout_seconds):
                    piece = await anext(stream, None)
                if piece is None:
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
                if piece:
                    reserved.grow(len(piece))
                    pieces.append(piece)
                if reserved.size > self.config.max_body_bytes:
                    raise self._too_large()
        except TimeoutError:
            seconds = self.config.body_timeout_seconds
            raise RefusedError(408, f"nothing more of the body arrived for {seconds:.0f} s") from None

    async def _judge(
        self, kind: str, body: bytes, encoding: str, content_type: str, key: IngestKey
    ) -> Verdict:
        """Raises RefusedError for a body of which nothing can be read; its beginning is kept for `rejects`."""
        limit = _INLINE_BYTES if encoding == "identity" else _INLINE_COMPRESSED_BYTES
        if len(body) <= limit:
            verdict = self.verdict(kind, body, encoding, content_type)
        else:
            loop = asyncio.get_running_loop()
            verdict = await loop.run_in_executor(self._pool, self.verdict, kind, body, encoding, content_type)
        if verdict.is_refused:
            await self.writer.write(refusal(verdict, body, kind, key))
            raise RefusedError(400, f"{verdict.reason}. {verdict.remedy}")
        return verdict

    def verdict(self, kind: str, body: bytes, encoding: str, content_type: str) -> Verdict:
        """What can be read of a body. Raises RefusedError (413) when it unpacks to too much."""
        config = self.config
        try:
            unpacked = unpack(body, encoding, max_bytes=config.max_body_bytes, keep_bytes=config.check_bytes)
        except TooLargeError:
            raise self._too_large(" after decompression") from None
        except DamagedError as error:
            return Verdict(0, 1, str(error), "Send the body whole, compressed as content-encoding says.")
        verdict = look(kind, unpacked.content, content_type)
        return (
            verdict._replace(start=(unpacked.content or b"")[:MAX_REFUSED_BYTES])
            if verdict.is_refused
            else verdict
        )

    def _too_large(self, when: str = "") -> RefusedError:
        limit = self.config.max_body_bytes
        return RefusedError(413, f"a body of more than {limit:,} bytes{when}; send smaller batches")


class _Reserved:
    """The bytes that one request holds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.size = 0

    def grow(self, size: int) -> None:
        self._limits.grow(size)
        self.size += size

    def release(self) -> None:
        self._limits.shrink(self.size)
        self.size = 0


def refusal(verdict: Verdict, body: bytes, kind: str, key: IngestKey) -> Entry:
    """What is kept of a body that nothing could be read of."""
    return refused(
        verdict.start or body,
        reason=f"{kind}: {verdict.reason}",
        remedy=verdict.remedy,
        received_ns=time.time_ns(),
        environment=key.environment,
        tenant=key.tenant,
    )


def _otlp_encoding(kind: str, headers: Mapping[str, str]) -> str:
    if kind not in _OTLP:
        return ""
    return "json" if "json" in headers.get("content-type", "").lower() else "protobuf"


def _checked_encoding(kind: str, content_type: str, headers: Mapping[str, str]) -> str:
    """The content encoding. Raises RefusedError (415) for one, or a content type, that nobody here reads."""
    encoding = encoding_of(headers.get("content-encoding", ""))
    if encoding is None:
        raise RefusedError(415, f"unknown content-encoding; use {', '.join(ENCODINGS)}")
    media = content_type.partition(";")[0].strip().lower()
    if kind in _OTLP and media != replies.JSON and media not in _PROTOBUF_TYPES:
        raise RefusedError(415, f"the content type must be {replies.PROTOBUF} or {replies.JSON}")
    if kind == "langsmith.multipart" and media != "multipart/form-data":
        raise RefusedError(415, "the content type must be multipart/form-data")
    return encoding


def _kept(request: Request) -> dict[str, str]:
    found = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
    found["method"] = request.method
    if run_id := request.path_params.get("run_id"):
        found["run-id"] = str(run_id)
    return {name: _clean(value) for name, value in found.items()}


def _clean(text: str) -> str:
    return text[:_MAX_HEADER_CHARS].encode("utf-8", "replace").decode()


def _accepted(kind: str, verdict: Verdict, *, as_json: bool) -> Response:
    if kind in _OTLP:
        return replies.otlp_accepted(kind, verdict, as_json=as_json)
    if kind == "langfuse.ingestion":
        return replies.langfuse_ingestion(verdict.ids)
    if kind == "langfuse.scores":
        return replies.langfuse_scores(verdict.ids, is_list=verdict.is_list)
    return replies.json_reply({"message": "accepted"}, 202)


async def _throw_away(request: Request, max_bytes: int) -> None:
    size = 0
    try:
        async with asyncio.timeout(5):
            async for piece in request.stream():
                size += len(piece)
                if size > max_bytes:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: the stream was read already
        return
