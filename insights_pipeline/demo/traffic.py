"""Two months of one support agent's traffic as OTLP files, and beside them what was injected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from insights_pipeline.demo.agent import Work
from insights_pipeline.demo.arrivals import Request, draw_day
from insights_pipeline.demo.conversation import converse
from insights_pipeline.demo.customers import Customers, draw_customers
from insights_pipeline.demo.incidents import RELEASE_OF_SWAP, Incident, effects, newcomers, planned
from insights_pipeline.demo.otlp import Exporter, constant
from insights_pipeline.demo.weather import forecast
from insights_pipeline.demo.world import ALL_INTENTS, ENVIRONMENT, OFF_TOPIC, RELEASE_DAYS, SERVICE
from insights_pipeline.lake import DayRange

TRUTH, INJECTED, PLANTED = "truth", "injected.json", "planted.json.gz"
_RELEASE_BEFORE_END = 12  # the tool-mix incident comes with a release, which has a new version of the prompt
_PROMPT, _PROMPT_BEFORE, _PROMPT_OF_SWAP = "support_agent", "14", "15"


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """`folder` holds the OTLP files and nothing else; `truth` is for the judge."""

    folder: Path
    truth: Path
    files: tuple[Path, ...]
    days: DayRange
    traces: int
    spans: int


def write_traffic(
    folder: Path,
    *,
    seed: int = 7,
    days: int = 60,
    end: date,
    scale: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> TrafficReport:
    """Write `folder/otlp/traces-YYYY-MM-DD.pb.gz` of the days up to `end`, and `folder/truth`.

    The same arguments give the same bytes. `scale` multiplies the volume; `on_progress` gets (days done, days).
    """
    otlp, truth = folder / "otlp", folder / TRUTH
    otlp.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    range_ = DayRange.ending(end, days)
    incidents = planned(end)
    customers = draw_customers(seed=seed)
    weather = forecast(tuple(ALL_INTENTS.values()), days, seed=seed)
    planted: dict[str, str | None] = {}
    files, spans = [], 0
    for done, day in enumerate(range_):
        felt = {name: effects(incidents, name, day) for name in ALL_INTENTS}
        requests = draw_day(day, ALL_INTENTS, weather[done], felt, customers, seed=seed, scale=scale)
        exporter = _export(requests, customers, _release(day, range_), Random(f"{seed} {day}"))
        path = otlp / f"traces-{day}.pb.gz"
        path.write_bytes(_zipped(exporter.body()))
        files.append(path)
        spans += exporter.spans
        planted.update((request.trace_id.hex(), _planted(request)) for request in requests)
        if on_progress is not None:
            on_progress(done + 1, days)
    _write_truth(truth, seed=seed, days=range_, scale=scale, incidents=incidents, planted=planted)
    return TrafficReport(otlp, truth, tuple(files), range_, len(planted), spans)


def _export(requests: Iterable[Request], customers: Customers, release: str, random: Random) -> Exporter:
    exporter = Exporter(
        (
            constant("service.name", SERVICE),
            constant("service.version", release),
            constant("deployment.environment.name", ENVIRONMENT),
            constant("telemetry.sdk.language", "python"),
            constant("telemetry.sdk.name", "opentelemetry"),
        ),
        agent_scope="northwind.support",
        model_scope="opentelemetry.instrumentation.genai.openai",
    )
    for request in requests:
        work = Work(request, converse(request, customers, random), random)
        tenant = customers.tenant(request.user)
        work.run(
            (
                constant("gen_ai.agent.version", release),
                constant("gen_ai.prompt.name", _PROMPT),
                constant(
                    "gen_ai.prompt.version", _PROMPT_OF_SWAP if release == RELEASE_OF_SWAP else _PROMPT_BEFORE
                ),
                constant("user.id", customers.ids[request.user]),
                constant("tenant.id", tenant.id),
                constant("shop.locale", tenant.locale),
            )
        )
        exporter.add(work.agent, work.model)
    return exporter


def _release(day: date, days: DayRange) -> str:
    """The version in production: a new one every two weeks, one of them with the prompt that changed the tools."""
    behind = (days.last - timedelta(days=_RELEASE_BEFORE_END) - day).days
    newest = 18
    return f"3.{newest - -(-behind // RELEASE_DAYS)}.0"


def _planted(request: Request) -> str | None:
    return None if request.intent is OFF_TOPIC else request.intent.name


def _write_truth(
    truth: Path,
    *,
    seed: int,
    days: DayRange,
    scale: float,
    incidents: Iterable[Incident],
    planted: Mapping[str, str | None],
) -> None:
    incidents = tuple(incidents)
    injected = {
        "seed": seed,
        "first_day": str(days.first),
        "last_day": str(days.last),
        "scale": scale,
        "new_intents": sorted(newcomers(incidents)),
        "incidents": [one.to_json() for one in incidents],
    }
    (truth / INJECTED).write_text(json.dumps(injected, indent=2, ensure_ascii=False) + "\n")
    (truth / PLANTED).write_bytes(_zipped(json.dumps(planted, sort_keys=True).encode()))


def _zipped(body: bytes) -> bytes:
    """Gzip without a time stamp: the same bytes for the same body."""
    return gzip.compress(body, compresslevel=2, mtime=0)
