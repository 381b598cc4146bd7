from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from insights_pipeline.cli.evaluate import evaluate
from insights_pipeline.lake import Lake, rows_to_table
from tests.intents.streams import wording

INTENTS = ("order", "refund", "password", "invoice", "address", "loyalty")

app = typer.Typer()
app.command()(evaluate)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def file(home: Path) -> Path:
    rng = random.Random(0)
    rows = [(wording(label, rng), label) for label in INTENTS * 40]
    rows += [(f"whistle zebra moonlight {number}", "oos") for number in range(20)]
    path = home / "labelled.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows) + "only text\n")
    return path


def test_the_command_shows_examples_and_can_print_json() -> None:
    shown = run("--help").output
    assert "Examples" in shown and "--json" in shown and "--out-of-scope" in shown


def test_figures_of_every_seed_and_their_mean_are_printed_as_json(file: Path) -> None:
    result = run("--labels", str(file), "--seeds", "2", "--texts", "120", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["rows"] == 260 and found["skipped"] == 1 and found["bad_rows"] == ["line 262: no label"]
    assert len(found["seeds"]) == 2
    assert found["mean"]["texts"] == 120 and found["mean"]["strange_texts"] == 20
    assert found["mean"]["nmi"] > 0.6
    assert 0 <= found["mean"]["auroc_withheld"] <= 1
    assert {"mixed_intents", "torn_labels"} <= set(found)


def test_a_person_reads_the_measures_the_confusions_and_the_rows_left_out(file: Path) -> None:
    result = run("--labels", str(file), "--seeds", "1", "--granularity", "2")
    assert result.exit_code == 0, result.output
    for said in (
        "NMI = V-measure",
        "ceiling",
        "AUROC, new intents",
        "unknown: nominal",
        "Labels torn over intents",
    ):
        assert said in result.stdout
    assert "1 of 261 rows left out: line 262: no label" in result.stdout


def test_trace_ids_are_compared_with_the_intents_they_were_given(home: Path) -> None:
    rows = [
        {"date": date(2026, 3, 2), "trace_id": str(number), "intent_id": f"int_{number % 3}", "score": 0.5}
        for number in range(30)
    ]
    Lake(str(home / "data/lake")).append("trace_intents", rows_to_table("trace_intents", rows))
    file = home / "traces.tsv"
    file.write_text("trace_id\tlabel\n" + "".join(f"{number}\tlabel {number % 3}\n" for number in range(31)))
    found = json.loads(run("--labels", str(file), "--json").stdout)
    assert found["agreement"]["nmi"] == pytest.approx(1)
    assert (found["traces"], found["missing"], found["false_unknown"]) == (30, 1, 0)
    assert "not in the lake" in run("--labels", str(file)).stdout


@pytest.mark.parametrize("content", ["text\nhello\n", "text,label\n" + "one more thing,same\n" * 40])
def test_a_file_that_cannot_be_used_is_an_expected_error(home: Path, content: str) -> None:
    file = home / "bad.csv"
    file.write_text(content)
    assert isinstance(run("--labels", str(file)).exception, ValueError)
