"""The fields of a context, within bounds: what every record within a request, a task or a block has."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from message_passing.logging.ambient import bound
from message_passing.logging.entry import plain, size_of, within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

MOST_FIELDS = 16
"""Fields of a context. One that there is no room for is left out, and the field `...` says how many were."""

LARGEST_CONTEXT = 1000
"""Characters of all names and values of a context together; a number counts as 8."""

LARGEST_VALUE = 200
"""Characters of one value: a longer text is cut, and says by how much."""

_OMITTED = "..."
_CUT, _LEFT_OUT = 40, 30  # characters that saying so may take


class BoundFields(dict[str, Any]):
    """Names and plain values. Threads may add to it at the same time; who reads it takes a copy.

    Attributes:
        shared: whether `bind` adds to it, for all threads and tasks that have it. Otherwise it makes another.
        omitted: how many fields there was no room for.
    """

    shared = False
    omitted = 0

    def put(self, given: Mapping[str, Any]) -> None:
        """Add or replace fields; None takes one away. Nothing raises for what a value is."""
        for name, value in given.items():
            self.pop(name, None)
            if value is None:
                continue
            others = self.copy()
            others.pop(_OMITTED, None)
            room = min(LARGEST_VALUE, LARGEST_CONTEXT - size_of(others) - len(name) - _CUT - _LEFT_OUT)
            if room > 0 and len(others) < MOST_FIELDS:
                found = plain(value, room)
                self[name] = found if size_of(found) <= room + _CUT else within(found, room)
            else:
                self.omitted += 1
                self[_OMITTED] = f"({self.omitted} fields more)"


def extended(now: dict[str, Any] | None, given: Mapping[str, Any]) -> BoundFields:
    """Those that are bound now, and more."""
    fields = BoundFields((now or {}).copy())
    fields.omitted = getattr(now, "omitted", 0)
    fields.put(given)
    return fields


def push_fields(fields: BoundFields) -> Token[Any]:
    """Bind fields, up to `pop_fields`."""
    return bound.set(fields)


def pop_fields(token: Token[Any]) -> None:
    """Bind again what was bound before.

    A generator may be closed in another context than that in which it was begun: there is nothing to put back there.
    """
    with suppress(ValueError, RuntimeError):
        bound.reset(token)
