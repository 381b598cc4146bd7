"""Whether a name that a language model gives is one of this intent: plain words that its own messages bear out."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import Intent
from insights_pipeline.intents.naming.spans import is_unspaced, stem, stop_words
from insights_pipeline.intents.naming.suspects import speaks_to_model
from insights_pipeline.intents.vectors import Floats, cosines, exact
from insights_pipeline.llm import has_link, plain

MAX_NAME = 60
MAX_DESCRIPTION = 160
_WORDS = 5
# By how much a name's vector must be nearer to its own intent than to the middle one of the others. All checks
# together take the label that people gave in 80-87 % and that of another intent in 2-3 %, mostly for a word in common
# (CLINC150, sampling seeds 0-3 of 500/8, 500/30 and 2000/60); flat from 0.2 to 0.4.
_LEAD = 0.3
_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f\u0591-\u0eff])"  # and the marks of Hebrew to Lao, which \w leaves out
_WORD = re.compile(rf"{_LETTER}+(?:['’]{_LETTER}+)*")
_SMALL = frozenset(
    ("a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)


def plain_name(raw: str) -> str | None:
    """A name as it is shown, of one to five words, or None for what is no name: links, markup, orders to a model."""
    if has_link(raw) or "\n" in raw.strip() or speaks_to_model(raw):
        return None
    name = plain(raw.replace('"', "").replace("“", "").replace("”", ""), limit=MAX_NAME + 1).rstrip(".!?")
    if not 2 <= len(name) <= MAX_NAME or name.endswith("…") or len(name.split()) > _WORDS:
        return None
    if not _WORD.search(name):
        return None
    return " ".join(
        word if place and word.lower() in _SMALL else word[:1].upper() + word[1:]
        for place, word in enumerate(name.split())
    )


def plain_description(raw: str, intent: Intent, name: str) -> str | None:
    """A description as it is shown, or None where it holds links, speaks to a model or has no word of the intent's."""
    if has_link(raw) or speaks_to_model(raw):
        return None
    said = plain(raw, limit=MAX_DESCRIPTION)
    if len(said.split()) < 3 and said.isascii():
        return None
    own = _stems((*intent.phrases, *intent.exemplar_texts, name))
    return said if _stems([said]) & own else None


def is_grounded(name: str, intent: Intent, others: Sequence[Intent], space: Space) -> bool:
    """Whether the intent's own messages bear a name out.

    Either a content word's stem is in its phrases or in two of its messages (one may be anybody's; a name without
    such words must be said as a whole), or the name's vector is nearest to this intent and leads the middle one of
    the others by 0.3.
    """
    stems = _stems([name])
    if stems & _stems(intent.phrases):
        return True
    if stems:
        spoken = [_stems([text]) for text in intent.exemplar_texts]
        most = max((sum(one in said for said in spoken) for one in stems), default=0)
    else:  # a name of small words, as of small talk: "How Are You"
        most = sum(name.casefold() in text.casefold() for text in intent.exemplar_texts)
    if most >= min(2, len(intent.exemplar_texts)):
        return True
    return bool(others) and _leads(name, intent, others, space)


def _leads(name: str, intent: Intent, others: Sequence[Intent], space: Space) -> bool:
    vector = space.embed([name])
    if not vector.any():
        return False
    centroids = np.stack([intent.centroid, *(other.centroid for other in others)])
    near: Floats = cosines(exact(vector), exact(centroids))[0]
    return bool(near[0] >= near[1:].max() and near[0] - np.median(near[1:]) >= _LEAD)


def _stems(texts: Sequence[str]) -> set[str]:
    """Stems of the words of content; of scripts without spaces pairs of neighbouring characters."""
    stop = stop_words()["en"]
    found: set[str] = set()
    for text in texts:
        for word in _WORD.findall(text.lower().replace("’", "'")):
            if is_unspaced((word[0],)):
                found.update(word[place : place + 2] for place in range(max(1, len(word) - 1)))
            elif word not in stop and len(word) > 2:
                found.add(stem(word))
    return found
