"""`top`, `tail` and `doctor` against a node that is broken or hostile: a sentence, a status, and an end in time."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.cli.commands import doctor, tail, top
from message_passing.console.client import NodeClient
from message_passing.console.stream import LARGEST_ANSWER
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ESCAPES = "\x1b[2J\x1b]0;owned\x07\n\r\x9b\u202e\u2028"

STATE: dict[str, Any] = {
    "title": "message-passing",
    "version": "1",
    "host": "h",
    "pid": 1,
    "started": 1.0,
    "time": 2.0,
    "ready": True,
    "stopping": False,
    "process": {"cpu": 0.1, "cpu_seconds": 1.0, "memory": 1, "descriptors": 1, "threads": 1},
    "loop_delay": 0.1,
    "shown_at": None,
    "name": "n",
    "config": None,
    "headline": {"state": "ok", "text": "t"},
    "newest_age": None,
    "last_message": None,
    "backlog": 0,
    "totals": {"received": 1, "passed": 1, "dropped": 1, "failed": 0, "lost_by_senders": None},
    "components": [
        {
            "id": "input", "label": "input", "kind": "input", "errors": False, "in_workers": False, "outputs": [],
            "received": 1, "passed": 1, "filtered": 0, "dropped": {"full": 1}, "failed": 0, "buffered": 0,
            "capacity": None, "in_rate": 1.0, "out_rate": 1.0, "lost_rate": 0.0, "utilization": None,
            "endpoints": ["tcp://127.0.0.1:1"], "notes": [],
        }
    ],
    "senders": None,
    "workers": [],
    "errors": {"count": 1, "last": {"time": 1.0, "component": "x", "error": "y"}},
}  # fmt: skip

Answer = "Callable[[socket.socket], None]"


@contextlib.contextmanager
def hostile(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """What answers so at each connection once it has been asked; its target."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            answer(connection)

    def accept() -> None:
        while not ended.is_set():
            connection, _ = server.accept()
            threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{port}"
        ended.set()
        with socket.create_connection(("127.0.0.1", port)):
            accepting.join()
    for thread in threads:
        thread.join(10)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def once(data: bytes) -> Callable[[socket.socket], None]:
    """Say this, and hang up."""
    return lambda connection: connection.sendall(data)


def body(value: Any, status: str = "200 OK") -> Callable[[socket.socket], None]:
    """Answer with this as JSON, or with these bytes."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return once(f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


def for_ever(first: bytes, again: bytes) -> Callable[[socket.socket], None]:
    """Say this, and then that until the other side has had enough."""

    def say(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(again)

    return say


def drip(first: bytes) -> Callable[[socket.socket], None]:
    """Say this, and then a little now and then."""

    def say(connection: socket.socket) -> None:
        connection.sendall(first)
        connection.settimeout(0.05)
        while True:
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return
            connection.sendall(b" ")

    return say


def without(path: str) -> Callable[[socket.socket], None]:
    """A state in which something is missing."""
    return changed(path, None, remove=True)


def changed(path: str, value: Any, *, remove: bool = False) -> Callable[[socket.socket], None]:
    """A state in which something is another thing."""
    state = json.loads(json.dumps(STATE))
    found: Any = state
    *way, last = path.split(".")
    for name in way:
        found = found[int(name)] if isinstance(found, list) else found[name]
    if remove:
        del found[last]
    else:
        found[int(last) if isinstance(found, list) else last] = value
    return body(state)


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side has had enough."""
    connection.recv(1)


OTHER_TYPES: dict[str, Any] = {
    "host": None,
    "pid": "1",
    "started": 1e300,
    "time": -1,
    "ready": "yes",
    "process": [],
    "process.cpu": "x",
    "loop_delay": [],
    "name": None,
    "config": 5,
    "headline": "ok",
    "headline.state": "fine",
    "headline.text": 5,
    "newest_age": "old",
    "last_message": -1,
    "backlog": "x",
    "totals": [],
    "totals.received": "x",
    "components": {},
    "components.0": "x",
    "components.0.dropped": [1],
    "components.0.id": 5,
    "components.0.dropped.full": "many",
    "components.0.received": -1,
    "components.0.endpoints": "x",
    "components.0.notes": [5],
    "senders": [],
    "workers": [{}],
    "errors.last": 5,
    "errors.last.error": [],
}

WRONG: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "hangs up": (once(b""), "does not speak HTTP"),
    "no HTTP": (once(b"SSH-2.0-x\r\n"), "does not speak HTTP"),
    "ZeroMQ": (once(b"\xff" + bytes(8) + b"\x7f\x03\x01NULL"), "does not speak HTTP"),
    "raw bytes": (once(b"HTTP/1.1 \x1b[2J\r\n\r\n"), "does not speak HTTP"),
    "says nothing": (silent, "no answer within"),
    "endless status": (for_ever(b"HTTP/1.1 200 ", b"x" * 65536), "is too long"),
    "endless header": (for_ever(HEAD + b"X: ", b"x" * 65536), "is too long"),
    "endless headers": (for_ever(HEAD, b"X: x\r\n" * 1000), "HTTP"),
    "endless continues": (for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), "is too long"),
    "dripping head": (drip(HEAD + b"X: "), "no answer within"),
    "endless body": (for_ever(HEAD + b"\r\n", b"[" * 65536), "more than 4 MiB"),
    "endless chunks": (for_ever(CHUNKED, b"1\r\n \r\n" * 9999), "its answer"),
    "endless trailer": (for_ever(CHUNKED + b"0\r\n", b"x: y\r\n" * 9999), "its answer"),
    "huge length": (once(HEAD + b"Content-Length: 999999999999999999\r\n\r\n{"), "is invalid"),
    "huge chunk": (once(CHUNKED + b"fffffffffffffff\r\n{"), "is invalid"),
    "negative chunk": (once(CHUNKED + b"-5\r\n{"), "is invalid"),
    "dripping body": (drip(HEAD + b"\r\n{"), "not complete within"),
    "redirect": (once(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"), "no message-passing node"),
    "other status": (body({"error": ESCAPES * 500}, "418 I am"), "\\e[2J"),
    "error of no text": (body({"error": {"a": 1}}, "500 Oh"), "no message-passing node"),
    "server's name": (once(b"HTTP/1.1 200 OK\r\nServer: \x1b[2J\r\n\r\nx"), "no message-passing node"),
    "no JSON": (body(b"<html>"), "no message-passing node"),
    "no object": (body([]), "no message-passing node"),
    "not UTF-8": (body(b'{"title":"\xff"}'), "is invalid"),
    "deep": (body(b'{"x":' + b"[" * 100_000), "is invalid"),
    "deep and whole": (body(b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"), "is invalid"),
    "huge number": (body(b'{"pid":' + b"9" * 5000 + b"}"), "is invalid"),
    "infinite": (body(json.dumps(STATE).replace('"loop_delay": 0.1', '"loop_delay": 1e999').encode()), "is invalid"),
    "NaN": (changed("loop_delay", float("nan")), "is invalid"),
    **{f"no {path}": (without(path), "is invalid") for path in ("title", "senders", "process.cpu", "errors.count")},
    **{f"no component's {name}": (without(f"components.0.{name}"), "is invalid") for name in STATE["components"][0]},
    **{f"{path} of another type": (changed(path, value), "is invalid") for path, value in OTHER_TYPES.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_a_node_must_not_answer_is_told_in_a_sentence(name: str) -> None:
    """By `NodeClient.get`, which all three use: bounded in bytes and seconds, whatever it is."""
    answer, words = WRONG[name]
    with hostile(answer) as target:
        began = time.monotonic()
        tracemalloc.start()
        with pytest.raises(OpenError) as caught:
            NodeClient(target, timeout=1.0).get("/state")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert time.monotonic() - began < 4
    told = str(caught.value)
    assert words in told
    assert told.isprintable()
    assert len(told) < 700
    assert most < 8 * LARGEST_ANSWER


SOME = (
    "hangs up",
    "other status",
    "endless body",
    "no JSON",
    "components.0.id of another type",
    "no senders",
)


@pytest.mark.parametrize("name", SOME)
def test_each_command_ends_with_a_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`top` says whose node it is, with status 1; the others cannot begin, with status 2."""
    answer, words = WRONG[name]
    with hostile(answer) as target:
        assert top.COMMAND.main([target, "--once"]) == 1
        out, err = capsys.readouterr()
        assert "gone" in out
        assert all(line.isprintable() for line in (out + err).splitlines())
        assert top.COMMAND.main([target, "--once", "--json"]) == 1
        assert words in json.loads(capsys.readouterr().out)["error"]
        if name in ("hangs up", "other status"):
            assert tail.COMMAND.main([target]) == 2
            assert words in capsys.readouterr().err
        assert doctor.COMMAND.main(["tcp://127.0.0.1:1", "--node", target, "--no-canary"]) == 2
        out, err = capsys.readouterr()
        assert words in err
        assert all(line.isprintable() for line in (out + err).splitlines())


def test_a_node_that_drips_holds_up_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """The time is that of the whole answer, not of each byte."""
    with hostile(drip(HEAD + b"\r\n{")) as target:
        began = time.monotonic()
        assert top.COMMAND.main([target, "--once"]) == 1
        assert time.monotonic() - began < 6
        assert "not complete within 2 seconds" in capsys.readouterr().out


def test_what_a_node_names_gives_the_terminal_no_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts, components, reasons, endpoints, senders and errors of many and long texts, in `top` and `doctor`."""
    long = ESCAPES + "x" * 2000
    state = {**json.loads(json.dumps(STATE)), "host": long, "title": long, "version": long}
    component = {
        **STATE["components"][0],
        "notes": [long] * 10,
        "endpoints": [f"tcp://{long}"],
        "lost_rate": 1.0,
    }
    component["dropped"] = {f"{ESCAPES}{n}": n for n in range(100)}
    state["components"] = [{**component, "id": f"{ESCAPES}{n}"} for n in range(50)] + [
        {**STATE["components"][0], "id": str(n)} for n in range(400)
    ]
    state["errors"]["last"] = {"time": 0.0, "component": long, "error": long}
    state["workers"] = [{"ready": True, "outstanding": 2**63 - 1}] * 500
    with hostile(body(state)) as target:
        began = time.monotonic()
        assert top.COMMAND.main([target, "--once"]) == 0
        assert time.monotonic() - began < 8
        out = capsys.readouterr().out
        assert all(line.isprintable() for line in out.splitlines())
        assert "and 250 more components" in out
        assert len(out) < 200_000
        assert doctor.COMMAND.main(["tcp://127.0.0.1:2", "--node", target]) == 2
        err = capsys.readouterr().err
        assert len(err) < 1500
        assert all(line.isprintable() for line in err.splitlines())


LINES = HEAD + b'\r\n{"alive":true}\n'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"time":1,"message":"x"', "the node has ended"),
        (b"no JSON\n", "no message-passing node"),
        (b'{"time":"x","message":"y"}\n', "is invalid"),
        (b'{"message":"y"}\n', "a message has no time"),
        (b'{"missed":"many"}\n', "is invalid"),
        (b'{"missed":' + b"9" * 5000 + b"}\n", "is invalid"),
        (b'{"time":1,"message":' + b"[" * 100_000 + b"\n", "is invalid"),
        (b"[]\n", "no message-passing node"),
    ],
)
def test_a_tail_of_a_broken_stream(line: bytes, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, and the status is 2; where the node has just ended it is 1."""
    with hostile(once(LINES + line)) as target:
        assert tail.COMMAND.main([target]) == (1 if words == "the node has ended" else 2)
        err = capsys.readouterr().err
        assert words in err
        assert all(text.isprintable() for text in err.splitlines())


def test_a_tail_of_a_line_that_does_not_end(capsys: pytest.CaptureFixture[str]) -> None:
    """In bytes."""
    with hostile(for_ever(LINES + b'{"time":1,"message":"', b"x" * 65536)) as target:
        assert tail.COMMAND.main([target]) == 2
        assert "more than 4 MiB" in capsys.readouterr().err


def test_a_stream_of_a_line_that_drips() -> None:
    """In seconds: a part of a line gives no more time for the rest of it."""
    with (
        hostile(drip(LINES + b'{"time":1')) as target,
        NodeClient(target, timeout=0.5).stream("/tail") as stream,
    ):
        assert next(stream) == {"alive": True}
        began = time.monotonic()
        with pytest.raises(OpenError, match="not complete within"):
            next(stream)
        assert time.monotonic() - began < 3


MESSAGES: list[Any] = [
    ESCAPES,
    {"level": "--5", "message": "level"},
    {"level": "9" * 5000, "message": "level"},
    {"level": [], "level_number": -1e300, "message": "level"},
    {"time": 1e300, "message": ESCAPES},
    {"time": 10**18, "logger": {"a": [ESCAPES]}},
    {"time": True, "message": None, "exception": {"traceback": ESCAPES * 100}},
    {"message": {"a" * 5000: ESCAPES}},
    json.loads("[" * 150 + "]" * 150),
    None,
    5,
]


def test_messages_of_any_form_are_shown_and_obeyed_by_no_terminal() -> None:
    """Levels that are none, times that are none, nesting, and orders to the terminal wherever a text may be."""
    lines = b"".join(json.dumps({"time": 1, "message": one}).encode() + b"\n" for one in MESSAGES)
    with hostile(once(LINES + lines)) as target:
        for words in ([], ["--json"], ["--format", "{time} {level} {json} {host}"], ["--color", "always"]):
            done = finished("tail", target, *words)
            assert done.status == 1, done.err
            assert f"{len(MESSAGES)} shown, none missed; the node has ended" in done.err
            text = done.out.decode()
            for code in ("31", "2", "1;31", "33", "32", "36", ""):
                text = text.replace(f"\x1b[{code}m", "") if "--color" in words else text
            text = text.replace("\x1b[0m", "") if "--color" in words else text
            assert all(line.isprintable() for line in text.split("\n"))
