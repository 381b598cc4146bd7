"""The made-up world: an outdoor shop's support agent, what people ask it, how it works, who the customers are.

Sizes are typical of production chat traffic: prompts around a thousand tokens, answers of 50 to 400, arrivals that
follow office hours, latencies with heavy tails.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVICE = "support-agent"
AGENT = "northwind_support"
ENVIRONMENT = "production"
RELEASE_DAYS = 14

MINI, LARGE = "gpt-4.1-mini", "gpt-4.1"
EMBEDDER = "text-embedding-3-small"
RESPONSE_MODEL = {MINI: "gpt-4.1-mini-2025-04-14", LARGE: "gpt-4.1-2025-04-14", EMBEDDER: EMBEDDER}


@dataclass(frozen=True, slots=True)
class Tool:
    """Latency is lognormal (median in ms); `errors` is the share of calls that fail on a usual day."""

    median_ms: float
    log_sd: float
    errors: float
    type: str = "function"


TOOLS: dict[str, Tool] = {
    "get_order": Tool(170, 0.45, 0.010),
    "track_shipment": Tool(420, 0.55, 0.016),
    "create_return": Tool(310, 0.50, 0.013),
    "refund_status": Tool(240, 0.50, 0.012),
    "update_address": Tool(260, 0.45, 0.013),
    "check_stock": Tool(190, 0.45, 0.011),
    "search_products": Tool(300, 0.45, 0.009, "datastore"),
    "apply_coupon": Tool(210, 0.45, 0.014),
    "search_help_center": Tool(170, 0.45, 0.010, "datastore"),
    "payment_lookup": Tool(380, 0.50, 0.015),
    "reset_password": Tool(280, 0.45, 0.014),
    "find_account": Tool(150, 0.45, 0.010),
    "send_invoice": Tool(350, 0.50, 0.014),
    "loyalty_balance": Tool(180, 0.45, 0.012),
    "cancel_order": Tool(290, 0.45, 0.014),
    "create_claim": Tool(330, 0.50, 0.013),
    "quote_trade_in": Tool(260, 0.50, 0.012),
    "hand_over": Tool(120, 0.40, 0.006),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to handle a request: groups of tools, each group decided by one model call and run in turn."""

    share: float
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Intent:
    """`per_day` is the mean of a weekday; `context_tokens` the median of the first prompt; `answer_chars` a median."""

    name: str
    per_day: float
    plans: tuple[Plan, ...]
    context_tokens: float
    answer_chars: float
    model: str = MINI


def _plans(*plans: tuple[float, str]) -> tuple[Plan, ...]:
    """`(0.6, "get_order > track_shipment")`: groups are separated by `>`, tools of one group by `+`."""
    return tuple(
        Plan(
            share,
            tuple(
                tuple(tool.strip() for tool in group.split("+"))
                for group in groups.split(">")
                if group.strip()
            ),
        )
        for share, groups in plans
    )


INTENTS: tuple[Intent, ...] = (
    Intent("order_status", 130, _plans(
        (0.58, "get_order > track_shipment"), (0.22, "get_order + track_shipment"),
        (0.13, "track_shipment"), (0.07, "get_order > track_shipment > search_help_center")), 980, 340),
    Intent("return_item", 95, _plans(
        (0.55, "get_order > create_return"), (0.25, "search_help_center"),
        (0.20, "get_order > search_help_center > create_return")), 1120, 460),
    Intent("refund_status", 76, _plans(
        (0.66, "get_order > refund_status"), (0.24, "get_order + refund_status"), (0.10, "refund_status")), 1010, 380),
    Intent("payment_declined", 62, _plans(
        (0.54, "payment_lookup"), (0.18, "payment_lookup > search_help_center"), (0.08, "payment_lookup > hand_over"),
        (0.20, "search_help_center")), 1150, 420, LARGE),
    Intent("product_question", 52, _plans(
        (0.52, "search_products > check_stock"), (0.30, "search_products"), (0.18, "check_stock")), 1280, 400),
    Intent("change_address", 46, _plans(
        (0.70, "get_order > update_address"), (0.22, "update_address"), (0.08, "get_order > hand_over")), 930, 300),
    Intent("discount_code", 42, _plans(
        (0.74, "apply_coupon"), (0.26, "apply_coupon > search_help_center")), 900, 320),
    Intent("damaged_item", 38, _plans(
        (0.62, "get_order > create_claim"), (0.24, "get_order > create_claim > hand_over"),
        (0.14, "search_help_center > create_claim")), 1340, 520, LARGE),
    Intent("cancel_order", 34, _plans(
        (0.78, "get_order > cancel_order"), (0.22, "cancel_order")), 880, 270),
    Intent("account_login", 31, _plans(
        (0.64, "find_account > reset_password"), (0.26, "find_account + reset_password"),
        (0.10, "find_account > search_help_center")), 860, 310),
    Intent("invoice_request", 27, _plans(
        (0.74, "get_order > send_invoice"), (0.26, "get_order + send_invoice")), 840, 260),
    Intent("loyalty_points", 24, _plans(
        (0.66, "loyalty_balance"), (0.34, "loyalty_balance > search_help_center")), 900, 340),
)  # fmt: skip

# Not there from the beginning: it comes with an incident.
NEWCOMER = Intent("trade_in", 0, _plans(
    (0.70, "quote_trade_in"), (0.30, "search_help_center > quote_trade_in")), 1000, 380)  # fmt: skip

OFF_TOPIC = Intent(
    "off_topic", 13, _plans((0.8, "search_help_center"), (0.2, "search_help_center > hand_over")), 760, 190
)

ALL_INTENTS: dict[str, Intent] = {intent.name: intent for intent in (*INTENTS, NEWCOMER, OFF_TOPIC)}

# Monday first: how much of the weekday mean arrives, and how busy (slow) the model provider is.
WEEKDAY_VOLUME = (1.06, 1.03, 1.0, 0.98, 0.95, 0.58, 0.54)
WEEKDAY_LATENCY = (1.015, 1.01, 1.0, 1.0, 0.995, 0.985, 0.985)
HOUR_VOLUME = (4, 2, 1, 1, 1, 2, 6, 14, 26, 38, 45, 46, 44, 43, 42, 40, 38, 37, 38, 40, 38, 30, 19, 9)

FOLLOW_UP_SHARE = 0.25
THREAD_SHARE = 0.17
STREAM_SHARE = 0.7
OUTLIER_SHARE, OUTLIER_FACTOR = 0.02, 4.0
MODEL_ERRORS = 0.0015


@dataclass(frozen=True, slots=True)
class Tenant:
    """One of the shop's storefronts. `utc_offset` in hours."""

    id: str
    share: float
    utc_offset: int
    currency: str
    locale: str


TENANTS = (
    Tenant("northwind-us", 0.52, -6, "$", "en-US"),
    Tenant("northwind-uk", 0.28, 0, "£", "en-GB"),
    Tenant("northwind-ie", 0.12, 0, "€", "en-IE"),
    Tenant("northwind-outlet", 0.08, -5, "$", "en-US"),
)
USERS = 6_000
