"""Asking a running node: what comes back, and what is said when it is not one."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from message_passing.console import runtime_dir as folders
from message_passing.console.client import NodeClient, discover
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Answering(http.server.BaseHTTPRequestHandler):
    """A server that speaks HTTP: at `/` like any, and below `/asked` and `/endless` as a node does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.partition("?")[0]
        if path == "/endless":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in (b'{"missed":1}\n', b'{"alive":true}\n'):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            self.server.may_end.wait(20)  # type: ignore[attr-defined]
            self.close_connection = True
            return
        if path == "/asked":
            status, body = 200, json.dumps([self.path, self.headers.get("Authorization")])
        elif path == "/secret":
            status, body = 401, '{"error": "no"}'
        elif path == "/wrong":
            status, body = 404, '{"error": "there is no such thing"}'
        else:
            status, body = (200, "<html>hello</html>") if path != "/state" else (200, "[]")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Local(http.server.ThreadingHTTPServer):
    """The same on a unix socket."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        super().__init__(("localhost", 0), Answering)

    def server_bind(self) -> None:
        """Bind; a path has neither a name nor a port."""
        self.socket.bind(self._path)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """A connection, from nowhere in particular."""
        return self.socket.accept()[0], ("local", 0)


@contextmanager
def answering(path: Path | None = None) -> Iterator[str]:
    """Such a server; what to call it."""
    server = Local(path) if path else http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.may_end = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield str(path) if path else f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.may_end.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()
        server.server_close()


def complaint(ask: Callable[[], object]) -> str:
    """The sentence that is said."""
    with pytest.raises(OpenError) as caught:
        ask()
    return str(caught.value)


@pytest.mark.parametrize("local", [True, False])
def test_what_is_asked_arrives_and_what_is_answered_comes_back(tmp_path: Path, *, local: bool) -> None:
    """A list is asked several times, None not at all, and a token goes along."""
    with answering(tmp_path / "one.sock" if local else None) as target:
        path, token = NodeClient(target, "wonder").get(
            "/asked", field=["a=1", "b=2"], limit=None, level="INFO"
        )
        assert path == "/asked?field=a%3D1&field=b%3D2&level=INFO"
        assert token == "Bearer wonder"


def test_a_stream_is_read_as_it_comes_and_ended_from_elsewhere() -> None:
    """Lines come although the answer has no end, and `close` wakes who waits for the next one."""
    with answering() as target:
        node = NodeClient(target)
        with node.stream("/endless") as stream:
            assert next(stream) == {"missed": 1}
            assert next(stream) == {"alive": True}
            later = threading.Timer(0.05, node.close)
            later.start()
            assert list(stream) == []
            later.join()


def test_a_stream_that_falls_silent_is_told() -> None:
    """A node says something every second, so one that does not hangs."""
    with answering() as target, NodeClient(target, timeout=0.2).stream("/endless") as stream:
        assert [next(stream), next(stream)]
        assert "it has sent nothing for 0.2 seconds" in complaint(lambda: next(stream))


def test_a_token_is_asked_for_or_wrong() -> None:
    """These are two mistakes."""
    with answering() as target:
        assert "it requires a token (--http_token)" in complaint(lambda: NodeClient(target).get("/secret"))
        assert "this token is not" in complaint(lambda: NodeClient(target, "x").get("/secret"))


def test_its_own_words_are_passed_on() -> None:
    """A node says itself what is wrong with a question."""
    with answering() as target:
        assert complaint(lambda: NodeClient(target).get("/wrong")) == f"{target}: there is no such thing"


@pytest.mark.parametrize("path", ["/", "/state"])
def test_another_http_server_is_known_as_such(path: str) -> None:
    """It answers, and even with JSON, but is no node; what it calls itself is said."""
    with answering() as target:
        said = complaint(lambda: NodeClient(target).get(path))
        assert "an HTTP server answers there ('BaseHTTP/" in said
        assert said.endswith("but it is no message-passing node")


def test_what_speaks_no_http_is_known_as_such() -> None:
    """ZeroMQ, for one, says its greeting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: _greet(server))
        thread.start()
        target = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert "does not speak HTTP" in complaint(lambda: NodeClient(target).get("/state"))
        thread.join()


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\n")
        connection.recv(1 << 16)


def test_nobody_is_there() -> None:
    """A port where nothing listens, a host of no name, a port where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert "no answer within 0.1 seconds" in complaint(
            lambda: NodeClient(target, timeout=0.1).get("/state")
        )
    assert "refused: nothing listens on this port" in complaint(lambda: NodeClient(target).get("/state"))
    assert "host name is unknown" in complaint(
        lambda: NodeClient("http://no.such.invalid:9090").get("/state")
    )


def test_a_socket_that_is_not_there_or_was_left_behind(tmp_path: Path) -> None:
    """Each says what it is."""
    assert "there is no such control socket" in complaint(
        lambda: NodeClient(str(tmp_path / "x")).get("/state")
    )
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left.sock"))
    assert "has ended" in complaint(lambda: NodeClient(str(tmp_path / "left.sock")).get("/state"))
    assert "it is not a control socket" in complaint(lambda: NodeClient("/" + "x" * 200).get("/state"))


def test_a_process_without_a_control_socket_is_not_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one was started without `--control`."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert "this process has no control socket at" in complaint(
        lambda: NodeClient(str(os.getpid())).get("/state")
    )
    assert "there is no process with this id" in complaint(lambda: NodeClient("999999999999").get("/state"))


@pytest.mark.parametrize("target", ["tcp://host:5558", "ftp://host:1", "http://host", "http://u:p@host:1"])
def test_what_names_no_node_is_refused(target: str) -> None:
    """And what names one is said."""
    assert "a process id, the path of a control socket, or http://host:port" in complaint(
        lambda: NodeClient(target)
    )


def test_nodes_are_found_and_the_dead_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process that was killed has left behind is not removed either: it may be somebody's evidence."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert discover() == []
    place = folders.ensure_folder()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folders.control_path(11)))
    with answering(folders.control_path(7)), answering(folders.control_path(101)):
        (place / "notes.sock").touch()
        assert [node.target for node in discover()] == ["7", "101"]
    assert folders.control_path(11).exists()


def test_the_folder_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made so, made so again if it was not, and a link or another's folder is not taken."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = folders.ensure_folder()
    assert place == tmp_path / "message-passing"
    assert place.stat().st_mode & 0o777 == 0o700
    place.chmod(0o755)
    assert folders.ensure_folder().stat().st_mode & 0o777 == 0o700
    place.chmod(0o777)
    assert "not a directory that only this user can write to" in complaint(folders.ensure_folder)
    assert discover() == []
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert "not a directory that only this user can write to" in complaint(folders.ensure_folder)


@pytest.mark.parametrize("given", ["", "run/user"])
def test_without_a_runtime_folder_it_is_the_users_own(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's is where systemd would put it, and another's has his number in its name."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(folders.control_path(5)) == "/run/message-passing/5.sock"
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert str(folders.control_path(5)) == "/tmp/message-passing-1234/5.sock"  # noqa: S108 - nothing is made there
