"""Messages that are sent again: what `message-passing replay` reads, and how far it has got."""

from __future__ import annotations

import asyncio
import binascii
import json
import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from message_passing.clock import monotonic
from message_passing.delivery import Outcome
from message_passing.errors import MessageError, OpenError
from message_passing.failures import is_dead_letter
from message_passing.flow import Input
from message_passing.options import option
from message_passing.redelivery import AttemptResult, DeliveryAttempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LINE = 64 << 20
"""Bytes of the longest line that is read: a dead letter of 16 MiB, in base64 or with JSON's escapes."""

_BATCH = 500
"""Messages that are on their way at once, at most; and"""
_BATCH_BYTES = 1 << 20
"""bytes of them, but for one that is larger."""

_RETRY = 0.5
"""Seconds until a batch that was lost is sent again."""

_REPORT_KEYS = ("time", "class", "exception", "component")
"""What has all of these is a report (`failures.report`)."""


class NotSentError(MessageError):
    """A line that is not sent again."""


def content_of_line(line: bytes, reason: str = "") -> bytes | None:
    """The message in a line: that of a dead letter, or else the line itself.

    Args:
        line: JSON, without its end.
        reason: a dead letter whose `exception` does not contain this is left out.

    Returns:
        The message; None if it is left out.

    Raises:
        NotSentError: it is not JSON, or a report that has not the whole message.
    """
    try:
        letter = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotSentError(f"not JSON: {error}") from error
    if not isinstance(letter, dict) or not all(isinstance(letter.get(key), str) for key in _REPORT_KEYS):
        return None if reason else line
    if reason not in letter["exception"]:
        return None
    if letter.get("truncated") or (letter.get("count", 1) != 1 and not is_dead_letter(letter)):
        raise NotSentError("it does not contain the whole message: only reports with `dead_letters` do")
    return _content_of(letter)


def _content_of(letter: dict[str, Any]) -> bytes:
    try:
        if "packed_data_base64" in letter:
            return binascii.a2b_base64(letter["packed_data_base64"], strict_mode=True)
        if "packed_data" in letter:
            return bytes(letter["packed_data"].encode())
        if "stringified_data" in letter:
            json.loads(letter["stringified_data"])
            return bytes(letter["stringified_data"].encode())
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotSentError("its message is not in a report's format: JSON, text or base64") from error
    raise NotSentError("it has no message: it reports something else")


class Position:
    """How far a file has been sent, kept in another file."""

    def __init__(self, path: str, source: BinaryIO) -> None:
        """Read it.

        Args:
            path: of the file that it is kept in; empty for none.
            source: what is read.

        Raises:
            OpenError: it cannot be read, or is the position in another file.
        """
        self._path = path
        found = os.fstat(source.fileno())
        self._of = [found.st_dev, found.st_ino]
        self.begin = 0
        if not path:
            return
        try:
            with open(path, "rb") as kept:  # noqa: PTH123 - as written by the user
                known = json.loads(kept.read(1000))
            of, begin = known["file"], known["position"]
        except FileNotFoundError:
            return
        except OSError as error:
            raise OpenError(f"--resume {path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise OpenError(f"--resume {path}: it is not a position file of this command") from error
        if of != self._of or not isinstance(begin, int) or not 0 <= begin <= found.st_size:
            text = "it is a position in another file, or in one that was truncated: remove it to start over"
            raise OpenError(f"--resume {path}: {text}")
        self.begin = begin

    def save(self, position: int) -> None:
        """Everything before this has been sent.

        Raises:
            OSError: it cannot be written.
        """
        if self._path:
            temporary = f"{self._path}.new"
            with open(temporary, "w", encoding="utf-8") as kept:  # noqa: PTH123 - as above
                json.dump({"file": self._of, "position": position}, kept)
                kept.flush()
                os.fsync(kept.fileno())
            os.replace(temporary, self._path)  # noqa: PTH105 - as above


@dataclass(slots=True)
class Counts:
    """What became of the lines.

    Attributes:
        taken: settled, and not lost.
        wrong: lines that have no whole message.
        left_out: dead letters of another reason.
        stuck: why it ended early; empty if it did not.
        ended: everything was read.
    """

    taken: int = 0
    wrong: int = 0
    left_out: int = 0
    stuck: str = ""
    ended: bool = False


@dataclass(slots=True)
class _Batch:
    messages: list[bytes] = field(default_factory=list)
    size: int = 0
    end: int = 0  # position behind it


def _settle(settled: asyncio.Future[AttemptResult], result: AttemptResult) -> None:
    if not settled.done():
        settled.set_result(result)


class ReplayInput(Input):
    """Reads dead letters or JSON lines, and delivers their messages, a batch after the other.

    Where nothing is taken for too long, it calls `give_up`, by default nothing.

    A position is saved once what is before it is settled as DELIVERED or REJECTED. What is LOST is sent again.
    """

    name = "Replay"

    source: Any = option(description="The file, open to be read as bytes.", python_only=True)
    position: Any = option(description="The `Position` in it.", python_only=True)
    tell: Any = option(description="Called with a sentence for a person.", python_only=True)
    show: Any = option(description="Called with bytes done, and bytes in all.", python_only=True)
    size: int = option(default=0, ge=0, description="Where it ends, in bytes; 0: where nothing more comes.")
    rate: float = option(default=0.0, ge=0, description="Messages a second; 0: as fast as they are taken.")
    reason: str = option(default="", description="What the reason of a dead letter must contain.")
    timeout: float = option(
        default=30.0, gt=0, description="Seconds in which nothing is taken until it ends."
    )

    def on_init(self) -> None:
        """Nothing was sent."""
        super().on_init()
        self.counts = Counts()
        self.give_up: Callable[[], object] = list

    async def run(self) -> None:
        """Send everything."""
        began = monotonic()
        for batch in self._batches():
            if batch.messages and not await self._sent(batch.messages):
                return
            self.position.save(batch.end)
            self.show(batch.end, self.size)
            ahead = self.counts.taken / self.rate - (monotonic() - began) if self.rate else 0
            await asyncio.sleep(max(0, ahead))
        self.counts.ended = True

    async def _sent(self, messages: list[bytes]) -> bool:
        """Whether these were taken: what is lost of them is delivered again."""
        until, left, exact = monotonic() + self.timeout, messages, True
        while True:
            settled: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
            attempt = DeliveryAttempt(self, self.emit, partial(_settle, settled), comes_again=True)
            attempt.hand_on([*left], one_by_one=not exact)
            try:
                async with asyncio.timeout(max(0.0, until - monotonic())):
                    result = await settled
                    if result.outcome is not Outcome.LOST:
                        break
                    if len(result.lost) < len(left):  # something was accepted
                        until = monotonic() + self.timeout
                    left, exact = [left[index] for index in result.lost], exact and result.exact
                    await asyncio.sleep(_RETRY)
            except TimeoutError:
                self.counts.stuck = f"nothing was accepted for {self.timeout:g} seconds (--timeout)"
                self.give_up()
                return False
        self.counts.taken += len(messages)
        return True

    def _batches(self) -> Iterator[_Batch]:
        most = min(_BATCH, max(1, int(self.rate / 5))) if self.rate else _BATCH
        batch = _Batch(end=self.position.begin)
        for line, end in self._lines(self.position.begin):
            message = self._message_of(line, end)
            batch.end = end
            if message is not None:
                batch.messages.append(message)
                batch.size += len(message)
            if len(batch.messages) >= most or batch.size >= _BATCH_BYTES:
                yield batch
                batch = _Batch(end=end)
        yield batch

    def _lines(self, position: int) -> Iterator[tuple[bytes, int]]:
        """Lines, and where each ends."""
        if position:
            self.source.seek(position)
        while not self.size or position < self.size:
            line = self.source.readline(MOST_LINE)
            if not line:
                return
            position += len(line)
            if not line.isspace():
                yield line.rstrip(b"\r\n"), position

    def _message_of(self, line: bytes, end: int) -> bytes | None:
        try:
            message = content_of_line(line, self.reason)
        except NotSentError as error:
            self.counts.wrong += 1
            if self.counts.wrong <= _MOST_TOLD:
                self.tell(f"the line that ends at byte {end} is not sent: {error}")
            return None
        self.counts.left_out += message is None
        return message


_MOST_TOLD = 10
"""Lines that are told of; all are counted."""
