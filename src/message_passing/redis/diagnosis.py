"""What `message-passing doctor redis://...` finds out: the server, what it keeps, a stream, and who reads it."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from message_passing.errors import needs_extra
from message_passing.network.backoff import RetryLater
from message_passing.network.diagnosis import EngineDiagnosis, Step, advice_on_refusal
from message_passing.options import option
from message_passing.redis.group import pairs, unread_of
from message_passing.redis.options import RedisStreamComponent
from message_passing.redis.reasons import redis_reason

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_MOST_GROUPS = 20
"""The most groups that are named."""


class RedisDiagnosis(RedisStreamComponent, EngineDiagnosis):
    """Examines a Redis server."""

    schemes = ("redis", "rediss")
    address_option = "url"
    name = "Redis::Streams"

    stream: str = option(default="", description="Name of the stream (its key).")

    def examine(self, seconds: float) -> Iterator[Step]:
        """See `EngineDiagnosis`."""
        return iter(asyncio.run(self._examined(seconds)))

    async def _examined(self, seconds: float) -> list[Step]:
        found: list[Step] = []
        try:
            async for step in self._look(seconds):
                found.append(step)
                if not step.ok:
                    break
        except (RetryLater, ResponseError, TimeoutError) as error:
            name = "stream" if found else "server"
            reason = self.link.trouble if isinstance(error, RetryLater) else redis_reason(error)
            return [*found, Step(name, reason, advice_on_refusal("Redis::Streams", reason))]
        finally:
            self.link.close()
            await asyncio.sleep(0)  # it is closed
        return found

    async def _ask(self, seconds: float, *command: str, read: Callable[[Any], Any]) -> Any:
        async with asyncio.timeout(seconds):
            return await self.link.ask(*command, read=read)

    async def _look(self, seconds: float) -> AsyncIterator[Step]:
        told = await self._ask(seconds, "INFO", read=_facts)
        encrypted = "encrypted" if self._encrypted else "not encrypted"
        yield Step("server", f"Redis {told.get('redis_version')} accepted us; the connection is {encrypted}")
        yield _of_role(told)
        yield _of_memory(told)
        if told.get("aof_enabled") == "0":
            text = "what it stores is lost when it ends: its appendonly is no"
            yield Step("persistence", text, skipped=True)
        else:
            yield Step("persistence", "it keeps what it stores: appendonly yes")
        if not self.stream:
            yield Step("stream", 'none was named: --options \'{"stream":"NAME"}\'', skipped=True)
            return
        kind = await self._ask(seconds, "TYPE", self.stream, read=bytes.decode)
        if kind == "none":
            yield Step("stream", f"there is no {self.stream!r}: the first message will create it")
            return
        if kind != "stream":
            yield Step(
                "stream", f"{self.stream!r} is no stream: a {kind}", "choose another name for the stream"
            )
            return
        stream = await self._ask(seconds, "XINFO", "STREAM", self.stream, read=pairs)
        yield Step("stream", f"{self.stream} has {_entries(stream[b'length'])}")
        read = functools.partial(_groups, stream)
        groups = await self._ask(seconds, "XINFO", "GROUPS", self.stream, read=read)
        if not groups:
            yield Step("groups", "nobody has read this stream so far: it has no group", skipped=True)
        for group in groups[:_MOST_GROUPS]:
            yield group
        yield Step("canary", "none was sent: the stream would keep it", skipped=True)


def _facts(told: bytes) -> dict[str, str]:
    """What INFO says (redis.io, "INFO")."""
    lines = (line.partition(":") for line in told.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _of_role(told: dict[str, str]) -> Step:
    if told.get("role", "master") == "master":
        return Step("role", f"it is a master, with {told.get('connected_slaves', '0')} replicas")
    master = f"{told.get('master_host')}:{told.get('master_port')}"
    return Step("role", "it is a replica, and stores nothing itself", f"give its master's address: {master}")


def _of_memory(told: dict[str, str]) -> Step:
    most, used = int(told.get("maxmemory", 0)), int(told.get("used_memory", 0))
    policy = told.get("maxmemory_policy", "noeviction")
    if not most:
        return Step("memory", f"{used} bytes are used; it has no limit (maxmemory)")
    text = f"{used} of {most} bytes are used (maxmemory, with {policy})"
    if policy != "noeviction":
        advice = "set maxmemory-policy noeviction: with this one it removes whole streams when it is full"
        return Step("memory", text, advice)
    full = "it is full, and stores nothing more: remove something, or raise maxmemory"
    return Step("memory", text, full if used >= most else "")


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _groups(stream: dict[bytes, Any], told: list[list[Any]]) -> list[Step]:
    return [_of_group(pairs(one), stream) for one in told]


def _of_group(group: dict[bytes, Any], stream: dict[bytes, Any]) -> Step:
    name, lag = group[b"name"].decode(errors="replace"), unread_of(group, stream)
    waiting = "an unknown number of entries" if lag is None else _entries(lag)
    text = f"{name}: {waiting} to be read, {group[b'pending']} not acknowledged"
    if lag and not group[b"consumers"]:
        advice = f'start a node: --input Redis::Streams --input_options \'{{"group":"{name}", ...}}\''
        return Step("group", f"{text}, and no node reads", advice)
    return Step("group", text)
