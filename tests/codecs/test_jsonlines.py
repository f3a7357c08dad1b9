"""JSON Lines: many messages in one, and back."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder, JSONLinesEncoder
from message_passing.codecs.zstd import ZstdDecoder, ZstdEncoder
from message_passing.errors import OutputClosedError
from message_passing.filters.null import NullFilter
from message_passing.flow import Output
from message_passing.lines import LineBatch, MultiMessage
from message_passing.outputs.file import FileOutput
from message_passing.summaries import losses
from support import Kept, accounted_for

objects = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=30) | st.none(), max_size=4)
pieces = st.sampled_from(
    [
        *(b'{"a":1}', b"{}", b'{"b":"\xc3\xa4"}', b"3", b'"text"', b"null", b"{", b"}", b'{"a":', b"", b" "),
        *(b"\n", b"{} {}", b"{}{}", b'{"x":"\xff"}', b'{"x":"a\nb"}', b"[\n]", b"\r\n", b"\xff", b'{"a":{}'),
        *(b"{}}", b'"', b","),
    ]
)
frames = st.lists(pieces, max_size=6).map(b"".join) | st.lists(pieces, max_size=6).map(b"\n".join)


def through(decoder: Any, batches: list[list[Any]]) -> tuple[list[Any], dict[str, Any]]:
    """What a decoder hands on of these batches, and its counters."""
    decoder.error = Kept()
    kept = Kept()
    decoder.connect_to(kept)
    for batch in batches:
        decoder.consume_many(batch)
    decoder.close()
    return kept.messages, decoder.snapshot()


@given(messages=st.lists(objects, max_size=50), size=st.integers(1, 300))
def test_there_and_back(messages: list[Any], size: int) -> None:
    """Every message comes back as it was, in order, in frames no larger than they may be."""
    kept = Kept()
    encoder = JSONLinesEncoder(size=size, output_to=kept)
    encoder.consume_many(messages)
    encoder.close()
    assert accounted_for(encoder)
    assert sum(frame.lines for frame in kept.messages) == len(messages)
    assert all(frame.count(b"\n") == frame.lines - 1 for frame in kept.messages)
    assert all(len(frame) <= size or frame.lines == 1 for frame in kept.messages)
    found, counted = through(JSONLinesDecoder(), [kept.messages])
    assert found == messages
    assert counted["failed"] == counted["filtered"] == 0


def test_frames_are_as_full_as_they_may_be() -> None:
    """As few frames as there is need for: the next line would not have fitted."""
    kept = Kept()
    encoder = JSONLinesEncoder(size=100, output_to=kept)
    encoder.consume_many([{"number": number} for number in range(40)])
    encoder.close()
    for frame, after in zip(kept.messages, kept.messages[1:], strict=False):
        assert len(frame) + 1 + len(after.split(b"\n")[0]) > 100


@given(st.lists(frames, max_size=3))
def test_a_chain_that_looks_and_one_that_does_not(batch: list[bytes]) -> None:
    """Text that is passed on as it came is accepted and rejected line by line as decoded text is."""
    looked, counted = through(JSONLinesDecoder(), [batch])
    kept = Kept()
    decoder = JSONLinesDecoder(error=Kept(), output_to=NullFilter(output_to=JSONEncoder(output_to=kept)))
    decoder.consume_many(batch)
    decoder.close()
    assert kept.messages == [JSONEncoder().filter(message) for message in looked]
    assert not [message for message in kept.messages if b"\n" in message]
    assert decoder.snapshot() == counted


@given(st.lists(frames, max_size=3))
@example([b"{} {}\n{\n}"])  # as many values as lines, and yet not one on each
@example([b'{"a":\n1}\n{}'])
@example([b"{}\n\n{}"])
@example([b"{}\n{}\n"])
def test_line_by_line_is_what_the_json_decoder_says_of_each(batch: list[bytes]) -> None:
    """A line is a message if the decoder JSON takes it for one, and fails otherwise."""
    lines = [line for frame in batch for line in frame.split(b"\n") if line and not line.isspace()]
    expected, counted_one_by_one = through(JSONDecoder(), [[line] for line in lines])
    found, counted = through(JSONLinesDecoder(), [batch])
    assert found == expected
    empty = [frame for frame in batch if not frame.strip()]
    assert counted["failed"] == counted_one_by_one["failed"] + len(empty)


def test_a_malformed_line_is_reported_alone() -> None:
    """Its neighbours go on, and the report has the line only."""
    errors = Kept()
    kept = Kept()
    decoder = JSONLinesDecoder(output_to=kept, error=errors)
    decoder.consume_many([b'{"a":1}\nnonsense\n{"b":2}\n', b'{"c":3}'])
    decoder.close()
    assert kept.messages == [{"a": 1}, {"b": 2}, {"c": 3}]
    (report,) = errors.messages
    assert "nonsense" in str(report)
    assert '"a"' not in str(report)


def test_what_is_no_text() -> None:
    """Objects pass, and text is taken as bytes are."""
    found, _ = through(JSONLinesDecoder(), [[{"an": "object"}, '{"a":1}\n{"b":2}', bytearray(b"{}"), b""]])
    assert found == [{"an": "object"}, {"a": 1}, {"b": 2}, {}]


def test_checked_text_is_framed_as_it_came() -> None:
    """Between JSONLines and JSONLines nothing is rebuilt: spaces and the order of keys stay."""
    kept = Kept()
    chain = JSONLinesDecoder(output_to=NullFilter(output_to=JSONLinesEncoder(output_to=kept)))
    chain.consume_many([b'{"b": 1}\n{"a" : "\xc3\xa4"}\n', b'{"c":3}'])
    chain.close()
    assert kept.messages == [b'{"b": 1}\n{"a" : "\xc3\xa4"}\n{"c":3}']


def test_one_report_for_each_message() -> None:
    """Of all its malformed lines, counted, with what is wrong with the first; its other lines go on."""
    errors, kept = Kept(), Kept()
    decoder = JSONLinesDecoder(output_to=kept, error=errors)
    decoder.consume_many([b'x\n{"a":1}\nnull\n\n{"b":\n', b'{"c":3}', b"null\nnull", "[1\n2"])
    decoder.close()
    assert kept.messages == [{"a": 1}, {"c": 3}, 2]
    assert decoder.metrics.failed == 3 + 2 + 1
    assert [(one["packed_data"], one.get("count", 1)) for one in errors.messages] == [
        ("x", 3),
        ("null", 2),
        ("[1", 1),
    ]
    assert "malformed" in errors.messages[0]["exception"]
    assert "null is not a message" in errors.messages[1]["exception"]


class Sizes(Kept):
    """Keeps how large its batches were, and nothing of them."""

    def write_many(self, messages: list[Any]) -> None:
        """Note the size."""
        self.batches.append([len(messages)])


@pytest.mark.parametrize("last", [b"{}", b"x", b"{}\n", b"\n\n"])
def test_a_message_of_many_small_objects_is_taken_apart_in_pieces(last: bytes) -> None:
    """What it unpacks to is never all there at once; nothing is lost or counted twice where it is cut."""
    count = 700_000
    sizes, errors = Sizes(), Kept()
    decoder = JSONLinesDecoder(output_to=sizes, error=errors)
    message = b"{}\n" * count + last
    tracemalloc.start()
    try:
        decoder.consume_many([b"{}", message, b'{"a":1}\n{"b":2}'])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    decoder.close()
    assert peak < 20_000_000
    assert sum(size for (size,) in sizes.batches) == count + 3 + last.startswith(b"{}")
    assert max(size for (size,) in sizes.batches) < 100_000
    assert decoder.metrics.failed == len(errors.messages) == (last == b"x")


@pytest.mark.parametrize(
    "make", [bytes, bytes.decode, bytearray, memoryview], ids=["bytes", "text", "array", "view"]
)
def test_lines_of_all_lengths_around_a_cut(make: Any) -> None:
    """However a large message's lines lie, each comes once, also one that is longer than a piece."""
    texts = ["x" * size for size in (1 << 20, 1, (1 << 20) - 3, 3 << 20, 0, 1 << 19)]
    message = "\n".join(json.dumps(text) for text in texts).encode()
    found, counted = through(JSONLinesDecoder(), [[make(message), b"{}"]])
    assert found == [*texts, {}]
    assert counted["failed"] == 0


def test_text_of_several_lines() -> None:
    """JSON is put on one line; what is no JSON cannot be, and fails."""
    errors = Kept()
    kept = Kept()
    encoder = JSONLinesEncoder(output_to=kept, error=errors)
    encoder.consume_many([b'{\n "a": 1\n}', b"two\nlines", b"one line", "text", {"a": {1, 2}.__class__}])
    encoder.close()
    (frame,) = kept.messages
    assert frame.split(b"\n")[:3] == [b'{"a":1}', b"one line", b'"text"']
    assert encoder.snapshot()["failed"] == len(errors.messages) == 5 - frame.lines


def test_lines_of_a_checked_batch_are_not_joined_again() -> None:
    """A batch that a JSON decoder checked is cut into frames as the block that it is."""
    kept = Kept()
    encoder = JSONLinesEncoder(size=16, output_to=kept)
    encoder.consume_many(LineBatch([b'{"a":1}', b'{"b":2}', b'{"c":3}']))
    encoder.close()
    assert kept.messages == [b'{"a":1}\n{"b":2}', b'{"c":3}']
    assert [frame.lines for frame in kept.messages] == [2, 1]


def test_compressed_frames_carry_as_many() -> None:
    """A frame that was compressed counts as the lines in it, and comes back whole."""
    kept = Kept()
    encoder = JSONLinesEncoder(output_to=ZstdEncoder(output_to=kept))
    messages = [{"number": number, "text": "much the same"} for number in range(100)]
    encoder.consume_many(messages)
    encoder.close()
    (frame,) = kept.messages
    assert isinstance(frame, MultiMessage)
    assert frame.lines == 100
    assert len(frame) < 1000
    found = Kept()
    decoder = ZstdDecoder(output_to=JSONLinesDecoder(output_to=found))
    decoder.consume_many(kept.messages)
    decoder.close()
    assert found.messages == messages


@pytest.mark.parametrize("size", [0, -1, "many"])
def test_size_is_checked(size: Any) -> None:
    """It is a positive number of bytes."""
    with pytest.raises(Exception, match="size"):
        JSONLinesEncoder(size=size)


def framed(count: int) -> MultiMessage:
    """So many messages in one."""
    kept = Kept()
    with JSONLinesEncoder(output_to=kept) as encoder:
        encoder.consume_many([{"number": number} for number in range(count)])
    (frame,) = kept.messages
    assert isinstance(frame, MultiMessage)
    return frame


@pytest.mark.parametrize("bad", [0, 1, 3, 99, 100])
def test_each_malformed_line_counts_as_one(bad: int) -> None:
    """Of a frame of a hundred lines, so many fail as are malformed; the others go on, whoever looks or not."""
    lines = framed(100).split(b"\n")
    for index in range(bad):
        lines[index] = lines[index][:-1]
    for after in (Kept(), NullFilter(output_to=JSONEncoder(output_to=Kept()))):
        decoder = JSONLinesDecoder(output_to=after, error=Kept())
        decoder.consume_many([b"\n".join(lines)])
        decoder.close()
        counted = decoder.snapshot()
        assert (counted["failed"], counted["passed"]) == (bad, 100 - bad)


def test_a_frame_for_the_decoder_json_is_told_as_what_it_carries() -> None:
    """It is malformed, as one message; how many lines it had is said, and what takes them."""
    decoder = JSONDecoder(output_to=Kept(), error=Kept())
    decoder.consume_many([framed(100) + b"\n", bytes(framed(20)), b"{", b'{"pretty":\n1'])
    decoder.close()
    assert decoder.summary() == [
        "2 that failed had several lines, 120 in all: messages that carry several are for the decoder JSONLines"
    ]
    sound = JSONDecoder(output_to=Kept(), error=Kept())
    sound.consume_many([b"{", b'{"a":1}', b'{"a":\n{}}'])
    sound.close()
    assert sound.summary() == []


class Refusing(Output):
    """Cannot write some of what it is given, or anything."""

    def on_init(self) -> None:
        """It can at first."""
        super().on_init()
        self.error = Kept()
        self.raises: Exception | None = None

    def write_many(self, messages: list[Any]) -> None:
        """The first message is refused, and then all are."""
        if self.raises:
            self.fail(ValueError("the first"), messages[:1])
            raise self.raises


@pytest.mark.parametrize("pack", [NullFilter, ZstdEncoder])
def test_what_is_lost_with_a_frame_is_what_it_carries(pack: Any) -> None:
    """Wherever that is: an output that fails, one that is closed, and where there is none."""
    output = Refusing()
    output.raises = ValueError("the others")
    packing = pack(output_to=output)
    with packing:
        packing.consume_many([framed(100), framed(20), framed(3)])
        assert output.snapshot().items() >= {"received": 123, "failed": 123, "passed": 0}.items()
        output.raises = OutputClosedError()
        with pytest.raises(OutputClosedError):
            packing.consume_many([framed(100), framed(20)])
    assert output.snapshot().items() >= {"failed": 223, "dropped": {"closed": 20}}.items()
    output.consume_many([framed(5)])
    assert output.snapshot().items() >= {"received": 248, "passed": 0, "dropped": {"closed": 25}}.items()
    lonely = pack()
    lonely.consume_many([framed(100)])
    lonely.close()
    (nowhere,) = lonely.outputs()
    assert nowhere.snapshot().items() >= {"received": 100, "dropped": {"no output_to": 100}}.items()


def test_a_full_disk_loses_what_a_frame_carries() -> None:
    """As the output says at the end."""
    output = FileOutput(filename="/dev/full", error=Kept())
    with JSONLinesEncoder(output_to=output) as encoder:
        encoder.consume_many([{"number": number} for number in range(100)])
    assert losses([encoder, output]) == ["File output lost 100 messages: 100 failed"]
