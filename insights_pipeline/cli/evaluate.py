"""`insights intents evaluate`: how well intents are found, on labels that a team gave its own requests."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from insights_pipeline.cli.output import JSON, fail, open_engine, print_json, table

if TYPE_CHECKING:
    from insights_pipeline.intents.evaluation.compare import Comparison
    from insights_pipeline.intents.evaluation.confusion import Mixture
    from insights_pipeline.intents.evaluation.labelled import Labelled
    from insights_pipeline.intents.evaluation.trial import Trial

_SHOWN = 5
_PARTS_SHOWN = 3


def evaluate(
    labels: Path = typer.Option(
        ..., "--labels", help="CSV, TSV or JSONL with columns text and label, or trace_id and label."
    ),
    texts: int | None = typer.Option(
        None,
        "--texts",
        min=20,
        max=5_000,
        help="Texts to discover intents from; default: all, at most 5,000.",
    ),
    hold_out: float = typer.Option(
        0.3, "--hold-out", min=0, max=0.9, help="Share kept back as later traffic."
    ),
    withhold: float = typer.Option(
        0.1, "--withhold", min=0, max=0.9, help="Share of the labels kept out of discovery, as new intents."
    ),
    seeds: int = typer.Option(3, "--seeds", min=1, max=100, help="How many times, each with other texts."),
    embedding: str | None = typer.Option(
        None,
        "--embedding",
        help="wordllama, tfidf, litellm:MODEL, fastembed:MODEL; default: as in the settings.",
    ),
    granularity: float | None = typer.Option(
        None, "--granularity", min=0.01, max=10, help="Above 1 finer intents; default: as in the settings."
    ),
    out_of_scope: list[str] = typer.Option(
        [],
        "--out-of-scope",
        help="A label of texts that belong to no intent, beside oos, unknown, out_of_scope.",
    ),
    text_column: str | None = typer.Option(None, "--text-column", help="The column of texts; default: text."),
    label_column: str = typer.Option("label", "--label-column", help="The column of labels."),
    as_json: bool = JSON,
) -> None:
    """Compare the intents that are found with labels that people gave.

    With texts, intents are discovered anew, several times, on a part of them; the rest shows how later traffic and
    what is new fares. With trace ids, the intents that these traces were given are compared; nothing is discovered.

    Examples:

      insights intents evaluate --labels labelled.csv

      insights intents evaluate --labels banking.csv --label-column category --seeds 5 --json

      insights intents evaluate --labels requests.jsonl --texts 500 --embedding tfidf --out-of-scope chitchat

      insights intents evaluate --labels traces.tsv            # columns trace_id and label
    """
    from insights_pipeline.intents.evaluation.labelled import read_labelled

    found = read_labelled(labels, text_column=text_column, label_column=label_column)
    told = {"file": str(labels), "rows": len(found.items), "skipped": found.skipped, "bad_rows": found.bad}
    if found.of_traces:
        from insights_pipeline.intents.evaluation.compare import compare

        compared = compare(open_engine(), found.items, found.labels, out_of_scope=out_of_scope)
        if as_json:
            print_json({**told, **asdict(compared)})
        else:
            _tell_file(found)
            _show_comparison(compared)
        return
    from insights_pipeline.intents.evaluation.trial import trial
    from insights_pipeline.settings import settings
    from insights_pipeline.wiring import embeddings

    chosen = embeddings()
    if embedding:
        chosen = replace(chosen, setting=embedding)
    try:
        tried = trial(
            found.items,
            found.labels,
            most_texts=texts,
            hold_out=hold_out,
            withhold=withhold,
            seeds=seeds,
            embeddings=chosen,
            granularity=granularity or settings().intent_granularity,
            out_of_scope=out_of_scope,
        )
    except RuntimeError as error:  # an embedding model that is not there or does not answer
        fail(str(error), code=1)
    if as_json:
        print_json({**told, **asdict(tried)})
    else:
        _tell_file(found)
        _show_trial(tried)


def _tell_file(found: Labelled) -> None:
    if found.skipped:
        typer.echo(
            f"{found.skipped} of {found.skipped + len(found.items)} rows left out: {'; '.join(found.bad)}"
        )
    if found.cut:
        typer.echo(f"only the first {len(found.items)} rows were read")


def _show_trial(tried: Trial) -> None:
    if tried.without_words:
        typer.echo(f"{tried.without_words} texts without a letter left out")
    rows = [
        [title, *(_number(getattr(of, name), digits) for of in (tried.mean, *tried.seeds)), meaning]
        for title, name, digits, meaning in _ROWS
    ]
    heads = [("", "left"), ("mean", "right"), *((f"seed {n}", "right") for n in range(len(tried.seeds)))]
    table("Intents found, beside the labels", [*heads, ("", "left")], rows)
    _show_mixtures("Intents that mix labels (seed 0)", "intent", "labels", tried.mixed_intents)
    _show_mixtures("Labels torn over intents (seed 0)", "label", "intents", tried.torn_labels)


def _show_comparison(compared: Comparison) -> None:
    agreed = compared.agreement
    rows: list[list[Any]] = [
        ["labelled traces", compared.traces, ""],
        ["not in the lake", compared.missing, "check their ids, or run their days"],
        ["labelled twice", compared.labelled_twice, "the first label counts"],
        ["called unknown", _percent(compared.false_unknown), "of traces with a label of an intent"],
        ["out-of-scope traces", compared.out_of_scope_traces, ""],
        ["out-of-scope called unknown", _percent(compared.out_of_scope_unknown), ""],
        [
            "AUROC out-of-scope",
            _number(compared.auroc_out_of_scope, 3),
            "chance that one scores below a known",
        ],
    ]
    if agreed is not None:
        rows += [
            ["labels", agreed.true, ""],
            ["intents", agreed.found, f"{agreed.k_ratio:.2f} times the labels"],
            ["NMI = V-measure", _number(agreed.nmi, 3), ""],
            ["ARI", _number(agreed.ari, 3), ""],
            ["homogeneity", _number(agreed.homogeneity, 3), "an intent holds one label"],
            ["completeness", _number(agreed.completeness, 3), "a label is in one intent"],
            ["purity", _number(agreed.purity, 3), "traces with the most frequent label of their intent"],
        ]
    table("Intents given, beside the labels", [("", "left"), ("", "right"), ("", "left")], rows)
    _show_mixtures("Intents that mix labels", "intent", "labels", compared.mixed_intents)
    _show_mixtures("Labels torn over intents", "label", "intents", compared.torn_labels)


def _show_mixtures(title: str, what: str, parts: str, found: tuple[Mixture, ...]) -> None:
    if not found:
        return
    rows: list[list[Any]] = []
    for one in found[:_SHOWN]:
        for place, part in enumerate(one.parts[:_PARTS_SHOWN]):
            head = [one.name, f"{one.astray} of {one.items}"] if place == 0 else ["", ""]
            rows.append([*head, part.items, part.name, f"“{part.example}”"])
    heads = [(what, "left"), ("astray", "right"), ("", "right"), (parts, "left"), ("for instance", "left")]
    typer.echo()
    table(title, heads, rows)


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


_ROWS = (
    ("texts", "texts", 0, "that intents were discovered from"),
    ("labels", "labels", 0, "among them"),
    ("intents", "intents", 0, "found"),
    ("intents / labels", "k_ratio", 2, ""),
    ("NMI = V-measure", "nmi", 3, "agreement, 1 is full"),
    ("ARI", "ari", 3, "agreement of pairs, beyond chance"),
    ("homogeneity", "homogeneity", 3, "an intent holds one label"),
    ("completeness", "completeness", 3, "a label is in one intent"),
    ("purity", "purity", 3, "texts with the most frequent label of their intent"),
    ("later texts", "later_texts", 0, "of the same labels"),
    ("accuracy, later", "accuracy", 3, "with the label that their intent stands for"),
    ("ceiling", "ceiling", 3, "of that accuracy: the purity"),
    ("new-intent texts", "withheld_texts", 0, "of labels kept out of discovery"),
    ("AUROC, new intents", "auroc_withheld", 3, "chance that one scores below a known text"),
    ("out-of-scope texts", "strange_texts", 0, ""),
    ("AUROC, out of scope", "auroc_out_of_scope", 3, "chance that one scores below a known text"),
    ("unknown: nominal", "nominal_unknown", 3, "share of known texts meant to be called unknown"),
    ("unknown: later", "false_unknown", 3, "share of later texts called so"),
    ("unknown: new intents", "withheld_unknown", 3, ""),
    ("unknown: out of scope", "out_of_scope_unknown", 3, ""),
    ("seconds", "wall_seconds", 2, "to embed and discover; the first time also to load libraries"),
    ("CPU seconds", "cpu_seconds", 2, ""),
)
