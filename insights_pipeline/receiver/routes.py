"""Which path takes what: the endpoints that the SDKs append to the address they are given."""

from __future__ import annotations

from typing import NamedTuple

from insights_pipeline.receiver.shape import LOGS, TRACES

METRICS = "otlp.metrics"  # answered and ignored: some SDKs always send them
# Netra under /telemetry, Langfuse, LangSmith with and without the path its cloud has
_OTLP_PREFIXES = ("", "/telemetry", "/api/public/otel", "/otel", "/api/v1/otel")
_LANGSMITH_PREFIXES = ("", "/api/v1")


class Intake(NamedTuple):
    """A path (of Starlette) that takes bodies of one kind."""

    path: str
    kind: str
    methods: tuple[str, ...] = ("POST",)


def intakes() -> list[Intake]:
    found = [
        Intake(f"{prefix}/v1/{signal}", kind)
        for prefix in _OTLP_PREFIXES
        for signal, kind in (("traces", TRACES), ("logs", LOGS), ("metrics", METRICS))
    ]
    for prefix in _LANGSMITH_PREFIXES:
        found += [
            Intake(f"{prefix}/runs/multipart", "langsmith.multipart"),
            Intake(f"{prefix}/runs/batch", "langsmith.batch"),
            Intake(f"{prefix}/runs", "langsmith.run"),
            Intake(f"{prefix}/runs/{{run_id}}", "langsmith.run", ("PATCH",)),
            Intake(f"{prefix}/feedback", "langsmith.feedback"),
        ]
    return [
        *found,
        Intake("/api/public/ingestion", "langfuse.ingestion"),
        Intake("/api/public/scores", "langfuse.scores"),
    ]


INFO_PATHS = tuple(f"{prefix}/info" for prefix in _LANGSMITH_PREFIXES)
