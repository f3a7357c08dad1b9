"""Uncaught exceptions of the program and its threads as log records: only if installed.

    from message_passing.logging import hooks

    hooks.install()

The previous hooks are called afterwards, so what they print is still printed.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class _Hooks:
    """One pair of hooks and what they chain to; without a logger they only chain."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger: logging.Logger | None = logger
        self._program: Callable[..., Any] = sys.excepthook
        self._threads: Callable[..., Any] = threading.excepthook
        # Taken once: each look at a bound method makes another object, and `uninstall` compares.
        self._hooks = self._on_program, self._on_thread
        sys.excepthook, threading.excepthook = self._hooks

    def remove(self) -> None:
        """Restore the earlier hooks; if another hook was installed over ours, ours stays and only chains."""
        self.logger = None
        if sys.excepthook is self._hooks[0]:
            sys.excepthook = self._program
        if threading.excepthook is self._hooks[1]:
            threading.excepthook = self._threads

    def _on_program(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._log("uncaught exception", kind, (kind, error, trace))
        self._program(kind, error, trace)

    def _on_thread(self, args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "a thread that has ended"
        found = (args.exc_type, args.exc_value, args.exc_traceback)
        self._log(f"uncaught exception in {name}", args.exc_type, found)
        self._threads(args)

    def _log(self, text: str, kind: type[BaseException], exc_info: Any) -> None:
        # KeyboardInterrupt and SystemExit are how people and programs end programs.
        if self.logger and issubclass(kind, Exception):
            self.logger.critical(text, exc_info=exc_info)


_installed: list[_Hooks] = []


def install(logger: logging.Logger | None = None) -> None:
    """Log every uncaught exception at CRITICAL, then call the previous hooks.

    A second call only changes the logger.

    Args:
        logger: by default the one called `uncaught`.
    """
    logger = logger or logging.getLogger("uncaught")
    if _installed:
        _installed[0].logger = logger
    else:
        _installed.append(_Hooks(logger))


def uninstall() -> None:
    """Stop logging them, and restore the earlier hooks; does nothing if none are installed."""
    while _installed:
        _installed.pop().remove()
