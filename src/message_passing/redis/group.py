"""A consumer group of a stream of Redis, as one of its consumers uses it (redis.io, "Redis Streams")."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.clock import monotonic
from message_passing.errors import needs_extra
from message_passing.redis.entries import StreamEntry, require_bytes

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
        entries: each knows how often it was delivered.
        removed: how many were no longer in the stream.
        more: whether there may be more.
    """

    entries: list[StreamEntry]
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
            last = await self._link.ask("XINFO", "STREAM", self._stream, read=_last_id)
        except ResponseError:  # there is none
            return b"0"
        return self._start if last >= _numbers(self._start) else b"0"

    async def read(self, link: RedisLink, count: int, seconds: float) -> list[StreamEntry]:
        """Entries that nobody of the group has had: at most so many, after waiting so long at most.

        Args:
            link: a connection of its own, since the server waits.
            count: of entries.
            seconds: to wait if there is none.
        """
        words = ("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count, "BLOCK")
        place = (max(1, round(seconds * 1000)), "STREAMS", self._stream, ">")
        found: list[StreamEntry] = await link.ask(*words, *place, read=_entries_of_streams, seconds=seconds)
        if found and self._start == b"$":
            self._start = found[-1].key  # a group that somebody destroys goes on from here
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
        await self._link.ask_each(commands)
        del entries.done[: len(done)]
        for key, delay in later.items():
            if entries.later.get(key) == delay:
                del entries.later[key]

    def _idle(self, seconds: float, *keys: bytes) -> RedisCommand:
        """The command that has pending entries look as if nobody has been at work on them for so long.

        They keep their count of deliveries (JUSTID), and those that are acknowledged are not made pending again.
        """
        idle = max(0, round(seconds * 1000))
        return ("XCLAIM", self._stream, self._group, self._consumer, 0, *keys, "IDLE", idle, "JUSTID")

    async def claim(self, count: int, ack_wait: float) -> Claimed:
        """Take over what nobody has been at work on for so long: at most so many entries."""
        self._cursor, entries, removed = await self._link.ask(
            "XAUTOCLAIM",
            self._stream,
            self._group,
            self._consumer,
            round(ack_wait * 1000),
            self._cursor,
            "COUNT",
            count,
            read=_claimed,
        )
        keys: list[bytes] = [one.key for one in entries]
        asked: list[RedisCommand] = [("XPENDING", self._stream, self._group, key, key, 1) for key in keys]
        for entry, deliveries in zip(entries, await self._link.ask_each(asked, _deliveries), strict=True):
            entry.deliveries = deliveries
        return Claimed(entries, removed, self._cursor != b"0-0")

    async def lag(self) -> tuple[int | None, int]:
        """How many entries are not acknowledged, if that is known; and at least how many nobody had when they went.

        Redis counts all entries that were ever added and, for a group, those that it was given: what has been removed
        beyond the latter was not given (XINFO STREAM, XINFO GROUPS).
        """
        told = await self._link.ask("XINFO", "GROUPS", self._stream, read=self._own)
        read = functools.partial(self._lag_of, told)
        found: tuple[int | None, int] = await self._link.ask("XINFO", "STREAM", self._stream, read=read)
        return found

    def _own(self, told: list[list[Any]]) -> dict[bytes, Any]:
        """What is said of this group; nothing if there is none."""
        return next((one for one in map(pairs, told) if one.get(b"name") == self._group.encode()), {})

    def _lag_of(self, group: dict[bytes, Any], told: list[Any]) -> tuple[int | None, int]:
        stream = pairs(told)
        added, read, length = stream.get(b"entries-added"), group.get(b"entries-read"), int(stream[b"length"])
        unread = unread_of(group, stream)
        most = 0 if unread == 0 else length
        missed = max(0, added - most - read) if added is not None and read is not None else 0
        if self._delete:
            return length, missed
        return (None if unread is None else unread + int(group[b"pending"])), missed

    async def leave(self, ack_wait: float, *, forget: bool) -> None:
        """Give back what this consumer still has, known to it or not.

        Args:
            ack_wait: see the input.
            forget: have the server forget this consumer if it has nothing. What it is given at the same time would be
                forgotten, too: it must not be reading any more.
        """
        words = ("XPENDING", self._stream, self._group, "-", "+", _PART, self._consumer)
        if left := await self._link.ask(*words, read=_keys):
            await self._link.ask(*self._idle(ack_wait, *left))
        elif forget:
            await self._link.ask("XGROUP", "DELCONSUMER", self._stream, self._group, self._consumer)


def _last_id(told: list[Any]) -> tuple[int, ...]:
    return _numbers(pairs(told)[b"last-generated-id"])


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


def _entries_of_streams(answer: list[Any] | None) -> list[StreamEntry]:
    now = monotonic()
    return [StreamEntry(key, fields, now) for _, entries in answer or [] for key, fields in entries]


def _claimed(answer: list[Any]) -> tuple[bytes, list[StreamEntry], int]:
    """Where to go on, what is there, and how many are no longer."""
    now = monotonic()
    entries = [StreamEntry(key, fields, now) for key, fields in filter(None, answer[1]) if fields is not None]
    removed = len(answer[1]) - len(entries)  # Redis 6.2 gives nothing in their place, and goes on having them
    return require_bytes(answer[0]), entries, removed + (len(answer[2]) if len(answer) > 2 else 0)


def _deliveries(told: list[list[Any]]) -> int:
    return int(told[0][3]) if told else 1


def _keys(told: list[list[Any]]) -> list[bytes]:
    return [require_bytes(one[0]) for one in told]


def pairs(flat: list[Any]) -> dict[bytes, Any]:
    """What XINFO says, by name."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
