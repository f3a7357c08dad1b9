"""Declaring a chain by names, and wiring it (Message::Passing::DSL).

    with message_chain() as chain:
        chain.output("console", "STDOUT")
        chain.encoder("encoder", "JSON", output_to="console")
        chain.input("zmq", "ZeroMQ", output_to="encoder", socket_bind="tcp://*:5558")
    run_message_server(chain)

Names resolve once everything is declared, so the order does not matter. All errors are reported together.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing import registry
from message_passing.component import Component
from message_passing.declaration import Declaration, has_routes, name_faults
from message_passing.errors import ChainError, Fault, UserError, collecting
from message_passing.failures import LAST_RESORT
from message_passing.flow import Input, Source
from message_passing.outputs.stderr import StderrOutput
from message_passing.paths import load_own

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class ChainWarning(UserWarning):
    """A warning: something in a chain is surely not what was meant, though it runs.

    Attributes:
        place: where it was written.
    """

    def __init__(self, text: str, place: str = "") -> None:
        super().__init__(text)
        self.place = place


class UnusedComponentWarning(ChainWarning):
    """A warning: something was declared that nothing outputs to."""


class Chain:
    """A set of declared components and, once built, the components themselves.

    Attributes:
        heads: the inputs, after `build`.
        components: everything by its name, after `build`.
        default_error_encoder: encodes reports for standard error, for components without an error chain.
        declared: the declarations by name.
        option_defaults: values of the options `report_limit` and `dead_letters` for components that are constructed
            here without them; error chains leave no dead letters.
        unread: kinds of components whose declarations could not be read, which is among the chain's errors.
    """

    def __init__(self) -> None:
        self.heads: list[Input] = []
        self.components: dict[str, Component] = {}
        self.option_defaults: dict[str, Any] = {}
        self.default_error_encoder = "JSON"
        self.declared: dict[str, Declaration] = {}
        self.unread: set[str] = set()
        self._faults: list[Fault] = []
        self._repeated: list[Fault] = []
        self._error_head: str | None = None
        self._error_place = ""
        self._default_errors: set[str] = set()
        self._built = False

    def input(
        self, name: str, component: Any, /, *, output_to: Any, error: Any = None, **options: Any
    ) -> None:
        """Declare an input."""
        self._declare("input", name, component, options, output_to=output_to, error=error)

    def decoder(
        self, name: str, component: Any, /, *, output_to: Any, error: Any = None, **options: Any
    ) -> None:
        """Declare a decoder."""
        self._declare("decoder", name, component, options, output_to=output_to, error=error)

    def filter(
        self, name: str, component: Any, /, *, output_to: Any, error: Any = None, **options: Any
    ) -> None:
        """Declare a filter. `output_to` may be a list for `T`; and for any component, of routes: see `routing`."""
        self._declare("filter", name, component, options, output_to=output_to, error=error)

    def encoder(
        self, name: str, component: Any, /, *, output_to: Any, error: Any = None, **options: Any
    ) -> None:
        """Declare an encoder."""
        self._declare("encoder", name, component, options, output_to=output_to, error=error)

    def output(self, name: str, component: Any, /, *, error: Any = None, **options: Any) -> None:
        """Declare an output."""
        self._declare("output", name, component, options, output_to=(), error=error)

    def error_log(self, component: Any = "JSON", /, *, output_to: Any, **options: Any) -> None:
        """Declare the head of the whole chain's error chain: an encoder and its output."""
        self._error_head = "error_log"
        self._declare("encoder", "error_log", component, options, output_to=output_to, error=None)

    def declare(self, declaration: Declaration) -> None:
        """Add a declaration made elsewhere, as a config file's is."""
        if declaration.name in self.declared:
            before = self.declared[declaration.name]
            text = f"there is already a component named {declaration.name!r}: the {before.kind}"
            if getattr(before.place, "file", "") != getattr(declaration.place, "file", ""):
                text += f" in {getattr(before.place, 'file', '')!r}"
            self._repeated.append(Fault(text, declaration.place))
        self.declared[declaration.name] = declaration
        self.add_faults(*declaration.faults)

    def add_faults(self, *faults: Fault) -> None:
        """Add errors found while the chain was read: `build` reports them with those that it finds."""
        self._faults += faults

    def use_errors(self, name: str, place: str = "") -> None:
        """Send every component's errors to the declared component `name`, as requested at `place`."""
        self._error_head, self._error_place = name, place

    def _declare(
        self, kind: str, name: str, component: Any, options: Any, *, output_to: Any, error: Any
    ) -> None:
        place = f"{kind} {name!r}"
        if has_routes(output_to):
            # Imported on demand, so that chains without routes start sooner.
            routes = load_own("message_passing.routing:routes_of")(
                kind, name, output_to, error=error, place=f"{place}: output_to"
            )
            self.add_faults(*routes.faults)
            for one in routes.declared:
                self.declare(one)
            output_to = routes.head
        targets = tuple(output_to) if isinstance(output_to, (list, tuple)) else (output_to,)
        if component is None:
            self.add_faults(Fault("a component is a name, a class or a component, not None", place))
        self.declare(Declaration(kind, name, component, options, targets, error, place, place))

    def build(self) -> list[Input]:
        """Check everything, construct the components and connect them. Nothing is opened.

        Returns:
            The inputs.

        Raises:
            UserError: with every error: of names, of components, of options.
        """
        if self._built:
            return self.heads
        faults = [*self._repeated, *self._faults]
        faults += name_faults(self.declared, self._error_head, self._error_place, self.unread)
        made: dict[str, Component] = {}
        for declaration in self.declared.values():
            with collecting(faults):
                if component := declaration.make():
                    made[declaration.name] = component
        faults += self._shared(made)
        if faults or self.unread or len(made) < len(self.declared):
            raise UserError(*faults)
        self._wire(made)
        self._warn()
        self.components, self._built = made, True
        self.heads = [component for component in made.values() if isinstance(component, Input)]
        return self.heads

    def unchanged(self, before: Chain) -> set[str]:
        """The names of the components whose declarations are the same in both chains."""
        theirs = before.declared
        return {
            name for name, one in self.declared.items() if name in theirs and one.makes_same(theirs[name])
        }

    def connect(self, instead: Mapping[str, Component] = MappingProxyType({})) -> None:
        """Connect the components of this built chain, even if they have belonged to another one since.

        Args:
            instead: components, by name, that replace those constructed for this chain.
        """
        self.components = {**self.components, **instead}
        self._wire(self.components)
        self.heads = [component for component in self.components.values() if isinstance(component, Input)]

    def make_again(self, name: str) -> Component:
        """A new component like the one of this name, not opened or connected.

        Raises:
            UserError: it can no longer be constructed.
        """
        made = self.declared[name].make()
        assert made is not None  # noqa: S101 - it could be read the first time
        return made

    def _wire(self, made: Mapping[str, Component]) -> None:
        def found(target: Any) -> Any:
            return made[target] if isinstance(target, str) else target

        head = self._error_head
        encoder = registry.find("encoder", self.default_error_encoder)
        default_error = made[head] if head else encoder(output_to=StderrOutput())
        error_side = self._error_side()
        faults: list[Fault] = []
        for name, declaration in self.declared.items():
            component = made[name]
            component.chain_name = name
            self._set_defaults(declaration, component, is_error=name in error_side)
            if declaration.output_to and isinstance(component, Source):
                targets = [found(target) for target in declaration.output_to]
                with collecting(faults, declaration.place):
                    component.connect_to(targets[0] if len(targets) == 1 else targets)
            if declaration.error is not None:
                component.error = found(declaration.error)
            elif name not in error_side and (component.error is LAST_RESORT or name in self._default_errors):
                self._default_errors.add(name)
                component.error = default_error
        if faults:
            raise ChainError(*faults)

    def _set_defaults(self, declaration: Declaration, component: Component, *, is_error: bool) -> None:
        if isinstance(declaration.component, Component):
            return
        for name, value in {**self.option_defaults, **declaration.option_defaults}.items():
            if name not in (declaration.options or ()):
                setattr(component, name, value and not is_error if name == "dead_letters" else value)

    def _shared(self, made: Mapping[str, Component]) -> list[Fault]:
        """Errors for resources that several components would use but only one can."""
        first: dict[str, str] = {}
        faults = []
        for name, component in made.items():
            uses = [(component.exclusive, component.exclusive)] if component.exclusive else []
            paths = [str(path) for one in component.exclusive_paths if (path := getattr(component, one))]
            uses += [(os.path.realpath(path), repr(path)) for path in paths]
            for what, shown in uses:
                if first.setdefault(what, name) != name:
                    text = f"{shown} is used by {first[what]!r} already, and only one component can use it"
                    faults.append(Fault(text, self.declared[name].part("class")))
        return faults

    def has_error_chain(self) -> bool:
        """Whether reports go where somebody has said, and not just to standard error."""
        return bool(self._error_head) or any(one.error is not None for one in self.declared.values())

    def _error_side(self) -> set[str]:
        """The names of the components of error chains: their own errors go to stderr at once."""
        heads = [self._error_head, *(one.error for one in self.declared.values())]
        waiting = [name for name in heads if isinstance(name, str)]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [target for target in self.declared[name].output_to if isinstance(target, str)]
        return found

    def _warn(self) -> None:
        for one in self.declared.values():
            for fault in one.warnings:
                warnings.warn(ChainWarning(fault.text, fault.where), stacklevel=3)
        used = {target for one in self.declared.values() for target in one.targets()} | {self._error_head}
        for name, declaration in self.declared.items():
            if declaration.kind != "input" and name not in used:
                text = f"unused {declaration.kind} {name!r} in the chain: nothing outputs to it"
                warnings.warn(UnusedComponentWarning(text, declaration.place), stacklevel=3)


@contextmanager
def message_chain() -> Iterator[Chain]:
    """A chain to declare components in; it is built when the block ends.

    Raises:
        UserError: see `Chain.build`.
    """
    chain = Chain()
    yield chain
    chain.build()
