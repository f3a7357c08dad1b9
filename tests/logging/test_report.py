"""The handler's own word on what it lost, for who asks for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from message_passing.logging import ZeroMQHandler
from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    import pytest


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
    at_the_end = capsys.readouterr().err
    assert told.count("\n") == at_the_end.count("\n") == 1
    assert "log records lost so far" in told
    assert "10 unsent at close" in at_the_end


def test_nothing_is_told_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A handler by itself prints nothing, whatever it loses."""
    handler = ZeroMQHandler(connect=f"tcp://127.0.0.1:{free_port()}", socket_hwm=10, linger=0)
    lose(handler, 100)
    handler.close()
    assert capsys.readouterr() == ("", "")
