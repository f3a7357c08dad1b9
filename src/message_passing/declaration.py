"""One declared component of a chain, and the checks of the names that connect them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from message_passing import options as option_rules
from message_passing import registry
from message_passing.component import Component
from message_passing.errors import ChainError, Fault, UserError, child_location, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class TakesDeclarations(Protocol):
    """A chain that is being declared."""

    def declare(self, declaration: Declaration) -> None:
        """Add this component."""


class UnreadText(str):
    """Placeholder for a config value that could not be resolved, which has been reported."""

    __slots__ = ()


def has_unread(value: Any) -> bool:
    """Whether the value contains such a placeholder at any depth."""
    waiting, seen = [value], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, UnreadText):
            return True
        if isinstance(one, (Mapping, list)) and id(one) not in seen:  # YAML's aliases share, and make loops
            seen.add(id(one))
            waiting.extend(one.values() if isinstance(one, Mapping) else one)
    return False


def has_routes(targets: Any) -> bool:
    """Whether an `output_to` is meant to be a list of routes."""
    return isinstance(targets, Mapping) or (
        isinstance(targets, (list, tuple)) and any(isinstance(one, Mapping) for one in targets)
    )


def named_twice(targets: Sequence[Any]) -> str:
    """The first name that is more than once among the targets of an `output_to`; empty if none is."""
    names = [one for one in targets if isinstance(one, str)]
    return next((name for name in names if names.count(name) > 1), "")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One component as declared: in Python, in a config file, or on a command line.

    Attributes:
        kind: `input`, `decoder`, `filter`, `encoder` or `output`.
        name: its name in the chain.
        component: a short name or path for the registry, a class, or a component already constructed. None if
            it could not be read, which is then among the chain's errors;
        options: for its constructor; None for the same reason.
        output_to: names, or components and anything else with `consume`.
        error: the head of its own error chain: a name or a component.
        place: where the component was declared, for messages; and
        options_place: where its options are.
        from_text: it comes from a file or the command line.
        option_defaults: see `Chain.option_defaults`, which these override.
        faults: errors in its declaration.
        then: the next one, if a command's `--filter` or similar names several.
        target_at: where each of `output_to` was written, if not in a list of its own.
        warnings: what is to be said before it runs, though it is no error.
    """

    kind: str
    name: str
    component: str | type[Component] | Component | None
    options: Mapping[str, Any] | None
    output_to: tuple[Any, ...] = ()
    error: Any = None
    place: str = ""
    options_place: str = ""
    from_text: bool = False
    option_defaults: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    then: Declaration | None = None
    target_at: tuple[str, ...] = ()
    warnings: tuple[Fault, ...] = ()

    def declare(self, chain: TakesDeclarations, name: str, *, output_to: str | Sequence[str] = ()) -> None:
        """Declare it in `chain` under `name`, with those that come after it between it and `output_to`."""
        stack = [self]
        while stack[-1].then:
            stack.append(stack[-1].then)
        names = [name, *(f"{name} {number}" for number in range(2, len(stack) + 1))]
        targets: list[tuple[str, ...]] = [(one,) for one in names[1:]]
        targets.append((output_to,) if isinstance(output_to, str) else tuple(output_to))
        for one, own, to in zip(stack, names, targets, strict=True):
            chain.declare(replace(one, name=own, output_to=to))

    def make(self) -> Component | None:
        """Construct the component, with its options checked; None if these could not be read.

        Raises:
            UserError: its name or its options are wrong.
        """
        if self.component is None or isinstance(self.component, Component):
            return self.component
        try:
            cls = self._class()
        except UserError as error:
            raise error.under(self.part("class")) from error
        if self.options is None:
            return None
        unread = {name for name, value in self.options.items() if has_unread(value)}
        try:
            if not unread:
                return cls.make(self.options, from_text=self.from_text)
            # Without these it would be another one; errors of the others are reported.
            known = {name: one for name, one in option_rules.accepted(cls).items() if name not in unread}
            given = {name: value for name, value in self.options.items() if name not in unread}
            option_rules.check(known, given, label=cls.describe_self(), from_text=True)
        except UserError as error:
            raise error.under(self.options_place) from error
        except Exception as error:
            text = f"{cls.describe_self()} cannot be made: {type(error).__name__}: {error}"
            raise ChainError(Fault(text, self.options_place)) from error
        return None

    def _class(self) -> type[Component]:
        if isinstance(self.component, str):
            return registry.find(self.kind, self.component)
        if isinstance(self.component, type) and issubclass(self.component, Component):
            return self.component
        raise ChainError(f"a component is a name, a class or a component, not {self.component!r}")

    def makes_same(self, other: Declaration) -> bool:
        """Whether it constructs the same component as the other one, however these are connected."""
        return (self.kind, self.component, self.options) == (other.kind, other.component, other.options)

    def targets(self) -> list[str]:
        """The names it refers to."""
        return [target for target in (*self.output_to, self.error) if isinstance(target, str)]

    def part(self, *keys: str | int) -> str:
        """Its place; in a file, that of one of its keys."""
        return child_location(self.place, self.place, *keys)

    def target_places(self) -> list[tuple[str, str]]:
        """The names it refers to, and where."""
        several = len(self.output_to) > 1
        places = self.target_at or [
            self.part("output_to", number) if several else self.part("output_to")
            for number in range(len(self.output_to))
        ]
        found = [*zip(self.output_to, places, strict=True)]
        found.append((self.error, self.part("error")))
        return [(target, place) for target, place in found if isinstance(target, str)]


def name_faults(
    declared: Mapping[str, Declaration],
    error_head: str | None,
    error_place: str = "",
    unread: Collection[str] = (),
) -> list[Fault]:
    """Errors in the names: undeclared ones, inputs used as outputs, missing or superfluous `output_to`, loops.

    Args:
        declared: the components by their names.
        error_head: the name of the component that errors go to.
        error_place: where that was written.
        unread: kinds whose declarations could not all be read, which has been reported: what seems to be missing may
            be among them.
    """
    faults = []
    if "input" not in unread and not any(one.kind == "input" for one in declared.values()):
        faults.append(Fault("a chain needs at least one input"))
    if error_head is not None and error_head not in declared:
        hint = did_you_mean(error_head, declared)
        text = f"there is no component named {error_head!r} for the errors to go to{hint}"
        faults += [] if unread else [Fault(text, error_place)]
    elif error_head is not None and declared[error_head].kind == "input":
        faults.append(Fault(f"errors cannot go to {error_head!r}: it is an input", error_place))
    for one in declared.values():
        if one.kind != "output" and not one.output_to and one.options is not None:
            faults.append(Fault("needs an output_to", one.place))
        if one.kind == "output" and one.output_to:
            text = "an output has no output_to: messages end there"
            faults.append(Fault(text, one.part("output_to")))
        for target, place in one.target_places():
            if target not in declared:
                hint = did_you_mean(target, declared)
                faults += [] if unread else [Fault(f"there is no component named {target!r}{hint}", place)]
            elif declared[target].kind == "input":
                faults.append(Fault(f"{target!r} is an input: nothing can output to it", place))
    return faults + _loops(declared)


def _loops(declared: Mapping[str, Declaration]) -> list[Fault]:
    faults: list[Fault] = []
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            loop = [*path[path.index(name) :], name]
            place = child_location(declared[path[-1]].place, "", "output_to")
            faults.append(Fault(f"loop in the chain: {' -> '.join(loop)}", place))
        elif name in declared and name not in finished:
            for target in declared[name].output_to:
                if isinstance(target, str) and not _leads_nowhere(declared, name, target):
                    visit(target, [*path, name])
            finished.add(name)

    for name in declared:
        visit(name, [])
    return faults


def _leads_nowhere(declared: Mapping[str, Declaration], name: str, target: str) -> bool:
    """Whether messages cannot go this way, which `name_faults` reports: a loop on it would be no news."""
    to_input = target in declared and declared[target].kind == "input"
    return to_input or declared[name].kind == "output"
