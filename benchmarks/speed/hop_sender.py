"""A program that sends the lines of a file, as a bare pyzmq loop does, or by our output with its acknowledgements.

    python hop_sender.py HOW ENDPOINT FILE [MORE]

HOW is `pyzmq` (PUSH, a line a message), `frames` (batches of 1,000 lines to our DEALER output), `single` (the same,
line by line), or `paced` (the same, and pyzmq's with `paced-pyzmq`, at MORE lines a second, with the time in
front). It reads the file first, and prints the monotonic clock in nanoseconds when it is connected and begins. With
frames, MORE is the directory of a spool: everything is on disk before it is sent; with `compressed`, too, by zstd.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 1000
READY = 0.5
"""Seconds in which a connection is made."""


def begin() -> None:
    """Say when."""
    print(time.monotonic_ns(), flush=True)


def pyzmq(endpoint: str, lines: list[bytes], rate: float) -> None:
    """As one would write it in five lines."""
    context = zmq.Context()
    socket: zmq.Socket[bytes] = context.socket(zmq.PUSH)
    socket.connect(endpoint)
    time.sleep(READY)
    begin()
    if rate:
        asyncio.run(paced(socket.send, lines, rate))
    else:
        for line in lines:
            socket.send(line)
    socket.close(linger=60_000)
    context.term()


async def ours(how: str, endpoint: str, lines: list[bytes], more: str) -> None:
    """The output as a chain uses it: it waits while there is no room, and at the end for the acknowledgements."""
    from message_passing.outputs.zeromq import ZeroMQOutput  # noqa: PLC0415 - not in the pyzmq program

    spool = more if how in ("frames", "compressed") else ""
    compress: Literal["none", "zstd"] = "zstd" if how == "compressed" else "none"
    output = ZeroMQOutput(connect=endpoint, socket_type="DEALER", spool=spool, spool_compress=compress)
    output.open()
    await asyncio.sleep(READY)
    begin()
    if how in ("frames", "compressed"):
        for start in range(0, len(lines), AT_ONCE):
            output.consume_many(lines[start : start + AT_ONCE])
            await output.drain()
    elif how == "single":
        for line in lines:
            output.consume(line)
            await output.drain()
    else:
        await paced(output.consume, lines, float(more))
    await output.flush()
    output.close()


async def paced(send: Callable[[bytes], object], lines: list[bytes], rate: float) -> None:
    """So many lines a second, each as `watcher.c` reads them."""
    began = time.monotonic()
    for number, line in enumerate(lines):
        await asyncio.sleep(began + number / rate - time.monotonic())
        send(b'{"sent":%d,%s' % (time.monotonic_ns() + BASE, line[1:]))


BASE = 10**18  # of the numbers: see common.h


def main() -> None:
    """Do what the words say."""
    how, endpoint, file, *more = sys.argv[1:]
    lines = Path(file).read_bytes().split(b"\n")[:-1]
    if how.endswith("pyzmq"):
        pyzmq(endpoint, lines, float(more[0]) if more else 0.0)
    else:
        asyncio.run(ours(how, endpoint, lines, more[0] if more else ""))


if __name__ == "__main__":
    main()
