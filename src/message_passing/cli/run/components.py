"""A component that a user chooses on the command line (Message::Passing::Role::CLIComponent)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from message_passing.config.forms import STACKED, Part
from message_passing.errors import Fault, child_location

if TYPE_CHECKING:
    from message_passing.cli.run.arguments import Given


class CLIComponent:
    """In a `Script`'s body: adds `--NAME` and `--NAME_options` (Message::Passing::Role::CLIComponent)."""

    def __init__(self, kind: str, *, default: str | None = None) -> None:
        """Declare the pair.

        Args:
            kind: `input`, `decoder`, `filter`, `encoder` or `output`.
            default: the component when none is named; without one, naming it is required.
        """
        self.kind = kind
        self.default = default
        self.flag = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name."""
        self.flag = name

    def __get__(self, instance: Any, owner: type) -> Any:
        """What was chosen, in a script; the declaration itself, in its class."""
        return self if instance is None else instance.chosen[self.flag]

    def chosen_in(self, given: Given) -> Part:
        """What was chosen of what a command was given."""
        place = given.places.get(self.flag, f"--{self.flag}")
        options = f"{self.flag}_options"
        default_place = place if self.flag in given.values else f"--{options}"
        one = Part(
            kind=self.kind,
            component=given.values.get(self.flag, self.default),
            options=given.values.get(options, None if options in given.already_reported else {}),
            place=place,
            options_place=given.places.get(options, default_place),
            already_reported=self.flag in given.already_reported,
        )
        return self._stacked(one, given) if isinstance(one.component, list) else one

    def _stacked(self, whole: Part, given: Given) -> Part:
        """The first of several, with the others behind it."""
        count = len(whole.component)
        if self.kind not in STACKED or not count:
            text = f"names {count} components: only {', '.join(STACKED)} can be stacked"
            hint = "; for several inputs and outputs use the named form of a config file"
            given.faults.append(Fault(text + (hint if count else ""), whole.place))
            return replace(whole, component=None, already_reported=True)
        options = whole.options or [{}] * count
        if not isinstance(options, list) or len(options) != count:
            text = f"must be a list of {count}, one for each of {', '.join(map(str, whole.component))}"
            given.faults.append(Fault(text, whole.options_place))
            options = [None] * count
        then = None
        for number in reversed(range(count)):
            one = whole.component[number]
            then = replace(
                whole,
                component=one,
                options=options[number],
                place=child_location(whole.place, f"{whole.place} ({one})", number),
                options_place=child_location(whole.options_place, f"{whole.options_place} ({one})", number),
                then=then,
            )
        assert then  # noqa: S101 - there is at least one
        return then
