"""The types of options: their parts, and their names in messages."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from message_passing.errors import did_you_mean

if TYPE_CHECKING:
    import msgspec

LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
"""The bounds that an option may have, as `msgspec.Meta` calls them."""

_LIMIT_TEXT = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}", "pattern": "matching {}"}


def wants_callable(hint: Any) -> bool:
    """Whether values of this type are functions, or may be."""
    return any(member is Callable or get_origin(member) is Callable for member in members(hint))


def members(hint: Any) -> tuple[Any, ...]:
    """The members of a union; for any other type, the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def type_text_of(hint: Any) -> str:
    """The type in words: `int >= 0`, `int from 1 to 9`, `non-empty str`, `'SUB' or 'PULL'`, `list of str`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(type_text_of(args[0]), args[1])
    if origin in (Union, types.UnionType, Literal):
        texts = map(repr, args) if origin is Literal else map(type_text_of, args)
        return " or ".join(text for text in texts if text != "NoneType")
    if origin in (list, tuple):
        return f"list of {type_text_of(args[0])}"
    if origin is dict:
        return f"mapping of {type_text_of(args[0])} to {type_text_of(args[1])}"
    if wants_callable(hint):
        return "callable"
    return "any object" if hint is Any else str(getattr(hint, "__name__", hint))


def way_out(hint: Any, value: Any) -> str:
    """What may have been meant by a value of another type, as the end of a sentence; empty if nothing may."""
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return _nearest(kind, value) or _as_written(kind, value)


def _as_written(kind: Any, value: Any) -> str:
    """How the same is written as this type, if that may be meant: YAML reads 0640 as 416, and `yes` as true."""
    if kind is str and isinstance(value, (bool, int, float)):
        return ": put it in quotes"
    if get_origin(kind) is list and isinstance(value, str):
        return ": put it in brackets"
    if kind in (int, float) and isinstance(value, str) and value[:1].isdigit() and value[-1].isalpha():
        return ": it is a number without a unit"
    return ""


def _nearest(kind: Any, value: Any) -> str:
    """The choice that may have been meant, if the type has choices."""
    given = [value]
    if get_origin(kind) is list and isinstance(value, list):
        (kind,), given = get_args(kind), value
    choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
    wrong = next((one for one in given if isinstance(one, str) and one not in choices), None)
    return did_you_mean(wrong, choices) if wrong is not None and choices else ""


def _limited(text: str, meta: msgspec.Meta) -> str:
    limits = {name: limit for name in _LIMIT_TEXT if (limit := getattr(meta, name)) is not None}
    if {"ge", "le"} <= limits.keys():
        text += f" from {limits.pop('ge')} to {limits.pop('le')}"
    if meta.min_length:
        text = f"non-empty {text}" if meta.min_length == 1 else f"{text} of {meta.min_length} or more"
    return " ".join([text, *(_LIMIT_TEXT[name].format(limit) for name, limit in limits.items())])
