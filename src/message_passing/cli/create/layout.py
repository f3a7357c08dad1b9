"""From the requested components to a whole chain: missing ones are added, and each gets a name."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from message_passing.cli.catalogue import own_options
from message_passing.cli.create.kinds import Chosen
from message_passing.codecs._packed import Unpacker
from message_passing.config.forms import DEFAULTS
from message_passing.flow import Encoder
from message_passing.registry import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.component import Component
    from message_passing.options import Option

_LACKING = {
    "input": "STDIN",
    "decoder": DEFAULTS["decoder"],
    "encoder": DEFAULTS["encoder"],
    "output": "STDOUT",
}
"""What is added where no component of a kind was named: the codecs as the command does."""


@dataclass(frozen=True, slots=True)
class Table:
    """One component of the config file.

    Attributes:
        name: its name in the chain.
        chosen: what it is.
        targets: the names of those that it outputs to.
        options: those that are filled in.
    """

    name: str
    chosen: Chosen
    targets: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def laid_out(chosen: Sequence[Chosen]) -> list[Table]:
    """The chain: all inputs lead into one row of decoders, filters and encoders, and that to all outputs."""
    groups: dict[str, list[Chosen]] = {}
    for kind in ("input", "decoder", "filter", "encoder", "output"):
        groups[kind] = [one for one in chosen if one.kind == kind]
        if not groups[kind] and kind in _LACKING:
            groups[kind] = [_added(kind, _LACKING[kind])]
    _see_to_codecs(groups)
    outputs = _named("output", groups["output"])
    split = []
    if len(outputs) > 1:
        ts = [one for one in groups["filter"] if one.word == "T"]
        groups["filter"] = [one for one in groups["filter"] if one not in ts]
        split = [("split", ts[0] if ts else Chosen("T", find("filter", "T"), added=True))]
    row = [pair for kind in ("decoder", "filter", "encoder") for pair in _named(kind, groups[kind])] + split
    ends = tuple(name for name, _ in outputs)
    targets = [(name,) for name, _ in row[1:]] + [ends]
    tables = [Table(name, one, (row[0][0],)) for name, one in _named("input", groups["input"])]
    tables += [Table(name, one, to) for (name, one), to in zip(row, targets, strict=True)]
    return _filled_in(tables + [Table(name, one) for name, one in outputs])


def _added(kind: str, name: str) -> Chosen:
    return Chosen(name, find(kind, name), added=True)


def _see_to_codecs(groups: dict[str, list[Chosen]]) -> None:
    """Objects between decoders and encoders, and bytes behind these: without that, nothing would come out."""
    decoders, encoders = groups["decoder"], groups["encoder"]
    if issubclass(decoders[-1].cls, Unpacker):
        decoders.append(_added("decoder", DEFAULTS["decoder"]))
    if [one.word for one in encoders] == ["Null"] and decoders[-1].word != "Null":
        if decoders[-1].added and len(decoders) == 1 and not groups["filter"]:
            decoders[:] = [_added("decoder", "Null")]
        else:
            encoders.insert(0, _added("encoder", DEFAULTS["encoder"]))
    elif issubclass(encoders[0].cls, Encoder) and not encoders[0].cls.readable:
        encoders.insert(0, _added("encoder", DEFAULTS["encoder"]))


def _filled_in(tables: Sequence[Table]) -> list[Table]:
    """The tables with the options that they need. No two have the same address or file.

    Otherwise two outputs would write into one file, and an output send to the input of its own chain.
    """
    used: set[str] = set()
    filled = []
    for table in tables:
        example = needed(table.chosen.cls)
        variants = (_variant(example, number) for number in itertools.count(1))
        options = next(one for one in variants if used.isdisjoint(_resources(one)))
        used |= _resources(options)
        filled.append(replace(table, options=options))
    return filled


_PORT = re.compile(r":(\d{1,5})\Z")


def _resources(options: Mapping[str, Any]) -> set[str]:
    """The ports and files that options name, as far as can be told."""
    found = {f"{name} {options[name]}" for name in ("port", "filename") if name in options}
    ports = (_PORT.search(value) for value in options.values() if isinstance(value, str) and "://" in value)
    return found | {f"endpoint {port[1]}" for port in ports if port}


def _variant(options: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The options with the number-th address or file after those of an example."""

    def varied(name: str, value: Any) -> Any:
        if name == "filename" and number > 1:
            path = PurePath(value)
            return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        if name == "port":
            return value + number - 1
        if isinstance(value, str) and "://" in value:
            return _PORT.sub(lambda port: f":{int(port[1]) + number - 1}", value)
        return value

    return {name: varied(name, value) for name, value in options.items()}


def _named(kind: str, group: Sequence[Chosen]) -> list[tuple[str, Chosen]]:
    return [(kind if number == 1 else f"{kind}_{number}", one) for number, one in enumerate(group, start=1)]


def needed(cls: type[Component]) -> dict[str, Any]:
    """Its example, all of it, if it cannot do without options: one may say how another is meant."""
    if any(one.required for one in own_options(cls).values()):
        return dict(cls.example)
    try:
        cls()
    except Exception:  # noqa: BLE001 - whatever ails it, `check` tells; here it is to be written down
        return dict(cls.example)
    return {}


def spelt_options(cls: type[Component]) -> list[Option]:
    """Those that a file can spell."""
    return [one for one in own_options(cls).values() if not one.python_only]
