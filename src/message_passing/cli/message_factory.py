"""Messages created by commands, with the fields of the log handler."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from message_passing.errors import Fault, OpenError, OptionError
from message_passing.identity import sender_name
from message_passing.logging.entry import Entry
from message_passing.logging.fields import Origin, as_dict, as_json
from message_passing.message_fields import level_number

if TYPE_CHECKING:
    from collections.abc import Sequence


class MessageFactory:
    """Creates messages from text or objects, with the log handler's fields."""

    def __init__(self, level: str, fields: Sequence[str], tag: str, *, as_objects: bool = False) -> None:
        """Set what all messages have in common.

        Args:
            level: a level's name or number.
            fields: `key=value`, each.
            tag: the program's name; empty for the user's.
            as_objects: lines are JSON objects.

        Raises:
            OpenError: there is no such level, or a field is malformed.
        """
        try:
            self._number = level_number(level)
        except OptionError as error:
            raise OpenError(*(Fault(fault.text, "--level") for fault in error.faults)) from error
        named = not level.lstrip("-").isdecimal()
        self._level = level.upper() if named else f"Level {level}"
        self._extra = dict(map(_field, fields))
        self._tag = tag or _user()
        self._origin = Origin(socket.gethostname(), self._tag, os.getpid(), sender_name())
        self._sequence = 0
        self._as_objects = as_objects

    def of_line(self, line: bytes, number: int) -> bytes:
        """The message for a line of standard input.

        Raises:
            OpenError: it is not a JSON object, where it should be one.
        """
        text = line.decode("utf-8", "backslashreplace")
        make = self.of_object if self._as_objects else self.of_text
        return make(text, "standard input", number)

    def of_text(self, text: str, place: str, line: int) -> bytes:
        """The message with this text."""
        return as_json(self._fields(text, place, line))

    def of_object(self, text: str, place: str, line: int) -> bytes:
        """The message of this JSON object, with missing fields added.

        Raises:
            OpenError: it is not a JSON object.
        """
        where = f"line {line}: " if line else ""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise OpenError(f"{where}this is not JSON: {error}") from error
        except RecursionError as error:
            raise OpenError(f"{where}this JSON is nested too deeply") from error
        if not isinstance(found, dict):
            raise OpenError(f"{where}this is JSON, but not an object: a message is {{...}}")
        fields = self._fields(str(found.get("message", "")), place, line)
        if isinstance(found.get("level"), str) and "level_number" not in found:
            with contextlib.suppress(OptionError):  # a level of the user's own has no number that we know
                fields["level_number"] = level_number(found["level"])
        extra = {**self._extra, **found["extra"]} if isinstance(found.get("extra"), dict) else None
        return as_json({**fields, **found, **({"extra": extra} if extra else {})})

    def _fields(self, text: str, place: str, line: int) -> dict[str, Any]:
        self._sequence += 1
        entry = Entry(
            time.time(),
            self._level,
            self._number,
            self._tag,
            text,
            place,
            line,
            "send",
            threading.get_ident(),
            "MainThread",
            self._sequence,
            extra=self._extra or None,
        )
        return as_dict(entry, self._origin)


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise OpenError(f"a field is given as --field name=value, not {text!r}")
    return name, value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # this user has no name
        return str(os.geteuid())
