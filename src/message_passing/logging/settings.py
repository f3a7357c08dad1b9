"""The options of `ZeroMQHandler`, declared as a component's are, and checked when the handler is made.

They come from Python, from the environment and from configurations in YAML or JSON, by `logging.config.dictConfig`:
a value of the wrong type would fail, or lose everything, in the first log call, where it would go unnoticed.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec

from message_passing.errors import Fault, OpenError, OptionError, abbreviate, did_you_mean
from message_passing.logging.attributes import LARGEST_RECORD
from message_passing.logging.backlog import Policy  # noqa: TC001 - the declaration is read at run time
from message_passing.logging.fields import Fields
from message_passing.logging.handler_socket import HandlerSocket
from message_passing.options import checked, declared, option
from message_passing.paths import load_own
from message_passing.zeromq.connection_options import (
    ConnectionOptions,
    endpoint_faults,
    endpoints_of,
    limits_of,
    security_given,
)
from message_passing.zeromq.hop.options import AcknowledgedOptions, misplaced_spool, spooling
from message_passing.zeromq.settings import LARGEST_FRAME, LARGEST_INT, Limits, SocketSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.logging.record_socket import SocketMaker
    from message_passing.zeromq.security import SocketSecurity

LABEL = "ZeroMQHandler"

QUEUE_BYTES = 64 << 20


class HandlerDeclaration(AcknowledgedOptions, ConnectionOptions):
    """The options: those of every connection, some of them in the handler's own words, and its own."""

    connect: str | list[str] = option(
        default_factory=list,
        kw_only=False,
        description="Endpoint of the receiver, or a list. Either this or `socket_bind`. With PUB, each gets "
        "every record and has its own queue; with PUSH, records are distributed round-robin; with DEALER, "
        "the first that is there gets them all, and when it fails the next.",
    )
    socket_type: Literal["PUB", "PUSH", "DEALER"] = option(
        default="PUB",
        description="`PUB` for SUB receivers, `PUSH` for a pool of PULL workers; `DEALER` for a ROUTER input, which "
        "acknowledges: records are kept until then, and sent again if need be.",
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
    spool: str = option(
        path=True,
        default="",
        description="With DEALER: a directory in which every record is on disk before it is sent, until it is "
        "acknowledged. Each process that logs has its own spool in it, and also sends what ended ones have left.",
    )
    spool_bytes: int = option(
        default=1 << 30,
        ge=1 << 20,
        description="Bytes that the spool of each process may have in use on disk; SQLite's log has up to 64 MiB "
        "besides.",
    )
    spool_when_full: Literal["block", "drop_oldest", "drop_newest"] = option(
        default="block",
        description="What to do when the spool is full. `block`: records wait in memory until the receiver "
        "acknowledges some, and `policy` decides what is dropped. `drop_oldest`: the oldest that are not about to be "
        "sent make room; `drop_newest`: what comes is dropped. All are counted; no log call waits.",
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
        values, faults = checked(declared(HandlerDeclaration), given, label=LABEL)
        texts = [fault.text for fault in faults]
        vars(self).update(values)
        if not any(f"option {name!r} must" in text for text in texts for name in ("connect", "socket_bind")):
            texts += [f"{LABEL}: {text}" for text in endpoint_faults(self)]
        texts += [f"{LABEL}: {text}" for text in _choice_mistakes(given)]
        if text := misplaced_spool(self, self.socket_type):
            texts.append(f"{LABEL}: {text}")
        found = _variables(self.context)
        if found is None:
            text = "option 'context' must be a list of contextvars.ContextVar"
            texts.append(f"{LABEL}: {text}, not {abbreviate(given['context'])}")
        if texts:
            raise OptionError(*map(Fault, texts))
        vars(self).update(context=found, level=_level(self.level))
        if self.spool:
            self._check_spool()

    def _check_spool(self) -> None:
        """See now, while somebody is there to be told, that there can be a spool: the first record opens it.

        Raises:
            OptionError: this Python has no SQLite.
            OpenError: the directory cannot be used.
        """
        spooling(self, LABEL, "message_passing.logging.spooled_socket:SpooledSocket")
        try:
            load_own("message_passing.spool.slots:require_usable")(Path(self.spool))
        except OpenError as error:
            raise OpenError(f"{LABEL}: {error}") from error

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
        if self.socket_type != "PUB" or len(connect) < 2:
            return [settings]
        return [replace(settings, connect=(endpoint,)) for endpoint in connect]

    def socket_maker(self, settings: SocketSettings) -> SocketMaker:
        """What makes the socket of these settings, in this process."""
        if self.socket_type != "DEALER":
            return partial(HandlerSocket, settings)
        # Those who do not want it start sooner.
        made = load_own("message_passing.logging.acknowledged_socket:AcknowledgedSocket")
        if self.spool:
            path = "message_passing.logging.spooled_socket"
            spool = load_own(f"{path}:SpoolSettings")(
                self.spool,
                self.spool_bytes,
                self.spool_age,
                self.spool_when_full,
                self.spool_compress == "zstd",
            )
            made = partial(load_own(f"{path}:SpooledSocket"), spool=spool)
        return partial(made, settings, self.ack_timeout)

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
