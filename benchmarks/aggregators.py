"""Aggregators under measurement, ours and the original, and a sender that has everything ready before they start."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OURS = (str(Path(sys.executable).with_name("message-passing")),)
# Not the installed script: where our package's scripts come first on the PATH, `message-pass` is ours.
PERL = ("perl", "-e", "use Message::Passing; Message::Passing->start;", "--")

# JSON::MaybeXS takes the fast Cpanel::JSON::XS when Debian has installed it (a recommended package), and the
# pure-Perl JSON::PP otherwise. This hides the fast one.
_HIDE_XS = "BEGIN{unshift @INC,sub{die qq(hidden\\n) if $_[1]=~m{^(Cpanel/)?JSON/XS}}}"
PERL_PP = ("perl", "-e", f"{_HIDE_XS} use Message::Passing; Message::Passing->start;", "--")


def chain_words(port: int, filename: Path) -> list[str]:
    """ZeroMQ -> JSON -> Null -> JSON -> File: the words are the same for both."""
    listen = {"socket_bind": f"tcp://127.0.0.1:{port}", "socket_type": "PULL"}
    return [
        *("--input", "ZeroMQ", "--input_options", json.dumps(listen)),
        *("--output", "File", "--output_options", json.dumps({"filename": str(filename)})),
    ]


@contextmanager
def aggregator(command: Sequence[str], port: int, filename: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running aggregator; stopped at the end."""
    process = subprocess.Popen([*command, *chain_words(port, filename)])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def seconds_for(command: Sequence[str], lines: Sequence[bytes], filename: Path) -> float:
    """How long an aggregator takes from the first line it writes to the last, all of them being queued before.

    So the sender's own work and the aggregator's start-up are outside of the measurement.
    """
    port = free_port()
    filename.unlink(missing_ok=True)
    context: zmq.Context[Any] = zmq.Context()
    sender = context.socket(zmq.PUSH)
    sender.sndhwm = 0
    sender.linger = 0
    sender.connect(f"tcp://127.0.0.1:{port}")
    for line in lines:
        sender.send(line)
    try:
        with aggregator(command, port, filename):
            return _watch(filename, len(lines))
    finally:
        sender.close()
        context.term()


def _watch(filename: Path, count: int) -> float:
    deadline = time.monotonic() + 300
    seen, first = 0, 0.0
    while not filename.exists():
        time.sleep(0.001)
    with filename.open("rb", buffering=0) as file:
        while seen < count:
            block = file.read(1 << 22)
            if block:
                seen += block.count(b"\n")
                first = first or time.perf_counter()
            else:
                time.sleep(0.001)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{seen} of {count} lines arrived in 300 s")
    return time.perf_counter() - first


def resident_megabytes(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no resident memory")


class Flood(threading.Thread):
    """Sends lines as fast as they are taken, from a thread of its own; `sent` tells how many so far."""

    def __init__(self, port: int, lines: Sequence[bytes], count: int) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._port, self._lines, self._count = port, lines, count

    def run(self) -> None:
        """Send them all."""
        context: zmq.Context[Any] = zmq.Context()
        sender = context.socket(zmq.PUSH)
        sender.connect(f"tcp://127.0.0.1:{self._port}")
        while self.sent < self._count:
            for line in self._lines:
                sender.send(line)
            self.sent += len(self._lines)
        sender.close()
        context.term()
