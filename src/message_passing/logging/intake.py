"""Taking records off the handler's queue: each is given its number and made a text. One thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from itertools import count, islice, repeat
from typing import TYPE_CHECKING

from message_passing.logging.taken import level_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from message_passing.logging.entry import Entry
    from message_passing.logging.losses import Losses
    from message_passing.logging.quick import Item
    from message_passing.logging.taken import Taken

NOT_ENCODED = "could not be encoded"

PATIENCE = 5
"""How often something that is no `Exception` is raised over one record in the main thread until it is lost for it."""


class Load:
    """Bytes of the long records in the queue. Callers add to the one number, whoever sends to the other."""

    __slots__ = ("put", "taken")

    def __init__(self) -> None:
        self.put = self.taken = 0

    @property
    def waiting(self) -> int:
        """How many there are now."""
        return self.put - self.taken


class Intake:
    """What was taken off the queue and is neither sent nor kept yet.

    Records get their numbers here, not in the log call: so whatever a log call is interrupted by, no number is
    without a record or a counted loss, and what is sent is in order.

    A signal handler may raise at any point, when callers do this: nothing may be in a variable only.

    Attributes:
        items: records and their numbers.
        texts: what those were encoded to, as far as that is done.
    """

    def __init__(
        self, encode: Callable[[Item], bytes], losses: Losses, load: Load, *, numbered: bool = True
    ) -> None:
        """Nothing is taken yet.

        Args:
            encode: makes the text of a record.
            losses: where to count.
            load: the long records in the queue.
            numbered: whether records are given numbers.
        """
        self.items: list[Item] = []
        self.texts: list[bytes] = []
        self._encode = encode
        self._losses = losses
        self._load = load
        self._numbered = numbered
        self._numbers: Iterator[int] = count(1)
        self._skipped = 0  # numbers of records that were lost before they got one
        self._suspect: Item | None = (
            None  # while it was encoded something raised that is no Exception, so often:
        )
        self._raised = 0

    def take(self, queue: deque[Entry | Taken], most: int) -> None:
        """Move records from the queue to `items`, up to so many there, and their texts to `texts`."""
        self._skip()
        records = map(deque.popleft, repeat(queue, min(len(queue), most - len(self.items))))
        # One step, so that a record that has left the queue has its number.
        self.items.extend(zip(records, self._numbers if self._numbered else repeat(None), strict=False))
        if self._load.waiting:
            self._unload(queue)
        items, texts = self.items, self.texts
        while len(texts) < len(items):
            try:
                texts.extend(map(self._encode, items[len(texts) :]))
            except Exception:  # noqa: BLE001 - nothing that a record holds stops the others
                self._lose(len(texts))
            except BaseException:
                # A signal handler has raised: the record is as good as before. Or a function of the user's has, which
                # would do so each time. In another thread than the main one no signal handler runs.
                item = items[len(texts)]
                self._raised = self._raised + 1 if item is self._suspect else 1
                self._suspect = item
                if threading.current_thread() is threading.main_thread() and self._raised < PATIENCE:
                    raise
                self._lose(len(texts))

    def _skip(self) -> None:
        """Leave out the numbers of records that were lost before they got one: the receiver sees the gap."""
        lost = self._losses.unnumbered
        if self._numbered and lost > self._skipped:
            deque(islice(self._numbers, lost - self._skipped), maxlen=0)
        self._skipped = lost

    def _unload(self, queue: deque[Entry | Taken]) -> None:
        for what, _ in self.items:
            if not isinstance(what, tuple) and what.weight:
                self._load.taken += what.weight
                what.weight = 0
        if not queue:  # a log call that was interrupted may have added bytes and no record
            self._load.taken = self._load.put

    def _lose(self, place: int) -> None:
        level = level_of(self.items[place][0])[1]
        del self.items[place]
        self._losses.add(NOT_ENCODED, level)
