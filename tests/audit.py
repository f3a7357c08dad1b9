"""The main job of an acknowledged hop under load: orders in files, nodes that ship them, and the audit at the end."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from faulty import FAULT_SECONDS, PATIENCE, resident
from message_passing.testing import wait_for
from nodes import OURS, part
from soak.orders import Audit, Orders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

LONG = FAULT_SECONDS > 2
"""Whether this is the long form, that of `make faults`."""

SEED = int(os.environ.get("FAULT_SEED", secrets.randbelow(1 << 32)))
"""Of the chances of tests that have some."""

MOST_MEMORY = 160.0
"""MiB that a node of the job may have: 16 MiB of frames, 16 MiB of unsettled lines, and the program itself."""


def chances() -> random.Random:
    """Chances that come again from their seed, which is printed if the test fails, and with its figures."""
    print(f"FAULT_SEED={SEED}")  # noqa: T201 - for whoever runs it again
    return random.Random(SEED)  # noqa: S311 - they must come again


def soon(condition: Callable[[], object]) -> None:
    """Wait until it is so, with the patience that a long fault takes: reconnecting backs off meanwhile."""
    wait_for(condition, 2 * PATIENCE + 4 * FAULT_SECONDS)


def _is_stopped(thread: Path) -> bool:
    """Whether a thread stands still: its state (proc_pid_stat(5))."""
    return (thread / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[
        0
    ] == "T"


class Place:
    """A node of the job, which may be killed and started again, and what it has said in all its lives.

    Attributes:
        peak: the most memory that it had, in MiB.
    """

    def __init__(
        self, name: str, words: list[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.peak = name, 0.0
        self._words, self._env = words, env
        self._told = folder / f"{name}.err"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, if it does not run."""
        if self.process is None:
            with self._told.open("ab") as told:
                self.process = subprocess.Popen(
                    self._words, stdin=subprocess.DEVNULL, stdout=told, stderr=told, env=self._env
                )

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process
        self.process.send_signal(number)

    def stand_still(self) -> None:
        """SIGSTOP, and wait until none of its threads is within a system call any more."""
        assert self.process
        self.signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        wait_for(lambda: all(_is_stopped(one) for one in threads.iterdir()), timeout=20)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process:
            self.look()
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self) -> None:
        """SIGTERM is obeyed."""
        assert self.process
        self.look()
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.told()
        self.process = None

    def told(self) -> str:
        """All that it wrote to standard error, in all its lives."""
        return self._told.read_text(errors="replace") if self._told.exists() else ""

    def look(self) -> None:
        """See that it runs, and how much memory it has."""
        if self.process:
            assert self.process.poll() is None, f"{self.name} ended by itself: {self.told()[-2000:]}"
            self.peak = max(self.peak, resident(self.process.pid))


class Job:
    """The main job, with one receiver and some senders, each with a file of orders.

    Attributes:
        receiver: `--input ZeroMQ` (ROUTER) `--output File` with `fsync`.
        senders: `--input FileTail` with `position_file`, `--output ZeroMQ` (DEALER) with `spool`.
        orders: what they read.
        audit: what arrives.
    """

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        *,
        bind: str = "",
        senders: int = 1,
        rate: int = 2000,
        text: int = 200,
        here: Path | None = None,
        there: Path | None = None,
        prefixes: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
        env: Mapping[str, str] | None = None,
        receiving: Mapping[str, Any] | None = None,
        sending: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            folder: for the orders and what nodes say.
            endpoint: where senders connect to.
            bind: what the receiver binds to, if that is something else.
            senders: how many.
            rate: orders a second of each.
            text: bytes of text of an order.
            here: the senders' disk.
            there: the receiver's.
            prefixes: commands that run a sender, and the receiver.
            env: the nodes' environment.
            receiving: more options of the ROUTER.
            sending: more options of the DEALERs.
        """
        here, there = here or folder, there or folder
        self.file = there / "audit.log"
        self.audit = Audit([self.file])
        self.orders = [Orders(folder / f"orders-{n}.log", n, rate, text) for n in range(senders)]
        words = part(
            "input", "ZeroMQ", socket_bind=bind or endpoint, socket_type="ROUTER", **(receiving or {})
        )
        words += part("output", "File", filename=str(self.file), fsync="batch")
        self.receiver = Place("receiver", [*prefixes[1], *OURS, *words], folder, env)
        self.senders = [
            Place(
                f"sender-{orders.number}",
                [
                    *prefixes[0],
                    *OURS,
                    *part(
                        "input",
                        "FileTail",
                        filename=str(orders.path),
                        raw=True,
                        start="beginning",
                        position_file=str(here / f"{orders.number}.pos"),
                    ),
                    *part(
                        "output",
                        "ZeroMQ",
                        connect=endpoint,
                        socket_type="DEALER",
                        spool=str(here / f"spool-{orders.number}"),
                        **(sending or {}),
                    ),
                ],
                folder,
                env,
            )
            for orders in self.orders
        ]
        self.nodes = [self.receiver, *self.senders]
        self._watching = threading.Event()

    def start(self) -> None:
        """Start whoever does not run."""
        for node in self.nodes:
            node.start()

    def __enter__(self) -> Self:
        self.start()
        for orders in self.orders:
            orders.__enter__()
        return self

    def __exit__(self, *_exception: object) -> None:
        for orders in self.orders:
            orders.stop()
        for node in self.nodes:
            if node.process:
                node.process.kill()
                node.process.wait()

    def look(self) -> None:
        """See that all run that should, and how much memory they have."""
        for node in self.nodes:
            node.look()

    def flows(self, count: int = 500) -> None:
        """So many more orders arrive."""
        before = self.audit.total()
        self.until(lambda: self.audit.total() >= before + count)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is so, and see that nodes run and keep their memory meanwhile."""

        def is_so() -> object:
            self.look()
            return condition()

        try:
            soon(is_so)
        except TimeoutError:
            accepted = {orders.number: orders.count for orders in self.orders}
            beyond = {one: len(numbers) for one, numbers in self.audit.beyond.items()}
            told = "\n".join(f"{node.name}: {node.told()[-1500:]}" for node in self.nodes)
            raise AssertionError(
                f"of {accepted} arrived {self.audit.reached}, and beyond these {beyond} (seed {SEED})\n{told}"
            ) from None

    def last(self, seconds: float) -> None:
        """Have the fault last, and watch."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.look()
            self._watching.wait(min(0.2, left))

    def settled(self) -> Audit:
        """No more orders, and all of them arrive, by itself; nodes end when they are told to.

        Returns:
            What arrived: nothing is missing, and everything came in each sender's order.
        """
        for orders in self.orders:
            orders.stop()
        wanted = {orders.number: orders.count for orders in self.orders}
        self.until(lambda: self.audit.read().reached == wanted)
        for node in reversed(self.nodes):
            node.end()
        audit = self.audit.read()
        assert not audit.strange, f"seed {SEED}: {audit.strange[:3]}"
        assert not audit.disordered, f"seed {SEED}: {audit.disordered} came late"
        peaks = {node.name: round(node.peak) for node in self.nodes}
        assert max(peaks.values()) < MOST_MEMORY, f"seed {SEED}: MiB: {peaks}"
        return audit

    def figures(self, request: pytest.FixtureRequest, **more: object) -> None:
        """Have the figures printed at the end of the run: see conftest.py."""
        audit = self.audit
        found = {
            **more,
            "orders": sum(orders.count for orders in self.orders),
            "duplicates": audit.duplicates,
            "torn lines": audit.torn,
            "receiver MiB": round(self.receiver.peak),
            "sender MiB": round(max(node.peak for node in self.senders)),
        }
        text = ", ".join(f"{name} {value}" for name, value in found.items())
        request.node.user_properties.append(("figures", text))


def stopped(node: Place, seconds: float, job: Job) -> None:
    """SIGSTOP, and SIGCONT when so many seconds are over."""
    node.signal(signal.SIGSTOP)
    try:
        job.last(seconds)
    finally:
        node.signal(signal.SIGCONT)
