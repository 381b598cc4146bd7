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
        typer.echo(_summary(preview))
        groups = (
            ("field", list(preview.fields.items()), preview.spans),
            ("unmapped, kept as attribute", sorted_by_count(preview.unmapped), preview.spans),
            ("rejected because", sorted_by_count(preview.reasons), 0),
        )
        for heading, rows, of in groups:
            if rows:
                columns = [(heading, "left"), ("in", "right"), ("example", "left")]
                table(
                    "",
                    columns,
                    [
                        [key, f"{seen.count} of {of}" if of else str(seen.count), seen.example]
                        for key, seen in rows[: len(rows) if heading == "field" else _SHOWN]
                    ],
                )
                if heading != "field" and len(rows) > _SHOWN:
                    typer.echo(f"… and {len(rows) - _SHOWN} more (--json shows all)")
        typer.echo("")
    typer.echo("Dry run: nothing was written.", err=True)


def _summary(preview: Preview) -> str:
    from insights_pipeline.traces.preview import SAMPLE

    files = f"{preview.files} file{'s' * (preview.files != 1)}"
    if not preview.records:
        return f"{preview.format}: {files} with nothing in {'them' if preview.files > 1 else 'it'}"
    how_far = "read to the end" if preview.records < SAMPLE else f"the first {SAMPLE} records"
    counts = (("span", preview.spans), ("score", preview.scores), ("content", preview.contents))
    told = [f"{count:,} {word}{'s' * (count != 1)}" for word, count in counts if count]
    if preview.spans:
        told[0] += f" of {preview.traces:,} trace{'s' * (preview.traces != 1)}"
    return f"{preview.format}: {files}, {how_far}: {', '.join([*told, f'{preview.rejects:,} rejected'])}"
