"""The intent model over weeks of labelled traffic: do ids stay, are new intents found, are trends told right?

Run: `python benchmarks/intent_stream.py --clinc PATH [--labels FILE.tsv …] [--refreshes 40] [--seeds 5]`, PATH the
folder with `data_small.json`. A bootstrap of 500 texts with 20 intents, then a refresh a day of 100–200 texts while 10
more intents arrive and others grow, decline, stop, return (`stream_scenario`). The models are made by the functions of
the daily fold. "re-cluster" groups the last four weeks anew every day; a group inherits the id that most of its members
had (F1 ≥ 0.3). Mean over seeds. CLINC150 with seeds 0–9 chose constants; the defaults are fresh seeds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from stream_scenario import FIRST, KNOWN, LEAST_TEXTS, NEW, Scenario, labelled, scenario, together

from insights_pipeline.intents.classify import Verdict
from insights_pipeline.intents.discovery.grouping import group
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.intents.life.refresh import first_draft, refreshed
from insights_pipeline.intents.life.window import WINDOW_DAYS
from insights_pipeline.intents.model import Model, learning, succeed
from insights_pipeline.intents.vectors import Texts, cosines, exact, unit

Answers = list[str | None]


@dataclass
class Course:
    """What a method answered: of the probe after every refresh, of each day's traffic, and when ids were born."""

    probe: list[Answers] = field(default_factory=list)
    traffic: list[Answers] = field(default_factory=list)
    boot: Answers = field(default_factory=list)
    living: list[set[str]] = field(default_factory=list)
    born: dict[str, int] = field(default_factory=dict)  # refresh, 0 is the bootstrap
    events: Counter[str] = field(default_factory=Counter)
    trends: dict[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0
    log: list[str] = field(default_factory=list)


def ours(stream: Scenario) -> Course:
    course = Course()
    space, name = stream.space, "stream"
    boot = together(stream.bootstrap)
    draft = first_draft(learning(0), boot, space=space, day=FIRST, seed=0)
    model = succeed(learning(0), draft, traces_seen=len(boot), space=name)
    course.boot = _given(model, boot.vectors)
    _record(course, model, stream, 0)
    seen = [*stream.bootstrap]
    verdicts: list[Verdict] = []
    version = ""
    for number, texts in enumerate(stream.days, 1):
        day = FIRST + timedelta(days=number)
        began = time.process_time()
        seen.append(texts)
        recent = seen[-WINDOW_DAYS:]
        classifier = model.classifier()
        if version != model.version:
            version, verdicts = model.version, [classifier.judge(one.vectors) for one in recent]
        else:
            verdicts = [*verdicts, classifier.judge(texts.vectors)][-WINDOW_DAYS:]
        parts = list(zip(recent, verdicts, strict=True))
        draft = refreshed(model, parts, classifier, space=space, day=day, seed=0)
        model = succeed(model, draft, traces_seen=0, space=name)
        course.seconds += time.process_time() - began
        course.log += [f"day {number}: {dict(event)}" for event in draft.events]
        course.events.update(str(event["kind"]) for event in draft.events)
        course.traffic.append(_given(model, texts.vectors))
        _record(course, model, stream, number)
    course.trends = {one.intent_id: one.trend for one in model.living}
    return course


def _record(course: Course, model: Model, stream: Scenario, refresh: int) -> None:
    course.probe.append(_given(model, stream.probe))
    course.living.append({one.intent_id for one in model.living})
    for one in model.living:
        course.born.setdefault(one.intent_id, refresh)


def _given(model: Model, vectors: np.ndarray) -> Answers:
    verdict = model.classifier().judge(vectors)
    unknown = float(model.thresholds["unknown"])
    pairs = zip(verdict.nearest.tolist(), verdict.score.tolist(), strict=True)
    return [None if score < unknown else model.columns[nearest] for nearest, score in pairs]


def recluster(stream: Scenario) -> Course:
    course = Course()
    centroids, ids = np.zeros((0, 1), dtype=np.float16), []
    boot = together(stream.bootstrap)
    seen: list[Texts] = [boot]
    for refresh in range(len(stream.days) + 1):
        began = time.process_time()
        if refresh:
            seen.append(stream.days[refresh - 1])
        # the bootstrap stays, or an intent that nobody asked for in four weeks would be forgotten
        recent = seen if len(seen) <= WINDOW_DAYS else [seen[0], *seen[1 - WINDOW_DAYS :]]
        vectors = np.concatenate([one.vectors for one in recent])
        found, _ = group([text for one in recent for text in one.texts], vectors, stream.space, seed=0)
        before = _nearest(centroids, ids, vectors) if ids else [None] * len(vectors)
        ids = _inherited(before, found.tolist(), refresh)
        members = [vectors[found == number].astype(np.float32).sum(axis=0) for number in range(len(ids))]
        centroids = unit(np.stack(members)).astype(np.float16)
        course.seconds += time.process_time() - began
        answers = _nearest(centroids, ids, seen[-1].vectors)
        if refresh:
            course.traffic.append(answers)
        else:
            course.boot = answers
        course.probe.append(_nearest(centroids, ids, stream.probe))
        course.living.append(set(ids))
        for one in ids:
            course.born.setdefault(one, refresh)
    return course


def _nearest(centroids: np.ndarray, ids: Sequence[str], vectors: np.ndarray) -> Answers:
    return [ids[place] for place in cosines(exact(vectors), exact(centroids)).argmax(axis=1).tolist()]


def _inherited(before: Answers, found: Sequence[int], refresh: int) -> list[str]:
    both = Counter((old, new) for old, new in zip(before, found, strict=True) if old is not None)
    olds, news = Counter(before), Counter(found)
    scored = sorted(
        ((2 * n / (olds[old] + news[new]), str(old), new) for (old, new), n in both.items()), reverse=True
    )
    ids: dict[int, str] = {}
    for score, old, new in scored:
        if score >= 0.3 and new not in ids and old not in ids.values():
            ids[new] = old
    return [ids.get(number, f"r{refresh}-{number}") for number in range(max(found) + 1)]


def measures(stream: Scenario, course: Course) -> dict[str, float]:
    """Figures of one stream; NaN where there was nothing to measure."""
    last = len(stream.days)
    churn = [np.mean([a != b for a, b in zip(x, y, strict=True)]) for x, y in _pairs(course.probe)]
    kept = [len(x & y) / len(x) for x, y in _pairs(course.living)]
    boot_gold = [stream.gold[one] for part in stream.bootstrap for one in part.ids]
    at_boot = majorities(course.boot, boot_gold)
    meant = dict(at_boot)
    later: dict[str, Counter[str]] = {}
    for number, (texts, answers) in enumerate(zip(stream.days, course.traffic, strict=True), 1):
        for trace_id, answer in zip(texts.ids, answers, strict=True):
            if answer is not None and number > course.born[answer]:
                later.setdefault(answer, Counter())[stream.gold[trace_id]] += 1
    newborn = {one for one in course.living[-1] if course.born[one] > 0}
    for one in newborn:
        if one in later:
            gold, count = later[one].most_common(1)[0]
            meant[one] = gold if count > later[one].total() / 2 else ""
    arrivals = {one: role.starts for one, role in stream.roles.items() if role.starts > 0}
    owners = {gold: [one for one in newborn if meant.get(one) == gold] for gold in arrivals}
    found = {
        gold: min(course.born[one] for one in ids) - arrivals[gold] for gold, ids in owners.items() if ids
    }
    # what had no id of its own when the stream began: a birth of anything else is false
    without = set(stream.roles) - set(at_boot.values())
    final = course.probe[-1]
    right = [meant.get(answer or "") == gold for answer, gold in zip(final, stream.probe_gold, strict=True)]
    is_new = [gold in arrivals for gold in stream.probe_gold]
    known = [(a, g) for a, g in zip(course.boot, boot_gold, strict=True) if a is not None]
    # ids whose meaning at the end, asked of the probe, is the one they began with
    at_end = majorities(final, stream.probe_gold)
    same = [at_end.get(one) == gold for one, gold in at_boot.items()]
    quality = agreement(stream.probe_gold, [answer or "unknown" for answer in final])
    returns = [
        _most(_of_gold(stream, course, gold, 0, role.away[0][0]))
        == _most(_of_gold(stream, course, gold, role.away[0][1], last))
        for gold, role in stream.roles.items()
        if role.kind in ("returning", "seasonal")
    ]
    judged = _trends(stream, course, meant)
    moving = [trend == answer for trend, answer in judged if trend != "stable"]
    alarms = [answer in ("growing", "declining") for trend, answer in judged if trend == "stable"]
    return {
        "id churn per refresh": float(np.mean(churn)),
        "id survival per refresh": float(np.mean(kept)),
        "bootstrap ids that mean the same at the end": float(np.mean(same)),
        "new intents found": len(found) / len(arrivals) if arrivals else np.nan,
        "days until found": float(np.mean(list(found.values()))) if found else np.nan,
        "ids per found new intent": sum(len(owners[one]) for one in found) / len(found) if found else np.nan,
        "false births": float(sum(meant.get(one, "") not in without for one in newborn)),
        "final NMI": quality.nmi,
        "final ARI": quality.ari,
        "accuracy of new": _mean([ok for ok, new in zip(right, is_new, strict=True) if new]),
        "accuracy of old": _mean([ok for ok, new in zip(right, is_new, strict=True) if not new]),
        "purity ceiling (bootstrap)": agreement([g for _, g in known], [a for a, _ in known]).purity,
        "returns under the old id": _mean(returns),
        "trends found": _mean(moving) if course.trends else np.nan,
        "trend false alarms": _mean(alarms) if course.trends else np.nan,
        "splits": float(course.events["split"]),
        "merges": float(course.events["merged"]),
        "living intents at the end": float(len(course.living[-1])),
        "CPU s per refresh": course.seconds / last,
    }


def _trends(stream: Scenario, course: Course, meant: dict[str, str]) -> list[tuple[str, str | None]]:
    """The true trend and the one told, of every id that was nearly one intent in the last 30 days.

    An id that holds two intents of which one stopped does decline, whatever the other does.
    """
    held: dict[str, Counter[str]] = {}
    for texts, answers in zip(stream.days[-30:], course.traffic[-30:], strict=True):
        for trace_id, answer in zip(texts.ids, answers, strict=True):
            held.setdefault(answer or "", Counter())[stream.gold[trace_id]] += 1
    judged = []
    for one, told in sorted(course.trends.items()):
        gold = meant.get(one, "")
        trend = stream.roles[gold].trend if gold in stream.roles else None
        if trend is not None and one in held and held[one][gold] >= 0.8 * held[one].total():
            judged.append((trend, told))
    return judged


def majorities(answers: Answers, gold: Sequence[str]) -> dict[str, str]:
    """The gold intent that most traces of every id have."""
    counts: dict[str, Counter[str]] = {}
    for answer, one in zip(answers, gold, strict=True):
        if answer is not None:
            counts.setdefault(answer, Counter())[one] += 1
    return {one: count.most_common(1)[0][0] for one, count in counts.items()}


def _of_gold(stream: Scenario, course: Course, gold: str, first: int, until: int) -> Answers:
    days = zip(stream.days[first:until], course.traffic[first:until], strict=True)
    return [
        a
        for texts, answers in days
        for i, a in zip(texts.ids, answers, strict=True)
        if stream.gold[i] == gold
    ]


def _most(answers: Answers) -> str | None:
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def _pairs(items: Sequence[Any]) -> itertools.pairwise[tuple[Any, Any]]:
    return itertools.pairwise(items)


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")


GOALS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "id churn per refresh": ("≤ 3 %", lambda value: value <= 0.03),
    "id survival per refresh": ("≥ 97 %", lambda value: value >= 0.97),
    "new intents found": ("≥ 70 %", lambda value: value >= 0.7),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clinc", type=Path, help="folder with CLINC150's data_small.json")
    parser.add_argument(
        "--labels", type=Path, nargs="*", default=[], help="files of text<TAB>label with a heading"
    )
    parser.add_argument("--refreshes", type=int, default=40, help="days after the bootstrap")
    parser.add_argument("--per-day", type=int, default=120)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--log", action="store_true", help="print every event")
    options = parser.parse_args()
    methods = {"ours": ours} if options.only_ours else {"ours": ours, "re-cluster": recluster}
    for name, by_intent in labelled(options.clinc, options.labels).items():
        print(f"\n{name}: {options.refreshes} refreshes, {options.seeds} seeds from {options.first_seed}")
        if sum(len(texts) >= LEAST_TEXTS for texts in by_intent.values()) < KNOWN + NEW:
            print(f"needs {KNOWN + NEW} intents of {LEAST_TEXTS} texts")
            continue
        results: dict[str, list[dict[str, float]]] = {}
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for changing in (True, False):
                stream = scenario(
                    by_intent, days=options.refreshes, per_day=options.per_day, seed=seed, changing=changing
                )
                for method, run in methods.items() if changing else [("ours, nothing changes", ours)]:
                    course = run(stream)
                    results.setdefault(method, []).append(measures(stream, course))
                    if options.log:
                        print(f"seed {seed}, {method}", *course.log, sep="\n  ")
        report(results)


def report(results: dict[str, list[dict[str, float]]]) -> None:
    print(f"{'':<46}" + "".join(f"{method:>24}" for method in results))
    for key in next(iter(results.values()))[0]:
        cells = []
        for rows in results.values():
            values = np.array([row[key] for row in rows], dtype=float)
            cells.append("–" if np.isnan(values).all() else f"{np.nanmean(values):.3f}")
        line = f"{key:<46}" + "".join(f"{cell:>24}" for cell in cells)
        if key in GOALS:
            goal, met = GOALS[key]
            value = float(np.mean([row[key] for row in results["ours"]]))
            line += f"   goal {goal}: {'met' if met(value) else 'not met'}"
        print(line)


if __name__ == "__main__":
    main()
