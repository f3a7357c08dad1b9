"""What messages are told apart by: the values of some of their fields, or a digest of all, in bounded memory."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.dotted import value_at
from message_passing.escaping import one_line
from message_passing.read_fields import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from message_passing.read_fields import ReadFields

_LONGEST = 200
"""Characters of a value in a key. A longer one is its beginning and a digest."""

_SHOWN = 100
"""Characters of a value in a report."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def key_of(fields: Sequence[str]) -> Callable[[Any], Hashable]:
    """A function that gives a message's key: the same for messages with the same values in these fields.

    A number and its text are two values, and so are 1, 1.0 and true; a field that is missing is null.

    Args:
        fields: dotted names; without any, all messages have the key None.
    """
    if not fields:
        return lambda _message: None
    if len(fields) > 1:
        parts = [key_of([field]) for field in fields]
        return lambda message: tuple(part(message) for part in parts)
    (field,) = fields

    def key(message: Any) -> Hashable:
        value = value_at(message, field)
        return value if value.__class__ is str and len(value) <= _LONGEST else _bounded(value)

    return key


def keys_of(messages: Sequence[ReadFields], fields: Sequence[str]) -> list[Any]:
    """The same keys, of some messages by their fields."""
    if not fields or not messages:
        return [None] * len(messages)
    parts = [[*map(_bounded, values_of(messages, field))] for field in fields]
    return [*zip(*parts, strict=True)] if len(parts) > 1 else parts[0]


def _bounded(value: Any) -> Hashable:
    if value is None or (value.__class__ is str and len(value) <= _LONGEST):
        return value
    text = value if isinstance(value, str) else _as_json(value)
    if len(text) <= _LONGEST:
        return text
    whole = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    digest = blake2b(whole, digest_size=16).hexdigest()
    return f"{text[:_SHOWN]}...{digest}" if isinstance(text, str) else text[:_SHOWN] + digest.encode()


def _as_json(value: Any) -> bytes:
    try:
        return _encode(value)
    except Exception:  # noqa: BLE001 - nested too deeply, an integer too long, or an object of a user's own
        return f"<{type(value).__name__}>".encode()


def digest_of(message: Any) -> bytes | None:
    """A digest of all of a message, whatever order its fields have; None if it has none, being no JSON value."""
    try:
        whole = message if isinstance(message, (bytes, bytearray)) else _encode(message)
    except Exception:  # noqa: BLE001 - as above
        return None
    return blake2b(whole, digest_size=16, person=type(message).__name__.encode()[:16]).digest()


def shown_key(key: Any) -> str:
    """A key in a report."""
    parts = key if isinstance(key, tuple) else (key,)
    texts = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in parts]
    return ", ".join("null" if one is None else one_line(one, _SHOWN) for one in texts)


def shown_values(fields: Sequence[str], key: Any) -> dict[str, Any]:
    """A key's values by their fields, as far as the key has them whole; those that are null are left out."""
    parts = key if len(fields) > 1 else (key,)
    return {field: _plain(part) for field, part in zip(fields, parts, strict=False) if part is not None}


def _plain(part: Any) -> Any:
    try:
        return msgspec.json.decode(part) if isinstance(part, bytes) else part
    except msgspec.DecodeError:  # it was too long, or is no JSON value
        return part.decode(errors="replace")
