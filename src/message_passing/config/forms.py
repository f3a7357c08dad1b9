"""From a config file's or command line's values to a chain. There are two forms.

The flat form has the command line's words as its keys, as in the original:

    {"input": "ZeroMQ", "input_options": {"socket_bind": "tcp://*:5222"}, "output": "STDOUT"}

The named form has a table for each kind of component, and makes chains of any shape:

    error_log = "errors"                # optional: the component that all errors go to

    [inputs.apps]
    class = "ZeroMQ"
    output_to = "decoder"               # or a list: of names, for the filter T, or of routes
    options = { socket_bind = "tcp://*:5222" }
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import NoneType
from typing import Any

from message_passing.chain import Chain
from message_passing.config.parsing import options_from_text
from message_passing.declaration import Declaration, UnreadText, has_routes, has_unread, named_twice
from message_passing.errors import (
    ConfigError,
    Fault,
    SourceLocation,
    abbreviate,
    child_location,
    collecting,
    did_you_mean,
)
from message_passing.paths import load_own
from message_passing.registry import PACKAGES, names

DEFAULTS = {
    "filter": "Null",
    "decoder": "JSON",
    "encoder": "JSON",
    "error": "STDERR",
    "error_encoder": "JSON",
}
"""The parts of the flat form that need not be named, and what they then are."""

FLAT_PARTS = {
    "input": ("input", "decoder"),
    "decoder": ("decoder", "filter"),
    "filter": ("filter", "encoder"),
    "encoder": ("encoder", "output"),
    "output": ("output", ""),
    "error_encoder": ("encoder", "error"),
    "error": ("output", ""),
}
"""Each part of the flat form: the kind of component it is, and the part it outputs to."""

STACKED = ("decoder", "filter", "encoder")
"""The kinds of which there may be several, one after the other."""

FLAT_KEYS = (*FLAT_PARTS, *(f"{part}_options" for part in FLAT_PARTS))
NAMED_KEYS = {f"{kind}s": kind for kind in PACKAGES}
TESTS = "tests"
"""Test cases for `message-passing test`, in either form; running a chain ignores them."""

NO_ERROR_CHAIN = (
    "no error chain stores these: name one (--error File --error_options filename=FILE, or the key error_log)"
)
"""What is wrong with `dead_letters` where reports go to standard error, which is the default."""

_NULL = 'the component Null is "Null", in quotes'

_COMPONENT_KEYS = ("class", "options", "output_to", "error")


def is_named(values: Mapping[str, Any]) -> bool:
    """Whether a config file is in the named form, even if a key lacks its `s`."""
    named = any(key in values for key in (*NAMED_KEYS, "error_log"))
    return named or any(isinstance(values.get(kind), Mapping) for kind in NAMED_KEYS.values())


def read_declaration(
    kind: str, component: Any, options: Any, place: str, options_place: str, *, already_reported: bool = False
) -> Declaration:
    """The declaration of a component by a command line or a flat config file; it has no name yet.

    Args:
        kind: `input`, `decoder`, `filter`, `encoder` or `output`.
        component: its name; None if there is none.
        options: a mapping, or text as the command line has it: one word or a list of them; None if they could not be
            read, which has been reported.
        place: where its name was written, or should be: `--input`.
        options_place: where its options were.
        already_reported: an error in its name has been reported already, so that its absence need not be.
    """
    faults: list[Fault] = []
    if isinstance(component, UnreadText) or (component is None and already_reported):
        component = None
    elif component is None and isinstance(place, SourceLocation):
        faults.append(Fault(f"must be a component's name, not null: {_NULL}", place))
    elif component is None:
        known = ", ".join(names(kind))
        faults.append(Fault(f"{place} is required: one of {known}, or +package.module:Class"))
    elif component is not None and not isinstance(component, str):
        faults.append(Fault(f"must be a component's name, not {abbreviate(component)}", place))
    read = None
    with collecting(faults, options_place):
        read = _read_options(options)
    return Declaration(
        kind=kind,
        name="",
        component=component if isinstance(component, str) else None,
        options=read,
        place=place,
        options_place=options_place,
        from_text=True,
        faults=tuple(faults),
    )


def _read_options(given: Any) -> Mapping[str, Any] | None:
    """The options as a mapping.

    Raises:
        ConfigError: they do not parse, or are something else.
    """
    if given is None or isinstance(given, UnreadText):
        return None
    if isinstance(given, Mapping):
        return given
    words = [given] if isinstance(given, str) else given
    if isinstance(words, list) and has_unread(words):
        return None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return options_from_text(words)
    raise ConfigError(f"must be an object of options, not {abbreviate(given)}")


def flat_chain(parts: Mapping[str, Declaration], chain: Chain | None = None) -> Chain:
    """The chain of the flat form, declared and not yet built.

    Args:
        parts: by the keys of `FLAT_PARTS`.
        chain: where to declare them; a new one when it is not given.
    """
    chain = chain or Chain()
    for name, (_, target) in FLAT_PARTS.items():
        parts[name].declare(chain, name, output_to=target or ())
    chain.use_errors("error_encoder")
    return chain


def named_chain(
    values: Mapping[str, Any], source: str, chain: Chain | None = None, *, reported: Collection[str] = ()
) -> Chain:
    """The chain of the named form, declared and not yet built.

    Args:
        values: the config file's tables.
        source: the file's name, for messages.
        chain: where to declare them; a new one when it is not given.
        reported: keys that may be missing because of an error that has been reported.
    """
    chain = chain or Chain()
    chain.unread.update(kind for key, kind in NAMED_KEYS.items() if key in reported or _is_flat(kind, values))
    file = SourceLocation(source, source)
    singular = {kind: kind for kind in NAMED_KEYS.values() if isinstance(values.get(kind), Mapping)}
    for key in singular:
        text = f"a table of components is named {f'{key}s'!r} here"
        chain.add_faults(Fault(text, child_location(file, f"{source}: {key}", key)))
    for key, kind in (*NAMED_KEYS.items(), *singular.items()):
        tables = values.get(key, {})
        if not isinstance(tables, Mapping):
            place = child_location(file, f"{source}: {key}", key)
            chain.unread.add(kind)
            if not has_unread(tables):
                chain.add_faults(Fault("must be a table of components by their names", place))
            continue
        for name, table in tables.items():
            place = child_location(file, f"{source}: {key}.{name}", key, name)
            for declaration in _declarations(kind, name, table, place):
                chain.declare(declaration)
    head = values.get("error_log")
    place = child_location(file, f"{source}: error_log", "error_log")
    if isinstance(head, str) and not has_unread(head):
        chain.use_errors(head, place)
    elif not isinstance(head, (str, NoneType)):
        chain.add_faults(Fault("must be the name of a component", place))
    return chain


def _is_flat(kind: str, values: Mapping[str, Any]) -> bool:
    """Whether a component of this kind is given as in the flat form, which is rejected beside the named form."""
    return f"{kind}_options" in values or not isinstance(values.get(kind, {}), Mapping)


def _table_faults(table: Any, place: str) -> list[Fault]:
    if not isinstance(table, Mapping):
        return [Fault("must be a table with class, options and output_to", place)]
    faults = []
    for key in table:
        if key not in _COMPONENT_KEYS:
            hint = did_you_mean(key, _COMPONENT_KEYS) or f" (it has {', '.join(_COMPONENT_KEYS)})"
            text = f"there is no key {key!r} here{hint}; options go into `options`"
            faults.append(Fault(text, child_location(place, place, key)))
    if "class" in table and table["class"] is None:
        text = f"needs a class: a component's name, not null: {_NULL}"
        faults.append(Fault(text, child_location(place, place, "class")))
    elif not isinstance(table.get("class"), str):
        faults.append(Fault("needs a class: a component's name", child_location(place, place, "class")))
    if not isinstance(_options_of(table), Mapping):
        faults.append(
            Fault("must be a table of options", child_location(place, f"{place}.options", "options"))
        )
    targets = table.get("output_to", [])
    names = isinstance(targets, (str, list)) and all(isinstance(target, str) for target in targets)
    if not names and not has_routes(targets):
        text = "must be a name or a list of names"
        faults.append(Fault(text, child_location(place, f"{place}.output_to", "output_to")))
    elif names and isinstance(targets, list) and (twice := named_twice(targets)):
        text = f"names {twice!r} twice: it would get each message twice"
        faults.append(Fault(text, child_location(place, f"{place}.output_to", "output_to")))
    if not isinstance(table.get("error", ""), str):
        faults.append(Fault("must be a name", child_location(place, f"{place}.error", "error")))
    return faults


def _options_of(table: Mapping[str, Any]) -> Any:
    """Its options; none if everything under YAML's `options:` is commented out."""
    options = table.get("options")
    return {} if options is None else options


def _declarations(kind: str, name: str, table: Any, place: str) -> list[Declaration]:
    """What a table declares; if it has errors, what can be read, so that its other errors are found too."""
    faults = _table_faults(table, place)
    table = table if isinstance(table, Mapping) else {}
    named = {key: value for key, value in table.items() if key != "options" and not has_unread(value)}
    component, error, targets = named.get("class"), named.get("error"), table.get("output_to", [])
    error = error if isinstance(error, str) else None
    right = not faults and len(named) == len(table.keys() - {"options"})
    routes: list[Declaration] = []
    if has_routes(targets) and kind == "output":
        at = child_location(place, f"{place}.output_to", "output_to")
        faults.append(Fault("an output has no output_to: messages end there", at))
        right, targets = False, []
    elif has_routes(targets):
        at = child_location(place, f"{place}.output_to", "output_to")
        # Imported on demand, so that chains without routes start sooner.
        found = load_own("message_passing.routing:routes_of")(kind, name, targets, error=error, place=at)
        routes, targets = found.declared, [found.head] if found.declared else []
        faults += found.faults
        right = right and not found.faults
    targets = targets if isinstance(targets, list) else [targets]
    own = Declaration(
        kind=kind,
        name=name,
        component=component if isinstance(component, str) else None,
        options=_options_of(table) if right else None,
        output_to=tuple(one for one in targets if isinstance(one, str) and not has_unread(one)),
        error=error,
        place=place,
        options_place=child_location(place, f"{place}.options", "options"),
        from_text=True,
        faults=tuple(faults),
    )
    return [own, *routes]
