"""What `insights ingest --dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from insights_pipeline.cli.output import table

if TYPE_CHECKING:
    from insights_pipeline.traces.preview import Preview

_SHOWN = 15


def tell_preview(found: list[Preview]) -> None:
    """Per format: the fields that would be filled, what stays unmapped, why records are rejected."""
    from insights_pipeline.traces.preview import sorted_by_count

    for preview in found:
        typer.echo(
            f"{preview.format}: {preview.files} file{'s' * (preview.files != 1)}; the first {preview.records} records "
            f"are {preview.spans} spans of {preview.traces} traces, {preview.scores} scores, "
            f"{preview.contents} contents, {preview.rejects} rejected"
        )
        groups = (
            ("field", list(preview.fields.items()), preview.spans),
            ("unmapped, kept as attribute", sorted_by_count(preview.unmapped), preview.spans),
            ("rejected because", sorted_by_count(preview.reasons), preview.records),
        )
        for heading, rows, of in groups:
            if rows:
                columns = [(heading, "left"), ("in", "right"), ("example", "left")]
                table(
                    "",
                    columns,
                    [
                        [key, f"{seen.count} of {of}", seen.example]
                        for key, seen in rows[: len(rows) if heading == "field" else _SHOWN]
                    ],
                )
                if heading != "field" and len(rows) > _SHOWN:
                    typer.echo(f"… and {len(rows) - _SHOWN} more (--json shows all)")
        typer.echo("")
    typer.echo("Dry run: nothing was written.", err=True)
