"""One connection to a Redis server, made when it is needed and again after each failure.

The client's own pool sends a command again when a connection breaks, and of a pipeline that breaks it says nothing of
the answers that had come. Here each answer is told of as it comes, and whoever asks decides what to send again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError, needs_extra
from message_passing.network.backoff import RetryLater
from message_passing.network.reasons import ODD_ANSWER, says_little
from message_passing.redis.reasons import redis_reason

with needs_extra("redis"):
    from redis.asyncio import Connection, SSLConnection
    from redis.exceptions import RedisError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.network.listener_probe import ListenerCheck

_ANSWER = 30.0
"""Seconds that the server may take to answer."""

RedisCommand = tuple[bytes | str | int, ...]
"""A command and its arguments."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """What a connection is made with.

    Attributes:
        address: as it is shown.
        arguments: of `redis.asyncio.Connection`, or of `SSLConnection`.
        encrypted: whether it is to be encrypted.
    """

    address: str
    arguments: dict[str, Any] = field(repr=False)
    encrypted: bool = False


class RedisLink:
    """A connection that one task at a time uses.

    Attributes:
        trouble: why there is none, as a sentence; empty while there is one, and before the first attempt.
        number: how many connections there have been.
    """

    def __init__(self, settings: Callable[[], RedisSettings], timeout: float, check: ListenerCheck) -> None:
        """Begin without one.

        Args:
            settings: gives what to connect with; raises `OpenError`.
            timeout: seconds that the server may take to accept.
            check: finds out why a server cannot be used that does not say.
        """
        self.trouble = ""
        self.number = 0
        self._settings, self._timeout, self._check = settings, timeout, check
        self._connection: Any = None
        self._turn = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as known."""
        return self._connection is not None

    async def ask(
        self,
        *command: bytes | str | int,
        read: Callable[[Any], Any] = lambda answer: answer,
        seconds: float = 0.0,
    ) -> Any:
        """What the answer to one command says.

        Args:
            command: with its arguments.
            read: takes the answer apart. Where it fails, there is no Redis server.
            seconds: that the command itself waits.

        Raises:
            RetryLater: there is no connection, or it broke, or this is no Redis server.
            ResponseError: the server refuses the command.
        """
        (found,) = await self.ask_each([command], read, seconds=seconds)
        return found

    async def ask_each(
        self,
        commands: Sequence[RedisCommand],
        read: Callable[[Any], Any] = lambda answer: answer,
        *,
        seconds: float = 0.0,
    ) -> list[Any]:
        """What the answers to commands that are sent together say; see `ask`."""
        found: list[Any] = []

        def answered(_: int, answer: Any) -> None:
            found.append(answer if isinstance(answer, ResponseError) else read(answer))

        await self.ask_all(commands, answered, seconds=seconds)
        for one in found:
            if isinstance(one, ResponseError):
                raise one
        return found

    async def ask_all(
        self,
        commands: Sequence[RedisCommand],
        answered: Callable[[int, Any], object],
        *,
        seconds: float = 0.0,
    ) -> None:
        """Send commands together.

        Args:
            commands: with their arguments.
            answered: called with the number of each command and its answer, or the `ResponseError`, as they come.
            seconds: that the commands themselves wait.

        Raises:
            RetryLater: there is no connection, or it broke before all were answered.
        """
        async with self.alone() as connection, asyncio.timeout(_ANSWER + seconds):
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            for number in range(len(commands)):
                try:
                    answer = await connection.read_response()
                except ResponseError as error:
                    answer = error
                answered(number, answer)

    @contextlib.asynccontextmanager
    async def alone(self) -> Any:
        """The connection, for one task; it is closed if the block fails or is cancelled, since answers may follow.

        Raises:
            RetryLater: there is none, or it broke.
        """
        async with self._turn:
            settings = None
            try:
                settings = self._settings()
                if self._connection is None:
                    self._connection = await self._connect(settings)
                    self.number += 1
                yield self._connection
                self.trouble = ""
            except (RedisError, OSError, OpenError, *ODD_ANSWER) as error:
                self._drop()
                self.trouble = await self._reason(settings, error)
                raise RetryLater(self.trouble) from error
            except BaseException:
                self._drop()
                raise

    async def _reason(self, settings: RedisSettings | None, error: BaseException) -> str:
        """Why the server cannot be used; something else may listen there."""
        reason = redis_reason(error)
        if settings is None:
            return reason
        if says_little(reason):
            given = settings.address, settings.encrypted
            reason = await asyncio.to_thread(self._check.why_not, *given) or reason
        return f"{settings.address}: {reason}"

    async def _connect(self, settings: RedisSettings) -> Any:
        kind = SSLConnection if settings.encrypted else Connection
        connection = kind(
            **settings.arguments,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=self._timeout,
        )
        try:
            async with asyncio.timeout(2 * self._timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            _close(connection)
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _close(connection)

    def close(self) -> None:
        """End the connection."""
        self._drop()


def _close(connection: Any) -> None:
    """Close it at once, whatever state it is in."""
    writer = getattr(connection, "_writer", None)
    with contextlib.suppress(Exception):
        if writer is not None:
            writer.transport.abort()  # everything was answered, or does not matter; TLS would wait for the server
    with contextlib.suppress(Exception):
        connection._parser.on_disconnect()  # noqa: SLF001 - there is no other way that does not wait
    connection._reader = connection._writer = None  # noqa: SLF001 - likewise
