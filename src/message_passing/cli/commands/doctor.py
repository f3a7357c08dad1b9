"""The command `message-passing doctor`: does my log arrive? Step by step, with advice."""

from __future__ import annotations

import json
import secrets
import sys
import time
from typing import TYPE_CHECKING

import zmq

from message_passing.cli.canary import CanaryTracker, losses_of, sender_at
from message_passing.cli.command import Command, add_timeout
from message_passing.cli.endpoint_probe import EndpointProbe, shake_hands, step_of_types
from message_passing.cli.engine_probe import add_engine_options, engine_steps
from message_passing.cli.formatting import colours
from message_passing.cli.hop_probe import HopProbe
from message_passing.cli.message_factory import MessageFactory
from message_passing.cli.security_options import add_security, joined, security_from
from message_passing.cli.terminal import print_out
from message_passing.console.client import NodeClient
from message_passing.environment import from_environment
from message_passing.escaping import escape_control
from message_passing.network.diagnosis import Step
from message_passing.zeromq.blocking_sender import BlockingSender
from message_passing.zeromq.misfits import FITTING_TYPES, TWO_WAY_TYPES
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.subscriptions import prefixes_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from message_passing.zeromq.security import SocketSecurity

_EPILOG = """\
examples:
  message-passing doctor tcp://logs:5558
  message-passing doctor tcp://logs:5558 --curve-secret-key ~/web-1.key_secret --curve-server-key server.key
  message-passing doctor tcp://127.0.0.1:5558 --node 4711       see it come out of the aggregator as well
  message-passing doctor nats://127.0.0.1:4222 --options stream=LOGS
  message-passing doctor redis://127.0.0.1:6379 --options stream=logs --options password=env:REDIS_PASSWORD

A node on this machine that was started with --control is found automatically. The canary is a message of level
INFO that says what it is. exit status: 0 every step succeeded, 1 a step failed, 2 usage error.
"""

_SETTLE = 0.3
"""Seconds after a handshake within which a connection that does not fit has ended."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "endpoint",
        metavar="ENDPOINT",
        help="where the log is sent: tcp://host:port; or a server of an engine",
    )
    add_engine_options(parser)
    parser.add_argument(
        "--socket-type",
        choices=("PUB", "PUSH", *TWO_WAY_TYPES),
        help="the sender's socket type (default PUB, as in senders); DEALER for a ROUTER, which acknowledges",
    )
    parser.add_argument(
        "--node", metavar="TARGET", help="the receiver: its process ID, control socket or http://..."
    )
    parser.add_argument("--token", default="", help="its --http_token, or env:NAME")
    parser.add_argument("--no-canary", action="store_true", help="send no message")
    add_timeout(parser, 3.0, "for each step")
    parser.add_argument("--json", action="store_true", help="the steps as one JSON object")
    add_security(parser)


def _run(given: argparse.Namespace) -> int:
    told: list[Step] = []
    coloured = colours("auto", sys.stdout)
    for step in _steps(given):
        told.append(step)
        if not given.json:
            print_out(_written(step, coloured=coloured), safe=True)
    well = all(step.ok for step in told)
    if given.json:
        steps = [
            {"step": one.name, "ok": one.ok, "skipped": one.skipped, "text": one.text, "advice": one.advice}
            for one in told
        ]
        print_out(json.dumps({"endpoint": given.endpoint, "ok": well, "steps": steps}, indent=2) + "\n")
    return 0 if well else 1


def _steps(given: argparse.Namespace) -> Iterator[Step]:
    return engine_steps(given) or Diagnosis(given, security_from(given)).steps()


def _written(step: Step, *, coloured: bool) -> str:
    word, code = ("-", "2") if step.skipped else ("ok", "32") if step.ok else ("FAILED", "1;31")
    mark = f"\x1b[{code}m{word:6}\x1b[0m" if coloured else f"{word:6}"
    text = f"{mark}  {step.name:12}  {escape_control(step.text)}\n"
    return text + (f"{'':8}{'what to do':12}  {escape_control(step.advice)}\n" if step.advice else "")


class Diagnosis:
    """The diagnosis of one endpoint."""

    def __init__(self, given: argparse.Namespace, security: SocketSecurity | None) -> None:
        """Start without results.

        Args:
            given: the command's arguments.
            security: the security to connect with.
        """
        self._given = given
        self._security = security
        self._probe = EndpointProbe(given.endpoint, given.timeout)
        self._blocking: BlockingSender | None = None
        self._hop: HopProbe | None = None
        self._canary: CanaryTracker | None = None

    def steps(self) -> Iterator[Step]:
        """Run all steps, up to one that fails.

        Raises:
            OpenError: the node that was named does not answer.
        """
        self._find_node()
        try:
            for look in (self._reach, self._shake_hands, self._listen, self._send):
                for step in look():
                    yield step
                    if not step.ok:
                        return
        finally:
            self._close()

    def _find_node(self) -> None:
        given = self._given
        if given.node:
            token = from_environment(given.token) if given.token else None
            self._canary = CanaryTracker.of(NodeClient(given.node, token), given.endpoint)

    def _close(self) -> None:
        if self._blocking:
            self._blocking.close(0)
            self._blocking = None
        if self._hop:
            self._hop.close()

    def _reach(self) -> Iterator[Step]:
        return self._probe.steps(self._security)

    def _shake_hands(self) -> Iterator[Step]:
        theirs, wanted = self._probe.greeting.socket_type, self._given.socket_type
        if theirs:
            yield step_of_types(theirs, wanted)
        if theirs == "PUSH":
            yield Step("handshake", "skipped: a PUSH would send us its workers' messages", skipped=True)
            yield from self._of_sender()
            return
        if wanted in TWO_WAY_TYPES:
            settings = SocketSettings(wanted, (self._given.endpoint,), security=self._security)
            self._hop = HopProbe(settings, self._given.timeout)
            yield self._hop.greet()
            return
        types = [FITTING_TYPES[theirs][0]] if theirs else [wanted] if wanted else ["PUB", "PUSH", "SUB"]
        failed: set[int] = set()
        told: list[str] = []
        for kind in types:
            blocking = BlockingSender(
                SocketSettings(kind, (self._given.endpoint,), security=self._security, subscribe=(b"",))
            )
            if shake_hands(blocking, self._given.timeout, _SETTLE):
                self._kind, self._blocking = kind, blocking
                yield Step("handshake", f"it accepted us, as a {kind}")
                if not theirs:
                    yield step_of_types(FITTING_TYPES[kind][0], wanted)
                return
            failed |= blocking.failed
            told += blocking.told
            blocking.close(0)
            if zmq.EVENT_HANDSHAKE_FAILED_AUTH in blocking.failed:
                break
        yield self._refused(failed, told)

    def _refused(self, failed: set[int], told: Sequence[str]) -> Step:
        prefix = f"{self._given.endpoint}: "
        text = (
            told[0].removeprefix(prefix)
            if told
            else f"it did not accept us within {self._given.timeout:g} seconds"
        )
        if zmq.EVENT_HANDSHAKE_FAILED_AUTH in failed:
            public = "the public key that belongs to --curve-secret-key"
            advice = (
                f"allow {public} there: `message-passing keys allow`; a running server applies it at once"
            )
            if self._security and self._security.mechanism == "PLAIN":
                advice = "give the name and the password as they are in plain_passwords there"
            return Step("handshake", text, advice)
        if self._security and self._security.mechanism == "CURVE":
            advice = (
                "take --curve-server-key from the server's own NAME.key: the present one is another server's"
            )
            kind = self._given.socket_type
            if kind:
                advice += f"; or omit --socket-type: {kind} may not fit"
            return Step("handshake", "it cannot read what we encrypt: this is not its public key", advice)
        return Step(
            "handshake", text, "read the other side's log: it may show which peers it refused, and why"
        )

    def _listen(self) -> Iterator[Step]:
        blocking = self._blocking
        if blocking is None or self._kind == "PUSH":
            return
        if self._kind == "SUB":
            came = blocking.receive(self._given.timeout)
            text = "a message came from there" if came else "nothing arrived meanwhile: it may just be idle"
            yield Step("messages", text, skipped=not came)
            yield from self._of_sender()
            return
        deadline = time.monotonic() + self._given.timeout
        while not blocking.prefixes and (left := deadline - time.monotonic()) > 0:
            blocking.wait(left)
        if not blocking.prefixes:
            advice = "nothing that is published reaches it: its option `subscribe` must not be empty"
            yield Step("subscription", "it is connected, but has subscribed to nothing", advice)
        elif not blocking.wants(b'{"time"'):
            found = prefixes_text(blocking.prefixes)
            advice = "messages must begin with that, or its option `subscribe` must be removed"
            yield Step("subscription", f"it has subscribed only to messages that begin with {found}", advice)
        else:
            yield Step("subscription", "it has subscribed to our messages")

    def _of_sender(self) -> Iterator[Step]:
        """What a sender has lost, by its own count: that of the node on this machine that is bound there."""
        found = sender_at(self._given.endpoint, self._given.timeout) if self._probe.local else None
        if found is None:
            told = "no node with --control is known that sends there, so its losses are unknown"
            yield Step("losses", told, skipped=True)
        else:
            yield losses_of(*found)

    def _send(self) -> Iterator[Step]:
        given, blocking = self._given, self._blocking
        if self._hop is None and (blocking is None or self._kind == "SUB"):
            return
        canary = self._canary or (
            CanaryTracker.found(given.endpoint, given.timeout) if self._probe.local else None
        )
        name = f"canary-{secrets.token_hex(6)}"
        if given.no_canary:
            yield Step("canary", "none was sent", skipped=True)
        else:
            message = MessageFactory("INFO", [f"canary={name}"], "message-passing doctor").of_text(
                f"{name}: is the log arriving? This message was sent by `message-passing doctor`", "doctor", 0
            )
            if canary:
                canary.watch(name)
            yield self._hop.deliver(message, name) if self._hop else self._leave(message, name)
        if canary:
            yield from canary.steps(given.timeout, expected=not given.no_canary)
            if sender := sender_at(given.endpoint, given.timeout):
                yield losses_of(*sender)
        else:
            told = "no node with --control is known that listens there, so its outcome is unknown"
            yield Step("arrival", f"{told} (--node TARGET names one)", skipped=True)

    def _leave(self, message: bytes, name: str) -> Step:
        assert self._blocking  # noqa: S101 - it shook hands
        blocking, self._blocking = self._blocking, None
        sent = blocking.send(message, self._given.timeout)
        left = blocking.close(self._given.timeout)
        advice = (
            "the receiver reads nothing: it is stuck or overloaded; inspect it with `message-passing top`"
        )
        text = f"{name} has left for it" if sent and left else "a message could not be sent"
        return Step("canary", text, "" if sent and left else advice)


COMMAND = Command(
    name="doctor",
    description="Find out, step by step, whether a log sent to an endpoint arrives, and if not, why.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    prepare=joined,
)
