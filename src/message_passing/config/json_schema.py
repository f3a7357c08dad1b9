"""The JSON Schema (draft 2020-12) of config files, from the declarations of components and of the command.

It is for editors: it knows every key, option and choice. What `check` finds besides, such as names that lead nowhere
or conditions that are malformed, no schema can say. A text with `${NAME}` in it may stand for any value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from message_passing import registry
from message_passing.config.forms import FLAT_PARTS, NAMED_KEYS, STACKED, TESTS
from message_passing.config.test_cases import CASE_KEYS
from message_passing.errors import ComponentError
from message_passing.filters.route import MOST_ROUTES
from message_passing.options import accepted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.component import Component
    from message_passing.options import Option

Schema = dict[str, Any]

_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
_NUMERIC_TEXT = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_BOUND_KEYS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}
_LENGTH_KEYS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_TARGET_NAMES: Schema = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}


def schema_of(process: Mapping[str, Option], own: Iterable[tuple[str, type[Component]]] = ()) -> Schema:
    """The schema.

    Args:
        process: the options of the command.
        own: a user's own components, each with its name in config files: `+package.module:Class`. Of those that are
            not among them, the options are not checked.
    """
    classes: dict[str, dict[str, type[Component] | None]] = {kind: {} for kind in registry.PACKAGES}
    for kind, found in classes.items():
        for name in registry.names(kind):
            try:
                found[name] = registry.find(kind, name)
            except ComponentError:  # a package that it needs is not installed
                found[name] = None
    for name, cls in own:
        classes[cls.kind][name] = cls
    definitions: Schema = {
        "routes": _routes_schema(),
        "test": _test_schema(),
    }
    for kind, found in classes.items():
        definitions[f"{kind} class"] = _class_schema(list(found))
        definitions[kind] = _table_schema(kind, found)
        definitions |= {f"{kind} {name}": _options_schema(cls) for name, cls in found.items() if cls}
    flat = {part: kind for part, (kind, _) in FLAT_PARTS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config file of message-passing",
        "type": "object",
        "properties": {
            **{
                key: {"type": "object", "additionalProperties": {"$ref": _ref(kind)}}
                for key, kind in NAMED_KEYS.items()
            },
            "error_log": {"type": "string", "description": "The component that all errors go to."},
            TESTS: {"type": ["array", "null"], "items": {"$ref": _ref("test")}},
            **{part: _flat_class(part, kind) for part, kind in flat.items()},
            **{f"{part}_options": _flat_options(part) for part in flat},
            **{name: _option_schema(one) for name, one in process.items() if name != "configfile"},
        },
        "additionalProperties": False,
        "allOf": [
            _flat_rule(part, kind, name)
            for part, kind in flat.items()
            for name, cls in classes[kind].items()
            if cls
        ],
        "$defs": definitions,
    }


def _ref(name: str) -> str:
    """A reference, with what a JSON pointer and a URI fragment escape (RFC 6901, RFC 3986)."""
    return "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace(" ", "%20").replace("+", "%2B")


def _class_schema(names: list[str]) -> Schema:
    """A component's name; YAML reads an unquoted `Null` as null, which is put right."""
    known: Schema = {"enum": [*names, None] if "Null" in names else names}
    return {"anyOf": [known, {"type": "string", "pattern": r"^\+[\w./]+:[\w.]+$"}, _VARIABLE]}


def _options_schema(cls: type[Component]) -> Schema:
    known = {name: one for name, one in accepted(cls).items() if not one.python_only}
    found: Schema = {
        "type": "object",
        "description": (cls.__doc__ or "").strip().partition("\n\n")[0],
        "properties": {name: _option_schema(one) for name, one in known.items()},
        "additionalProperties": False,
    }
    if required := [name for name, one in known.items() if one.required]:
        found["required"] = required
    return found


def _table_schema(kind: str, classes: Mapping[str, type[Component] | None]) -> Schema:
    """A table of the named form."""
    properties: Schema = {
        "class": {"$ref": _ref(f"{kind} class")},
        "options": {"type": ["object", "null"]},
        "error": {"type": "string", "description": "The component that its errors go to."},
    }
    if kind != "output":
        targets = (
            [_TARGET_NAMES] if kind == "encoder" else [*_TARGET_NAMES["anyOf"], {"$ref": _ref("routes")}]
        )
        properties["output_to"] = {"anyOf": targets, "description": "Where its messages go."}
    rules = []
    for name, cls in classes.items():
        if cls:
            then: Schema = {
                "properties": {"options": {"anyOf": [{"$ref": _ref(f"{kind} {name}")}, {"type": "null"}]}}
            }
            if _needs_options(cls):
                then = {"properties": {"options": {"$ref": _ref(f"{kind} {name}")}}, "required": ["options"]}
            rules.append(
                {"if": {"properties": {"class": {"const": name}}, "required": ["class"]}, "then": then}
            )
    return {
        "type": "object",
        "properties": properties,
        "required": ["class"] if kind == "output" else ["class", "output_to"],
        "additionalProperties": False,
        "allOf": rules,
    }


def _needs_options(cls: type[Component]) -> bool:
    return any(one.required and not one.python_only for one in accepted(cls).values())


def _flat_class(part: str, kind: str) -> Schema:
    one: Schema = {"$ref": _ref(f"{kind} class")}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]} if part in STACKED else one


def _flat_options(part: str) -> Schema:
    """An object, or text as the command line has it; a list of these for several components."""
    one: Schema = {"type": ["object", "string", "null"]}
    words: Schema = {"type": "array", "items": {"type": ["object", "string", "null", "array"]}}
    return {"anyOf": [one, words], "description": f"The options of `{part}`."}


def _flat_rule(part: str, kind: str, name: str) -> Schema:
    """Which options a part has, if it is this component."""
    key = f"{part}_options"
    given = {"anyOf": [{"$ref": _ref(f"{kind} {name}")}, {"type": ["string", "array", "null"]}]}
    return {
        "if": {"properties": {part: {"const": name}}, "required": [part]},
        "then": {"properties": {key: given}},
    }


def _routes_schema() -> Schema:
    route: Schema = {
        "type": "object",
        "properties": {
            "when": {
                "type": "string",
                "minLength": 1,
                "description": "A condition in Python's expression syntax.",
            },
            "to": {**_TARGET_NAMES, "description": "Where messages go for which it is the first that holds."},
            "else": {**_TARGET_NAMES, "description": "Where all other messages go."},
        },
        "additionalProperties": False,
        "dependentRequired": {"when": ["to"], "to": ["when"]},
        "minProperties": 1,
    }
    return {"type": "array", "items": route, "minItems": 1, "maxItems": MOST_ROUTES}


def _test_schema() -> Schema:
    messages: Schema = {"type": "array"}
    kinds: Schema = {
        "name": {"type": "string"},
        "at": {"type": "string"},
        "input": messages,
        "output": {"anyOf": [messages, {"type": "object", "additionalProperties": messages}]},
        "errors": {"type": "array", "items": {"type": "string"}},
        "filtered": {"type": "integer"},
    }
    return {
        "type": "object",
        "properties": {key: kinds[key] for key in CASE_KEYS},
        "required": ["input"],
        "additionalProperties": False,
    }


def _option_schema(one: Option) -> Schema:
    found = _type_schema(one.type)
    if one.flag_value is not None:
        found = {"anyOf": [found, {"type": "boolean"}]}
    if one.description:
        found = {**found, "description": one.description}
    if not one.required and (default := one.make_default()) is not None and not one.secret:
        with suppress(TypeError):  # it is no value of a file
            found["default"] = msgspec.json.decode(msgspec.json.encode(default))
    return found


def _type_schema(hint: Any) -> Schema:
    """What a file may have for an option of this type: also text that is read as such a value."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded_schema(_type_schema(args[0]), args[1])
    if origin in (Union, UnionType):
        return {"anyOf": [_type_schema(one) for one in args if get_origin(one) is not Callable]}
    if origin is Literal:
        return {"anyOf": [{"enum": list(args)}, _VARIABLE]}
    if origin in (list, tuple, set, frozenset) or hint in (list, tuple, set):
        return {"type": "array", "items": _type_schema(args[0]) if args else {}}
    if origin in (dict, Mapping) or hint is dict:
        return {"type": "object", "additionalProperties": _type_schema(args[1]) if args else {}}
    if hint is bool:
        text: Schema = {"type": "string", "pattern": r"^(?:[Tt]rue|TRUE|[Ff]alse|FALSE|0|1)$|\$\{"}
        return {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, text]}
    if hint in (int, float):
        return {
            "anyOf": [
                {"type": "integer" if hint is int else "number"},
                {"type": "string", "pattern": rf"{_NUMERIC_TEXT}|\$\{{"},
            ]
        }
    return {str: {"type": "string"}, NoneType: {"type": "null"}}.get(hint, {})


def _bounded_schema(found: Schema, meta: msgspec.Meta) -> Schema:
    """A type with its bounds, which hold for what is written as it is, and not for `${NAME}`."""
    limits = {ours: value for name, ours in _BOUND_KEYS.items() if (value := getattr(meta, name)) is not None}
    lengths = (meta.min_length, meta.max_length)
    if "anyOf" in found:
        first, *others = found["anyOf"]
        return {"anyOf": [_bounded_schema(first, meta), *others]}
    names = _LENGTH_KEYS.get(found.get("type", ""), ())
    limits |= {name: value for name, value in zip(names, lengths, strict=False) if value is not None}
    text = found.get("type") == "string"
    return {"anyOf": [{**found, **limits}, _VARIABLE]} if text and limits else {**found, **limits}
