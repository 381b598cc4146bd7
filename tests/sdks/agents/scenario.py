"""What every agent here does: three turns of one user, in one session. How it is traced is up to each agent."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

WHO = SESSION, USER, TENANT = "sess-42", "user-7", "acme-corp"
MODEL = "gpt-4o-mini"
SYSTEM = "You are a weather assistant."
WEATHER, STREAM, FAIL = "What is the weather in Paris?", "Write one line about rain.", "FAIL please"
FORECAST = "18 degrees and sunny"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def converse(client: Any, question: str, get_weather: Callable[..., str]) -> str:
    """One turn: ask the model, call the tools it wants, and give its answer."""
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    if question == STREAM:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = client.chat.completions.create(model=MODEL, messages=messages, **options)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    while True:
        completion = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        message = completion.choices[0].message
        if not message.tool_calls:
            return str(message.content)
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def run(ask: Callable[[str], str]) -> None:
    """Ask all three, and print a JSON line of each: what was answered or raised, and how long it took."""
    for question in (WEATHER, STREAM, FAIL):
        started = time.perf_counter()
        try:
            outcome = {"answer": ask(question)}
        except Exception as error:  # noqa: BLE001  the failure is what the last turn is for
            outcome = {"raised": type(error).__name__}
        elapsed = (time.perf_counter() - started) * 1_000
        sys.stdout.write(json.dumps({"question": question, "ms": elapsed, **outcome}) + "\n")
