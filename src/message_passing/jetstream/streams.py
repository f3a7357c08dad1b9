"""A stream as somebody wants it: created where it is missing, compared where it exists, and never changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError, needs_extra
from message_passing.jetstream.reasons import said_plainly
from message_passing.network.backoff import RetryLater
from message_passing.network.listener_probe import PROBE_TIMEOUT
from message_passing.network.reasons import ODD_ANSWER

with needs_extra("jetstream"):
    from nats.errors import Error as NatsError
    from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
    from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.js.api import StreamInfo
    from nats.js.manager import JetStreamManager

    from message_passing.jetstream.client import CheckedClient
    from message_passing.jetstream.connection import NatsConnection

API_ERRORS = (NatsError, APIError, OSError, *ODD_ANSWER)
"""What a question about a stream or consumer may raise: whoever may publish there can answer it."""

NOT_ENABLED = (10039, 10076)
"""JetStream is not enabled for the account, or at all (nats-server's server/errors.json)."""


@dataclass(frozen=True, slots=True)
class StreamWish:
    """The options of a stream: see `JetStreamComponent`."""

    name: str
    create: bool
    subjects: tuple[str, ...]
    replicas: int
    storage: str
    retention: str
    max_bytes: int
    max_messages: int
    max_age: float
    discard: str
    duplicate_window: float

    def config(self) -> StreamConfig:
        """What the server is asked to create."""
        return StreamConfig(
            name=self.name,
            subjects=list(self.subjects),
            num_replicas=self.replicas or None,
            storage=StorageType(self.storage),
            retention=RetentionPolicy(self.retention),
            max_bytes=self.max_bytes or -1,
            max_msgs=self.max_messages or -1,
            max_age=self.max_age or None,
            discard=DiscardPolicy(self.discard),
            duplicate_window=min(self.duplicate_window, self.max_age or self.duplicate_window),
        )

    def differences(self, found: StreamConfig) -> list[str]:
        """In which options an existing stream differs, in words; what was left at "no limit" is not compared."""
        wanted = self.config()
        pairs = [
            ("replicas", found.num_replicas, self.replicas or found.num_replicas),
            ("storage", _plain(found.storage), self.storage),
            ("retention", _plain(found.retention), self.retention),
            ("max_bytes", found.max_bytes, self.max_bytes or found.max_bytes),
            ("max_messages", found.max_msgs, self.max_messages or found.max_msgs),
            ("max_age", found.max_age, self.max_age or found.max_age),
            ("discard", _plain(found.discard), self.discard if self._is_limited() else _plain(found.discard)),
            ("duplicate_window", found.duplicate_window, wanted.duplicate_window),
        ]
        told = [f"{name} {_shown(have)}, not {_shown(want)}" for name, have, want in pairs if have != want]
        missing = [
            one for one in self.subjects if not any(covers(mine, one) for mine in found.subjects or ())
        ]
        if missing:
            told.append(f"subjects {', '.join(found.subjects or ())}, without {', '.join(missing)}")
        return told

    def _is_limited(self) -> bool:
        return bool(self.max_bytes or self.max_messages)


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def covers(pattern: str, subject: str) -> bool:
    """Whether a stream with this subject stores messages with that one, which may have `*` for a token."""
    mine, theirs = pattern.split("."), subject.split(".")
    for index, part in enumerate(mine):
        if part == ">":
            return len(theirs) > index
        if index >= len(theirs) or theirs[index] == ">" or (part not in ("*", theirs[index])):
            return False
    return len(mine) == len(theirs)


class StreamKeeper:
    """Makes sure, for each connection anew, that the stream exists.

    Attributes:
        trouble: why it cannot be used, as a sentence; empty if it can, as far as known.
        compacted: it keeps the last messages of each subject only, so that others are missing between them.
        silent: it does not tell publishers what it has stored.
        unwanted: it removes messages that no consumer is to have, and there was no consumer.
    """

    def __init__(self, wish: StreamWish, tell: Callable[[str], object]) -> None:
        """Begin without knowing.

        Args:
            wish: the stream.
            tell: called with a sentence, once, in which options an existing stream differs.
        """
        self.trouble = ""
        self.compacted = self.silent = self.unwanted = False
        self._wish, self._tell = wish, tell
        self._told = ""

    async def ensure(self, client: CheckedClient) -> bool:
        """Look for the stream, and create it if that is wanted; whether it can be used."""
        if not self._wish.name:
            return True
        manager = client.manager()
        try:
            info, existed = await self._found(manager)
            found = info.config
            self._note(info)
        except NotFoundError:
            self.trouble = (
                f"there is no stream {self._wish.name!r}: create it, or have it created (option create)"
            )
        except API_ERRORS as error:
            self.trouble = f"the stream {self._wish.name!r}: {api_reason(error)}"
        else:
            self.trouble = ""
            different = "; ".join(self._wish.differences(found)) if existed and self._wish.create else ""
            if different and different != self._told:
                self._tell(f"the stream {self._wish.name!r} exists, and is used as it is: it has {different}")
            self._told = different
        return not self.trouble

    def _note(self, info: StreamInfo) -> None:
        """Keep what matters of a stream; raises whatever an answer causes that is none."""
        self.compacted = (info.config.max_msgs_per_subject or 0) > 0
        self.silent = bool(info.config.no_ack)
        self.unwanted = _plain(info.config.retention) == "interest" and not info.state.consumer_count

    async def _found(self, manager: JetStreamManager) -> tuple[StreamInfo, bool]:
        """The stream, and whether it was there already."""
        try:
            return await manager.stream_info(self._wish.name), True
        except NotFoundError:
            if not self._wish.create:
                raise
        try:
            return await manager.add_stream(self._wish.config()), False
        except APIError as error:
            if error.err_code != _NAME_IN_USE:
                raise
        return await manager.stream_info(self._wish.name), True  # another node was quicker


_NAME_IN_USE = 10058
"""`JSStreamNameExistErr`: with another configuration."""


def api_reason(error: BaseException) -> str:
    """Why a question about a stream or consumer was not answered, or refused."""
    if isinstance(error, APIError):
        if error.err_code in NOT_ENABLED or isinstance(error, ServiceUnavailableError):
            return "JetStream is not available: it is not enabled (nats-server -js), or has no leader now"
        return str(error.description or error)
    if isinstance(error, TimeoutError):
        return "no answer about it"
    if isinstance(error, ODD_ANSWER):
        return "the answer about it is not JetStream's"
    return str(said_plainly(error))


async def try_stream(connection: NatsConnection, wish: StreamWish, seconds: float) -> str:
    """Connect, and look for the stream, changing nothing; what was found, as words.

    Args:
        connection: closed again afterwards.
        wish: the stream.
        seconds: that connecting may take.

    Raises:
        OpenError: no server could be used within that time, or there is no stream.
    """
    keeping = asyncio.create_task(connection.keep())
    try:
        client = await connection.ready(seconds + PROBE_TIMEOUT, once=True)
        if wish.name:
            await client.manager().stream_info(wish.name)
    except RetryLater as error:
        raise OpenError(str(error)) from error
    except NotFoundError as error:
        if not wish.create:
            raise OpenError(f"there is no stream {wish.name!r} (option create)") from error
        return f"connected; the stream {wish.name!r} would be created"
    except API_ERRORS as error:
        raise OpenError(f"the stream {wish.name!r}: {api_reason(error)}") from error
    else:
        return f"connected, and there is a stream {wish.name!r}" if wish.name else "connected"
    finally:
        await connection.end(keeping)
