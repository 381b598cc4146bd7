"""How people write: a case holds the values of one conversation, a style the habits of one person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from insights_pipeline.demo.phrases import Phrases, Shared, Slot, Template

# Keys that lie beside each other on a keyboard: what a finger hits instead.
_NEIGHBOURS = {
    "a": "sqz", "b": "vng", "c": "xvd", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gjy", "i": "uok",
    "j": "hku", "k": "jli", "l": "kop", "m": "nj", "n": "bmh", "o": "ipl", "p": "ol", "q": "wa", "r": "etf",
    "s": "adw", "t": "ryg", "u": "yij", "v": "cbf", "w": "qes", "x": "zcs", "y": "tuh", "z": "xa",
}  # fmt: skip
_KEPT_CAPITAL = ("I ", "I'", "NW")


@dataclass(frozen=True, slots=True)
class Style:
    """Habits of one person. `typos` is errors per character."""

    typos: float
    polite: float
    lower: bool
    bare: bool  # leaves out final punctuation and most commas


def draw_style(random: Random) -> Style:
    """A person: most type carefully, one in ten badly, one in five without capitals."""
    level = random.random()
    return Style(
        typos=0.001 if level < 0.55 else 0.005 if level < 0.9 else 0.018,
        polite=random.betavariate(1.6, 2.2),
        lower=random.random() < 0.2,
        bare=random.random() < 0.18,
    )


class Case:
    """The values of one conversation: the same `{order}` in the opening, the tool call and the answer."""

    __slots__ = ("_currency", "_pools", "random", "values")

    def __init__(self, random: Random, pools: Sequence[Mapping[str, tuple[Template, ...]]], currency: str):
        self.random = random
        self.values: dict[str, str] = {}
        self._pools = pools
        self._currency = currency

    def value(self, slot: str) -> str:
        """The value of a slot, drawn on first use. Raises KeyError for a slot that no file defines."""
        if slot not in self.values:
            self.values[slot] = self._draw(slot)
        return self.values[slot]

    def say(self, template: Template) -> str:
        said = []
        for part in template:
            if isinstance(part, str):
                said.append(part)
            elif isinstance(part, Slot):
                said.append(self.value(part.name))
            else:
                said.append(self.say(self.pick(part.options)))
        return "".join(said)

    def pick(self, templates: Sequence[Template]) -> Template:
        return templates[int(self.random.random() * len(templates))]

    def _draw(self, slot: str) -> str:
        if slot in ("products", "animals"):
            one = self.value(slot[:-1])
            return one if one.endswith("s") else f"{one}s"
        base = slot.rstrip("2")
        for pool in self._pools:
            if base in pool:
                return self._other_than(self.values.get(base), pool[base])
        return _GENERATED[base](self)

    def _other_than(self, taken: str | None, values: Sequence[Template]) -> str:
        said = self.say(self.pick(values))
        while said == taken:
            said = self.say(self.pick(values))
        return said

    def between(self, low: int, high: int) -> int:
        return low + int(self.random.random() * (high - low + 1))

    def amount(self) -> str:
        cents = self.random.choice((".00", ".50", ".90", ".95", ".99", ""))
        return f"{self._currency}{int(self.random.lognormvariate(4.2, 0.7)) + 4}{cents}"

    def email(self) -> str:
        host = self.random.choice(
            ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "proton.me", "hotmail.co.uk")
        )
        return (
            f"{self.value('name').lower()}{self.random.choice(('.', '_', ''))}{self.between(1, 989)}@{host}"
        )


_GENERATED: dict[str, Callable[[Case], str]] = {
    "order": lambda case: f"{case.random.choice(('NW-', 'NW', '#', ''))}{case.between(100_000, 999_999)}",
    "amount": Case.amount,
    "email": Case.email,
    "n": lambda case: str(case.between(2, 9)),
    "number": lambda case: str(case.between(1, 240)),
    "pct": lambda case: case.random.choice(("5", "10", "15", "20", "25", "30")),
    "points": lambda case: str(case.between(4, 190) * 25),
    "height": lambda case: str(case.between(155, 196)),
    "weight": lambda case: str(case.between(52, 104)),
    "last4": lambda case: f"{case.between(0, 9999):04d}",
    "err": lambda case: f"{case.random.choice(('E', 'PAY-', ''))}{case.between(102, 915)}",
    "po": lambda case: f"PO-{case.between(1000, 99_999)}",
}  # fmt: skip


def opening(case: Case, phrases: Phrases, shared: Shared, style: Style) -> str:
    """A first message: perhaps a greeting, what they want, perhaps more of the story, perhaps a goodbye."""
    random = case.random
    core = case.say(case.pick(phrases.openings))
    if random.random() < 0.36:
        core = _sentences(core, case.say(case.pick(phrases.details)), detail_first=random.random() < 0.2)
    return write(_with_manners(core, case, shared, style), random, style)


def off_topic(case: Case, shared: Shared, style: Style) -> str:
    """A message that has nothing to do with the shop."""
    core = case.say(case.pick(shared.off_topic))
    return write(_with_manners(core, case, shared, style), case.random, style)


def write(text: str, random: Random, style: Style) -> str:
    """The text as this person types it: capitals, punctuation, slips of the finger."""
    if style.bare:
        text = text.rstrip(".!").replace(", ", " " if random.random() < 0.6 else ", ")
    if style.lower:
        text = text.lower()
    return _with_typos(text, random, style.typos)


def _with_manners(core: str, case: Case, shared: Shared, style: Style) -> str:
    random = case.random
    if random.random() < style.polite:
        greeting = case.say(case.pick(shared.openers))
        runs_on = greeting[-1] in ",:o"
        core = f"{greeting} {_lower_first(core) if runs_on else core}"
    if random.random() < 0.75 * style.polite:
        core = _sentences(core, case.say(case.pick(shared.closers)), detail_first=False)
    return core


def _sentences(core: str, more: str, *, detail_first: bool) -> str:
    first, second = (more, core) if detail_first else (core, more)
    return f"{first} {second}" if first[-1] in ".!?" else f"{first}. {second}"


def _lower_first(text: str) -> str:
    keeps = text.startswith(_KEPT_CAPITAL) or text[1:2].isupper()
    return text if keeps else text[:1].lower() + text[1:]


def _with_typos(text: str, random: Random, rate: float) -> str:
    slips = int(rate * len(text) + random.random())
    for _ in range(slips):
        at = int(random.random() * len(text))
        letter = text[at].lower()
        if letter not in _NEIGHBOURS:
            continue
        kind = random.random()
        if kind < 0.4:
            text = text[:at] + random.choice(_NEIGHBOURS[letter]) + text[at + 1 :]
        elif kind < 0.7:
            text = text[:at] + text[at + 1 :]
        elif kind < 0.85:
            text = text[:at] + text[at] + text[at:]
        else:
            text = text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    return text
