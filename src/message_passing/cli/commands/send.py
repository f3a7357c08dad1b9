"""The command `message-passing send`: sending messages from a shell, with the fields of the log handler."""

from __future__ import annotations

import codecs
import itertools
import os
import sys
from typing import TYPE_CHECKING

from message_passing.cli.command import Command, add_timeout, number_type
from message_passing.cli.endpoint_probe import require_endpoint
from message_passing.cli.message_factory import MessageFactory
from message_passing.cli.progress import ProgressLine, size_for_progress
from message_passing.cli.security_options import add_security, joined, security_from
from message_passing.errors import OpenError, UserError
from message_passing.zeromq.blocking_sender import BlockingSender
from message_passing.zeromq.settings import Limits, SocketSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from message_passing.zeromq.security import SocketSecurity

_QUEUE = 1000
"""The most messages in ZeroMQ's own queue, which may or may not have been sent."""

_seconds = number_type(float, "a number from 0 to 999999", lambda seconds: 0 <= seconds < 1e6)

_EPILOG = """\
examples:
  message-passing send --connect tcp://logs:5558 backup has ended
  message-passing send --connect tcp://logs:5558 --level ERROR --field disk=sda1 disk is full
  make 2>&1 | message-passing send --connect tcp://logs:5558 --tag build
  message-passing send --connect tcp://logs:5558 --json '{"message":"paid","order":12}'

exit status: 0 all were sent, 1 some were not (it reports how many, and why), 2 usage error.
Receivers do not acknowledge: "sent" means handed to the network. `message-passing doctor` finds out more.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="the message")
    side = parser.add_mutually_exclusive_group(required=True)
    side.add_argument("--connect", metavar="ENDPOINT", help="the receiver: tcp://host:port")
    side.add_argument("--bind", metavar="ENDPOINT", help="listen for receivers there instead")
    parser.add_argument(
        "--socket-type",
        choices=("PUB", "PUSH"),
        default="PUB",
        help="PUSH for PULL receivers (default PUB)",
    )
    parser.add_argument(
        "--level", default="INFO", help="level of the messages: a name or number (default INFO)"
    )
    parser.add_argument(
        "--field",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a field of `extra`; may be repeated",
    )
    parser.add_argument(
        "--json", action="store_true", help="the messages are JSON objects; missing fields are added"
    )
    parser.add_argument("--tag", "-t", default="", help="name of the source (default: your user name)")
    add_timeout(parser, 5.0, "how long to wait for a receiver", _seconds)
    parser.add_argument(
        "--linger",
        type=_seconds,
        metavar="SECONDS",
        help="how long to flush at the end (default: --timeout)",
    )
    add_security(parser)


def _run(given: argparse.Namespace) -> int:
    maker = MessageFactory(given.level, given.field, given.tag, as_objects=given.json)
    endpoint = given.connect or given.bind
    require_endpoint(endpoint, binds=bool(given.bind))
    if given.words and not given.json:
        first = maker.of_text(" ".join(given.words), "command line", 0)
    elif given.words:
        first = maker.of_object(" ".join(given.words), "command line", 0)
    else:
        first = b""
        _see_standard_input()
    sending = _Sending(endpoint, given, security_from(given))
    try:
        if given.words:
            sending.send(first)
        else:
            sending.send_lines(maker)
    except BaseException:
        sending.abandon()
        raise
    return sending.end()


def _see_standard_input() -> None:
    """See that there is one.

    Raises:
        OpenError: there is none.
    """
    if sys.stdin is None:
        raise OpenError("standard input is closed, and there are no arguments to send")
    if sys.stdin.isatty():
        COMMAND.tell("each line that you type is sent; end with Ctrl-D")


class _Sending:
    """One run: what was sent, what was not, and why."""

    def __init__(self, endpoint: str, given: argparse.Namespace, security: SocketSecurity | None) -> None:
        self._endpoint, self._given = endpoint, given
        connect, bind = ((), (endpoint,)) if given.bind else ((endpoint,), ())
        # Few in ZeroMQ's own queue, so that it is known how many were sent.
        settings = SocketSettings(given.socket_type, connect, bind, hwm=_QUEUE, security=security)
        self._blocking = BlockingSender(settings)
        self._unsent = self._wrong = self._large = 0
        self._more = False  # there was more in standard input, which was not counted

    def send(self, message: bytes) -> bool:
        """Send one; False if it could not be sent."""
        if len(message) > Limits().maxmsgsize:
            self._large += 1
            return True
        if self._blocking.send(message, self._given.timeout):
            return True
        self._unsent += 1
        return False

    def send_lines(self, maker: MessageFactory) -> None:
        """Send each line of standard input, until one is not accepted."""
        with ProgressLine() as progress:
            lines = _lines(progress)
            for number, line in lines:
                if not line:
                    continue
                if len(line) > Limits().maxmsgsize:
                    self._large += 1
                    continue
                try:
                    message = maker.of_line(line, number)
                except UserError as error:
                    self._wrong += 1
                    for fault in error.faults:
                        COMMAND.tell(fault)
                    continue
                if not self.send(message):
                    break
            else:
                return
            if size_for_progress(sys.stdin):
                self._unsent += sum(1 for _, line in lines if line)
            else:
                self._more = True

    def abandon(self) -> None:
        """Close it at once."""
        self._blocking.close(0)

    def end(self) -> int:
        """Flush, and report what was not sent; the exit status."""
        given, blocking = self._given, self._blocking
        reason = "" if not self._unsent else self._reason()
        left = blocking.close(given.timeout if given.linger is None else given.linger)
        for text in blocking.told if self._unsent else ():
            COMMAND.tell(text)
        if self._large:
            COMMAND.tell(f"{_messages(self._large)} not sent: larger than {Limits().maxmsgsize} bytes")
        if self._unsent:
            more = ", nor what follows in standard input" if self._more else ""
            COMMAND.tell(f"{_messages(self._unsent)} not sent{more}: {reason}")
        if not left:
            most = min(blocking.sent, _QUEUE)
            told = f"up to {most} of the {_messages(blocking.sent, '')} sent may not have arrived"
            COMMAND.tell(f"{told}: the receiver reads them too slowly, or has gone")
        if self._unsent or self._large or not left:
            return 1
        return 2 if self._wrong else 0

    def _reason(self) -> str:
        blocking, endpoint, seconds = self._blocking, self._endpoint, f"{self._given.timeout:g} seconds"
        if blocking.peers():
            if self._given.socket_type == "PUSH" or blocking.prefixes:
                wanted = self._given.socket_type == "PUSH" or b"" in blocking.prefixes
                told = "reads them too slowly" if wanted else "has not subscribed to their prefix"
                return f"the receiver at {endpoint} {told}"
            return f"a receiver is connected at {endpoint}, but had subscribed to nothing within {seconds}"
        if blocking.told:
            return f"no receiver accepted them within {seconds}"
        if blocking.connected and not blocking.ever():
            kind = "PULL" if self._given.socket_type == "PUB" else "SUB"
            return (
                f"{endpoint} closes our connection: it is a {kind}, which --socket-type must fit, "
                f"or not ZeroMQ; see `message-passing doctor {endpoint}`"
            )
        if self._given.bind:
            return f"nobody connected to {endpoint} within {seconds}"
        return f"nobody listens at {endpoint}; see `message-passing doctor {endpoint}`"


def _messages(count: int, verb: str = " was| were") -> str:
    one, _, many = verb.partition("|")
    return f"1 message{one}" if count == 1 else f"{count} messages{many}"


def _lines(progress: ProgressLine) -> Iterator[tuple[int, bytes]]:
    """The lines of standard input and their numbers; progress is shown if it is a file."""
    total = size_for_progress(sys.stdin)
    done = os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR) if total else 0
    most = Limits().maxmsgsize + 2  # a line that is longer with its newline is too large without it
    for number in itertools.count(1):
        line = sys.stdin.buffer.readline(most)
        if not line:
            return
        text = line.removesuffix(b"\n")
        yield number, text.removeprefix(codecs.BOM_UTF8) if number == 1 else text
        done += len(line)
        while len(line) == most and not line.endswith(b"\n"):  # to the end of a line that is too large
            line = sys.stdin.buffer.readline(most)
            done += len(line)
        if total:
            progress.show(done, total)


COMMAND = Command(
    name="send",
    description="Send messages over ZeroMQ: the arguments as one message, or each line of standard input.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    prepare=joined,
)
