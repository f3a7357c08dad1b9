"""One worker, as its parent sees it: a process, its socket, and the messages sent to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.node_identity import worker_title
from message_passing.shares import Shares
from message_passing.workers.watchdog import ASK, STOP
from message_passing.workers.wire import pickled
from message_passing.workers.worker import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.metrics import Snapshot
    from message_passing.workers.wire import WorkerMessage, WorkerSpec

WINDOW = 2
"""Batches sent to a worker in advance: one that it works on, and the next one."""

LARGEST_BATCH = 250
"""The most messages in a batch. A worker that dies loses at most `WINDOW` times this."""

_FIRST_BATCH = 16
_BATCH_TIME = 0.01
"""Seconds of work in a batch: less costs more for distribution, more makes others wait."""

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from message_passing.workers.worker import main; main()"
)


class Worker:
    """One process.

    Attributes:
        number: its place among the workers, from 1.
        ready: whether it accepts messages.
        ended: whether it has sent its last result, or none is expected.
        dead: whether its process is known to have ended.
        failure: its error message, if it failed.
        counters: the latest that it reported, by its parts' names.
        busy: their shares of the time, as last reported; empty while nothing watches.
        since: when it started, or became ready.
    """

    def __init__(
        self, number: int, job: WorkerSpec, context: zmq.Context[Any], *, background: bool, node: str = ""
    ) -> None:
        """Start it.

        Raises:
            OSError: the system cannot.
        """
        self.number = number
        self.ready = self.ended = self.dead = False
        self.failure: WorkerMessage | None = None
        self.counters: dict[str, Snapshot] = {}
        self.busy: Mapping[str, float] = {}
        self.since = time.monotonic()
        self.serial = job.serial
        self._job = job
        self._context = context
        self._socket: zmq.Socket[bytes] | None = None
        self._sent: deque[int] = deque()
        self.shares = Shares()  # the deliveries of the messages sent to it
        self._size = _FIRST_BATCH
        self._stopped = False
        self._process = _start(number, node, background=background)
        data = pickled(job)
        pipe = self._process.stdin
        assert pipe  # noqa: S101 - it was asked for
        with contextlib.suppress(OSError):  # it has ended already, which is noticed elsewhere
            pipe.write(len(data).to_bytes(8, "big") + data)
            pipe.flush()
        # From now on what it does not read is lost: a worker that hangs must not block its parent.
        os.set_blocking(pipe.fileno(), False)

    @property
    def outstanding(self) -> int:
        """Messages sent to it that it is not done with."""
        return sum(self._sent)

    @property
    def batches(self) -> int:
        """The number of batches sent to it that it is not done with."""
        return len(self._sent)

    def greet(self) -> None:
        """It is ready: connect to it."""
        self.ready, self.since = True, time.monotonic()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.sndhwm = 0
        self._socket.linger = 0
        self._socket.connect(self._job.orders)

    def room(self, waiting: int, workers: int) -> int:
        """How many of the waiting messages to send it now, given the number of ready workers."""
        if not self.ready or len(self._sent) >= WINDOW or self.has_ended():
            return 0
        fair = max(-(-waiting // workers), self._size // 4)  # tiny batches cost more than they gain
        return min(self._size, fair, waiting)

    def deal(self, batch: list[Any]) -> None:
        """Send it a batch.

        Raises:
            Exception: it cannot be pickled.
        """
        self.order(batch)
        self._sent.append(len(batch))

    def order(self, word: Any) -> None:
        """Send it a command, which it executes after the messages sent before."""
        if self._socket:
            self._socket.send(pickled(word))

    def look(self) -> None:
        """Tell it to measure its utilization for a while."""
        self._ring(ASK)

    def stop(self) -> None:
        """Tell it to begin nothing more that takes long. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._ring(STOP)

    def _ring(self, what: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin:
                os.write(self._process.stdin.fileno(), what)

    def is_done(self, said: WorkerMessage) -> None:
        """Record that it is done with a batch, or with a part of one that takes long."""
        self._sent[0] -= said.done + said.back
        if self._sent[0] <= 0:
            self._sent.popleft()
        if not said.done:
            return
        want = int(_BATCH_TIME * said.done / said.seconds) if said.seconds > 0 else LARGEST_BATCH
        self._size = max(1, min(want, 2 * self._size, LARGEST_BATCH))

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Release a process that has ended."""
        self.dead = True
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        if self._socket:
            self._socket.close(0)
            self._socket = None
        with contextlib.suppress(OSError):
            Path(self._job.orders.removeprefix("ipc://")).unlink()

    def __str__(self) -> str:
        return f"worker {self.number} (process {self._process.pid})"

    def described(self) -> dict[str, Any]:
        """What an operator may see of it."""
        return {
            "number": self.number,
            "pid": self._process.pid,
            "ready": self.ready,
            "outstanding": self.outstanding,
        }

    def why(self) -> str:
        """How it ended, as the end of a sentence."""
        status = self._process.returncode
        if self.failure:
            return "failed: " + "; ".join(map(str, self.failure.faults))
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(-status).name}"
            return f"was killed by signal {-status}"
        return f"ended with status {status}"


def _start(number: int, node: str, *, background: bool) -> subprocess.Popen[bytes]:
    """Start the process, with signals blocked until it has installed its handlers."""
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing
    here = str(Path(__file__).parents[2])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return subprocess.Popen(
            [sys.executable, *flags, "-P", "-c", _PROGRAM, here, worker_title(number, node)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if background and _is_terminal(1) else None,
            stderr=subprocess.DEVNULL if background and _is_terminal(2) else None,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_terminal(descriptor: int) -> bool:
    return os.isatty(descriptor)
