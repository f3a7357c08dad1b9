"""Taking records off the handler's queue: each gets its number and is encoded. One thread at a time."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from itertools import count, islice, repeat
from typing import TYPE_CHECKING

from message_passing.jsonable import cut
from message_passing.logging.snapshot import level_of_item
from message_passing.objects import safe
from message_passing.zeromq.sending import TOO_BIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from message_passing.logging.entry import Entry
    from message_passing.logging.fast_encoder import NumberedRecord
    from message_passing.logging.losses import Losses
    from message_passing.logging.snapshot import Snapshotted

NOT_ENCODED = "could not be encoded"

MOST_INTERRUPTIONS = 5
"""How often something that is no `Exception` is raised over one record, each time at once, until that is lost."""

_LONGEST_ERROR = 500
"""Characters of an error that are reported."""


class Load:
    """Bytes of the long records in the queue. Callers add to one number, the sending thread to the other."""

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
        taken: how many records were taken so far.
    """

    def __init__(
        self,
        encode: Callable[[NumberedRecord], bytes],
        losses: Losses,
        load: Load,
        *,
        largest: int = -1,
        numbered: bool = True,
        say: Callable[[str, str], object] = lambda _kind, _text: None,
    ) -> None:
        """Nothing is taken yet.

        Args:
            encode: makes the text of a record.
            losses: where to count.
            load: the long records in the queue.
            largest: bytes of a text above which its record is lost; -1 for no limit.
            numbered: whether records are given numbers.
            say: called when a record could not be encoded, with a kind of error and a sentence.
        """
        self.taken = 0
        self.items: list[NumberedRecord] = []
        self.texts: list[bytes] = []
        self._encode = encode
        self._losses = losses
        self._load = load
        self._largest = largest
        self._numbered = numbered
        self._numbers: Iterator[int] = count(1)
        self._skipped = 0  # numbers of records that were lost before they got one
        self._say = say

    def take(self, queue: deque[Entry | Snapshotted], most: int) -> None:
        """Move records from the queue to `items`, up to so many there, and their texts to `texts`."""
        self._skip()
        records = map(deque.popleft, repeat(queue, min(len(queue), most - len(self.items))))
        # One step, so that a record that has left the queue has its number.
        before = len(self.items)
        self.items.extend(zip(records, self._numbers if self._numbered else repeat(None), strict=False))
        self.taken += len(self.items) - before
        if self._load.waiting:
            self._unload(queue)
        items, texts = self.items, self.texts
        while len(texts) < len(items):
            try:
                texts.extend(map(self._encode, items[len(texts) :]))
            except Exception as error:  # noqa: BLE001 - nothing that a record holds stops the others
                self._lose(len(texts), error)
            except BaseException as error:  # noqa: BLE001
                self._find_out(error)
        # Only if all together are larger can one of them be.
        if 0 <= self._largest < sum(map(len, texts)) and max(map(len, texts)) > self._largest:
            self._leave_out()

    def _leave_out(self) -> None:
        """Drop what is larger than may be sent: a receiver with such a limit disconnects its sender."""
        items, texts = self.items, self.texts
        for place in reversed(range(len(texts))):
            if (size := len(texts[place])) > self._largest:
                level = level_of_item(items[place][0])[1]
                del items[place], texts[place]
                self._losses.add(TOO_BIG, level)
                self._say(TOO_BIG, f"a log record of {size} bytes was lost: maxmsgsize is {self._largest}")

    def _find_out(self, error: BaseException) -> None:
        """See whose doing it was that something was raised that is no `Exception`.

        A signal handler's: the record is as good as before, and the error goes on its way. It is not if a function of
        the user's raises it each time: that costs its record. In another thread than the main one no signal handler
        runs.
        """
        items, texts = self.items, self.texts
        again = MOST_INTERRUPTIONS - 1 if threading.current_thread() is threading.main_thread() else 0
        for _ in range(again):
            try:
                texts.append(self._encode(items[len(texts)]))
            except Exception as another:  # noqa: BLE001 - as in `take`
                self._lose(len(texts), another)
            except BaseException:  # noqa: BLE001, S112
                continue
            raise error
        self._lose(len(texts), error)

    def _skip(self) -> None:
        """Leave out the numbers of records that were lost before they got one: the receiver sees the gap."""
        lost = self._losses.unnumbered
        if self._numbered and lost > self._skipped:
            deque(islice(self._numbers, lost - self._skipped), maxlen=0)
        self._skipped = lost

    def _unload(self, queue: deque[Entry | Snapshotted]) -> None:
        for what, _ in self.items:
            if not isinstance(what, tuple) and what.weight:
                self._load.taken += what.weight
                what.weight = 0
        if not queue:  # a log call that was interrupted may have added bytes and no record
            self._load.taken = self._load.put

    def _lose(self, place: int, error: BaseException) -> None:
        level = level_of_item(self.items[place][0])[1]
        del self.items[place]
        self._losses.add(NOT_ENCODED, level)
        if logging.raiseExceptions:  # as logging's own handlers do
            name = type(error).__name__
            self._say(name, f"a log record {NOT_ENCODED} and was lost: {name}: {_described(error)}")


def _described(error: BaseException) -> str:
    """An error's text, and where it was raised."""
    place, trace = "", error.__traceback__
    while trace:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119 - as in `handler`
        trace = trace.tb_next
    return f"{cut(safe(str, error), _LONGEST_ERROR)} ({place})"
