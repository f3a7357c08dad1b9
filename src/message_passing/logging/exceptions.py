"""What a record says about an exception: bounded, since the application decides its size."""

from __future__ import annotations

import reprlib
import traceback
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from message_passing.jsonable import cut
from message_passing.logging.attributes import LARGEST_RECORD, name_of
from message_passing.objects import safe

if TYPE_CHECKING:
    from types import TracebackType

_NESTED = 8
"""How many chained causes of an exception are described."""

_FRAMES = 1000
"""How many frames of a traceback are shown at most, of a longer one the nearest; the causes' and members' count."""

_EXCEPTIONS = 100
"""How many exceptions a traceback shows in full: causes and members of groups, each as often as it is in them."""

_MEMBERS, _MEMBER_FRAMES = 15, 10
"""Of a group that is larger: how many members are shown, as `traceback` does, and how many frames of each."""

_NOTES = 100
"""How many notes of an exception are shown."""

_ITEM = 64
"""Characters that an item of a container among an exception's arguments counts as, besides its text."""

_CONTAINERS: tuple[Any, ...] = (list, tuple, dict, set, frozenset, deque)
_TEXTS: tuple[Any, ...] = (str, bytes, bytearray)

# What these make of an exception is made of its arguments; other built-in types' texts are short.
_ARGUMENTS_SHOWN = tuple(
    kind.__str__ for kind in (BaseException, KeyError, OSError, ImportError, SyntaxError)
)


def error_of(exc_info: Any) -> BaseException | None:
    """The exception in a record's `exc_info`; None if there is none."""
    error = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) > 1 else exc_info
    return error if isinstance(error, BaseException) else None


def described_exception(
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None] | Any,
    largest: int = LARGEST_RECORD,
) -> dict[str, Any] | None:
    """An exception's type, message and traceback, and the same of what caused it."""
    if (error := error_of(exc_info)) is None:
        return None
    causes: list[BaseException] = []
    seen, cause = {id(error)}, _cause_of(error)
    while cause is not None and id(cause) not in seen and len(causes) <= _NESTED:
        seen.add(id(cause))
        causes.append(cause)
        cause = _cause_of(cause)
    try:
        whole = len(causes) <= _NESTED and _is_small(error, max(largest, LARGEST_RECORD))
        lines = traceback.format_exception(error) if whole else _nearest_part(error)
        trace = cut("".join(lines), largest)
    except Exception as trouble:  # noqa: BLE001 - a __str__ or __notes__ that raises
        trace = f"(no traceback: {type(trouble).__name__})"
    described: dict[str, Any] = {**_named(error, largest), "traceback": trace}
    if causes:
        described["causes"] = [_named(cause, largest) for cause in causes[:_NESTED]]
    return described


def text_of_none(exc_info: Any, largest: int) -> str | None:
    """The text of what stands in an exception's place and is none, as in a record that was JSON; None for nothing."""
    if exc_info is True or (type(exc_info) is tuple and not any(one is not None for one in exc_info)):
        return None  # there was none when it was logged
    if type(exc_info) is list or type(exc_info) is tuple:
        parts = [
            one if type(one) is str else safe(_brief.repr, one) for one in exc_info[:3] if one is not None
        ]
        return cut(", ".join(parts), largest) or None
    return cut(safe(_brief.repr, exc_info), largest)


def _is_small(error: BaseException, room: int) -> bool:
    """Whether `traceback` may be given it, which goes through all of it: causes, members, notes and arguments.

    A member is counted each time that it is met, as `traceback` describes it each time: a group that has another one
    twice, which has another one twice, has members without number.
    """
    exceptions, frames, seen, todo = _EXCEPTIONS, _FRAMES, set(), [error]
    while todo:
        one = todo.pop()
        seen.add(id(one))
        exceptions -= 1
        frames -= sum(1 for _ in islice(traceback.walk_tb(one.__traceback__), frames + 1))
        room = _room_after((_shown_of(one), _notes_of(one)), room) - _mark_of(one)
        if frames < 0 or room < 0:
            return False
        if one.__cause__ is not None and id(one.__cause__) not in seen:
            todo.append(one.__cause__)
        elif one.__context__ is not None and not one.__suppress_context__ and id(one.__context__) not in seen:
            todo.append(one.__context__)
        members = _members_of(one)
        if len(members) + len(todo) > exceptions:
            return False
        todo += members
    return True


def _nearest_part(error: BaseException) -> list[str]:
    """What `traceback` would print of an exception that is not small: a part of each thing, and what was left out."""
    notes, members = _notes_of(error), _members_of(error)
    lines = [
        f"Traceback (most recent call last; the last {_FRAMES} calls at most, and no causes):\n",
        *traceback.format_tb(error.__traceback__, -_FRAMES),
        _line_of(error),
    ]
    if type(notes) is list or type(notes) is tuple:
        lines += [f"{_note(note)}\n" for note in notes[:_NOTES]]
        if len(notes) > _NOTES:
            lines.append(f"({len(notes) - _NOTES} more notes)\n")
    elif notes is not None:
        lines.append(f"{_note(notes)}\n")
    for number, member in enumerate(members[:_MEMBERS], 1):
        lines.append(f"Member {number} of {len(members)} (the last {_MEMBER_FRAMES} calls at most):\n")
        lines += traceback.format_tb(member.__traceback__, -_MEMBER_FRAMES)
        lines.append(_line_of(member))
    if len(members) > _MEMBERS:
        lines.append(f"({len(members) - _MEMBERS} more members)\n")
    return lines


def _note(note: Any) -> str:
    if type(note) is str:
        return cut(note, 1000)
    return cut(safe(str, note), 1000) if _room_after(note, 1000) >= 0 else "(a note omitted: too long)"


def _line_of(error: BaseException) -> str:
    named = _named(error, 1000)
    return f"{named['type']}: {named['message']}\n"


def _named(error: BaseException, largest: int) -> dict[str, str]:
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return {
        "type": name_of(name),
        "message": cut(safe(lambda one: _message_of(one, largest), error), largest),
    }


def _message_of(error: BaseException, largest: int) -> str:
    """Its text; when its arguments are too long to make one of all of them, what can be had of them."""
    args = _args_of(error)
    if type(error).__str__ is BaseException.__str__ and len(args) == 1 and type(args[0]) is str:
        return str(args[0])  # as long as it may be: it is no copy
    if _room_after(_shown_of(error), max(largest, LARGEST_RECORD)) >= 0:
        return safe(str, error)
    return f"{safe(_brief.repr, args)} (arguments truncated: too long)"


def _shown_of(error: BaseException) -> Any:
    """What its text is made of, as far as that is known without making it."""
    shown = _args_of(error) if type(error).__str__ in _ARGUMENTS_SHOWN else ()
    if isinstance(error, SyntaxError):
        return (shown, error.msg, error.filename, error.text)
    if isinstance(error, OSError):
        return (shown, error.strerror, error.filename, error.filename2)
    return shown


def _mark_of(error: BaseException) -> int:
    """How far `traceback` goes to mark a place in a line, which a syntax error says."""
    if not isinstance(error, SyntaxError):
        return 0
    return max(0, 0, *(value for value in (error.offset, error.end_offset) if isinstance(value, int)))


def _args_of(error: BaseException) -> tuple[Any, ...]:
    found: tuple[Any, ...] = BaseException.__dict__["args"].__get__(error)
    return found


def _notes_of(error: BaseException) -> Any:
    return getattr(error, "__notes__", ())


def _members_of(error: BaseException) -> tuple[BaseException, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return ()
    found: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(error)
    return found


def _room_after(value: Any, room: int) -> int:
    """What is left of so many characters after the text of a value; negative when it has no room.

    Values of other types than Python's own for data have texts of their own making, which cannot be known before.
    """
    todo = [value]
    while todo and room >= 0:
        one = todo.pop()
        kind = type(one)
        if kind is str:
            room -= len(one)
        elif issubclass(kind, int):
            room -= int.bit_length(one) // 3
        elif issubclass(kind, BaseException):
            todo.append(_args_of(one))
        elif base := next((base for base in _TEXTS if issubclass(kind, base)), None):
            room -= base.__len__(one)
        elif base := next((base for base in _CONTAINERS if issubclass(kind, base)), None):
            room -= _ITEM * base.__len__(one)
            if room >= 0:
                todo += base.items(one) if base is dict else base.__iter__(one)
    return room


class _Brief(reprlib.Repr):
    """A value's `repr` of which each part has a bound."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 10
        self.maxstring = self.maxother = 1000

    def repr_instance(self, x: Any, level: int) -> str:
        """An object that is none of those, or of a type made of one of them."""
        if _room_after(x, self.maxother) < 0:
            return f"<{name_of(type(x).__qualname__)} that is too long>"
        return super().repr_instance(x, level)


_brief = _Brief()


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
