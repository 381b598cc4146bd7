"""Chats to spans: a root with what was asked and answered, a span of each model call, one of each tool call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from insights_pipeline.traces.dialects.imported import CHAT_SCOPE, UNDATED
from insights_pipeline.traces.exports.chat_tools import Said, ToolUse, tool_uses
from insights_pipeline.traces.ids import fingerprint
from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.messages import last_text
from insights_pipeline.traces.records import Attributes, RawSpan
from insights_pipeline.traces.text import cut

# Without times the messages of a chat lie this far apart, so that their order is kept.
STEP_NS = 1_000_000
MAX_HISTORY = 500  # messages; what is stored of a history is cut by its characters anyway
_MAX_STATUS_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A conversation. `key` identifies it, `base_ns` dates what has no time of its own.

    `about` are attributes of the root (user, tenant, …, what nobody mapped), `call` of every model call, `totals` of
    the whole that belong to no single call: they are put on the last one.
    """

    key: str
    said: Sequence[Said]
    unit: Literal["turn", "conversation"]
    base_ns: int
    position: str
    name: str = "chat"
    trace_id: str | None = None
    thread: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    error: str | None = None
    about: Attributes = field(default_factory=dict)
    call: Attributes = field(default_factory=dict)
    totals: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)


class Turn(NamedTuple):
    """Messages `first` up to `end` of a chat, as a trace."""

    trace_id: str
    first: int
    end: int


def turns(chat: Chat) -> list[Turn]:
    """The traces of a chat: one of each user turn, or one of the whole.

    A turn begins with the first of the user's messages after an answer; what precedes the first belongs to it.
    """
    starts = [0]
    if chat.unit == "turn":
        begun = answered = False
        for place, said in enumerate(chat.said):
            if said.message["role"] != "user":
                answered = begun
                continue
            if answered:
                starts.append(place)
            begun, answered = True, False
    ends = [*starts[1:], len(chat.said)]
    ids = [chat.trace_id] if chat.trace_id and len(starts) == 1 else []
    whole = chat.trace_id or chat.key
    ids += [fingerprint("chat", whole, str(number)) for number in range(len(ids), len(starts))]
    return [Turn(*turn) for turn in zip(ids, starts, ends, strict=True)]


def spans_of(chat: Chat) -> Iterator[RawSpan]:
    """The spans of a chat, trace by trace, roots first. The same chat gives the same ids."""
    made = turns(chat)
    moments = _moments(chat)
    for turn in made:
        yield from _Turn(chat, turn, moments, alone=len(made) == 1, last=turn is made[-1]).spans()


def _moments(chat: Chat) -> list[int]:
    """When each message was there: its own time, else right after the last one before it that has one."""
    found: list[int] = []
    base, step = chat.start_ns or chat.base_ns, STEP_NS
    for said in chat.said:
        if said.at_ns is not None:
            found.append(said.at_ns)
            step = 1_000  # between known times only as much as keeps the order
        else:
            found.append(found[-1] + step if found else base)
    return found


class _Turn:
    """One trace of a chat on its way to spans."""

    def __init__(self, chat: Chat, turn: Turn, moments: list[int], *, alone: bool, last: bool) -> None:
        self.chat = chat
        self.turn = turn
        self.moments = moments
        self.alone = alone
        self.last = last
        self.root_id = self._id("root")
        self.uses = tool_uses(chat.said, turn.first, turn.end)

    def spans(self) -> Iterator[RawSpan]:
        yield self._root()
        said = self.chat.said
        calls = [place for place in range(self.turn.first, self.turn.end) if said[place].is_call]
        since = self.turn.first
        for place in calls:
            # Only the last call shows the whole history: every call with all of it would grow with the square.
            before = [item.message for item in said[since:place]]
            if place == calls[-1]:
                recent = max(1, place - MAX_HISTORY)
                before = [item.message for item in (*said[: min(1, place)], *said[recent:place])]
            yield self._call(place, before, last=place == calls[-1])
            since = place + 1
        for number, use in enumerate(self.uses):
            yield self._tool(number, use)

    def _root(self) -> RawSpan:
        chat, (first, end) = self.chat, self.turn[1:]
        said = chat.said[first:end]
        asked = [item.message for item in said if item.message["role"] == "user"]
        begin = next(
            (place for place in range(first, end) if chat.said[place].message["role"] == "user"), first
        )
        answer = (
            last_text([item.message for item in said], "assistant") if any(i.is_call for i in said) else None
        )
        start = self.moments[begin]
        stop = chat.said[end - 1].at_ns
        if self.alone:
            start = chat.start_ns or self.moments[0]
            stop = chat.end_ns or stop
        elif self.last:
            stop = chat.end_ns or stop
        attributes: Attributes = {
            **chat.about,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.input.messages": asked[:1] if chat.unit == "conversation" else asked,
        }
        if chat.start_ns is None and chat.end_ns is None and all(item.at_ns is None for item in chat.said):
            attributes[UNDATED] = True
        if answer is not None:
            attributes["gen_ai.output.messages"] = [{"role": "assistant", "content": answer}]
        return self._span("root", chat.name, "", start, stop, attributes, chat.error if self.last else None)

    def _call(self, place: int, before: list[Message], *, last: bool) -> RawSpan:
        chat, said = self.chat, self.chat.said[place]
        totals = chat.totals if last and self.last else {}
        if totals:
            totals = {**totals, "insights.totals": "of the whole conversation"}
        elif "operation.cost" in chat.totals:  # billed with the last call; unknown would make the sum unknown
            totals = {"operation.cost": 0.0}
        attributes: Attributes = {
            **chat.call,
            **totals,
            **said.facts,
            "gen_ai.operation.name": "chat",
            "gen_ai.output.messages": [said.message],
        }
        if before:
            attributes["gen_ai.input.messages"] = before
        start, stop = self._times(place, place - 1 if place else None)
        error = "the call failed" if said.is_error else None
        return self._span(f"call {place}", "chat", self.root_id, start, stop, attributes, error)

    def _tool(self, number: int, use: ToolUse) -> RawSpan:
        result = self.chat.said[use.result] if use.result is not None else None
        name = use.call.get("name") or (result.tool_name if result else None) or "tool"
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
        }
        if use.call.get("arguments"):
            attributes["gen_ai.tool.call.arguments"] = use.call["arguments"]
        if result is not None and result.message["content"]:
            attributes["gen_ai.tool.call.result"] = result.message["content"]
        if result is None or use.result is None:
            start, stop = self.moments[use.made or 0], None
        else:
            start, stop = self._times(use.result, use.made)
        if result is not None and result.at_ns is None and result.took_ns is not None:
            attributes["duration_ms"] = result.took_ns / 1e6
        error = None
        if result is not None and result.is_error:
            error = cut(result.message["content"] or "the tool failed", _MAX_STATUS_CHARS)
        return self._span(f"tool {number}", name, self.root_id, start, stop, attributes, error)

    def _times(self, place: int, since: int | None) -> tuple[int, int | None]:
        """Start and end of what made the message at `place`, which began when the one at `since` was there."""
        said = self.chat.said[place]
        began = self.chat.said[since].at_ns if since is not None else self.chat.start_ns
        if said.at_ns is None:  # no end, even if its length is known: the trace would seem as short as this
            return self.moments[place], None
        if said.took_ns is not None:
            return said.at_ns - said.took_ns, said.at_ns
        return (began, said.at_ns) if began is not None and began <= said.at_ns else (said.at_ns, None)

    def _span(
        self,
        key: str,
        name: str,
        parent: str,
        start: int,
        stop: int | None,
        attributes: Attributes,
        error: str | None,
    ) -> RawSpan:
        if self.chat.thread:
            attributes["gen_ai.conversation.id"] = self.chat.thread
        return RawSpan(
            self.turn.trace_id,
            self._id(key),
            parent,
            name,
            start,
            stop if stop is not None and stop >= start else 0,
            2 if error is not None else 0,
            error or "",
            attributes,
            (),
            self.chat.resource,
            CHAT_SCOPE,
            self.chat.position,
        )

    def _id(self, key: str) -> str:
        return fingerprint(self.turn.trace_id, key)[:16]
