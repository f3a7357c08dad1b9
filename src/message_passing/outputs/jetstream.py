"""Store messages in a stream of NATS JetStream. The original has no such output."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.encoded import all_as_bytes
from message_passing.errors import Fault, OptionError, PeerError
from message_passing.identity import sender_name
from message_passing.jetstream.options import JetStreamComponent
from message_passing.jetstream.publishing import HEADER_ROOM, NO_STREAM, Publication, Publisher
from message_passing.jetstream.subjects import SubjectTemplate
from message_passing.network.backoff import RetryLater
from message_passing.network.output import NetworkOutput
from message_passing.network.packing import buffered_frames, messages_of, payloads_of
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from message_passing.network.buffer import Batch

_PATIENCE = 0.9
"""The share of `timeout` that is spent waiting for a connection: what is lacking is then said."""


class JetStreamOutput(JetStreamComponent, NetworkOutput):
    """Stores messages in a stream of NATS JetStream, and retries until the server has acknowledged them.

    Messages that wait together are packed into frames, of many lines each, which is many times faster than one by
    one; the input `JetStream` takes them apart. Each frame has an id (`Nats-Msg-Id`), so that the stream stores it
    once, even if it is sent again, within its `duplicate_window`.
    """

    name = "JetStream"
    example = MappingProxyType({"stream": "LOGS", "subject": "logs.app"})
    confirms = "stored by the stream"
    takes_objects = True

    subject: str = option(
        min_length=1,
        description="The subject of the messages: `logs.app`; or with fields of the message in it:"
        " `logs.{service}`. A message without such a field, or with a dot, white space, `*` or `>` in it, is"
        " rejected.",
    )
    frames: bool = option(default=True, description="Pack messages into frames. False: one by one.")
    frame_bytes: int = option(
        default=64 << 10,
        ge=1,
        description="The most bytes of a frame; a larger message is sent alone. Never more than the server accepts.",
    )
    retry_longest: float = option(
        default=5.0, gt=0, description="Maximum delay between two attempts, in seconds."
    )

    def on_init(self) -> None:
        """Read the subject.

        Raises:
            OptionError: it is none.
        """
        self._template = SubjectTemplate(self.subject)
        if self._template.fault:
            text = f"{self.label}: {self.subject!r} is no subject: {self._template.fault}"
            raise OptionError(Fault(text, "subject"))
        self.takes_objects = bool(self._template.fields)
        super().on_init()
        self._publisher = Publisher(self.stream)
        self._sender = sender_name()
        self._sequence = 0
        self._duplicates = 0
        self._turn = asyncio.Lock()
        self._ensured: object = None  # the connection on which the stream was found
        self.connection.on_change(self._connection_changed)

    def stream_subjects(self) -> list[str]:
        """See `JetStreamComponent`."""
        return super().stream_subjects() or [self._template.pattern]

    def target_of(self, message: Any) -> str:
        """See `NetworkOutput`: the subject."""
        return self._template.of(message)

    def accept(self, target: Hashable, messages: Sequence[bytes]) -> None:
        """See `NetworkOutput`: they are packed at once, since what waits is then little."""
        super().accept(target, buffered_frames(all_as_bytes(self, messages)) if self.frames else messages)

    async def send_batch(self, batch: Batch) -> None:
        """See `NetworkOutput`.

        Raises:
            RetryLater: there is no connection, or not everything was stored.
        """
        client = await self.connection.ready(self.timeout * _PATIENCE)
        async with self._turn:  # those that wait for it go on in the order in which they came
            if self._ensured is not client:
                if not await self.streams.ensure(client):
                    raise RetryLater(self.streams.trouble)
                self._look_at_stream()
                self._ensured = client
        if batch.prepared is None:
            batch.prepared = self._publication(batch, client.max_payload - HEADER_ROOM)
        publication: Publication = batch.prepared
        try:
            await self._publisher.publish(client, publication)
        except RetryLater as error:
            if str(error) == NO_STREAM:
                self._ensured = None
            raise
        finally:
            self._duplicates += publication.duplicates
            publication.duplicates = 0
            self._fail_refused(batch, publication)

    def _look_at_stream(self) -> None:
        """Whether what is published to it will be there, and that is said.

        Raises:
            RetryLater: it does not say what it has.
        """
        name = f"the stream {self.stream!r}"
        if self.streams.silent:
            raise RetryLater(
                f"{name} acknowledges nothing (its no_ack): nobody would know what it has stored"
            )
        if self.streams.unwanted:
            text = "what is published before somebody reads it is gone (its retention is interest)"
            self.report(PeerError(f"{name} has no consumer: {text}"))

    def _publication(self, batch: Batch, most: int) -> Publication:
        subject = self.subject if batch.target is None else str(batch.target)
        payloads = list(payloads_of(batch.messages, max(1, min(self.frame_bytes, most))))
        first, self._sequence = self._sequence + 1, self._sequence + len(payloads)
        return Publication(
            subject, payloads, [f"{self._sender}:{first + index}" for index in range(len(payloads))]
        )

    def _fail_refused(self, batch: Batch, publication: Publication) -> None:
        """Fail what the stream will never accept; the rest of its batch is not concerned."""
        refused, publication.refused = publication.refused, []
        for payload, error in refused:
            self.fail_some(batch, error, messages_of(payload))
        batch.count = publication.messages()

    def unsent_of(self, batch: Batch) -> list[bytes]:
        """See `NetworkOutput`: what was not stored, each message by itself."""
        left = batch.messages if batch.prepared is None else batch.prepared.left.values()
        return [message for payload in left for message in messages_of(payload)]

    def _connection_changed(self) -> None:
        if self.connection.client is None:
            self._publisher.abandon(self.connection.trouble)
        elif self.connection.denied:
            self._publisher.abandon(self.connection.denied)

    async def background(self) -> None:
        """See `NetworkOutput`: and be connected."""
        keeping = asyncio.create_task(self.connection.keep(), name=f"{self.label} connection")
        try:
            await super().background()
        finally:
            await self.connection.end(keeping)

    def info(self) -> Mapping[str, Any]:
        """See `NetworkOutput`; and how many frames the stream had already when they were sent again."""
        return {**super().info(), "duplicates": self._duplicates}
