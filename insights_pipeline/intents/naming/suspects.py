"""Texts that speak to a language model instead of asking the agent for something."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from insights_pipeline.intents.model import Intent
from insights_pipeline.llm import visible

_LONGEST = 2_000
# Attempts vary without end, so this only keeps the plain ones away from other intents: what passes is held by the
# checks on every name (see `grounding`).
_PATTERNS = re.compile(
    "|".join(
        (
            r"\b(?:ignore|disregard|forget|override|bypass|neglect)\b\W+(?:\w+\W+){0,5}?"
            r"(?:instructions?|prompts?|rules?|guidelines?|directions?|above|previous|prior|preceding)\b",
            r"\b(?:system|developer|initial|hidden)\s+(?:prompt|message|instructions?)\b",
            r"\byou\s+are\s+now\b|\bfrom\s+now\s+on\b|\bpretend\s+(?:to\s+be|you)\b|\bjailbreak|\bdan\s+mode\b",
            r"\bnew\s+(?:instructions?|rules?)\s*:",
            r"(?:^|[\s.!?\"'])(?:system|assistant|developer)\s*:|<\|?/?\s*(?:im_start|im_end|system|assistant|user|data)\b",
            r"\[/?inst\]|<<\s*sys\s*>>|#{2,}\s*(?:system|instruction|response)",
            r"\b(?:name|label|title|rename|categori[sz]e|classify|describe|call)\s+"
            r"(?:this|these|those|it|all|every|each|them|everything)\b.{0,60}?"
            r"\b(?:intents?|clusters?|groups?|categor(?:y|ies)|messages?|as)\b",
            r"\b(?:every|each|all|any|other)\s+(?:other\s+)?(?:intents?|clusters?|categor(?:y|ies))\b",
            r"\b(?:output|respond|reply|answer)\b.{0,40}?\b(?:json|only\s+with|exactly\s+with|with\s+the\s+(?:word|name))\b",
            r"\b(?:as\s+an?|you\s+are\s+an?)\s+(?:ai|language\s+model|llm|assistant)\b",
            r"\b(?:ignorier|vergiss|missachte)\w*\b.{0,40}?\b(?:anweisung|instruktion|vorgabe|regel)\w*",
            r"\b(?:ignor|olvid|esque|oubli|dimentic)\w*\b.{0,40}?\b(?:instruc|consign|istruzion|regl|règl)\w*",
            r"игнорир\w*.{0,40}?(?:инструкц|указани)\w*",
            r"(?:忽略|无视|無視).{0,20}?(?:指令|指示|提示|规则)|(?:指示|命令|プロンプト).{0,10}?(?:無視|忘れ)",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)


def speaks_to_model(text: str) -> bool:
    """Whether a text looks like an instruction to a language model; wide on purpose, being wrong costs little."""
    return _speaks(text[:_LONGEST])


@lru_cache(maxsize=20_000)
def _speaks(text: str) -> bool:
    shown = visible(unicodedata.normalize("NFKC", text), limit=_LONGEST)
    return _PATTERNS.search(shown) is not None


def is_suspect(intent: Intent) -> bool:
    """Whether any text of an intent that a model could be shown speaks to it."""
    return any(map(speaks_to_model, (*intent.exemplar_texts, " ; ".join(intent.phrases))))
