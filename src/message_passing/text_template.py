"""Text with fields in braces: `{user.name} from {ip}`, and with the message's time: `{time:%Y-%m-%d}`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.clock import wall
from message_passing.dotted import value_at
from message_passing.errors import Fault, OptionError
from message_passing.message_fields import message_time

if TYPE_CHECKING:
    from collections.abc import Callable

_PART = re.compile(r"(?P<literal>[^{}]+|\{\{|\}\})|\{(?P<field>[^{}]*)\}|(?P<wrong>[{}])")
_TIME = "time:"
_NO_NAME = re.compile(r"^\s|\s$|:%|![rsa]$|\[-?\d+\]$|:[<>^.0][\d.]*[a-z]?$")
"""What Python's format strings (and those of times) have, and the name of a field hardly ever."""


class TextTemplate:
    """A text with fields in braces, compiled.

    Attributes:
        text: as it was written.
        start: what it always begins with.
        fields: the names of its fields.
        is_constant: whether it is the same for every message, having neither fields nor the time in it.
    """

    def __init__(self, text: str) -> None:
        """Take it apart.

        Args:
            text: `{user.name} from {ip}`; `{{` and `}}` are single braces. `{time:%Y-%m-%d}` is the message's own
                time (see `message_time`), or the present one if it has none, in UTC, formatted by strftime(3).

        Raises:
            OptionError: a brace is not closed, what is in it is no field's name, or no time can be written so; with
                the column.
        """
        self.text = text
        self.start = ""
        self.fields: list[str] = []
        self._parts: list[tuple[str, str, str]] = []  # literal text, or a field, or a format of the time
        for found in _PART.finditer(text):
            mark = (0, found.start() + 1)
            if found["wrong"]:
                problem = f"{found['wrong']!r} has no counterpart: write it twice for a single one"
                raise OptionError(Fault(problem, "", mark))
            if found["field"] == "":
                raise OptionError(Fault("there is no field's name in {}", "", mark))
            field, literal = found["field"] or "", found["literal"] or ""
            literal = {"{{": "{", "}}": "}"}.get(literal, literal)
            form = field.removeprefix(_TIME) if field.startswith(_TIME) else ""
            if form or field == _TIME:
                _require_time(form, mark)
            elif field:
                _require_name(field, mark)
                self.fields.append(field)
            elif all(not one[1] and not one[2] for one in self._parts):
                self.start += literal
            self._parts.append((literal, "" if form else field, form))
        self.is_constant = all(literal for literal, _, _ in self._parts)

    def value(self, message: Any, shape: Callable[[str], str] | None = None) -> str:
        """The text for a message: a missing field, or null, is empty; what is no text is written as JSON.

        Args:
            message: anything; only dicts have fields.
            shape: makes of a field's text what may stand for it.
        """
        parts: list[str] = []
        for literal, field, form in self._parts:
            if literal:
                parts.append(literal)
            elif form:
                parts.append(_time_text(message, form))
            else:
                text = _as_text(value_at(message, field))
                parts.append(shape(text) if shape else text)
        return "".join(parts)


def _require_name(field: str, mark: tuple[int, int]) -> None:
    if _NO_NAME.search(field):
        hint = "; {time:...} is the message's own time, in whatever field that is" if ":%" in field else ""
        text = f"{{{field}}} is no field: its name alone stands in braces, without spaces, form or item{hint}"
        raise OptionError(Fault(text, "", mark))


def _require_time(form: str, mark: tuple[int, int]) -> None:
    try:
        good = "%" in form and datetime.now(UTC).strftime(form) != form
    except ValueError:  # also what cannot be encoded
        good = False
    if not good:
        text = f"{{{_TIME}{form}}} is no form of the time: write it with strftime's letters, as in {{time:%Y-%m-%d}}"
        raise OptionError(Fault(text, "", mark))


def _time_text(message: Any, form: str) -> str:
    moment = message_time(message)
    moment = wall() if moment is None else moment
    return _formatted(moment if "%f" in form else int(moment), form)


@lru_cache(maxsize=256)  # messages of one second come together
def _formatted(moment: float, form: str) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime(form)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return msgspec.json.encode(value).decode()
    except Exception:  # noqa: BLE001 - an object of a user's own
        return str(type(value).__name__)
