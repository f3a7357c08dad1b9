"""JSON: one object, one line of UTF-8, without a newline. What the original sends and takes."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import msgspec

from message_passing.errors import DecodingError, EncodingError
from message_passing.flow import Decoder, Encoder, Filter, Output
from message_passing.jsonable import as_plain, tidy
from message_passing.lines import Lines
from message_passing.options import option

_OPENING, _CLOSING, _NEWLINE = b"{}\n"


class JSONDecoder(Decoder):
    """Makes an object of JSON text. What is not bytes or text is an object already and passes as it is."""

    name = "JSON"

    def on_init(self) -> None:
        """One decoder for all messages: making it is what costs."""
        super().on_init()
        self._decode = msgspec.json.Decoder().decode
        self._check = msgspec.json.Decoder(msgspec.Raw).decode_lines
        self._nobody_looks = False

    def on_open(self) -> None:
        """Find out whether anybody looks at the objects before they become JSON again.

        Where nobody does, as in the chain JSON -> Null -> JSON, text that is checked and passed on as it came
        is worth the same, for a third of the time.
        """
        self._nobody_looks = all(map(_becomes_json, self.outputs()))

    def filter(self, message: Any) -> Any:
        """Decode one message.

        Raises:
            DecodingError: it is not JSON, not UTF-8, or nested too deeply.
        """
        if not isinstance(message, (bytes, bytearray, memoryview, str)):
            return message
        try:
            decoded = self._decode(message)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise DecodingError(f"malformed JSON: {error}") from error
        if decoded is None:
            raise DecodingError("JSON null is not a message: it would be taken for one that was dropped")
        return decoded

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Decode a batch; when something in it is not plain well-formed JSON, go one by one."""
        if self._nobody_looks and (lines := self._checked(messages)):
            return lines
        decode = self._decode
        try:
            decoded = [decode(message) for message in messages]
        except Exception:  # noqa: BLE001 - which message it was is found by the careful road
            return super().filter_many(messages)
        return decoded if None not in decoded else super().filter_many(messages)

    def _checked(self, messages: list[Any]) -> Lines | None:
        """The same messages, if each is bytes: one well-formed JSON object in UTF-8, on one line."""
        if {*map(type, messages)} != {bytes}:
            return None
        try:
            if [m for m in messages if m[0] != _OPENING or m[-1] != _CLOSING or _NEWLINE in m]:
                return None
            # One check of all lines together costs half of one for each. It says the same, since a `}` and the
            # `{` of the next line never belong to one value.
            lines = Lines(messages)
            if len(self._check(lines.block)) != len(lines):
                return None
            # Looking for well-formed JSON does not look at the text in it.
            b"".join([message for message in lines if not message.isascii()]).decode()
        except (msgspec.MsgspecError, RecursionError, UnicodeError, IndexError):
            return None
        return lines


def _becomes_json(output: Output) -> bool:
    if isinstance(output, JSONEncoder):
        return type(output) is JSONEncoder and not output.pretty
    if isinstance(output, Filter) and not output.looks:
        return all(map(_becomes_json, output.outputs()))
    return False


class JSONEncoder(Encoder):
    """Makes JSON text, in UTF-8 on one line, of an object. Text and bytes pass as they are.

    Written beside what JSON knows: dates and times (ISO 8601), UUIDs, decimals, enums, sets, bytes (base64),
    dataclasses, msgspec and attrs objects, paths, and anything with `to_dict`, `__json__`, pydantic's
    `model_dump`, or the original's `to_hash` or `pack`. NaN and infinities become null; a lone surrogate
    becomes its escape, spelt out.
    """

    name = "JSON"
    example = MappingProxyType({"pretty": True})

    pretty: bool = option(default=False, description="Break and indent the text over several lines.")

    def on_init(self) -> None:
        """One encoder for all messages."""
        super().on_init()
        self._encode = msgspec.json.Encoder(enc_hook=as_plain).encode

    def filter(self, message: Any) -> bytes:
        """Encode one message.

        Raises:
            EncodingError: it holds something that has no JSON form, or holds itself.
        """
        if isinstance(message, bytes):
            return message
        if isinstance(message, str):
            return message.encode("utf-8", "backslashreplace")
        try:
            text = self._encode(message)
        except (TypeError, ValueError, RecursionError, OverflowError, NotImplementedError):
            text = self._encode_carefully(message)
        return msgspec.json.format(text, indent=3) if self.pretty else text

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Encode a batch of dicts at full speed; when it is anything else, go one by one."""
        if type(messages) is Lines or (types := {*map(type, messages)}) == {bytes}:
            return messages
        if self.pretty or types != {dict}:
            return super().filter_many(messages)
        encode = self._encode
        try:
            return [encode(message) for message in messages]
        except Exception:  # noqa: BLE001 - which message it was is found by the careful road
            return super().filter_many(messages)

    def _encode_carefully(self, message: Any) -> bytes:
        try:
            return json.dumps(tidy(message), ensure_ascii=False, separators=(",", ":")).encode()
        except RecursionError as error:
            raise EncodingError("nested too deeply, or holds itself") from error
        except (TypeError, ValueError) as error:
            raise EncodingError(str(error)) from error
