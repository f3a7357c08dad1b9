"""A real node that can be asked over HTTP, for the tests of the console."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from message_passing.testing import free_port, wait_for
from nodes import Node, node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Watched:
    """A node, and how to ask it."""

    def __init__(self, running: Node, port: int) -> None:
        self.node = running
        self.port = port

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, bytes]:
        """The status and body of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """What a path answers, as JSON."""
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def component(self, name: str) -> dict[str, Any]:
        """One component's state."""
        found: dict[str, Any] = next(one for one in self.get("/state")["components"] if one["id"] == name)
        return found

    @contextmanager
    def tail(self, query: str = "") -> Iterator[Iterator[Any]]:
        """The lines of a live tail, decoded, once it has begun."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"/tail{query}")
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            lines = map(json.loads, iter(answer.readline, b""))
            assert next(lines) == {"alive": True}  # from now on it sees what comes
            yield lines
            answer.close()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether it answers, and says that it is ready."""
        try:
            return self.ask("/ready")[0] == 200
        except OSError:
            assert self.node.process.poll() is None, self.node.end()
            return False


@contextmanager
def watched(*words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Iterator[Watched]:
    """A running node with `--http`, ready."""
    port = free_port()
    with node(*words, "--http", f"127.0.0.1:{port}", cwd=cwd, env=env) as running:
        found = Watched(running, port)
        wait_for(found.is_ready, timeout=30)
        yield found
