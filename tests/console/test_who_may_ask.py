"""Who is answered, and where a node listens."""

from __future__ import annotations

import json
import socket
import stat
import sys
from pathlib import Path

import pytest

from commands import STDIN_TO_STDOUT, finished
from console.watched import Watched, watched
from message_passing.console.client import NodeClient
from message_passing.console.guard import _is_at_home
from message_passing.console.listening import http_address, is_loopback
from message_passing.errors import OptionError
from message_passing.testing import free_port, wait_for
from nodes import node


def test_the_control_socket_is_its_owners(tmp_path: Path) -> None:
    """In the folder of this user's nodes, under the process id; and it goes with the node."""
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with node(*STDIN_TO_STDOUT, "--control", env=env) as running:
        path = tmp_path / "message-passing" / f"{running.process.pid}.sock"
        wait_for(path.exists)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        one = NodeClient(str(path))
        wait_for(lambda: one.get("/state")["ready"])
        assert one.get("/state")["pid"] == running.process.pid
        assert running.stop()[0] == 0
        assert not path.exists()


def test_no_port_and_no_socket_is_opened_unasked(tmp_path: Path) -> None:
    """Nor is a web server imported."""
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with node(*STDIN_TO_STDOUT, env=env) as running:
        running.write(b'{"a":1}\n')
        assert running.process.stdout
        assert running.process.stdout.readline()
        sockets = Path(f"/proc/{running.process.pid}/net/unix").read_text("ascii")
        assert str(tmp_path) not in sockets
        code = "import sys, message_passing.cli.main; print(*sys.modules)"
        modules = finished("-c", code, command=(sys.executable,)).out.split()
        assert not {b"uvicorn", b"starlette", b"prometheus_client", b"rich"} & set(modules)
        assert not list(tmp_path.iterdir())


def test_a_socket_that_was_left_behind_is_taken_over_and_a_live_one_is_not(tmp_path: Path) -> None:
    """A node that was killed leaves its socket; another node's, or a file, is a mistake that is told."""
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with node(*STDIN_TO_STDOUT, "--control", str(path)):
        one = NodeClient(str(path))
        wait_for(one.alive)
        second = finished(*STDIN_TO_STDOUT, "--control", str(path))
        assert (second.status, second.told) == (
            2,
            [f"message-passing: --control: another node answers on {path}"],
        )
        assert one.alive()
    file = tmp_path / "file"
    file.write_text("precious")
    third = finished(*STDIN_TO_STDOUT, "--control", str(file))
    assert (third.status, file.read_text()) == (2, "precious")
    assert third.told == [f"message-passing: --control: {file} exists and is not a socket"]
    long = tmp_path / ("x" * 100)
    assert "too long" in finished(*STDIN_TO_STDOUT, "--control", str(long)).err


def test_a_token_opens_all_but_the_page_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is no data; whether the node lives is no secret."""
    monkeypatch.setenv("TOKEN", "s3cret")
    with watched(*STDIN_TO_STDOUT, "--http_token", "env:TOKEN") as one:
        for path in ("/state", "/senders", "/errors", "/history", "/tail", "/metrics"):
            for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}):
                status, body = one.ask(path, headers)
                assert (status, "requires a token" in json.loads(body)["error"]) == (401, True), path
        assert one.ask("/state", {"Authorization": "Bearer s3cret"})[0] == 200
        assert [one.ask(path)[0] for path in ("/health", "/ready")] == [200, 200]


def test_beyond_loopback_a_token_is_needed() -> None:
    """Whoever forgets it is told before anything is opened."""
    for address in ("0.0.0.0:9090", "[::]:9090", "192.0.2.7:9090", "logs.example.org:9090"):
        found = finished(*STDIN_TO_STDOUT, "--http", address)
        text = f"--http: {address} can be reached from other machines: a token is required (--http_token)"
        assert (found.status, found.told) == (2, [f"message-passing: {text}"])


def test_another_sites_page_is_not_answered() -> None:
    """It could send a browser to loopback under its own name, and cannot change anything in any case."""
    with watched(*STDIN_TO_STDOUT) as one:
        assert one.ask("/state", {"Host": "evil.example"})[0] == 403
        assert one.ask("/state", {"Host": f"localhost:{one.port}"})[0] == 200
        assert one.ask("/state", method="POST")[0] == 405
        assert one.ask("/../../etc/passwd")[0] == 404
        assert one.ask("/static/..%2f__init__.py")[0] == 404


@pytest.mark.parametrize(
    ("host", "at_home"),
    [
        ("", True),
        ("localhost", True),
        ("localhost:80", True),
        ("x.localhost:80", True),
        ("127.0.0.1:9090", True),
        ("[::1]:9090", True),
        ("[::1]", True),
        ("evil.example:80", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1:80", False),
        ("[::1", False),
        ("@", False),
    ],
)
def test_who_is_at_home(host: str, at_home: bool) -> None:
    """Only names and addresses of this machine."""
    assert _is_at_home(host) is at_home


def test_addresses() -> None:
    """A port alone is on loopback; what is none is refused."""
    assert http_address("9090") == ("127.0.0.1", 9090)
    assert http_address("[::1]:80") == ("::1", 80)
    assert http_address("localhost:80") == ("localhost", 80)
    assert [is_loopback(one) for one in ("localhost", "::1", "127.9.9.9", "::", "host")] == [True] * 3 + [
        False
    ] * 2
    for wrong in ("", "x", "host:99999", "http://localhost:80", "a b:80", ":"):
        with pytest.raises(OptionError, match="must be HOST:PORT"):
            http_address(wrong)


def test_an_address_that_is_taken() -> None:
    """It is told with the address, exit status 2, and nothing has begun."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        found = finished(*STDIN_TO_STDOUT, "--http", f"127.0.0.1:{port}", given=b'{"a":1}\n')
    assert (found.status, found.out) == (2, b"")
    assert found.told == [
        f"message-passing: --http: cannot listen on 127.0.0.1:{port}: Address already in use"
    ]


def test_peers_that_say_nothing_or_nonsense_do_no_harm() -> None:
    """A connection that is held open, and one that speaks no HTTP: the others are answered."""
    with watched(*STDIN_TO_STDOUT) as one, _connected(one) as silent, _connected(one) as noisy:
        noisy.sendall(b"\x00\xff" * 1000 + b"\r\n\r\n")
        assert b"400" in noisy.recv(1000)
        assert one.ask("/health")[0] == 200
        silent.sendall(b"GET /state HTTP/1.1\r\nHost:")
        assert one.ask("/health")[0] == 200


def _connected(one: Watched) -> socket.socket:
    return socket.create_connection(("127.0.0.1", one.port), timeout=10)
