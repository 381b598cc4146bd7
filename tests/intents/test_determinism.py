"""Same data and seed, same intents: whatever the threads of the engine, and in a process of any thread count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from insights_pipeline.lake import DuckDBEngine, Lake, Slice, connect_with, engine_config
from tests.intents.streams import stream
from tests.intents.test_daily import run, tables

_INTENTS = ("embedding_spaces", "trace_embeddings", "intent_models", "intents", "trace_intents")
_DIGEST = """
import hashlib, sys
from datetime import date
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.vectors import Texts
from insights_pipeline.intents.embedding.wordllama_space import fit_space
from tests.intents.streams import stream

rows = stream(3, 400, seed=4).traces.to_pylist()
said = tuple(row["user_text"] for row in rows)
space = fit_space(said)
sample = Texts((date(2026, 3, 2),) * len(said), tuple(row["trace_id"] for row in rows), said, space.embed(said))
intents, unknown = discover(sample, space, born=date(2026, 3, 2), seed=0)
told = [(one.row(one.born, ""), unknown) for one in intents]
print(hashlib.sha256(repr(told).encode()).hexdigest())
"""


def test_any_number_of_engine_threads_gives_the_same_tables(tmp_path: Path) -> None:
    made = stream(20, 60, new="loyalty", new_from=12)
    found = []
    for threads in (1, 2, 4):
        folder = tmp_path / str(threads)
        config = engine_config(threads=threads, memory_mb=512, temp_dir=folder / "spill")
        engine = DuckDBEngine(Lake(str(folder / "lake")), connect_with(config))
        engine.lake.replace(Slice("traces", made.days), lambda: made.traces)
        run(engine, made.days)
        found.append(tables(engine))
    assert [one["date"] for one in found[0]["intent_models"]] == list(made.days)
    assert {row["status"] for row in found[0]["intents"]} >= {"active"}
    for name in _INTENTS:
        assert found[0][name] and found[0][name] == found[1][name] == found[2][name]


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"])
def test_any_number_of_library_threads_gives_the_same_intents(variable: str) -> None:
    digests = set()
    for threads in ("1", "4"):
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, variable: threads, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1 and len(digests.pop()) == 64
