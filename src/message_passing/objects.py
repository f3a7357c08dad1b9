"""The contents of an object, each part read separately: one that raises costs none of the others.

Methods are looked up on the type. An object's `str` is used only if there is nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from message_passing.abbreviation import bounded_repr
from message_passing.scalars import has, is_a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CONVERSIONS = ("__json__", "to_dict", "to_hash", "pack")

_REPR = 10_000
"""Characters of the arguments of an exception that is a value among others."""


def converter(value: Any) -> Callable[[], Any] | None:
    """The function that converts an object to JSON types, if its type has a method for that."""
    if has(value, "model_dump"):
        return lambda: value.model_dump(mode="json")
    for method in _CONVERSIONS:
        if has(value, method) and callable(getattr(value, method, None)):
            return partial(_call, value, method)
    return None


def _call(value: Any, method: str) -> Any:
    return getattr(value, method)()


def safe(convert: Any, value: Any) -> str:
    """What `convert` makes of a value, as text; a description of the value if that raises."""
    try:
        text = convert(value)
        # A subclass of str may have methods that raise, or worse: this makes a copy without asking it.
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # noqa: BLE001 - a __str__ or __repr__ that raises
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def fields_of(value: Any) -> list[tuple[str, Any]] | None:
    """The fields of a dataclass, an attrs object, a msgspec.Struct and the like, by their names in JSON.

    Returns:
        Names and values; None for an object that is none of these.
    """
    if has(value, "__struct_encode_fields__"):
        kind = type(value)
        config = kind.__struct_config__
        tag = [] if config.tag is None else [(config.tag_field, config.tag)]
        names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        return [*tag, *((name, getattr(value, own, None)) for name, own in names)]
    if is_a(type(value), "types", "SimpleNamespace"):
        return list(vars(value).items())
    if has(value, "__dataclass_fields__"):
        given: Iterable[str] = type(value).__dataclass_fields__
    elif has(value, "__attrs_attrs__"):
        given = [field.name for field in type(value).__attrs_attrs__]
    else:
        return None
    absent = object()
    found = [(name, _attribute(value, name, absent)) for name in given]
    return [(name, item) for name, item in found if item is not absent]


def _attribute(value: Any, name: str, absent: Any) -> Any:
    """A field's value; a description if it is a property that raises."""
    try:
        return getattr(value, name)
    except AttributeError:
        return absent
    except Exception as error:  # noqa: BLE001 - the other fields are good
        return f"<could not be read: {type(error).__name__}>"


def pairs_of(mapping: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """Keys and values; a description in place of a value that raises."""
    try:
        iter(pairs := mapping.items())
    except Exception:  # noqa: BLE001 - a subclass of dict can still be read as one
        return dict.items(mapping) if isinstance(mapping, dict) else ()
    if type(mapping).items is not Mapping.items:
        return pairs
    return ((key, _item(mapping, key)) for key in mapping)


def _item(mapping: Mapping[Any, Any], key: Any) -> Any:
    try:
        return mapping[key]
    except Exception as error:  # noqa: BLE001 - the other values are good
        return f"<could not be read: {type(error).__name__}>"


def distinct(names: list[str]) -> list[str]:
    """The same names, with repeated ones numbered so that none replaces another."""
    if len(set(names)) == len(names):
        return names
    found: dict[str, None] = {}
    counts: dict[str, int] = {}
    for name in names:
        one = name
        while one in found:
            counts[name] = counts.get(name, 1) + 1
            one = f"{name} ({counts[name]})"
        found[one] = None
    return list(found)


def describe_object(value: Any) -> str:
    """The description of an object that has no JSON form."""
    kind: Any = type(value)
    if kind.__repr__ is BaseException.__repr__:
        return f"{kind.__name__}{bounded_repr(BaseException.__dict__['args'].__get__(value), _REPR)}"
    if is_a(kind, "functools", "partial"):
        return (
            f"functools.partial({bounded_repr((safe(repr, value.func), value.args, value.keywords), _REPR)})"
        )
    if kind.__repr__ is object.__repr__ and kind.__str__ is not object.__str__:
        return safe(str, value)
    return safe(repr, value)
