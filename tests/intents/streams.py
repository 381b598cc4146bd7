"""Labelled streams of traces for the tests: requests in varied wording, in the shape of the `traces` table."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from insights_pipeline.lake import DayRange, rows_to_table

FIRST = date(2026, 3, 2)

_PARTS: dict[str, tuple[list[str], list[str]]] = {
    "order": (
        ["where is", "can you track", "what happened to", "i am still waiting for", "when will i receive"],
        ["my order", "my parcel", "the package i ordered", "my delivery", "the shipment", "my purchase"],
    ),
    "refund": (
        ["i want a refund for", "how do i get my money back for", "please reimburse me for", "refund me for"],
        [
            "the broken lamp",
            "these shoes",
            "the damaged chair",
            "a faulty kettle",
            "this jacket",
            "the toaster",
        ],
    ),
    "password": (
        ["i forgot", "how can i reset", "please unlock", "i cannot remember", "help me change"],
        ["my password", "my login password", "the password of my account", "my sign in code", "my passcode"],
    ),
    "invoice": (
        ["send me", "where do i download", "i need a copy of", "can you email me", "there is an error on"],
        ["my invoice", "the invoice for march", "last month's bill", "my billing statement", "a tax receipt"],
    ),
    "address": (
        ["i moved, please update", "how do i change", "i want to correct", "there is a typo in", "replace"],
        ["my shipping address", "my street address", "my postal address", "the delivery address on file"],
    ),
    "loyalty": (
        ["how many", "when do i get", "why did i lose", "how do i redeem", "can i transfer"],
        ["loyalty points", "reward points", "bonus points", "my membership points", "points on my gold card"],
    ),
}
_OPENERS = ["", "", "hi, ", "hello there, ", "good morning, ", "hey "]
_CLOSERS = ["", "", " please", " today", " as soon as possible", " for my sister", " if that is possible"]


def wording(intent: str, rng: random.Random) -> str:
    """One of some hundreds of ways to ask for an intent."""
    verbs, things = _PARTS[intent]
    return f"{rng.choice(_OPENERS)}{rng.choice(verbs)} {rng.choice(things)}{rng.choice(_CLOSERS)}"


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows of `traces`, the intent each was written for, and the days."""

    traces: pa.Table
    planted: Mapping[str, str]
    days: DayRange


def stream(
    days: int, per_day: int, *, seed: int = 0, new: str | None = None, new_from: int = 0, new_per_day: int = 25,
    intents: Sequence[str] = ("order", "refund", "password", "invoice", "address"),
) -> Stream:  # fmt: skip
    """`per_day` traces of uneven intents a day; from day `new_from` on another intent is added."""
    rng = random.Random(seed)
    weights = [1 / (1 + place) for place in range(len(intents))]
    rows: list[dict[str, object]] = []
    planted: dict[str, str] = {}
    for offset in range(days):
        of_day = rng.choices(intents, weights, k=per_day)
        if new is not None and offset >= new_from:
            of_day += [new] * new_per_day
        for number, intent in enumerate(of_day):
            trace_id = f"{rng.randrange(16**8):08x}-{offset}-{number}"
            planted[trace_id] = intent
            rows.append(trace(FIRST + timedelta(days=offset), trace_id, wording(intent, rng)))
    return Stream(rows_to_table("traces", rows), planted, DayRange(FIRST, FIRST + timedelta(days=days - 1)))


def trace(day: date, trace_id: str, text: str | None, *, evaluation: bool = False) -> dict[str, object]:
    return {"date": day, "trace_id": trace_id, "user_text": text, "is_evaluation": evaluation}
