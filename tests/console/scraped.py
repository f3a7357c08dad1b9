"""A node to which everything has happened, and a real Prometheus that scrapes it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from console.watched import Watched, watched
from message_passing.testing import free_port, wait_for
from nodes import part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


needs_prometheus = pytest.mark.program("prometheus", "promtool")


@contextmanager
def prometheus(folder: Path, one: Watched) -> Iterator[int]:
    """A real Prometheus that scrapes a node each second; the port on which it is asked."""
    port = free_port()
    config = folder / "prometheus.yml"
    job = {"job_name": "message-passing", "static_configs": [{"targets": [f"127.0.0.1:{one.port}"]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    command = [
        shutil.which("prometheus") or "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def asked(port: int, query: str) -> list[Any]:
    """What a query gives; nothing while Prometheus is not there yet."""
    try:
        url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found
    except OSError:
        return []


@contextmanager
def eventful() -> Iterator[Watched]:
    """A node to which everything has happened that a metric tells: losses, failures, refusals, senders that lose."""
    port = free_port()
    words = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="PULL"),
        *("--filter", "Follow"),
        *part(
            "output",
            "ZeroMQ",
            socket_bind=f"tcp://127.0.0.1:{free_port()}",
            socket_type="PUSH",
            socket_hwm=1,
            when_full="drop_newest",
        ),
    ]
    with watched(*words) as one, zmq.Context() as context, context.socket(zmq.PUSH) as sender:
        sender.linger = 0
        sender.connect(f"tcp://127.0.0.1:{port}")
        for number in range(1, 101):
            message = {"sender": "a", "sequence": number * 2, "time": time.time() - 3}
            sender.send(json.dumps(message).encode())
        sender.send(b"no JSON")
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01PLAIN".ljust(55, b"\0"))
            stranger.settimeout(10)
            while stranger.recv(100):
                pass
        wait_for(lambda: one.component("output")["dropped"] and one.component("decoder")["failed"])
        wait_for(lambda: b"\nmessage_passing_peers_refused_total{" in one.ask("/metrics")[1])
        yield one
