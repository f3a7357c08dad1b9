"""Following one message, or one option, through the package: which functions are handed it, or return it."""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import zmq

from message_passing.cli.commands import top
from message_passing.cli.run.run_command import MessagePassing
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.console.http_server import ConsoleServer
from message_passing.filters.null import NullFilter
from message_passing.graph import close_all, open_all
from message_passing.inputs.null import NullInput
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.logging import ZeroMQHandler
from message_passing.node_identity import NodeIdentity
from message_passing.outputs.file import FileOutput
from message_passing.outputs.null import NullOutput
from message_passing.runner import Server
from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from message_passing.flow import Input

MARK = "marked-7c2e"
"""What is looked for in what functions are given and return."""

_PACKAGE = "message_passing."
_ENOUGH = 100
_NESTED = ("<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<module>")


class Trace:
    """Which of our functions were called, and which of these had the mark in an argument or in what they returned.

    Attributes:
        called: module below the package, and qualified name.
        handed: those of them.
    """

    def __init__(self) -> None:
        self.called: set[tuple[str, str]] = set()
        self.handed: set[tuple[str, str]] = set()
        self.is_on = False

    def see(self, frame: FrameType, event: str, result: object) -> None:
        """A profile function: see `sys.setprofile`."""
        module = frame.f_globals.get("__name__", "")
        if not self.is_on or event not in ("call", "return") or not module.startswith(_PACKAGE):
            return
        if module.startswith(f"{_PACKAGE}testing."):  # this test itself
            return
        code = frame.f_code
        found = module.removeprefix(_PACKAGE), code.co_qualname.replace(".<locals>", "")
        self.called.add(found)
        if code.co_name in _NESTED or found in self.handed:
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)]
        given = [frame.f_locals.get(name) for name in names if name not in ("self", "cls")]
        if _has_mark(given if event == "call" else [result]):
            self.handed.add(found)

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Look at this thread, and at those that are started within the block, while `is_on`."""
        before, before_threads = sys.getprofile(), threading.getprofile()
        sys.setprofile(self.see)
        threading.setprofile(self.see)
        try:
            yield
        finally:
            sys.setprofile(before)
            threading.setprofile(before_threads)

    @property
    def modules(self) -> set[str]:
        """Those whose functions had the mark, as paths: `codecs/json.py`."""
        return {module.replace(".", "/") + ".py" for module, _ in self.handed}


def _has_mark(values: list[Any]) -> bool:
    try:
        return MARK in repr(values) or any(MARK in str(getattr(one, "msg", "")) for one in values)
    except Exception:  # noqa: BLE001 - what is not made yet need not have a repr
        return False


@contextmanager
def _run(head: Input) -> Iterator[Server]:
    """The chain that begins there, running in a thread."""
    open_all([head], errors=True)
    server = Server([head])
    thread = threading.Thread(target=server.run, name="chain")
    thread.start()
    try:
        wait_for(lambda: server.running)
        yield server
    finally:
        server.stop()
        thread.join(20)
        close_all([head], errors=True)


def _holds(file: Path, data: bytes) -> bool:
    return file.read_bytes() == data


def _messages_to(endpoint: str, file: Path, trace: Trace) -> None:
    """Send one message that is not looked at, as it may do what is done once, and then some that are.

    Until `_ENOUGH` of them have met nothing new: not each is asked whose it is, for one.
    """
    message = f'{{"text":"{MARK}"}}'.encode()
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
    expected, same = b"", -1
    try:
        socket.connect(endpoint)
        while same < _ENOUGH:
            known = len(trace.handed)
            socket.send(message)
            expected += message + b"\n"
            wait_for(functools.partial(_holds, file, expected))
            same = 0 if len(trace.handed) > known or not trace.is_on else same + 1
            trace.is_on = True
    finally:
        trace.is_on = False
        socket.close(0)


def message_to_file(trace: Trace, folder: Path) -> None:
    """A message from ZeroMQ through decoder, filter and encoder to a file."""
    file, endpoint = folder / "out", f"tcp://127.0.0.1:{free_port()}"
    encoder = JSONEncoder(output_to=FileOutput(filename=str(file)))
    head = ZeroMQInput(
        socket_type="PULL",
        socket_bind=endpoint,
        output_to=JSONDecoder(output_to=NullFilter(output_to=encoder)),
    )
    with trace.everywhere(), _run(head):
        _messages_to(endpoint, file, trace)


def record_to_socket(trace: Trace, _folder: Path) -> None:
    """A log record to the socket of the log handler."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
    socket.setsockopt(zmq.RCVTIMEO, 20_000)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    logger = logging.Logger("walks")  # noqa: LOG001 - one that nobody else has
    # A program that uses OpenTelemetry has its records go another way round; another test may have imported it.
    with trace.everywhere(), patch.dict(sys.modules):
        sys.modules.pop("opentelemetry.trace", None)
        handler = ZeroMQHandler(f"tcp://127.0.0.1:{port}", socket_type="PUSH")
        try:
            logger.addHandler(handler)
            logger.warning("first")
            socket.recv()
            assert handler.flush(10)
            trace.is_on = True
            text = f"{MARK} %d"
            logger.warning(text, 2)
            socket.recv()
        finally:
            trace.is_on = False
            handler.close()
            socket.close(0)


def option_to_component(trace: Trace, folder: Path) -> None:
    """An option of a component, from the command line to its attribute."""
    words = ["--input", "Null", "--output", "File", "--output_options", f"filename={folder}/{MARK}"]
    with trace.everywhere():
        trace.is_on = True
        chain = MessagePassing.read(words).build()
        trace.is_on = False
    assert any(getattr(one, "filename", "") == f"{folder}/{MARK}" for one in chain.components.values())


def batch_through_workers(trace: Trace, folder: Path) -> None:
    """A batch to a worker and back, in the process that has input and output."""
    file, endpoint = folder / "out", f"tcp://127.0.0.1:{free_port()}"
    words = [
        "--workers",
        "1",
        "--input",
        "ZeroMQ",
        "--output",
        "File",
        "--output_options",
        f"filename={file}",
    ]
    words += ["--input_options", f'{{"socket_type": "PULL", "socket_bind": "{endpoint}"}}']
    (head,) = MessagePassing.read(words).build().heads
    with trace.everywhere(), _run(head):
        _messages_to(endpoint, file, trace)


def request_of_top(trace: Trace, folder: Path) -> None:
    """What `top` asks a node, both in this process: the answer has the mark."""
    path, head = str(folder / "control"), NullInput(output_to=NullOutput())
    on_term = signal.getsignal(signal.SIGTERM)
    with trace.everywhere(), _run(head) as server:
        console = ConsoleServer(NodeIdentity(MARK), control=path).start(server, {"in": head})
        try:
            trace.is_on = True
            assert top.COMMAND.main(["--once", "--interval", "0.1", path]) == 0
        finally:
            trace.is_on = False
            signal.signal(signal.SIGTERM, on_term)
            console.close()


WALKS = {
    "A message from ZeroMQ to a file": message_to_file,
    "A log record to the socket": record_to_socket,
    "An option to its component": option_to_component,
    "A batch through workers": batch_through_workers,
    "A request of `top`": request_of_top,
}
"""Each by its heading in docs/architecture.md."""
