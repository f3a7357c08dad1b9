"""JSON: one object, one line of UTF-8, without a newline, as the original sends and receives it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.codecs._text import TextEncoder, checked_lines, decode_one, decode_text
from message_passing.flow import Decoder
from message_passing.lines import Indented, LineBatch, LineBlock
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Sequence


class JSONDecoder(Decoder):
    """Decodes JSON text to an object. Anything but bytes or text is an object already and passes unchanged."""

    name = "JSON"

    def on_init(self) -> None:
        """Start with no failures."""
        super().on_init()
        self._frames = self._lines = 0

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """Count failed messages that appear to carry several: see `summary`."""
        for message in messages:
            if isinstance(message, bytes) and b"}\n{" in message:
                self._frames += 1
                self._lines += message.rstrip(b"\n").count(b"\n") + 1
        super().fail(error, messages, count)

    def summary(self) -> list[str]:
        """How many messages were lost with those that carry several, which need the decoder JSONLines."""
        if not self._frames:
            return []
        which = f"{self._frames} that failed had several lines, {self._lines} in all"
        return [f"{which}: messages that carry several are for the decoder JSONLines"]

    def filter(self, message: Any) -> Any:
        """Decode one message.

        Raises:
            DecodingError: it is not JSON, not UTF-8, or nested too deeply.
        """
        return decode_text(message) if isinstance(message, (bytes, bytearray, memoryview, str)) else message

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Decode a batch; when something in it is not plain well-formed JSON, go one by one."""
        if self.wiring.text and (lines := checked_lines(messages)):
            return lines
        try:
            found = [*map(decode_one, messages)]
        except Exception:  # noqa: BLE001 - which message it was is found by the careful road
            return super().filter_many(messages)
        return found if None not in found else super().filter_many(messages)


class JSONEncoder(TextEncoder):
    """Encodes an object as JSON text, in UTF-8 on one line. Bytes count as encoded: they pass unchanged.

    Text becomes JSON text too, in quotes: a line break in it is escaped. To pass text unchanged, as the original
    does, use the encoder Null.

    Supported besides the types of JSON: dates and times (ISO 8601), UUIDs, decimals, enums, sets, bytes (base64),
    dataclasses, msgspec and attrs objects, paths, IP addresses, lazy strings, scalars, arrays, timestamps,
    Series and DataFrames of numpy and pandas, and anything with `to_dict`, `__json__`, pydantic's
    `model_dump`, or the original's `to_hash` or `pack`. A subclass of a string, number, bytes or time is
    written as its base type is. NaN and infinities become null; a lone surrogate becomes the text of its escape.
    """

    name = "JSON"
    example = MappingProxyType({"pretty": True})

    pretty: bool = option(
        default=False,
        description="Break and indent the text over several lines, which every output keeps.",
    )

    def takes_text(self) -> bool:
        """Whether checked text can stand for the object: not if the text would be indented."""
        return not self.pretty

    def filter(self, message: Any) -> bytes:
        """Encode one message.

        Raises:
            EncodingError: it contains something that has no JSON form, or contains itself.
        """
        text = self.text_of(message)
        if not self.pretty or isinstance(message, bytes):
            return text
        return Indented(msgspec.json.format(text, indent=3))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Encode a batch of dicts at full speed; when it is anything else, go one by one."""
        if type(messages) is LineBatch or (types := {*map(type, messages)}) == {bytes}:
            return messages
        if self.pretty or types != {dict}:
            return super().filter_many(messages)
        try:
            if self.wiring.blocks:
                return LineBlock(self._encoder.encode_lines(messages), len(messages))  # type: ignore[return-value]
            return [*map(self._encoder.encode, messages)]
        except Exception:  # noqa: BLE001 - which message it was is found by the careful road
            return super().filter_many(messages)
