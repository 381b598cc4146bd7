"""`insights …`: the verbs. Heavy libraries are imported inside the commands, so `--help` stays quick."""

from __future__ import annotations

import os
import sys

import typer

from insights_pipeline import __version__
from insights_pipeline.cli import baseline, demo, doctor, drift, ingest, intents, receive, run, send, show
from insights_pipeline.cli.output import fail

app = typer.Typer(
    name="insights",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What users ask your AI agents, what is normal for each thing they ask, and what changed.",
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


app.command("ingest")(ingest.ingest)
app.command("receive")(receive.receive)
app.command("rejects")(ingest.rejects)
app.command("run")(run.run)
app.command("brief")(show.brief)
app.add_typer(intents.app, name="intents")
app.add_typer(drift.app, name="drift")
app.add_typer(baseline.app, name="baseline")
app.add_typer(send.app, name="contact")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point: an expected error is one clear message and exit code 2, an unexpected one a traceback."""
    try:
        app()
    except (FileNotFoundError, ValueError) as error:
        if os.environ.get("INSIGHTS_DEBUG"):
            raise
        fail(str(error))
    except BrokenPipeError:  # `insights … | head`
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
