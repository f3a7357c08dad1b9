"""The fields of a context, within bounds: they are in every record of a request, a task or a block."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from message_passing.logging.ambient import bound
from message_passing.logging.entry import plain, size_of, truncated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

MOST_FIELDS = 16
"""Fields of a context. Further ones are left out, and the field `...` says how many."""

LARGEST_CONTEXT = 1000
"""Characters of all names and values of a context together; a number counts as 8."""

LARGEST_VALUE = 200
"""Characters of one value: a longer text is truncated, and says by how much."""

_OMITTED = "..."
_CUT, _LEFT_OUT = 40, 30  # characters that saying so may take


class BoundFields(dict[str, Any]):
    """Names and plain values. Threads may add to it at the same time; readers take a copy.

    Attributes:
        shared: whether `bind` adds to it, for all threads and tasks that have it. Otherwise it makes another.
        omitted: how many fields there was no room for.
    """

    shared = False
    omitted = 0

    def put(self, given: Mapping[str, Any]) -> None:
        """Add or replace fields; None removes one. No value makes it raise."""
        now = self.copy()  # another thread may add to it
        now.pop(_OMITTED, None)
        used = size_of(now)
        for name, value in given.items():
            replaced = size_of({name: now[name]}) if name in now else 0
            room = min(LARGEST_VALUE, LARGEST_CONTEXT - used + replaced - len(name) - _CUT - _LEFT_OUT)
            if value is not None and room > 0 and name != _OMITTED and (replaced or len(now) < MOST_FIELDS):
                self[name] = now[name] = found = _within(value, room)
                used += size_of({name: found}) - replaced
                continue
            self.omitted += value is not None
            self.pop(name, None)  # not even as it was: that would be wrong now
            now.pop(name, None)
            used -= replaced
        if self.omitted:
            self[_OMITTED] = f"({self.omitted} fields more)"


def _within(value: Any, room: int) -> Any:
    """A plain value of at most about so many characters."""
    if type(value) is str and len(value) <= room:
        return value
    found = plain(value, room)
    return found if size_of(found) <= room + _CUT else truncated(found, room)


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
    """Restore what was bound before.

    A generator may be closed in another context than that in which it was begun: there is nothing to put back there.
    """
    with suppress(ValueError, RuntimeError):
        bound.reset(token)
