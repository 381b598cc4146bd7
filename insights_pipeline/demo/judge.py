"""The judge of a finished demo: what the pipeline told, against what was injected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from insights_pipeline.demo.incidents import Incident
from insights_pipeline.demo.lines import OPEN, Line, Match, lines_of, majority, match
from insights_pipeline.demo.truth import Truth, read_truth
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.lake import DayRange, Engine, Lake, Slice

ALLOWED_NOT_INJECTED = 1
LEAST_NMI = 0.80
_ITEM_COLUMNS = (
    "date", "item_id", "intent_id", "metric", "direction", "state", "effect", "onset", "onset_first", "onset_last",
    "explanation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grouping:
    """Found against planted intents, from the first day with an intent on; `nmi_known` leaves unknown traces out."""

    first_day: date | None
    traces: int
    unknown: int
    found: int
    planted: int
    covered: int  # planted intents that are the majority of at least one found intent
    nmi: float
    nmi_known: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """`unmentioned` are incidents whose line is open at the end and whose intent the last brief does not name."""

    days: DayRange
    matches: tuple[Match, ...]
    not_injected: tuple[Line, ...]
    unmentioned: tuple[Incident, ...]
    grouping: Grouping

    @property
    def found(self) -> int:
        return sum(one.found for one in self.matches)

    @property
    def explained(self) -> int:
        """Incidents with the right carrier and start."""
        return sum(one.explained for one in self.matches)

    @property
    def passed(self) -> bool:
        return (
            self.found == len(self.matches)
            and len(self.not_injected) <= ALLOWED_NOT_INJECTED
            and all(one.explained for one in self.matches)
            and not self.unmentioned
            and self.grouping.nmi >= LEAST_NMI
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values; days as ISO text."""
        return {
            "passed": self.passed,
            "incidents": [
                {
                    "id": one.incident.id,
                    "found": one.found,
                    "days_to_find": one.days_to_find,
                    "lines": [line.item_id for line in one.lines],
                    "explained": one.explained,
                    "best": None if one.best is None else _plain(asdict(one.best)),
                    "onset_off": None if one.best is None else one.days_off(one.best),
                }
                for one in self.matches
            ],
            "not_injected": [_plain(asdict(line)) for line in self.not_injected],
            "unmentioned": [one.id for one in self.unmentioned],
            "grouping": _plain(asdict(self.grouping)),
        }


def judge(finished: Engine | Lake, folder: Path) -> Verdict:
    """Compare the tables of a finished run with the truth in `folder` (or `folder/truth`)."""
    lake = finished if isinstance(finished, Lake) else finished.lake
    truth = read_truth(folder)
    labels, first_day = _labels(lake, truth)
    planted = majority((found, truth.planted[trace]) for trace, found in labels.items() if found is not None)
    items = lake.read(Slice("drift_items", truth.days, _ITEM_COLUMNS)).to_pylist()
    matches, not_injected = match(truth.incidents, lines_of(items, planted))
    return Verdict(
        days=truth.days,
        matches=matches,
        not_injected=not_injected,
        unmentioned=_unmentioned(lake, truth.days.last, matches),
        grouping=_grouping(truth, labels, planted, first_day),
    )


def render(verdict: Verdict) -> list[str]:
    """The verdict for a person; the last line holds the figures."""
    grouping = verdict.grouping
    lines = [f"Injected incidents, {verdict.days}:"]
    lines += [f"  {_told(one)}" for one in verdict.matches]
    if verdict.not_injected:
        lines.append("Lines that were not injected:")
        lines += [
            f"  {line.shown} {line.planted or 'unseen intent'} ({line.intent_id}): {line.metric} {line.direction}"
            for line in verdict.not_injected
        ]
    lines += [
        f"The brief of {verdict.days.last} does not name {one.intent} ({one.id})"
        for one in verdict.unmentioned
    ]
    lines.append(
        f"Intents since {grouping.first_day}: {grouping.covered} of {grouping.planted} planted ones have a found one; "
        f"NMI {grouping.nmi:.3f} over {grouping.traces:,} traces, {grouping.nmi_known:.3f} "
        f"without the {grouping.unknown:,} of no known intent"
    )
    lines.append(
        f"judge: {'PASS' if verdict.passed else 'FAIL'} incidents {verdict.found}/{len(verdict.matches)}, "
        f"carrier and start {verdict.explained}/{len(verdict.matches)}, "
        f"not injected {len(verdict.not_injected)} (allowed {ALLOWED_NOT_INJECTED}), "
        f"intents {grouping.found} found / {grouping.planted} planted, NMI {grouping.nmi:.2f}"
    )
    return lines


def _labels(lake: Lake, truth: Truth) -> tuple[dict[str, str | None], date | None]:
    """Found intent of every planted trace, without the days before the first one with an intent; and that day.

    A trace that the pipeline lost counts as unknown.
    """
    rows = lake.read(Slice("trace_intents", truth.days, ("date", "trace_id", "intent_id"))).to_pydict()
    days = [day for day, found in zip(rows["date"], rows["intent_id"], strict=True) if found is not None]
    first_day = min(days, default=None)
    labels: dict[str, str | None] = dict.fromkeys(truth.planted)
    for day, trace, found in zip(rows["date"], rows["trace_id"], rows["intent_id"], strict=True):
        if first_day is None or day >= first_day:
            if trace in labels:
                labels[trace] = found
        else:
            labels.pop(trace, None)
    return labels, first_day


def _grouping(
    truth: Truth, labels: Mapping[str, str | None], majorities: Mapping[str, str], first_day: date | None
) -> Grouping:
    pairs = [(intent, labels[trace]) for trace, intent in truth.planted.items() if intent and trace in labels]
    known = [(intent, found) for intent, found in pairs if found is not None]
    planted = {intent for intent, _ in pairs}
    return Grouping(
        first_day=first_day,
        traces=len(pairs),
        unknown=len(pairs) - len(known),
        found=len({found for _, found in known}),
        planted=len(planted),
        covered=len(planted & set(majorities.values())),
        nmi=_nmi(pairs),
        nmi_known=_nmi(known),
    )


def _nmi(pairs: Sequence[tuple[str, str | None]]) -> float:
    """Normalised mutual information, arithmetic mean; 0 where there is nothing to compare."""
    if not pairs or all(found is None for _, found in pairs):
        return 0.0
    return agreement([planted for planted, _ in pairs], [found for _, found in pairs]).nmi


def _unmentioned(lake: Lake, last: date, matches: Sequence[Match]) -> tuple[Incident, ...]:
    day = DayRange.single(last)
    names = lake.read(Slice("intents", day, ("intent_id", "name"))).to_pydict()
    name_of = dict(zip(names["intent_id"], names["name"], strict=True))
    briefs = lake.read(Slice("briefs", day, ("headline", "markdown"), cadence="daily")).to_pylist()
    said = " ".join(str(text) for brief in briefs for text in brief.values()).replace("\\", "")
    missing = []
    for one in matches:
        still_open = [line for line in one.lines if line.last_seen == last and line.last_state in OPEN]
        named = (" ".join(name_of.get(line.intent_id, line.intent_id).split()) in said for line in still_open)
        if still_open and not any(named):
            missing.append(one.incident)
    return tuple(missing)


def _told(one: Match) -> str:
    what = (
        f"{one.incident.id}: {one.incident.intent} {'/'.join(one.incident.metrics)} {one.incident.direction}"
    )
    if one.days_to_find is None:
        return f"MISSED {what}, from {one.incident.first_day}"
    how_soon = f"{one.days_to_find} day{'s' * (one.days_to_find != 1)} after its start"
    lines = f"{len(one.lines)} line{'s' * (len(one.lines) != 1)}"
    return f"{'found ' if one.found else 'LATE  '} {what}, told {how_soon}, {lines}; {_explained(one)}"


def _explained(one: Match) -> str:
    """What the best line says of carrier and start, beside the truth."""
    line = one.best
    assert line is not None
    if one.incident.carriers is None:
        carrier = "no carrier to name"
    else:
        right = "carrier ok" if one.carrier_ok(line) else "carrier WRONG"
        named = [f"{dimension} {value}" for dimension, value in line.carriers]
        named += [f"with {dimension} {value}" for dimension, value in line.coincident]
        carrier = f"{right} ({', '.join(named) or 'none named'})"
    off = one.days_off(line)
    if off is None:
        return f"{carrier}, onset not told"
    start = f"onset {'off by ' if one.onset_ok(line) else 'WRONG by '}{off:+d}"
    if line.onset_first and line.onset_last:
        start += f" (95 % {line.onset_first} – {line.onset_last})"
    return f"{carrier}, {start}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, date) else value for name, value in values.items()}
