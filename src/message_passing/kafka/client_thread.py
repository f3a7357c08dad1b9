"""The thread of a client, beside the event loop: what the client library does in a call may take time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError, needs_extra
from message_passing.kafka.reasons import kafka_reason
from message_passing.network.backoff import pause_after

with needs_extra("kafka"):
    from confluent_kafka import KafkaException

if TYPE_CHECKING:
    from collections.abc import Callable


def client_pause(attempt: int) -> float:
    """Seconds until another client is made, after so many have failed, or a missing topic is looked for again."""
    return pause_after(attempt, 0.1, 5.0)


class ClientThread:
    """Has one client after the other, until the end. Define `live` and `cannot`."""

    def __init__(self, config: Callable[[], dict[str, Any]], wake: Callable[[], object]) -> None:
        """Prepare it.

        Args:
            config: gives what a client is made with; raises `OpenError`.
            wake: called in the loop's thread when something has changed.
        """
        self._config, self._woken = config, wake
        self._ending, self._ended = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def live(self, config: dict[str, Any]) -> bool:
        """Make a client, and use it until the end, or until there has to be another; whether it was connected.

        Raises:
            KafkaException: none can be made.
        """
        raise NotImplementedError

    def cannot(self, reason: str) -> None:
        """No client can be made."""
        raise NotImplementedError

    def start(self, name: str) -> None:
        """Begin, in a running loop."""
        self._loop = asyncio.get_running_loop()
        # A daemon: if the library does not come back from closing, the process ends nevertheless.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def end(self, seconds: float) -> None:
        """End the client in its own way; wait for that, at most so long."""
        self._ending.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have something called in the loop's thread."""
        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function, *arguments)

    def _wake(self) -> None:
        self.call(self._woken)

    def _run(self) -> None:
        attempt = 0
        while not self._ending.is_set():
            connected = False
            try:
                connected = self.live(self._config())
            except (OpenError, KafkaException) as error:
                self.cannot(kafka_reason(error))
            attempt = 1 if connected else attempt + 1
            self._ending.wait(client_pause(attempt))
        self.call(self._ended.set)
