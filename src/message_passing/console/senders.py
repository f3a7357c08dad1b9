"""What the chain's `Follow` filters know of those who send."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from message_passing.console.layout import Layout

Order = Literal["lost", "silent", "received", "name"]


def followers(layout: Layout) -> list[Any]:
    """The components that keep such books: they have `totals` and `by_sender`."""
    return [
        place.component
        for place in layout.places
        if callable(getattr(place.component, "by_sender", None))
        and callable(getattr(place.component, "totals", None))
    ]


def totals(layout: Layout) -> dict[str, int] | None:
    """The sums over all senders; None when nobody keeps books."""
    found = followers(layout)
    if not found:
        return None
    sums: Counter[str] = Counter()
    for one in found:
        sums.update(one.totals())
        sums["silent"] += one.silent()
    return dict(sums)


def senders(layout: Layout, sort: Order, search: str, limit: int) -> dict[str, Any]:
    """As `GET /senders` gives it.

    Args:
        layout: the components.
        sort: who lost most first, who is silent longest, who sent most, or by name.
        search: only those in whose name this is.
        limit: how many.
    """
    books = [
        {"name": name, **book}
        for one in followers(layout)
        for name, book in ((_named(whose), book) for whose, book in one.by_sender().items())
        if search.casefold() in name.casefold()
    ]
    books.sort(key=_KEYS[sort])
    return {
        "totals": totals(layout),
        "time": time.time(),
        "matching": len(books),
        "senders": books[:limit],
    }


def _named(whose: Any) -> str:
    """A sender's name; with `key_field`, the books are kept by key and name."""
    return whose if isinstance(whose, str) else f"{whose[1]} with the key {whose[0]}"


_KEYS: dict[Order, Any] = {
    "lost": lambda book: (-book["lost"], book["name"]),
    "silent": lambda book: (book["seen"], book["name"]),
    "received": lambda book: (-book["received"], book["name"]),
    "name": lambda book: book["name"],
}
