"""JetStream's components against messages, answers and servers that are not what they should be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import nats
import pytest

from engine_parts import numbers
from message_passing.errors import OpenError
from message_passing.inputs.jetstream import JetStreamInput
from message_passing.jetstream import connection
from message_passing.jetstream.diagnosis import JetStreamDiagnosis
from message_passing.outputs.jetstream import JetStreamOutput
from message_passing.testing import ListInput, free_port, running, wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nats.js import JetStreamContext

    from nats_server import NatsServer

HEADERS = [
    b"garbage",
    b"NATS/1.0",
    b"NATS/1.0\r\nno header\r\n\r\n",
    b"NATS/1.0 \xff\xff\xff\r\n\r\n",
    b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
    b"NATS/1.0\r\nA: \xff\r\n\r\n",
    b"NATS/1.0\r\nMessage-Passing-Frame: another\r\n\r\n",
]
SUBJECTS = [b"logs.\xff", b"logs.\x85", b"logs.a\x0bb", b"logs.a\x0c1", "logs.\u00fc".encode()]


def test_no_subject_or_header_of_other_programs_ends_the_reading(server: NatsServer) -> None:
    """Servers store any; each message is received once, on one connection, and is one message."""

    async def publish(context: JetStreamContext) -> None:
        await context.add_stream(name="LOGS", subjects=["logs.>"])
        client: Any = context._nc
        for number, header in enumerate(HEADERS):
            line = b"HPUB logs.h%d %d %d" % (number, len(header), len(header) + 2)
            await client._send_command(b"%s\r\n%sh%d\r\n" % (line, header, number))
        for number, subject in enumerate(SUBJECTS):
            await client._send_command(b"PUB %s 2\r\ns%d\r\n" % (subject, number))
        await context.publish("logs.last", b"last")

    server.ask(publish)
    to = Kept()
    source = JetStreamInput(servers=server.url, stream="LOGS", durable="a", output_to=to, error=Kept())
    with running(source):
        wait_for(lambda: b"last" in to.messages, timeout=20)
        wait_for(
            lambda: server.ask(lambda it: it.consumer_info("LOGS", "a")).num_ack_pending == 0, timeout=20
        )
    expected = [f"h{number}" for number in range(len(HEADERS))] + [f"s{n}" for n in range(len(SUBJECTS))]
    assert [one.decode() for one in to.messages] == [*expected, "last"]
    assert source.connection.lost == 0


@contextlib.contextmanager
def greeting(text: bytes) -> Iterator[str]:
    """A server that says this, and nothing more; its address."""

    class Handler(socketserver.BaseRequestHandler):
        """Greets."""

        def handle(self) -> None:
            """Say it, and wait until the other side goes."""
            with contextlib.suppress(OSError):
                self.request.sendall(text)
                while data := self.request.recv(65536):
                    self.request.sendall(b"PONG\r\n" * data.count(b"PING"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield f"nats://127.0.0.1:{found.server_address[1]}"
        found.shutdown()


@pytest.mark.parametrize(
    "told",
    [
        "INFO null",
        "INFO []",
        'INFO "x"',
        "INFO {",
        'INFO {"max_payload":"x"}',
        'INFO {"max_payload":-1}',
        "+OK",
    ],
)
def test_what_says_odd_things_of_itself_is_no_nats_server_and_is_tried_again(told: str) -> None:
    """Neither does the component fail, nor does it stop trying."""
    with greeting(f"{told}\r\n".encode()) as url:
        source = JetStreamInput(
            servers=url, stream="LOGS", durable="a", reconnect_longest=0.05, output_to=Kept(), error=Kept()
        )
        tries: list[str] = []
        source.connection.on_change(lambda: tries.append(source.connection.trouble))
        with running(source):
            wait_for(lambda: len(tries) > 4, timeout=20)
    assert {text.partition(": ")[2] for text in tries} == {"what listens there is no NATS server"}


def test_a_server_that_accepts_and_closes_is_tried_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends at once is one more failure: a thousand nodes do not connect ten times a second each."""
    attempts: list[int] = []

    def pause(attempt: int, *_: float) -> float:
        attempts.append(attempt)
        return 0.01

    class Handler(socketserver.BaseRequestHandler):
        """Greets, and goes."""

        def handle(self) -> None:
            """Say what is needed to be connected."""
            with contextlib.suppress(OSError):
                self.request.sendall(b'INFO {"max_payload":1048576,"headers":true}\r\n')
                while b"PING" not in self.request.recv(65536):
                    pass
                self.request.sendall(b"PONG\r\n")

    monkeypatch.setattr(connection, "pause_after", pause)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        url = f"nats://127.0.0.1:{found.server_address[1]}"
        with running(JetStreamInput(servers=url, stream="LOGS", durable="a", output_to=Kept(), error=Kept())):
            wait_for(lambda: len(attempts) >= 3, timeout=20)
        found.shutdown()
    assert attempts[:3] == [1, 2, 3]


@pytest.mark.parametrize(
    "answer", [b"{}", b"[]", b'"stored"', b'{"error":"x"}', b'{"stream":"X"}', b"x", b""]
)
def test_an_answer_of_another_program_does_not_mean_stored(server: NatsServer, answer: bytes) -> None:
    """What nobody stored is kept, and that is said; once there is a stream, it is stored."""
    to = JetStreamOutput(
        servers=server.url, subject="logs.app", retry_longest=0.05, retry_first=0.01, error=Kept()
    )

    async def answer_one(_: JetStreamContext) -> None:
        client = await nats.connect(server.url)
        subscription = await client.subscribe("logs.app")
        told.set()
        message = await subscription.next_msg(20)
        await message.respond(answer)
        await client.close()

    told = threading.Event()
    answering = threading.Thread(target=server.ask, args=(answer_one,))
    answering.start()
    assert told.wait(20)
    messages = [json.dumps(one).encode() for one in numbers(3)]
    with running(ListInput(messages=messages, output_to=to)):
        answering.join(20)
        wait_for(lambda: to.error.messages, timeout=20)
        server.ask(lambda context: context.add_stream(name="LOGS", subjects=["logs.app"]))
        wait_for(lambda: not to.held(), timeout=20)
    assert len(server.lines()) == 3
    assert "the answer is not JetStream's" in to.error.messages[0]["exception"]


def test_a_command_that_ends_before_it_was_connected_says_why_messages_are_lost() -> None:
    """The commonest mistake: no server runs there."""
    options = {"servers": f"nats://127.0.0.1:{free_port()}", "subject": "logs.app", "flush_timeout": 1.2}
    given = ["--input", "STDIN", "--output", "JetStream", "--output_options", json.dumps(options)]
    ended = subprocess.run(
        [sys.executable, "-m", "message_passing", *given],
        input=b"{}\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"connection refused: no server listens there" in ended.stderr
    assert b"lost 1 message: 1 unsent at close" in ended.stderr


@contextlib.contextmanager
def odd_questions(server: NatsServer, answer: bytes) -> Iterator[None]:
    """Another program answers each question about streams and consumers, while the block runs, before JetStream."""
    ready, ended = threading.Event(), threading.Event()

    async def answering(_: JetStreamContext) -> None:
        client = await nats.connect(server.url)

        async def respond(message: Any) -> None:
            await message.respond(answer)

        await client.subscribe("$JS.other.API.>", cb=respond)
        await client.flush()
        ready.set()
        while not ended.is_set():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.02)
        await client.close()

    thread = threading.Thread(target=server.ask, args=(answering,))
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        ended.set()
        thread.join(20)


@pytest.mark.parametrize(
    "answer", [b"[]", b"x", b'{"config":1,"state":[]}', b'{"error":"x"}', b"\xff", b"{}", b"7"]
)
def test_odd_answers_about_streams_end_no_node(server: NatsServer, answer: bytes) -> None:
    """They are said, once, and the questions asked again; neither input, output, trial nor diagnosis fails of it."""
    given: dict[str, Any] = {"servers": server.url, "stream": "LOGS", "domain": "other"}
    with odd_questions(server, answer):
        source = JetStreamInput(durable="a", output_to=Kept(), error=Kept(), **given)
        given_to: dict[str, Any] = {"subject": "logs.app", "create": True, "retry_longest": 0.05, **given}
        to = JetStreamOutput(error=Kept(), flush_timeout=0.1, **given_to)
        with running(source), running(ListInput(messages=[b"1"], output_to=to)):
            wait_for(lambda: source.problems() and to.problems(), timeout=20)
        assert "the stream 'LOGS'" in source.problems()[0]
        with contextlib.suppress(OpenError):
            JetStreamOutput(**given_to).try_connection(5)
        assert not [*JetStreamDiagnosis(**given).examine(5)][-1].ok
    assert to.snapshot()["dropped"] == {"unsent at close": 1}
