"""The handler's own word on standard error: what it lost, and why nothing is delivered."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest

from logs import run
from message_passing.logging import ZeroMQHandler
from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
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
    why, lost = capsys.readouterr().err.splitlines()
    assert why == f"message-passing: log records are not delivered: {endpoint}: nobody listens there"
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
    "nobody connects": ("", {"socket_bind": "tcp://127.0.0.1:{port}"}, "nobody has connected"),
    "address in use": ("", {"socket_bind": "tcp://127.0.0.1:{taken}"}, "address in use"),
    "not our address": ("", {"socket_bind": "tcp://192.0.2.1:{port}"}, "this machine has no such address"),
    "no such folder": ("", {"socket_bind": "ipc://{folder}/none/x.sock"}, "the folder does not exist"),
    "accepts and says nothing": ("tcp://127.0.0.1:{taken}", {}, "has not answered as ZeroMQ does"),
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
    why, lost = done.stderr.splitlines()
    assert why.startswith("message-passing: log records are not delivered: ")
    assert text in why
    assert lost.startswith("message-passing: 1 log records lost so far in process")
    assert lost.endswith(": 1 unsent at close")
