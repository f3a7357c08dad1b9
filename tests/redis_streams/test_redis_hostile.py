"""Inputs and outputs of Redis, against a server that answers what Redis does not."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from typing import TYPE_CHECKING, Any

import pytest

from engine_parts import Delivering
from message_passing.errors import OpenError
from message_passing.inputs import redis_streams
from message_passing.inputs.redis import RedisInput
from message_passing.inputs.redis_streams import RedisStreamsInput
from message_passing.network import listener_probe
from message_passing.outputs.redis import RedisOutput
from message_passing.outputs.redis_streams import RedisStreamsOutput
from message_passing.redis.diagnosis import RedisDiagnosis
from message_passing.testing import running, wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_REDIS = "what listens there is no Redis server"
NONSENSE: tuple[bytes, ...] = (
    b":7\r\n",
    b"+QUEUED\r\n",
    b"$-1\r\n",
    b"*0\r\n",
    b"$1\r\nx\r\n",
    b"*1\r\n:1\r\n",
    b"*-1\r\n",
    b"*x\r\n",
    b"*2\r\n*1\r\n:1\r\n*0\r\n",
    b"*1\r\n*2\r\n$4\r\nlogs\r\n*1\r\n*2\r\n:1\r\n*1\r\n:3\r\n",
    b"\xff\xfe\r\n",
    b"*1\r\n" * 5000 + b":1\r\n",
    b"*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n",
    b"*3\r\n:0\r\n*1\r\n*2\r\n$1\r\nx\r\n:1\r\n*0\r\n",
)


@contextlib.contextmanager
def answering(**answers: bytes) -> Iterator[int]:
    """A server that says OK to everything, but these to what begins with such words; its port."""

    class Handler(socketserver.StreamRequestHandler):
        """One connection."""

        def handle(self) -> None:
            """Answer each command."""
            with contextlib.suppress(OSError, ValueError):
                while begin := self.rfile.readline():
                    count = int(begin[1:])
                    words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(count)]
                    self.wfile.write(answers.get(words[0].decode(), answers.get("others", b"+OK\r\n")))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found.server_address[1]
        found.shutdown()


@pytest.mark.parametrize("kind", [RedisStreamsOutput, RedisOutput])
@pytest.mark.parametrize("answer", NONSENSE[1:5])
def test_only_the_answer_of_redis_means_that_it_has_a_message(
    kind: type[RedisStreamsOutput | RedisOutput], answer: bytes
) -> None:
    """Anything else is reported; nothing is taken for stored, and what is left at the end is counted."""
    refused = b"-ERR not here\r\n"
    with answering(XADD=answer, PUBLISH=answer, INFO=refused, CONFIG=refused) as port:
        url = f"redis://127.0.0.1:{port}"
        where = (
            {"url": url, "stream": "logs"} if kind is RedisStreamsOutput else {"port": port, "topic": "logs"}
        )
        to = kind(retry_first=0.01, retry_longest=0.05, flush_timeout=0.1, error=Kept(), **where)
        with running(Delivering(batches=[[b"1", b"2"]], output_to=to)):
            wait_for(lambda: to.error.messages, timeout=20)
            assert NO_REDIS in to.error.messages[0]["exception"]
        assert to.snapshot()["dropped"] == {"unsent at close": 2}


def streams_input(port: int, **options: Any) -> RedisStreamsInput:
    """One that tries again soon."""
    given: dict[str, Any] = {
        "url": f"redis://127.0.0.1:{port}",
        "stream": "logs",
        "group": "archive",
        "reconnect_longest": 0.02,
    }
    return RedisStreamsInput(output_to=Kept(), error=Kept(), **given, **options)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else listens there that could be asked what it is."""
    monkeypatch.setattr(listener_probe, "_ANSWER", 0.01)
    monkeypatch.setattr(redis_streams, "LAG_INTERVAL", 0.1)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("command", "answer"), [("XREADGROUP", NONSENSE[9]), ("XAUTOCLAIM", NONSENSE[0]), ("XINFO", NONSENSE[5])]
)
def test_odd_answers_are_reported_once_and_asked_for_again(command: str, answer: bytes) -> None:
    """Whichever of its questions is answered so: it goes on, without a storm of reports."""
    refused = dict.fromkeys(("INFO", "CONFIG", "XINFO"), b"-ERR x\r\n")
    fine = {"XREADGROUP": b"*-1\r\n", "XAUTOCLAIM": b"*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n"}
    with answering(**{**refused, **fine, command: answer}) as port:
        source = streams_input(port, ack_wait=1.0)
        with running(source):
            wait_for(lambda: any(NO_REDIS in one for one in source.problems()), timeout=20)
            first = source.link.number + source._reading.number
            wait_for(lambda: source.link.number + source._reading.number > first + 1, timeout=20)
    assert sum(NO_REDIS in one["exception"] for one in source.error.messages) == 1
    assert not source.output_to.messages


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("answer", NONSENSE)
def test_no_nonsense_ends_a_node(answer: bytes) -> None:
    """Each kind of answer, to all questions, of each input, the trial and the diagnosis."""
    with answering(others=answer) as port:
        source = streams_input(port)
        hears = RedisInput(port=port, topics="logs", output_to=Kept(), error=Kept())
        with running(source), running(hears):
            wait_for(lambda: source.problems() and (hears.error.messages or hears.problems()), timeout=20)
        assert source.output_to.messages == hears.output_to.messages == []
        with contextlib.suppress(OpenError):
            streams_input(port).try_connection(5)
        steps = [*RedisDiagnosis(url=f"redis://127.0.0.1:{port}", stream="logs").examine(5)]
        assert not steps[-1].ok
