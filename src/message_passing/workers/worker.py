"""The worker's side: a process that receives batches, runs them through its chain, and returns the results.

It ends on command, and when its parent is gone. The parent handles signals: those that a
terminal or a service manager sends to all processes at once are ignored here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import zmq

from message_passing.chain import Chain, ChainWarning
from message_passing.clock import monotonic
from message_passing.delivery import Outcome
from message_passing.errors import Fault, UserError
from message_passing.flow import Input, Output
from message_passing.graph import close_all, naming_opening, open_all
from message_passing.node_identity import set_process_title
from message_passing.options import option
from message_passing.pacing import SLICE, Pace, next_size
from message_passing.paths import allow_local
from message_passing.runner import Server
from message_passing.stopping import FROM_COMPONENTS
from message_passing.workers.watchdog import ParentWatchdog
from message_passing.workers.wire import (
    END,
    ENDED,
    FAILED,
    READY,
    REOPEN,
    WorkerMessage,
    WorkerSpec,
    pickled,
    portable,
    unpickled,
)
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.component import Component

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LINGER = 5000
"""Milliseconds that sending a worker's last message may take."""


class ResultChannel:
    """The channel to the parent, for any thread."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._serial = spec.serial
        self._lock = threading.Lock()
        self._open = OpenSocket(SocketSettings("PUSH", connect=(spec.results,), hwm=0, linger=_LINGER))
        self._open.attach()

    def say(self, **what: Any) -> None:
        """Send a message without blocking: the parent sends only as much as it receives back.

        Raises:
            Exception: it cannot be pickled.
        """
        data = pickled(WorkerMessage(self._serial, **what))
        with self._lock:
            self._open.socket.send(data)

    def close(self) -> None:
        """Wait until everything has been sent."""
        self._open.close(_LINGER)


class Results(Output):
    """The end of a worker's chain: its messages are returned to the parent, with the counters."""

    channel: Any = option(default=None, description="The way back.", python_only=True)

    def on_init(self) -> None:
        """Start without results."""
        self.label = "workers' results"
        self.in_batch = False
        self._given_at = 0.0
        self.reported: dict[str, Component] = {}
        self.settled: Callable[[], list[tuple[int, int]]] = list
        self._kept: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep them until the end of the batch, unless that takes long; others are returned at once."""
        self._kept += messages
        if not self.in_batch or monotonic() - self._given_at >= SLICE:
            self.give()

    def begin(self) -> None:
        """Begin a batch."""
        self.in_batch, self._given_at = True, monotonic()

    def give(self, **what: Any) -> None:
        """Return the results so far, together with `what`."""
        results, self._kept, self._given_at = self._kept, [], monotonic()
        settled = self.settled()
        try:
            self.channel.say(results=results, settled=settled, counters=self._counters(), **what)
        except Exception:  # noqa: BLE001 - whatever a message's class raises when it is pickled
            results = portable(self, results)
            settled = [(count, max(outcome, Outcome.REJECTED)) for count, outcome in settled]
            self.channel.say(results=results, settled=settled, counters=self._counters(), **what)

    def _counters(self) -> dict[str, Any]:
        return {name: component.snapshot() for name, component in self.reported.items()}


class Reports(Output):
    """The beginning of a worker's error chain, which continues in the parent."""

    channel: Any = option(description="The way back.", python_only=True)

    def write_many(self, messages: list[Any]) -> None:
        """Send them at once: the next message may kill this process."""
        self.channel.say(reports=messages)


class Orders(Input):
    """Receives the batches that the parent sends."""

    endpoint: str = option(description="Where.")
    results: Any = option(description="Where the chain ends.", python_only=True)

    def on_init(self) -> None:
        """Start without a function that reopens files."""
        super().on_init()
        self.reopen_all: Callable[[], object] = lambda: None
        self._pace = Pace(self)
        self._pieces: deque[list[Any]] = deque()  # how many messages, and what became of them
        self.results.settled = self._take_settled
        self._size = 1  # messages that took about a `SLICE`, so far as that is known

    def on_open(self) -> None:
        """Bind.

        Raises:
            OpenError: the system refused.
        """
        self._open = OpenSocket(SocketSettings("PULL", bind=(self.endpoint,), hwm=0))
        self._open.attach()

    async def run(self) -> None:
        """Process one batch at a time, and report when it is done."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._open.file_descriptor, ready.set)
        try:
            while True:
                ready.clear()
                try:
                    order = unpickled(self._open.socket.recv(zmq.NOBLOCK))
                except zmq.Again:
                    await ready.wait()
                    continue
                if order == END:
                    return
                if order == REOPEN:
                    self.reopen_all()
                else:
                    await self._do(order)
                await asyncio.sleep(0)  # let others in the loop run
        finally:
            loop.remove_reader(self._open.file_descriptor)

    async def _do(self, batch: list[Any]) -> None:
        """Process a batch, in pieces if it takes long: the results of each are returned before the next begins."""
        done, given_at = 0, monotonic()
        self.results.begin()
        while batch and self._pace.work_left > 0:
            piece, batch, began = batch[: self._size], batch[self._size :], monotonic()
            self._pieces.append(entry := [len(piece), None])
            self.deliver(piece, partial(self._settle, entry))
            await self.drain()
            done, now = done + len(piece), monotonic()
            self._pace.spend(began, now, len(piece))
            self._size = int(next_size(self._size, len(piece), now - began))
            if batch and now - given_at >= SLICE:
                self.results.give(done=done, seconds=now - given_at)
                done, given_at = 0, now
        self.results.in_batch = False
        self._pieces.append([len(batch), Outcome.LOST])
        self.results.give(done=done, back=len(batch), seconds=monotonic() - given_at)

    def _settle(self, entry: list[Any], outcome: Outcome) -> None:
        entry[1] = outcome
        if not self.results.in_batch:  # something kept it, and the batch's end has been told
            self.results.give()

    def _take_settled(self) -> list[tuple[int, int]]:
        """What has been settled since the last call, up to the first unsettled message."""
        found = []
        while self._pieces and self._pieces[0][1] is not None:
            count, outcome = self._pieces.popleft()
            found.append((count, int(outcome)))
        return found

    def on_close(self) -> None:
        """Close the socket."""
        self._open.close(0)


def main() -> NoReturn:
    """The entry point: the spec is read from standard input, whose end means that the parent has ended."""
    for number in SIGNALS:
        signal.signal(number, _ignore)  # not SIG_IGN, which a filter's own processes would inherit
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    set_process_title(sys.argv[-1])
    parent = os.getppid()
    lifeline = os.dup(0)
    with open(lifeline, "rb", buffering=0, closefd=False) as pipe:
        spec: WorkerSpec = _read(pipe)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    watchdog = ParentWatchdog(parent, lifeline, spec.folder)
    sys.path[:] = spec.path
    allow_local(spec.local)
    channel = ResultChannel(spec)
    status = 1
    try:
        status = _work(spec, channel, watchdog)
    except UserError as error:
        channel.say(state=FAILED, faults=error.faults)
    except Exception as error:  # noqa: BLE001 - a fault of ours or of a component's: all that is known is told
        faults = (Fault(f"{type(error).__name__}: {error}"),)
        channel.say(state=FAILED, faults=faults, trace=traceback.format_exc())
    watchdog.end()
    channel.close()
    sys.exit(status)


def _ignore(_number: int, _frame: object) -> None:
    """Ignore a signal that the parent handles."""


def _read(pipe: Any) -> WorkerSpec:
    data = b""
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        more = pipe.read(8 - len(data) if len(data) < 8 else 8 + int.from_bytes(data[:8], "big") - len(data))
        if not more:
            os._exit(1)  # the parent is gone already
        data += more
    spec: WorkerSpec = unpickled(data[8:])
    return spec


def _work(spec: WorkerSpec, channel: ResultChannel, watchdog: ParentWatchdog) -> int:
    results = Results(channel=channel)
    orders = Orders(endpoint=spec.orders, results=results)
    chain = Chain()
    chain.input("input", orders, output_to=spec.parts[0].name)
    for part in spec.parts:
        chain.declare(part)
    chain.output("output", results)
    chain.output("errors", Reports(channel=channel))
    chain.use_errors("errors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainWarning)
        heads = chain.build()
    results.chain_name = results.label  # the chain's own output is in the parent
    results.reported = {part.name: chain.components[part.name] for part in spec.parts} | {"output": results}
    server = Server(heads)
    server.stop_request.caught = FROM_COMPONENTS
    server.losses.reports = False  # the parent has all counters, and reports
    names = {id(component): name for name, component in results.reported.items()}
    watchdog.begin(names, channel.say, server.stop_request.ask)
    with contextlib.ExitStack() as stack:
        stack.callback(close_all, heads, errors=True)
        open_all(heads, errors=True, within=naming_opening)
        orders.reopen_all = server.reopen
        server.run(on_ready=lambda: channel.say(state=READY))
        results.in_batch = True  # what comes while the chain closes is returned with the last words
    if server.failures:  # the reason was reported to the error chain
        return 1
    results.give(state=ENDED)
    return 0
