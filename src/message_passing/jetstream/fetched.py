"""A message that a consumer was given, and the answers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.network.consumer_window import Received
from message_passing.network.packing import FRAME_HEADER, FRAME_OF_LINES

if TYPE_CHECKING:
    from nats.aio.msg import Msg

ACK, IN_PROGRESS, TERMINATE = b"+ACK", b"+WPI", b"+TERM"
"""Answers to a message (docs.nats.io, "JetStream wire API", "Acknowledging Messages")."""


class Fetched(Received):
    """A message of the stream, which the server waits for an answer to.

    Attributes:
        key: which consumer it came from, and its number in the stream.
        reply: where the answer goes.
    """

    __slots__ = ("reply",)
    key: tuple[int, int]

    def __init__(self, key: tuple[int, int], message: Msg, deliveries: int, now: float) -> None:
        is_frame = (message.headers or {}).get(FRAME_HEADER) == FRAME_OF_LINES
        super().__init__(key, message.data, len(message.data), deliveries, now, lines=is_frame)
        self.reply = message.reply


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
