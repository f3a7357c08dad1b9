"""The path of one message through a chain: what each component made of it, and where it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.abbreviation import abbreviate_text
from message_passing.cli.config_tests.runner import staged
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.errors import EncodingError, MessageError, abbreviate
from message_passing.flow import Input
from message_passing.options import declared
from message_passing.outputs.null import NullOutput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.chain import Chain
    from message_passing.cli.run.run_command import MessagePassing
    from message_passing.component import Component

_MESSAGE_LIMIT = 2000
"""Characters of a message that are shown."""

SHOWN_MESSAGES = 20
"""Messages of one step that are shown: a filter may make many of one."""


@dataclass(slots=True)
class TraceStep:
    """What one component made of the message.

    Attributes:
        name: what the chain calls it.
        label: what it is: `Key filter`.
        declared: where that was declared, for looking up its line.
        rule: the options that it was given, as text; those that may be secret are left out.
        received: the messages it was given (an input: that it emitted), as text; and
        count: how many these were.
        outcome: `emitted`, `passed`, `removed`, `failed`, `dropped`, `output`, `refused` or `not reached`.
        reasons: why it was lost, where it was.
        to: the names of the components that it passes messages to.
    """

    name: str
    label: str
    declared: str
    rule: str
    received: list[str] = field(default_factory=list)
    count: int = 0
    outcome: str = "not reached"
    reasons: list[str] = field(default_factory=list)
    to: list[str] = field(default_factory=list)

    def note(self, messages: Sequence[Any]) -> None:
        """Record a batch that it received: now, since later components may change it."""
        self.count += len(messages)
        self.received += map(_as_shown, messages[: SHOWN_MESSAGES - len(self.received)])

    def note_report(self, described: dict[str, Any]) -> None:
        """Record a report that it made."""
        self.reasons.append(str(described["exception"]))

    def settle(self, component: Component, chain_name_of: dict[int, str]) -> None:
        """Determine the outcome, once the component has finished."""
        counted = component.metrics
        self.to = [chain_name_of[id(one)] for one in component.outputs() if id(one) in chain_name_of]
        if routes := component.info().get("routes"):
            self.to = list(dict.fromkeys(to for one in routes if one["matched"] for to in one["to"]))
        self.reasons += [f"{reason} ({count})" for reason, count in counted.dropped.items() if count]
        if counted.failed:
            self.outcome = "failed"
        elif counted.lost():
            self.outcome = "dropped"
        elif not self.count:
            self.outcome = "not reached"
        elif component.kind in ("input", "output"):
            self.outcome = "emitted" if component.kind == "input" else "output"
        else:
            self.outcome = "passed" if counted.passed else "removed"


@dataclass(frozen=True, slots=True)
class Trace:
    """The path of one message.

    Attributes:
        steps: every component that it can come to, in the direction of flow.
        failure: why the chain could not be run; empty if it could.
    """

    steps: list[TraceStep]
    failure: str = ""

    def having(self, *outcomes: str) -> list[TraceStep]:
        """The steps with one of these outcomes."""
        return [step for step in self.steps if step.outcome in outcomes]


def trace(script: MessagePassing, chain: Chain, text: str, at: str) -> Trace:
    """Give a copy of a chain, whose inputs and outputs are replaced, one message, and record what becomes of it.

    Args:
        script: the command that would run the chain.
        chain: the chain as it would run: built, and not open.
        text: the message, as it was typed.
        at: the name of the component that is given the message: an input emits it.
    """
    copied = staged(script)
    names = {id(one): name for name, one in copied.components.items()}
    steps = {
        name: TraceStep(
            name, chain.components[name].label, one.place, _rule_of(chain.components[name], one.options)
        )
        for name, one in copied.written.items()
    }
    start = chain.components[at]
    if isinstance(start, Input) and (why := start.would_refuse(text.encode("utf-8", "surrogateescape"))):
        steps[at].outcome, steps[at].reasons = "refused", [why]
        return Trace([steps[at]])
    for name, one in copied.components.items():
        one.observers += (steps[name].note,)
        one.report_observers += (steps[name].note_report,)
    reached, failure = copied.run(at, [_message_of(text, start.kind)], NullOutput())
    for one in reached:
        steps[names[id(one)]].settle(one, names)
    return Trace([steps[names[id(one)]] for one in reached], failure)


def _rule_of(component: Component, given: Mapping[str, Any] | None) -> str:
    """The options in a chain's declaration that say what a component does to messages."""
    if component.kind in ("input", "output"):
        return ""
    known = declared(type(component))
    shown = {name: value for name, value in (given or {}).items() if name in known and not known[name].secret}
    return " ".join(f"{name}={abbreviate(value)}" for name, value in shown.items())


def _message_of(text: str, kind: str) -> Any:
    """A message as it was typed: bytes for an input or decoder; for others an object, if it is JSON."""
    raw = text.encode("utf-8", "surrogateescape")
    if kind in ("input", "decoder"):
        return raw
    try:
        return JSONDecoder().filter(raw)
    except MessageError:
        return raw


_encoder = JSONEncoder()


def _as_shown(message: Any) -> str:
    if not isinstance(message, bytes | str):
        try:
            message = _encoder.text_of(message)
        except EncodingError:
            message = repr(message)
    text = message.decode("utf-8", "backslashreplace") if isinstance(message, bytes) else message
    return abbreviate_text(text, _MESSAGE_LIMIT)
