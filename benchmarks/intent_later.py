"""Traffic that came later: how often its intent is right, and whether what no intent knows is called unknown."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from intent_samples import Setting, Source

from insights_pipeline.intents.embedding.spaces import Embeddings
from insights_pipeline.intents.evaluation.trial import MOST_TEXTS, Figures, trial

WITHHELD = 0.1  # of the intents
# texts that intents are discovered from, and intents that they are of; those that are withheld come on top
SETTINGS = (Setting(500, 30), Setting(2_000, 60), Setting(5_000, 150))
_OUT_OF_SCOPE = "out_of_scope"
_LEAST_TEXTS = 100
_LEAST_INTENTS = 5


@dataclass(frozen=True, slots=True)
class Later:
    """The figures of one trial."""

    source: str
    language: str | None
    setting: str
    space: str
    seed: int
    figures: Figures


def later(
    source: Source,
    seeds: Sequence[int],
    spaces: Sequence[str],
    *,
    all_texts: bool,
    tell: Callable[[str], None],
) -> list[Later]:
    """Trials of a set: at 500, 2,000 and 5,000 texts as far as it has them, or one of all its texts."""
    if source.texts < _LEAST_TEXTS or len(source.by_intent) < _LEAST_INTENTS:
        tell(f"{source.name}: too small to keep texts and intents back for later")
        return []
    settings = [None] if all_texts else [one for one in SETTINGS if one.texts * 1.5 < source.texts]
    found = []
    for setting in settings:
        for seed in seeds:
            rows = source.rows() if setting is None else _drawn(source, setting, seed)
            rows = rows + [(text, _OUT_OF_SCOPE) for text in source.strangers]
            for space in spaces:
                tried = trial(
                    [text for text, _ in rows],
                    [intent for _, intent in rows],
                    most_texts=setting.texts if setting else MOST_TEXTS,
                    withhold=WITHHELD,
                    seeds=1,
                    first_seed=seed,
                    embeddings=Embeddings(space),
                )
                name = setting.name if setting else "all"
                found.append(Later(source.name, source.language, name, space, seed, tried.mean))
        tell(f"later traffic: {source.name} {setting.name if setting else 'all'}")
    return found


def _drawn(source: Source, setting: Setting, seed: int) -> list[tuple[str, str]]:
    """All texts of so many random intents that the setting's are left when some are withheld."""
    count = min(math.ceil(setting.intents / (1 - WITHHELD)), len(source.by_intent))
    chosen = random.Random(seed).sample(sorted(source.by_intent), count)
    return [(text, intent) for intent in chosen for text in source.by_intent[intent]]
