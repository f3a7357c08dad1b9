"""One declared component of a chain, and what can be wrong with the names that connect them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.errors import Fault, child_location, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.component import Component


@dataclass(frozen=True, slots=True)
class Declaration:
    """One component as declared.

    Attributes:
        kind: `input`, `decoder`, `filter`, `encoder` or `output`.
        name: what others in the chain call it.
        component: a short name or path for the registry, a class, or a component already made. None when
            it could not be read, which is then among the chain's faults;
        options: for its constructor, and None for the same reason.
        output_to: names, or components and anything else with `consume`.
        error: the head of its own error chain: a name or a component.
        place: where the component was written, for messages; and
        options_place: where its options were.
        from_text: it comes from a file or the command line.
        report_limit: see `Chain.report_limit`, which this overrides.
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
    report_limit: int | None = None

    def makes_same(self, other: Declaration) -> bool:
        """Whether the component that it makes is like the other one's, whatever these are connected to."""
        return (self.kind, self.component, self.options) == (other.kind, other.component, other.options)

    def targets(self) -> list[str]:
        """The names it refers to."""
        return [target for target in (*self.output_to, self.error) if isinstance(target, str)]

    def part(self, *keys: str | int) -> str:
        """Its place, where a file's is that of one of its keys."""
        return child_location(self.place, self.place, *keys)

    def target_places(self) -> list[tuple[str, str]]:
        """The names it refers to, and where."""
        several = len(self.output_to) > 1
        found = [
            (one, self.part("output_to", number) if several else self.part("output_to"))
            for number, one in enumerate(self.output_to)
        ]
        found.append((self.error, self.part("error")))
        return [(target, place) for target, place in found if isinstance(target, str)]


def name_faults(
    declared: Mapping[str, Declaration], error_head: str | None, error_place: str = ""
) -> list[Fault]:
    """What is wrong with the names: undeclared ones, inputs used as outputs, ends that are none, loops.

    Args:
        declared: the components by their names.
        error_head: the name of the one that errors go to.
        error_place: where that was written.
    """
    faults = []
    if not any(one.kind == "input" for one in declared.values()):
        faults.append(Fault("a chain needs at least one input"))
    if error_head is not None and error_head not in declared:
        hint = did_you_mean(error_head, declared)
        text = f"there is no component named {error_head!r} for the errors to go to{hint}"
        faults.append(Fault(text, error_place))
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
                faults.append(Fault(f"there is no component named {target!r}{hint}", place))
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
                if isinstance(target, str):
                    visit(target, [*path, name])
            finished.add(name)

    for name in declared:
        visit(name, [])
    return faults
