"""The filter Redact."""

from __future__ import annotations

import copy
import json
import math
import random
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import finished
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.errors import OptionError
from message_passing.filters._personal import cards
from message_passing.filters._suspects import _FOLDED
from message_passing.filters.mangle import MangleFilter
from message_passing.filters.redact import RedactFilter
from message_passing.filters.where import WhereFilter
from message_passing.flow import Filter
from support import Kept, accounted_for

ALL = ["card", "email", "ip", "token"]


def redacted(message: Any, **options: Any) -> Any:
    """What becomes of a message, which itself stays as it is."""
    before, kept = copy.deepcopy(message), Kept()
    RedactFilter(**options, output_to=kept).consume(message)
    assert message == before
    return kept.messages[0]


def test_as_it_is_typed() -> None:
    """Keys and patterns, in what is nested, too."""
    options = '{"keys":["password"],"patterns":["card","email"]}'
    given = b'{"password":"x","user":{"Password":1},"text":"bob@example.com paid with 4111 1111 1111 1111"}\n'
    words = ("--input", "STDIN", "--filter", "Redact", "--filter_options", options, "--output", "STDOUT")
    done = finished(*words, given=given)
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {
        "password": "[redacted]",
        "user": {"Password": "[redacted]"},
        "text": "[redacted] paid with [redacted]",
    }


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("card", "4111111111111111", "*"),
        ("card", "4111 1111 1111 1111, 5500-0000-0000-0004.", "*, *."),
        ("card", "order 12 4111 1111 1111 1111 3", "order 12 * 3"),
        ("card", "378282246310005 and 6011000990139424", "* and *"),
        ("card", "4111111111111112", "4111111111111112"),
        ("card", "1700000000000", "1700000000000"),
        ("card", "94111111111111111", "94111111111111111"),
        ("card", "41111111111111110000", "41111111111111110000"),
        ("email", "mail bob.smith+x@mail.example.co.uk now", "mail * now"),
        ("email", "<a@b.c>,d@e.f", "<*>,*"),
        ("email", "@home a@b user@", "@home a@b user@"),
        ("ip", "from 10.1.2.3:80 to 1.2.3.4.", "from *:80 to *."),
        ("ip", "v1.2.3.4.5 300.1.1.1 1.2.3", "v1.2.3.4.5 300.1.1.1 1.2.3"),
        ("ip", "[2001:db8::1]:80 fe80::1 ::1 ::ffff:10.0.0.1", "[*]:80 * * *"),
        ("ip", "12:30:45 a::b::c std::string", "12:30:45 a::b::c std::string"),
        ("ip", "peer:2001:db8::1 fe80::1: refused, ::1. fe80::1%eth0", "peer:* *: refused, *. *%eth0"),
        ("ip", "1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9 x::1", "* 1:2:3:4:5:6:7:8:9 x::1"),
        ("email", "o'brien@x.org user='b@x.org' jürgen@example.de b@münchen.de", "* user='*' * *"),
        ("token", "Authorization: Bearer abc.def-ghi123", "Authorization: Bearer *"),
        ("token", "authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic *"),
        ("token", "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJl;", "t=*;"),
        ("token", "amqp://guest:s3cret@host/v", "amqp://guest:*@host/v"),
        ("token", "redis://:s3cret@host mysql://u:p@ss@host/db", "redis://:*@host mysql://u:*@host/db"),
        ("token", "AKIAIOSFODNN7EXAMPLE", "*"),
        ("token", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----x", "*x"),
        ("token", "a bearer of news, a basic idea", "a bearer of news, a basic idea"),
    ],
)
def test_what_is_found(pattern: str, text: str, wanted: str) -> None:
    """And what only looks like it is left."""
    assert redacted({"a": [text]}, patterns=[pattern], mask="*") == {"a": [wanted]}


@pytest.mark.parametrize(
    ("message", "options", "wanted"),
    [
        ({"a": {"PASSWORD": {"x": 1}}, "password_hint": "p"}, {"keys": ["Password"]},
         {"a": {"PASSWORD": "[redacted]"}, "password_hint": "p"}),
        ({"user": {"email": 1}, "email": 2}, {"keys": ["user.email"]}, {"user": {"email": "[redacted]"}, "email": 2}),
        ([{"password": 1}, "a@b.cd"], {"keys": ["password"], "patterns": ["email"]},
         [{"password": "[redacted]"}, "[redacted]"]),
        ("to a@b.cd", {"patterns": ["email"]}, "to [redacted]"),
        (b"\xff a@b.cd", {"patterns": ["email"]}, b"\xff [redacted]"),
        ({"card": 4111111111111111, "n": 5}, {"patterns": ["card"]}, {"card": "[redacted]", "n": 5}),
        ({"n": -4111111111111111, "f": 4111111111111111.0, "nan": 1e99, "b": True}, {"patterns": ["card"]},
         {"n": "-[redacted]", "f": "[redacted]", "nan": 1e99, "b": True}),
        ({"ssn": 123456789, "n": 5, "f": 1.5, "b": True}, {"regexes": [r"^\d{9}$", "True"]},
         {"ssn": "[redacted]", "n": 5, "f": 1.5, "b": True}),
        ({"b": b"\xff a@b.cd", "t": ("a@b.cd", 1)}, {"patterns": ["email"]},
         {"b": b"\xff [redacted]", "t": ["[redacted]", 1]}),
        ({"user": [{"email": 1}, {"Email": 2}], "user.email": 3, "x": {"User.email": 4, "user": {"email": 5}}},
         {"keys": ["user.EMAIL"]},
         {"user": [{"email": "[redacted]"}, {"Email": "[redacted]"}], "user.email": "[redacted]",
          "x": {"User.email": "[redacted]", "user": {"email": 5}}}),
        ({"a": {"b": {"c": 1}, "b.c": 2}, "a.b": {"c": 3}, "c": 4}, {"keys": ["a.b.c"]},
         {"a": {"b": {"c": "[redacted]"}, "b.c": "[redacted]"}, "a.b": {"c": "[redacted]"}, "c": 4}),
        ({"a": "id 123-45"}, {"regexes": [r"\d{3}-\d\d"], "mask": ""}, {"a": "id "}),
        ({"a": "x"}, {"regexes": ["y*"]}, {"a": "x"}),
        (7, {"patterns": ["card"]}, 7),
        (4111111111111111, {"patterns": ["card"]}, "[redacted]"),
    ],
)  # fmt: skip
def test_where_it_is_looked_for(message: Any, options: Any, wanted: Any) -> None:
    """In every text at any depth, and in large numbers."""
    assert redacted(message, **options) == wanted


def test_a_hash_instead_of_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same value has the same hash, with another key another one; and the key may be in a variable."""
    monkeypatch.setenv("REDACT_KEY", "k")
    found = redacted({"a": "x@y.zz x@y.zz z@y.zz"}, patterns=["email"], hash_key="env:REDACT_KEY")
    one, two, three = found["a"].split()
    assert one == two != three
    assert one.startswith("[hmac:")
    assert redacted({"a": "x@y.zz"}, patterns=["email"], hash_key="k")["a"] == one
    assert redacted({"a": "x@y.zz"}, patterns=["email"], hash_key="l")["a"] != one


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("4111111111111111@example.com", "*"),
        ("t sk-4111-1111-1111-1111-abcdefgh u", "t * u"),
        ("https://bob:s#cret@example.com/x", "https://bob:*/x"),
        ("bearer abc.1.2.3.4.def", "bearer *"),
    ],
)
def test_what_one_pattern_masks_hides_nothing_from_another(text: str, wanted: str) -> None:
    """In whatever order they are given: no part of a secret is left."""
    for order in (ALL, ALL[::-1]):
        assert redacted({"a": text}, patterns=order, mask="*") == {"a": wanted}
    assert redacted({"a": "one two three"}, regexes=["one t", "e tw|two"], mask="*") == {"a": "*o three"}


def test_a_value_nested_too_deeply_to_show_has_a_hash() -> None:
    """So have a text with half a character, and what is not a text: the message does not fail."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    kept = Kept()
    RedactFilter(keys=["a", "b", "c"], hash_key="k", output_to=kept).consume(
        {"a": deep, "b": "\ud800", "c": 10**5000}
    )
    assert [one.startswith("[hmac:") for one in kept.messages[0].values()] == [True] * 3


@pytest.mark.parametrize(
    "text", ["4 ", "1 ", ":", "f:", "a@", "@a.", "1.", "://a:", "bearer ", "eyJa.", "a" * 65]
)
def test_long_texts_take_linear_time(text: str) -> None:
    """131,072 characters of what nearly is something; the square would take minutes."""
    long = text * ((1 << 17) // len(text))
    begin = time.process_time()
    redacted({"a": long}, patterns=ALL)
    assert time.process_time() - begin < 30


def test_a_message_nested_deeper_than_python_can_call() -> None:
    """It is searched all the same."""
    message: Any = "a@b.cd"
    for _ in range(5000):
        message = [message]
    kept = Kept()
    RedactFilter(patterns=["email"], output_to=kept).consume(message)
    (found,) = kept.messages
    while isinstance(found, list):
        (found,) = found
    assert found == "[redacted]"


@given(st.text(alphabet="0123456789 -", max_size=60))
def test_every_card_that_is_found_is_one(text: str) -> None:
    """By its length and its check digit; and none is left that begins and ends with a group."""
    for begin, end in cards(text):
        digits = [int(one) for one in text[begin:end] if one.isdigit()]
        assert 13 <= len(digits) <= 19
        assert sum(digits[-1::-2] + [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]) % 10 == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "set `keys`, `patterns` or `regexes`"),
        ({"patterns": ["emial"]}, "option 'patterns' must be list of 'card' or 'email' or 'ip' or 'token'"),
        ({"regexes": ["("]}, "it is not a regular expression"),
        ({"regexes": ["(a+)+b"]}, "exponential"),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """When the filter is made."""
    with pytest.raises(OptionError) as caught:
        RedactFilter(**options)
    assert problem in str(caught.value)


PIECES = st.sampled_from(
    [
        *(
            "4111111111111111",
            "4111 1111-1111 1111",
            "378282246310005",
            "1700000000000",
            "2026-03-01 08",
            "5",
        ),
        *(
            "bob",
            "@example",
            ".com",
            "a@b.c",
            "1.2.3.4",
            "10.",
            ".7",
            "::1",
            "2001:db8:0:0:0:0:0:1",
            ":",
            "7:",
        ),
        *(
            "Bearer ",
            "abcdefgh12",
            "sk-",
            "AKIAABCDEFGHIJKLMNOP",
            "eyJ",
            "://u:pw@",
            "ghp_",
            "xoxb-1234567890",
        ),
        *(
            "-----BEGIN PRIVATE KEY-----",
            "basic ",
            "\u00e9",
            "\ufb00",
            "\\u00a",
            "\x01",
            "\n",
            "\\",
            '"',
            "\ud800",
            " ",
            "-",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
NUMBERS = st.sampled_from(
    [
        *(4111111111111111, -4111111111111111, 4111111111111111.0, 6011000990139424e3, 6.011000990139424e16),
        *(4e15, 1.5, 1e300, math.inf, math.nan, 1700000000000, 2**70, True, None, 5105105105105100.5),
    ]
)
NAMES = st.sampled_from(
    ["password", "Pa\u017f\u017fword", "user", "USER.email", "email", 'a"b', "\u00df", "x", "@v", "a."]
)
BYTES = TEXTS.map(lambda one: one.encode(errors="surrogatepass"))
VALUES = st.recursive(
    TEXTS
    | NUMBERS
    | TEXTS.map(lambda one: one.encode(errors="surrogatepass"))
    | TEXTS.map(lambda one: bytearray(one, errors="surrogatepass", encoding="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(NAMES | st.just(7), inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=3).map(lambda one: {"user": one})
    ),
    max_leaves=6,
)
KEYS = [["password"], ["user.email", "SS"], ['a"b', "\u017f"], ["a."], []]


@given(
    messages=st.lists(
        VALUES.filter(lambda one: one is not None) | st.dictionaries(NAMES, VALUES, max_size=4),
        min_size=1,
        max_size=6,
    ),
    keys=st.sampled_from(KEYS),
    patterns=st.lists(st.sampled_from(ALL), max_size=4, unique=True),
)
def test_a_batch_is_masked_as_its_messages_are(messages: list[Any], keys: list[str], patterns: Any) -> None:
    """Scanning a batch for what may need masking misses nothing that looking at each field finds."""
    if not keys and not patterns:
        patterns = ALL
    made = RedactFilter(keys=keys, patterns=patterns, mask="*", output_to=Kept())
    batch = messages * 2
    assert repr(made.filter_many([*batch])) == repr(Filter.filter_many(made, [*batch]))


SCALARS = TEXTS | NUMBERS.filter(lambda one: not isinstance(one, float) or math.isfinite(one))
OBJECTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


def spelled(value: Any, chance: random.Random) -> str:
    """A JSON text of a value, in one of the many ways in which it can be written."""
    space = chance.choice(("", "", " ", "\t"))
    if isinstance(value, dict):
        pairs = [f"{spelled(key, chance)}{space}:{spelled(one, chance)}" for key, one in value.items()]
        if pairs and chance.random() < 0.3:  # a name twice, of which the last one counts
            pairs.append(chance.choice(pairs).replace("4", "5"))
        return f"{{{space}{','.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{f'{space},'.join(spelled(one, chance) for one in value)}]{space}"
    if isinstance(value, str):
        return f'{space}"{"".join(_spelled_letter(one, chance) for one in value)}"'
    if isinstance(value, bool) or value is None or chance.random() < 0.3:
        return space + json.dumps(value)
    shift = chance.randrange(-19, 20)
    moved = Decimal(value).scaleb(-shift)
    return (
        f"{space}{moved:f}{chance.choice('eE')}{'+' * (shift >= 0 and chance.random() < 0.5)}{shift}{space}"
    )


def _spelled_letter(letter: str, chance: random.Random) -> str:
    if letter == "/" and chance.random() < 0.3:
        return "\\/"
    if letter in '"\\' or letter < " " or letter == "\ud800" or chance.random() < 0.03:
        return json.dumps(letter)[1:-1] if chance.random() < 0.5 else f"\\u{ord(letter):04X}"
    return letter


def masked_lines(batches: list[list[bytes]], options: dict[str, Any], *, as_objects: bool) -> dict[str, Any]:
    """What becomes of lines between two conditions, of which the second one reads what may have been masked."""
    end, errors = Kept(), Kept()
    last = WhereFilter(condition='password != "*" or x == 5', output_to=JSONEncoder(output_to=end))
    redact = RedactFilter(
        mask="*",
        output_to=MangleFilter(filter_function=copy.copy, output_to=last) if as_objects else last,
        **options,
    )
    first = WhereFilter(condition="n != 2", output_to=redact)
    with JSONDecoder(output_to=first, error=errors) as head:
        assert (head.wiring.reads is None) is as_objects
        for batch in batches:
            head.consume_many(batch)
        assert all(map(accounted_for, (head, first, redact, last)))
        return {
            "kept": [json.loads(one) for one in end.messages],
            "failed": len(errors.messages),
            "filtered": first.metrics.filtered + last.metrics.filtered,
        }


@given(
    messages=st.lists(OBJECTS, min_size=1, max_size=5),
    keys=st.sampled_from(KEYS),
    patterns=st.lists(st.sampled_from(ALL), max_size=4, unique=True),
    seed=st.integers(0, 1 << 32),
)
def test_lines_are_masked_as_objects_are(
    messages: list[Any], keys: list[str], patterns: Any, seed: int
) -> None:
    """However they are written, what is found in the objects is found in the text, and nothing else differs."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    lines = [spelled(one, chance).encode(errors="surrogatepass") for one in messages]
    few: list[bytes] = [b'{"n":%d}' % (number % 3) for number in range(60)]
    for one in lines:
        few.insert(chance.randrange(len(few) + 1), one)
    options = {"keys": keys, "patterns": patterns or ALL}
    text, objects = (masked_lines([few, lines], options, as_objects=one) for one in (False, True))
    assert text == objects


def test_no_way_to_write_a_secret_hides_it_in_a_line() -> None:
    """A few lines among many, each a batch's only one with something to mask; all of them pass in order."""
    secrets: list[bytes] = [
        b'{"pass\\u0077ord":"s"}',
        b'{"PassWord" : ["s"]}',
        '{"pa\u017f\u017fword":"s"}'.encode(),
        b'{"a":[{"b":{"c":{"password":"s"}}}]}',
        b'{"password":"s","password":null}',
        b'{"text":"postgres:\\/\\/u:secret@db"}',
        b'{"text":"bob\\u0040example.com"}',
        b'{"text":"card\\u20134111111111111111"}',
        b'{"text":"4111 1111-1111 1111"}',
        b'{"a":4.111111111111111E15}',
        b'{"a":[41111111111111110e-1]}',
        b'{"a":0.04111111111111111e+17 }',
        b'{"a":4111111111111110.99999999999}',
        b'{"text":"\\u001b4111111111111111"}',
        b'{"text":"10.\\u0031.2.3"}',
        b'{"text":"\\u0042earer abcdefgh12"}',
    ]
    options = {"keys": ["password"], "patterns": ALL}
    batches = [[b"{}"] * 20 + [one] + [b'{"n":2}'] + [b"{}"] * 3 for one in secrets]
    found = masked_lines(batches, options, as_objects=False)
    assert found == masked_lines(batches, options, as_objects=True)
    assert [len(batch) for batch in batches] == [25] * len(secrets)
    masked = [json.dumps(one) for one in found["kept"] if one]
    assert len(masked) == len(secrets) - 2  # the last condition removes those whose `password` is masked
    assert all("*" in one for one in masked)


def test_a_card_after_a_control_character_is_found_among_many_objects() -> None:
    """The digits of its escape are not the card's."""
    redact = RedactFilter(patterns=["card"], mask="*")
    many = [{"text": "nothing"} for _ in range(20)]
    assert redact.filter_many([*many, {"text": "\x1b4111111111111111"}, *many])[20] == {"text": "\x1b*"}
    assert redact.filter_many([*many, {"text": "\x014111 1111-1111 1111 "}, *many])[20] == {"text": "\x01* "}
    for before in (
        "\\u00a",
        "\x1b\\u00a",
        "\\u00\x1b",
        "\\\\u00f",
        "\\u0000\x00",
    ):  # of which some is no escape
        masked = redact.filter_many([*many, {"text": f"{before}4111111111111111"}, *many])[20]
        assert masked == {"text": f"{before}*"}


def test_lines_in_which_nothing_is_found_pass_as_they_came() -> None:
    """The others are written anew, even where nothing is masked: their fields may be there twice."""
    end = Kept()
    plain = [b'{ "text" : "\xc3\xa9", "n" : 1.50 , "id":"12e4" }'] * 30
    near = b'{"text":"a@b",  "text":"c"}'
    twice = b'{"text":"a@b.example", "text":"c"}'
    redact = RedactFilter(patterns=["email", "card"], output_to=JSONEncoder(output_to=end))
    with JSONDecoder(output_to=redact) as head:
        head.consume_many([*plain, near, twice, *plain])
        assert end.messages == [*plain, near, b'{"text":"c"}', *plain]
        head.consume_many([twice] * 9)  # more than a few: all are objects, as are those of the next batches
        head.consume_many([*plain])
        assert end.messages[62:] == [b'{"text":"c"}'] * 9 + [b'{"text":"\xc3\xa9","n":1.5,"id":"12e4"}'] * 30
        assert accounted_for(redact)


def test_a_line_that_cannot_be_read_to_be_masked_fails() -> None:
    """Alone, and counted: a number in it that no filter had read before is out of range."""
    end, errors = Kept(), Kept()
    redact = RedactFilter(keys=["password"], error=errors, output_to=JSONEncoder(output_to=end))
    with JSONDecoder(output_to=redact, error=errors) as head:
        head.consume_many([b'{"n":1}', b'{"password":"s","n":1e400}', b'{"n":2}'])
        head.consume_many([b'{"password":"s","n":1e400}', b'{"password":"s"}', b'{"password":"s"}'])
        assert end.messages == [b'{"n":1}', b'{"n":2}', *[b'{"password":"[redacted]"}'] * 2]
        assert (redact.metrics.failed, len(errors.messages)) == (2, 2)
        assert "out of range" in str(errors.messages[0])
        assert accounted_for(redact)


def test_messages_with_nothing_to_mask_are_not_looked_at() -> None:
    """Of many, only those that may have something; the rest is passed on as it is."""
    made = RedactFilter(keys=["password"], patterns=["card", "email"], output_to=Kept())
    messages: list[Any] = [
        {"@timestamp": "2026-03-01T08:00:00Z", "ms": 1700000000000, "n": one, "text": "é"}
        for one in range(600)
    ]
    messages[300] = {"text": "a@b.example"}
    messages[599] = {"Password": 1}
    looked: list[Any] = []
    plain = made.filter

    def seen(message: Any) -> Any:
        looked.append(message)
        return plain(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "filter", seen)
        kept = made.filter_many(messages)
    assert looked == [messages[300], messages[599]]
    assert kept[300] == {"text": "[redacted]"}
    assert kept[599] == {"Password": "[redacted]"}
    assert all(kept[one] is messages[one] for one in range(300))


def test_every_letter_that_folds_to_ascii_is_known() -> None:
    """Names in other letters may be those of a field, such as the long s."""
    found = {chr(one) for one in range(0x80, 0x110000) if chr(one).casefold().isascii()}
    assert found == {one.decode() for one in _FOLDED}
