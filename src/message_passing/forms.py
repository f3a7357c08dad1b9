"""From a config file's or command line's values to a chain. There are two forms.

The flat form has the command line's words as its keys, as in the original:

    {"input": "ZeroMQ", "input_options": {"socket_bind": "tcp://*:5222"}, "output": "STDOUT"}

The named form has a table for each kind of component, and makes chains of any shape:

    error_log = "errors"                # optional: the component that all errors go to

    [inputs.apps]
    class = "ZeroMQ"
    output_to = "decoder"               # or a list, for the filter T
    options = { socket_bind = "tcp://*:5222" }
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from message_passing.chain import Chain
from message_passing.declaration import Declaration
from message_passing.errors import ConfigError, Fault, UserError, did_you_mean
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

FLAT_KEYS = (*FLAT_PARTS, *(f"{part}_options" for part in FLAT_PARTS))
NAMED_KEYS = {f"{kind}s": kind for kind in PACKAGES}

_COMPONENT_KEYS = ("class", "options", "output_to", "error")


def is_named(values: Mapping[str, Any]) -> bool:
    """Whether a config file is of the named form."""
    return any(key in values for key in (*NAMED_KEYS, "error_log"))


def flat_chain(values: Mapping[str, Any], places: Mapping[str, str]) -> Chain:
    """The chain of the flat form, declared and not yet built.

    Args:
        values: by the keys of `FLAT_KEYS`; `*_options` are mappings.
        places: where each value was written: `--input_options`, `config.toml: input_options`.

    Raises:
        UserError: a required part is missing, or a value has the wrong shape.
    """
    chain = Chain()
    faults = []
    for part, (kind, target) in FLAT_PARTS.items():
        component = values.get(part, DEFAULTS.get(part))
        options = values.get(f"{part}_options", {})
        place = places.get(part, f"--{part}")
        options_place = places.get(f"{part}_options", place)
        if component is None:
            faults.append(
                Fault(f"{place} is required: one of {', '.join(names(kind))}, or +package.module:Class")
            )
        elif not isinstance(component, str):
            faults.append(Fault(f"must be a component's name, not {component!r}", place))
        elif not isinstance(options, Mapping):
            faults.append(Fault(f"must be an object of options, not {options!r}", options_place))
        else:
            chain.declare(
                Declaration(
                    kind=kind,
                    name=part,
                    component=component,
                    options=options,
                    output_to=(target,) if target else (),
                    place=place,
                    options_place=options_place,
                    from_text=True,
                )
            )
    if faults:
        raise UserError(*faults)
    chain.use_errors("error_encoder")
    return chain


def named_chain(values: Mapping[str, Any], source: str) -> Chain:
    """The chain of the named form, declared and not yet built.

    Args:
        values: the config file's tables.
        source: the file's name, for messages.

    Raises:
        ConfigError: a table or value has the wrong shape.
    """
    chain = Chain()
    faults: list[Fault] = []
    for key, kind in NAMED_KEYS.items():
        tables = values.get(key, {})
        if not isinstance(tables, Mapping):
            faults.append(Fault("must be a table of components by their names", f"{source}: {key}"))
            continue
        for name, table in tables.items():
            place = f"{source}: {key}.{name}"
            wrong = _table_faults(table, place)
            faults += wrong
            if not wrong:
                chain.declare(_declaration(kind, name, table, place))
    head = values.get("error_log")
    if isinstance(head, str):
        chain.use_errors(head)
    elif head is not None:
        faults.append(Fault("must be the name of a component", f"{source}: error_log"))
    if faults:
        raise ConfigError(*faults)
    return chain


def _table_faults(table: Any, place: str) -> list[Fault]:
    if not isinstance(table, Mapping):
        return [Fault("must be a table with class, options and output_to", place)]
    faults = []
    for key in table:
        if key not in _COMPONENT_KEYS:
            hint = did_you_mean(key, _COMPONENT_KEYS) or f" (it has {', '.join(_COMPONENT_KEYS)})"
            faults.append(Fault(f"there is no key {key!r} here{hint}; options go into `options`", place))
    if not isinstance(table.get("class"), str):
        faults.append(Fault("needs a class: a component's name", place))
    if not isinstance(table.get("options", {}), Mapping):
        faults.append(Fault("must be a table of options", f"{place}.options"))
    targets = table.get("output_to", [])
    if not isinstance(targets, (str, list)) or not all(isinstance(target, str) for target in targets):
        faults.append(Fault("must be a name or a list of names", f"{place}.output_to"))
    if not isinstance(table.get("error", ""), str):
        faults.append(Fault("must be a name", f"{place}.error"))
    return faults


def _declaration(kind: str, name: str, table: Mapping[str, Any], place: str) -> Declaration:
    targets = table.get("output_to", [])
    return Declaration(
        kind=kind,
        name=name,
        component=table["class"],
        options=table.get("options", {}),
        output_to=(targets,) if isinstance(targets, str) else tuple(targets),
        error=table.get("error"),
        place=place,
        options_place=f"{place}.options",
        from_text=True,
    )
