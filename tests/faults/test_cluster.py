"""From applications to files over a JetStream cluster, all of it killed at random: nothing accepted is missing."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from audit import LONG, SEED, Place, chances
from faulty import local
from message_passing.testing import free_port, wait_for
from nats_server import cluster
from nodes import OURS, part

if TYPE_CHECKING:
    from nats_server import NatsServer

KILLS = int(os.environ.get("FAULT_KILLS", "100" if LONG else "0")) // 2
APPLICATION = Path(__file__).with_name("accepting.py")
PATIENCE = 120.0


class Archive:
    """What has arrived in the workers' files.

    Attributes:
        arrived: how often each record has, by its application and number.
        identities: the sender and sequence of each.
        torn: lines that a killed worker has left unfinished.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.arrived: Counter[tuple[str, int]] = Counter()
        self.identities: dict[tuple[str, int], tuple[str, int]] = {}
        self.torn = 0
        self._read = dict.fromkeys(paths, 0)

    def read(self) -> Counter[tuple[str, int]]:
        """Take what was written since the last time."""
        for path in filter(Path.exists, self._read):
            with path.open("rb") as file:
                file.seek(self._read[path])
                text, newline, _ = file.read().rpartition(b"\n")
            self._read[path] += len(text) + len(newline)
            for line in text.splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    self.torn += 1
                    continue
                key = record["logger"], record["extra"]["n"]
                identity = record["sender"], record["sequence"]
                assert self.identities.setdefault(key, identity) == identity
                self.arrived[key] += 1
        return self.arrived


def accepted(journals: dict[str, Path]) -> set[tuple[str, int]]:
    """The records that applications have noted."""
    found = set()
    for name, path in journals.items():
        for line in path.read_text(encoding="ascii").splitlines() if path.exists() else ():
            if line != "begun":
                first, end = map(int, line.split())
                found |= {(name, n) for n in range(first, end)}
    return found


class Stage:
    """All processes: two applications, the distributor, three workers; and three servers.

    Attributes:
        places: those of ours.
        archive: what the workers wrote.
        journals: what the applications noted.
    """

    def __init__(self, folder: Path, servers: list[NatsServer]) -> None:
        self._servers = servers
        endpoint = local(free_port())
        shared: dict[str, Any] = {
            "servers": [one.url for one in servers], "stream": "LOGS", "reconnect_longest": 0.5,
        }  # fmt: skip
        stored = {"subject": "logs.app", "create": True, "replicas": len(servers), "timeout": 3}
        self.journals = {name: folder / f"{name}.journal" for name in ("shop", "billing")}
        program = [sys.executable, "-W", "error", str(APPLICATION)]
        self.places = [
            Place(name, [*program, name, endpoint, str(folder / f"{name}.spool"), str(journal)], folder)
            for name, journal in self.journals.items()
        ]
        words = part(
            "input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER", state_file=str(folder / "state")
        )
        words += part("output", "JetStream", **shared, **stored)
        self.places.append(Place("distributor", [*OURS, *words], folder))
        paths = [folder / f"worker-{number}.log" for number in range(3)]
        for path in paths:
            words = part("input", "JetStream", **shared, durable="archive", ack_wait=2, retry_longest=2)
            words += part("output", "File", filename=str(path), fsync="batch")
            self.places.append(Place(path.stem, [*OURS, *words], folder))
        self.archive = Archive(paths)
        self._watching = threading.Event()

    def start(self) -> None:
        """Start whoever does not run."""
        for one in self.places:
            one.start()

    def last(self, seconds: float) -> bool:
        """Wait so long, and see that nobody ends by itself: True if nobody did."""
        self._watching.wait(seconds)
        for one in self.places:
            one.look()
        return True

    def flows(self, count: int) -> None:
        """So many more records arrive."""
        wanted = len(self.archive.read()) + count
        self.until(lambda: len(self.archive.read()) >= wanted)

    def until(self, condition: Any) -> None:
        """Wait until it is so; otherwise say what everybody has said."""
        try:
            wait_for(lambda: self.last(0.1) and condition(), timeout=PATIENCE)
        except TimeoutError:
            told = "\n".join(f"{one.name}: {one.told()[-1500:]}" for one in self.places)
            missing = sorted(accepted(self.journals) - set(self.archive.arrived))
            raise AssertionError(f"missing {len(missing)}: {missing[:5]} (seed {SEED})\n{told}") from None

    def end(self) -> None:
        """In order: applications, then everything has arrived, then the others."""
        for one in self.places[:2]:
            one.end()
        wanted = accepted(self.journals)
        self.until(lambda: wanted <= set(self.archive.read()))
        for one in self.places[2:]:
            one.end()
        self.archive.read()

    def kill(self) -> None:
        """End what still runs."""
        for one in self.places:
            with contextlib.suppress(AssertionError):
                one.kill()


@pytest.mark.skipif(not KILLS, reason="it takes minutes: make faults")
@pytest.mark.timeout(300 + 20 * KILLS)
def test_everything_is_killed_at_random(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """SIGKILL of applications, distributor, workers, servers: what is accepted arrives, ids tell duplicates."""
    chance, began = chances(), time.monotonic()
    with cluster(tmp_path, 3) as servers:
        stage = Stage(tmp_path, servers)
        try:
            stage.start()
            stage.flows(100)
            for _ in range(KILLS):
                if chance.random() < 0.7:  # under load, and otherwise perhaps while something starts
                    stage.flows(chance.randint(1, 500))
                stage.last(chance.uniform(0, 0.5))
                everybody: list[Place | NatsServer] = [*stage.places, *servers]
                victims = [chance.choice(everybody)]
                if chance.random() < 0.2:
                    victims = [one for one in everybody if chance.random() < 0.5]
                for one in victims:
                    one.kill()
                stage.last(chance.uniform(0, 0.5))
                for server in servers:
                    server.start(wait=False)
                stage.start()
            stage.end()
        finally:
            stage.kill()
    arrived, archive = stage.archive.arrived, stage.archive
    duplicates = sum(arrived.values()) - len(arrived)
    assert len(set(archive.identities.values())) == len(archive.identities), (
        "sender and sequence tell records apart"
    )
    figures = {
        "seed": SEED,
        "kills": KILLS,
        "seconds": round(time.monotonic() - began),
        "records": len(arrived),
    }
    figures |= {"duplicates": duplicates, "torn lines": archive.torn}
    request.node.user_properties.append(
        ("figures", ", ".join(f"{name} {value}" for name, value in figures.items()))
    )
