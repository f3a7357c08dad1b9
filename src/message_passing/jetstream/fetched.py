"""A message that a consumer was given, and the answers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.jetstream.packing import unpacked_payload

if TYPE_CHECKING:
    from nats.aio.msg import Msg

ACK, IN_PROGRESS, TERMINATE = b"+ACK", b"+WPI", b"+TERM"
"""Answers to a message (docs.nats.io, "JetStream wire API", "Acknowledging Messages")."""


class Fetched:
    """A message of the stream, which the server waits for an answer to.

    Attributes:
        key: which consumer it came from, and its number in the stream.
        messages: the messages in it.
        size: its bytes.
        reply: where the answer goes.
        deliveries: how often it was delivered, to whomever.
        told: when the server last heard of it; seconds, monotonic.
    """

    __slots__ = ("deliveries", "key", "messages", "reply", "size", "told")

    def __init__(self, key: tuple[int, int], message: Msg, deliveries: int, now: float) -> None:
        self.key = key
        self.messages = unpacked_payload(message.data, message.headers)
        self.size = len(message.data)
        self.reply = message.reply
        self.deliveries = deliveries
        self.told = now


def nak(delay: float) -> bytes:
    """The answer that asks for a message once more, after so many seconds."""
    return b'-NAK {"delay": %d}' % round(delay * 1e9)


def numbers_of_reply(reply: str) -> tuple[int, int, int, int]:
    """How often a message was delivered, its numbers in the stream and of the consumer, and how many wait.

    They are tokens of the reply subject: from the fifth one, or, with a domain and an account, from the seventh
    (ADR-15 of the NATS project).
    """
    tokens = reply.split(".")
    first = 4 if len(tokens) == 9 else 6
    deliveries, sequence, consumer_sequence, _, pending = map(int, tokens[first : first + 5])
    return deliveries, sequence, consumer_sequence, pending
