"""The one rule for dotted names of fields: what the filter Key, the console and `tail` mean by `user.name`."""

from __future__ import annotations

from typing import Any

ABSENT = object()
"""Stands for a field that does not exist; null is a value."""


def value_at(message: Any, path: str, absent: Any = None) -> Any:
    """The value of a field.

    A field whose own name contains the dot takes precedence. Otherwise a dot leads into the dict in the field named
    before it; with several dots, the first that leads to an existing field counts.

    Args:
        message: anything; only dicts have fields.
        path: `foo`, or `foo.bar` for the field `bar` of the dict in the field `foo`.
        absent: the result if there is no such field.
    """
    if not isinstance(message, dict):
        return absent
    if path in message:
        return message[path]
    end = path.find(".")
    while end >= 0:
        found = value_at(message.get(path[:end]), path[end + 1 :], ABSENT)
        if found is not ABSENT:
            return found
        end = path.find(".", end + 1)
    return absent
