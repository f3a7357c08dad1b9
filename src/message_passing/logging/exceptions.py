"""What a record tells of an exception."""

from __future__ import annotations

import traceback
from itertools import islice
from typing import TYPE_CHECKING, Any

from message_passing.jsonable import cut, safe
from message_passing.logging.attributes import LARGEST, name_of

if TYPE_CHECKING:
    from types import TracebackType

_NESTED = 8
"""How many chained causes of an exception are described."""

_FRAMES = 1000
"""How many frames of a traceback are shown at most, of a longer one the nearest."""


def described_exception(
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None] | Any,
    largest: int = LARGEST,
) -> dict[str, Any] | None:
    """An exception's type, message and traceback, and the same of what caused it."""
    error = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) > 1 else exc_info
    if not isinstance(error, BaseException):
        return None
    causes: list[BaseException] = []
    seen, cause = {id(error)}, _cause_of(error)
    while cause is not None and id(cause) not in seen and len(causes) <= _NESTED:
        seen.add(id(cause))
        causes.append(cause)
        cause = _cause_of(cause)
    try:
        trace = cut("".join(_traceback_of(error, causes)), largest)
    except Exception as trouble:  # noqa: BLE001 - a __str__ or __notes__ that raises
        trace = f"(no traceback: {type(trouble).__name__})"
    described: dict[str, Any] = {**_named(error, largest), "traceback": trace}
    if causes:
        described["causes"] = [_named(cause, largest) for cause in causes[:_NESTED]]
    return described


def _traceback_of(error: BaseException, causes: list[BaseException]) -> list[str]:
    """As Python prints it; of a long chain, or of a deep stack, the nearest part."""
    frames = 0
    for one in (error, *causes):
        frames = max(frames, sum(1 for _ in islice(traceback.walk_tb(one.__traceback__), _FRAMES + 1)))
    if frames <= _FRAMES and len(causes) <= _NESTED:
        return traceback.format_exception(type(error), error, error.__traceback__)
    # traceback.format_exception would go through all of the chain, however long it is.
    named = _named(error, 1000)
    return [
        f"Traceback (most recent call last; the last {_FRAMES} calls at most, and no causes):\n",
        *traceback.format_tb(error.__traceback__, -_FRAMES),
        f"{named['type']}: {named['message']}\n",
    ]


def _named(error: BaseException, largest: int) -> dict[str, str]:
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return {"type": name_of(name), "message": cut(safe(str, error), largest)}


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
