"""What decoders promise of any bytes whatever."""

from __future__ import annotations

import bz2
import gzip
import itertools
import sys
from typing import TYPE_CHECKING, Any

from message_passing.codecs.bzip2 import Bzip2Decoder
from message_passing.codecs.crypt_cbc import CryptCBCDecoder, CryptCBCEncoder
from message_passing.codecs.gzip import GzipDecoder
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.codecs.zstd import ZstdDecoder
from message_passing.failures import REPORT_BURST, ReportLimit
from message_passing.filters.null import NullFilter
from message_passing.flow import Decoder, Output

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SIZE = 1 << 20
_KEY = "a passphrase"
_SOUND = b'{"sound": 1}'


class Kept(Output):
    """Keeps what it is given."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.messages: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep a batch."""
        self.messages += messages


def _unlimited() -> ReportLimit:
    """Every failure is reported: the clock goes fast enough."""
    return ReportLimit(itertools.count(step=REPORT_BURST).__next__)


def through(decoder: Decoder, batches: list[list[Any]]) -> tuple[list[Any], list[Any]]:
    """What a decoder hands on of these batches, and for each message that failed the report that counts it.

    Nothing may come out of `consume_many`, and every failure is counted in one report.
    """
    kept, errors = Kept(), Kept()
    decoder.connect_to(kept)
    decoder.error = errors
    decoder._limits = _unlimited(), _unlimited()  # noqa: SLF001 - the decoder alone, and no other test
    for batch in batches:
        decoder.consume_many(batch)
    decoder.close()
    counted = decoder.snapshot()
    assert counted["received"] == sum(map(len, batches)), counted
    assert counted["filtered"] == counted["held"] == 0, counted
    assert not counted["dropped"], counted
    assert counted["passed"] == len(kept.messages), counted
    failed = [report for report in errors.messages for _ in range(report.get("count", 1))]
    assert len(failed) == counted["failed"], (errors.messages, counted)
    return kept.messages, failed


def same(found: list[Any], expected: list[Any]) -> bool:
    """Whether these are the same, to the type; they may be nested as deeply as the decoder allowed."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 5000)
    try:
        return repr(found) == repr(expected)
    finally:
        sys.setrecursionlimit(limit)


def json_text(data: bytes) -> None:
    """JSON: a message in each part between two zero bytes."""
    batch: list[Any] = data.split(b"\0")
    found, failed = through(JSONDecoder(), [batch])
    assert len(found) + len(failed) == len(batch)
    one_by_one, failed_alone = through(JSONDecoder(), [[message] for message in batch])
    assert same(found, one_by_one), (found, one_by_one)
    assert len(failed) == len(failed_alone)
    _nobody_looks(JSONDecoder, batch, found, failed, len(failed))


def json_lines(data: bytes) -> None:
    """JSON Lines: a frame in each part between two zero bytes; a line is what JSON says that it is."""
    batch: list[Any] = data.split(b"\0")
    found, failed = through(JSONLinesDecoder(), [batch])
    lines = [line for frame in batch for line in frame.split(b"\n") if line and not line.isspace()]
    empty = sum(not frame.strip() for frame in batch)
    assert len(found) + len(failed) == len(lines) + empty
    expected, failed_alone = through(JSONDecoder(), [[line] for line in lines])
    assert same(found, expected), (found, expected)
    assert len(failed) == len(failed_alone) + empty
    _nobody_looks(JSONLinesDecoder, batch, found, failed_alone, len(failed))


def _nobody_looks(
    decoder: type[Decoder], batch: list[Any], found: list[Any], reports: list[Any], failed: int
) -> None:
    """Text that is passed on as it came is accepted and refused as decoded text is, and says the same."""
    kept, errors = Kept(), Kept()
    head = decoder(error=errors, output_to=NullFilter(output_to=JSONEncoder(output_to=kept)))
    head.consume_many(batch)
    head.close()
    if any("out of range" in str(report) for report in reports):
        return  # text with a number like 1e999 is well-formed: only who decodes it finds that it has no value
    assert head.metrics.failed == failed, (head.metrics.failed, failed)
    assert len(kept.messages) == len(found), (kept.messages, found)
    for text, message in zip(kept.messages, found, strict=True):
        if text != JSONEncoder().filter(message):
            ((again,), _) = through(JSONDecoder(), [[text]])
            assert same([again], [message]), (text, message)


def _packed(make: Callable[[], Decoder], sound: bytes, data: bytes) -> bytes | None:
    """What is unpacked of `data`, or None, alone and among others; nothing is larger than is allowed."""
    batch = [sound, data, data + data, b"", data[: len(data) // 2], sound]
    found, failed = through(make(), [batch])
    assert len(found) + len(failed) == len(batch)
    assert found[0] == found[-1] == _SOUND
    assert all(type(message) is bytes and len(message) <= MAX_SIZE for message in found)
    one_by_one, failed_alone = through(make(), [[message] for message in batch])
    assert (found, len(failed)) == (one_by_one, len(failed_alone))
    alone, _ = through(make(), [[data]])
    return alone[0] if alone else None


def gzipped(data: bytes) -> None:
    """Gzip: what it unpacks, the standard library unpacks to the same."""
    found = _packed(lambda: GzipDecoder(max_size=MAX_SIZE), gzip.compress(_SOUND, mtime=0), data)
    assert found is None or gzip.decompress(data) == found


def bzipped(data: bytes) -> None:
    """Bzip2: what it unpacks, the standard library unpacks to the same, after the original's five bytes."""
    found = _packed(lambda: Bzip2Decoder(max_size=MAX_SIZE), bz2.compress(_SOUND), data)
    bare = data[5:] if data[:1] == b"\xf0" and len(data) > 5 else data
    assert found is None or bz2.decompress(bare) == found


def zstandard(data: bytes) -> None:
    """Zstd: what it unpacks, the library unpacks to the same at once."""
    found = _packed(lambda: ZstdDecoder(max_size=MAX_SIZE), zstd.compress(_SOUND), data)
    assert found is None or zstd.decompress(data) == found


def encrypted(data: bytes) -> None:
    """Crypt::CBC, with blocks of either size."""
    for cipher in ("AES", "Blowfish"):
        options: dict[str, Any] = {"encryption_key": _KEY, "encryption_cipher": cipher}
        sound = CryptCBCEncoder(**options).filter(_SOUND)
        found = _packed(lambda options=options: CryptCBCDecoder(**options), sound, data)  # type: ignore[misc]
        assert found is None or len(found) < len(data)
