"""Supervising the workers: their sockets, restarting those that died, and their counters."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.errors import Fault, OpenError
from message_passing.paths import local_modules
from message_passing.workers.counters import added, after_death
from message_passing.workers.process import Worker
from message_passing.workers.wire import WorkerError, WorkerMessage, WorkerSpec, unpickled
from message_passing.zeromq.endpoints import refusal
from message_passing.zeromq.spare import first_socket

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.metrics import Snapshot

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
"""Seconds between a worker's death and the next start; twice as long each time."""

_LIVED = 10.0
"""Seconds of life after which a worker's death counts as a new problem."""

_TRIES = 5
"""Failed starts in a row, for every worker, after which restarting is given up."""

_LONGEST_FOLDER = 80
"""Of the 107 bytes that the path of a socket may have."""


@dataclass(slots=True)
class _Slot:
    """One worker's slot, which may be empty."""

    number: int
    worker: Worker | None = None
    pause: float = 0.0
    due: float = 0.0
    failed_starts: int = 0


class Supervisor:
    """The workers, their sockets, and the folder where these are.

    Attributes:
        hopeless: why no worker can be started any more; empty as long as they can.
        folder: where the sockets are, once open.
    """

    def __init__(
        self, count: int, parts: list[Any], path: Callable[[], list[str]], *, background: bool, node: str = ""
    ) -> None:
        """Prepare.

        Args:
            count: the number of workers.
            parts: for each worker's `WorkerSpec`.
            path: called for `sys.path` when a worker is started.
            background: keep them off terminals.
            node: the name of the node.
        """
        self.hopeless = ""
        self.folder = ""
        self._places = [_Slot(number) for number in range(1, count + 1)]
        self._parts = parts
        self._path = path
        self._background, self._node = background, node
        self._started = 0
        self._known: dict[int, Worker] = {}
        self._past: dict[str, Snapshot] = {}

    def open(self, stop: Callable[[], bool]) -> None:
        """Bind, and start all workers; once `stop` returns true, no more are started.

        Raises:
            OpenError: the system refused.
        """
        self._context, self._gather = first_socket(zmq.PULL)
        self.folder = _private_folder()
        self._gather.rcvhwm = 0
        try:
            self._gather.bind(f"ipc://{self.folder}/results")
            for place in self._places:
                if stop():
                    break
                self._start(place)
        except zmq.ZMQError as error:
            self.close()
            raise OpenError(Fault(refusal(error), self.folder)) from error
        except OSError as error:
            self.close()
            raise OpenError(f"a worker cannot be started: {error}") from error

    @property
    def file_descriptor(self) -> int:
        """Readable when `receive` should be called until it returns nothing."""
        return int(self._gather.fileno())

    @property
    def living(self) -> list[Worker]:
        """The workers whose process runs, ready or not."""
        return [place.worker for place in self._places if place.worker]

    @property
    def ready(self) -> list[Worker]:
        """The workers that accept messages, the least loaded first."""
        return sorted((one for one in self.living if one.ready), key=lambda one: one.batches)

    def receive(self, milliseconds: int = 0) -> tuple[Worker | None, WorkerMessage] | None:
        """The next result, and its worker; waits for at most this long."""
        try:
            if milliseconds and not self._gather.poll(milliseconds):
                return None
            said: WorkerMessage = unpickled(self._gather.recv(zmq.NOBLOCK))
        except zmq.Again:
            return None
        worker = self._known.get(said.serial)
        if worker and said.counters is not None:
            worker.counters = said.counters
        if worker and said.busy is not None:
            worker.busy = said.busy
        return worker, said

    def arrived(self, worker: Worker) -> None:
        """Mark a worker as ready, and forget its predecessor."""
        worker.greet()
        for place in self._places:
            if place.worker is worker:
                place.failed_starts = 0
        for serial, one in list(self._known.items()):
            if one.dead and one.number == worker.number:
                del self._known[serial]
                self._past = {name: added(each) for name, each in self._told(one).items()}

    def collect(self) -> list[Worker]:
        """The workers whose process has ended since the last call; their slots are empty now."""
        found = []
        for place in self._places:
            if place.worker and place.worker.has_ended():
                place.worker.release()
                found.append(place.worker)
                self._plan(place, place.worker)
                place.worker = None
        if found and all(place.failed_starts >= _TRIES for place in self._places):
            self.hopeless = f"no worker can be started: the last one {found[-1].why()}"
        return found

    def next_start(self, number: int) -> float:
        """Seconds until a worker is started in that slot again."""
        return self._places[number - 1].pause

    def replace(self, *, at_once: bool = False) -> list[WorkerError]:
        """Start the workers that are due; return the errors of those that could not be started."""
        troubles = []
        for place in self._places:
            if not place.worker and not self.hopeless and (at_once or time.monotonic() >= place.due):
                try:
                    self._start(place)
                except OSError as error:
                    place.pause = min(_LONGEST_PAUSE, place.pause * 2)
                    place.due = time.monotonic() + place.pause
                    text = f"worker {place.number} cannot be started: {error}; next try in {place.pause:g} s"
                    troubles.append(WorkerError(text))
        return troubles

    def counters(self) -> dict[str, Snapshot]:
        """The counters of each part, summed over all workers, past and present."""
        told: dict[str, list[Snapshot]] = {}
        for source in (self._past, *(self._counters_of(one) for one in self._known.values())):
            for name, snapshot in source.items():
                told.setdefault(name, []).append(snapshot)
        return {name: added(each) for name, each in told.items()}

    def close(self) -> None:
        """Kill the remaining workers, and remove the sockets."""
        for place in self._places:
            if place.worker:
                place.worker.kill()
                place.worker.release()
                place.worker = None
        self._gather.close(0)
        self._context.term()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, place: _Slot) -> None:
        self._started += 1
        job = WorkerSpec(self._started, self.folder, self._path(), local_modules(), self._parts)
        place.worker = Worker(place.number, job, self._context, background=self._background, node=self._node)
        self._known[job.serial] = place.worker

    def _plan(self, place: _Slot, worker: Worker) -> None:
        if worker.ready and time.monotonic() - worker.since >= _LIVED:
            place.pause = 0.0
        place.failed_starts = 0 if worker.ready else place.failed_starts + 1
        place.pause = min(_LONGEST_PAUSE, place.pause * 2) or _FIRST_PAUSE
        place.due = time.monotonic() + place.pause

    def _told(self, one: Worker) -> dict[str, list[Snapshot]]:
        found: dict[str, list[Snapshot]] = {name: [snapshot] for name, snapshot in self._past.items()}
        for name, snapshot in self._counters_of(one).items():
            found.setdefault(name, []).append(snapshot)
        return found

    @staticmethod
    def _counters_of(one: Worker) -> dict[str, Snapshot]:
        if not one.dead or one.ended:
            return one.counters
        return {name: after_death(snapshot) for name, snapshot in one.counters.items()}


def why_not_ready(worker: Worker) -> Exception:
    """The error when a worker ended before it was ready: a fault in a component, or in the configuration."""
    if not worker.failure:
        return OpenError(f"{worker} {worker.why()} before it was ready")
    if worker.failure.trace:
        return WorkerError(f"{worker} failed:\n{worker.failure.trace}")
    return OpenError(*worker.failure.faults)


def _private_folder() -> str:
    """A new folder that only this user may enter, with a name that leaves room for a socket's.

    Raises:
        OpenError: it cannot be created.
    """
    places = [None, "/tmp"]  # noqa: S108 - made by mkdtemp, with mode 0700
    try:
        for place in places:
            folder = tempfile.mkdtemp(prefix="message-passing-", dir=place)
            if len(folder.encode()) <= _LONGEST_FOLDER:
                break
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
    except OSError as error:
        raise OpenError(f"cannot create a directory for the workers' sockets: {error}") from error
    return folder
