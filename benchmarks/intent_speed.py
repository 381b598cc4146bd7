"""Speed and memory of discovery, each measured in a fresh process on one core."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.embedding.spaces import Embeddings
from insights_pipeline.intents.vectors import Texts

BOOTSTRAPS = (500, 2_000, 5_000)
_DAY = date(2000, 1, 1)
_SHORT = 30_000  # texts embedded and classified for a rate
_WARM = 60  # texts of a first run, which imports and loads what is needed
_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Speed:
    """A bootstrap of `texts`: CPU s of fitting, embedding and discovery after imports; peak memory of the process.

    Rates are texts per CPU second, of embedding and of classification with the intents found.
    """

    space: str
    texts: int
    cpu_seconds: float
    peak_mib: float
    intents: int
    embedded_per_second: float
    classified_per_second: float


def speed(texts: Sequence[str], spaces: Sequence[str], *, tell: Callable[[str], None]) -> list[Speed]:
    """The speed at each size that there are texts for; texts are repeated for the rates only."""
    found = []
    for space in spaces:
        for count in BOOTSTRAPS:
            if count > len(texts):
                tell(f"speed: {count:,} texts left out, there are {len(texts):,}")
                continue
            asked = json.dumps({"space": space, "texts": count, "said": list(texts)})
            done = subprocess.run(
                [sys.executable, Path(__file__).resolve()],
                input=asked,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env={**os.environ, **_ONE_CORE},
            )
            found.append(Speed(**json.loads(done.stdout)))
            tell(f"speed: {space} {count:,}")
    return found


def _measure(asked: dict[str, Any]) -> Speed:
    said, count = asked["said"], asked["texts"]
    setting = Embeddings(asked["space"])
    _bootstrap(setting, said[:_WARM])
    cpu = time.process_time()
    space, classifier, intents = _bootstrap(setting, said[:count])
    bootstrap = time.process_time() - cpu
    peak = _peak_mib()
    many = (said * (_SHORT // len(said) + 1))[:_SHORT]
    cpu = time.process_time()
    vectors = space.embed(many)
    embedding = time.process_time() - cpu
    cpu = time.process_time()
    classifier.judge(vectors)
    classifying = time.process_time() - cpu
    return Speed(
        asked["space"], count, bootstrap, peak, intents, len(many) / embedding, len(many) / classifying
    )


def _bootstrap(setting: Embeddings, said: Sequence[str]) -> tuple[Any, Classifier, int]:
    space = setting.fit(said)
    ids = tuple(f"{number:05d}" for number in range(len(said)))
    sample = Texts((_DAY,) * len(ids), ids, tuple(said), space.embed(said))
    intents, _ = discover(sample, space, born=_DAY, seed=0)
    centroids = np.stack([one.centroid for one in intents])
    return space, Classifier.of(centroids, [one.exemplar_vectors for one in intents]), len(intents)


def _peak_mib() -> float:
    """Peak resident memory of this program. Linux's rusage would include what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1_024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1_024**2 if sys.platform == "darwin" else 1_024)


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(json.load(sys.stdin)))))
