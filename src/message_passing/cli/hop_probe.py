"""Probing an endpoint of an acknowledged hop: what answers there, and whether it acknowledges a message."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.network.diagnosis import Step
from message_passing.zeromq.hop.link import HopSender
from message_passing.zeromq.misfits import FITTING_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.settings import SocketSettings

_PAUSE = 0.02
"""The most seconds between two checks."""


class HopProbe:
    """A sending end that has one message at most. For one thread."""

    def __init__(self, settings: SocketSettings, timeout: float) -> None:
        """Open it.

        Args:
            settings: a DEALER, or a ROUTER for a receiver that binds a DEALER.
            timeout: seconds for each step.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._timeout = timeout
        self._theirs = FITTING_TYPES[settings.socket_type][0]
        self._sender = HopSender(settings, dead_after=max(1.0, timeout))
        self._sender.open()
        self._settled = False
        self._told: list[str] = []

    def greet(self) -> Step:
        """Whether there is the receiving end of a hop."""
        producer = self._sender.producer
        if self._wait(lambda: bool(producer.ready_peers() or self._told)) and producer.ready_peers():
            return Step("hop", "an input of message-passing answers, which acknowledges, with our version")
        (receiver,) = self._sender.sockets.receivers
        obstacle = receiver.health.obstacle() if receiver.health else ""
        if self._told:
            advice = (
                f"the other end of the hop must be an input with socket_type {self._theirs}, of this version"
            )
            return Step("hop", self._told[0], advice)
        if obstacle and not receiver.peers():
            return Step(
                "hop", obstacle, "read the other side's log: it may show which peers it refused, and why"
            )
        advice = f"it must be an input of message-passing with socket_type {self._theirs}; if it is, it stands still"
        return Step("hop", f"it is connected, and answers nothing within {self._timeout:g} seconds", advice)

    def deliver(self, message: bytes, name: str) -> Step:
        """Whether a message is acknowledged."""
        self._sender.producer.add(message, lines=False)
        if self._wait(lambda: self._settled):
            return Step("canary", f"{name} was acknowledged: the receiver's chain has settled it")
        advice = (
            "its output is stuck, slow or waits for room: inspect it with `message-passing top`, and its log"
        )
        return Step("canary", f"{name} was not acknowledged within {self._timeout:g} seconds", advice)

    def _wait(self, done: Callable[[], bool]) -> bool:
        deadline = monotonic() + self._timeout
        while True:
            self._settled = bool(self._sender.service()) or self._settled
            self._told += [
                text for one in self._sender.sockets.receivers for text in one.notices.take(all_counts=True)
            ]
            if done() or monotonic() > deadline:
                return done()
            select.select(self._sender.sockets.file_descriptors, [], [], _PAUSE)

    def close(self) -> None:
        """Close it."""
        self._sender.close()
