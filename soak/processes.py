"""The processes of the soak: each has a slot, in which one comes after the other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.testing import free_port, wait_for
from soak.orders import Orders
from soak.sender import LINGER, NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
REPORT_INTERVAL = 2


@dataclass(slots=True)
class Life:
    """One process in a slot.

    Attributes:
        name: `aggregator.3`.
        began: when, in seconds since the soak began.
        killed: whether it was ended by a SIGKILL.
        files: of an aggregator, what it wrote and what has been rotated away, in order.
    """

    name: str
    process: subprocess.Popen[bytes]
    began: float
    killed: bool = False
    files: int = 0


class Slot:
    """A place for one process at a time.

    Attributes:
        kind: `aggregator`, `distributor`, `worker`, `sender` or `hop`, of the acknowledged one.
        fragile: whether it may be killed.
        lives: all that were here, the last one being the one that is.
        stopped: whether it has had a SIGSTOP.
    """

    def __init__(
        self, kind: str, name: str, folder: Path, words: Callable[[str], list[str]], *, fragile: bool = True
    ) -> None:
        """Prepare it.

        Args:
            kind: see above.
            name: the slot's.
            folder: for what the processes write.
            words: the command, given the name of the life.
            fragile: see above.
        """
        self.kind, self.name, self.fragile = kind, name, fragile
        self.folder = folder
        self.lives: list[Life] = []
        self.stopped = False
        self._words = words

    @property
    def life(self) -> Life:
        """The last one."""
        return self.lives[-1]

    @property
    def up(self) -> bool:
        """Whether somebody is there."""
        return bool(self.lives) and self.life.process.poll() is None

    def start(self, now: float) -> None:
        """The next one."""
        name = f"{self.name}.{len(self.lives) + 1}"
        with (self.folder / f"{name}.err").open("wb") as told:
            process = subprocess.Popen(
                self._words(name), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=told, stderr=told
            )
        self.lives.append(Life(name, process, now))
        self.stopped = False

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.life.killed = True
        self.life.process.kill()
        self.life.process.wait()

    def stop(self) -> None:
        """SIGSTOP."""
        self.life.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def go_on(self) -> None:
        """SIGCONT."""
        self.life.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def told(self, life: Life) -> str:
        """What it wrote to standard error."""
        return (self.folder / f"{life.name}.err").read_text(encoding="utf-8", errors="replace")

    def begin_to_end(self) -> None:
        """SIGTERM."""
        if self.stopped:
            self.go_on()
        self.life.process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """SIGTERM, and the status it ends with."""
        self.begin_to_end()
        return self.life.process.wait(timeout=3 * LINGER / 1000)


def given_by(folder: Path, life: str) -> int:
    """How many messages a sender has begun to give."""
    path = folder / f"{life}.count"
    data = path.read_bytes() if path.exists() else b""
    return int(NUMBER.unpack_from(data)[0]) if data else 0


def ask_for_burst(folder: Path, life: str, count: int) -> None:
    """Have a sender give so many at once."""
    path = folder / f"{life}.count"
    if path.exists() and path.stat().st_size == 2 * NUMBER.size:
        with path.open("r+b") as file:
            file.seek(NUMBER.size)
            file.write(NUMBER.pack(count))


class Cast:
    """All slots, on ports of their own."""

    def __init__(self, folder: Path, rate: int) -> None:
        """Prepare them.

        Args:
            folder: for all that is written.
            rate: messages a second of each sender.
        """
        self.folder = folder
        self.ports = {name: free_port() for name in ("aggregator", "jobs", "work", "hop")}
        to_aggregator, to_distributor = (
            f"tcp://127.0.0.1:{self.ports[name]}" for name in ("aggregator", "jobs")
        )
        roomy, narrow = 500_000, 1000
        self.aggregator = Slot("aggregator", "aggregator", folder, self._aggregator)
        self.distributor = Slot("distributor", "distributor", folder, self._distributor, fragile=False)
        self.workers = [Slot("worker", f"worker-{n}", folder, self._worker) for n in (1, 2)]
        self.senders = [
            self._sender("handler", "handler-1", to_aggregator, rate, roomy),
            self._sender("handler", "handler-2", to_aggregator, rate, roomy),
            self._sender("handler", "handler-narrow", to_aggregator, rate, narrow, fragile=False),
            self._sender("stamp", "stamp-1", to_aggregator, rate, roomy),
            self._sender("stamp", "stamp-2", to_aggregator, rate, roomy),
            self._sender("stamp", "stamp-narrow", to_aggregator, rate, narrow),
        ]
        self.jobs = self._sender("stamp", "jobs", to_distributor, rate, roomy)
        self.hop_receiver = Slot("hop", "hop-receiver", folder, self._hop_receiver)
        self.hop_senders = [Slot("hop", f"hop-sender-{n}", folder, self._hop_sender(n)) for n in (0, 1)]
        self.hop = [self.hop_receiver, *self.hop_senders]
        self.orders = [Orders(folder / f"orders-{n}.txt", n, rate, 100) for n in (0, 1)]
        self.all = [
            self.aggregator,
            self.distributor,
            *self.workers,
            *self.senders,
            self.jobs,
            *self.hop,
        ]

    def _sender(
        self, kind: str, name: str, endpoint: str, rate: int, hwm: int, *, fragile: bool = True
    ) -> Slot:
        def words(life: str) -> list[str]:
            numbers = [str(rate), str(hwm)]
            return [sys.executable, "-m", "soak.sender", kind, str(self.folder), life, endpoint, *numbers]

        return Slot("sender", name, self.folder, words, fragile=fragile)

    def _aggregator(self, life: str) -> list[str]:
        return command(
            *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{self.ports['aggregator']}"),
            *part("filter", "Follow", report_interval=REPORT_INTERVAL),
            *part("output", "File", filename=str(self.folder / f"{life}.log")),
        )

    def _distributor(self, _life: str) -> list[str]:
        return command(
            *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{self.ports['jobs']}"),
            *("--decoder", "Null", "--encoder", "Null"),
            *part(
                "output",
                "ZeroMQ",
                socket_bind=f"tcp://127.0.0.1:{self.ports['work']}",
                socket_type="PUSH",
                linger=LINGER,
            ),
        )

    def _worker(self, life: str) -> list[str]:
        return command(
            *part("input", "ZeroMQ", connect=f"tcp://127.0.0.1:{self.ports['work']}", socket_type="PULL"),
            *part("output", "File", filename=str(self.folder / f"{life}.log")),
        )

    def _hop_receiver(self, _life: str) -> list[str]:
        given = {"socket_type": "ROUTER", "state_file": str(self.folder / "hop.state")}
        return command(
            *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{self.ports['hop']}", **given),
            *part("output", "File", filename=str(self.folder / "audit.txt"), fsync="batch"),
        )

    def _hop_sender(self, number: int) -> Callable[[str], list[str]]:
        def words(_life: str) -> list[str]:
            path, place = (str(self.folder / f"orders-{number}.{ending}") for ending in ("txt", "pos"))
            spool = str(self.folder / f"spool-{number}")
            given = {
                "connect": f"tcp://127.0.0.1:{self.ports['hop']}",
                "socket_type": "DEALER",
                "spool": spool,
            }
            tailed = {"filename": path, "raw": True, "start": "beginning", "position_file": place}
            return command(*part("input", "FileTail", **tailed), *part("output", "ZeroMQ", **given))

        return words

    def start_servers(self, began: float) -> None:
        """The aggregator, the distributor and its workers: each is there before the next begins."""
        for slot in (self.distributor, self.aggregator, *self.workers):
            slot.start(time.monotonic() - began)
            if slot is self.distributor:
                continue  # it writes no file that would tell; the others take longer anyway, and it loses nothing
            log = self.folder / f"{slot.life.name}.log"
            wait_for(log.exists, 30)

    def kill_all(self) -> None:
        """Leave nobody behind."""
        for slot in self.all:
            if slot.up:
                slot.kill()


def command(*words: str) -> list[str]:
    """The real one, with these words."""
    return [sys.executable, "-W", "error", "-m", "message_passing", *words]


def part(name: str, component: str, **options: Any) -> list[str]:
    """The words that choose a component and give its options."""
    return [f"--{name}", component, f"--{name}_options", json.dumps(options)]
