"""Attacks on a node's console: malformed requests, silent connections, watchers that do not read, floods."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from commands import STDIN_TO_STDOUT
from console.watched import Watched, watched
from message_passing.console import connections
from message_passing.console.access_log import AccessLog
from message_passing.console.connections import REQUESTS, STALLED, WATCHERS, ListenerConnections
from message_passing.console.governor import Governor, Lane
from message_passing.console.guard import Guard
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def one() -> Iterator[Watched]:
    """A node that runs, and has written nothing when it ends."""
    with watched(*STDIN_TO_STDOUT) as running:
        yield running
        status, _, err = running.node.stop()
        assert (status, b"Traceback" in err) == (0, False), err
        assert all(b"console: refused: " in line for line in err.splitlines()), err


def raw(one: Watched, data: bytes, *, timeout: float = 10) -> bytes:
    """What is answered to these bytes, until the connection is closed or says nothing for a while."""
    found = b""
    address = ("127.0.0.1", one.port)
    with socket.create_connection(address, timeout=timeout) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        while part := connection.recv(65536):
            found += part
    return found


def request(target: str, *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    """A request that closes its connection."""
    lines = [f"{method} {target} HTTP/{version}", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


PATHS = ("/state", "/senders", "/errors", "/history", "/tail", "/metrics", "/health", "/ready", "/")

WRONG = [
    *(f"/static/{name}" for name in ("a" * 300 + ".js", "%00.js", "..", ".", "x.js", "%ff%fe.js", "main.js/", "")),
    *("/nothing", "/state/", "//state", "/state%00", "/%ff", "/tail/x", "*", "/static", "/static/%2e%2e%2fguard.py"),
    *(f"/tail?level={level}" for level in ("--5", "-", "9" * 5000, "9" * 20, "1e3", "%00", "%ff", "x" * 300)),
    *("/tail?field=x", "/tail?field==", f"/tail?{'field=a=b&' * 17}", f"/tail?{'field=a=b&' * 40}"),
    *("/tail?at=nobody", "/tail?at=%00", "/tail?at=" + "x" * 3000, "/tail?at=a&at=b", "/tail?search=%ed%a0%80"),
    *("/tail?limit=-1", "/tail?limit=1e9", "/tail?limit=" + "9" * 3000, "/tail?limit=", "/tail?limit=1&limit=2"),
    *("/tail?limit=%d9%a3", "/tail?lmit=1", "/tail?search=" + "x" * 300, "/tail?%ff", "/tail?a=b;c=d", "/tail?=1"),
    *("/senders?sort=losses", "/senders?sort=" + "lost" * 70, "/senders?limit=x", "/senders?offset=-1"),
    *("/senders?search=a&search=b", "/errors?limit=%00", "/history?seconds=-5", "/history?seconds=" + "1" * 4000),
    *("/history?seconds=0x10", "/state?x=1", "/state?" + "x" * 5000, "/" + "x" * 5000, "/state?" + "&" * 3000 + "x"),
]  # fmt: skip


@pytest.mark.parametrize("target", WRONG, ids=lambda target: target[:40])
def test_what_is_malformed_is_the_askers_fault(one: Watched, target: str) -> None:
    """A status of 4xx, with a sentence of bounded length, for each path and parameter."""
    head, _, body = raw(one, request(target)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), head
    assert b"frame-ancestors 'none'" in head, "what a browser may do with it"
    assert len(body) < 1000
    assert b"error" in body or b"Not Found" in body or b"Invalid" in body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("/state", method="POST"), b"405"),
        (request("/state", method="OPTIONS"), b"405"),
        (request("*", method="OPTIONS"), b"405"),
        (request("h:1", method="CONNECT"), b"405"),
        (request("/state", method="X" * 1000), b"405"),
        (request("/state", "Content-Length: 5") + b"hello", b"400"),
        (request("/state", "Content-Length: -1"), b"400"),
        (request("/state", f"Content-Length: {'9' * 5000}"), b"400"),
        (request("/state", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", b"400"),
        (request("/state", "Transfer-Encoding: chunked") + b"x" * 5000, b"400"),
        (request("/state", "Host: localhost"), b"400"),
        (request("http://evil.example/state"), b"404"),
        (request("/state", "X: " + "y" * 20_000), b"431"),
        (request("/state", *("X: y" * 3 for _ in range(3000))), b"431"),
        (b"GET /" + b"x" * 100_000, b"4"),
        (b"GET /state HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /state HTTP/9.9\r\nHost: localhost\r\n\r\n", b"505"),
        (b"GET /state\r\n\r\n", b"400"),
        (b"GET /st\xffte HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /state HTTP/1.1\r\nHost: localhost\r\n folded\r\nX\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600), b"400"),
        (b"\xff\0\0\0\0\0\0\0\x01\x7f\x03" + bytes(53) + b"\r\n\r\n", b"400"),
        (request("/state", "Upgrade: websocket", "Connection: upgrade"), b"200"),
        (request("/state", "Expect: 100-continue"), b"200"),
        (b"GET /state HTTP/1.0\r\n\r\n", b"200"),
        (request("/tail", method="HEAD"), b"200"),
    ],
    ids=lambda data: repr(data[:30]),
)  # fmt: skip
def test_what_is_odd_in_a_request_is_answered(one: Watched, data: bytes, status: bytes) -> None:
    """Other methods, content, headers and versions: the connection is closed, and nothing waits for more."""
    answer = raw(one, data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    if status == b"200":
        told = {line.partition(b":")[0].lower() for line in answer.partition(b"\r\n\r\n")[0].splitlines()}
        assert {b"content-security-policy", b"x-content-type-options", b"referrer-policy"} <= told
    assert len(re.findall(rb"(?m)^HTTP/1\.1 \d", answer)) == 1


def test_requests_in_a_row_are_answered_in_order(one: Watched) -> None:
    """Sent before the first one is answered (pipelining)."""
    ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = raw(one, ask * 30 + request("/ready"))
    assert answer.count(b"HTTP/1.1 200 OK") == 31


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "SURPRISE"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
    ],
    ids=str,
)
def test_a_page_of_another_site_is_not_answered(one: Watched, path: str, headers: dict[str, str]) -> None:
    """Not even with what it could not read: it would cost the node something, an endless answer most."""
    status, body = one.ask(path, headers)
    assert (status, list(json.loads(body))) == (403, ["error"])


def test_its_own_page_and_a_link_to_it_are_answered(one: Watched) -> None:
    """What a browser says when somebody types the address, follows a link, or the page itself asks."""
    own = {
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "cors",
        "Origin": f"http://127.0.0.1:{one.port}",
    }
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert one.ask("/state", own)[0] == 200
    assert one.ask("/metrics", {"Sec-Fetch-Site": "none"})[0] == 200
    assert one.ask("/", link)[0] == 200
    assert one.ask("/state", link)[0] == 403


def silent(one: Watched, count: int, said: bytes = b"") -> list[socket.socket]:
    """Connections that say this, and nothing more."""
    found = []
    for _ in range(count):
        found.append(socket.create_connection(("127.0.0.1", one.port), timeout=20))
        found[-1].sendall(said)
    return found


def heard(connection: socket.socket) -> bytes:
    """What is said on it before it ends."""
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(1000)
    return b""


@pytest.mark.parametrize("said", [b"", b"GET /state HTTP/1.1\r\nHost:"], ids=["nothing", "half a request"])
def test_connections_that_do_not_ask_give_way(one: Watched, said: bytes) -> None:
    """Many more than there may be, held open: the others are answered soon, and these are closed in time."""
    opened = silent(one, connections.CONNECTIONS + 30, said)
    try:
        began = time.monotonic()
        # On a busy machine it may not have looked yet at what these have sent: it does not know that they idle.
        wait_for(
            lambda: [one.ask(path)[0] for path in ("/health", "/ready", "/state")] == [200] * 3, timeout=3
        )
        assert _descriptors(one) < connections.CONNECTIONS + 50
        answers = [
            heard(connection) for connection in opened[-20:]
        ]  # on a busy machine, a late one may give way as well
        assert any(answer.startswith(b"HTTP/1.1 408") for answer in answers) if said else not any(answers)
        assert time.monotonic() - began < connections.HEAD_TIMEOUT + 5
    finally:
        for connection in opened:
            connection.close()
    wait_for(lambda: one.get("/state")["console"]["refused"].get("request that did not come"), timeout=20)
    assert one.get("/state")["console"]["refused"]["connection without a request"] >= 30


def _descriptors(one: Watched) -> int:
    found: int = one.get("/state")["process"]["descriptors"]
    return found


def test_a_request_that_drips_is_ended_in_time(one: Watched) -> None:
    """A byte now and then is no reason to wait longer."""
    with socket.create_connection(("127.0.0.1", one.port), timeout=0.2) as drip:
        began, answer = time.monotonic(), b""
        drip.sendall(b"GET /state HTTP/1.1\r\nX: ")
        while not answer and time.monotonic() - began < 3 * connections.HEAD_TIMEOUT:
            with contextlib.suppress(TimeoutError):
                answer = drip.recv(1000)
            with contextlib.suppress(OSError):
                drip.sendall(b"x")
        assert answer.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began < connections.HEAD_TIMEOUT + 3


def test_live_tails_that_are_not_read_are_bounded_and_told_what_they_missed(one: Watched) -> None:
    """In number and in memory; the chain goes on, one more is refused, and who reads at last learns how many."""
    before = one.get("/state")["process"]["memory"]
    limit = connections.WATCHERS
    opened = silent(one, limit, request("/tail"))
    try:
        wait_for(lambda: one.get("/state")["console"]["watchers"] == limit, timeout=20)
        status, body = one.ask("/tail")
        assert (status, "too many live tails" in json.loads(body)["error"]) == (503, True)
        line = json.dumps({"text": "x" * 4000}).encode() + b"\n"
        count = 50_000  # 200 MB
        feeding = threading.Thread(target=one.node.write, args=(line * count,))
        reading = threading.Thread(target=_discard, args=(one.node.process.stdout, len(line) * count))
        for thread in (feeding, reading):
            thread.start()
        feeding.join()
        reading.join()
        grown = one.get("/state")["process"]["memory"] - before
        assert grown < (limit * 5 + 60) * 1024 * 1024
        shown, missed = _read_tail(opened[0], count)
        assert shown + missed == count
        assert shown > 100
    finally:
        for connection in opened:
            connection.close()
    wait_for(lambda: one.get("/state")["console"]["watchers"] == 0, timeout=20)
    assert one.get("/state")["console"]["missed"] > 0


def test_a_node_ends_though_watchers_do_not_read() -> None:
    """In time, in order, and without a word about them."""
    with watched("--input", "STDIN", "--output", "Null") as other:
        opened = silent(other, connections.WATCHERS, request("/tail"))
        wait_for(lambda: other.get("/state")["console"]["watchers"] == connections.WATCHERS, timeout=20)
        line = json.dumps({"text": "x" * 4000}).encode() + b"\n"
        other.node.write(line * 20_000)
        wait_for(lambda: other.component("output")["received"] == 20_000, timeout=20)
        began = time.monotonic()
        assert other.node.stop()[::2] == (0, b"")
        assert time.monotonic() - began < 5
        for connection in opened:
            connection.close()


def _discard(stream: Any, count: int) -> None:
    while count > 0:
        count -= len(stream.read1(1 << 20))


def _read_tail(connection: socket.socket, count: int) -> tuple[int, int]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    shown = missed = 0
    while shown + missed < count:
        line = json.loads(answer.readline())
        shown += "message" in line
        missed += line.get("missed", 0)
    return shown, missed


class Stalled:
    """A connection whose live tail is not read."""

    def __init__(self, since: float) -> None:
        self.stalled_since, self.aborted = since, 0
        self.transport = self

    def abort(self) -> None:
        """It is ended."""
        self.aborted += 1


def test_a_live_tail_that_is_not_read_gives_way_to_another_one() -> None:
    """The one that has stood longest, after a while, and only when its place is wanted."""
    log, now = AccessLog("node", write=lambda _: None), time.monotonic()
    listener = ListenerConnections(Lane.REQUEST, Governor(), log)
    old, older = Stalled(now - STALLED - 1), Stalled(now - STALLED - 2)
    short, read = Stalled(now - STALLED / 2), Stalled(float("inf"))
    places: list[Any] = [read, old, short, older]
    listener.watchers += places
    assert listener.admits_watcher()
    assert (old.aborted, older.aborted) == (0, 0)
    listener.watchers += [Stalled(now) for _ in range(WATCHERS - len(places))]  # type: ignore[misc]
    assert listener.admits_watcher()
    assert (old.aborted, older.aborted) == (0, 1)
    listener.watchers.append(read)  # type: ignore[arg-type]
    assert listener.admits_watcher()
    listener.watchers.append(read)  # type: ignore[arg-type]
    assert not listener.admits_watcher()
    assert (old.aborted, short.aborted) == (1, 0)
    assert log.refused == {"live tail that was not read": 2, "too many live tails": 1}


@pytest.mark.parametrize(("path", "status"), [("/state", 503), ("/health", 200), ("/ready", 200)])
def test_health_has_a_share_of_its_own(path: str, status: int) -> None:
    """When as many requests are being answered as may be."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    sent: list[int] = []

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            sent.append(event["status"])

    async def asked() -> None:
        listener = ListenerConnections(Lane.REQUEST, Governor(), AccessLog("node", write=lambda _: None))
        listener.requests = REQUESTS
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": b"",
            "headers": [],
        }
        await Guard(app, listener, browsers=False)({**scope, "query_string": b""}, None, send)

    asyncio.run(asked())
    assert sent == [status]


def test_what_the_console_tells_is_limited_in_rate_and_in_length_and_safe() -> None:
    """Once a minute for each kind, with a count, on one line."""
    now, told = [0.0], list[str]()
    log = AccessLog("node", write=told.append, clock=lambda: now[0])
    for _ in range(1000):
        log.refuse("too many requests", tell=True)
        log.fail("/state", ValueError("\x1b[2J\n" + "x" * 10_000))
    assert len(told) == 2
    assert all(line.isprintable() for line in "".join(told).splitlines())
    assert all(len(line) < 400 and line.count("\n") == 1 for line in told)
    now[0] = 61
    log.refuse("too many requests", tell=True)
    assert told[2] == "node: console: refused: too many requests (and 999 times since it was last reported)\n"
    assert (log.refused["too many requests"], log.failed) == (1001, 1000)
    for number in range(1000):
        log.say(str(number), "x")
    assert len(told) < 60


def test_answers_that_are_not_read_are_given_up(one: Watched) -> None:
    """A client that asks for much and reads nothing does not keep its place."""
    ask = b"GET /static/main.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    opened = []
    try:
        for _ in range(3):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", one.port))
            connection.sendall(ask * 1000)
            opened.append(connection)
        assert one.ask("/health")[0] == 200
        wait_for(
            lambda: one.get("/state")["console"]["refused"].get("answer that was not read", 0) >= 1,
            timeout=40,
        )
    finally:
        for connection in opened:
            connection.close()
