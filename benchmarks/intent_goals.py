"""The goals that intent discovery was given, each met or not met by the figures of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from intent_later import Later
from intent_quality import OURS, Score
from intent_samples import FULL_TEXTS
from intent_speed import Speed
from intent_stability import DISJOINT, SAME_DATA, Stability
from intent_tables import duels, grouped, worst_setting

SPACE = "wordllama"  # the default, which the goals are for
_QUALITY = {"500/30": (0.82, 0.60), "2000/60": (0.79, 0.52), "500/8": (0.81, 0.74)}
_FOUND = {"500/5": (0.0, 3.0), "500/8": (0.0, 1.8), "500/30": (0.8, 1.5), "2000/60": (0.8, 1.5)}
_FEW = ("500/5", "500/8")
NOT_HERE = (
    "not measured here: id churn, id survival and new intents found (benchmarks/intent_stream.py); "
    "LLM spend (benchmarks/naming.py)"
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What was wanted and what was measured; `met` is None where nothing was measured."""

    wanted: str
    measured: str
    met: bool | None


def goals(
    scores: Sequence[Score],
    stable: Sequence[Stability],
    later: Sequence[Later],
    speeds: Sequence[Speed],
) -> list[Goal]:
    """Every goal, judged on samples of 350 texts or more; the mean over sets counts, as when the goals were set."""
    ours = [one for one in scores if one.space == SPACE]
    found = [_quality(ours, setting, *least) for setting, least in _QUALITY.items()]
    worst = worst_setting([one for one in ours if one.texts >= FULL_TEXTS])
    behind = f"{worst[1]:+.3f} ({worst[0]})" if worst else ""
    found.append(
        _goal(
            "no set and setting below -.03 NMI of KMeans with the true k", behind, worst and worst[1] >= -0.03
        )
    )
    found += [_few(ours, setting) for setting in _FEW]
    found += [_ratio(ours, setting, *bounds) for setting, bounds in _FOUND.items()]
    found += _later([one for one in later if one.space == SPACE and one.figures.texts >= FULL_TEXTS])
    found += [
        _stable([one for one in stable if one.space == SPACE and one.method == OURS], kind, least)
        for kind, least in ((SAME_DATA, 0.95), (DISJOINT, 0.75))
    ]
    return found + _speed({one.texts: one for one in speeds if one.space == SPACE})


def goal_lines(found: Sequence[Goal]) -> list[str]:
    words = {True: "met", False: "NOT MET", None: "not measured"}
    return [
        f"  {words[one.met]:<13}{one.wanted}{': ' if one.measured else ''}{one.measured}" for one in found
    ]


def _goal(wanted: str, measured: str, met: object) -> Goal:
    return Goal(wanted, measured, bool(met)) if measured else Goal(wanted, "", None)


def _whole(scores: Sequence[Score], setting: str) -> list[Score]:
    """The scores at a setting of the sets that are large enough for it."""
    texts, intents = (int(part) for part in setting.split("/"))
    at = [one for one in scores if one.setting == setting]
    return [one for one in at if one.intents == intents and one.texts >= 0.9 * texts]


def _means(scores: Sequence[Score], measure: Callable[[Score], float]) -> dict[str, float]:
    """Mean of ours by set."""
    by_set = grouped([one for one in scores if one.method == OURS], lambda one: (one.source,))
    return {source: fmean(measure(one) for one in of) for (source,), of in by_set.items()}


def _sets(means: dict[str, float]) -> str:
    worst = min(means, key=lambda source: means[source])
    return "1 set" if len(means) == 1 else f"{len(means)} sets, lowest {worst} {means[worst]:.3f}"


def _quality(scores: Sequence[Score], setting: str, least_nmi: float, least_ari: float) -> Goal:
    wanted = f"{setting}: NMI at least {least_nmi:.2f}, ARI at least {least_ari:.2f}"
    at = _whole(scores, setting)
    nmi, ari = _means(at, lambda one: one.nmi), _means(at, lambda one: one.ari)
    if not nmi:
        return Goal(wanted, "", None)
    mean = fmean(nmi.values()), fmean(ari.values())
    met = mean[0] >= least_nmi and mean[1] >= least_ari
    return Goal(wanted, f"{mean[0]:.3f} and {mean[1]:.3f} ({_sets(nmi)})", met)


def _few(scores: Sequence[Score], setting: str) -> Goal:
    wanted = f"{setting}: no worse than BERTopic in NMI and ARI, on the same samples"
    duel = next((one for one in duels(_whole(scores, setting)) if one.peer == "BERTopic"), None)
    if duel is None:
        return Goal(wanted, "", None)
    told = (
        f"{duel.nmi:+.3f} and {duel.ari:+.3f}, ahead in {duel.nmi_wins} and {duel.ari_wins} of {duel.samples}"
    )
    return Goal(wanted, told, duel.nmi >= 0 and duel.ari >= 0)


def _ratio(scores: Sequence[Score], setting: str, least: float, most: float) -> Goal:
    wanted = f"{setting}: intents found over true ones {f'{least} to ' if least else 'at most '}{most}"
    ratios = _means(_whole(scores, setting), lambda one: one.k_ratio)
    if not ratios:
        return Goal(wanted, "", None)
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios.values())
    return Goal(wanted, f"{each} (every set)", all(least <= ratio <= most for ratio in ratios.values()))


def _later(found: Sequence[Later]) -> list[Goal]:
    gaps, strangers, siblings = {}, {}, {}
    for (source, setting), of in grouped(found, lambda one: (one.source, one.setting)).items():
        name = f"{source} {setting}"
        figures = [one.figures for one in of]
        if all(one.accuracy is not None for one in figures):
            gaps[name] = fmean((one.accuracy or 0) - one.ceiling for one in figures)
        if all(one.auroc_out_of_scope is not None for one in figures):
            strangers[name] = fmean(one.auroc_out_of_scope or 0 for one in figures)
        if setting.startswith("500/") and all(one.auroc_withheld is not None for one in figures):
            siblings[name] = fmean(one.auroc_withheld or 0 for one in figures)
    return [
        _lowest("later traffic: accuracy at least the ceiling - .025", gaps, -0.025, "+.3f"),
        _lowest("AUROC of unknown, out of scope: at least .95", strangers, 0.95, ".3f"),
        _lowest("AUROC of unknown, withheld intents, at 500: at least .80", siblings, 0.80, ".3f"),
    ]


def _lowest(wanted: str, measured: dict[str, float], least: float, form: str) -> Goal:
    if not measured:
        return Goal(wanted, "", None)
    where = min(measured, key=lambda name: measured[name])
    value = measured[where]
    return Goal(wanted, f"{value:{form}} ({where}, the lowest of {len(measured)})", value >= least)


def _stable(found: Sequence[Stability], kind: str, least: float) -> Goal:
    told = {SAME_DATA: "same data, another seed", DISJOINT: "disjoint samples"}[kind]
    of_kind = grouped(
        [one for one in found if one.kind == kind], lambda one: (one.source, one.setting)
    ).items()
    means = {" ".join(key): fmean(one.ari for one in of) for key, of in of_kind}
    return _lowest(f"{told}: ARI at least {least}", means, least, ".3f")


def _speed(speeds: dict[int, Speed]) -> list[Goal]:
    small, large = speeds.get(500), speeds.get(5_000)
    rates = {f"{one.texts:,} texts": one.embedded_per_second for one in speeds.values()}
    return [
        _lowest("at least 20,000 short texts embedded per CPU second", rates, 20_000, ",.0f"),
        _goal(
            "bootstrap of 500 in 1 CPU s",
            f"{small.cpu_seconds:.2f}" if small else "",
            small and small.cpu_seconds < 1,
        ),
        _goal(
            "bootstrap of 5,000 in 5 CPU s",
            f"{large.cpu_seconds:.2f}" if large else "",
            large and large.cpu_seconds < 5,
        ),
        _goal(
            "peak memory below 500 MB at 5,000",
            f"{large.peak_mib * 1.048576:.0f} MB" if large else "",
            large and large.peak_mib * 1.048576 < 500,
        ),
    ]
