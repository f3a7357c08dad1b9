"""Pass each message to the first output whose condition holds for it."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, compress, islice
from operator import not_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.conditions import Condition
from message_passing.errors import Fault, OptionError, collecting
from message_passing.filters._copying import CopyingBranching
from message_passing.lines import ReadLines
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from message_passing.output import Output

MOST_ROUTES = 100
"""Conditions of one filter: each message may be compared with all of them."""


class RouteFilter(CopyingBranching):
    """Passes each message to the first of several outputs whose condition holds for it.

    `output_to` lists the outputs in the order of `conditions`; one more is for messages for which none of them holds.
    Without it, these are filtered out. A config file needs no such filter: there, [`output_to` is a list of
    routes](../guide-filters.md#routes), which is this filter, made where it is needed.

    A route may have several outputs (`fan_out`), of which each that may change messages has copies of its own.
    Messages that come to the same output on several routes stay in order. A branch without progress for `patience`
    seconds no longer holds up the others: see the filter `T`. How many messages took each route is in `top`, on the
    page and in the metrics.
    """

    name = "Route"
    reads = ()
    example = MappingProxyType({"conditions": ['level >= "ERROR"']})

    output_to: Any = option(
        default=None,
        description="Where messages go: a list of components, or of anything with `consume`: one for each condition, "
        "and perhaps one for all other messages.",
        python_only=True,
    )
    conditions: list[str] = option(
        description="The conditions, in Python's expression syntax, in the order in which they are tried.",
        min_length=1,
    )
    fan_out: list[int] = option(
        default_factory=list,
        description="How many of the outputs each condition has, in their order, and perhaps how many are for all "
        "other messages. By default, each has one.",
    )

    def on_init(self) -> None:
        """Compile the conditions.

        Raises:
            OptionError: one is malformed, or has something that no condition may have; or there are more outputs.
        """
        self._conditions: list[Condition] = []
        faults: list[Fault] = []
        for number, text in enumerate(self.conditions):
            with collecting(faults, f"conditions.{number}"):
                self._conditions.append(Condition(text))
        if len(self.conditions) > MOST_ROUTES:
            text = f"{len(self.conditions)} conditions; {MOST_ROUTES} are allowed"
            faults.append(Fault(text, "conditions"))
        if faults:
            raise OptionError(*faults)
        if any(count < 1 for count in self.fan_out):
            raise OptionError(Fault("each condition needs an output: the least is 1", "fan_out"))
        self._matched = [0] * (len(self._conditions) + 1)
        self._batch: Sequence[Any] = ()
        self._parts: list[list[Any]] = []
        super().on_init()

    def on_branches(self) -> None:
        """One for each condition, and perhaps one more.

        Raises:
            OptionError: there are more or fewer.
        """
        super().on_branches()
        conditions, branches = len(self._conditions), len(self._branches)
        if self.output_to is not None and self.fan_out:
            ways, needed = len(self.fan_out), sum(self.fan_out)
            if ways not in (conditions, conditions + 1) or needed != branches:
                text = f"{self.fan_out} is for {needed} outputs of {ways} routes"
                text += f"; there are {branches} outputs, and {conditions} conditions"
                raise OptionError(Fault(f"{self.label}: {text}", "fan_out"))
        elif self.output_to is not None and branches not in (conditions, conditions + 1):
            text = f"there are {branches} outputs for {conditions} conditions: one for each, and perhaps one more"
            raise OptionError(Fault(f"{self.label}: {text}", "output_to"))
        rest = iter(self._branches)
        self._ways = [(*islice(rest, count),) for count in self.fan_out or [1] * branches]
        if self.output_to is None:  # what comes is counted as lost there
            self._ways = [(*self._branches,)] * (conditions + 1)
        self._has_else = len(self._ways) == conditions + 1
        self._shared = len(set(map(id, self._branches))) < branches

    def fields_read(self) -> tuple[str, ...]:
        """Those of all conditions."""
        return tuple({name for one in self._conditions for name in one.reads})

    def write_many(self, messages: list[Any]) -> None:
        """Pass each message on: lines by the fields that were read of them."""
        if type(messages) is not ReadLines:
            super().write_many(messages)
            return
        fields, parts = messages.fields, []
        left: Sequence[int] = range(len(messages))
        for condition in self._conditions:
            holds = condition.choose([fields[number] for number in left]) if left else ()
            parts.append([*compress(left, holds)])
            left = [*compress(left, map(not_, holds))]
        to_read = self.wiring.reads is not None
        for number, part in enumerate((*parts, left)):
            self._matched[number] += len(part)
        numbers: defaultdict[Any, list[int]] = defaultdict(list)
        for branches, part in zip(self._ways, (*parts, left), strict=False):
            for branch in branches:
                numbers[branch] += part
        if not self._has_else:
            self._count_filtered(len(left))
        with self.handing() as hand:
            for branch, part in numbers.items():
                hand(branch, messages.at(sorted(part), to_read=to_read))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return those that have a route; `emit` passes each on there."""
        left = messages
        parts: list[list[Any]] = []
        for condition in self._conditions:
            part: list[Any] = []
            if left:
                part, left = condition.split(left)
            parts.append(part)
        parts.append(left)
        for number, part in enumerate(parts):
            self._matched[number] += len(part)
        self._batch, self._parts = messages, parts
        return messages if self._has_else else [message for part in parts[:-1] for message in part]

    def emit(self, messages: list[Any]) -> None:  # noqa: ARG002 - it knows more of them
        """Pass to each branch what `filter_many` found for it.

        Raises:
            OutputClosedError: a branch's reader has gone; all the others have their messages.
        """
        batch, parts = self._batch, self._parts
        self._batch, self._parts = (), []
        given = [
            one
            for branches, part in zip(self._ways, parts, strict=False)
            if part
            for one in self._handed(branches, part)
        ]
        with self.handing() as hand:
            for branch, some in (
                _merged(batch, given) if self._shared else ((one[0], one[2]) for one in given)
            ):
                hand(branch, some)

    def _handed(
        self, branches: tuple[Output, ...], part: list[Any]
    ) -> list[tuple[Output, list[Any], list[Any]]]:
        """What each branch of a route gets: some of a batch, and these or their copies."""
        if len(branches) == 1:
            return [(branches[0], part, part)]
        part, batches = self.shared_among(branches, part)
        return [(branch, part, some) for branch, some in zip(branches, batches, strict=True)]

    def info(self) -> Mapping[str, Any]:
        """Its routes: `when`, which is empty for all other messages; `to`, names; and `matched` messages."""
        targets = [*([one.chain_name for one in branches] for branches in self._ways), []]
        routes = [
            {"when": when, "to": to, "matched": matched}
            for when, to, matched in zip([*self.conditions, ""], targets, self._matched, strict=False)
        ]
        return {**super().info(), "routes": routes}


def _merged(
    batch: Sequence[Any], given: Iterable[tuple[Output, list[Any], list[Any]]]
) -> Iterator[tuple[Output, list[Any]]]:
    """The branches, each once, and what goes there on all routes, in the order in which it came."""
    found: defaultdict[Output, list[tuple[list[Any], list[Any]]]] = defaultdict(list)
    for branch, part, some in given:
        found[branch].append((part, some))
    places = {id(message): place for place, message in enumerate(batch)}
    for branch, those in found.items():
        if len(those) == 1:
            yield branch, those[0][1]
            continue
        originals, handed = (chain.from_iterable(lists) for lists in zip(*those, strict=True))
        ordered = sorted(
            (places[id(one)], number, copy)
            for number, (one, copy) in enumerate(zip(originals, handed, strict=True))
        )
        yield branch, [copy for _, _, copy in ordered]
