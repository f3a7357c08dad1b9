"""What watchers cost a node that do their worst.

cd benchmarks && python -m hostile_watching [--pairs 8] [ATTACK...]

Told are the share of a core that the console's thread takes, which is missing in the chain since both share one
interpreter, and what becomes of the lines that the chain passes in each second of its own processor time: live tails
cost it there. A noisy machine changes both little. The node has one core to itself, and the watchers the other one.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from watching import Flow, bytes_read, threads_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENT = """
import socket, sys, time
port, kind, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
paths = sys.argv[4:]
def opened():
    one = socket.create_connection(("127.0.0.1", port)); one.settimeout(30); return one
def ask(one, path):
    one.sendall(f"GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n".encode())
def endless(one):
    while one.recv(1 << 20): pass
if kind == "unread":
    kept = []
    for _ in range(count):
        kept.append(opened()); ask(kept[-1], paths[0])
    time.sleep(1000)
import threading
def run(number):
    while True:
        try:
            with opened() as one:
                if kind == "knock":
                    continue
                if kind == "junk":
                    one.sendall(b"\\x00" * 100 + b"\\r\\n\\r\\n"); endless(one); continue
                if kind == "read":
                    ask(one, paths[number % len(paths)]); endless(one); continue
                for turn in range(1000000):
                    ask(one, paths[(number + turn) % len(paths)])
                    head = b""
                    while b"\\r\\n\\r\\n" not in head:
                        head += one.recv(65536) or (_ for _ in ()).throw(OSError())
                    head, _, body = head.partition(b"\\r\\n\\r\\n")
                    left = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
                    while left > 0:
                        left -= len(one.recv(1 << 20)) or left
        except OSError:
            time.sleep(0.01)
for number in range(count):
    threading.Thread(target=run, args=(number,), daemon=True).start()
time.sleep(1000)
"""

_SEARCHED = "/tail?search=nowhere&level=5&" + "field=a.b.c.d=e&" * 10
_SORTED = tuple(
    f"/senders?sort={order}&search={text}&limit=1000"
    for text in "ab"
    for order in ("lost", "name", "idle", "received")
)

ATTACKS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "10 live tails, not read": ("unread", 10, ("/tail",)),
    "10 live tails, read": ("read", 10, ("/tail", "/tail?at=input", "/tail?at=decoder")),
    "10 live tails, searched": ("read", 10, (_SEARCHED,)),
    "20 ask for the state": ("poll", 20, ("/state", "/metrics", "/errors", "/history")),
    "20 ask for senders": ("poll", 20, _SORTED),
    "20 ask for health": ("poll", 20, ("/health",)),
    "20 connect and leave": ("knock", 20, ()),
    "20 send junk": ("junk", 20, ()),
}


@contextmanager
def attacked(port: int, kind: str, count: int, paths: tuple[str, ...]) -> Iterator[None]:
    """Within the block, the attack goes on."""
    words = [sys.executable, "-c", _CLIENT, str(port), kind, str(count), *paths]
    attacker = subprocess.Popen(["nice", *words])  # what feeds the node goes first
    os.sched_setaffinity(attacker.pid, {1})
    try:
        time.sleep(1.5)
        yield
    finally:
        attacker.kill()
        attacker.wait()


def health(port: int) -> float:
    """Seconds until `/health` has answered."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        if not one.recv(65536).startswith(b"HTTP/1.1 200"):
            return float("nan")
    return time.monotonic() - began


def write_lines(path: Path, senders: int) -> None:
    """Lines of so many senders, as a file."""
    with path.open("w") as file:
        for number in range(max(senders, 100_000)):
            text = f"GET /orders/{number} took some time, as it always does"
            entry = {"level": "INFO", "sender": f"web-{number % senders}:12:ab", "message": text}
            file.write(json.dumps({**entry, "sequence": 1 + number // senders, "a": {"b": {"c": 1}}}) + "\n")


def stretch(flow: Flow, seconds: float = 3.0) -> tuple[float, float]:
    """The share of a core that the console's thread takes, and lines for each second that the chain's takes."""
    pid = flow.pid
    lines, threads, began = bytes_read(pid), threads_of(pid), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    spent = {name: after - threads.get(name, 0.0) for name, after in threads_of(pid).items()}
    chain = spent.pop(str(pid))
    return max(spent.values(), default=0.0) / took, (bytes_read(pid) - lines) / chain


def measured(flow: Flow, name: str) -> tuple[float, float, float]:
    """The console's share, the chain's lines while attacked as a part of those before and after, and `health`."""
    _, before = stretch(flow)
    with attacked(flow.port, *ATTACKS[name]):
        share, during = stretch(flow)
        answered = health(flow.port)
    time.sleep(1)
    _, after = stretch(flow)
    return share, 2 * during / (before + after), answered


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--senders", type=int, default=100_000)
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS))
    given = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        write_lines(lines, given.senders)
        with Flow(lines, ("--filter", "Follow")) as flow:
            time.sleep(3)
            for name in given.attacks:
                found = [measured(flow, name) for _ in range(given.pairs)]
                shares, ratios, answers = zip(*found, strict=True)
                print(
                    f"{name:26} console {statistics.median(shares):.3f} of a core, at most {max(shares):.3f};"
                    f" chain's lines for its time {statistics.median(ratios):.3f} of those unwatched;"
                    f" /health within {max(answers) * 1000:.0f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
