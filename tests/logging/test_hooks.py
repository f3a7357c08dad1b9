"""Hooks for uncaught exceptions: they log, they chain, and they can be taken away again."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.logging import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException | None]]:
    """What the hooks that were there before are given."""
    seen: list[BaseException | None] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: seen.append(error))
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
    yield seen
    hooks.uninstall()


def raised(error: BaseException) -> None:
    """What the interpreter does with an exception that nothing caught."""
    sys.excepthook(type(error), error, error.__traceback__)


def raised_in_thread(error: BaseException) -> None:
    """The same in a thread."""

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()


@pytest.mark.parametrize("happen", [raised, raised_in_thread])
def test_an_uncaught_exception_is_logged_and_passed_on(
    happen: Any, earlier: list[BaseException | None], caplog: pytest.LogCaptureFixture
) -> None:
    """Both hooks log at CRITICAL with the exception, then call what was there."""
    error = LookupError("no such thing")
    hooks.install()
    happen(error)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("uncaught", logging.CRITICAL)
    assert record.exc_info
    assert record.exc_info[1] is error
    assert earlier == [error]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(3)], ids=["KeyboardInterrupt", "SystemExit"])
@pytest.mark.parametrize("happen", [raised, raised_in_thread])
def test_an_end_that_was_wanted_is_passed_on_and_not_logged(
    happen: Any,
    end: BaseException,
    earlier: list[BaseException | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ctrl-C and sys.exit are no failures."""
    hooks.install()
    happen(end)
    assert not caplog.records
    assert earlier == [end]


def test_a_second_install_changes_the_logger_alone(
    earlier: list[BaseException | None], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged twice."""
    hooks.install()
    hooks.install(logging.getLogger("shop.crash"))
    raised(LookupError())
    assert [record.name for record in caplog.records] == ["shop.crash"]
    assert len(earlier) == 1


def test_uninstall_puts_the_earlier_hooks_back(earlier: list[BaseException | None]) -> None:
    """As if nothing had been installed; once more does nothing."""
    before = sys.excepthook, threading.excepthook
    hooks.install()
    assert (sys.excepthook, threading.excepthook) != before
    hooks.uninstall()
    hooks.uninstall()
    assert (sys.excepthook, threading.excepthook) == before
    assert not earlier


def test_a_hook_put_over_ours_stays(
    earlier: list[BaseException | None], caplog: pytest.LogCaptureFixture
) -> None:
    """Ours then only chains."""
    hooks.install()
    ours = sys.excepthook

    def over(*args: Any) -> None:
        ours(*args)

    sys.excepthook = over
    hooks.uninstall()
    assert sys.excepthook is over
    raised(LookupError())
    assert not caplog.records
    assert len(earlier) == 1
