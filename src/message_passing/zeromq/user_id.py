"""Adding the sender's authenticated name to messages, which the sender itself cannot choose.

The ZAP handler names each peer, and ZeroMQ keeps that name beside every frame (zmq_msg_gets(3), `User-Id`).
"""

from __future__ import annotations

import msgspec

NO_OBJECT = "no JSON object, so key_field cannot be set"
"""Why a message is refused that cannot have the field."""

_parsed = msgspec.json.Decoder().decode
_encode_text = msgspec.json.encode


def with_user_id(data: bytes, field: str, name: str) -> bytes | None:
    """A JSON object, or lines of them, with an added field; whatever the sender wrote there is replaced.

    None for anything else: it might become an object later, with a field of the sender's choice.
    """
    try:
        message = _parsed(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        if b"\n" not in data:
            return None
        lines = [with_user_id(line, field, name) for line in data.split(b"\n") if line]
        whole = [line for line in lines if line is not None]
        return b"\n".join(whole) if len(whole) == len(lines) else None
    if not isinstance(message, dict):
        return None
    message[field] = name
    return _encode_text(message)
