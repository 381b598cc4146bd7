"""A day of requests: who asks what when, and how heavy it is. All numbers are drawn in arrays, intent by intent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.demo.customers import Customers
from insights_pipeline.demo.incidents import Effects
from insights_pipeline.demo.weather import Weather
from insights_pipeline.demo.world import (
    FOLLOW_UP_SHARE,
    HOUR_VOLUME,
    OUTLIER_FACTOR,
    OUTLIER_SHARE,
    STREAM_SHARE,
    TENANTS,
    THREAD_SHARE,
    USERS,
    WEEKDAY_LATENCY,
    WEEKDAY_VOLUME,
    Intent,
)
from insights_pipeline.lake import start_ns

Floats = NDArray[np.float64]

NOISES = 28  # standard normals that one request may use up
_LAST_START_S = 85_500.0  # a request is over before midnight, so that a day of traffic is a day of spans
_LATENCY_LOG_SD, _CONTEXT_LOG_SD, _ANSWER_LOG_SD = 0.42, 0.28, 0.38


@dataclass(frozen=True, slots=True)
class Request:
    """One trace to be. `latency` multiplies every step; `noise` is read from the front."""

    trace_id: bytes
    session_id: str
    intent: Intent
    user: int
    start_ns: int
    groups: tuple[tuple[str, ...], ...]
    model: str
    timeouts: Mapping[str, float]
    errors: float
    follow_up: bool
    stream: bool
    latency: float
    context_tokens: float
    answer_chars: float
    noise: list[float]


def draw_day(
    day: date,
    intents: Mapping[str, Intent],
    weather: Mapping[str, Weather],
    effects: Mapping[str, Effects],
    customers: Customers,
    *,
    seed: int,
    scale: float,
) -> list[Request]:
    """All requests of a day in the order of their start."""
    requests: list[Request] = []
    for name, intent in intents.items():
        rng = np.random.default_rng([seed, 3, day.toordinal(), *name.encode()])
        requests += _of_intent(day, intent, weather[name], effects[name], customers, rng, scale)
    return sorted(requests, key=lambda request: (request.start_ns, request.trace_id))


def _of_intent(
    day: date,
    intent: Intent,
    weather: Weather,
    effects: Effects,
    customers: Customers,
    rng: np.random.Generator,
    scale: float,
) -> list[Request]:
    mean = intent.per_day if effects.per_day is None else effects.per_day
    n = int(rng.poisson(mean * scale * weather.volume * WEEKDAY_VOLUME[day.weekday()]))
    users, seconds, sessions = _visits(n, customers, rng)
    plans = rng.choice(len(intent.plans), size=n, p=weather.plans)
    swapped = rng.random(n) < (effects.swap[2] if effects.swap else 0.0)
    follow_ups = rng.random(n) < FOLLOW_UP_SHARE
    streams = rng.random(n) < STREAM_SHARE
    outliers = np.where(rng.random(n) < OUTLIER_SHARE, OUTLIER_FACTOR, 1.0)
    latency = (
        np.exp(_LATENCY_LOG_SD * rng.standard_normal(n))
        * (outliers * weather.latency * effects.latency * WEEKDAY_LATENCY[day.weekday()])
        * _busy(seconds)
    )
    context = intent.context_tokens * weather.tokens * np.exp(_CONTEXT_LOG_SD * rng.standard_normal(n))
    answers = intent.answer_chars * weather.chars * np.exp(_ANSWER_LOG_SD * rng.standard_normal(n))
    noise = rng.standard_normal((n, NOISES))
    ids = rng.bytes(16 * n)
    return [
        Request(
            trace_id=ids[16 * i : 16 * i + 16],
            session_id=sessions[i],
            intent=intent,
            user=int(users[i]),
            start_ns=start_ns(day) + int(seconds[i] * 1e6) * 1_000,
            groups=_groups(intent, int(plans[i]), effects, swap=bool(swapped[i])),
            model=effects.model or intent.model,
            timeouts=effects.timeouts,
            errors=weather.errors,
            follow_up=bool(follow_ups[i]),
            stream=bool(streams[i]),
            latency=float(latency[i]),
            context_tokens=float(context[i]),
            answer_chars=float(answers[i]),
            noise=noise[i].tolist(),
        )
        for i in range(n)
    ]


def _visits(
    n: int, customers: Customers, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats, list[str]]:
    """Users, start seconds and sessions; some come back to their conversation minutes later."""
    users = (USERS * rng.random(n) ** 1.7).astype(np.int64)
    offsets = np.array([tenant.utc_offset for tenant in TENANTS])[customers.tenants[users]]
    shares = np.cumsum([0, *HOUR_VOLUME]) / sum(HOUR_VOLUME)
    local = np.interp(rng.random(n), shares, np.arange(25) * 3_600.0)
    seconds = (local - offsets * 3_600.0) % 86_400.0
    comes_back = rng.random(n) < THREAD_SHARE
    pauses = rng.lognormal(6.0, 0.9, size=n)
    sessions = [f"conv_{rng.bytes(8).hex()}" for _ in range(n)]
    for i in range(1, n):
        if comes_back[i]:
            users[i], sessions[i], seconds[i] = users[i - 1], sessions[i - 1], seconds[i - 1] + pauses[i]
    return users, np.minimum(seconds, _LAST_START_S), sessions


def _busy(seconds: Floats) -> Floats:
    """The model provider is a little slower in the busy hours."""
    share = np.interp(seconds / 3_600.0, np.arange(24) + 0.5, np.array(HOUR_VOLUME) / max(HOUR_VOLUME))
    busy: Floats = 0.97 + 0.05 * share
    return busy


def _groups(intent: Intent, plan: int, effects: Effects, *, swap: bool) -> tuple[tuple[str, ...], ...]:
    groups = intent.plans[plan].groups
    if not swap or effects.swap is None:
        return groups
    before, after, _ = effects.swap
    return tuple(tuple(after if tool == before else tool for tool in group) for group in groups)
