"""`insights receive`: takes traces from running agents over HTTP and gRPC, and brings them into the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from insights_pipeline.cli.output import JSON, print_json

if TYPE_CHECKING:
    from insights_pipeline.receiver.config import ReceiverConfig
    from insights_pipeline.receiver.serve import Addresses
    from insights_pipeline.settings import Settings


def receive(
    host: str = typer.Option(
        "127.0.0.1", help="Address to listen on. Others than this machine's own need an ingest key."
    ),
    port: int = typer.Option(
        4318, min=0, max=65_535, help="Port of OTLP/HTTP, Langfuse and LangSmith; 0: any free."
    ),
    grpc_port: int | None = typer.Option(
        None,
        "--grpc-port",
        min=0,
        max=65_535,
        help="Port of OTLP/gRPC, usually 4317; without it there is no gRPC.",
    ),
    folder: Path | None = typer.Option(
        None, help="Where accepted bodies wait; default: the setting receiver_dir. One receiver a folder."
    ),
    no_drain: bool = typer.Option(
        False,
        "--no-drain",
        help="Only accept and keep; a later receiver on this folder brings it into the tables.",
    ),
    as_json: bool = JSON,
) -> None:
    """Receive traces from running agents: OTLP, Netra, Langfuse and LangSmith SDKs, without changing their code.

    What is acknowledged is on disk; it is in the tables some seconds later. Overload is answered 503, which SDKs retry.
    Stop it with Ctrl-C or SIGTERM: requests under way are finished and what was accepted is brought in.

    Keys that senders must show are in the setting ingest_keys (or INSIGHTS_INGEST_KEYS, INSIGHTS_INGEST_KEYS_FILE).

    Examples:

      insights receive

      insights receive --grpc-port 4317

      insights receive --port 0 --json               the addresses as JSON, once it listens

      INSIGHTS_INGEST_KEYS_FILE=/run/secrets/key insights receive --host 0.0.0.0
    """
    import logging

    from insights_pipeline.receiver.serve import serve
    from insights_pipeline.settings import settings

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = config_of(
        settings(), host=host, port=port, grpc_port=grpc_port, folder=folder, with_drain=not no_drain
    )
    serve(
        config,
        on_ready=lambda addresses: print_json(addresses._asdict()) if as_json else _tell(config, addresses),
    )


def config_of(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 4318,
    grpc_port: int | None = None,
    folder: Path | None = None,
    with_drain: bool = True,
) -> ReceiverConfig:
    """The receiver's configuration as the settings have it. Raises ValueError for redaction that cannot be done."""
    from insights_pipeline.receiver.config import IngestKey, ReceiverConfig
    from insights_pipeline.traces.redaction import redactor

    redactor(settings.redact, patterns=settings.redact_patterns, names_model=settings.redact_names_model)
    redaction = {
        "kinds": list(settings.redact),
        "patterns": dict(settings.redact_patterns),
        "names_model": settings.redact_names_model,
    }
    keys = tuple(
        IngestKey(key.key.get_secret_value(), name=name, environment=key.environment, tenant=key.tenant)
        for name, key in settings.ingest_keys.items()
    )
    return ReceiverConfig(
        folder=folder or settings.receiver_dir,
        host=host,
        port=port,
        grpc_port=grpc_port,
        keys=keys,
        max_backlog_mb=settings.max_backlog_mb,
        min_free_mb=settings.min_free_mb,
        with_drain=with_drain,
        drain={
            "lake_uri": settings.lake_uri,
            "storage_options": dict(settings.storage_options),
            "max_field_chars": settings.max_field_chars,
            "batch_seconds": settings.drain_seconds,
            "redaction": redaction if any(redaction.values()) else None,
        },
    )


def _tell(config: ReceiverConfig, addresses: Addresses) -> None:
    base = addresses.http
    typer.echo(f"Receiving on {base}" + (f" and {addresses.grpc} (gRPC)" if addresses.grpc else ""))
    typer.echo(f"  OpenTelemetry  OTEL_EXPORTER_OTLP_ENDPOINT={base}")
    if addresses.grpc:
        typer.echo(f"  over gRPC      OTEL_EXPORTER_OTLP_ENDPOINT=http://{addresses.grpc}")
    typer.echo(f"  Netra          NETRA_OTLP_ENDPOINT={base}")
    typer.echo(f"  Traceloop      TRACELOOP_BASE_URL={base}")
    typer.echo(f"  Langfuse       LANGFUSE_BASE_URL={base} (v2, v3: LANGFUSE_HOST)")
    typer.echo(f"  LangSmith      LANGSMITH_ENDPOINT={base}")
    key = "one of the ingest keys" if config.keys else "none needed; an SDK that wants one takes any"
    typer.echo(f"  key            {key}")
    typer.echo(f"  state          {base}/readyz, {base}/metrics")
