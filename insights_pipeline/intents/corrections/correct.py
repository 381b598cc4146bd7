"""What people corrected, applied over what was found: after every refresh, re-discovery and backfill.

An edit names intents by anchors. Where the model has the id, that is the intent; where it was discovered anew under
other ids, the living intent most like the anchor's texts stands for it and takes its id on the day it is born, so
that what a person named keeps its id. An edit whose intent is not there waits, and is told so once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from insights_pipeline.intents.corrections.anchors import find_anchors
from insights_pipeline.intents.corrections.edits import PIN, REDISCOVER, Anchor, Edit, edits_of
from insights_pipeline.intents.corrections.fields import Fields
from insights_pipeline.intents.corrections.merges import Merge, settle_merges
from insights_pipeline.intents.corrections.parts import split, stand_ins
from insights_pipeline.intents.corrections.work import Work
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import MERGED, READY, Draft, Intent, Model

__all__ = ["Edit", "corrected", "edits_of", "rediscovery_asked"]


def corrected(draft: Draft, edits: Sequence[Edit], *, space: Space, day: date) -> Draft:
    """The draft with every correction in force; applied again, nothing changes and nothing is told.

    `edits`: of all time, in any order, undone ones too (they are taken back where they had been applied).
    """
    in_force = sorted((edit for edit in edits if not edit.undone), key=lambda edit: edit.edit_id)
    work = Work.on(draft, [edit for edit in edits if edit.undone], space, day)
    _take_back(work, {str(edit.edit_id) for edit in in_force})
    find_anchors(work, in_force)
    fields = Fields(work)
    merges: list[Merge] = []
    for edit in in_force:
        _apply(work, edit, fields, merges)
    settle_merges(work, merges)
    fields.settle()
    return work.draft()


def rediscovery_asked(edits: Sequence[Edit], day: date, model: Model) -> Edit | None:
    """The edit by which people want the intents discovered anew on `day`, None where that is done or not due yet.

    It is due on the first day at or after the one it names, of a model whose last discovery was before that.
    """
    if model.status != READY:
        return None
    discovered = date.fromisoformat(str(model.thresholds["discovered"]))
    asked = [
        edit
        for edit in edits
        if edit.kind == REDISCOVER and not edit.undone and edit.since and discovered < edit.since <= day
    ]
    return max(asked, key=lambda edit: edit.edit_id, default=None)


def _take_back(work: Work, in_force: set[str]) -> None:
    """Undo what edits made that are no longer in force; what they only set is settled with the fields."""
    for edit_id in sorted(work.ledger.applied.keys() - in_force, key=int):
        made = work.ledger.applied.pop(edit_id)
        _send_back(work, made.get("stand_ins", []), edit_id)
        if "made" in made and made["parent"] in work.intents:
            _join(work, made, edit_id)


def _send_back(work: Work, stand_ins: Sequence[str], edit_id: str) -> None:
    """Moved traces, and those like them, go to whichever intent is nearest again."""
    gone = [work.intents.pop(one) for one in stand_ins if one in work.intents]
    targets = {str(one.merged_into) for one in gone} & work.intents.keys()
    for target in sorted(targets):
        traces = sum(one.size for one in gone if one.merged_into == target)
        work.tell(
            "moved", target, traces=traces, edit=int(edit_id), by=work.undone_by.get(edit_id), undone=True
        )


def _join(work: Work, made: Mapping[str, Any], edit_id: str) -> None:
    """The parts of a split that was undone are part of their parent again, and its history is its own again."""
    parent = work.intents[made["parent"]]
    changed = None if made["changed"] is None else date.fromisoformat(made["changed"])
    size = max(parent.size, int(made["size"]))
    work.intents[parent.intent_id] = replace(parent, size=size, changed=changed)
    who = {"edit": int(edit_id), "by": work.undone_by.get(edit_id), "undone": True}
    for child in made["made"]:
        if child in work.intents and work.intents[child].status != MERGED:
            work.merge_into(child, parent.intent_id)
            work.intents[child] = replace(work.intents[child], changed=None)
            work.tell("merged", child, into=parent.intent_id, into_name=parent.name, **who)


def _apply(work: Work, edit: Edit, fields: Fields, merges: list[Merge]) -> None:
    """What an edit makes, once; what it sets and merges is collected."""
    if edit.unreadable is not None:
        work.wait(edit, edit.unreadable)
        return
    if edit.kind == REDISCOVER:
        return
    about = [one for anchor in edit.intents if (one := work.resolved(anchor.intent_id)) is not None]
    if gone := [anchor for anchor in edit.anchors if work.resolved(anchor.intent_id) is None]:
        work.wait(edit, f"no intent is like {_names(gone)}")
    if not about or (edit.into is not None and edit.into in gone):
        return
    if str(edit.edit_id) not in work.ledger.applied:
        work.fresh.add(edit.edit_id)
        work.ledger.applied[str(edit.edit_id)] = {}
    match edit.kind:
        case "rename":
            fields.name(about[0], edit.text, edit)
        case "describe":
            fields.describe(about[0], edit.text, edit)
        case "move":
            fields.categorise(about[0], edit.text, edit)
        case "pin" | "unpin":
            fields.pin(about[0], edit.kind == PIN, edit)
        case "merge":
            assert edit.into is not None
            merges.append((edit, about, str(work.resolved(edit.into.intent_id))))
        case "split":
            _split(work, edit, about[0], fields)
        case "move_traces":
            _move_traces(work, edit, about[0])


def _split(work: Work, edit: Edit, parent_id: str, fields: Fields) -> None:
    if edit.edit_id in work.fresh and not _divide(work, edit, parent_id):
        del work.ledger.applied[str(edit.edit_id)]
        work.wait(edit, "the messages known of it cannot be divided")
        return
    made = work.ledger.applied[str(edit.edit_id)]
    for place, part in enumerate(edit.parts):
        owner = made["parent"] if place == made["keeper"] else made["children"].get(str(place))
        if part.name is not None and owner in work.intents:
            fields.name(owner, part.name, edit)


def _divide(work: Work, edit: Edit, parent_id: str) -> bool:
    parent = work.intents[parent_id]
    taken = [intent.slug for intent in work.intents.values()]
    divided = split(parent, edit.parts, edit_id=edit.edit_id, space=work.space, day=work.day, taken=taken)
    if divided is None:
        return False
    # a part that is there already was found, or kept, by a discovery: it has more than the parent's exemplars
    new = {
        child.intent_id: child for child in divided.children.values() if child.intent_id not in work.intents
    }
    work.ledger.applied[str(edit.edit_id)] = {
        "parent": parent_id,
        "keeper": divided.keeper,
        "children": {str(place): child.intent_id for place, child in divided.children.items()},
        "made": sorted(new),
        "changed": None if parent.changed is None else str(parent.changed),
        "size": parent.size,
    }
    if new:
        work.intents[parent_id] = divided.parent
        work.intents.update(new)
        parts = [{"intent_id": one, "name": child.name} for one, child in new.items()]
        work.tell("split", parent_id, parts=parts, by=edit.by, edit=edit.edit_id)
    return True


def _move_traces(work: Work, edit: Edit, target: str) -> None:
    if edit.edit_id not in work.fresh:
        return
    made = stand_ins(work.intents[target], edit.traces, edit_id=edit.edit_id, space=work.space, day=work.day)
    if not made:
        del work.ledger.applied[str(edit.edit_id)]
        work.wait(edit, "the moved traces have no words to go by")
        return
    moved = {trace_id for trace_id, _ in edit.traces}
    for intent_id, intent in list(work.intents.items()):
        if intent_id != target:
            work.intents[intent_id] = _without(intent, moved)
    work.intents.update({one.intent_id: one for one in made})
    work.ledger.applied[str(edit.edit_id)] = {"stand_ins": [one.intent_id for one in made]}
    work.tell("moved", target, traces=len(edit.traces), by=edit.by, edit=edit.edit_id)


def _without(intent: Intent, traces: set[str]) -> Intent:
    """The intent without these traces among its exemplars, as long as enough are left."""
    kept = [place for place, one in enumerate(intent.exemplar_ids) if one not in traces]
    if len(kept) == len(intent.exemplar_ids) or len(kept) < 2:
        return intent
    return replace(
        intent,
        exemplar_ids=tuple(intent.exemplar_ids[place] for place in kept),
        exemplar_texts=tuple(intent.exemplar_texts[place] for place in kept),
        exemplar_vectors=intent.exemplar_vectors[kept],
    )


def _names(anchors: Sequence[Anchor]) -> str:
    return ", ".join(f"“{anchor.name or anchor.intent_id}”" for anchor in anchors)
