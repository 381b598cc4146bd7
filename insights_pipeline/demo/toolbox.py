"""What the agent's tools are called with and what they answer, as JSON values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from insights_pipeline.demo.wording import Case

Exchange = tuple[dict[str, Any], Any]


def exchange(tool: str, case: Case) -> Exchange:
    """Arguments and result of a call. Raises KeyError for a tool that the agent does not have."""
    return _EXCHANGES[tool](case)


def _order(case: Case) -> str:
    return f"NW-{''.join(filter(str.isdigit, case.value('order')))}"


def _get_order(case: Case) -> Exchange:
    status = case.random.choice(("processing", "packed", "shipped", "delivered", "delivered"))
    items = [
        {"name": f"{case.value('brand')} {case.value('product')}", "size": case.value("size"), "quantity": 1}
    ]
    return {"order_id": _order(case)}, {
        "order_id": _order(case), "status": status, "total": case.value("amount"), "items": items,
    }  # fmt: skip


def _track_shipment(case: Case) -> Exchange:
    events = [
        {
            "place": case.value("city"),
            "event": case.random.choice(("arrived at hub", "departed", "out for delivery")),
        },
        {"place": "warehouse", "event": "handed over"},
    ]
    return {"order_id": _order(case)}, {
        "carrier": case.value("carrier"),
        "eta": case.value("weekday"),
        "events": events,
    }


def _create_return(case: Case) -> Exchange:
    reason = case.random.choice(("does not fit", "not as expected", "changed mind", "wrong size"))
    return {"order_id": _order(case), "reason": reason}, {
        "return_id": f"R{case.between(10_000, 99_999)}", "label": "sent", "free": True,
    }  # fmt: skip


def _refund_status(case: Case) -> Exchange:
    state = case.random.choice(("received", "approved", "paid", "paid"))
    return {"order_id": _order(case)}, {
        "state": state,
        "amount": case.value("amount"),
        "method": case.value("card"),
    }


def _update_address(case: Case) -> Exchange:
    address = {"line1": f"{case.value('number')} {case.value('street')}", "city": case.value("city")}
    return {"order_id": _order(case), "address": address}, {"updated": True, "address": address}


def _check_stock(case: Case) -> Exchange:
    asked = {"product": f"{case.value('brand')} {case.value('product')}", "size": case.value("size")}
    return asked, {"in_stock": case.between(0, 14), "next_delivery": case.value("month")}


def _search_products(case: Case) -> Exchange:
    hits = [
        {
            "sku": f"{case.between(1000, 9999)}-{case.between(1, 9)}",
            "name": f"{case.value(brand)} {case.value('product')}",
        }
        for brand in ("brand", "brand2")
    ]
    return {"query": f"{case.value('product')} {case.value('color')}"}, {"hits": hits}


def _apply_coupon(case: Case) -> Exchange:
    verdict = case.random.choice(("valid", "expired", "excluded items", "minimum not reached"))
    return {"code": case.value("coupon")}, {"verdict": verdict, "percent": int(case.value("pct"))}


def _search_help_center(case: Case) -> Exchange:
    titles = (
        "Returns and exchanges",
        "When is my refund paid?",
        "Delivery times",
        "Codes and vouchers",
        "Your account",
    )
    hits = [
        {"title": title, "score": round(0.55 + 0.4 * case.random.random(), 3)}
        for title in case.random.sample(titles, 3)
    ]
    return {"query": case.random.choice(titles).lower()}, {"articles": hits}


def _payment_lookup(case: Case) -> Exchange:
    outcome = case.random.choice(("declined by issuer", "authentication failed", "reversed", "captured"))
    return {"amount": case.value("amount"), "method": case.value("card")}, {
        "attempts": case.between(1, 4), "last": outcome, "last4": case.value("last4"),
    }  # fmt: skip


def _reset_password(case: Case) -> Exchange:
    return {"email": case.value("email")}, {"sent": True, "valid_minutes": 60}


def _find_account(case: Case) -> Exchange:
    return {"email": case.value("email")}, {
        "customer": f"C{case.between(10_000, 99_999)}",
        "locked": case.random.random() < 0.3,
    }


def _send_invoice(case: Case) -> Exchange:
    return {"order_id": _order(case), "email": case.value("email")}, {
        "invoice": f"INV-{case.between(100_000, 999_999)}", "total": case.value("amount"),
    }  # fmt: skip


def _loyalty_balance(case: Case) -> Exchange:
    tier = case.random.choice(("bronze", "silver", "gold"))
    return {"email": case.value("email")}, {"points": int(case.value("points")), "tier": tier}


def _cancel_order(case: Case) -> Exchange:
    return {"order_id": _order(case)}, {"cancelled": case.random.random() < 0.85, "fee": 0}


def _create_claim(case: Case) -> Exchange:
    return {"order_id": _order(case), "item": case.value("product")}, {
        "claim": f"CL{case.between(1000, 9999)}", "resolution": case.random.choice(("replacement", "repair", "refund")),
    }  # fmt: skip


def _quote_trade_in(case: Case) -> Exchange:
    asked = {"brand": case.value("brand"), "item": case.value("product"), "age_years": int(case.value("n"))}
    return asked, {"credit": case.value("amount"), "valid_days": 30}


def _hand_over(case: Case) -> Exchange:
    return {"team": "second line"}, {
        "ticket": f"T-{case.between(10_000, 99_999)}",
        "position": case.between(1, 12),
    }


_EXCHANGES: dict[str, Callable[[Case], Exchange]] = {
    "get_order": _get_order,
    "track_shipment": _track_shipment,
    "create_return": _create_return,
    "refund_status": _refund_status,
    "update_address": _update_address,
    "check_stock": _check_stock,
    "search_products": _search_products,
    "apply_coupon": _apply_coupon,
    "search_help_center": _search_help_center,
    "payment_lookup": _payment_lookup,
    "reset_password": _reset_password,
    "find_account": _find_account,
    "send_invoice": _send_invoice,
    "loyalty_balance": _loyalty_balance,
    "cancel_order": _cancel_order,
    "create_claim": _create_claim,
    "quote_trade_in": _quote_trade_in,
    "hand_over": _hand_over,
}
