"""What each protection on the way from ZeroMQ to a file costs: it is switched off and on in turns, in one process.

python benchmarks/protections.py [ROUNDS]

The messages wait in the process when the clock starts, so that what is measured is the main thread's work alone, and
the order of the variants is turned round from round to round. Nothing may be lost where a protection is off: the
sample has no line break in its messages, and none that is too big.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import zmq
from sample import lines
from speed.slowlog import Tagger

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.codecs.null import NullDecoder, NullEncoder
from message_passing.filters.null import NullFilter
from message_passing.flow import Filter
from message_passing.graph import close_all, open_all
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs import _lines
from message_passing.outputs.file import FileOutput
from message_passing.zeromq.receiving import Receiver

COUNT, FRAME = 32_000, 250
SAMPLE = lines(COUNT)
FRAMES = [b"\n".join(SAMPLE[start : start + FRAME]) for start in range(0, COUNT, FRAME)]

CASES: dict[str, tuple[Any, Any, Any, list[bytes]]] = {
    "raw": (NullDecoder, NullFilter, NullEncoder, SAMPLE),
    "JSON": (JSONDecoder, NullFilter, JSONEncoder, SAMPLE),
    "JSON, a user's filter": (JSONDecoder, Tagger, JSONEncoder, SAMPLE),
    "JSON Lines, each line checked": (JSONLinesDecoder, NullFilter, JSONEncoder, FRAMES),
    "JSON Lines, a user's filter": (JSONLinesDecoder, Tagger, JSONEncoder, FRAMES),
}


def _at_once(self: Filter, messages: list[Any]) -> None:
    failed = self.metrics.failed
    kept = self.filtered(messages)
    self._hand_on(kept, len(messages) - (self.metrics.failed - failed))


OFF: dict[str, list[tuple[object, str, Any]]] = {
    "line breaks": [(_lines, "_is_broken", lambda *_: False)],
    "maxmsgsize": [(Receiver, "_fitting", lambda _, batch: batch)],
    "pace": [(Filter, "write_many", _at_once)],
}
"""What looks at line breaks, at the size of messages, and at a stop within a batch; and what is put in its place."""
OFF["all three"] = [one for some in OFF.values() for one in some]


async def took(head: ZeroMQInput, sender: Any, messages: list[bytes]) -> float:
    """Seconds of the main thread for these messages, which wait when the clock starts."""
    for message in messages:
        sender.send(message)
    awaited, task = head.metrics.received + len(messages), asyncio.create_task(head.run())
    began = time.thread_time()
    while head.metrics.received < awaited:  # noqa: ASYNC110 - nobody says when
        await asyncio.sleep(0.001)
    seconds = time.thread_time() - began
    task.cancel()
    await asyncio.wait([task])
    return seconds


async def measure(name: str, file: Path, rounds: int) -> None:
    """Print a row of the table."""
    decoder, middle, encoder, messages = CASES[name]
    chain = decoder(output_to=middle(output_to=encoder(output_to=FileOutput(filename=str(file)))))
    address = f"inproc://{len(name)}"
    head = ZeroMQInput(socket_bind=address, socket_type="PULL", socket_hwm=0, output_to=chain)
    open_all([head], errors=True)
    sender = head._receiver._socket.context.socket(zmq.PUSH)  # noqa: SLF001 - the same process
    sender.connect(address)
    found: dict[str, list[float]] = {"": [], **{off: [] for off in OFF}}
    for number in range(-1, rounds):
        for off in [*found][:: 1 if number % 2 else -1]:
            patches = [patch.object(*one) for one in OFF.get(off, [])]
            for one in patches:
                one.start()
            seconds = await took(head, sender, messages)
            for one in patches:
                one.stop()
            file.write_bytes(b"")  # noqa: ASYNC240 - nothing else runs
            if number >= 0:
                found[off].append(seconds / COUNT * 1e6)
    sender.close(0)
    close_all([head], errors=True)
    row = [name, f"{statistics.median(found['']):.2f}"]
    for off in OFF:
        low, middle_one, high = statistics.quantiles(
            [on - without for on, without in zip(found[""], found[off], strict=True)], n=4
        )
        row.append(f"{middle_one:.2f} ({low:.2f} to {high:.2f})")
    print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    print(f"| main thread, µs a line | all on | {' | '.join(OFF)} |\n|{'---|' * (len(OFF) + 2)}")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        for case in CASES:
            asyncio.run(measure(case, Path(folder, "arrived"), int(*sys.argv[1:2] or ["15"])))
