"""The agent at work on one request: model calls and tools one after another, as the spans its instrumentation sends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from random import Random
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from insights_pipeline.demo import gen_ai
from insights_pipeline.demo.arrivals import Request
from insights_pipeline.demo.conversation import Conversation
from insights_pipeline.demo.otlp import CLIENT, INTERNAL, attribute, constant, failure
from insights_pipeline.demo.toolbox import exchange
from insights_pipeline.demo.world import AGENT, EMBEDDER, MODEL_ERRORS, TOOLS

_MS = 1_000_000
_FIRST_CHUNK_MS, _MS_PER_TOKEN = 330.0, 9.5
_MODEL_LOG_SD = 0.24
_CHARS_PER_TOKEN = 4.3
_TIMEOUT_MS = 1_200.0
_CACHE_BLOCK, _CACHE_FROM, _CACHE_HITS = 128, 1_024, 0.8


class Work:
    """One request worked off. `agent` and `model` are the finished spans, the root is the last of `agent`."""

    def __init__(self, request: Request, talk: Conversation, random: Random) -> None:
        self.agent: list[Span] = []
        self.model: list[Span] = []
        self._request = request
        self._talk = talk
        self._random = random
        self._noise = iter(request.noise)
        self._root_id = self._span_id()
        self._now = request.start_ns + self._pause()
        self._history = [gen_ai.message("user", [gen_ai.text(talk.turns[0])])]
        self._context = request.context_tokens + len(talk.turns[0]) / _CHARS_PER_TOKEN
        self._prompt_before = 0
        self._broken = False

    def run(self, attributes: Iterable[KeyValue]) -> None:
        """Every group of tools, the answer, and the root span, with these attributes besides its own."""
        said = gen_ai.array(self._history)
        for group in self._request.groups:
            self._decide(group)
        for turn in self._talk.turns[1:]:  # written while the tools ran
            self._history.append(gen_ai.message("user", [gen_ai.text(turn)]))
            self._context += len(turn) / _CHARS_PER_TOKEN
        answered = self._answer(self._talk.answer(self._request, failed=self._broken))
        root = self._span(
            f"invoke_agent {AGENT}", INTERNAL, self._request.start_ns, self._now + self._pause()
        )
        root.span_id = self._root_id
        root.ClearField("parent_span_id")
        root.attributes.extend(gen_ai.agent_attributes(self._request.session_id, said, answered))
        root.attributes.extend(attributes)
        self.agent.append(root)

    def _decide(self, group: tuple[str, ...]) -> None:
        """A model call that asks for tools, and the tools, started together."""
        calls = [
            (tool, f"call_{self._random.getrandbits(80):020x}", *exchange(tool, self._talk.case))
            for tool in group
        ]
        wanted = [
            {"type": "tool_call", "id": call_id, "name": tool, "arguments": arguments}
            for tool, call_id, arguments, _ in calls
        ]
        tokens = 14 + sum(12 + len(orjson.dumps(arguments)) / 3.6 for _, _, arguments, _ in calls)
        output = gen_ai.message("assistant", wanted, "tool_call")
        self._call_model(output, tokens, "tool_calls")
        self._history.append(gen_ai.message("assistant", wanted))
        ends = []
        for tool, call_id, arguments, result in calls:
            end, got = self._use(tool, call_id, arguments, result)
            ends.append(end)
            response = {"type": "tool_call_response", "id": call_id, "result": got}
            self._history.append(gen_ai.message("tool", [response]))
            self._context += len(self._history[-1]) / _CHARS_PER_TOKEN
        self._now = max(ends) + self._pause()

    def _answer(self, words: str) -> str:
        output = gen_ai.message("assistant", [gen_ai.text(words)], "stop")
        self._call_model(output, len(words) / _CHARS_PER_TOKEN, "stop", stream=self._request.stream)
        return gen_ai.array([output])

    def _call_model(self, output: bytes, tokens: float, finish: str, *, stream: bool = False) -> None:
        model = self._request.model
        if self._random.random() < MODEL_ERRORS:
            self._refused(model)
        first_chunk_ms = _FIRST_CHUNK_MS * self._factor(_MODEL_LOG_SD)
        ms = first_chunk_ms + tokens * _MS_PER_TOKEN * self._factor(_MODEL_LOG_SD)
        start, self._now = self._now, self._now + int(ms * _MS)
        prompt = int(self._context)
        span = self._span(f"chat {model}", CLIENT, start, self._now)
        span.attributes.extend(gen_ai.model_attributes(model, finish))
        span.attributes.extend(gen_ai.usage_attributes(prompt, max(1, int(tokens)), self._cached(prompt)))
        span.attributes.extend(
            (
                attribute("gen_ai.response.id", f"chatcmpl-{self._random.getrandbits(96):024x}"),
                attribute("gen_ai.input.messages", gen_ai.array(self._history)),
                attribute("gen_ai.output.messages", gen_ai.array([output])),
            )
        )
        if stream:
            seconds = round(first_chunk_ms / 1e3, 4)
            span.attributes.append(constant("gen_ai.request.stream", True))
            span.attributes.append(attribute("gen_ai.response.time_to_first_chunk", seconds))
        self.model.append(span)
        self._now += self._pause()
        self._prompt_before = prompt
        self._context += tokens

    def _refused(self, model: str) -> None:
        """The provider is over its limit; the client waits and asks again."""
        start, end = self._now, self._now + int(90 * _MS * self._factor(0.3))
        span = self._span(f"chat {model}", CLIENT, start, end)
        span.attributes.extend(gen_ai.refused_attributes(model))
        span.status.CopyFrom(failure("Error code: 429 - Rate limit reached for requests"))
        self.model.append(span)
        self._now = end + int(600 * _MS * self._factor(0.3))

    def _cached(self, prompt: int) -> int:
        """Tokens that the provider had in its cache: whole blocks of what it saw a moment ago."""
        seen = self._prompt_before or min(prompt, _CACHE_FROM)
        if seen < _CACHE_FROM or self._random.random() > _CACHE_HITS:
            return 0
        return seen // _CACHE_BLOCK * _CACHE_BLOCK

    def _use(self, tool: str, call_id: str, arguments: dict[str, Any], result: Any) -> tuple[int, Any]:
        """One tool call: its end and what it gave. A server error is tried again once, a timeout is not."""
        kind, start = TOOLS[tool], self._now
        fails = self._random.random() < kind.errors * self._request.errors
        times_out = self._random.random() < self._request.timeouts.get(tool, 0.0)
        if fails and not times_out and self._random.random() < 0.5:
            end = start + self._tool_ns(tool)
            span = self._tool_span(tool, call_id, arguments, start, end)
            _fail(span, "HTTPStatusError", "503 Service Unavailable")
            fails, start = False, end + int(50 * _MS)
        if fails or times_out:
            end = start + int(_TIMEOUT_MS * _MS)
            message = f"{tool} timed out after {_TIMEOUT_MS:.0f} ms"
            _fail(self._tool_span(tool, call_id, arguments, start, end), "TimeoutError", message)
            self._broken = True
            return end, {"error": message}
        end = start + self._tool_ns(tool)
        span = self._tool_span(tool, call_id, arguments, start, end)
        span.attributes.append(attribute("gen_ai.tool.call.result", orjson.dumps(result).decode()))
        if tool == "search_products":
            self._retrieve(arguments["query"], span)
        return end, result

    def _tool_ns(self, tool: str) -> int:
        kind = TOOLS[tool]
        return int(kind.median_ms * _MS * self._factor(kind.log_sd))

    def _tool_span(self, tool: str, call_id: str, arguments: dict[str, Any], start: int, end: int) -> Span:
        span = self._span(f"execute_tool {tool}", INTERNAL, start, end)
        span.attributes.extend(gen_ai.tool_attributes(tool, call_id, arguments))
        self.agent.append(span)
        return span

    def _retrieve(self, query: str, tool: Span) -> None:
        """Inside the product search: the query is embedded, then looked up."""
        start, end = tool.start_time_unix_nano, tool.end_time_unix_nano
        middle = start + (end - start) * 2 // 3
        embedding = self._span(f"embeddings {EMBEDDER}", CLIENT, start, middle, parent=tool.span_id)
        embedding.attributes.extend(gen_ai.embedding_attributes(query))
        self.model.append(embedding)
        lookup = self._span("retrieval product_catalog", INTERNAL, middle, end, parent=tool.span_id)
        lookup.attributes.extend(gen_ai.retrieval_attributes(query, "product_catalog"))
        self.agent.append(lookup)

    def _span(
        self, name: str, kind: Span.SpanKind.ValueType, start: int, end: int, *, parent: bytes | None = None
    ) -> Span:
        return Span(
            trace_id=self._request.trace_id,
            span_id=self._span_id(),
            parent_span_id=parent or self._root_id,
            name=name,
            kind=kind,
            start_time_unix_nano=start,
            end_time_unix_nano=end,
        )

    def _span_id(self) -> bytes:
        return (self._random.getrandbits(64) or 1).to_bytes(8, "big")

    def _factor(self, log_sd: float) -> float:
        return self._request.latency * math.exp(log_sd * next(self._noise))

    def _pause(self) -> int:
        """The agent's own work between two steps: 3 to 11 ms."""
        return int((3 + 8 * self._random.random()) * _MS)


def _fail(span: Span, kind: str, message: str) -> None:
    span.attributes.append(constant("error.type", kind))
    span.status.CopyFrom(failure(message))
