"""The one rule for dotted names of fields: what filters, conditions, the console and `tail` mean by `user.name`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def place_of(message: dict[str, Any], path: str) -> tuple[str, ...] | None:
    """The keys that lead to an existing field, by the rule of `value_at`; None if there is no such field."""
    if path in message:
        return (path,)
    end = path.find(".")
    while end >= 0:
        inner = message.get(path[:end])
        if isinstance(inner, dict) and (rest := place_of(inner, path[end + 1 :])):
            return (path[:end], *rest)
        end = path.find(".", end + 1)
    return None


def with_value(message: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with that value in a field. Where there is no such field, a dot leads into a dict, as in `value_at`.

    Only the dicts on the way are copied. Where another value is on the way, nothing of it is lost: the field gets the
    whole name, with its dots.
    """
    return set_at(message, place_of(message, path) or _new_place(message, path), value)


def _new_place(message: dict[str, Any], path: str) -> tuple[str, ...]:
    parts = (*path.split("."),)
    inner: Any = message
    for part in parts[:-1]:
        inner = inner.get(part)
        if inner is None:
            break
        if not isinstance(inner, dict):
            return (path,)
    return parts


def one_within_another(paths: Iterable[str]) -> tuple[str, str] | None:
    """Of fields that are all to be set, one that another contains, and that one; None if there are none."""
    given = dict.fromkeys(paths)
    for path in given:
        end = path.find(".")
        while end >= 0:
            if path[:end] in given:
                return path, path[:end]
            end = path.find(".", end + 1)
    return None


def without(message: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy without a field; the message itself if it has no such field. Only the dicts on the way are copied."""
    place = place_of(message, path)
    if place is None:
        return message
    *outer, last = place
    inner = message
    for key in outer:
        inner = inner[key]
    rest = inner.copy()
    del rest[last]
    return set_at(message, (*outer,), rest) if outer else rest


def set_at(message: Any, place: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy with that value where these keys lead. Only the dicts on the way are copied, or made."""
    copy = {**message} if isinstance(message, dict) else {}
    first, *rest = place
    copy[first] = set_at(copy.get(first), (*rest,), value) if rest else value
    return copy
