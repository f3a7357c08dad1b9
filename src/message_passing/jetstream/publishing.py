"""Publishing to a stream: many messages at a time, each acknowledged on its own.

The client's own `publish_async` takes a semaphore, a random token and a future for each message; here all answers
come to one inbox, with the number of the message in its last token.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from message_passing.errors import EncodingError, MessageError, needs_extra
from message_passing.jetstream.reasons import said_plainly, stream_error
from message_passing.lines import message_count
from message_passing.network.backoff import RetryLater
from message_passing.network.packing import FRAME_HEADER, FRAME_OF_LINES, is_frame

with needs_extra("jetstream"):
    from nats.errors import Error as NatsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nats.aio.client import Client
    from nats.aio.msg import Msg

NO_STREAM = "no stream stores this subject (or it has no leader now)"

_NO_ANSWER = "the answer is not JetStream's: another program answers what is published to this subject"

HEADER_ROOM = 1024
"""Bytes that the headers of a message may have, which count in the server's max_payload."""

_decode = msgspec.json.Decoder().decode


class Publication:
    """Payloads that are published together, until each has been stored or refused.

    Attributes:
        subject: theirs.
        left: payloads by their id (`Nats-Msg-Id`) that were neither stored nor refused.
        refused: those that the stream will never accept, and why.
        reason: why the last attempt did not have all of them stored.
        duplicates: how many the stream had stored before.
    """

    def __init__(self, subject: str, payloads: Sequence[bytes], ids: Sequence[str]) -> None:
        """Nothing is stored yet."""
        self.subject = subject
        self.left = dict(zip(ids, payloads, strict=True))
        self.refused: list[tuple[bytes, MessageError]] = []
        self.reason: RetryLater | None = None
        self.duplicates = 0
        self.waits_for: set[int] = set()
        self.answered = asyncio.Event()

    def messages(self) -> int:
        """How many messages are left."""
        return message_count(list(self.left.values()))


class Publisher:
    """Publishes on one connection at a time."""

    def __init__(self, stream: str) -> None:
        """Begin without a connection.

        Args:
            stream: the name of the stream that is to store everything; empty for whichever does.
        """
        self._expected = {"Nats-Expected-Stream": stream} if stream else {}
        self._client: Client | None = None
        self._inbox = ""
        self._number = 0
        self._waiting: dict[int, tuple[Publication, str]] = {}
        self._turn = asyncio.Lock()

    async def publish(self, client: Client, publication: Publication) -> None:
        """Publish what is left of it, and wait until each has an answer.

        Raises:
            RetryLater: not all of it was stored.
        """
        publication.reason = None
        try:
            async with self._turn:  # what is in flight at the same time keeps its order
                if client is not self._client:
                    self.abandon("the connection is another one")
                    await self._listen(client)
                await self._send(client, publication)
            while publication.waits_for:
                publication.answered.clear()
                await publication.answered.wait()
        except NatsError as error:
            raise RetryLater(said_plainly(error)) from error
        finally:
            for number in publication.waits_for:
                self._waiting.pop(number, None)
            publication.waits_for.clear()
        if publication.reason:
            raise publication.reason

    async def _listen(self, client: Client) -> None:
        self._client, self._inbox = client, client.new_inbox()
        # No bounds of the client's: there are no more answers than messages were published, which have a bound.
        await client.subscribe(
            f"{self._inbox}.*", cb=self._answer, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def _send(self, client: Client, publication: Publication) -> None:
        most = client.max_payload - HEADER_ROOM
        for name, payload in list(publication.left.items()):
            if len(payload) > most:
                text = (
                    f"it has {len(payload)} bytes, and the server accepts {client.max_payload} with headers"
                )
                del publication.left[name]
                publication.refused.append((payload, EncodingError(f"{text} (its max_payload)")))
                continue
            headers = {"Nats-Msg-Id": name, **self._expected}
            if is_frame(payload):
                headers[FRAME_HEADER] = FRAME_OF_LINES
            self._number += 1
            self._waiting[self._number] = (publication, name)
            publication.waits_for.add(self._number)
            await client.publish(publication.subject, payload, f"{self._inbox}.{self._number}", headers)

    async def _answer(self, message: Msg) -> None:
        number = int(message.subject.rpartition(".")[2])
        publication, name = self._waiting.pop(number, (None, ""))
        if publication is None:
            return
        self._take(message, publication, name)
        publication.waits_for.discard(number)
        if not publication.waits_for:
            publication.answered.set()

    def _take(self, message: Msg, publication: Publication, name: str) -> None:
        if not message.data and (message.headers or {}).get("Status") == "503":
            publication.reason = RetryLater(NO_STREAM)
            return
        try:
            said: Mapping[str, object] = _decode(message.data)
            given = said.get("error")
        except (msgspec.DecodeError, AttributeError):
            publication.reason = RetryLater(_NO_ANSWER)
            return
        if isinstance(given, dict):
            error = stream_error(given)
            if isinstance(error, RetryLater):
                publication.reason = error
            else:
                publication.refused.append((publication.left.pop(name), error))
            return
        if not (
            said.get("stream") and isinstance(said.get("seq"), int)
        ):  # whoever else answers: nothing is stored
            publication.reason = RetryLater(_NO_ANSWER)
            return
        publication.duplicates += said.get("duplicate") is True
        publication.left.pop(name, None)

    def abandon(self, reason: str) -> None:
        """No more answers will come: whoever waits for one sends again."""
        self._client = None
        waiting, self._waiting = self._waiting, {}
        for publication, _ in waiting.values():
            publication.reason = RetryLater(reason)
            publication.waits_for.clear()
            publication.answered.set()
