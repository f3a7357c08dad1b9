"""The outputs to Redis, against a server that answers what Redis does not."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

from engine_parts import Delivering
from message_passing.outputs.redis import RedisOutput
from message_passing.outputs.redis_streams import RedisStreamsOutput
from message_passing.testing import running, wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def answering(refused: bytes) -> Iterator[int]:
    """A server that says OK to everything, but this to what is to be stored or published; its port."""

    class Handler(socketserver.StreamRequestHandler):
        """One connection."""

        def handle(self) -> None:
            """Answer each command."""
            with contextlib.suppress(OSError):
                while begin := self.rfile.readline():
                    count = int(begin[1:])
                    words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(count)]
                    if words[0] in (b"INFO", b"CONFIG"):
                        self.wfile.write(b"-ERR not here\r\n")
                    else:
                        self.wfile.write(refused if words[0] in (b"XADD", b"PUBLISH") else b"+OK\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found.server_address[1]
        found.shutdown()


@pytest.mark.parametrize("kind", [RedisStreamsOutput, RedisOutput])
@pytest.mark.parametrize("answer", [b"+QUEUED\r\n", b"$-1\r\n", b"*0\r\n", b"$1\r\nx\r\n"])
def test_only_the_answer_of_redis_means_that_it_has_a_message(
    kind: type[RedisStreamsOutput | RedisOutput], answer: bytes
) -> None:
    """Anything else is reported; nothing is taken for stored, and what is left at the end is counted."""
    with answering(answer) as port:
        url = f"redis://127.0.0.1:{port}"
        where = (
            {"url": url, "stream": "logs"} if kind is RedisStreamsOutput else {"port": port, "topic": "logs"}
        )
        to = kind(retry_first=0.01, retry_longest=0.05, flush_timeout=0.1, error=Kept(), **where)
        with running(Delivering(batches=[[b"1", b"2"]], output_to=to)):
            wait_for(lambda: to.error.messages, timeout=20)
            assert "what listens there is no Redis server" in to.error.messages[0]["exception"]
        assert to.snapshot()["dropped"] == {"unsent at close": 2}
