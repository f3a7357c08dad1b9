"""What tests of the log handler share: scripts in processes of their own, and receivers that can be hurt."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from message_passing.logging import ZeroMQHandler
from message_passing.testing import free_port, wait_for
from nodes import Node, lines, node, part, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from message_passing.logging.signal_safe_lock import SignalSafeLock

PREAMBLE = """
import logging, os, sys, threading, time
from message_passing.logging import ZeroMQHandler

def add(**options):
    handler = ZeroMQHandler(ENDPOINT, **options)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(1)
    return handler

ENDPOINT = {endpoint!r}
"""

RECEIVER = """
import sys, zmq
socket = zmq.Context().socket(zmq.{kind})
socket.rcvhwm = {hwm}
if socket.type == zmq.SUB:
    socket.subscribe(b"")
socket.bind({endpoint!r})
with open({path!r}, "ab", buffering=0) as file:
    print("ready", flush=True)
    while True:
        file.write(socket.recv() + b"\\n")
"""


def script(program: str, endpoint: str, *, before: str = "") -> list[str]:
    """The command that runs a program which has `add()`, a handler that sends to this endpoint."""
    text = before + PREAMBLE.format(endpoint=endpoint) + textwrap.dedent(program)
    return [sys.executable, "-W", "error", "-c", text]


def run(
    program: str, endpoint: str, *, timeout: float = 30, before: str = "", **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    words = script(program, endpoint, before=before)
    return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False, **more)


INTERRUPTING = """
        import signal
        class Interruption(BaseException): pass
        armed = False
        def on_alarm(*_):
            global armed
            if armed:
                armed = False
                raise Interruption
        signal.signal(signal.SIGALRM, on_alarm)
"""
"""The beginning of a program for `run`: while `armed`, an alarm raises, once."""


def silent(done: subprocess.CompletedProcess[str], status: int = 0) -> bool:
    """Whether it ended so, and nobody printed anything on its standard error."""
    assert done.stderr == "", done.stderr
    assert done.returncode == status
    return True


@contextmanager
def started(
    program: str, endpoint: str, *, arguments: tuple[str, ...] = (), prefix: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A program that runs, by means of a command before it if need be; it is killed at the end."""
    process = subprocess.Popen(
        [*prefix, *script(program, endpoint), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout
    line = process.stdout.readline().strip()
    if not line and process.poll() is not None:
        raise AssertionError(
            f"it ended with {process.returncode}: {process.stderr and process.stderr.read()}"
        )
    return line


def tell(process: subprocess.Popen[str], line: str = "go") -> None:
    """Give it a line to read."""
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


@contextmanager
def held(lock: SignalSafeLock) -> Iterator[None]:
    """While another thread has the lock."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> bool:
        taken.set()
        return over.wait(30)

    thread = threading.Thread(target=lambda: lock.run(hold, wait=10))
    thread.start()
    try:
        assert taken.wait(10)
        yield
    finally:
        over.set()
        thread.join()


def free_endpoint() -> str:
    """A TCP endpoint where nobody is."""
    return f"tcp://127.0.0.1:{free_port()}"


class Receiver:
    """A receiver in a process of its own, which can be stopped, killed and started again; it writes to a file."""

    def __init__(self, path: Path, *, hwm: int = 0, kind: str = "SUB") -> None:
        self.endpoint = free_endpoint()
        self._kind = kind
        self.path = path
        self.process: subprocess.Popen[str] | None = None
        self._hwm = hwm

    def start(self) -> None:
        """Start it, and wait until it is bound."""
        program = RECEIVER.format(endpoint=self.endpoint, path=str(self.path), hwm=self._hwm, kind=self._kind)
        self.process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert read_line(self.process) == "ready"

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def records(self) -> list[dict[str, Any]]:
        """All whole records that it has written."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def wait_for_messages(self, *messages: str, timeout: float = 15) -> list[dict[str, Any]]:
        """Wait until all of these are there; all records then."""
        wanted = set(messages)
        try:
            wait_for(lambda: wanted <= {record["message"] for record in self.records()}, timeout)
        except TimeoutError:
            found = [record["message"] for record in self.records()]
            raise AssertionError(f"missing: {sorted(wanted - set(found))[:9]} of {found[:20]}") from None
        return self.records()


@contextmanager
def receiver(path: Path, *, hwm: int = 0, kind: str = "SUB", running: bool = True) -> Iterator[Receiver]:
    """A receiver; it is killed at the end."""
    made = Receiver(path, hwm=hwm, kind=kind)
    if running:
        made.start()
    try:
        yield made
    finally:
        made.kill()


@contextmanager
def router(endpoint: str, file: Path) -> Iterator[Node]:
    """A node that writes what comes to a ROUTER."""
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER")
    with node(*words, *part("output", "File", filename=str(file))) as receiving:
        wait_for_port(int(endpoint.rpartition(":")[2]))
        yield receiving


def arrived(file: Path) -> list[str]:
    """The messages of the records that were written, without the handler's own."""
    found = [json.loads(line) for line in lines(file) if line.endswith(b"}")]
    return [one["message"] for one in found if one["logger"] != "message_passing.logging"]


def counted(handler: ZeroMQHandler) -> int:
    """All records that a handler accounts for."""
    found = handler.stats()
    return int(found["sent"] + found["queued"] + sum(found["dropped"].values()))


@contextmanager
def logger_with(endpoint: str, **options: Any) -> Iterator[tuple[logging.Logger, ZeroMQHandler]]:
    """A logger of its own with a handler, both taken away at the end."""
    handler = ZeroMQHandler(endpoint, **options)
    logger = logging.Logger("tested")  # noqa: LOG001 - nobody else's, so tests do not meet
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        handler.close()


def shipping_threads() -> list[threading.Thread]:
    """The handlers' threads in this process."""
    return [thread for thread in threading.enumerate() if thread.name == "message-passing-log"]


def open_files(process_id: int | str = "self") -> int:
    """How many file descriptors a process has."""
    return len(os.listdir(f"/proc/{process_id}/fd"))  # noqa: PTH208 - of many, counted only


def run_file(
    program: str, folder: Path, *words: str, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run a program from a file, as what starts itself again must be: on its own, without `add()`."""
    file = folder / "program.py"
    file.write_text(textwrap.dedent(program))
    return subprocess.run(
        [sys.executable, str(file), *words], capture_output=True, text=True, timeout=timeout, check=False
    )
