"""Which intent is part of which, after all merges of people in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from insights_pipeline.intents.corrections.edits import Edit
from insights_pipeline.intents.corrections.work import Work
from insights_pipeline.intents.model import ACTIVE, EMERGING, MERGED, RETIRED

Merge = tuple[Edit, Sequence[str], str]  # what is merged, into what


def settle_merges(work: Work, merges: Sequence[Merge]) -> None:
    """Bring the merged intents in line with the merges in force, and set free those of undone ones."""
    found = {
        one: str(intent.merged_into)
        for one, intent in work.intents.items()
        if intent.status == MERGED and intent.merged_into and one not in work.ledger.merged
    }
    wanted, whose = wanted_merges(found, merges)
    ends: dict[
        str, str | None
    ] = {}  # wholes that were parts until now, and who took the edit back that made them so
    for intent_id in sorted((work.ledger.merged.keys() | found.keys()) - wanted.keys()):
        of_edit = str(work.ledger.merged.get(intent_id, {}).get("edit"))
        if not _set_free(work, intent_id, wanted) and of_edit in work.undone_by:
            ends[intent_id] = work.undone_by[of_edit]
    for intent_id, into in sorted(wanted.items()):
        if intent_id in whose and _merge(work, intent_id, into, whose[intent_id], wanted) and into in ends:
            work.tell(
                "merged", intent_id, into=into, into_name=work.intents[into].name, by=ends[into], undone=True
            )


def wanted_merges(
    found: Mapping[str, str], merges: Sequence[Merge]
) -> tuple[dict[str, str], dict[str, Edit]]:
    """Merged intent → what it is part of, and the edit that says so; never a cycle.

    `found` are merges that are there without people; `merges` come oldest first. A merge of a whole into its part
    turns the two around: the last word counts.
    """
    into: dict[str, str] = dict(found)
    whose: dict[str, Edit] = {}
    for edit, merged, target in merges:
        for one in merged:
            if one == target:
                continue
            if one in _wholes(into, target):
                into.pop(target, None)
                whose.pop(target, None)
            into[one] = target
            whose[one] = edit
    return into, whose


def _wholes(into: Mapping[str, str], start: str) -> list[str]:
    """Everything that `start` is part of, the nearest first."""
    seen: list[str] = []
    one = into.get(start)
    while one is not None and one not in seen:
        seen.append(one)
        one = into.get(one)
    return seen


def _whole(into: Mapping[str, str], one: str) -> str:
    return next(reversed(_wholes(into, one)), one)


def _merge(work: Work, intent_id: str, into: str, edit: Edit, wanted: Mapping[str, str]) -> bool:
    """Whether this is another merge than before, by an edit that was told already."""
    intent = work.intents[intent_id]
    if intent_id not in work.ledger.merged:
        status = ACTIVE if intent.status in (MERGED, EMERGING) else intent.status
        work.ledger.merged[intent_id] = {"status": status}
    work.ledger.merged[intent_id]["edit"] = edit.edit_id
    if (intent.status, intent.merged_into) == (MERGED, into):
        return False
    work.merge_into(intent_id, into)
    was = intent.merged_into
    if was is not None and _whole(wanted, was) != _whole(wanted, into):
        work.redefined(was)  # it loses what was part of it
    if edit.edit_id not in work.fresh:
        return True
    if work.intents[into].status == RETIRED:  # or all that becomes part of it would be given up with it
        work.intents[into] = replace(work.intents[into], status=ACTIVE)
    into_name = work.intents[into].name
    work.tell("merged", intent_id, into=into, into_name=into_name, by=edit.by, edit=edit.edit_id)
    return False


def _set_free(work: Work, intent_id: str, wanted: Mapping[str, str]) -> bool:
    """What was merged stands for itself again; traces of the time between cannot be told apart any more.

    False where it and what it was part of only change places.
    """
    known = work.ledger.merged.pop(intent_id, {"status": ACTIVE, "edit": None})
    intent = work.intents.get(intent_id)
    if intent is None or intent.status != MERGED:
        return True
    work.intents[intent_id] = replace(intent, status=known["status"], merged_into=None)
    was = str(intent.merged_into)
    if intent_id in _wholes(wanted, was):
        return False
    work.redefined(intent_id)
    work.redefined(was)
    edit = known["edit"]
    work.tell("unmerged", intent_id, was_into=was, edit=edit, by=work.undone_by.get(str(edit)))
    return True
