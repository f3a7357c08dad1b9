"""Subjects of NATS: a template with fields, and which values may stand in one.

A subject has tokens with dots between them; `*` stands for any one, `>` for any number at the end; white space
ends it (docs.nats.io, "Subject-Based Messaging"). What begins with `$` belongs to the server.
"""

from __future__ import annotations

import re
from typing import Any

from message_passing.abbreviation import bounded_repr
from message_passing.dotted import value_at
from message_passing.errors import EncodingError

_FIELD = re.compile(r"\{([^{}]*)\}")
_TOKEN = re.compile(r"[^\s.*>\x00-\x20\x7f\ud800-\udfff]+")
_LONGEST_TOKEN = 200
"""The most characters of a field's value in a subject: the server bounds a whole protocol line (4096 bytes)."""
_LARGEST = 1 << 63


def pattern_fault(subject: str) -> str:
    """What is wrong with a subject that may have wildcards; empty if nothing is."""
    *first, last = subject.split(".")
    if all(_is_token(one) or one == "*" for one in first) and (_is_token(last) or last in ("*", ">")):
        return "" if not subject.startswith("$") else "what begins with $ belongs to the server"
    return "names with dots between them, without white space; * and > alone between dots"


def _is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


class SubjectTemplate:
    """A subject, or one with fields in braces: `logs.{service}`.

    Attributes:
        fields: the names of the fields.
        pattern: the subject that a stream has to store: with `*` in place of each field.
        fault: what is wrong with it; empty if nothing is.
    """

    def __init__(self, text: str) -> None:
        """Read it."""
        self._text = text
        self.fields: list[str] = _FIELD.findall(text)
        plain = _FIELD.sub("x", text)
        self.pattern = ".".join("*" if _FIELD.search(one) else one for one in _split(text))
        self.fault = ""
        if "*" in plain or ">" in plain:
            self.fault = "a message has one subject, without * and >"
        elif "{" in plain or "}" in plain or not all(self.fields):
            self.fault = "a field is written {name}"
        elif plain.startswith("$"):
            self.fault = "what begins with $ belongs to the server"
        elif fault := pattern_fault(plain):
            self.fault = fault

    def of(self, message: Any) -> str:
        """The subject of a message.

        Raises:
            EncodingError: it lacks a field, or has a value in it that may not stand in a subject.
        """
        values = {name: _value(message, name) for name in self.fields}
        subject = _FIELD.sub(lambda found: values[found[1]], self._text)
        if subject.startswith("$"):
            raise EncodingError(
                f"{bounded_repr(subject, 60)} is no subject: what begins with $ is the server's"
            )
        return subject


def _split(text: str) -> list[str]:
    """The tokens of a template: dots within braces lead to a field of a field."""
    return re.findall(r"(?:[^.{}]|\{[^{}]*\}|[{}])+", text)


def _value(message: Any, name: str) -> str:
    found = value_at(message, name)
    text = found if isinstance(found, str) else ""
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) < _LARGEST:
        text = str(found)
    if len(text) > _LONGEST_TOKEN or not _is_token(text):
        reason = f"the field {name!r} is no part of a subject: {bounded_repr(found, 60)}"
        allowed = f"text of at most {_LONGEST_TOKEN} characters, without dots, white space, * and >"
        raise EncodingError(f"{reason} (allowed: {allowed})")
    return text
