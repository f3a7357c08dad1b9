"""Messages with the name of whose key they were sent with, which the sender itself cannot choose.

The doorkeeper names each peer, and ZeroMQ keeps that name beside every frame (zmq_msg_gets(3), `User-Id`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import zmq

if TYPE_CHECKING:
    from collections.abc import Iterator

_parsed = msgspec.json.Decoder().decode
_text = msgspec.json.encode


def receive_signed(
    socket: zmq.Socket[bytes], limit: int, field: str, *, join: bool
) -> tuple[list[bytes], list[bytes]]:
    """What is ready, at most `limit` messages, each with the field; and those that cannot have it.

    Args:
        socket: whose peers were asked who they are.
        limit: how many messages.
        field: the field's name.
        join: of a message of several frames, the last one is the message; otherwise each is.
    """
    batch, refused = [], []
    for data, name in _frames(socket, limit, join=join):
        message = signed(data, field, name)
        if message is None:
            refused.append(data)
        else:
            batch.append(message)
    return batch, refused


def _frames(socket: zmq.Socket[bytes], limit: int, *, join: bool) -> Iterator[tuple[bytes, str]]:
    for _ in range(limit):
        try:
            frame: Any = socket.recv(zmq.NOBLOCK, copy=False)
            while join and frame.more:
                frame = socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        yield frame.bytes, str(frame.get("User-Id") or "")


def signed(data: bytes, field: str, name: str) -> bytes | None:
    """A JSON object, or lines of them, with a field more; whatever the sender wrote there is gone.

    None for anything else: it might become an object further on, with a field of the sender's choice.
    """
    try:
        message = _parsed(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        if b"\n" not in data:
            return None
        lines = [signed(line, field, name) for line in data.split(b"\n") if line]
        whole = [line for line in lines if line is not None]
        return b"\n".join(whole) if len(whole) == len(lines) else None
    if not isinstance(message, dict):
        return None
    message[field] = name
    return _text(message)
