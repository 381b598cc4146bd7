"""Make the environments of the SDKs: `python tests/sdks/environments.py [NAME…]`; `make test-sdks` does it for all.

Each SDK pins its own OpenTelemetry, so no two share one. An environment is made anew when its requirements change.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("SDK_ENVIRONMENTS") or HERE.parents[1] / ".venv-sdks")
CONFIG = tomllib.loads((HERE / "environments.toml").read_text())
NODE = frozenset(CONFIG["node_environments"])
REQUIREMENTS: dict[str, list[str]] = {**CONFIG["environments"], **CONFIG["node_environments"]}
RUNS: dict[str, dict[str, str | dict[str, str]]] = CONFIG["runs"]


def is_ready(name: str) -> bool:
    """Whether the environment is there, and made of what it requires today."""
    return _mark(name).is_file()


def make(name: str) -> None:
    """Install one environment; raises CalledProcessError when a requirement cannot be had."""
    folder = FOLDER / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    if name in NODE:
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
        _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *REQUIREMENTS[name])
    elif shutil.which("uv"):
        _run("uv", "venv", "--quiet", "--python", sys.executable, "--clear", folder)
        _run("uv", "pip", "install", "--quiet", "--python", folder / "bin/python", *REQUIREMENTS[name])
    else:
        venv.create(folder, with_pip=True)
        _run(folder / "bin/python", "-m", "pip", "install", "--quiet", *REQUIREMENTS[name])
    _mark(name).touch()


def main(names: list[str]) -> int:
    """Make what is missing; gives how many could not be made, and says why on stderr."""
    failures = 0
    for name in names or REQUIREMENTS:
        if is_ready(name):
            continue
        sys.stderr.write(f"{name}: {', '.join(REQUIREMENTS[name])}\n")
        try:
            make(name)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"{name}: could not be made ({error})\n")
            failures += 1
    return failures


def _mark(name: str) -> Path:
    made_of = hashlib.sha256("\n".join(REQUIREMENTS[name]).encode()).hexdigest()[:16]
    return FOLDER / name / f".made-of-{made_of}"


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
