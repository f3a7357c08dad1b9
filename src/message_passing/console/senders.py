"""Per-sender statistics, from the chain's `Follow` filters.

Adding up and sorting the books of many senders takes long: it is done again only when there is time for it
(`RANKING_SHARE`), and requests meanwhile get the previous result.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from message_passing.console.governor import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.console.topology import Topology

Order = Literal["lost", "idle", "received", "name"]
_Result = TypeVar("_Result")
_Ranked = tuple[Any, float, Any]
"""A sender, the number it is sorted by, and the filter that has its statistics."""

_VALUES: dict[Order, str] = {"lost": "lost", "idle": "seen", "received": "received", "name": "seen"}
_METHODS = ("totals", "idle", "values", "book", "label_of")

RANKING_SHARE, RANKING_BURST = 0.01, 0.05
"""The share of one core that adding up and sorting may take, and the seconds that they may take at once."""

MOST_SENDERS = 1000
"""Senders of one answer; `offset` asks for those after them."""

LONGEST_NAME = 1000
"""Characters that are shown of a sender's name."""


class _Kept(Generic[_Result]):
    """A result that is made again when there is time for it.

    Attributes:
        since: when it was made, in seconds since 1970.
    """

    def __init__(self, make: Callable[[], _Result]) -> None:
        self._make = make
        self._result: _Result | None = None
        self.since = 0.0

    def get(self, bucket: Bucket, spent: Callable[[float], object]) -> _Result:
        """The result; `bucket` has the time for making it, and `spent` is called with the time taken."""
        if self._result is None or bucket.level() > 0:
            began = time.thread_time()
            self._result, self.since = self._make(), time.time()
            took = time.thread_time() - began
            bucket.spend(took)
            spent(took)
        return self._result


class SenderRanking:
    """The statistics of all senders of some chains."""

    def __init__(self, layout: Topology, spent: Callable[[float], object] = lambda _: None) -> None:
        """Find the filters that have them: components with `totals`, `idle`, `values`, `book` and `label_of`.

        Args:
            layout: the components.
            spent: called with the seconds that each summing and sorting took.
        """
        self._followers: list[Any] = [
            place.component
            for place in layout.places
            if all(callable(getattr(place.component, name, None)) for name in _METHODS)
        ]
        self._spent = spent
        self._bucket = Bucket(RANKING_SHARE, RANKING_BURST)
        self._totals = _Kept(self._add_up)
        self._ranked: dict[Order, _Kept[list[_Ranked]]] = {
            order: _Kept(partial(self._rank, order)) for order in get_args(Order)
        }

    def totals(self) -> dict[str, int] | None:
        """The sums over all senders; None if loss tracking is off."""
        return self._totals.get(self._bucket, self._spent) if self._followers else None

    def page(self, sort: Order, search: str, limit: int, offset: int = 0) -> dict[str, Any]:
        """As `GET /senders` gives it.

        Args:
            sort: by losses, idle time or messages received, largest first, or by name.
            search: only those in whose name or label this is.
            limit: how many.
            offset: how many before them are left out.
        """
        ranked = self._ranked[sort]
        books = ranked.get(self._bucket, self._spent)
        if search:
            wanted = search.casefold()
            books = [
                one for one in books if wanted in f"{_named(one[0])}\n{one[2].label_of(one[0])}".casefold()
            ]
        page = [
            (whose, one.book(whose), one.label_of(whose)) for whose, _, one in books[offset : offset + limit]
        ]
        return {
            "totals": self.totals(),
            "time": ranked.since,
            "matching": len(books),
            "senders": [
                {"name": _named(whose)[:LONGEST_NAME], "label": label[:LONGEST_NAME], **book}
                for whose, book, label in page
                if book
            ],
        }

    def _add_up(self) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for one in self._followers:
            sums.update(one.totals())
            sums["idle"] += one.idle()
        return dict(sums)

    def _rank(self, order: Order) -> list[_Ranked]:
        ranked = [(*pair, one) for one in self._followers for pair in one.values(_VALUES[order])]
        # Of those that are the same, who came first is first: comparing names too takes long, and most lose nothing.
        if order == "name":
            return sorted(ranked, key=lambda one: _named(one[0]))
        return sorted(ranked, key=itemgetter(1), reverse=order != "idle")


def _named(whose: Any) -> str:
    """A sender's name; with `key_field`, the books are kept by key and name."""
    return whose if isinstance(whose, str) else f"{whose[1]} with the key {whose[0]}"
