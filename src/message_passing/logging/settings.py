"""The options of `ZeroMQHandler`, declared as a component's are, and checked when the handler is made.

They come from Python, from the environment and from configurations in YAML or JSON, by `logging.config.dictConfig`:
a value of the wrong type would fail, or lose everything, in the first log call, where it would go unnoticed.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec

from message_passing.errors import Fault, OptionError, abbreviate, did_you_mean
from message_passing.logging.attributes import LARGEST_RECORD
from message_passing.logging.backlog import Policy  # noqa: TC001 - the declaration is read at run time
from message_passing.logging.fields import Fields
from message_passing.options import check, declared, option
from message_passing.zeromq.connection_options import (
    ConnectionOptions,
    endpoint_faults,
    endpoints_of,
    limits_of,
    security_given,
)
from message_passing.zeromq.settings import LARGEST_FRAME, LARGEST_INT, Limits, SocketSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.zeromq.security import SocketSecurity

LABEL = "ZeroMQHandler"

QUEUE_BYTES = 64 << 20


class HandlerDeclaration(ConnectionOptions):
    """The options: those of every connection, some of them in the handler's own words, and its own."""

    connect: str | list[str] = option(
        default_factory=list,
        kw_only=False,
        description="Endpoint of the receiver, or a list. Either this or `socket_bind`. With PUB, each gets "
        "every record and has its own queue; with PUSH, records are distributed round-robin.",
    )
    socket_type: Literal["PUB", "PUSH"] = option(
        default="PUB", description="`PUB` for SUB receivers, `PUSH` for a pool of PULL workers."
    )
    socket_hwm: int = option(
        default=10_000,
        ge=0,
        le=LARGEST_INT,
        description="The most buffered records. 0: no limit except `queue_bytes`.",
    )
    queue_bytes: int = option(
        default=QUEUE_BYTES,
        ge=0,
        description="The most bytes of buffered records, here and in ZeroMQ. 0: no limit except memory.",
    )
    linger: int = option(
        default=1000,
        ge=0,
        le=LARGEST_INT,
        description="How long `close` and the interpreter's exit may take to send what is buffered, in milliseconds.",
    )
    maxmsgsize: int = option(
        default=Limits().maxmsgsize,
        ge=-1,
        le=LARGEST_FRAME,
        description="The most bytes of an encoded record; -1 for no limit. A larger one is not sent, since receivers "
        "may disconnect its sender, and is counted as `too big`.",
    )
    policy: Policy = option(default="drop_newest", description="What is dropped when the queue is full.")
    fields: Any = option(
        default="default",
        description="A field set's name, or a function from dict to dict.",
        python_only=True,
    )
    service: str = option(default="", description="The program's name. Default: its script's name.")
    template: bool = option(default=False, description="Also send the unformatted message and its arguments.")
    context: Any = option(
        default_factory=list, description="Context variables whose values are sent.", python_only=True
    )
    identity: bool = option(
        default=True,
        description="Send `sender` and `sequence`, by which a receiver detects losses.",
    )
    largest: int = option(
        default=LARGEST_RECORD,
        ge=1,
        description="The most characters of a message, and of the rest of a record; longer ones are "
        "truncated.",
    )
    report_interval: Annotated[float, msgspec.Meta(ge=0)] | None = option(
        default=None,
        description="Seconds between two lines on stderr about new losses. None: one line at exit; 0: no "
        "lines.",
    )
    level: int | str = option(default=logging.NOTSET, description="As for every handler.")


class HandlerOptions(HandlerDeclaration):
    """Their values, after the check."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Check what was given, and fill in the defaults.

        Raises:
            OptionError: with every error.
        """
        known = declared(HandlerDeclaration)
        texts: list[str] = []
        values: dict[str, Any] = {}
        try:
            values = check(known, given, label=LABEL)
        except OptionError as error:
            texts += [fault.text for fault in error.faults]
        wrong = {name for name in given if any(f"option {name!r} must" in text for text in texts)}
        fit = {name: value for name, value in given.items() if name in known and name not in wrong}
        vars(self).update({**{name: one.make_default() for name, one in known.items()}, **fit, **values})
        if not wrong & {"connect", "socket_bind"}:
            texts += [f"{LABEL}: {text}" for text in endpoint_faults(self)]
        texts += [f"{LABEL}: {text}" for text in _choice_mistakes(given)]
        found = _variables(self.context)
        if found is None:
            text = "option 'context' must be a list of contextvars.ContextVar"
            texts.append(f"{LABEL}: {text}, not {abbreviate(given['context'])}")
        if texts:
            raise OptionError(*map(Fault, texts))
        vars(self).update(context=found, level=_level(self.level))

    def sockets(self) -> list[SocketSettings]:
        """The settings of the sockets: one for each receiver of copies.

        Raises:
            OptionError: the options by which peers prove who they are contradict each other, or are not what they
                can be.
            OpenError: a key cannot be read, or a secret can be read by others.
        """
        connect, bind = endpoints_of(self)
        settings = SocketSettings(
            self.socket_type,
            connect=connect,
            bind=bind,
            hwm=self.socket_hwm,
            linger=self.linger,
            limits=limits_of(self),
            security=self._security(),
        )
        if self.socket_type == "PUSH" or len(connect) < 2:
            return [settings]
        return [replace(settings, connect=(endpoint,)) for endpoint in connect]

    def _security(self) -> SocketSecurity | None:
        if not (given := security_given(self)):
            return None
        from message_passing.zeromq.security import security_of  # noqa: PLC0415 - who does not encrypt starts sooner

        found = security_of(LABEL, **given)
        if found:
            found.check()  # now, while somebody is there to be told: the socket is opened by the first record
        return found


def signature_of_declaration() -> Signature:
    """The handler's constructor, as people and tools see it: `connect` may be given without its name."""
    found = [
        Parameter(
            name,
            Parameter.POSITIONAL_OR_KEYWORD if name == "connect" else Parameter.KEYWORD_ONLY,
            default=one.make_default(),
            annotation=one.type,
        )
        for name, one in declared(HandlerDeclaration).items()
    ]
    return Signature(found)


def _choice_mistakes(given: Mapping[str, Any]) -> list[str]:
    """What is no choice that there is; the check of types does not suggest another."""
    choices = {}
    if not callable(fields := given.get("fields", "default")):
        choices["fields"] = fields, get_args(Fields)
    level = given.get("level", logging.NOTSET)
    if isinstance(level, str) and _level(level) is None:
        choices["level"] = level, tuple(logging.getLevelNamesMapping())
    return [
        f"option {name!r} must be {'a function or ' * (name == 'fields')}one of {', '.join(known)}, "
        f"not {abbreviate(value)}{did_you_mean(str(value), known)}"
        for name, (value, known) in choices.items()
        if not (isinstance(value, str) and value in known)
    ]


def _level(given: int | str) -> int | str | None:
    """A level as logging takes it; None for a text that is none."""
    if isinstance(given, int) or given in logging.getLevelNamesMapping():
        return given
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _variables(given: Any) -> tuple[ContextVar[Any], ...] | None:
    """Context variables, from a list of them; None if it is none.

    A list in a `dictConfig` resolves its `ext://` texts only where an item is asked for by its number.
    """
    try:
        found = (
            [given[number] for number in range(len(given))]
            if isinstance(given, list | tuple)
            else list(given)
        )
    except Exception:  # noqa: BLE001 - no list, or what an item stands for cannot be imported
        return None
    return tuple(found) if all(isinstance(one, ContextVar) for one in found) else None
