"""A language model that names intents: in batches, with messages of their neighbours for contrast, checked by word.

What trace texts can do is contained, not excluded: they stand in a block of their own, texts that speak to the model
keep their intent in a question of its own, and a name is taken only if the intent's own messages bear it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import LLM, MERGED, RETIRED, Draft, Intent
from insights_pipeline.intents.naming.categories import count_try, sorted_into, to_sort
from insights_pipeline.intents.naming.changes import (
    Pair,
    Part,
    divided,
    is_free,
    merged,
    merges_of,
    pairs_to_judge,
    parts_of,
)
from insights_pipeline.intents.naming.grounding import is_grounded, plain_description, plain_name
from insights_pipeline.intents.naming.labels import slug_of
from insights_pipeline.intents.naming.memory import Memory
from insights_pipeline.intents.naming.questions import (
    BATCH,
    PAIRS,
    CategoriesAnswer,
    MergingAnswer,
    NamedIntent,
    NamingAnswer,
    Redact,
    categories_prompt,
    merging_prompt,
    naming_prompt,
    nearest_of,
)
from insights_pipeline.intents.naming.suspects import is_suspect
from insights_pipeline.llm import LlmClient, LlmError, NotAskedError, Spent
from insights_pipeline.llm.errors import BadAnswerError, MalformedError

_NAMING_TOKENS, _MERGING_TOKENS, _SORTING_TOKENS = 4_000, 2_000, 4_000
_ALONE = 20  # intents a day that are asked alone because their texts speak to the model
_AGAIN = 10  # intents a day that are asked alone because the answer of their batch was no use
_LIKE = 2  # neighbours that an intent is contrasted with
_PAIRS_A_DAY = 60


class LlmNamer:
    """The namer of one run. `redact` goes over every text before it leaves the machine."""

    def __init__(self, client: LlmClient, *, redact: Redact) -> None:
        self._client = client
        self._redact = redact

    @property
    def spent(self) -> Spent:
        """What the run has come to so far."""
        return self._client.spent

    def named(self, draft: Draft, *, space: Space, first: bool) -> Draft:
        """See `Namer`. What it did is told as an event "named" without its price: a run from the cache is the same."""
        # what is discovered anew has a history of metrics under its ids
        first = first and not any(event.get("kind") == "rediscovered" for event in draft.events)
        memory = Memory.within(draft.thresholds)
        due = memory.due(draft)
        day = _Day(self._client, self._redact, draft, space, first, memory)
        if due:
            day.name(due)
            day.split()
            day.merge({intent.intent_id for intent in due})
        day.sort()
        thresholds = memory.into(draft.thresholds, day.intents)
        return Draft(day.intents, thresholds, (*draft.events, *day.events))


class _Day:
    """One day's intents while they are named."""

    def __init__(
        self, client: LlmClient, redact: Redact, draft: Draft, space: Space, first: bool, memory: Memory
    ) -> None:
        self.client, self.redact, self.space, self.first = client, redact, space, first
        self.memory = memory
        self.unnamed = {key for key in memory.of if memory.why(key) is not None}  # before today
        self.intents = dict(draft.intents)
        self.new = {
            str(event.get("intent_id")) for event in draft.events if event.get("kind") in ("emerged", "split")
        }
        self.events: list[dict[str, Any]] = []
        self.splits: dict[str, list[Part]] = {}
        self.stopped: LlmError | None = None

    @property
    def living(self) -> list[Intent]:
        return [one for _, one in sorted(self.intents.items()) if one.status not in (RETIRED, MERGED)]

    @property
    def clean(self) -> list[Intent]:
        """Living intents none of whose texts speaks to the model; only these are shown beside others."""
        return [intent for intent in self.living if not is_suspect(intent)]

    def name(self, due: Sequence[Intent]) -> None:
        clean = self.clean
        safe = {intent.intent_id for intent in clean}
        refused = [one for one in due if self.memory.was_refused(one.intent_id)]
        alone = [one for one in due if one.intent_id not in safe or one in refused]
        together = [one for one in due if one not in alone]
        again: list[Intent] = []
        for start in range(0, len(together), BATCH):
            again += self._ask(together[start : start + BATCH], clean)
        for intent in alone[:_ALONE]:
            self._ask([intent], clean)
        for intent in again[:_AGAIN]:
            self._ask([intent], clean, taken=[one.name for one in nearest_of(intent, clean, 5)])
        for intent in alone[_ALONE:]:
            self.memory.failed(intent, "asked tomorrow", final=False)
        self._tell(due)

    def _ask(
        self, batch: Sequence[Intent], clean: Sequence[Intent], taken: Sequence[str] = ()
    ) -> list[Intent]:
        """Name these intents; gives those for which asking them alone may help."""
        others = [nearest_of(intent, clean, _LIKE) for intent in batch]
        current = [self.intents[intent.intent_id] for intent in batch]
        question = naming_prompt(current, others, self.redact, taken=taken)
        answer = self._answer(question, NamingAnswer, _NAMING_TOKENS)
        if isinstance(answer, LlmError):
            for intent in batch:
                self.memory.failed(intent, answer.reason, final=isinstance(answer, BadAnswerError))
            several = isinstance(answer, BadAnswerError) and not isinstance(answer, MalformedError)
            return list(batch) if several and len(batch) > 1 else []
        said: dict[int, NamedIntent] = {}
        for one in answer.intents:
            said.setdefault(one.number, one)
        names = Counter(
            slug_of(one.name) for number, one in said.items() if 1 <= number <= len(batch)
        )  # a name given twice in one answer is nobody's
        again: list[Intent] = []
        for number, intent in enumerate(batch, start=1):
            why = self._take(intent, said.get(number), names)
            if why is None:
                continue
            self.memory.failed(intent, why, final=True)
            if len(batch) > 1:
                again.append(intent)
        return again

    def _take(self, intent: Intent, said: NamedIntent | None, names: Counter[str]) -> str | None:
        """Give the intent its name; or why it keeps the one it has."""
        if said is None:
            return "no answer"
        name = plain_name(said.name)
        if name is None or not slug_of(name):
            return "not a plain name"
        slug = slug_of(name)
        if names[slug_of(said.name)] > 1:
            return "one name for several"
        if any(one.slug == slug for key, one in self.intents.items() if key != intent.intent_id):
            return "name taken"
        rest = [one for one in self.living if one.intent_id != intent.intent_id]
        if not is_grounded(name, intent, rest, self.space):
            return "not of its messages"
        description = plain_description(said.description, intent, name) or intent.description
        self.intents[intent.intent_id] = replace(
            self.intents[intent.intent_id], name=name, slug=slug, description=description, named_by=LLM
        )
        self.memory.named(intent)
        if name != intent.name and not self.first and intent.intent_id not in self.new:
            self._event("renamed", intent, **{"from": intent.name, "to": name, "by": LLM})
        parts = [] if said.coherent else parts_of(intent, said.groups)
        if parts and is_free(intent) and not is_suspect(intent):
            self.splits[intent.intent_id] = parts
        return None

    def split(self) -> None:
        """Carry out splits on the day of discovery, later suggest each once."""
        for intent_id, parts in sorted(self.splits.items()):
            intent = self.intents[intent_id]
            if not self.first:
                if intent_id not in self.memory.told:
                    self.memory.told.add(intent_id)
                    told = [{"name": plain_name(part.name), "exemplars": len(part.places)} for part in parts]
                    self._event("suggested_split", intent, parts=told, by=LLM)
                continue
            kept, children = divided(
                intent, parts, space=self.space, taken=[one.slug for one in self.intents.values()]
            )
            self.intents[intent_id] = kept
            for child in children:
                self.intents[child.intent_id] = child
            for part, one in zip(parts, (kept, *children), strict=True):
                self._name_part(one, part.name)
            made = [self.intents[child.intent_id] for child in children]
            self.new |= {child.intent_id for child in made}
            told = [{"intent_id": child.intent_id, "name": child.name} for child in made]
            self._event("split", self.intents[intent_id], parts=told, by=LLM)

    def _name_part(self, intent: Intent, raw: str) -> None:
        said = NamedIntent(number=1, name=raw)
        why = self._take(intent, said, Counter([slug_of(raw)]))
        if why is not None and intent.named_by != LLM:
            self.memory.failed(intent, why, final=False)
        elif why is not None:
            self.memory.named(intent)

    def merge(self, about: set[str]) -> None:
        """Ask about the likest pairs; carry out on the day of discovery, later suggest each once."""
        free = [intent for intent in self.clean if is_free(intent)]
        pairs = pairs_to_judge(
            free,
            about=about - set(self.splits),
            known=self.memory.told,
            most=min(_PAIRS_A_DAY, len(free)) if self.first else PAIRS,
        )
        same: list[Pair] = []
        for start in range(0, len(pairs), PAIRS):
            batch = pairs[start : start + PAIRS]
            shown = [(self.intents[pair.stays], self.intents[pair.goes]) for pair in batch]
            answer = self._answer(merging_prompt(shown, self.redact), MergingAnswer, _MERGING_TOKENS)
            if isinstance(answer, LlmError):
                continue
            verdicts = {one.number: one.same for one in reversed(answer.pairs)}
            same += [pair for number, pair in enumerate(batch, start=1) if verdicts.get(number)]
        into = merges_of(same, {one.intent_id: one for one in self.living}) if self.first else {}
        before = self.intents
        if into:
            self.intents = merged(before, into)
        for goes, stays in sorted(into.items()):
            self._event("merged", before[goes], into=stays, into_name=before[stays].name, by=LLM)
        for pair in same:
            if pair.goes in into or pair.stays in into:
                continue
            self.memory.told.add(pair.key)
            other = self.intents[pair.stays]
            self._event(
                "suggested_merge", self.intents[pair.goes], into=other.intent_id, into_name=other.name,
                likeness=round(pair.likeness, 3), by=LLM,
            )  # fmt: skip

    def sort(self) -> None:
        """Put intents into categories that the model names."""
        wanted, existing, number = to_sort(self.intents, self.memory)
        wanted = [intent for intent in wanted if not is_suspect(intent)]
        if not wanted:
            return
        answer = self._answer(
            categories_prompt(wanted, existing, number, self.redact), CategoriesAnswer, _SORTING_TOKENS
        )
        if not isinstance(answer, LlmError) or isinstance(answer, BadAnswerError):
            count_try(wanted, self.memory)
        if isinstance(answer, LlmError):
            return
        for intent in sorted_into(wanted, answer, existing, self.memory):
            self.intents[intent.intent_id] = intent

    def _answer(self, question: Any, schema: Any, max_tokens: int) -> Any:
        """The model's answer or the error in its place; after one that stops everything nothing more is asked."""
        if self.stopped is not None:
            return self.stopped
        try:
            return self.client.complete(question, schema, max_tokens=max_tokens)
        except NotAskedError as error:
            self.stopped = error
            return error
        except LlmError as error:
            return error

    def _tell(self, due: Sequence[Intent]) -> None:
        """How naming went, unless none was named and that of each was told before: an outage is told once."""
        reasons = {one.intent_id: self.memory.why(one.intent_id) for one in due}
        failed = Counter(why for why in reasons.values() if why is not None)
        by_llm = sum(why is None for why in reasons.values())
        if by_llm or not self.unnamed.issuperset(reasons):
            kept = failed.total()
            self.events.append(
                {"kind": "named", "by_llm": by_llm, "kept": kept, "failed": dict(sorted(failed.items()))}
            )

    def _event(self, kind: str, intent: Intent, **more: object) -> None:
        self.events.append({"kind": kind, "intent_id": intent.intent_id, "name": intent.name, **more})
