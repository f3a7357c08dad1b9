"""Formatting messages for a terminal: by a template, in colour, with control characters escaped."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from message_passing.errors import OpenError
from message_passing.escaping import escape_control, escape_json
from message_passing.message_fields import field, level_of

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATE = "{time} {level} {logger} {message}"

_PLACE = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}\[\]:!\s]+)(?::(?P<width>\d{1,3}))?\}|[{}]")

_COLOURS = ((50, "1;31"), (40, "31"), (30, "33"), (25, "36"), (20, "32"), (-(1 << 62), "2"))
_DIM, _PLAIN = "2", "\x1b[0m"


def escape_control_json(message: Any) -> str:
    """One line of JSON without control characters for a terminal: these are escaped as in JSON."""
    try:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    except (RecursionError, ValueError):  # also numbers of more digits than Python writes
        text = '"(nested too deeply to be shown)"'
    return escape_json(text)


def colours(choice: str, stream: TextIO) -> bool:
    """Whether to use colours: `always`, `never`, or `auto`, on a terminal that supports them."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Template:
    """A template of a message: text with field names in braces, and nothing else."""

    def __init__(self, text: str, *, coloured: bool = False) -> None:
        """Parse the template.

        Args:
            text: `{time} {extra.order:8}` : names, and widths to pad to.
            coloured: whether levels are coloured.

        Raises:
            OpenError: it is not a template.
        """
        self._parts: list[str | Callable[[Any, Any], str]] = []
        self._coloured = coloured
        end = 0
        for found in _PLACE.finditer(text):
            self._parts.append(text[end : found.start()])
            end = found.end()
            if found[0] in ("{{", "}}"):
                self._parts.append(found[0][0])
            elif found["name"] is None:
                told = "field names are in braces: {name}, {extra.order}, {level:8}; {{ is a brace"
                raise OpenError(f"{text!r}: {told}")
            else:
                self._parts.append(self._place(found["name"], int(found["width"] or 0)))
        self._parts.append(text[end:])

    def _place(self, name: str, width: int) -> Callable[[Any, Any], str]:
        def place(message: Any, when: Any) -> str:
            text = escape_control(_field_text(message, name, when)).ljust(width)
            if not self._coloured or name not in ("level", "time"):
                return text
            code = _DIM if name == "time" else _colour_of(message)
            return f"\x1b[{code}m{text}{_PLAIN}" if code else text

        return place

    def fill(self, message: Any, when: float | None = None) -> str:
        """The lines of a message: one, and those of its traceback.

        Args:
            message: an object, or text.
            when: when it arrived, in seconds since 1970, for one without a time.
        """
        parts = (part if isinstance(part, str) else part(message, when) for part in self._parts)
        lines = ["".join(parts).rstrip()]
        trace = field(message, "traceback")
        if isinstance(trace, str):
            lines += [f"    {escape_control(line)}" for line in trace.rstrip().splitlines()]
        return "\n".join(lines)


def _field_text(message: Any, name: str, when: float | None) -> str:
    if name == "json":
        return escape_control_json(message)
    if not isinstance(message, dict):
        if name == "message":
            return message if isinstance(message, str) else escape_control_json(message)
        return _moment(when) if name == "time" else ""
    value = field(message, name)
    if name == "time" and (value is None or isinstance(value, int | float)):
        return _moment(when if value is None else value)
    if value is None:
        return escape_control_json(message) if name == "message" else ""
    return value if isinstance(value, str) else escape_control_json(value)


def _moment(when: float | None) -> str:
    if when is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    except (OverflowError, ValueError, OSError):
        return escape_control_json(when)


def _colour_of(message: Any) -> str:
    number = level_of(message)
    return "" if number is None else next((code for least, code in _COLOURS if number >= least), "")


def size(count: float) -> str:
    """A readable number of bytes: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """A readable duration: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
