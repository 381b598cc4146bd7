"""Parts of a record that arrive apart: the beginning of a run, its end, an update of it."""

from __future__ import annotations

from typing import Any, NamedTuple

# Beside the fields as sent: `_order` is the place of a piece among those of its record, whenever it arrived; what other
# pieces added has the place that `_orders` says. `_first_ns` is the earliest time at which anything was told of the
# record; `_what` tells a trace from an observation.
ORDER = "_order"
ORDERS = "_orders"
FIRST_NS = "_first_ns"
WHAT = "_what"
_OBJECTS = frozenset({"extra", "metadata", "runtime", "invocation_params"})
_MAX_DEPTH = 4
_OURS = frozenset({ORDER, ORDERS, FIRST_NS})


class Piece(NamedTuple):
    """A part of a run or of an observation. `key` is its own id: pieces of one system and key belong together.

    `system` is "langsmith" or "langfuse"; `fields` can be written as JSON.
    """

    system: str
    key: str
    fields: dict[str, Any]
    position: str


def merged(old: dict[str, Any] | None, new: Piece) -> dict[str, Any]:
    """The fields of a record with one more piece of it; `old` is left as it is.

    The later value of a field wins, in the order in which they were made and not in which they arrived; nothing
    (null, "", {}, []) never replaces something. Metadata is joined key by key.
    """
    if not old:
        return dict(new.fields)
    orders = dict(known) if isinstance(known := old.get(ORDERS), dict) else {}
    found = _joined(old, new.fields, _Orders(orders, _number(new.fields, ORDER)), "", _number(old, ORDER))
    if firsts := [first for first in (_number(old, FIRST_NS), _number(new.fields, FIRST_NS)) if first]:
        found[FIRST_NS] = min(firsts)
    found[ORDERS] = orders
    return found


class _Orders(NamedTuple):
    """The place of each value that is not of the first piece, and that of the piece that comes in."""

    known: dict[str, int]
    new: int


def _number(fields: dict[str, Any], key: str) -> int:
    value = fields.get(key)
    return value if isinstance(value, int) else 0


def _joined(
    base: dict[str, Any], added: dict[str, Any], orders: _Orders, path: str, around: int
) -> dict[str, Any]:
    """`around` is the place of what `base` is part of: that of its values, where they have none of their own."""
    found = dict(base)
    for key, value in added.items():
        if key in _OURS:
            continue
        before, here = found.get(key), f"{path}{key}"
        place = orders.known.get(here, around)
        if _is_nothing(value):
            found.setdefault(key, value)
        elif (
            isinstance(value, dict)
            and isinstance(before, dict)
            and key in _OBJECTS
            and path.count(".") < _MAX_DEPTH
        ):
            found[key] = _joined(before, value, orders, f"{here}.", place)
        elif _is_nothing(before) or orders.new >= place:
            found[key] = value
            orders.known[here] = orders.new
    return found


def _is_nothing(value: object) -> bool:
    return value is None or value in ("", {}, [])
