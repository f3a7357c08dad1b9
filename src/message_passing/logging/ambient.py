"""What surrounds a log call and is not in the record: the asyncio task, and the span of OpenTelemetry.

Nothing is imported for either: a program that has not loaded them has neither.
"""

from __future__ import annotations

import os
import sys
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

Around = tuple[str | None, int, int]
"""The name of the task, and the ids of trace and span: 0 where there is no span."""

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
    return (task, trace, span) if task is not None or trace else None


def ids_of(surroundings: Around) -> tuple[str | None, str | None]:
    """The ids of trace and span as they are written: https://www.w3.org/TR/trace-context/."""
    _, trace, span = surroundings
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
