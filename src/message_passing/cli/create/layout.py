"""From the components that were asked for to a whole chain: what lacks is added, and each is given a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.cli.create.kinds import Chosen
from message_passing.cli.describe import own_options
from message_passing.forms import DEFAULTS
from message_passing.registry import find

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        name: in the chain.
        chosen: what it is.
        targets: the names of those that it outputs to.
    """

    name: str
    chosen: Chosen
    targets: tuple[str, ...] = ()


def laid_out(chosen: Sequence[Chosen]) -> list[Table]:
    """The chain: all inputs lead into one row of decoders, filters and encoders, and that to all outputs."""
    groups: dict[str, list[Chosen]] = {}
    for kind in ("input", "decoder", "filter", "encoder", "output"):
        groups[kind] = [one for one in chosen if one.kind == kind]
        if not groups[kind] and kind in _LACKING:
            groups[kind] = [Chosen(_LACKING[kind], find(kind, _LACKING[kind]), added=True)]
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
    return tables + [Table(name, one) for name, one in outputs]


def _named(kind: str, group: Sequence[Chosen]) -> list[tuple[str, Chosen]]:
    return [(kind if number == 1 else f"{kind}_{number}", one) for number, one in enumerate(group, start=1)]


def needed(cls: type[Component]) -> dict[str, Any]:
    """The options that it cannot do without, as in its example: those required, or all of the example's."""
    required = {name for name, one in own_options(cls).items() if one.required}
    given = {name: value for name, value in cls.example.items() if name in required}
    try:
        cls(**given)
    except Exception:  # noqa: BLE001 - whatever ails it, `check` tells; here it is to be written down
        return dict(cls.example)
    return given


def spelt_options(cls: type[Component]) -> list[Option]:
    """Those that a file can spell."""
    return [one for one in own_options(cls).values() if not one.python_only]
