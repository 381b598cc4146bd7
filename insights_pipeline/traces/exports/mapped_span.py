"""A record that is a span, as a mapping with `unit = "span"` finds it."""

from __future__ import annotations

from insights_pipeline.traces.dialects.imported import CHAT_SCOPE
from insights_pipeline.traces.exports.mapped_fields import Found
from insights_pipeline.traces.ids import fingerprint, span_id_of, trace_id_of
from insights_pipeline.traces.records import Attributes, RawSpan, Reject, excerpt
from insights_pipeline.traces.text import as_text, dumps

_OPERATIONS = {
    "llm": "chat", "chat": "chat", "generation": "chat", "completion": "chat", "model": "chat",
    "tool": "execute_tool", "function": "execute_tool", "execute_tool": "execute_tool", "action": "execute_tool",
    "agent": "invoke_agent", "invoke_agent": "invoke_agent", "workflow": "invoke_workflow", "chain": "chain",
    "task": "plan", "step": "plan", "retriever": "retrieval", "retrieval": "retrieval",
    "embedding": "embeddings", "embeddings": "embeddings",
}  # fmt: skip


def span_of(found: Found, position: str) -> RawSpan | Reject:
    """The span of a record, or a Reject for one without trace or start."""
    trace, own, parent = found.text("trace_id"), found.text("span_id"), found.text("parent_id")
    start, end = found.times()
    if not trace or start is None:
        lacking = "trace_id" if not trace else "start"
        where = ", ".join(getattr(found.mapping.fields, lacking))
        remedy = "Correct the path or the time format in the mapping, or leave this record out."
        return Reject(position, f"no {lacking} under {where}", remedy, excerpt(dumps(found.record)[:8_000]))
    kind = (found.text("kind") or "").strip().lower()
    tool = found.text("tool_name")
    attributes: Attributes = {**found.about(), **found.call(), **found.usage()}
    operation = _OPERATIONS.get(kind) or ("execute_tool" if tool and not kind else None)
    if operation is not None:
        attributes["gen_ai.operation.name"] = operation
    elif kind:
        attributes["kind"] = kind
    if tool or operation == "execute_tool":
        attributes["gen_ai.tool.name"] = tool or found.text("name") or "tool"
    is_call = operation == "chat" or (operation is None and "gen_ai.request.model" in attributes)
    sent = found.field("tool_arguments") if tool else None
    returned = found.field("tool_result") if tool else None
    sent = found.field("messages") or found.field("input") if sent is None else sent
    returned = found.field("output") if returned is None else returned
    if sent is not None:
        attributes["gen_ai.input.messages" if is_call else "gen_ai.tool.call.arguments"] = as_text(sent)
    if returned is not None:
        attributes["gen_ai.output.messages" if is_call else "gen_ai.tool.call.result"] = as_text(returned)
    if session := found.text("session") or found.text("conversation_id"):
        attributes["gen_ai.conversation.id"] = session
    error = found.error()
    return RawSpan(
        trace_id_of(trace),
        span_id_of(own) if own else fingerprint("span", trace, dumps(found.record))[:16],
        span_id_of(parent) if parent else "",
        found.text("name") or tool or kind or found.mapping.name,
        start,
        end or 0,
        2 if error is not None else 0,
        error or "",
        attributes,
        (),
        found.resource(),
        CHAT_SCOPE,
        position,
    )
