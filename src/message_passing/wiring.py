"""How much need be done between two components, decided once when a chain is wired, and again when it is rewired.

Between a decoder and an encoder of the same text, what nobody looks into need not be decoded: the text is checked,
and passed on as it came. And where the next component writes lines, a batch may be one block of them.

An output that needs a field of its messages says `takes_objects`: the encoders right before it hand objects on, and
the output encodes them, with these (`Output.encoded`).

What a class says of itself (`transparent`, `takes_text`, `takes_blocks`, `takes_objects`) holds for itself, and for
its subclasses unless they handle messages in a way of their own: these have to say it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

HANDLING = frozenset({"emit", "filter", "filter_many", "on_init", "text_of", "write", "write_many"})
"""What a class that handles messages in a way of its own defines."""


class Wired(Protocol):
    """As much of a component as this looks at."""

    def outputs(self) -> Sequence[Any]:
        """Where its messages go."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a component may hand on instead of a list of objects.

    Attributes:
        text: checked lines of JSON text (`lines.Lines`): they become text again, and nobody looks into them before.
        blocks: a block of lines (`lines.Block`).
    """

    text: bool = False
    blocks: bool = False


def wiring_of(component: Wired) -> Wiring:
    """What those that come next allow, all of them."""
    outputs = component.outputs()
    return Wiring(
        text=all(map(_becomes_text, outputs)),
        blocks=all(said(type(output), "takes_blocks") is True for output in outputs),
    )


def leaves_encoding(component: Any) -> bool:
    """Whether an encoder hands objects on: it leads to one output that takes them, or to an encoder like that."""
    if not getattr(component, "encodes_batches", False):
        return False
    following, *others = component.outputs()
    return not others and (said(type(following), "takes_objects") is True or leaves_encoding(following))


def misses_objects(component: Any) -> str:
    """What an output is called that would take objects, and gets what this encoder makes; empty if there is none."""
    if leaves_encoding(component):
        return ""
    for output in component.outputs():
        if said(type(output), "takes_objects") is True:
            return str(output.label)
        if found := misses_objects(output):
            return found
    return ""


def said(cls: type, name: str) -> Any:
    """What a class says of itself, as far as that holds; None otherwise."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
        if not HANDLING.isdisjoint(base.__dict__):
            break
    return None


def _becomes_text(output: Any) -> bool:
    takes_text = said(type(output), "takes_text")
    if takes_text:
        return bool(takes_text(output)) and not leaves_encoding(output)
    return said(type(output), "transparent") is True and all(map(_becomes_text, output.outputs()))
