"""What a Redis server and its client library say, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import OpenError, needs_extra
from message_passing.escaping import one_line
from message_passing.network.listener_probe import REDIS
from message_passing.network.reasons import (
    CLOSED_BY_SERVER,
    NO_ANSWER,
    NOT_WANTED,
    ODD_ANSWER,
    network_reason,
)

with needs_extra("redis"):
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import InvalidResponse
    from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_REDIS = f"{NOT_WANTED}{REDIS}"

_REPLICA = "the server is a replica, and stores nothing itself: use the address of its master"

_WORDS = {
    "WRONGPASS": "the server refuses the credentials (options username and password)",
    "invalid username-password pair": "the server refuses the credentials (options username and password)",
    "invalid password": "the server refuses the credentials (options username and password)",
    "NOAUTH": "the server wants a password (options username and password)",
    "Authentication required": "the server wants a password (options username and password)",
    "without any password configured": "the server has no password for this user: leave out the option password",
    "OOM": "the server is full (its maxmemory): it stores nothing more until something is removed",
    "command not allowed when used memory": "the server is full (its maxmemory): it stores nothing more until"
    " something is removed",
    "READONLY": _REPLICA,
    "You can't write against a read only replica": _REPLICA,
    "WRONGTYPE": "what the server has under this name is no stream",
    "Operation against a key holding the wrong kind": "what the server has under this name is no stream",
    "LOADING": "the server is still reading its data",
    "Redis is loading the dataset": "the server is still reading its data",
    "MISCONF": "the server cannot save to its disk, and stores nothing meanwhile",
    "MASTERDOWN": "the server is a replica that has lost its master",
    "NOREPLICAS": "the server has fewer replicas than it wants (its min-replicas-to-write)",
    "MOVED": "the server is one of a Redis Cluster, and another one has this stream: use that one's address",
    "CLUSTERDOWN": "the Redis Cluster does not work at present",
    "max number of clients": "the server has as many connections as it accepts (its maxclients)",
    "unknown command": "the server does not know this command: streams need Redis 6.2 or newer",
    "DB index is out of range": "the server has no database with this number (the end of `url`)",
    "Error setting client name": NO_REDIS,
    "Connection closed by server": CLOSED_BY_SERVER,
}
"""What the server or the library says, and what it means for the user."""


def redis_reason(error: BaseException) -> str:
    """What went wrong, as words for a user, in one line."""
    if isinstance(error, OpenError):
        return error.faults[0].text
    if isinstance(error, (InvalidResponse, *ODD_ANSWER)):
        return NO_REDIS
    for one in _causes(error):
        if found := network_reason(one):
            return found
    code = f"{getattr(error, 'status_code', None) or ''} "
    text = one_line(f"{code if code != 'ERR ' else ''}{error}".strip())[:300]
    if text.startswith("NOPERM"):
        return f"the server does not allow it: {text.removeprefix('NOPERM ')}"
    for begin, meant in _WORDS.items():
        if begin in text:
            return meant
    if isinstance(error, (TimeoutError, RedisTimeoutError)):
        return NO_ANSWER
    if isinstance(error, RedisConnectionError) and "Protocol Error" in text:
        return NO_REDIS
    return text or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it comes from: the library wraps errors of the system."""
    found: BaseException | None = error
    for _ in range(10):
        if found is None:
            return
        if not isinstance(found, TimeoutError):
            yield found
        found = found.__cause__ or found.__context__
