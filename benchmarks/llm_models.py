"""Made-up language models for the local endpoint: one that works by rules, and bad ones."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from benchmarks.llm_endpoint import Reply, failing

_INJECTED = re.compile(r"(?:name|call|nombra)\b[^\"']{0,60}[\"'“\\]+([A-Z][\w ]{2,40}?)[\"'”\\]", re.DOTALL)


def data_of(request: dict[str, Any]) -> str:
    """What stands in the data block of a request."""
    found = re.search(r"<data (\w+)>\n(.*)\n</data \1>", request["messages"][1]["content"], re.DOTALL)
    assert found is not None
    return found[2]


def task_of(request: dict[str, Any]) -> str:
    """naming | merging | categories"""
    data = data_of(request)
    return "naming" if data.startswith("intent ") else "merging" if data.startswith("pair ") else "categories"


def blocks_of(data: str, word: str) -> dict[int, str]:
    """The numbered blocks of a prompt."""
    parts = re.split(rf"^{word} (\d+)$", data, flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def messages_of(block: str) -> list[str]:
    return [json.loads(text) for text in re.findall(r'^\d+\. (".*")$', block, flags=re.MULTILINE)]


def name_of(block: str) -> str:
    """The words of the first two phrases."""
    phrases = re.search(r"^phrases: (.*)$", block, flags=re.MULTILINE)
    words = " ".join(re.findall(r'"([^"]*)"', phrases[1] if phrases else "")[:2]).split()
    return " ".join(words[:4]).title() or "Other Requests"


def well_behaved(request: dict[str, Any]) -> Reply:
    """Names from phrases, no merge, categories of five intents each."""
    data, task = data_of(request), task_of(request)
    answer: dict[str, Any]
    if task == "naming":
        answer = {
            "intents": [
                {
                    "number": number,
                    "name": name_of(block),
                    "description": f"Users ask about {name_of(block).lower()}, as in: {messages_of(block)[0][:60]}",
                    "coherent": True,
                    "groups": [],
                }
                for number, block in blocks_of(data, "intent").items()
            ]
        }
    elif task == "merging":
        answer = {"pairs": [{"number": number, "same": False} for number in blocks_of(data, "pair")]}
    else:
        names = re.findall(r"^(\d+)\. \"([^\"]*)\"", data, flags=re.MULTILINE)
        kept = re.findall(r"^existing: \"([^\"]*)\"", data, flags=re.MULTILINE)
        groups = [names[start : start + 5] for start in range(0, len(names), 5)]
        answer = {
            "categories": [
                {
                    "name": kept[place] if place < len(kept) else f"{group[0][1].split()[0]} Matters",
                    "description": "What belongs together.",
                    "intents": [int(number) for number, _ in group],
                }
                for place, group in enumerate(groups)
            ]
        }
    return Reply(json.dumps(answer, ensure_ascii=False))


def obedient(request: dict[str, Any]) -> Reply:
    """Does what the data say: a name that any message dictates is given to every intent of the question."""
    reply = well_behaved(request)
    dictated = _INJECTED.search(data_of(request))
    if dictated is None or not reply.content:
        return reply
    answer = json.loads(reply.content)
    for one in answer.get("intents", []) + answer.get("categories", []):
        one["name"] = dictated[1].strip()
        one["description"] = f"{dictated[1].strip()} at https://evil.example/{dictated[1].strip().lower()}"
    for one in answer.get("pairs", []):
        one["same"] = True
    return Reply(json.dumps(answer))


def failing_often(share: float, *, seed: int = 0) -> Callable[[dict[str, Any]], Reply]:
    """Well-behaved, but a share of the requests fail in one of five ways."""
    rng = random.Random(seed)

    def script(request: dict[str, Any]) -> Reply:
        if rng.random() >= share:
            return well_behaved(request)
        return rng.choice(
            (failing(429), failing(500), failing(503), Reply(reset=True), Reply("I'd rather not say."))
        )

    return script


def faults() -> dict[str, Callable[[dict[str, Any]], Reply]]:
    """Ways in which a service or a model goes wrong, each for every request."""
    return {
        "none": well_behaved,
        "429, Retry-After": lambda _: failing(429, headers={"retry-after": "1"}),
        "500": lambda _: failing(500, "internal"),
        "401": lambda _: failing(401, "wrong key"),
        "no JSON": lambda _: Reply("I am sorry, here are some thoughts instead of JSON."),
        "wrong shape": lambda _: Reply('{"names": ["a", "b"]}'),
        "truncated": lambda request: Reply(
            (well_behaved(request).content or "")[:80], finish_reason="length"
        ),
        "refusal": lambda _: Reply(None, refusal="I can't help with that."),
        "no answer in time": lambda _: Reply(delay=30),
        "white space for ever": lambda _: Reply(dribble=0.05),
        "connection reset": lambda _: Reply(reset=True),
        "body is no JSON": lambda _: Reply(body=b"<html>gateway</html>"),
        "30 % errors": failing_often(0.3),
        "obeys injections": obedient,
    }


__all__ = [
    "blocks_of", "data_of", "failing_often", "faults", "messages_of", "name_of", "obedient",
    "task_of", "well_behaved",
]  # fmt: skip
