"""Feeding a chain, capturing its results, and waiting for conditions."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from message_passing.flow import Input
from message_passing.graph import topological_order
from message_passing.inputs._reading import READ_BATCH
from message_passing.living import Backgrounds
from message_passing.options import option
from message_passing.outputs.test import TestOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from message_passing.component import Component
    from message_passing.flow import Source

_Found = TypeVar("_Found")

_LOWEST_PORT = 10_000
"""Most ports of well-known services are below it."""


class ListInput(Input):
    """Emits the messages of a list, in batches, and ends."""

    messages: list[Any] = option(
        default_factory=list, description="The messages to emit: any objects.", python_only=True
    )

    async def run(self) -> None:
        """Emit them."""
        for start in range(0, len(self.messages), READ_BATCH):
            self.emit(self.messages[start : start + READ_BATCH])
            await self.drain()
            await asyncio.sleep(0)


def capture(source: Source) -> TestOutput:
    """Connect a new `TestOutput` to an input or filter: what it passes on is in the output's `messages`."""
    output = TestOutput()
    source.connect_to(output)
    return output


def run_input(component: Input, *, timeout: float = 10.0) -> None:
    """Open `component` and everything downstream, run it until it ends, and close them, as a chain does.

    Raises:
        TimeoutError: it has not ended after `timeout` seconds.
        Exception: whatever opening or running it raised.
    """
    with component:
        asyncio.run(asyncio.wait_for(_live(component), timeout))


async def _live(component: Input) -> None:
    """Run an input and the background work of everything downstream, as a chain does."""
    failures: list[Exception] = []
    task = asyncio.current_task()
    assert task  # noqa: S101 - there is one in a coroutine

    def failed(_component: Component, error: Exception) -> None:
        failures.append(error)
        task.cancel()

    components = topological_order([component], errors=True)
    backgrounds = Backgrounds(failed)
    backgrounds.begin(components)
    try:
        await component.run()
    except asyncio.CancelledError:
        if not failures:
            raise
        raise failures[0] from None
    finally:
        component.stopped()
        for one in components:
            await one.flush()
        await backgrounds.end()


@contextlib.contextmanager
def running(component: Input, *, timeout: float = 10.0) -> Iterator[None]:
    """Open and run `component` in a thread while the block runs, then stop and close it, as a chain does.

    Raises:
        TimeoutError: it has not stopped `timeout` seconds after it was cancelled.
        Exception: whatever opening or running it raised.
    """
    with component:
        loop = asyncio.new_event_loop()
        task = loop.create_task(_live(component))
        thread = threading.Thread(target=_run_loop, args=(loop, task), daemon=True)
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
            thread.join(timeout)
            if thread.is_alive():
                raise TimeoutError(f"{component.label} is still running {timeout} s after it was cancelled")
        if not task.cancelled():
            task.result()


def _run_loop(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with contextlib.closing(loop):
        loop.run_until_complete(asyncio.wait([task]))
        if left := asyncio.all_tasks(loop):  # it was cancelled when it was ending by itself
            for one in left:
                one.cancel()
            loop.run_until_complete(asyncio.wait(left))


def wait_for(condition: Callable[[], _Found], timeout: float = 5.0) -> _Found:
    """Poll `condition()` until it is true, and return its value.

    Raises:
        TimeoutError: it was not true within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            code = getattr(condition, "__code__", None)
            where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
            raise TimeoutError(f"waited {timeout} s in vain{where}; the last value was {value!r}")
        time.sleep(0.005)
    return value


def free_port() -> int:
    """A port on which nothing listens at the moment, neither TCP nor UDP.

    It is below the ephemeral ports (ip_local_port_range in ip(7)): a connection might take one of those before it is
    bound.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_first_given() - _LOWEST_PORT)
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                for one in (tcp, udp):
                    one.bind(("127.0.0.1", port))
            except OSError:
                continue  # in use: try another one
            return port


def _first_given() -> int:
    """The lowest ephemeral port; where the system does not tell, that of RFC 6335."""
    try:
        found = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except OSError:
        return 49152
    return max(found, _LOWEST_PORT + 1000)
