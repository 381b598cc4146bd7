"""Spans as OTLP protobuf, built quickly: attributes that repeat are made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Value: TypeAlias = "str | int | float | bool | Sequence[str]"
INTERNAL, CLIENT = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT
SPANS_PER_EXPORT = 512  # the default batch of OpenTelemetry's exporters


@lru_cache(maxsize=4_096)
def constant(key: str, value: str | int | float | bool) -> KeyValue:
    """An attribute whose value is one of few."""
    return attribute(key, value)


def attribute(key: str, value: Value) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    texts = ArrayValue(values=[AnyValue(string_value=text) for text in value])
    return KeyValue(key=key, value=AnyValue(array_value=texts))


def failure(message: str) -> Status:
    return Status(code=Status.STATUS_CODE_ERROR, message=message)


class Exporter:
    """Collects the spans of a day as requests of at most about a batch, as an SDK sends them."""

    def __init__(self, resource: Iterable[KeyValue], *, agent_scope: str, model_scope: str) -> None:
        self._resource = tuple(resource)
        self._scopes = (agent_scope, model_scope)
        self._sent: list[bytes] = []
        self._start()
        self.spans = 0

    def add(self, agent: Sequence[Span], model: Sequence[Span]) -> None:
        """The spans of one trace: those of the agent's own code and those of the model client's instrumentation."""
        self._agent.spans.extend(agent)
        self._model.spans.extend(model)
        self._waiting += len(agent) + len(model)
        self.spans += len(agent) + len(model)
        if self._waiting >= SPANS_PER_EXPORT:
            self._send()

    def body(self) -> bytes:
        """Everything so far: concatenated requests read as one merged request."""
        if self._waiting:
            self._send()
        return b"".join(self._sent)

    def _start(self) -> None:
        self._request = ExportTraceServiceRequest()
        resource_spans = self._request.resource_spans.add()
        resource_spans.resource.attributes.extend(self._resource)
        self._agent = resource_spans.scope_spans.add()
        self._agent.scope.name = self._scopes[0]
        self._model = resource_spans.scope_spans.add()
        self._model.scope.name = self._scopes[1]
        self._waiting = 0

    def _send(self) -> None:
        self._sent.append(self._request.SerializeToString(deterministic=True))
        self._start()
