"""The handler's own word on standard error: what it lost, and why nothing is delivered."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from logs import logger_with, receiver, run, script
from message_passing.logging import ZeroMQHandler
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.attempts import Attempts
from message_passing.zeromq.monitor import Event
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lose(handler: ZeroMQHandler, records: int) -> None:
    """Log so many records that nobody takes, and wait until they are counted."""
    before = sum(handler.stats()["dropped"].values())
    for n in range(records):
        handler.handle(logging.LogRecord("report", logging.INFO, __file__, 1, "record %d", (n,), None))
    wait_for(lambda: sum(handler.stats()["dropped"].values()) >= before + records - 10)


def test_losses_are_told_on_stderr_once_in_an_interval(capsys: pytest.CaptureFixture[str]) -> None:
    """However many records are lost within the interval, one line tells of them, and one more at the end."""
    handler = ZeroMQHandler(
        connect=f"tcp://127.0.0.1:{free_port()}", socket_hwm=10, linger=0, report_interval=3600
    )
    lose(handler, 100)
    told = wait_for(lambda: capsys.readouterr().err)
    lose(handler, 100)
    assert capsys.readouterr().err == ""
    handler.close()
    why, at_the_end = capsys.readouterr().err.splitlines()
    assert told.count("\n") == 1
    assert "log records lost so far" in told
    assert "log records are not delivered" in why
    assert "10 unsent at close" in at_the_end


def test_losses_are_told_once_at_the_end_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing before; then how many, and why."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    handler = ZeroMQHandler(endpoint, socket_hwm=10, linger=0)
    lose(handler, 100)
    assert capsys.readouterr() == ("", "")
    handler.close()
    why, lost = untimed(capsys.readouterr().err).splitlines()
    assert why.startswith(
        f"message-passing: log records are not delivered: {endpoint}: nobody listens there: "
    )
    assert lost.endswith(": 90 queue full, 10 unsent at close")
    handler.close()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("off", [0, 0.0, "0"])
def test_nothing_is_told_where_it_is_switched_off(off: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A handler prints nothing then, whatever it loses."""
    handler = ZeroMQHandler(f"tcp://127.0.0.1:{free_port()}", socket_hwm=10, linger=0, report_interval=off)
    lose(handler, 100)
    handler.close()
    assert capsys.readouterr() == ("", "")


OBSTACLES = {
    "nobody listens": ("tcp://127.0.0.1:{port}", {}, "nobody listens there"),
    "no such host": ("tcp://no-such-host.invalid:5558", {}, "the host name cannot be resolved"),
    "no such file": ("ipc://{folder}/none.sock", {}, "nobody listens there"),
    "nobody connects": ("", {"socket_bind": "tcp://127.0.0.1:{port}"}, "no receiver has connected"),
    "address in use": ("", {"socket_bind": "tcp://127.0.0.1:{taken}"}, "address in use"),
    "not our address": ("", {"socket_bind": "tcp://192.0.2.1:{port}"}, "this machine has no such address"),
    "no such folder": ("", {"socket_bind": "ipc://{folder}/none/x.sock"}, "the directory does not exist"),
    "accepts and says nothing": ("tcp://127.0.0.1:{taken}", {}, "has not answered with a ZeroMQ handshake"),
    "nobody listens for work": ("tcp://127.0.0.1:{port}", {"socket_type": "PUSH"}, "nobody listens there"),
}
"""Endpoint, other options, and what is said."""


@pytest.mark.parametrize("name", OBSTACLES)
def test_a_short_program_says_why_its_records_were_lost(name: str, tmp_path: Path) -> None:
    """Also one that ends before the receiver could have come."""
    endpoint, options, text = OBSTACLES[name]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        places = {"port": free_port(), "folder": tmp_path, "taken": taken.getsockname()[1]}
        given = {key: value.format(**places) for key, value in options.items()}
        program = f"add(linger=300, **{given}); logging.error('lost')"
        done = run(program, endpoint.format(**places))
    assert done.returncode == 0
    *early, why, lost = untimed(done.stderr).splitlines()
    assert len(early) == (name == "not our address"), "which is reported before anything is lost"
    assert why.startswith("message-passing: log records are not delivered: ")
    assert text in why
    assert lost.startswith("message-passing: 1 log records lost so far in process")
    assert lost.endswith(": 1 unsent at close")


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said after five seconds is said at once."""
    monkeypatch.setattr("message_passing.logging.stall_report.UNDELIVERED", 0.3)


@pytest.mark.usefixtures("_soon")
def test_why_nothing_leaves_is_said_once_while_it_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the receiver comes it is delivered; when it stands still, that is another reason."""
    with receiver(tmp_path / "records", running=False) as there:
        options = {"linger": 0, "queue_bytes": 300_000}
        with logger_with(there.endpoint, **options) as (logger, handler):
            logger.error("1")
            logger.error("2")
            said = wait_for(lambda: capsys.readouterr().err)
            assert f"log records are not delivered: {there.endpoint}: nobody listens there: " in said
            assert "(2 wait; " in said
            logger.error("3")
            assert not handler.flush(1)
            assert capsys.readouterr().err == ""
            there.start()
            there.wait_for_messages("1", "2", "3")
            logger.error("4")
            said = wait_for(lambda: capsys.readouterr().err)
            assert untimed(said) == f"message-passing: log records are delivered again, to {there.endpoint}\n"
            there.signal(signal.SIGSTOP)

            def fill() -> str:
                logger.error("%s", "x" * 50_000)
                return capsys.readouterr().err

            assert "the connected peers accept nothing" in wait_for(fill, 20)
            there.signal(signal.SIGCONT)


@pytest.mark.usefixtures("_soon")
def test_a_receiver_that_wants_other_records(capsys: pytest.CaptureFixture[str]) -> None:
    """It is there, and has subscribed to nothing, or to what no record begins with."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with logger_with(f"tcp://127.0.0.1:{port}", linger=0) as (logger, _):
            logger.error("1")

            def said() -> str:
                socket.poll(1)
                return capsys.readouterr().err

            assert "the connected peers have subscribed to nothing" in wait_for(said)
            socket.subscribe(b"other")
            assert "have subscribed only to what begins with 'other', and no message does" in wait_for(said)


def test_forked_children_of_one_that_binds_say_why_they_cannot() -> None:
    """Each once, with what to do."""
    program = """
        handler = ZeroMQHandler(socket_bind=sys.argv[1], linger=300)
        logging.getLogger().addHandler(handler)
        logging.error("parent")
        worker = handler._shipper.worker
        while worker.transmitter is None or worker.transmitter.socket.sender is None:
            time.sleep(0.01)
        children = []
        for number in range(2):
            process = os.fork()
            if not process:
                logging.error("child")
                logging.shutdown()
                os._exit(0)
            os.waitpid(process, 0)
    """
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    words = script(program, "")
    done = subprocess.run([*words, endpoint], capture_output=True, text=True, timeout=30, check=True)
    lines = [line for line in done.stderr.splitlines() if "address in use" in line]
    assert len(lines) == 2
    assert all(
        "a forked process cannot bind its parent's address: let receivers bind instead" in line
        for line in lines
    )
    assert done.stderr.count(": 1 unsent at close") == 3


def test_closing_again_and_again_reports_the_reason_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Until something is sent: what was lost is told each time."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with logger_with(endpoint, linger=20) as (log, handler):
        for _ in range(4):
            log.error("x")
            handler.close()
    lines = untimed(capsys.readouterr().err).splitlines()
    assert sum("not delivered" in line for line in lines) == 1
    assert [line.endswith(f": {count} unsent at close") for count, line in enumerate(lines[1:], 1)] == [
        True
    ] * 4


@contextmanager
def answering(text: bytes) -> Iterator[str]:
    """Whoever connects is answered so, and the connection ended; an endpoint."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    connection.recv(10)
                    connection.sendall(text)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\nServer: "
    + b"x" * 40
    + b"\r\n\r\n"
)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("PUB", _HTTP, "an HTTP server answers there: another program uses this port"),
        ("PUSH", _HTTP, "an HTTP server answers there: another program uses this port"),
        ("PUB", b"\x01\0", "it uses ZMTP 2 or older: receivers need ZeroMQ 4 (2013) or later"),
        (
            "PUB",
            b"\xff" + bytes(8) + b"\x7f\x01\x02\0\0",
            "it uses ZMTP 2 or older: receivers need ZeroMQ 4 (2013) or later",
        ),
    ],
    ids=["HTTP", "HTTP and a PUSH", "ZMTP 1", "ZMTP 2"],
)
def test_what_speaks_no_zeromq_of_today_gets_nothing_and_harms_nobody(
    kind: str, text: bytes, told: str
) -> None:
    """It is not taken for a receiver, which may end this process: the record waits, and it is reported why."""
    program = f"""
        handler = add(socket_type={kind!r}, reconnect_ivl=1, report_interval=60)
        logging.warning("x")
        time.sleep(1.5)
        print(handler.stats()["queued"])
    """
    with answering(text) as endpoint:
        done = run(program, endpoint)
    why, lost = untimed(done.stderr).splitlines()
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert why.startswith(f"message-passing: log records are not delivered: {endpoint}: {told}")
    assert lost.endswith(": 1 unsent at close")


def test_a_name_that_comes_to_exist_is_no_name_that_cannot_be_resolved() -> None:
    """What a monitor tells, event by event, of a receiver that goes away and comes back."""
    attempts = Attempts()
    found = []
    for number in (
        zmq.EVENT_CONNECT_RETRIED,
        zmq.EVENT_CONNECT_DELAYED,
        zmq.EVENT_CLOSED,
        zmq.EVENT_CONNECT_RETRIED,
        zmq.EVENT_CONNECT_DELAYED,
        zmq.EVENT_CONNECTED,
        zmq.EVENT_HANDSHAKE_SUCCEEDED,
        zmq.EVENT_DISCONNECTED,
        zmq.EVENT_CONNECT_RETRIED,
        zmq.EVENT_CONNECT_RETRIED,
        zmq.EVENT_CONNECT_DELAYED,
        zmq.EVENT_CONNECTED,
        zmq.EVENT_DISCONNECTED,
    ):
        attempts.note(Event(int(number), 0, "tcp://host:1"))
        found.append(attempts.obstacle)
    unknown, closed = "the host name cannot be resolved", "nobody listens there"
    assert found[:5] == [unknown, "no answer", closed, closed, closed]
    assert found[5:9] == ["the program there has not answered with a ZeroMQ handshake", "", "", ""]
    assert found[9:] == [
        unknown,
        "no answer",
        "the program there has not answered with a ZeroMQ handshake",
        "the program there closes the connection: it is not ZeroMQ 4 or later, or its socket type does not fit",
    ]
