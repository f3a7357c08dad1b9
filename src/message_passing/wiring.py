"""How much work is needed between two components, decided whenever a chain is wired or rewired.

Between a decoder and an encoder of the same text, messages that no component inspects need not be decoded: the text
is checked, and passed on as it came. And where the next component writes lines, a batch may be one block of them.

Filters that only choose among messages say which fields they read (`Filter.reads`). Where all between such a decoder
and encoder do, or do not look, the decoder reads these fields alone, and the text of what is kept passes on. One that
seldom changes a message may do likewise, if it finds in the text which messages these can be (`Filter.suspects`).

An output that needs a field of its messages sets `takes_objects`: the encoders right before it pass objects on, and
the output encodes them, with these (`Output.encoded`).

What a class declares (`transparent`, `takes_text`, `takes_blocks`, `takes_frames`, `passes_blocks`, `takes_objects`)
holds for itself, and for its subclasses, unless they handle messages differently: these have to declare it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from message_passing.read_fields import can_be_read, fields_of_message

if TYPE_CHECKING:
    from collections.abc import Sequence

HANDLING = frozenset(
    {
        "emit",
        "fields_read",
        "filter",
        "filter_many",
        "keeps",
        "keeps_many",
        "on_init",
        "suspects",
        "text_of",
        "write",
        "write_many",
    }
)
"""The methods that a class which handles messages differently defines."""


class Wired(Protocol):
    """The part of a component that is used here."""

    def outputs(self) -> Sequence[Any]:
        """Where its messages go."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a component may pass on instead of a list of objects.

    Attributes:
        text: checked lines of JSON text (`lines.LineBatch`): they become text again uninspected.
        blocks: a block of lines (`lines.LineBlock`).
        frames: a batch as it was received (`lines.ObjectFrames`), which they do not change.
        reads: checked lines, with the fields of these names (`lines.ReadLines`); None if that is not enough.
    """

    text: bool = False
    blocks: bool = False
    frames: bool = False
    reads: frozenset[str] | None = None


def wiring_of(component: Wired) -> Wiring:
    """What all of the next components accept."""
    outputs = component.outputs()
    text = all(map(_becomes_text, outputs))
    return Wiring(
        text=text,
        blocks=all(map(_takes_blocks, outputs)),
        frames=all(map(_takes_frames, outputs)),
        reads=None if text else _read_by(outputs),
    )


def _read_by(outputs: Sequence[Any]) -> frozenset[str] | None:
    """The fields that are read before messages become text again; None if more is done with them."""
    found: frozenset[str] = frozenset()
    for output in outputs:
        if _becomes_text(output):
            continue
        own = output.fields_read() if said(type(output), "reads") is not None else None
        if own is None and said(type(output), "passes_blocks") is True:
            own = ()
        following = None if own is None else _read_by(output.outputs())
        if own is None or following is None:
            return None
        found |= following | fields_of_message(own)
    return found if can_be_read(found) else None


def leaves_encoding(component: Any) -> bool:
    """Whether an encoder passes objects on: it leads to one output that accepts them, or to such an encoder."""
    if not getattr(component, "encodes_batches", False):
        return False
    following, *others = component.outputs()
    return not others and (_wants_objects(following) or leaves_encoding(following))


def misses_objects(component: Any) -> str:
    """The label of an output that wants objects but receives this encoder's result; empty if there is none."""
    if leaves_encoding(component):
        return ""
    for output in component.outputs():
        if _wants_objects(output):
            return str(output.label)
        if found := misses_objects(output):
            return found
    return ""


def _wants_objects(output: Any) -> bool:
    """Whether it is an output that needs the objects: its class may, and this one does."""
    return said(type(output), "takes_objects") is True and bool(output.takes_objects)


def leaves_messages_unchanged(component: Any) -> bool:
    """Whether neither a component nor what follows it changes the messages that it gets, as far as they declare it.

    What becomes text is changed no more; an output that `takes_objects` encodes them.
    """
    cls = type(component)
    if said(cls, "takes_text") is not None and not leaves_encoding(component):
        return True
    if _wants_objects(component):
        return True
    passes = said(cls, "transparent") or said(cls, "passes_blocks") or leaves_encoding(component)
    passes = passes or said(cls, "reads") is not None
    return bool(passes) and all(map(leaves_messages_unchanged, component.outputs()))


def said(cls: type, name: str) -> Any:
    """What a class declares, as far as that holds; None otherwise."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
        if not HANDLING.isdisjoint(base.__dict__):
            break
    return None


def _takes_blocks(output: Any) -> bool:
    if said(type(output), "takes_blocks") is True:
        return True
    return said(type(output), "passes_blocks") is True and all(map(_takes_blocks, output.outputs()))


def _takes_frames(output: Any) -> bool:
    if said(type(output), "takes_blocks") is True:
        return True
    if said(type(output), "takes_frames") is True:  # the block is of use to it only if it passes text on
        following = output.outputs()
        return all(map(_becomes_text, following)) or _read_by(following) is not None
    return said(type(output), "passes_blocks") is True and all(map(_takes_frames, output.outputs()))


def _becomes_text(output: Any) -> bool:
    takes_text = said(type(output), "takes_text")
    if takes_text:
        return bool(takes_text(output)) and not leaves_encoding(output)
    return said(type(output), "transparent") is True and all(map(_becomes_text, output.outputs()))
