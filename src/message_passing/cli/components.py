"""A component that a user chooses on the command line (Message::Passing::Role::CLIComponent)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.forms import Part

if TYPE_CHECKING:
    from message_passing.cli.arguments import Given


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
        return Part(
            kind=self.kind,
            component=given.values.get(self.flag, self.default),
            options=given.values.get(options, None if options in given.told else {}),
            place=place,
            options_place=given.places.get(options, default_place),
            told=self.flag in given.told,
        )
