"""The one rule for dotted names of fields: what the filter Key, the console and `tail` mean by `user.name`."""

from __future__ import annotations

from typing import Any

ABSENT = object()
"""What there is where there is no such field; null is a value."""


def value_at(message: Any, path: str, absent: Any = None) -> Any:
    """The value of a field.

    A name that is itself spelt with the dot is meant where there is one. Otherwise a dot leads into the dict at what
    stands before it; of several dots the first that leads to such a field.

    Args:
        message: anything; only dicts have fields.
        path: `foo`, or `foo.bar` for the field `bar` of the dict in the field `foo`.
        absent: the result where there is no such field.
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
