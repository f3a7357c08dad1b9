"""What the server and its client library say, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import EncodingError, MessageError
from message_passing.escaping import one_line
from message_passing.network.backoff import RetryLater
from message_passing.network.listener_probe import NATS
from message_passing.network.reasons import CLOSED_BY_SERVER, NO_ANSWER, NOT_WANTED, network_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGE_TOO_LARGE = 10054
"""`JSStreamMessageExceedsMaximumErr` of nats-server's server/errors.json."""

NO_NATS_SERVER = f"{NOT_WANTED}{NATS}"

_REFUSED = "the server refuses the credentials (options user, token, credentials_file, nkey_file)"

_WORDS = {
    "Authorization Violation": _REFUSED,
    "User Authentication Expired": "the credentials have expired",
    "User Authentication Revoked": "the credentials have been revoked",
    "Account Authentication Expired": "the account has expired",
    "authorization failed": _REFUSED,
    "Secure Connection - TLS Required": "the server requires TLS: use tls:// in `servers`",
    "maximum connections exceeded": "the server has as many connections as it accepts",
    "unexpected EOF": CLOSED_BY_SERVER,
    "empty response from server": NO_NATS_SERVER,
    "info message, json parse error": NO_NATS_SERVER,
    "stale connection": "the server did not answer",
    "Stale Connection": "the server did not answer",
    "Slow Consumer": "the server closed the connection, since this side read too slowly",
    "connection closed": "the connection was closed",
}
"""What the server or the library says, and what it means for the user."""

_STREAM_WORDS = {
    10023: "the server has no resources left for it (disk, memory, or the account's limits)",
    10028: "the server has no memory left for it",
    10047: "the server has no storage left for it",
    10060: "another stream stores this subject than the one that `stream` names",
    10077: "the stream is full",
    10122: "the stream is full",
}
"""Errors of a stream, by their number in nats-server's server/errors.json."""


class Denied(str):
    """A sentence about something that the server does not allow."""

    __slots__ = ()


def said_plainly(error: BaseException, cause: BaseException | None = None) -> str:
    """What went wrong, as words for a user, in one line.

    Args:
        error: what was raised.
        cause: what the client noted last, which says more than that no server could be used.
    """
    if cause is not None and type(error).__name__ == "NoServersError":
        error = cause
    if found := network_reason(error):
        return found
    if isinstance(error, (AssertionError, AttributeError, LookupError, TypeError)):
        return NO_NATS_SERVER  # the library takes what a server says as it comes, and trips over it
    text = one_line(str(error).removeprefix("nats: ").strip("' "))[:300]
    if text.lower().startswith("permissions violation"):
        return Denied(f"the server does not allow it: {text}")
    if isinstance(error, TimeoutError) or not text:
        return NO_ANSWER if isinstance(error, TimeoutError) else type(error).__name__
    return next((meant for begin, meant in _WORDS.items() if begin in text), text)


def stream_error(given: Mapping[str, object]) -> RetryLater | MessageError:
    """What a stream's answer to a message means: try later, or it will never be accepted.

    Args:
        given: the member `error` of the answer.
    """
    number, text = given.get("err_code"), one_line(str(given.get("description", "")))[:300]
    if number == _MESSAGE_TOO_LARGE:
        return EncodingError("it is larger than the stream accepts (its max_msg_size)")
    known = _STREAM_WORDS.get(number) if isinstance(number, int) else None
    return RetryLater(f"{known} ({text})" if known else text)
