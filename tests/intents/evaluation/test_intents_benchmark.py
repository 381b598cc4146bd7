"""`benchmarks/intents.py` on a small labelled file, as a person runs it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "benchmarks" / "intents.py"
REQUESTS = {
    "refund": ("refund", "money back", "reimburse my purchase", "return the payment"),
    "delivery": ("parcel arrive", "package delivered", "shipment tracking", "courier delivery"),
    "password": ("reset password", "forgot my login", "change my passcode", "unlock account sign in"),
    "invoice": ("invoice copy", "billing statement", "receipt for taxes", "download the bill"),
    "weather": ("weather tomorrow", "rain forecast", "temperature outside", "sunny this weekend"),
    "music": ("play a song", "next music track", "louder playlist", "favourite album"),
}
FORMS = (
    "please {}",
    "i need {} now",
    "can you help with {} {}",
    "what about {} for order {}",
    "{} {} thanks",
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    rows = [
        f"{rng.choice(FORMS).format(rng.choice(said), rng.randint(100, 999))}\t{label}"
        for label, said in REQUESTS.items()
        for _ in range(30)
    ]
    path = tmp_path_factory.mktemp("labelled") / "shop.en.tsv"
    path.write_text("\n".join(["text\tlabel", *rows]))
    return path


def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *options], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def measured(labelled: Path) -> tuple[str, dict[str, Any]]:
    out = labelled.with_suffix(".json")
    done = run(
        "--labels", labelled, "--seeds", "2", "--settings", "80/4", "--spaces", "wordllama", "--peers", "none",
        "--parts", "quality,languages,later", "--json", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def test_every_method_is_scored_on_the_same_samples(measured: tuple[str, dict[str, Any]]) -> None:
    by_method: dict[str, list[tuple[object, ...]]] = {}
    for one in measured[1]["scores"]:
        key = one["setting"], one["seed"], one["texts"], one["intents"]
        by_method.setdefault(one["method"], []).append(key)
    samples = by_method["Insights"]
    assert by_method == {"Insights": samples, "KMeans true k": samples, "Kura n/10": samples}
    assert {(setting, seed) for setting, seed, _, _ in samples} >= {("80/4", 100), ("80/4", 101), ("all", 0)}


def test_wins_are_those_of_the_scores(measured: tuple[str, dict[str, Any]]) -> None:
    told, figures = measured
    of = {(one["method"], one["seed"]): one["nmi"] for one in figures["scores"] if one["setting"] == "80/4"}
    wins = sum(of["Insights", seed] > of["Kura n/10", seed] for seed in (100, 101))
    row = told.split("80/4 (80 texts, 4 intents, 2 samples)")[1].split("Kura n/10")[1].splitlines()[0]
    assert f" {wins}/2 " in row


def test_the_language_is_read_from_the_name(measured: tuple[str, dict[str, Any]]) -> None:
    assert {one["language"] for one in measured[1]["scores"]} == {"en"}
    assert "shop.en" in measured[0].split("Languages, space wordllama")[1]


def test_goals_that_the_file_is_too_small_for_are_told_as_not_measured(
    measured: tuple[str, dict[str, Any]],
) -> None:
    told = {goal["wanted"]: goal["met"] for goal in measured[1]["goals"]}
    assert told["500/30: NMI at least 0.82, ARI at least 0.60"] is None
    assert "not measured 500/30" in measured[0]


def test_without_data_it_explains_itself() -> None:
    done = run()
    assert done.returncode == 0
    assert "--clinc FOLDER" in done.stdout


def test_a_file_that_cannot_be_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "no_columns.tsv"
    path.write_text("a\tb\nhello\tgreet\n")
    done = run("--labels", path)
    assert done.returncode == 2
    assert str(path) in done.stderr and "Traceback" not in done.stderr
