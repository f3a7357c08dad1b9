"""What is lost when one side of a PUB-SUB connection goes away and comes back, beside the Perl original.

python benchmarks/reconnecting.py [--away 0.5 2 7 30] [--rounds 1] [--at_once 8]

Real nodes, 200 messages a second. In the first half of the table the publisher binds: it sends 400 messages, is
killed when all that will arrive has, is away, and a new one sends 400 more. In the second half the subscriber binds:
it is killed, and the publisher sends throughout, goes on for a second after it is back, and ends. It takes about two
minutes; the runs have little to do, and go side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aggregators import PERL

from message_passing.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE = 200
FIRST = 400
GOES_ON = 1.0
SETTLED, PATIENCE = 3.0, 20.0

OURS = (sys.executable, "-m", "message_passing")
# Line by line into its ZeroMQ output: its own STDIN input leaves lines in its buffer.
PERL_APPLICATION = """
use JSON::MaybeXS; use Message::Passing::Filter::Encoder::JSON; use Message::Passing::Output::ZeroMQ;
my $log = Message::Passing::Filter::Encoder::JSON->new(
    output_to => Message::Passing::Output::ZeroMQ->new(%{ decode_json($ARGV[0]) }));
while (<STDIN>) { $log->consume(decode_json($_)) }
"""
PAIRS = {
    "ours to ours": ("ours", "ours"),
    "Perl to Perl": ("Perl", "Perl"),
    "ours to Perl": ("ours", "Perl"),
    "Perl to ours": ("Perl", "ours"),
}


class Run(NamedTuple):
    """One measurement: who sends to whom, who binds and goes away, and for how many seconds."""

    pair: str
    binds: str
    away: float


class Nodes:
    """The processes of one run."""

    def __init__(self, run: Run, folder: Path, stack: ExitStack) -> None:
        self._sends, self._receives = PAIRS[run.pair]
        self._endpoint = f"tcp://127.0.0.1:{free_port()}"
        self._publisher_binds = run.binds == "publisher"
        self._arrived = folder / "arrived.log"
        self._stack = stack
        self.sent = 0

    def _start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self._stack.callback(process.wait, timeout=30)
        self._stack.callback(process.kill)
        return process

    def publisher(self) -> subprocess.Popen[bytes]:
        """Start one, which sends what is written to it."""
        options = json.dumps({"socket_bind" if self._publisher_binds else "connect": self._endpoint})
        if self._sends == "Perl":
            return self._start(["perl", "-e", PERL_APPLICATION, options])
        return self._start([*OURS, "--input", "STDIN", "--output", "ZeroMQ", "--output_options", options])

    def subscriber(self) -> subprocess.Popen[bytes]:
        """Start one, which appends to the file."""
        options = json.dumps({"connect" if self._publisher_binds else "socket_bind": self._endpoint})
        command = PERL if self._receives == "Perl" else OURS
        target = json.dumps({"filename": str(self._arrived)})
        to = ["--output", "File", "--output_options", target]
        return self._start([*command, "--input", "ZeroMQ", "--input_options", options, *to])

    def send(self, to: subprocess.Popen[bytes], seconds: float) -> None:
        """So long, `RATE` messages a second."""
        if not to.stdin:
            raise ValueError("it reads nothing")
        began, count = time.monotonic(), round(seconds * RATE)
        for n in range(count):
            to.stdin.write(b'{"n":%d}\n' % self.sent)
            to.stdin.flush()
            self.sent += 1
            time.sleep(max(0.0, began + (n + 1) / RATE - time.monotonic()))

    def wait_for_file(self) -> None:
        """Until the subscriber has opened it."""
        deadline = time.monotonic() + 30
        while not self._arrived.exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def listens(self) -> bool:
        """Whether somebody is bound."""
        host, port = self._endpoint.removeprefix("tcp://").split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def arrived(self) -> int:
        """How many different messages have."""
        if not self._arrived.exists():
            return 0
        return len(set(self._arrived.read_bytes().splitlines()))

    def settle(self, already: int) -> None:
        """Wait until more than these have arrived, and then until no more do."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < (SETTLED if self.arrived() > already else PATIENCE):
            if (now := self.arrived()) != before:
                before, since = now, time.monotonic()
            time.sleep(0.05)


def lost(run: Run) -> int:
    """Messages that were sent and did not arrive."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        nodes = Nodes(run, Path(folder), stack)
        subscriber = nodes.subscriber()
        nodes.wait_for_file()
        time.sleep(1)  # it has tried to connect in vain, or is bound
        publisher = nodes.publisher()
        nodes.send(publisher, FIRST / RATE)
        nodes.settle(0)
        already = nodes.arrived()
        if run.binds == "publisher":
            publisher.send_signal(signal.SIGKILL)
            time.sleep(run.away)
            publisher = nodes.publisher()
            nodes.send(publisher, FIRST / RATE)
        else:
            subscriber.send_signal(signal.SIGKILL)
            nodes.send(publisher, run.away)
            nodes.subscriber()
            while not nodes.listens():
                nodes.send(publisher, 0.1)
            nodes.send(publisher, GOES_ON)
            publisher.communicate(timeout=30)
        nodes.settle(already)
        return nodes.sent - nodes.arrived()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--away", type=float, nargs="+", default=[0.5, 2, 7, 30])
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--binds", nargs="+", default=["publisher", "subscriber"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--at_once", type=int, default=8)
    chosen = parser.parse_args()
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    rows = [(binds, away) for binds in chosen.binds for away in sorted(chosen.away)]
    runs = [
        Run(pair, *row) for row in sorted(rows, key=lambda row: -row[1]) for pair in chosen.pairs
    ] * chosen.rounds
    with ThreadPoolExecutor(chosen.at_once) as pool:
        figures = list(zip(runs, pool.map(lost, runs), strict=True))
    print(f"| binds, and is away | seconds | {' | '.join(chosen.pairs)} |")
    print(f"|---|---|{'---|' * len(chosen.pairs)}")
    for binds, away in rows:
        cells = []
        for pair in chosen.pairs:
            found = sorted(count for run, count in figures if run == Run(pair, binds, away))
            cells.append(str(found[0]) if found[0] == found[-1] else f"{found[0]} to {found[-1]}")
        print(f"| {binds} | {away:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
