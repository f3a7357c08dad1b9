"""Which kind of component each name stands for: JSON is a decoder and an encoder, ZeroMQ an input and an output."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from message_passing.cli.catalogue import look_up_all, own_options
from message_passing.codecs._packed import Unpacker
from message_passing.errors import ComponentError, Fault
from message_passing.flow import Encoder
from message_passing.registry import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from message_passing.component import Component

_KINDS = list(PACKAGES)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A requested component.

    Attributes:
        word: its name in a config file.
        cls: its class.
        added: it was not requested, but a chain needs it.
    """

    word: str
    cls: type[Component]
    added: bool = False

    @property
    def kind(self) -> str:
        """`input`, `decoder`, `filter`, `encoder` or `output`."""
        return self.cls.kind


def choose(words: Sequence[str]) -> list[Chosen]:
    """The components that the words name, in the order of a chain.

    Of all ways to read the words so that their kinds come in that order, the one with the fewest inputs and
    outputs beyond one is taken, then one through which messages can go, then the one that lacks neither.

    Raises:
        ComponentError: a name is unknown or can be used from Python only, the words do not fit that order, or two
            components would use what only one can.
    """
    faults: list[Fault] = []
    candidates: list[list[Chosen]] = []
    for word in words:
        try:
            candidates.append([Chosen(one.name, one.cls) for one in look_up_all(word)])
        except ComponentError as error:
            faults += error.faults
    if faults:
        raise ComponentError(*faults)
    best = min(_in_order(candidates, 0), key=_cost, default=None)
    if best is None:
        kinds = "; ".join(
            f"{word}: {' or '.join(one.kind for one in found)}"
            for word, found in zip(words, candidates, strict=True)
        )
        raise ComponentError(f"name them in the order of a chain, {', '.join(_KINDS)} ({kinds})")
    wrong = [Fault(text) for one in best if (text := _python_only(one.cls))]
    exclusive = Counter(one.cls.exclusive for one in best if one.cls.exclusive)
    wrong += [Fault(f"only one component can use {what}") for what, count in exclusive.items() if count > 1]
    if wrong:
        raise ComponentError(*wrong)
    return best


def _python_only(cls: type[Component]) -> str:
    for one in own_options(cls).values():
        if one.required and one.python_only:
            return (
                f"{cls.describe_self()} can be used from Python only: its option {one.name!r} takes an object"
            )
    return ""


def _in_order(candidates: Sequence[Sequence[Chosen]], lowest: int) -> Iterator[list[Chosen]]:
    """Every reading in which no kind comes before one that it follows in a chain."""
    if not candidates:
        yield []
        return
    for one in candidates[0]:
        rank = _KINDS.index(one.kind)
        if rank >= lowest:
            for rest in _in_order(candidates[1:], rank):
                yield [one, *rest]


def _cost(reading: list[Chosen]) -> tuple[int, int, int, int, int, list[int]]:
    kinds = Counter(one.kind for one in reading)
    beyond = max(0, kinds["input"] - 1) + max(0, kinds["output"] - 1)
    lacking = (not kinds["input"]) + (not kinds["output"])
    twice = len(reading) - len({(one.kind, one.word) for one in reading})
    codecs_of_nothing = sum(one.word == "Null" and one.kind != "filter" for one in reading)
    order = [_KINDS.index(one.kind) for one in reading]
    return beyond, _impossible(reading), lacking, twice, codecs_of_nothing, order


def _impossible(reading: list[Chosen]) -> int:
    """How many codecs would get what they cannot take: unpacking comes before decoding, and packing last."""
    decoders = [
        issubclass(one.cls, Unpacker) for one in reading if one.kind == "decoder" and one.word != "Null"
    ]
    encoders = [one.cls.readable for one in reading if issubclass(one.cls, Encoder) and one.word != "Null"]
    return sum(not before and after for before, after in itertools.pairwise(decoders)) + sum(
        not before and after for before, after in itertools.pairwise(encoders)
    )
