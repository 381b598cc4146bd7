"""Real agent runs before and after a change of model, re-timed into days (the schemes stand in the benchmark)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.drift_pairs import AFTER, BEFORE, Told, each_once, resampled, tau2_runs, tau_runs, tell

SEEDS = (200, 201)


@pytest.mark.parametrize("day_sd", [0.0, 0.05])
@pytest.mark.parametrize(("domain", "other"), [("retail", "airline"), ("airline", "retail")])
def test_a_fine_tuned_model_is_slower_and_nothing_is_said_of_the_intent_that_kept_its_model(
    real_data: Path, tmp_path: Path, domain: str, other: str, day_sd: float
) -> None:
    runs = tau2_runs(real_data)
    rng = np.random.default_rng(SEEDS[0])
    traffic = {
        domain: [*resampled(runs[domain, "before"], runs[domain, "after"], rng, day_sd=day_sd)],
        other: [*resampled(runs[other, "before"], runs[other, "before"], rng, day_sd=day_sd)],
    }
    told = Told(domain, "resampled", day_sd)
    tell(traffic, tmp_path, told)
    assert told.rate(domain, "latency_ms", "up") == 1
    assert not [key for key in told.items if key[0] == other]
    if domain == "retail":
        for metric in ("step_count", "tool_mix", "output_chars"):
            assert told.rate(domain, metric) == 0, told.items
    # the fine-tuned model has no price: its cost is withheld and said so, not compared as if it were 0
    assert told.rate(domain, "cost_usd") == 0
    assert told.suppressed[domain, "cost_usd"] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_two_trials_of_the_same_model_make_no_item(real_data: Path, tmp_path: Path, seed: int) -> None:
    runs = tau_runs(real_data)
    assert [len(runs[trial]) for trial in ("0", "1")] == [50, 50]
    rng = np.random.default_rng(seed)
    for scheme, traffic in (
        ("each once", each_once(runs["0"], runs["1"], rng)),
        ("pooled", resampled([*runs["0"], *runs["1"]], [*runs["0"], *runs["1"]], rng, day_sd=0.05)),
    ):
        told = Told("tau-bench", scheme, 0.0)
        tell({"airline": [*traffic]}, tmp_path / scheme, told)
        assert told.quiet == 1, (scheme, told.items)


def test_a_resampling_puts_every_day_of_a_period_in_its_own_group(real_data: Path) -> None:
    runs = tau2_runs(real_data)
    before, after = runs["retail", "before"], runs["retail", "after"]
    assert {run["task"] for run in before} == {run["task"] for run in after}
    drawn = [*resampled(before, after, np.random.default_rng(1), day_sd=0.0)]
    assert {day for day, _ in drawn} == set(range(BEFORE + AFTER))
    tuned = {run["primary_model"].startswith("ft:") for day, run in drawn if day >= BEFORE}
    assert tuned == {True}
    again = [*resampled(before, after, np.random.default_rng(1), day_sd=0.0)]
    assert drawn == again
