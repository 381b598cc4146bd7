"""Evidently and NannyML at their defaults on the raw rows of a simulated world, in an environment of their own.

    python -m benchmarks.drift_peers --install     # makes .venv-drift-peers of drift-peers-requirements.txt

Both get every trace of an intent: numeric metrics, whether it failed, its tool. Evidently compares a day with the 30
days before the change, on three days before it and the first three after it (`DataDriftPreset`); NannyML learns its
thresholds from the same 30 days in daily chunks (`UnivariateDriftCalculator`). This file is run by both environments,
so at its top it imports nothing of the project.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.drift_detectors import Found
    from benchmarks.drift_world import Simulated

PEERS = ("Evidently", "NannyML")
HOW_TO_INSTALL = "python -m benchmarks.drift_peers --install"
_HERE = Path(__file__).resolve()
_REQUIREMENTS = _HERE.with_name("drift-peers-requirements.txt")
_FOLDER = _HERE.parents[1] / ".venv-drift-peers"
_PYTHON = _FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
_SILENT = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}  # neither may phone home
_BASELINE_DAYS, _NULL_DAYS, _CHANGED_DAYS = 30, 3, 3
_MIN_ROWS = 5


def is_installed() -> bool:
    """Whether the environment is there, and made of what it requires today."""
    return _mark().is_file()


def install() -> None:
    """Make the environment; raises CalledProcessError when it cannot be had, or cannot be imported."""
    if _FOLDER.exists():
        shutil.rmtree(_FOLDER)
    venv.create(_FOLDER, with_pip=True)
    quiet = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([_PYTHON, *quiet, "--no-deps", "-r", _REQUIREMENTS], check=True)
    subprocess.run([_PYTHON, "-c", "import evidently, nannyml"], check=True, env={**os.environ, **_SILENT})
    _mark().touch()


def _mark() -> Path:
    return _FOLDER / f".made-of-{hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]}"


def detect(simulated: Simulated) -> dict[str, Found]:
    """Flags of both, on the days they judged (`on`). Raises RuntimeError with the log if the run fails."""
    from benchmarks.drift_detectors import Found, none
    from benchmarks.drift_world import DAYS, ONSET

    with tempfile.TemporaryDirectory(prefix="drift-peers-") as name:
        folder = Path(name)
        traces = simulated.panel.n[: simulated.intents, -DAYS:].astype(np.int64)
        np.savez(folder / "raw.npz", n=traces, **simulated.raw)
        command = [_PYTHON, _HERE, "--run", folder, "--onset", str(ONSET)]
        ran = subprocess.run(
            command, env={**os.environ, **_ONE_CORE, **_SILENT}, capture_output=True, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"the peers failed: {ran.stderr.decode(errors='replace')[-2_000:]}")
        told = json.loads((folder / "flags.json").read_text(encoding="utf-8"))
    found = {}
    for peer in PEERS:
        flags = none(simulated)
        for metric, row, day in told[peer]["flags"]:
            flags[metric][row, day] = True
        own = {metric: flags[metric] for metric in simulated.raw}
        found[peer] = Found(own, told[peer]["seconds"], len(told[peer]["days"]), on=tuple(told[peer]["days"]))
    return found


def _frames(folder: Path) -> Iterator[tuple[int, Any]]:
    """(intent, its traces) as data frames with a column `day`; unknown values are missing."""
    import pandas as pd

    raw = dict(np.load(folder / "raw.npz"))
    n = raw.pop("n")
    failed, shares = raw.pop("error_rate"), raw.pop("tool_mix")
    ends = np.concatenate([[0], np.cumsum(n.sum(axis=1))])
    for row in range(len(n)):
        own = slice(ends[row], ends[row + 1])
        frame = pd.DataFrame({metric: values[own] for metric, values in raw.items()})
        frame["day"] = np.repeat(np.arange(n.shape[1]), n[row])
        frame["error_rate"] = np.concatenate(
            [np.repeat(["yes", "no"], [k, count - k]) for k, count in zip(failed[row], n[row], strict=True)]
        )
        frame["tool_mix"] = np.concatenate(
            [np.repeat([f"t{t}" for t in range(shares.shape[2])], day.astype(int)) for day in shares[row]]
        )
        yield row, frame


def _columns(frame: Any) -> tuple[list[str], list[str]]:
    categories = ["error_rate", "tool_mix"]
    return [one for one in frame.columns if one not in (*categories, "day")], categories


def _evidently(folder: Path, onset: int) -> tuple[list[tuple[str, int, int]], list[int]]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    days = [*range(onset - _NULL_DAYS, onset), *range(onset, onset + _CHANGED_DAYS)]
    flags = []
    for row, frame in _frames(folder):
        numbers, categories = _columns(frame)
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
        before = frame[(frame.day < onset - _NULL_DAYS) & (frame.day >= onset - _NULL_DAYS - _BASELINE_DAYS)]
        for day in days:
            today = frame[frame.day == day]
            if len(today) < _MIN_ROWS:
                continue
            known = [one for one in numbers if today[one].notna().any()] + categories
            current, reference = (
                Dataset.from_pandas(part[known], data_definition=DataDefinition(
                    numerical_columns=[one for one in known if one in numbers],
                    categorical_columns=definition.categorical_columns,
                ))
                for part in (today, before)
            )  # fmt: skip
            report = Report([DataDriftPreset()]).run(current, reference)
            flags += [(column, row, day) for column in _drifted(report.dict())]
    return flags, days


def _drifted(report: dict[str, Any]) -> Iterator[str]:
    """Columns that Evidently calls drifted: a p-value below its threshold, or a distance of at least it."""
    for metric in report["metrics"]:
        config = metric["config"]
        if "column" not in config:
            continue
        by_p = "p_value" in config["method"] or "p-value" in config["method"]
        value, threshold = float(metric["value"]), float(config["threshold"])
        if value < threshold if by_p else value >= threshold:
            yield config["column"]


def _nannyml(folder: Path, onset: int) -> tuple[list[tuple[str, int, int]], list[int]]:
    import nannyml
    import pandas as pd

    start = pd.Timestamp("2026-01-05")
    first = onset - 15
    flags = []
    for row, frame in _frames(folder):
        numbers, categories = _columns(frame)
        frame["at"] = start + pd.to_timedelta(frame.day, unit="D")
        before = frame[(frame.day < first) & (frame.day >= first - _BASELINE_DAYS)]
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=numbers + categories,
            treat_as_categorical=categories,
            timestamp_column_name="at",
            chunk_period="D",
        )
        calculator.fit(before.drop(columns="day"))
        after = frame[frame.day >= first]
        result = calculator.calculate(after.drop(columns="day")).filter(period="analysis").to_df()
        days = (pd.DatetimeIndex(result[("chunk", "chunk", "start_date")]).normalize() - start).days
        rows_of = after.groupby("day").size()
        for column in numbers + categories:
            alert = result[(column, "jensen_shannon", "alert")].to_numpy(dtype=bool)
            flags += [
                (column, row, int(day))
                for day, fired in zip(days, alert, strict=True)
                if fired and rows_of.get(day, 0) >= _MIN_ROWS
            ]
    return flags, list(range(first, int(frame.day.max()) + 1))


def _run(folder: Path, onset: int) -> None:
    told = {}
    for peer, judge in zip(PEERS, (_evidently, _nannyml), strict=True):
        began = time.process_time()
        flags, days = judge(folder, onset)
        told[peer] = {"flags": flags, "days": days, "seconds": time.process_time() - began}
    (folder / "flags.json").write_text(json.dumps(told), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", action="store_true", help="make the peers' environment")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--onset", type=int, default=75, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run(options.run, options.onset)
    elif options.install:
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    else:
        print(f"the peers are {'' if is_installed() else 'not '}installed; to install: {HOW_TO_INSTALL}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
