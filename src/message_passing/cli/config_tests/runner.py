"""One test, run on a chain whose ends are replaced: a list goes in, and what comes out is kept."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from message_passing.chain import Chain, ChainWarning
from message_passing.config.test_cases import reached_from
from message_passing.errors import UserError
from message_passing.flow import Input, Output
from message_passing.graph import close_all, naming_opening, open_all, topological_order
from message_passing.options import option
from message_passing.outputs.test import TestOutput
from message_passing.runner import Server

if TYPE_CHECKING:
    from message_passing.cli.run.run_command import MessagePassing
    from message_passing.component import Component
    from message_passing.config.test_cases import Case
    from message_passing.declaration import Declaration


class CaseInput(Input):
    """Emits the messages of a test, and ends."""

    name = "case's"

    messages: list[Any] = option(default_factory=list, description="What to emit.", python_only=True)

    async def run(self) -> None:
        """Emit them."""
        self.emit(list(self.messages))
        await self.drain()


class StagedChain(Chain):
    """A chain that opens nothing at its ends.

    Attributes:
        written: the declarations as they were before their ends were replaced, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, Declaration] = {}

    def declare(self, declaration: Declaration) -> None:
        """Replace what is an end, and note it."""
        self.written[declaration.name] = declaration
        ends: dict[str, type[Input | Output]] = {"input": CaseInput, "output": TestOutput}
        if end := ends.get(declaration.kind):
            declaration = replace(declaration, component=end(), options={}, from_text=False)
        super().declare(declaration)

    def run(self, at: str, messages: list[Any], reports: Output) -> tuple[list[Component], str]:
        """Give messages to one of its components, and run it to its end. Can be called once.

        Args:
            at: the component that is given the messages: an input emits them.
            messages: what it is given.
            reports: what takes the reports of all components.

        Returns:
            The components that messages can have come to, in the direction of flow; and why it could not be run.
        """
        start = self.components[at]
        head = start if isinstance(start, CaseInput) else CaseInput(output_to=start)
        for one in (*self.components.values(), head):
            one.error = reports
        head.messages = messages
        failures: list[Exception] = []
        try:
            open_all([head], within=naming_opening)
            server = Server([head])
            server.run()
            failures += [error for _, error in server.failures]
        except UserError as error:
            failures.append(error)
        finally:
            close_all([head])
        failure = "; ".join(f"{type(error).__name__}: {error}" for error in failures)
        return [one for one in topological_order([head]) if one is not head or head is start], failure


def staged(script: MessagePassing) -> StagedChain:
    """The chain of a command with its ends replaced, and every other component new.

    Raises:
        UserError: its components do not fit together.
    """
    chain = StagedChain()
    script.declare_in(chain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainWarning)
        chain.build()
    return chain


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The results of a test's messages.

    Attributes:
        output: what arrived at each output that they can come to.
        errors: the reports.
        filtered: how many were filtered out.
        failure: why the chain could not be run; empty when it could.
    """

    output: dict[str, list[Any]]
    errors: list[dict[str, Any]]
    filtered: int
    failure: str


def run_case(script: MessagePassing, case: Case) -> CaseResult:
    """Run the messages of a test through a new chain."""
    chain, reports = staged(script), TestOutput()
    made = chain.components
    messages = [_as_given(message, made[case.at].kind) for message in case.messages]
    reached, failure = chain.run(case.at, messages, reports)
    outputs = {name: one for name, one in reached_from(case.at, made).items() if isinstance(one, TestOutput)}
    return CaseResult(
        output={name: one.messages for name, one in outputs.items()},
        errors=reports.messages,
        filtered=sum(one.metrics.filtered for one in reached),
        failure=failure,
    )


def _as_given(message: Any, kind: str) -> Any:
    """Text as bytes. An object as it is, or as JSON for what takes bytes: an input's or decoder's messages."""
    if isinstance(message, str):
        return message.encode()
    if isinstance(message, bytes) or kind not in ("input", "decoder"):
        return copy.deepcopy(message)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), default=str).encode()
