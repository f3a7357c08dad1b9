"""A batch that is one block of text as well."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.filters.null import NullFilter
from message_passing.flow import Output
from message_passing.lines import LineBatch, LineBlock, ObjectFrames
from support import Kept


class Batches(Output):
    """Keeps the batches that it gets, as they are."""

    def on_init(self) -> None:
        """None yet."""
        self.got: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep it."""
        self.got.append(messages)


@pytest.mark.parametrize(
    ("messages", "block"),
    [([], b""), ([b"{}"], b"{}\n"), ([b"a", b"", b"b"], b"a\n\nb\n")],
    ids=["none", "one", "several"],
)
def test_block(messages: list[bytes], block: bytes) -> None:
    """The block holds every message, each followed by a newline, and the list the messages themselves."""
    lines = LineBatch(messages)
    assert lines == messages
    assert lines.block == block


@pytest.mark.parametrize(
    "other", [b"", b'{"a":[1', b'{"a":1}\n', b'{"a":\n1}', b'{"a":1}{}', b'{"a":"\xff"}', b"{}]"]
)
def test_received_objects_are_checked_as_others_are(other: bytes) -> None:
    """Each for itself, also where two of them together would be well-formed."""
    found: list[list[Any]] = []
    for marked in (True, False):
        output, errors = Kept(), Kept()
        batch = ObjectFrames([b'{"b":"\xc3\xa9"}', *([other] if other else []), b'{"b":2}]}', b'{"c":{}}'])
        assert batch.join() == sum(map(len, batch))
        assert batch.block == LineBatch(batch).block
        decoder = JSONDecoder(output_to=JSONEncoder(output_to=output), error=errors)
        decoder.consume_many(batch if marked else [*batch])
        decoder.close()
        found.append([output.messages, len(errors.messages)])
    assert found[0] == found[1]


def test_checked_text_arrives_as_a_block() -> None:
    """What a JSON decoder checked comes out of JSON -> Null -> JSON as the one block that it was checked as."""
    output = Batches()
    decoder = JSONDecoder(output_to=NullFilter(output_to=JSONEncoder(output_to=output)))
    decoder.consume_many([b'{"a":1}', '{"b":"ä"}'.encode()])
    decoder.close()
    (batch,) = output.got
    assert isinstance(batch, LineBatch)
    assert batch.block == '{"a":1}\n{"b":"ä"}\n'.encode()


def test_a_block_is_a_batch_as_well() -> None:
    """It has a length, its messages can be asked for one by one, in slices and in turn."""
    batch = LineBlock(b"a\n\nb\n", 3)
    assert len(batch) == 3
    assert (batch[0], batch[1:], list(batch)) == (b"a", [b"", b"b"], [b"a", b"", b"b"])


def test_what_is_encoded_for_a_file_is_one_block() -> None:
    """Where the output takes blocks, and nowhere else."""

    class Blocks(Batches):
        takes_blocks = True

    class Own(Blocks):
        def write_many(self, messages: list[Any]) -> None:
            super().write_many(messages)

    for cls, kind in ((Blocks, LineBlock), (Batches, list), (Own, list)):
        output = cls()
        encoder = JSONEncoder(output_to=output)
        encoder.consume_many([{"a": 1}, {"b": "ä"}])
        encoder.consume_many([{"a": {1, 2}.__class__}, {"c": 3}])
        encoder.close()
        first, second = output.got
        assert type(first) is kind
        assert [*first, *second] == [b'{"a":1}', '{"b":"ä"}'.encode(), b'{"c":3}']
