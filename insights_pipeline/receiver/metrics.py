"""`/metrics`, `/healthz` and `/readyz`: what the receiver and its drain say about themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from insights_pipeline.receiver.limits import DrainState, Limits
from insights_pipeline.receiver.writer import GroupWriter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DRAINED = ("spans", "rejects", "scores", "contents", "batches", "ignored_logs")
_SILENT_SECONDS = 60.0


class Meters:
    """The counters of one receiver, in a registry of their own. `route` is a kind of request, never a path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "insights_receiver_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.bytes = Counter(
            "insights_receiver_body_bytes",
            "Bytes of acknowledged bodies, as sent",
            ["route"],
            registry=self.registry,
        )
        self.items = Counter(
            "insights_receiver_items",
            "Spans, log records or events counted at the door (not those of bodies over 8 MiB)",
            ["route", "state"],
            registry=self.registry,
        )
        self.acknowledged = Histogram(
            "insights_receiver_acknowledge_seconds",
            "From the first byte of a request to its answer, for acknowledged ones",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.sync = Histogram(
            "insights_receiver_sync_seconds",
            "One write and sync of a group",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.group = Histogram(
            "insights_receiver_group_entries",
            "Entries of one sync",
            buckets=(1, 2, 5, 10, 25, 50, 100, 250),
            registry=self.registry,
        )

    def on_sync(self, seconds: float, entries: int) -> None:
        self.sync.observe(seconds)
        self.group.observe(entries)

    def watch(self, limits: Limits, writer: GroupWriter) -> None:
        """Show also what is looked up when somebody asks."""
        self.registry.register(_State(limits, writer))

    def text(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)


class _State(Collector):
    def __init__(self, limits: Limits, writer: GroupWriter) -> None:
        self._limits = limits
        self._writer = writer

    def collect(self) -> Iterator[Metric]:
        limits = self._limits
        limits.shortages()  # looks anew
        yield _gauge("in_flight_bytes", "Bytes of bodies under way", limits.in_flight)
        yield _gauge("queue_bytes", "Bytes that wait for a sync", self._writer.queued_bytes)
        yield _gauge("backlog_bytes", "Bytes on disk that wait for the drain", limits.backlog)
        yield _gauge("disk_free_bytes", "Free disk where the log lies", limits.free_bytes)
        yield from _drained(limits.drain)


def _drained(drain: DrainState) -> Iterator[Metric]:
    for name in _DRAINED:
        if (value := drain.number(name)) is not None:
            yield CounterMetricFamily(
                f"insights_drain_{name}", f"Drained {name} since its start", value=value
            )
    if last := drain.number("last_flush_ns"):
        text = "When the drain last wrote to the lake"
        yield GaugeMetricFamily("insights_drain_last_flush_timestamp_seconds", text, value=last / 1e9)
    if drain.age_seconds is not None:
        text = "1 when the drain's last attempt failed"
        yield GaugeMetricFamily("insights_drain_failing", text, value=float(bool(drain.values.get("error"))))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"insights_receiver_{name}", text, value=value)


def not_ready(
    limits: Limits, writer: GroupWriter, *, drain_trouble: Callable[[], str | None] | None
) -> list[str]:
    """Why the receiver should get no traffic; empty when it should."""
    reasons = limits.shortages()
    if not writer.is_alive:
        reasons.append("the writer has stopped")
    if writer.failure:
        reasons.append(writer.failure)
    if drain_trouble is None:
        return reasons
    if trouble := drain_trouble():
        reasons.append(trouble)
    age = limits.drain.age_seconds
    if age is not None and age > _SILENT_SECONDS and limits.backlog:
        reasons.append(f"the drain has said nothing for {age:.0f} s")
    if limits.drain.values.get("error"):
        reasons.append("the drain's last attempt failed; see its log")
    return reasons
