"""JSON: whatever comes in, one line of UTF-8 goes out, and back."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import json
import uuid
from collections import OrderedDict, deque
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.errors import DecodingError, EncodingError
from message_passing.filters.null import NullFilter
from support import Kept, accounted_for

encode = JSONEncoder().filter
decode = JSONDecoder().filter

any_text = st.text(st.characters(codec=None))  # lone surrogates too
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(),
    any_text,
    st.binary(),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])),
    st.dates(),
    st.uuids(),
    st.decimals(allow_nan=False),
)
keys = st.one_of(
    any_text,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(),
    st.tuples(any_text, st.integers()),
)
objects = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(keys, inner), st.tuples(inner, inner), st.frozensets(scalars)
    ),
    max_leaves=20,
)


@settings(deadline=None)  # a busy machine is slow
@given(st.dictionaries(keys, objects))
def test_an_object_becomes_one_line_that_any_reader_takes(message: dict[Any, Any]) -> None:
    """No newline, valid UTF-8, and valid JSON for Python's reader and for msgspec's."""
    line = encode(message)
    assert b"\n" not in line
    assert isinstance(json.loads(line.decode("utf-8")), dict)
    assert isinstance(msgspec.json.decode(line), dict)


@settings(deadline=None)  # a busy machine is slow
@given(st.lists(st.one_of(st.dictionaries(keys, objects), any_text, st.binary(), st.integers())))
def test_a_batch_is_encoded_as_its_messages_are(messages: list[Any]) -> None:
    """The road for batches makes the same bytes as the one for a single message."""
    assert JSONEncoder().filter_many(messages) == [encode(message) for message in messages]


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(plain.filter(lambda value: value is not None and not isinstance(value, str)))
def test_what_json_knows_comes_back_as_it_was(message: Any) -> None:
    """Encoded and decoded again it is equal."""
    assert decode(encode(message)) == message


@given(plain)
def test_what_python_writes_is_read(message: Any) -> None:
    """A JSON text from elsewhere, with spaces and escapes, means the same here."""
    if message is not None:
        assert decode(json.dumps(message, indent=2)) == message


@given(st.binary())
def test_decoding_garbage_fails_or_makes_an_object_and_nothing_else(data: bytes) -> None:
    """Every failure is a DecodingError."""
    with contextlib.suppress(DecodingError):
        assert decode(data) is not None


class Colour(enum.Enum):
    """An enum."""

    RED = "red"


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    label: str = "p"


class Struct(msgspec.Struct):
    """A msgspec struct."""

    x: int


@attrs.define
class Defined:
    """An attrs class."""

    x: int


class Model(pydantic.BaseModel):
    """A pydantic model, with something that JSON has no type for."""

    x: int
    when: dt.datetime


class WithToDict:
    """Offers `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        """What it is."""
        return {"x": 1, "when": dt.date(2012, 1, 2)}


class WithDunder:
    """Offers `__json__`."""

    def __json__(self) -> list[int]:
        """What it is."""
        return [1, 2]


class WithPack:
    """Offers the original's `pack`."""

    def pack(self) -> dict[str, Any]:
        """What it is."""
        return {"__CLASS__": "Event", "x": 1}


MOMENT = dt.datetime(2012, 1, 2, 3, 4, 5, 250000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MOMENT, '"2012-01-02T03:04:05.250000Z"'),
        (MOMENT.replace(tzinfo=None), '"2012-01-02T03:04:05.250000"'),
        (dt.date(2012, 1, 2), '"2012-01-02"'),
        (dt.time(3, 4), '"03:04:00"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.50"), '"1.50"'),
        (Colour.RED, '"red"'),
        (b"\x00\xff", '"AP8="'),
        ({1}, "[1]"),
        ((1, 2), "[1,2]"),
        (deque([1]), "[1]"),
        (range(2), "[0,1]"),
        (OrderedDict(a=1), '{"a":1}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (PurePosixPath("/var/log"), '"/var/log"'),
        (Point(1), '{"x":1,"label":"p"}'),
        (Point(1, "\udc80"), '{"x":1,"label":"\\\\udc80"}'),
        (Struct(1), '{"x":1}'),
        (Defined(1), '{"x":1}'),
        (Model(x=1, when=MOMENT), '{"x":1,"when":"2012-01-02T03:04:05.250000Z"}'),
        (WithToDict(), '{"x":1,"when":"2012-01-02"}'),
        (WithDunder(), "[1,2]"),
        (WithPack(), '{"__CLASS__":"Event","x":1}'),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        (2**70, "1180591620717411303424"),
        ("\udc80", '"\\\\udc80"'),
        ("\u2028\n", '"\u2028\\n"'),
        ({None: 1, True: 2, 3: 4}, '{"null":1,"true":2,"3":4}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_have_a_sensible_form(value: Any, text: str) -> None:
    """Within a message and, where it is no text or bytes, as a message."""
    assert encode({"v": value}).decode() == f'{{"v":{text}}}'
    # and on the careful road
    assert encode([value, object_with_odd_key()]).decode() == f'[{text},{{"null":0}}]'
    if not isinstance(value, (str, bytes)):
        assert encode(value).decode() == text


def object_with_odd_key() -> dict[None, int]:
    """Something that the fast encoder refuses."""
    return {None: 0}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (b'{"a":1}', b'{"a":1}'),
        (b"plain", b"plain"),
        ("plain \u263a", '"plain \u263a"'.encode()),
        ("two\n{}", b'"two\\n{}"'),
        ("\udcff", b'"\\\\udcff"'),
        ("", b'""'),
        (0, b"0"),
    ],
)
def test_bytes_pass_and_text_is_encoded(message: Any, line: bytes) -> None:
    """Bytes are encoded already; text becomes JSON text, whatever it holds."""
    assert encode(message) == line


def test_pretty_breaks_and_indents() -> None:
    """It says the same."""
    text = JSONEncoder(pretty=True).filter({"a": [1, {"b": None}]})
    assert text.count(b"\n") > 4
    assert json.loads(text) == {"a": [1, {"b": None}]}


class Itself:
    """Says that it is itself in another form."""

    def to_dict(self) -> Any:
        """Never ends."""
        return {"again": self}


def circular_dict() -> dict[str, Any]:
    """A dict that holds itself."""
    message: dict[str, Any] = {}
    message["self"] = message
    return message


def circular_list() -> list[Any]:
    """A list that holds itself, beside something that the fast encoder refuses."""
    message: list[Any] = [float("nan"), "\udc80"]
    message.append(message)
    return message


def deep(levels: int) -> list[Any]:
    """Lists in lists."""
    message: list[Any] = []
    for _ in range(levels):
        message = [message]
    return message


@pytest.mark.parametrize(
    "message",
    [circular_dict(), circular_list(), Itself(), deep(100_000)],
    ids=["dict", "list", "to_dict", "deep"],
)
def test_what_never_ends_is_an_encoding_error(message: Any) -> None:
    """It is neither a crash nor a hang."""
    with pytest.raises(EncodingError, match="nested too deeply, or contains itself"):
        encode(message)


def test_what_has_no_json_form_is_an_encoding_error_that_names_its_type() -> None:
    """The next message goes on."""
    end, errors = Kept(), Kept()
    encoder = JSONEncoder(output_to=end, error=errors)
    encoder.consume_many([{"a": 1}, {"a": object()}, {"a": 2}])
    assert end.messages == [b'{"a":1}', b'{"a":2}']
    assert errors.messages[0]["exception"] == "an object of type object has no JSON form"
    assert accounted_for(encoder)


def test_an_object_whose_conversion_fails_is_told() -> None:
    """A user's `to_dict` may raise anything."""

    class Broken:
        def to_dict(self) -> Any:
            raise KeyError("gone")

    end, errors = Kept(), Kept()
    JSONEncoder(output_to=end, error=errors).consume_many([{"a": Broken()}, {"a": 2}])
    assert end.messages == [b'{"a":2}']
    assert errors.messages[0]["class"] == "KeyError"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{bad", "malformed JSON: "),
        (b"", "malformed JSON: Input data was truncated"),
        (b'{"a":1} trailing', "malformed JSON: "),
        (b'{"a":"\xff"}', "malformed JSON: "),
        ("\udc80", "malformed JSON: "),
        (b"[" * 100_000, "malformed JSON: "),
        (b"null", "JSON null is not a message"),
        (b"NaN", "malformed JSON: "),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_bad_json_is_a_decoding_error(data: Any, reason: str) -> None:
    """With the reason; one by one and in a batch, where the others go on."""
    with pytest.raises(DecodingError, match=f"^{reason}"):
        decode(data)
    end, errors = Kept(), Kept()
    decoder = JSONDecoder(output_to=end, error=errors)
    decoder.consume_many([b'{"a":1}', data, b'{"a":2}'])
    assert end.messages == [{"a": 1}, {"a": 2}]
    assert errors.messages[0]["exception"].startswith(reason)
    assert accounted_for(decoder)


@pytest.mark.parametrize("data", [b"0", '""', b"false", bytearray(b"{}"), memoryview(b"[]")])
def test_false_values_are_messages(data: Any) -> None:
    """Only null is none."""
    end = Kept()
    JSONDecoder(output_to=end).consume(data)
    assert end.messages == [json.loads(bytes(data) if not isinstance(data, str) else data)]


def test_an_object_that_is_decoded_already_passes() -> None:
    """As in the original, so that a chain made by hand may skip the encoding."""
    message = {"a": 1}
    assert decode(message) is message


@pytest.mark.parametrize("hook", ["filter", "filter_many"])
def test_a_filter_made_of_one_that_does_not_look_is_given_objects(hook: str) -> None:
    """What its base may leave undecoded, its own code may not: it would see bytes."""
    seen: list[Any] = []

    def note(_: Any, given: Any) -> Any:
        seen.append(given)
        return given

    own: Any = type("Own", (NullFilter,), {hook: note})
    end = Kept()
    JSONDecoder(output_to=own(output_to=JSONEncoder(output_to=end))).consume(b'{"a":1}')
    assert seen == [{"a": 1} if hook == "filter" else [{"a": 1}]]
    assert end.messages == [b'{"a":1}']


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1} ', b'{"a":\n1}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\\ud800 and more of it"}',
        b'{"a":"\\udc00 and more of it"}', b'{"a":"\\x"}', b'{"a":"\x01"}', b'{"a":01}',
        b"[1]", b'"x"', b"null", b"{", b"", b'{"a":NaN}', b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)  # fmt: skip
def test_what_nobody_looks_into_fails_and_passes_just_as_what_is_looked_into(data: bytes) -> None:
    """Passing text on as it came is a short cut, and changes nothing but the spaces in it."""
    outcomes = []
    for between in (NullFilter, type("Looking", (NullFilter,), {"looks": True})):
        end, errors = Kept(), Kept()
        through: Any = between(output_to=JSONEncoder(output_to=end))
        JSONDecoder(output_to=through, error=errors).consume_many([b'{"n":0}', data])
        outcomes.append(
            ([line.replace(b" ", b"") for line in end.messages], [e["exception"] for e in errors.messages])
        )
        assert all(b"\n" not in line for line in end.messages)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("number", [b"1e999", b"-1E+400", b"123456789e301", b"1" * 309 + b".5e9"])
def test_a_number_that_is_too_large_is_refused_by_who_decodes_it(number: bytes) -> None:
    """The one thing that the short cut lets through: it is well-formed, and only its value is wanting."""
    text = b'{"n":' + number + b"}"
    with pytest.raises(DecodingError, match="out of range"):
        decode(text)
    end = Kept()
    JSONDecoder(output_to=NullFilter(output_to=JSONEncoder(output_to=end))).consume_many([text, b'{"n":0}'])
    assert end.messages == [text, b'{"n":0}']


def test_a_hundred_megabytes_are_a_message() -> None:
    """A large message is slow, but no error, and comes back whole."""
    message = {"text": "x" * 100_000_000}
    line = encode(message)
    assert len(line) == 100_000_011
    assert decode(line) == message
