"""What surrounds a log call and is not in the record: the asyncio task, OpenTelemetry's span, the bound context.

Nothing is imported for them: a program that has not loaded one does not have it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging

Around = tuple[str | None, int, int, dict[str, Any] | None]
"""The name of the task, the ids of trace and span (0 where there is no span), and the bound context, if any."""

bound: ContextVar[dict[str, Any] | None] = ContextVar("message_passing_context", default=None)
"""The context that `logging.context` has bound: plain and bounded values. Further bindings go into the same dict."""

context_users: list[str] = []
"""What may bind a context: as long as nothing may, no log call looks for one."""

_CARRIED = "_message_passing_context"

_LARGEST_TRACE, _LARGEST_SPAN = (1 << 128) - 1, (1 << 64) - 1


def around(record: logging.LogRecord) -> Around | None:
    """What surrounds the call that made a record; None if nothing does, or if it was made elsewhere.

    A record that another process or thread hands on (`QueueListener`, a server) has nothing to do with what surrounds
    that one.
    """
    if not getattr(type(record), "made_here", False) and (
        record.thread not in (None, get_ident()) or record.process not in (None, os.getpid())
    ):
        return None
    task, (trace, span) = _task_name(), _span_ids()
    context = bound.get() if context_users else None
    if task is None and not trace and not context:
        return None
    return task, trace, span, context.copy() if context else None  # another thread may bind more meanwhile


def carry(error: BaseException, context: dict[str, Any]) -> None:
    """Attach a context to an exception that leaves it, so that a server that logs it has the context, too."""
    with contextlib.suppress(Exception):  # a class of the application's, which may refuse
        setattr(error, _CARRIED, context.copy())


def carried(error: BaseException | None) -> dict[str, Any] | None:
    """The context attached to an exception, if any."""
    if not context_users or error is None:
        return None
    try:
        found = object.__getattribute__(error, "__dict__").get(_CARRIED)
    except Exception:  # noqa: BLE001 - a class of the application's, which may do anything
        return None
    return found if type(found) is dict else None


def ids_of(surroundings: Around) -> tuple[str | None, str | None]:
    """The ids of trace and span as they are written: https://www.w3.org/TR/trace-context/."""
    _, trace, span, _ = surroundings
    return (f"{trace:032x}", f"{span:016x}") if trace else (None, None)


def _task_name() -> str | None:
    """The name of the asyncio task that logs; Python 3.11's records have none."""
    if (events := sys.modules.get("asyncio.events")) is None or not events._get_running_loop():  # noqa: SLF001
        return None
    try:
        task = sys.modules["asyncio"].current_task()
        name = task.get_name() if task else None
    except Exception:  # noqa: BLE001 - no loop runs, or its tasks are of somebody else's making
        return None
    return name if type(name) is str else None


def _span_ids() -> tuple[int, int]:
    """The ids of the trace and the span that are active; zeros if none is."""
    if (module := sys.modules.get("opentelemetry.trace")) is None:
        return 0, 0
    try:
        context = module.get_current_span().get_span_context()
        trace, span = context.trace_id, context.span_id
    except Exception:  # noqa: BLE001 - it is not there, not loaded to its end, or not what it should be
        return 0, 0
    if type(trace) is int and type(span) is int and 0 < trace <= _LARGEST_TRACE and 0 < span <= _LARGEST_SPAN:
        return trace, span
    return 0, 0
