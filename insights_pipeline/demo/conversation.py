"""What is said in one request: the user's turns and the agent's answer."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from insights_pipeline.demo.arrivals import Request
from insights_pipeline.demo.customers import Customers
from insights_pipeline.demo.phrases import compile_template, load_phrases, load_shared
from insights_pipeline.demo.wording import Case, off_topic, opening, write
from insights_pipeline.demo.world import OFF_TOPIC

_POLITE_START = (
    "Thanks for reaching out. ",
    "Thank you for your patience. ",
    "Of course. ",
    "Happy to help! ",
    "",
    "",
    "",
)
_POLITE_END = (
    " Is there anything else I can do for you?",
    " Just reply here if something is unclear.",
    " Have a great day!",
    "",
    "",
)
_OFF_TOPIC_ANSWERS = tuple(
    map(
        compile_template,
        (
            "I'm the support assistant of Northwind Outfitters, so I can't help with that, I'm afraid.",
            "That is outside of what I can do: I only look after orders, products and accounts of our shop.",
            "I'd rather stick to what I know, which is our shop. Is there an order or a product I can help you with?",
            "Thank you for your message. For requests like this please write to our office, they will reply soon.",
        ),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversation:
    """`turns` are the user's: what they want, and perhaps a second message sent while the agent is at work."""

    case: Case
    turns: tuple[str, ...]

    def answer(self, request: Request, *, failed: bool) -> str:
        """An answer of about the length that was drawn for the request; a `failed` one admits that a tool is broken."""
        case, random = self.case, self.case.random
        if request.intent is OFF_TOPIC:
            return case.say(case.pick(_OFF_TOPIC_ANSWERS))
        phrases = load_phrases(request.intent.name)
        leads = phrases.failure if failed and phrases.failure else phrases.answers
        text = random.choice(_POLITE_START) + case.say(case.pick(leads))
        more = list(phrases.sentences)
        random.shuffle(more)
        while more and len(text) + 45 < request.answer_chars:
            text += " " + case.say(more.pop())
        return text + random.choice(_POLITE_END)


def converse(request: Request, customers: Customers, random: Random) -> Conversation:
    """What a customer writes for this request."""
    shared, style = load_shared(), customers.styles[request.user]
    currency = customers.tenant(request.user).currency
    if request.intent is OFF_TOPIC:
        case = Case(random, (shared.slots,), currency)
        return Conversation(case, (off_topic(case, shared, style),))
    phrases = load_phrases(request.intent.name)
    case = Case(random, (phrases.slots, shared.slots), currency)
    first = opening(case, phrases, shared, style)
    if not request.follow_up:
        return Conversation(case, (first,))
    follow_up = write(case.say(case.pick(phrases.followups)), random, style)
    return Conversation(case, (first, follow_up))
