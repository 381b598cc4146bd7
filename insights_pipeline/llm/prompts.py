"""A question: instructions that are ours, and data of strangers in a block that they cannot close."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from string import Template


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages for the model. `version` changes with the wording of the instructions."""

    version: str
    system: str = field(repr=False)
    user: str = field(repr=False)

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]


def fenced_prompt(package: str, name: str, data: str, *, seed: int = 0, **values: str) -> Prompt:
    """The instructions `name` of `package`'s folder `prompts`, with `data` in a block of its own.

    The block's marks hold a code that is a hash of all that is in it: who wrote a part of it cannot know the code,
    so no text can end the block, and yet the same data give the same prompt. `values` are words of ours for the
    `$names` in the instructions.
    """
    wording = _wording(package, name)
    version = f"{name}-{hashlib.sha256(wording.encode()).hexdigest()[:8]}"
    nonce = hashlib.sha256(f"{seed}\n{version}\n{data}".encode(errors="replace")).hexdigest()[:16]
    system = Template(wording).substitute(values, nonce=nonce)
    user = f"<data {nonce}>\n{data}\n</data {nonce}>\n\nAnswer with the JSON object only."
    return Prompt(version, system, user)


@cache
def _wording(package: str, name: str) -> str:
    return files(package).joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()
