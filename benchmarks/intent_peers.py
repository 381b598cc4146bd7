"""Peers that group the same vectors: BERTopic and EVoC, in an environment of their own.

    python benchmarks/intent_peers.py --install     # makes .venv-peers of peers-requirements.txt, about 1 GB

Both run at their defaults, with a seed. What they call noise is given to the group with the nearest centroid, since our
pipeline, too, gives every text a group. This file is run by both environments, so it imports nothing of the project.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PEERS = ("BERTopic", "EVoC")
HOW_TO_INSTALL = "python benchmarks/intent_peers.py --install"
_HERE = Path(__file__).resolve()
_REQUIREMENTS = _HERE.with_name("peers-requirements.txt")
_FOLDER = _HERE.parents[1] / ".venv-peers"
_PYTHON = _FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Job:
    """Texts and their vectors (n, d), float32, to be grouped with a seed."""

    texts: Sequence[str] = field(repr=False)
    vectors: NDArray[np.float32] = field(repr=False)
    seed: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """What a peer made of job number `job`: a group of every text, and the share that was noise, or an error."""

    job: int
    peer: str
    groups: tuple[int, ...] = field(default=(), repr=False)
    noise: float = 0.0
    cpu_seconds: float = 0.0
    error: str | None = None


def is_installed() -> bool:
    """Whether the environment is there, and made of what it requires today."""
    return _mark().is_file()


def install() -> None:
    """Make the environment; raises CalledProcessError or RuntimeError when it cannot be had, or does not run."""
    if _FOLDER.exists():
        shutil.rmtree(_FOLDER)
    venv.create(_FOLDER, with_pip=True)
    quiet = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([_PYTHON, *quiet, "--no-deps", "-r", _REQUIREMENTS], check=True)
    sys.stderr.write("compiling what the peers compile on first use, a few minutes\n")
    noise = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    with started([Job([f"word{n % 9}" for n in range(200)], noise, 0)]) as results:
        errors = {one.peer: one.error for one in results()}
    failed = [
        f"{peer}: {errors.get(peer, 'no result')}" for peer in PEERS if errors.get(peer, "") is not None
    ]
    if failed:
        raise RuntimeError(f"installed, but does not run: {'; '.join(failed)}")
    _mark().touch()


@contextlib.contextmanager
def started(jobs: Sequence[Job], peers: Sequence[str] = PEERS) -> Iterator[Callable[[], list[Grouping]]]:
    """Start the peers on all jobs in a process beside this one; gives a function that waits for their results.

    When the process ends before it is done, what it had is what there is, and standard error says why.
    """
    with tempfile.TemporaryDirectory(prefix="intent-peers-") as name:
        folder = Path(name)
        for number, job in enumerate(jobs):
            np.save(folder / f"{number}.npy", job.vectors)
        asked = {"peers": list(peers), "jobs": [{"texts": list(job.texts), "seed": job.seed} for job in jobs]}
        (folder / "jobs.json").write_text(json.dumps(asked), encoding="utf-8")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [_PYTHON, _HERE, "--run", folder], stdout=log, stderr=log, env={**os.environ, **_ONE_CORE}
            )
        try:
            yield lambda: _results(process, folder)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _results(process: subprocess.Popen[bytes], folder: Path) -> list[Grouping]:
    if process.wait():
        log = (folder / "log").read_text(encoding="utf-8", errors="replace")
        sys.stderr.write(
            f"the peers ended with {process.returncode}, the rest is without them: {log[-2_000:]}\n"
        )
    results = folder / "results.jsonl"
    lines = results.read_text(encoding="utf-8").splitlines(keepends=True) if results.exists() else []
    told = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be half a line
    return [Grouping(**{**one, "groups": tuple(one["groups"])}) for one in told]


def _mark() -> Path:
    made_of = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    return _FOLDER / f".made-of-{made_of}"


def _bertopic(texts: Sequence[str], vectors: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """BERTopic's default, UMAP to 5 dimensions and HDBSCAN from 10 texts on; its UMAP is given the seed it lacks."""
    from bertopic import BERTopic
    from umap import UMAP

    reduced = UMAP(
        n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", low_memory=False, random_state=seed
    )
    topics, _ = BERTopic(umap_model=reduced).fit_transform(list(texts), embeddings=vectors)
    return np.asarray(topics, dtype=np.int64)


def _evoc(texts: Sequence[str], vectors: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    from evoc import EVoC

    return np.asarray(EVoC(random_state=seed).fit_predict(vectors), dtype=np.int64)


def _without_noise(groups: NDArray[np.int64], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Groups with those of no group (−1) given to the nearest centroid by cosine; all one group if all are noise."""
    kinds = sorted(set(groups.tolist()) - {-1})
    if not kinds:
        return np.zeros(len(groups), dtype=np.int64)
    centroids = np.stack([vectors[groups == kind].mean(axis=0) for kind in kinds])
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-9)
    nearest = np.array(kinds)[(vectors @ centroids.T).argmax(axis=1)]
    return np.where(groups == -1, nearest, groups)


def _run(folder: Path) -> None:
    """Group every job with every peer; a JSON line of each in results.jsonl."""
    asked = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
    by_name = {"BERTopic": _bertopic, "EVoC": _evoc}
    with (folder / "results.jsonl").open("w", encoding="utf-8", buffering=1) as results:
        for number, job in enumerate(asked["jobs"]):
            vectors = np.load(folder / f"{number}.npy")
            for peer in asked["peers"]:
                results.write(json.dumps(_try(by_name[peer], number, peer, job, vectors)) + "\n")


def _try(
    method: Callable[[Sequence[str], NDArray[np.float32], int], NDArray[np.int64]],
    number: int,
    peer: str,
    job: dict[str, Any],
    vectors: NDArray[np.float32],
) -> dict[str, Any]:
    began = time.process_time()
    told: dict[str, Any] = {"job": number, "peer": peer, "groups": []}
    try:
        groups = method(job["texts"], vectors, job["seed"])
        told |= {"groups": _without_noise(groups, vectors).tolist(), "noise": float((groups == -1).mean())}
    except Exception as error:  # noqa: BLE001 – a peer that fails on a sample is told so, and the next is run
        told["error"] = f"{type(error).__name__}: {error}"[:500]
    return {**told, "cpu_seconds": time.process_time() - began}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", action="store_true", help="make the peers' environment")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run(options.run)
    elif options.install:
        try:
            install()
        except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    else:
        print(f"the peers are {'' if is_installed() else 'not '}installed; to install: {HOW_TO_INSTALL}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
