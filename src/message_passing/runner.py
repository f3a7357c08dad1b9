"""Running chains in one process: the event loop, signals, and an orderly shutdown.

A first SIGINT or SIGTERM stops the inputs, passes on what was received unless that takes long (see
`stopping`), and closes everything within each component's bounded time. A second one exits at once. SIGHUP reopens
files, or does what `Server.on_hangup` says.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from message_passing.announcer import Announcer
from message_passing.chain_group import as_chain
from message_passing.errors import OutputClosedError
from message_passing.event_loop import keep_freed_memory, obey_signals, rare_collections, woken_by_signals
from message_passing.flow import Input, Output
from message_passing.graph import close_all, open_all, topological_order
from message_passing.living import Backgrounds, flushes
from message_passing.loss_monitor import LossMonitor
from message_passing.stderr_line import make_way
from message_passing.stopping import StopRequest, raised_exit
from message_passing.summaries import collect_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from message_passing.chain import Chain
    from message_passing.component import Component

LAST_DRAIN = 2.0
"""Seconds to wait, after a stop was requested, until what was read has been accepted and flushed."""

_MOST_CALLS = 10_000
"""The most calls that wait for the chains' thread, such as viewers'; beyond that, the oldest are forgotten."""


class Server:
    """Runs the chains that begin at `heads`, which the caller opens before and closes afterwards.

    Attributes:
        running: the inputs have been started, and no stop was requested.
        failures: the components that failed, and why. Each was reported to its error chain.
        on_hangup: what SIGHUP does. Called from a signal handler.
        losses: what the components lose.
        backgrounds: the background tasks of the components.
        stop_request: shows the components that a stop was requested.
    """

    def __init__(self, heads: Sequence[Input]) -> None:
        self.heads = heads
        self.stopping = self.running = False
        self.failures: list[tuple[Component, Exception]] = []
        self.on_hangup: Callable[[], object] = self.reopen
        self.stop_request = StopRequest()
        self._running: dict[Input, asyncio.Task[None]] = {}
        self.losses = LossMonitor()
        self.backgrounds = Backgrounds(self._background_failed)
        self._calls: deque[Callable[[], object]] = deque(maxlen=_MOST_CALLS)
        self._deadline = 0.0  # of the last drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._asked = asyncio.Event()  # a stop was requested; otherwise the inputs have ended by themselves
        for component in self.components:  # one that takes long to open may check it
            component.stop_request = self.stop_request

    @property
    def components(self) -> list[Component]:
        """All components of the chains, in the order that messages flow; then their error chains."""
        return topological_order(self.heads, errors=True)

    def run(
        self, *, on_ready: Callable[[], object] = lambda: None, on_end: Callable[[], object] = lambda: None
    ) -> None:
        """Run until all inputs have ended, one fails, an output's reader is gone, or `stop` is called.

        Args:
            on_ready: called when every input has been started.
            on_end: called when no more will be received, and what was received is still to be passed on.
        """
        keep_freed_memory()
        with rare_collections():
            asyncio.run(self._run(on_ready, on_end))

    def stop(self) -> None:
        """Request a stop, from a signal handler or any thread."""
        self.stopping = True
        self.stop_request.ask()
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._asked.set()
        if self._stop:
            self._stop.set()

    def call(self, function: Callable[[], object]) -> None:
        """Schedule a call in the chains' thread, from any thread or a signal handler, also before they run.

        It is not called once they have ended.
        """
        self._calls.append(function)
        if self._loop:
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._call_next)

    def _call_next(self) -> None:
        if self._calls:
            self._calls.popleft()()

    def reopen(self) -> None:
        """Have every component reopen its files, from a signal handler or any thread."""
        self.call(self._reopen)

    async def _run(self, on_ready: Callable[[], object], on_end: Callable[[], object]) -> None:
        with woken_by_signals():
            await self._serve(on_ready, on_end)

    async def _serve(self, on_ready: Callable[[], object], on_end: Callable[[], object]) -> None:
        self._loop, self._stop, self._asked = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        for _ in tuple(self._calls):  # those before the loop was there
            self._loop.call_soon(self._call_next)
        if self.stopping:
            self._stop.set()
            self._asked.set()
        self.adopt()
        self.backgrounds.begin(self.components)
        for head in self.heads:
            self.begin(head)
        self._look_for_end()  # there may be no input
        watching = asyncio.create_task(self.losses.watch(lambda: self.components))
        self.running = True
        on_ready()
        await self._stop.wait()
        await asyncio.sleep(0)  # an input that was woken together with us reads what it was woken for
        for task in self._running.values():
            task.cancel()
        ended = {head: await self._cancelled(head) for head in self.heads}
        self.running = False
        on_end()
        for component in self.components:
            if isinstance(component, Output):
                component.ending = True
        for head, result in ended.items():
            await self._finish(head, result)
        await self._flush()
        watching.cancel()

    async def _flush(self) -> None:
        """Flush every component, in the order that messages flow, while all are still at work."""
        if self.backgrounds.are_leaving:
            await self._until_stop(self.backgrounds.left())
        for component in self.components:
            if flushes(component):
                await self._until_stop(component.flush(), component)
        await self.backgrounds.end()

    def adopt(self) -> None:
        """Mark the components of `heads` as run by this, now and whenever they change."""
        for component in self.components:
            component.stop_request = self.stop_request
        for head in sorted(
            self.heads, key=lambda one: not one.can_wait
        ):  # an input that cannot wait decides for all
            for component in topological_order([head]):
                if isinstance(component, Output):
                    component.waited_for = True
                    component.sources_wait = head.can_wait

    def begin(self, head: Input) -> None:
        """Start an input. Within the loop."""
        task = asyncio.create_task(self.stop_request.failing(head.run()), name=head.label)
        self._running[head] = task
        task.add_done_callback(lambda _: self._look_for_end())

    def runs(self, head: Input) -> bool:
        """Whether an input is being run, or has ended by itself."""
        return head in self._running

    def _look_for_end(self) -> None:
        """End all when one has failed or the last one has ended."""
        ended = [task for task in self._running.values() if task.done()]
        failed = [task for task in ended if not task.cancelled() and task.exception()]
        if failed:
            self.stop_request.ask()
            self._asked.set()
        if self._stop and (failed or len(ended) == len(self._running)):
            self._stop.set()

    async def _cancelled(self, head: Input) -> object:
        """What an input's task ended with, or ends with now."""
        task = self._running[head]
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        return result

    async def _finish(self, head: Input, result: object) -> None:
        """Have an input pass on what it has read."""
        self._note(head, result)
        try:
            head.stopped()
        except self.stop_request.caught as error:  # the other inputs' messages still have somewhere to go
            self._note(head, error)
        else:
            await self._until_stop(head.drain(), head)

    async def _until_stop(self, waiting: Coroutine[Any, Any, None], what: Component | None = None) -> None:
        """Wait for something to finish; after a stop, within `LAST_DRAIN`, which all such waits share.

        Args:
            waiting: what to wait for.
            what: the component that its failure is reported for.
        """
        task = asyncio.ensure_future(self.stop_request.failing(waiting))
        asked = asyncio.ensure_future(self._asked.wait())
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not task.done():
            self._deadline = self._deadline or time.monotonic() + LAST_DRAIN
            await asyncio.wait({task}, timeout=max(0.0, self._deadline - time.monotonic()))
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(what, Input):
            self._note(what, result)
        elif what and isinstance(result, Exception) and not isinstance(result, OutputClosedError):
            what.report(result)

    def _note(self, component: Component, result: object) -> None:
        """Record it if it is a failure; that the reader of an output has gone is not one."""
        if isinstance(result, (SystemExit, KeyboardInterrupt)):
            result = raised_exit(result)
        if isinstance(result, Exception) and not isinstance(result, OutputClosedError):
            component.report(result)
            self.failures.append((component, result))

    def _background_failed(self, component: Component, error: Exception) -> None:
        self._note(component, error)
        self.stop_request.ask()
        self._wake()

    def _reopen(self) -> None:
        for component in self.components:
            try:
                component.reopen()
            except self.stop_request.caught as error:  # the others must still be reopened
                component.report(error)


def _say(text: str) -> None:
    with suppress(OSError, AttributeError, ValueError):  # there may be no standard error
        make_way()
        sys.stderr.write(f"message-passing: {text}\n")


def run_message_server(*chains: Chain | Input | Sequence[Chain | Input]) -> None:
    """Run chains until every input has ended or a signal says stop; then close them.

    Args:
        chains: chains as declared, or the inputs of chains connected by hand; or lists of these.

    Raises:
        UserError: a chain does not fit together, or an address or file is refused.
        Exception: what made an input fail (the first one), after everything was closed in order.
    """
    heads = as_chain(chains).build()
    server = Server(heads)
    announcer = Announcer(lambda: server.components)
    for text in collect_warnings(server.components):
        _say(f"warning: {text}")
    with obey_signals(server):
        try:
            open_all(heads, errors=True)
            server.run(on_ready=announcer.start, on_end=announcer.end)
        finally:
            close_all(heads, errors=True)
            server.losses.finish(server.components, tell=True)
    if server.failures:
        raise server.failures[0][1]
