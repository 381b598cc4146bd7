"""The figures of `benchmarks/intents.py` as plain text: means over samples, ± is their standard deviation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from intent_later import Later
from intent_quality import OURS, TRUE_K, Score
from intent_samples import FULL_TEXTS
from intent_speed import Speed
from intent_stability import SAME_DATA, Stability

ALL = "all"  # the setting of a sample that is all texts of a set
_LATER = (
    "k_ratio", "accuracy", "ceiling", "auroc_out_of_scope", "auroc_withheld", "false_unknown", "nominal_unknown",
    "out_of_scope_unknown", "withheld_unknown",
)  # fmt: skip
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Duel:
    """Ours against one peer on the same samples: wins of each in NMI and ARI, differences (ours minus theirs)."""

    peer: str
    samples: int
    nmi_wins: int
    ari_wins: int
    nmi: float
    ari: float
    worst_nmi: float


def duels(scores: Iterable[Score]) -> list[Duel]:
    """Ours against every peer, on the samples that both have a score of. A tie is nobody's win."""
    by_method: dict[str, dict[tuple[str, str, str, int], Score]] = {}
    for one in scores:
        by_method.setdefault(one.method, {})[(one.source, one.setting, one.space, one.seed)] = one
    ours = by_method.pop(OURS, {})
    found = []
    for peer, theirs in by_method.items():
        pairs = [(ours[key], other) for key, other in theirs.items() if key in ours]
        nmi = [mine.nmi - other.nmi for mine, other in pairs]
        ari = [mine.ari - other.ari for mine, other in pairs]
        wins = (sum(gain > 0 for gain in nmi), sum(gain > 0 for gain in ari))
        found.append(Duel(peer, len(pairs), *wins, fmean(nmi), fmean(ari), min(nmi)))
    return found


def grouped(items: Iterable[_T], key: Callable[[_T], tuple[str, ...]]) -> dict[tuple[str, ...], list[_T]]:
    """Items by key, in the order in which keys first appear."""
    found: dict[tuple[str, ...], list[_T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def quality_table(scores: Sequence[Score]) -> list[str]:
    """Every setting of every set and space: each method, and how often ours wins against it."""
    lines = []
    for (space, source), of_set in grouped(scores, lambda one: (one.space, one.source)).items():
        lines += ["", f"Quality, {source}, space {space}"]
        head = f"{'':<15}{'NMI':>14}{'ARI':>14}{'k/K':>7}{'purity':>8}"
        lines.append(head + "   wins NMI  ARI   mean dNMI  dARI   worst dNMI")
        for (setting,), of_setting in grouped(of_set, lambda one: (one.setting,)).items():
            mine = [one for one in of_setting if one.method == OURS]
            size = f"{fmean(one.texts for one in mine):.0f} texts, {mine[0].intents} intents"
            lines.append(f"{setting} ({size}, {_count(len(mine), 'sample')})")
            against = {duel.peer: duel for duel in duels(of_setting)}
            for (method,), of_method in grouped(of_setting, lambda one: (one.method,)).items():
                lines.append(_method_line(method, of_method) + _duel_cells(against.get(method)))
    return lines


def _method_line(method: str, scores: Sequence[Score]) -> str:
    nmi, ari = (_spread([getattr(one, name) for one in scores]) for name in ("nmi", "ari"))
    k, purity = fmean(one.k_ratio for one in scores), fmean(one.purity for one in scores)
    return f"  {method:<13}{nmi:>14}{ari:>14}{k:7.2f}{purity:8.3f}"


def _duel_cells(duel: Duel | None) -> str:
    if duel is None:
        return ""
    wins = f"{duel.nmi_wins}/{duel.samples}", f"{duel.ari_wins}/{duel.samples}"
    return f"   {wins[0]:>8}{wins[1]:>6}{duel.nmi:+11.3f}{duel.ari:+7.3f}{duel.worst_nmi:+12.3f}"


def wins_table(scores: Sequence[Score]) -> list[str]:
    """Wins over all samples, and where ours is furthest behind KMeans that is told the true number."""
    small = f"fewer than {FULL_TEXTS} texts"
    lines = ["", f"Wins over all samples of {FULL_TEXTS} texts or more, and of {small}"]
    for (space, size), of in grouped(scores, lambda one: (one.space, _size(one))).items():
        name = f"{space}{' small' if size else ''}"
        for duel in duels(of):
            counted = f"NMI {duel.nmi_wins}/{duel.samples}, ARI {duel.ari_wins}/{duel.samples}"
            lines.append(
                f"  {name:<16} {duel.peer:<14} {counted:<26} mean {duel.nmi:+.3f} NMI, {duel.ari:+.3f} ARI; "
                f"worst sample {duel.worst_nmi:+.3f} NMI"
            )
        worst = worst_setting(of)
        if worst:
            lines.append(
                f"  {name:<16} furthest behind {TRUE_K}, mean of a set's setting: {worst[1]:+.3f} NMI ({worst[0]})"
            )
    return lines


def _size(one: Score) -> str:
    return "" if one.texts >= FULL_TEXTS else "small"


def worst_setting(scores: Sequence[Score]) -> tuple[str, float] | None:
    """The set and setting with the lowest mean difference in NMI against KMeans with the true number."""
    gains = []
    for (source, setting), of in grouped(scores, lambda one: (one.source, one.setting)).items():
        gains += [(f"{source} {setting}", duel.nmi) for duel in duels(of) if duel.peer == TRUE_K]
    return min(gains, key=lambda one: one[1], default=None)


def languages_table(scores: Sequence[Score]) -> list[str]:
    """One row a labelled file, all its texts, by language; and the mean difference of every language."""
    lines = []
    whole = [one for one in scores if one.setting == ALL]
    for (space,), of_space in grouped(whole, lambda one: (one.space,)).items():
        peers = list(dict.fromkeys(one.method for one in of_space if one.method != OURS))
        lines += ["", f"Languages, space {space}: all texts of each file, NMI and ARI"]
        head = f"{'':<8}{'set':<26}{'texts':>6}{'K':>4}{OURS + ' (k/K)':>20}"
        lines.append(head + "".join(f"{peer:>16}" for peer in peers))
        rows = sorted(
            grouped(of_space, lambda one: (one.language or "?", one.source)).items(), key=lambda of: of[0]
        )
        for (language, source), of_file in rows:
            by_method = {one.method: one for one in of_file}
            mine = by_method[OURS]
            told = f"{mine.nmi:.3f} {mine.ari:.3f} ({mine.k_ratio:.2f})"
            line = f"  {language:<6}{source[:25]:<26}{mine.texts:6}{mine.intents:4}{told:>20}"
            lines.append(line + "".join(_pair(by_method.get(peer)) for peer in peers))
        for duel in duels(of_space):
            lines.append(
                f"  against {duel.peer}: ahead in {duel.nmi_wins} of {_count(duel.samples, 'file')} in NMI "
                f"(mean {duel.nmi:+.3f}), in {duel.ari_wins} in ARI (mean {duel.ari:+.3f})"
            )
    return lines


def _pair(one: Score | None) -> str:
    return f"{'failed':>16}" if one is None else f"{one.nmi:10.3f} {one.ari:.3f}"


def stability_table(found: Sequence[Stability]) -> list[str]:
    """ARI of two runs: the same texts with another seed; disjoint samples that judge the texts of a third."""
    if not found:
        return []
    lines = ["", "Stability (ARI of two runs)"]
    for key, of in grouped(found, lambda one: (one.source, one.setting, one.space, one.kind)).items():
        cells = (
            f"{method} {_spread([one.ari for one in of_method])}"
            for (method,), of_method in grouped(of, lambda one: (one.method,)).items()
        )
        told = "same data, other seed" if key[3] == SAME_DATA else "disjoint samples, a third judged"
        lines.append(f"  {' '.join(key[:2]):<28}{key[2]:<11}{told:<34}{'   '.join(cells)}")
    return lines


def later_table(found: Sequence[Later]) -> list[str]:
    """Accuracy beside its ceiling, and what is called unknown."""
    if not found:
        return []
    lines = [
        "",
        "Later traffic: accuracy beside purity, its ceiling; AUROC of the unknown score; shares called unknown",
    ]
    head = f"{'':<38}{'k/K':>5}{'accuracy':>9}{'ceiling':>8}{'AUROC: oos':>12}{'withheld':>9}"
    lines.append(head + f"{'unknown: known (nominal)':>26}{'oos':>6}{'withheld':>9}")
    for key, of in grouped(found, lambda one: (one.source, one.setting, one.space)).items():
        figures = [one.figures for one in of]
        means = {name: _mean([getattr(one, name) for one in figures]) for name in _LATER}
        known = f"{_share(means['false_unknown'])} ({_share(means['nominal_unknown'])})"
        name = f"  {' '.join(key[:2])[:25]:<25} {key[2]:<10}{means['k_ratio'] or 0:5.2f}"
        right = f"{_cell(means['accuracy']):>9}{_cell(means['ceiling']):>8}"
        areas = f"{_cell(means['auroc_out_of_scope']):>12}{_cell(means['auroc_withheld']):>9}"
        strange = f"{_share(means['out_of_scope_unknown']):>6}{_share(means['withheld_unknown']):>9}"
        lines.append(f"{name}{right}{areas}{known:>26}{strange}")
    return lines


def speed_table(found: Sequence[Speed]) -> list[str]:
    """What a bootstrap of each size costs, and rates."""
    if not found:
        return []
    lines = ["", "Bootstraps, one core, each in a fresh process"]
    for one in found:
        lines.append(
            f"  {one.space:<10} of {one.texts:>5,}: {one.cpu_seconds:5.2f} CPU s, {one.peak_mib:4.0f} MiB peak, "
            f"{one.intents} intents; per CPU second {one.embedded_per_second:,.0f} short texts embedded, "
            f"{one.classified_per_second:,.0f} classified"
        )
    return lines


def _spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}        "


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
