"""A consumer group of a stream of Redis, as one of its consumers uses it (redis.io, "Redis Streams")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.errors import needs_extra

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.redis.connection import RedisCommand, RedisLink
    from message_passing.redis.entries import EntryWindow

_PART = 500
"""The most ids of a command."""


class Claimed(NamedTuple):
    """What was taken over from consumers that are not at work.

    Attributes:
        entries: id, fields, and how often it was delivered, of each.
        removed: how many were no longer in the stream.
        more: whether there may be more.
    """

    entries: list[tuple[bytes, list[bytes], int]]
    removed: int
    more: bool


class RedisGroup:
    """One consumer of a group.

    Attributes:
        ready: whether the group exists, as far as known.
    """

    def __init__(
        self, link: RedisLink, stream: str, group: str, consumer: str, start: str, *, delete: bool
    ) -> None:
        """Begin without knowing.

        Args:
            link: for all but reading.
            stream: its key.
            group: its name.
            consumer: unique to this process.
            start: `all` or `new`, for a group that is created.
            delete: whether to remove what is acknowledged.
        """
        self.ready = False
        self._link, self._stream, self._group, self._consumer = link, stream, group, consumer
        self._start, self._delete = b"0" if start == "all" else b"$", delete
        self._cursor = b"0-0"

    async def create(self) -> bool:
        """Create the group if there is none, and return whether it was created; raises as `RedisLink.ask` does."""
        created = True
        start = await self._begin()
        try:
            await self._link.ask("XGROUP", "CREATE", self._stream, self._group, start, "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
            created = False
        self.ready = True
        return created

    async def _begin(self) -> bytes:
        """Where a group begins that is created: with the first entry, if the stream is another one than was read."""
        if self._start in (b"0", b"$"):
            return self._start
        try:
            last = pairs(await self._link.ask("XINFO", "STREAM", self._stream))[b"last-generated-id"]
        except ResponseError:  # there is none
            return b"0"
        return self._start if _numbers(last) >= _numbers(self._start) else b"0"

    async def read(self, link: RedisLink, count: int, seconds: float) -> list[tuple[bytes, list[bytes]]]:
        """Entries that nobody of the group has had: at most so many, after waiting so long at most.

        Args:
            link: a connection of its own, since the server waits.
            count: of entries.
            seconds: to wait if there is none.
        """
        words = ("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count)
        answer = await link.ask(
            *words, "BLOCK", max(1, round(seconds * 1000)), "STREAMS", self._stream, ">", seconds=seconds
        )
        found = [(key, fields) for _, entries in answer or [] for key, fields in entries]
        if found and self._start == b"$":
            self._start = found[-1][0]  # a group that somebody destroys goes on from here
        return found

    async def settle(self, entries: EntryWindow, ack_wait: float) -> None:
        """Acknowledge, put off, and tell of what takes long; what is answered is removed from what is to be told."""
        done, later = entries.done[:], dict(entries.later)
        commands: list[RedisCommand] = []
        for first in range(0, len(done), _PART):
            part = done[first : first + _PART]
            commands.append(("XACK", self._stream, self._group, *part))
            if self._delete:
                commands.append(("XDEL", self._stream, *part))
        commands += [self._idle(ack_wait - delay, key) for key, delay in later.items()]
        late = [item.key for item in entries.overdue(ack_wait / 3, entries.now())]
        commands += [self._idle(0.0, *late[first : first + _PART]) for first in range(0, len(late), _PART)]
        if not commands:
            return
        await self._ask_all(commands)
        del entries.done[: len(done)]
        for key, delay in later.items():
            if entries.later.get(key) == delay:
                del entries.later[key]

    async def _ask_all(self, commands: list[RedisCommand]) -> list[Any]:
        """The answers to these.

        Raises:
            ResponseError: the first that was refused.
        """
        answers: list[Any] = []
        await self._link.ask_all(commands, lambda _, answer: answers.append(answer))
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def _idle(self, seconds: float, *keys: bytes) -> RedisCommand:
        """The command that has pending entries look as if nobody has been at work on them for so long.

        They keep their count of deliveries (JUSTID), and those that are acknowledged are not made pending again.
        """
        idle = max(0, round(seconds * 1000))
        return ("XCLAIM", self._stream, self._group, self._consumer, 0, *keys, "IDLE", idle, "JUSTID")

    async def claim(self, count: int, ack_wait: float) -> Claimed:
        """Take over what nobody has been at work on for so long: at most so many entries."""
        answer = await self._link.ask(
            "XAUTOCLAIM",
            self._stream,
            self._group,
            self._consumer,
            round(ack_wait * 1000),
            self._cursor,
            "COUNT",
            count,
        )
        self._cursor = answer[0]
        entries = [one for one in answer[1] if one and one[1] is not None]
        removed = len(answer[1]) - len(
            entries
        )  # Redis 6.2 gives nothing in their place, and goes on having them
        removed += len(answer[2]) if len(answer) > 2 else 0
        counts = await self._ask_all(
            [("XPENDING", self._stream, self._group, key, key, 1) for key, _ in entries]
        )
        found = [
            (key, fields, int(told[0][3]) if told else 1)
            for (key, fields), told in zip(entries, counts, strict=True)
        ]
        return Claimed(found, removed, self._cursor != b"0-0")

    async def lag(self) -> tuple[int | None, int]:
        """How many entries are not acknowledged, if that is known; and at least how many nobody had when they went.

        Redis counts all entries that were ever added and, for a group, those that it was given: what has been removed
        beyond the latter was not given (XINFO STREAM, XINFO GROUPS).
        """
        groups, stream = await self._ask_all(
            [("XINFO", "GROUPS", self._stream), ("XINFO", "STREAM", self._stream)]
        )
        told = next((one for one in map(pairs, groups) if one.get(b"name") == self._group.encode()), {})
        whole = pairs(stream)
        added, read, length = whole.get(b"entries-added"), told.get(b"entries-read"), whole[b"length"]
        unread = unread_of(told, whole)
        most = 0 if unread == 0 else length
        missed = max(0, added - most - read) if added is not None and read is not None else 0
        if self._delete:
            return length, missed
        return (None if unread is None else unread + told[b"pending"]), missed

    async def leave(self, ack_wait: float, *, forget: bool) -> None:
        """Give back what this consumer still has, known to it or not.

        Args:
            ack_wait: see the input.
            forget: have the server forget this consumer if it has nothing. What it is given at the same time would be
                forgotten, too: it must not be reading any more.
        """
        left = await self._link.ask("XPENDING", self._stream, self._group, "-", "+", _PART, self._consumer)
        if left:
            await self._ask_all([self._idle(ack_wait, *(one[0] for one in left))])
        elif forget:
            await self._link.ask("XGROUP", "DELCONSUMER", self._stream, self._group, self._consumer)


def _numbers(key: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in key.split(b"-"))


def unread_of(group: Mapping[bytes, Any], stream: Mapping[bytes, Any]) -> int | None:
    """How many entries of a stream a group has not been given; None if that is not known.

    Redis 7.0 counts what was removed before that as still to be read; but no more than the stream has is.

    Args:
        group: what XINFO GROUPS says of it.
        stream: what XINFO STREAM says.
    """
    if group and group[b"last-delivered-id"] == stream[b"last-generated-id"]:
        return 0
    lag: int | None = group.get(b"lag")
    return None if lag is None else min(lag, int(stream[b"length"]))


def pairs(flat: list[Any]) -> dict[bytes, Any]:
    """What XINFO says, by name."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
