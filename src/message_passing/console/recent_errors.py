"""The last failures that components reported, recorded on their way to the error chain."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.abbreviation import abbreviate_text, bounded_repr, class_name
from message_passing.errors import LossError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.component import Component

KEPT = 100
"""Failures that are kept; older ones are only counted."""

SHOWN = 1100
"""Characters of each text of a failure that are kept: what a report has, with the mark of its cut."""

_LOSS = class_name(LossError)


class RecentErrors:
    """The last failures.

    Attributes:
        count: how many there were, messages that failed together counted as one.
    """

    def __init__(self) -> None:
        """None yet."""
        self.count = 0
        self._last: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._heads: list[Component] = []
        self._reporters: list[Component] = []

    def listen(self, heads: Iterable[Component], reporters: Iterable[Component] = ()) -> None:
        """Note what these are given and report, and what those of before are and do no more.

        Args:
            heads: where error chains begin.
            reporters: those whose reports go to none of these.
        """
        self.leave()
        for one in heads:
            one.observers += (self._note_all,)
            self._heads.append(one)
        for one in reporters:
            one.report_observers += (self._note,)
            self._reporters.append(one)

    def leave(self) -> None:
        """Stop recording."""
        for one in self._heads:
            one.observers = tuple(each for each in one.observers if each != self._note_all)
        for one in self._reporters:
            one.report_observers = tuple(each for each in one.report_observers if each != self._note)
        self._heads.clear()
        self._reporters.clear()

    def _note_all(self, reports: Iterable[Any]) -> None:
        for one in reports:
            self._note(one)

    def _note(self, report: Any) -> None:
        if isinstance(report, dict) and report.get("class") == _LOSS:  # the counters say it, and why
            return
        self.count += 1
        self._last.append(_described(time.time(), report))

    def last(self, limit: int = KEPT) -> list[dict[str, Any]]:
        """The last ones, newest first, as `GET /errors` gives them."""
        return [*self._last][: -limit - 1 : -1]


def _described(when: float, report: Any) -> dict[str, Any]:
    """One of them; the reports of `failures` have these names, and anything else is shown as it is.

    Whatever it is, less than 4 * `SHOWN` characters of it are kept.
    """
    found = report if isinstance(report, dict) else {}
    name = _short(_brief(found.get("class", "")))
    text = _brief(found.get("exception", report))
    return {
        "time": when,
        "component": _brief(found.get("component", "")),
        "error": f"{name}: {text}" if name else text,
        "message": _brief(found.get("packed_data", found.get("stringified_data", ""))),
    }


def _short(name: str) -> str:
    """A class's own name; where a report has the original's, ours: `Message::Passing::Exception::Decoding`."""
    *_, last = name.rpartition("::")
    return f"{last}Error" if "::" in name else name.rpartition(".")[2]


def _brief(value: Any) -> str:
    return abbreviate_text(value, SHOWN) if isinstance(value, str) else bounded_repr(value, SHOWN)
