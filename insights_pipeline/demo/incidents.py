"""What goes wrong in the made-up traffic, and what of it a day and an intent feel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

from insights_pipeline.demo.world import LARGE, RESPONSE_MODEL

ANY = "*"
CREEP_PER_DAY = 1.03
BURST_SHARE = 0.20
TOOL_SWAP_SHARE = 0.55
RELEASE_OF_SWAP = "3.18.0"  # in production since the day of the tool swap
NEWCOMER_START, NEWCOMER_PER_DAY, NEWCOMER_GROWTH_DAYS = 8.0, 36.0, 9


@dataclass(frozen=True, slots=True)
class Allowed:
    """A line that may also appear because of an incident: `*` is any metric or direction."""

    intent: str
    metric: str
    direction: str


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of the traffic that an incident was injected into; any of `values` names it."""

    dimension: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that was injected. `metrics` are those in which it must be found; `size` in the unit of `kind`.

    `carriers` are the slices that carry it: none where all traffic of the intent felt it alike, None where there is
    nothing to compare with.
    """

    id: str
    kind: str  # latency_creep | cost_jump | error_burst | tool_mix | new_intent
    intent: str
    metrics: tuple[str, ...]
    direction: str
    first_day: date
    last_day: date
    size: float
    description: str
    also_allowed: tuple[Allowed, ...] = ()
    carriers: tuple[Slice, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values; days as ISO text."""
        return asdict(self) | {"first_day": str(self.first_day), "last_day": str(self.last_day)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Incident:
        carriers = raw.get("carriers")
        return cls(
            **{
                **raw,
                "metrics": tuple(raw["metrics"]),
                "first_day": date.fromisoformat(raw["first_day"]),
                "last_day": date.fromisoformat(raw["last_day"]),
                "also_allowed": tuple(Allowed(**one) for one in raw["also_allowed"]),
                "carriers": None
                if carriers is None
                else tuple(Slice(one["dimension"], tuple(one["values"])) for one in carriers),
            }
        )


@dataclass(frozen=True, slots=True)
class Effects:
    """What the incidents do to one intent on one day."""

    latency: float = 1.0
    model: str | None = None
    timeouts: Mapping[str, float] = field(default_factory=dict)  # tool → share of its calls
    swap: tuple[str, str, float] | None = None  # instead of this tool, that one, in a share of the requests
    per_day: float | None = None


NO_EFFECTS = Effects()


def planned(end: date) -> tuple[Incident, ...]:
    """The five incidents of traffic that ends with `end`: over, ongoing and fresh ones."""

    def ago(days: int) -> date:
        return end - timedelta(days=days)

    return (
        Incident(
            "latency-creep", "latency_creep", "return_item", ("latency_ms", "latency_p95_ms"), "up", ago(19), end,
            CREEP_PER_DAY, "Every step of returns takes 3 % longer each day than the day before, for 20 days.",
            (
                Allowed("return_item", "ttft_ms", "up"),
                Allowed("all", "latency_ms", "up"),
                Allowed("all", "latency_p95_ms", "up"),
                Allowed("all", "ttft_ms", "up"),
            ),
            carriers=(),
        ),
        Incident(
            "cost-jump", "cost_jump", "product_question", ("cost_usd",), "up", end, end,
            5.0, "Product questions go to gpt-4.1 instead of gpt-4.1-mini: the same tokens at five times the price.",
            (Allowed("all", "cost_usd", "up"),),
            carriers=(Slice("model", (LARGE, RESPONSE_MODEL[LARGE])),),
        ),
        Incident(
            "error-burst", "error_burst", "payment_declined", ("error_rate",), "up", ago(20), ago(15),
            BURST_SHARE, "A fifth of all payment_lookup calls time out, for six days.",
            (
                # a timeout takes three times as long as an answer, and what is said after it is something else
                Allowed("payment_declined", "latency_ms", "up"),
                Allowed("payment_declined", "latency_p95_ms", "up"),
                Allowed("payment_declined", "output_chars", ANY),
                Allowed("payment_declined", "total_tokens", ANY),
                Allowed("all", "error_rate", "up"),
            ),
            carriers=(Slice("tool", ("payment_lookup",)),),
        ),
        Incident(
            "tool-mix", "tool_mix", "refund_status", ("tool_mix",), "changed", ago(12), end,
            TOOL_SWAP_SHARE, "Since a prompt release, refund requests search the help center instead of loading the "
            "order in 55 % of the traces.",
            (
                # an article is of another length than an order
                Allowed("refund_status", "total_tokens", ANY),
                Allowed("refund_status", "cost_usd", ANY),
                Allowed("all", "tool_mix", "changed"),
            ),
            carriers=(Slice("release", (RELEASE_OF_SWAP,)),),
        ),
        Incident(
            "new-intent", "new_intent", "trade_in", ("volume",), "new", ago(13), end,
            NEWCOMER_PER_DAY, "A trade-in programme starts: questions about it grow from 8 to 36 a day.",
            (
                Allowed("trade_in", ANY, ANY),
                Allowed("unknown", ANY, ANY),
                Allowed("all", "tool_mix", "changed"),
                Allowed("all", "volume", "up"),
            ),
        ),
    )  # fmt: skip


def effects(incidents: Iterable[Incident], intent: str, day: date) -> Effects:
    """What `intent` feels on `day`; at most one incident of an intent at a time."""
    for one in incidents:
        if one.intent == intent and one.first_day <= day <= one.last_day:
            return _effects(one, (day - one.first_day).days)
    return NO_EFFECTS


def newcomers(incidents: Sequence[Incident]) -> frozenset[str]:
    """Intents that nobody asks for before their incident."""
    return frozenset(one.intent for one in incidents if one.kind == "new_intent")


def _effects(incident: Incident, days_in: int) -> Effects:
    match incident.kind:
        case "latency_creep":
            return Effects(latency=incident.size ** (days_in + 1))
        case "cost_jump":
            return Effects(model=LARGE)
        case "error_burst":
            return Effects(timeouts={"payment_lookup": incident.size})
        case "tool_mix":
            return Effects(swap=("get_order", "search_help_center", incident.size))
        case "new_intent":
            grown = min(1.0, days_in / NEWCOMER_GROWTH_DAYS)
            return Effects(per_day=NEWCOMER_START + (incident.size - NEWCOMER_START) * grown)
    raise ValueError(f"no effects are known for an incident of kind {incident.kind}")
