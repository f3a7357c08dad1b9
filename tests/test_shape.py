"""Nothing is done per message that can be done per batch: guarded by counting calls, not by the clock."""

from __future__ import annotations

import gc
import json
import logging
import math
import platform
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder, JSONLinesEncoder
from message_passing.codecs.null import NullDecoder, NullEncoder
from message_passing.escaping import has_separators
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.flow import Filter
from message_passing.logging import ZeroMQHandler, tuning
from message_passing.outputs.file import FileOutput
from message_passing.outputs.null import NullOutput
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

SMALL, LARGE = 100, 1000


class PerMessage(Filter):
    """What a user writes: one call for each message."""

    def filter(self, message: Any) -> Any:
        """Change it."""
        message["seen"] = True
        return message


def lines(count: int) -> list[bytes]:
    """So many log lines."""
    text = "user %d logged in from a café"
    return [json.dumps({"n": n, "text": text % n}, ensure_ascii=False).encode() for n in range(count)]


def frames(count: int) -> list[bytes]:
    """The same in one message."""
    return [b"\n".join(lines(count))]


def counted(work: Callable[[], object]) -> tuple[int, int]:
    """How many calls of Python functions, and of C functions by Python ones, `work` makes."""
    found = {"call": 0, "c_call": 0}

    def on_event(_frame: FrameType, event: str, _argument: object) -> None:
        if event in found:
            found[event] += 1

    before = sys.getprofile()
    gc.disable()  # its callbacks would be counted
    sys.setprofile(on_event)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return found["call"], found["c_call"]


def chain(decoder: Any, middle: Any, encoder: Any, output: Any) -> Any:
    """Connected components; the first is returned."""
    return decoder(output_to=middle(output_to=encoder(output_to=output)))


CHAINS = {
    "raw": (NullDecoder, NullFilter, NullEncoder, lines, 0, 0),
    "JSON, nothing looks": (JSONDecoder, NullFilter, JSONEncoder, lines, 0, 1),
    "JSON, decoded": (JSONDecoder, NullFilter, NullEncoder, lines, 0, 0),
    "JSON, a user's filter": (JSONDecoder, PerMessage, JSONEncoder, lines, 1, 1),
    "JSON Lines, nothing looks": (JSONLinesDecoder, NullFilter, JSONEncoder, frames, 0, 1),
    "JSON Lines, a user's filter": (JSONLinesDecoder, PerMessage, JSONEncoder, frames, 1, 1),
    "JSON Lines, passed on": (JSONLinesDecoder, NullFilter, JSONLinesEncoder, frames, 0, 1),
    "JSON Lines, put together": (NullDecoder, NullFilter, JSONLinesEncoder, lines, 0, 0),
}
"""Decoder, filter, encoder, what makes messages, and the calls of Python and C functions that one may cost."""


@pytest.mark.parametrize("name", CHAINS)
def test_calls_per_message(name: str, tmp_path: Path) -> None:
    """A batch of ten times as many messages makes no more calls than the few that each may cost."""
    decoder, middle, encoder, make, python_calls, c_calls = CHAINS[name]
    output = NullOutput() if name == "JSON, decoded" else FileOutput(filename=str(tmp_path / "out"))
    head = chain(decoder, middle, encoder, output)
    with head:
        head.consume_many(make(SMALL))  # whatever is done once only is done
        few, many = make(SMALL), make(LARGE)
        small, large = counted(lambda: head.consume_many(few)), counted(lambda: head.consume_many(many))
    more_messages = LARGE - SMALL
    assert large[0] - small[0] <= python_calls * more_messages + 5
    assert large[1] - small[1] <= c_calls * more_messages + 30
    assert small[0] < 60 + python_calls * SMALL


def test_calls_per_branch(tmp_path: Path) -> None:
    """`T` that shares messages costs each branch a batch's calls, not a message's."""
    outputs = [FileOutput(filename=str(tmp_path / name)) for name in "ab"]
    head = TFilter(copy=False, output_to=outputs)
    small, large = lines(SMALL), lines(LARGE)
    with head:
        head.consume_many(small)
        assert counted(lambda: head.consume_many(large))[0] == counted(lambda: head.consume_many(small))[0]


def test_calls_of_receiving() -> None:
    """A message that is received costs a call of ZeroMQ's and one to keep it, and none of ours."""
    receiver = Receiver(SocketSettings(socket_type="PULL", bind=("inproc://shape",), hwm=0, linger=0))
    receiver.open()
    receiver._next_sample = math.inf  # whose one is, is asked a thousand times a second at most
    sender = receiver._socket.context.socket(zmq.PUSH)
    try:
        sender.connect("inproc://shape")
        for line in lines(SMALL + LARGE):
            sender.send(line)
        small = counted(lambda: receiver.receive(SMALL))
        large = counted(lambda: receiver.receive(LARGE))
    finally:
        sender.close(0)
        receiver.close()
    assert large[0] == small[0]
    assert large[1] - small[1] <= 2 * (LARGE - SMALL)


BATCHES = """
import resource, sys
from message_passing.outputs.file import FileOutput

def lines(n):
    return [f"{n} \u201cr\u00e9sum\u00e9\u201d {i:>{size}}".encode() for i, size in enumerate(sizes)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

sizes = [160 + n % 120 for n in range(640)]
with FileOutput(filename="/dev/null") as output:
    for n in range(20):
        output.consume_many(lines(n))
    before = faults()
    for n in range(100):
        output.consume_many(lines(n))
    print(faults() - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="how other C libraries keep memory is not known"
)
def test_memory_of_a_batch_is_used_again() -> None:
    """A batch of lines is written in memory that the process has: it asks the system for no page anew."""
    asked = subprocess.run([sys.executable, "-c", BATCHES], capture_output=True, text=True, check=True).stdout
    assert int(asked) < 500  # a second block of the size of the first had 58 a batch


def test_calls_for_text_that_is_full_of_what_looks_like_separators() -> None:
    """Looking for line breaks costs a text of nothing but frames and quotes no more calls than a bounded share."""
    block = "\u2588\u201d\xa8\xa0\u0445".encode() * 10_000
    assert counted(lambda: has_separators(block))[1] < len(block) // 100


def help_calls(handler: ZeroMQHandler, count: int, accepted: int) -> tuple[int, int]:
    """The calls of encoding and sending so many records, of which ZeroMQ accepts some, after a first such round."""
    shipper = handler._shipper
    transmitter = shipper.worker.transmitter
    assert transmitter
    socket = transmitter.socket

    def offer(records: list[bytes], *, notice: bool = False) -> int:  # noqa: ARG001 - as the socket's own
        return _accept(socket, records, accepted)

    socket.offer = offer  # type: ignore[method-assign]
    transmitter.socket.is_open = lambda: True  # type: ignore[method-assign]
    transmitter.socket.is_listened_to = lambda: accepted > 0  # type: ignore[method-assign]
    found = (0, 0)
    for _ in range(2):
        for number in range(count):
            handler.emit(logging.LogRecord("x", 20, "file", 7, "record %d", (number,), None))
        found = counted(lambda: transmitter.deliver(shipper.queue, count, quiet=True))
    return found


def _accept(socket: Any, records: list[bytes], most: int) -> int:
    done = min(len(records), most)
    socket.sent += done
    return done


@pytest.mark.parametrize("accepted", [0, 30, 1000])
def test_calls_of_a_log_record(accepted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record costs its sender one Python call, to encode it, whether ZeroMQ accepts it at once, later or never."""
    monkeypatch.setattr(tuning, "HELP_ABOVE", math.inf)
    monkeypatch.setattr("message_passing.logging.delivery_thread.DeliveryThread.start", lambda _: None)
    calls: list[tuple[int, int]] = []
    for count in (SMALL, SMALL + 300):
        handler = ZeroMQHandler("tcp://127.0.0.1:9", linger=0, report_interval=0)
        handler.emit(logging.LogRecord("x", 20, "file", 7, "first", (), None))
        shipper = handler._shipper
        shipper.since, shipper.due = 0.0, math.inf  # as if the thread were at work
        calls.append(help_calls(handler, count, accepted))
        handler.close()
    small, large = calls
    assert large[0] - small[0] <= 300 + 10
    assert large[1] - small[1] <= 8 * 300 + 30  # of C functions that Python ones call


def test_calls_of_a_log_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application pays for a record is one call for its content besides the one of the handler."""
    monkeypatch.setattr(
        "message_passing.logging.handler._loaded", {}
    )  # not by OpenTelemetry, which is asked for each
    handler = ZeroMQHandler("tcp://127.0.0.1:9", linger=0, report_interval=0)
    shipper, record = handler._shipper, logging.LogRecord("x", 20, "file", 7, "record %d", (1,), None)
    shipper.since, shipper.due = 0.0, math.inf

    def emits(count: int) -> None:
        for _ in range(count):
            handler.emit(record)

    emits(1)
    few, many = counted(lambda: emits(1)), counted(lambda: emits(101))
    shipper.queue.clear()
    handler.close()
    assert many[0] - few[0] <= 2 * 100 + 2  # `emit` and `snapshot`
    assert many[1] - few[1] <= 10 * 100
