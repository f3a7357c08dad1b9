"""Single values: subclasses, lazy texts, numpy's and pandas', in the codec and in the log handler alike."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import fractions
import ipaddress
import json
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import markupsafe
import msgspec
import numpy as np
import pandas as pd
import pytest
from django.utils.functional import lazystr

from message_passing.codecs.json import JSONEncoder
from message_passing.jsonable import ITEMS, sanitize
from message_passing.logging.entry import plain

if TYPE_CHECKING:
    from collections.abc import Callable

encode = JSONEncoder().filter


class Text(str):
    """A text with a text of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Octets(bytes):
    """Bytes with nothing of their own."""


class MoreOctets(bytearray):
    """Bytes that change."""


class Number(int):
    """A number with a text of its own."""

    def __repr__(self) -> str:
        return "a number"


class Real(float):
    """A number that calls itself something else."""

    def __repr__(self) -> str:
        return "a real number"


class Moment(dt.datetime):
    """What clocks for tests make."""


class Day(dt.date):
    """The same without a time."""


class Hour(dt.time):
    """The same without a date."""


class While(dt.timedelta):
    """A duration."""


class Amount(Decimal):
    """A decimal number."""


class Level(enum.IntEnum):
    """Numbers with names."""

    HIGH = 7


class Flags(enum.IntFlag):
    """Numbers that are added."""

    A = 1
    B = 2


class Word(enum.StrEnum):
    """Texts with names."""

    YES = "yes"


class Mixed(bytes, enum.Enum):
    """Bytes with names."""

    X = b"ab"


class Lazy:
    """A translation that is made when it is needed, as flask-babel's and babel's are."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __getattr__(self, name: str) -> Any:
        return getattr(str(self), name)

    def __len__(self) -> int:
        return len(str(self))

    def __getitem__(self, place: int) -> str:
        return str(self)[place]

    def __add__(self, other: str) -> str:
        return str(self) + other

    def __mod__(self, other: Any) -> str:
        return str(self).__mod__(other)


class Arrow:
    """Tells a time and is no datetime, as arrow's do."""

    def isoformat(self) -> str:
        """In ISO 8601."""
        return "2026-01-02T03:04:05+01:00"


MOMENT = (2026, 1, 2, 3, 4, 5, 250000)
STRUCTURED = np.array([(1, 2.5, "x")], dtype=[("a", "i4"), ("b", "f4"), ("c", "U3")])

VALUES: dict[str, tuple[Any, Any]] = {
    "text": (Text("x"), "x"),
    "markup": (markupsafe.Markup("<b>"), "<b>"),
    "half a pair": (Text("\ud800"), "\\ud800"),
    "bytes": (Octets(b"ab"), "YWI="),
    "bytearray": (MoreOctets(b"ab"), "YWI="),
    "number": (Number(5), 5),
    "real": (Real(1.5), 1.5),
    "not a number": (Real("nan"), None),
    "datetime": (Moment(*MOMENT, tzinfo=dt.UTC), "2026-01-02T03:04:05.250000Z"),
    "naive": (Moment(*MOMENT), "2026-01-02T03:04:05.250000"),
    "date": (Day(2026, 1, 2), "2026-01-02"),
    "time": (Hour(3, 4), "03:04:00"),
    "duration": (While(seconds=3), "PT3S"),
    "decimal": (Amount("1.50"), "1.50"),
    "uuid": (type("Id", (uuid.UUID,), {})(int=1), "00000000-0000-0000-0000-000000000001"),
    "int enum": (Level.HIGH, 7),
    "flags": (Flags.A | Flags.B, 3),
    "str enum": (Word.YES, "yes"),
    "bytes enum": (Mixed.X, "YWI="),
    "user string": (collections.UserString("ab"), "ab"),
    "lazy": (Lazy("lazy"), "lazy"),
    "django's lazy": (lazystr("lazy"), "lazy"),
    "arrow": (Arrow(), "2026-01-02T03:04:05+01:00"),
    "address": (ipaddress.ip_address("::1"), "::1"),
    "network": (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
    "fraction": (fractions.Fraction(1, 3), "1/3"),
    "complex": (1 + 2j, "(1+2j)"),
    "np.int64": (np.int64(-5), -5),
    "np.uint8": (np.uint8(5), 5),
    "np.uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "np.float64": (np.float64(1.5), 1.5),
    "np.float32": (np.float32(1.5), 1.5),
    "np.float16": (np.float16("nan"), None),
    "np.longdouble": (np.longdouble(1.5), 1.5),
    "np.bool": (np.bool_(True), True),
    "np.str_": (np.str_("x"), "x"),
    "np.bytes_": (np.bytes_(b"ab"), "YWI="),
    "np.complex64": (np.complex64(1 + 2j), "(1+2j)"),
    "np.datetime64": (np.datetime64("2026-01-02T03:04:05"), "2026-01-02T03:04:05"),
    "nanoseconds": (np.datetime64("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
    "np.datetime64 none": (np.datetime64("NaT"), None),
    "np.timedelta64": (np.timedelta64(5, "s"), "PT5S"),
    "np.timedelta64 in ns": (np.timedelta64(5_000_000_000, "ns"), "PT5S"),
    "np.timedelta64 none": (np.timedelta64("NaT"), None),
    "too long": (np.timedelta64(2**62, "s"), f"{2**62} seconds"),
    "too short": (np.timedelta64(1500, "ns"), "1500 nanoseconds"),
    "pd.Timedelta in ns": (pd.Timedelta(1, "ns"), "P0DT0H0M0.000000001S"),
    "years": (np.timedelta64(5, "Y"), "5 years"),
    "np.void": (np.void(b"ab"), "YWI="),
    "array": (np.array([1, 2]), [1, 2]),
    "array of reals": (np.array([[1.5, np.nan], [np.inf, 0]]), [[1.5, None], [None, 0.0]]),
    "array without dimensions": (np.array(5), 5),
    "time without dimensions": (np.array("2026-01-02", dtype="M8[ns]"), "2026-01-02T00:00:00.000000000"),
    "array of three": (np.zeros((1, 2, 1), dtype=int), [[[0], [0]]]),
    "array of times": (np.array(["2026-01-02", "NaT"], dtype="M8[D]"), ["2026-01-02", None]),
    "array of texts": (np.array(["a", "b"]), ["a", "b"]),
    "array of objects": (np.array([Text("x"), None], dtype=object), ["x", None]),
    "long doubles": (np.array([1.5], dtype=np.longdouble), [1.5]),
    "structured": (STRUCTURED, [{"a": 1, "b": 2.5, "c": "x"}]),
    "one of them": (STRUCTURED[0], {"a": 1, "b": 2.5, "c": "x"}),
    "masked": (np.ma.array([1, 2], mask=[False, True]), [1, None]),
    "matrix": (np.ones((2, 1)).view(np.matrix), [[1.0], [1.0]]),
    "pd.Timestamp": (pd.Timestamp("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z"),
    "pd.Timestamp in ns": (pd.Timestamp("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
    "pd.NaT": (pd.NaT, None),
    "pd.NA": (pd.NA, None),
    "pd.Timedelta": (pd.Timedelta("1.5s"), "PT1.5S"),
    "pd.Period": (pd.Period("2026-01"), "2026-01"),
    "pd.Interval": (pd.Interval(1, 2), "(1, 2]"),
    "pd.Index": (pd.Index([1, 2]), [1, 2]),
    "pd.DatetimeIndex": (pd.DatetimeIndex(["2026-01-02", None]), ["2026-01-02T00:00:00", None]),
    "pd.Categorical": (pd.Categorical(["a"]), ["a"]),
    "pd.array": (pd.array([1, None]), [1, None]),
    "pd.Series": (pd.Series([np.int64(1), 2]), {"0": 1, "1": 2}),
    "by time": (pd.Series([1], index=pd.DatetimeIndex(["2026-01-02"])), {"2026-01-02T00:00:00": 1}),
    "the same key again": (
        pd.Series([1, 2, 3], index=["a", "a", "a (2)"]),
        {"a": 1, "a (2)": 2, "a (2) (2)": 3},
    ),
    "values": ({"a": 1}.values(), [1]),
    "pd.DataFrame": (pd.DataFrame({"a": [1, 2]}), {"a": {"0": 1, "1": 2}}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_what_it_is_made_of(name: str) -> None:
    """In the codec on either road, within lists and as a key's value, and in a log record."""
    value, wanted = VALUES[name]
    for found in (encode({"v": value, "l": [value]}), encode({"v": value, "l": [value], None: 0})):
        text = json.loads(found)
        assert (text["v"], text["l"]) == (wanted, [wanted])
    assert json.loads(msgspec.json.encode(plain({"v": value, "l": [value]}))) == {"v": wanted, "l": [wanted]}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *((np.int64(3), "3"), (Level.HIGH, "7"), (markupsafe.Markup("m"), "m"), (lazystr("lazy"), "lazy")),
        *((dt.date(2026, 1, 2), "2026-01-02"), (b"ab", "YWI="), (None, "null"), (np.bool_(True), "true")),
        *((pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"), (Mixed.X, "YWI="), (Number(5), "5")),
    ],
    ids=str,
)
def test_a_key_is_what_it_is_made_of(key: Any, text: str) -> None:
    """The same text in the codec and in a log record."""
    assert list(sanitize({key: 1})) == [text]
    assert json.loads(encode({key: 1})) == {text: 1}
    assert json.loads(msgspec.json.encode(plain({key: 1}))) == {text: 1}


@pytest.mark.parametrize(
    "made",
    [
        lambda: np.zeros(10_000_000),
        lambda: np.zeros((3000, 3000)),
        lambda: np.zeros((10_000_000, 1, 0)),
        lambda: np.array(["x" * 1_000_000] * 20),
        lambda: np.zeros(30, dtype="V1000000"),
        lambda: np.full(1_000_000, "2026-01-02", dtype="M8[D]"),
        lambda: pd.Series(range(1_000_000)),
        lambda: pd.DataFrame(np.zeros((100_000, 20))),
        lambda: pd.RangeIndex(1_000_000_000),
        lambda: pd.Categorical(["a"]).repeat(1_000_000),
    ],
)
def test_of_a_large_one_there_are_so_many(made: Callable[[], Any]) -> None:
    """In a log record, and what was left out is marked."""
    text = msgspec.json.encode(plain({"v": made()}))
    assert len(text) < ITEMS * 60
    assert b"more" in text


def test_nothing_is_imported_for_them() -> None:
    """A program that does without numpy and pandas does without them still."""
    program = (
        "import sys\n"
        "from message_passing.codecs.json import JSONEncoder\n"
        "from message_passing.logging.entry import plain\n"
        "class int64: __module__ = 'numpy'\n"
        "print(plain({'v': int64(), 'w': object(), 'x': 1j}), JSONEncoder().filter({'v': 1j}))\n"
        "print({'numpy', 'pandas', 'fractions'} & {*sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
