"""The command `message-passing tail`: all live messages of a publisher or a running node."""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from message_passing.cli.command import Command, number_type
from message_passing.cli.endpoint_probe import require_endpoint
from message_passing.cli.formatting import TEMPLATE, Template, colours, escape_control_json
from message_passing.cli.security_options import add_security, joined, security_from
from message_passing.cli.terminal import is_terminal, let_go
from message_passing.console.client import NodeClient
from message_passing.console.message_filter import MessageFilter, decode_for_display
from message_passing.environment import from_environment
from message_passing.errors import Fault, OpenError, OptionError
from message_passing.filters.follow import FollowFilter
from message_passing.zeromq.endpoints import TRANSPORTS
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    Coming = Iterator[list[tuple[float, Any]]]

_count = number_type(int, "a whole number above 0", lambda count: count > 0)

_EPILOG = """\
examples:
  message-passing tail tcp://logs:5558                 what a PUB publishes there
  message-passing tail 4711 --level WARNING            what a node with --control passes to its output
  message-passing tail http://127.0.0.1:9090 --at decoder --field extra.order=12
  message-passing tail 4711 --where 'status >= 500 and not path.startswith("/health")'
  message-passing tail 4711 --follow-sender web-1 --format '{time} {message}'
  message-passing tail 4711 --json --count 100 | jq .message

Nothing is sampled. At the end it reports how many were shown, and how many were missed: lost in transit, or too
many to be shown. Messages of a PUSH cannot be shown without taking them from its workers: tail the sending node.
"""

_QUEUE = 100_000
"""Messages that ZeroMQ may buffer for us while the terminal is slow."""

_BATCH = 1000
_PAUSE = 0.2
"""Seconds between two checks of whether our output still has a reader."""

_LONELY = 3.0
"""Seconds after which it is reported that there is no publisher."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "endpoint",
        metavar="ENDPOINT",
        help="tcp://host:port, or a node: its process ID, control socket, or http://host:port",
    )
    parser.add_argument("--level", default="", help="this level or above: a name or number")
    parser.add_argument(
        "--field",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only messages with this field; may be repeated",
    )
    parser.add_argument(
        "--search", default="", metavar="TEXT", help="only messages with this text, ignoring case"
    )
    parser.add_argument(
        "--where", default="", metavar="CONDITION", help="only messages for which this holds, as for Where"
    )
    parser.add_argument(
        "--follow-sender",
        default="",
        metavar="NAME",
        help="only from this sender: HOST, HOST:PID or its full name",
    )
    parser.add_argument("--format", default=TEMPLATE, help="fields in braces (default '%(default)s')")
    parser.add_argument("--json", action="store_true", help="one JSON text per line, as received")
    parser.add_argument("--color", "--colour", choices=("auto", "always", "never"), default="auto")
    parser.add_argument("--count", type=_count, default=0, metavar="N", help="exit after this many")
    node = parser.add_argument_group("of a node")
    node.add_argument(
        "--at", metavar="COMPONENT", help="what this component receives (default: the first output)"
    )
    node.add_argument("--token", default="", help="its --http_token, or env:NAME")
    publisher = parser.add_argument_group("of a publisher")
    publisher.add_argument("--bind", action="store_true", help="bind, for publishers that connect")
    publisher.add_argument(
        "--subscribe", action="append", metavar="PREFIX", help="only messages with this prefix"
    )
    add_security(parser)


def _run(given: argparse.Namespace) -> int:
    try:
        wanted = MessageFilter.of(given.level, given.field, given.search, given.where)
    except OptionError as error:
        raise OpenError(
            *(Fault(fault.text, f"--{fault.where}", fault.mark) for fault in error.faults)
        ) from error
    if sys.stdout is None:
        raise OpenError("standard output is closed: there is nowhere to show messages")
    coloured = not given.json and colours(given.color, sys.stdout)
    writer = _Writer(given, Template(given.format, coloured=coloured))
    is_endpoint = given.endpoint.partition("://")[0] in TRANSPORTS
    source = _Publisher(given, wanted) if is_endpoint else _RunningNode(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.closing(source):
            writer.write_all(source.messages())
    except BrokenPipeError:
        let_go(sys.stdout)
        return 0
    except KeyboardInterrupt:
        let_go(sys.stdout)
    COMMAND.tell(f"{writer.shown} shown, {source.missed or 'none'} missed{source.remark()}")
    return 1 if source.ended else 0


class _Writer:
    """Writes messages, and counts them."""

    def __init__(self, given: argparse.Namespace, template: Template) -> None:
        self.shown = 0
        self._template = template
        self._given = given
        self._reader = select.poll()
        with contextlib.suppress(OSError, ValueError):  # it may be no file at all
            self._reader.register(sys.stdout.fileno(), 0)

    def write_all(self, coming: Coming) -> None:
        """Write what arrives, each batch at once, until enough was shown.

        Raises:
            BrokenPipeError: the reader has gone.
        """
        for batch in coming:
            self._write(batch)
            if self._given.count and self.shown >= self._given.count:
                return
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in self._reader.poll(0)):
                raise BrokenPipeError

    def _write(self, batch: list[tuple[float, Any]]) -> None:
        if self._given.count:
            batch = batch[: self._given.count - self.shown]
        lines = [f"{self._line(message, when)}\n" for when, message in batch]
        self.shown += len(lines)
        text = "".join(lines)
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()

    def _line(self, message: Any, when: float) -> str:
        return escape_control_json(message) if self._given.json else self._template.fill(message, when)


def _is_of(message: Any, sender: str) -> bool:
    """Whether a message is of this sender: by its full name, or its beginning, `HOST` or `HOST:PID`."""
    name = message.get("sender") if isinstance(message, dict) else None
    return isinstance(name, str) and (name == sender or name.startswith(f"{sender}:"))


class _RunningNode:
    """Messages from a running node, as it streams them.

    Attributes:
        missed: messages that it did not show.
        ended: whether it has gone.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.missed, self.ended = 0, False
        for option in ("bind", "subscribe", "curve_server_key", "curve_secret_key", "plain_username"):
            if getattr(given, option):
                flag = option.replace("_", "-")
                raise OpenError(f"--{flag} is for a publisher, tcp://host:port, and not for a running node")
        self._sender = given.follow_sender
        self._node = NodeClient(given.endpoint, from_environment(given.token) if given.token else None)
        self._stream = self._node.stream(
            "/tail",
            at=given.at,
            level=given.level or None,
            field=given.field,
            search=given.search or None,
            where=given.where or None,
        )

    def messages(self) -> Coming:
        """Its messages, until it ends."""
        for batch in self._stream.batches():
            if missed := sum(told.get("missed", 0) for told in batch):
                self.missed += missed
                _tell_missed(missed)
            found = ((told["time"], told["message"]) for told in batch if "message" in told)
            yield [one for one in found if not self._sender or _is_of(one[1], self._sender)]
        self.ended = True

    def remark(self) -> str:
        """What else there is to say at the end."""
        return "; the node has ended" if self.ended else ""

    def close(self) -> None:
        """Let go of it."""
        self._stream.close()


class _Publisher:
    """Messages from publishers.

    Attributes:
        missed: messages that did not arrive, by their numbers.
        ended: it never does.
    """

    ended = False

    def __init__(self, given: argparse.Namespace, wanted: MessageFilter) -> None:
        for option in ("at", "token"):
            if getattr(given, option):
                raise OpenError(f"--{option} is for a running node, not for a publisher: see --help")
        require_endpoint(given.endpoint, binds=given.bind)
        connect, bind = ((), (given.endpoint,)) if given.bind else ((given.endpoint,), ())
        prefixes = tuple(one.encode("utf-8", "surrogateescape") for one in given.subscribe or [""])
        settings = SocketSettings(
            "SUB", connect, bind, hwm=_QUEUE, subscribe=prefixes, security=security_from(given)
        )
        self._endpoint, self._sender, self._filter = given.endpoint, given.follow_sender, wanted
        self._books = FollowFilter()
        self._receiver = Receiver(settings)
        self._receiver.open()

    @property
    def missed(self) -> int:
        """How many of the senders' sequence numbers are missing."""
        return self._books.totals()["lost"]

    def messages(self) -> Coming:
        """Its messages, without end."""
        ready = select.poll()
        ready.register(self._receiver.file_descriptor, select.POLLIN)
        lonely = time.monotonic() + _LONELY
        while True:
            batch = self._receiver.receive(_BATCH)
            yield self._looked_at(batch)
            for text in self._receiver.notices.take():
                COMMAND.tell(text)
            if not batch:
                ready.poll(_PAUSE * 1000)
            if time.monotonic() > lonely:
                lonely = float("inf")
                if not self._receiver.met():
                    why = self._receiver.health.obstacle() if self._receiver.health else ""
                    COMMAND.tell(f"there is no publisher at {self._endpoint} yet: still trying ({why})")

    def _looked_at(self, batch: list[bytes]) -> list[tuple[float, Any]]:
        now = time.time()
        found = [decode_for_display(raw) for raw in batch]
        self._books.filter_many([message for message, _ in found])
        return [
            (now, message)
            for message, text in found
            if self._filter.matches(message, text) and (not self._sender or _is_of(message, self._sender))
        ]

    def remark(self) -> str:
        """What else there is to say at the end."""
        unstamped = self._books.totals()["unstamped"]
        return f" ({unstamped} without a number, whose losses are unknown)" if unstamped else ""

    def close(self) -> None:
        """Let go of it."""
        self._receiver.close()


def _tell_missed(count: int) -> None:
    if is_terminal(sys.stdout) and is_terminal(sys.stderr):
        COMMAND.tell(f"{count} missed: they arrived too fast to be shown")


COMMAND = Command(
    name="tail",
    description="Show live messages from a ZeroMQ publisher or a running node.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    prepare=joined,
)
