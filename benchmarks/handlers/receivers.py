"""A receiver in a process of its own: takes everything, counts records, keeps only what bears a mark.

python -m handlers.receivers KIND PORT FILE
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import zmq

HOST = "127.0.0.1"
MARK = b"MARK-"


TOKEN = b"/api/v1/items"
"""In each record of the benchmark, once."""

_counted = [0]


def keep(data: bytes, path: Path) -> None:
    """Count records, and write what bears a mark to the file."""
    _counted[0] += data.count(TOKEN)
    if MARK in data:
        with path.open("ab") as file:
            file.write(data + b"\n")


def sub(port: int, path: Path, kind: int = zmq.SUB) -> None:
    """A SUB, or a PULL."""
    context: zmq.Context[Any] = zmq.Context()
    receiver = context.socket(kind)
    if kind == zmq.SUB:
        receiver.subscribe(b"")
    receiver.rcvtimeo = 200  # so that a signal is seen
    receiver.bind(f"tcp://{HOST}:{port}")
    ready()
    while True:
        with contextlib.suppress(zmq.Again):
            while True:
                keep(receiver.recv(), path)


def udp(port: int, path: Path) -> None:
    """Datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((HOST, port))
        ready()
        while True:
            keep(receiver.recv(65536), path)


def tcp(port: int, path: Path) -> None:
    """Streams, from any number of senders."""

    class Taker(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            rest = b""
            while data := self.request.recv(65536):
                keep(rest + data, path)
                rest = data[1 - len(TOKEN) :]  # a record's token may be cut in two

    with socketserver.ThreadingTCPServer((HOST, port), Taker) as server:
        ready()
        server.serve_forever()


def http(port: int, path: Path) -> None:
    """An OTLP collector that looks into nothing."""

    class Taker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            keep(self.rfile.read(int(self.headers["Content-Length"])), path)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer((HOST, port), Taker) as server:
        ready()
        server.serve_forever()


def ready() -> None:
    """Tell whoever started this; at SIGTERM, tell how many records came."""

    def tell(*_: object) -> None:
        print(_counted[0], flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, tell)
    print("ready", flush=True)


def main(kind: str, port: int, path: Path) -> None:
    """Receive until killed."""
    if kind == "pull":
        sub(port, path, zmq.PULL)
    else:
        {"sub": sub, "udp": udp, "tcp": tcp, "http": http}[kind](port, path)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
