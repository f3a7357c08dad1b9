"""The options of `ZeroMQHandler`, declared as a component's are, and checked when the handler is made.

They come from Python, from the environment and from configurations in YAML or JSON, by `logging.config.dictConfig`:
what is not of the right type would fail, or lose everything, in the first log call, where nobody is told.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec

from message_passing.errors import Fault, OptionError, did_you_mean, shown
from message_passing.logging.attributes import LARGEST
from message_passing.logging.backlog import Policy  # noqa: TC001 - the declaration is read at run time
from message_passing.logging.fields import Fields
from message_passing.options import check, declared, option
from message_passing.zeromq.endpoints import check_endpoint
from message_passing.zeromq.settings import LONGEST_INTERVAL, Limits, SocketSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.zeromq.security import SocketSecurity

LABEL = "ZeroMQHandler"

QUEUE_BYTES = 64 << 20

_INT = (1 << 31) - 1
"""What ZeroMQ's own options can be at most (zmq_setsockopt(3): int)."""


class HandlerOptions:
    """Their values, after the check."""

    connect: str = option(default="", description="Endpoint of the receiver. Either this or `socket_bind`.")
    socket_bind: str = option(
        default="", description="Endpoint to bind, for receivers that connect to this process."
    )
    socket_type: Literal["PUB", "PUSH"] = option(
        default="PUB", description="`PUB` for SUB receivers, `PUSH` for a pool of PULL workers."
    )
    socket_hwm: int = option(
        default=10_000,
        ge=0,
        le=_INT,
        description="How many records may be buffered. 0: no limit but `queue_bytes`.",
    )
    queue_bytes: int = option(
        default=QUEUE_BYTES,
        ge=0,
        description="The most bytes of buffered records, here and in ZeroMQ. 0: no limit but memory.",
    )
    linger: int = option(
        default=1000,
        ge=0,
        le=_INT,
        description="How long `close` and the interpreter's exit may take to send them, in milliseconds.",
    )
    reconnect_ivl: int = option(
        default=Limits().reconnect_ivl,
        ge=1,
        le=LONGEST_INTERVAL,
        description="Reconnect delay, in milliseconds; a random delay of up to the same length is added.",
    )
    reconnect_ivl_max: int = option(
        default=Limits().reconnect_ivl_max,
        ge=0,
        le=LONGEST_INTERVAL,
        description="Maximum reconnect delay (exponential back-off), in milliseconds. 0: no back-off.",
    )
    policy: Policy = option(default="drop_newest", description="What goes when too many wait.")
    fields: Any = option(
        default="default",
        description="A field set's name, or a function from dict to dict.",
        python_only=True,
    )
    service: str = option(default="", description="The program's name. Default: that of its script.")
    template: bool = option(default=False, description="Also send the unformatted message and its arguments.")
    context: Any = option(
        default=(), description="Context variables to send the values of.", python_only=True
    )
    identity: bool = option(
        default=True,
        description="Send `sender` and `sequence`, by which a receiver detects losses.",
    )
    largest: int = option(
        default=LARGEST,
        ge=1,
        description="The most characters of a message, and of the rest of a record; longer ones are "
        "truncated.",
    )
    report_interval: Annotated[float, msgspec.Meta(ge=0)] | None = option(
        default=None,
        description="Seconds between two lines on stderr about new losses. None: one line at exit, 0: no "
        "lines.",
    )
    level: int | str = option(default=logging.NOTSET, description="As for every handler.")

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Check what was given, and fill in the defaults.

        Raises:
            OptionError: with every mistake.
        """
        texts: list[str] = []
        values: dict[str, Any] = {}
        try:
            values = check(declared(HandlerOptions), given, label=LABEL)
        except OptionError as error:
            texts += [fault.text for fault in error.faults]
        texts += [
            f"{LABEL}: {text}"
            for text in _endpoint_mistakes(given.get("connect", ""), given.get("socket_bind", ""))
        ]
        texts += [f"{LABEL}: {text}" for text in _choice_mistakes(given)]
        found = _variables(given.get("context", ()))
        if found is None:
            text = "option 'context' must be a list of contextvars.ContextVar"
            texts.append(f"{LABEL}: {text}, not {shown(given['context'])}")
        if texts:
            raise OptionError(*map(Fault, texts))
        vars(self).update(values, context=found, level=_level(values["level"]))

    def socket(self, security: SocketSecurity | None) -> SocketSettings:
        """What the socket is built from."""
        return SocketSettings(
            self.socket_type,
            connect=(self.connect,) if self.connect else (),
            bind=(self.socket_bind,) if self.socket_bind else (),
            hwm=self.socket_hwm,
            linger=self.linger,
            limits=Limits(reconnect_ivl=self.reconnect_ivl, reconnect_ivl_max=self.reconnect_ivl_max),
            security=security,
        )


def _endpoint_mistakes(connect: Any, bind: Any) -> list[str]:
    if not isinstance(connect, str) or not isinstance(bind, str):
        return []  # the check of types has said it
    texts = [] if bool(connect) != bool(bind) else ["exactly one of connect and socket_bind is needed"]
    for endpoint, binds in ((connect, False), (bind, True)):
        texts += [wrong] if endpoint and (wrong := check_endpoint(endpoint, binds=binds)) else []
    return texts


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
        f"not {shown(value)}{did_you_mean(str(value), known)}"
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
