"""Records whose parts are not what they should be: taken, sent, dropped and told of like all others (promise 1)."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import io
import itertools
import json
import logging
import pathlib
import sys
import time
import traceback
import types
import unittest.mock
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from arrivals import Arrivals
from logs import free_endpoint, logger_with, run, silent
from message_passing.codecs.json import JSONEncoder
from message_passing.errors import EncodingError
from message_passing.jsonable import DEPTH, ITEMS
from message_passing.logging.attributes import LARGEST_RECORD
from message_passing.logging.backlog import Policy
from message_passing.logging.entry import plain
from message_passing.logging.exceptions import described_exception
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Rebel:
    """Raises whatever it is asked."""

    def _no(self, *_: object) -> Any:
        raise ValueError("no")

    __str__ = __repr__ = __hash__ = __eq__ = __bool__ = __len__ = __iter__ = __format__ = _no
    __lt__ = __gt__ = __mod__ = __rmod__ = __float__ = __int__ = __index__ = __getattr__ = _no


class RebelliousText(str):
    """A text whose methods raise."""

    __slots__ = ()

    def _no(self, *_: Any, **__: Any) -> Any:
        raise ValueError("no")

    __str__ = __repr__ = __hash__ = __eq__ = __len__ = __iter__ = __format__ = __mod__ = lower = _no


class RebelliousNumber(int):
    """A number whose methods raise."""

    def _no(self, *_: object) -> Any:
        raise ValueError("no")

    __str__ = __repr__ = __hash__ = __eq__ = __lt__ = __gt__ = __int__ = __float__ = __index__ = _no


VALUES: list[Any] = [
    *(
        None,
        True,
        (),
        (1, "two"),
        object(),
        [],
        {},
        b"\xff",
        "",
        "x" * 100_000,
        "half \ud800",
        pathlib.Path("/x"),
    ),
    *(0, -1, 10**400, 1.5, float("nan"), float("inf"), float("-inf"), 1e300, -1e300),
    *(Rebel(), RebelliousText("text"), RebelliousNumber(30), unittest.mock.Mock(), unittest.mock.MagicMock()),
    unittest.mock.Mock(spec=str),
    unittest.mock.Mock(spec=int),
]

ATTRIBUTES = (
    *(
        "name",
        "levelname",
        "levelno",
        "pathname",
        "filename",
        "module",
        "lineno",
        "funcName",
        "created",
        "msecs",
    ),
    *(
        "relativeCreated",
        "thread",
        "threadName",
        "processName",
        "process",
        "msg",
        "args",
        "exc_info",
        "exc_text",
    ),
    *("stack_info", "taskName"),
)

FIELDS = [
    "default",
    "ecs",
    "log_dispatch",
    "logstash",
    "logstash0",
    "otel",
    dict,
    lambda entry: {"all": entry},
]


class Missing(logging.LogRecord):
    """A record that has next to nothing."""

    def __init__(self) -> None:
        """As it is."""


class Property(logging.LogRecord):
    """A record whose attribute raises."""

    @property
    def levelname(self) -> str:
        """What it has not."""
        raise ValueError("no")

    @levelname.setter
    def levelname(self, value: str) -> None:
        """Nothing is kept."""


def records() -> Iterator[logging.LogRecord]:
    """Each attribute with each value, and some that lack it, with arguments and without."""
    for name, value in itertools.product(ATTRIBUTES, VALUES):
        record = logging.makeLogRecord({"msg": "text", "levelno": 20, "levelname": "INFO"})
        record.__dict__[name] = value
        yield record
    for name in ATTRIBUTES:
        record = logging.makeLogRecord({"msg": "text %s", "args": ("x",), "levelno": 20, "levelname": "INFO"})
        record.__dict__.pop(name, None)
        yield record
    yield Missing()
    yield Property("name", 20, "/file", 1, "text", None, None)


@pytest.mark.parametrize("fields", FIELDS, ids=map(str, range(len(FIELDS))))
def test_any_record_is_sent(fields: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Each once, in order, under its number; nothing is raised, printed, failed or dropped."""
    given = list(records())
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=fields) as (_, handler):
        for record in given:
            handler.handle(record)
        wait_for(lambda: handler.stats()["sent"] == len(given), 20)
        handler.flush()
        handler.close()
        assert handler.stats() == {"sent": len(given), "queued": 0, "dropped": {}, "failed": 0}
        wait_for(lambda: len(arrivals.records) == len(given))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("policy", get_args(Policy))
@pytest.mark.parametrize("fields", ["default", "ecs", "otel", dict], ids=str)
def test_any_record_is_dropped_and_told_of(policy: Policy, fields: Any) -> None:
    """By each policy; the counts are exact, and the notice of it can be made."""
    given = list(records())
    with logger_with(free_endpoint(), policy=policy, fields=fields, socket_hwm=7, linger=0) as (_, handler):
        for number, record in enumerate(given):
            handler.handle(record)
            if not number % 5:
                handler.flush()
        stats = handler.stats()
        assert stats["sent"] + stats["queued"] + sum(stats["dropped"].values()) == len(given)
        delivery = handler._shipper.worker.transmitter
        assert delivery is not None
        assert b"records were dropped" in delivery._encode_notice((handler._shipper._losses.notice(), None))
        handler.close()
        stats = handler.stats()
        assert sum(stats["dropped"].values()) == len(given)
        assert stats["failed"] == 0


def test_a_dropped_record_without_a_level_does_not_poison_the_notice() -> None:
    """It is told of under the name of its number, or as the text that it has in the place of a name."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (_, handler):
        losses = handler._shipper._losses
        for level in (None, True, (1, 2), object()):
            record = logging.makeLogRecord({"msg": "x", "levelno": 20, "levelname": level})
            handler._refuse(record, None)
        assert losses.untold
        handler.handle(logging.makeLogRecord({"msg": "next", "levelno": 20, "levelname": "INFO"}))
        wait_for(lambda: len(arrivals.records) == 2)
        notice = arrivals.records[0]
        assert {"INFO", "True", "(1, 2)"} < notice["extra"]["dropped"].keys()
        assert notice["message"].startswith("4 records were dropped")
        assert arrivals.records[1]["sequence"] == 5


def test_levels_without_end_are_bounded() -> None:
    """Ten thousand names and numbers of levels: the notice is small, and no queue is kept for each."""
    with logger_with(free_endpoint(), socket_hwm=10, policy="drop_least_severe", linger=0) as (_, handler):
        for number in range(10_000):
            handler.handle(
                logging.makeLogRecord(
                    {"msg": "x", "levelno": number * 1000, "levelname": "x" * 999 + str(number)}
                )
            )
            if not number % 10:
                handler.flush()
        assert len(msgspec.json.encode(handler._shipper._losses.notice())) < 50_000
        handler.close()
        assert handler.stats()["dropped"] == {"queue full": 9990, "unsent at close": 10}


class Ended(BaseException):
    """What is to end a program, a task or a thread."""


ENDS = [KeyboardInterrupt, SystemExit, GeneratorExit, Ended]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("where", ["__str__", "__repr__", "to_dict"])
def test_what_is_to_end_the_program_goes_on_its_way(end: type[BaseException], where: str) -> None:
    """A record in whose call it was raised is counted as failed, and its number is missing: a gap that is counted."""

    def raises(*_: object) -> Any:
        raise end

    value = type("Value", (), {where: raises})()
    message = {"__str__": "%s", "__repr__": "%r", "to_dict": "x"}[where]
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, handler):
        logger.error("before")
        arguments, extra = ((), {"value": value}) if where == "to_dict" else ((value,), {})
        with pytest.raises(end):
            logger.error(message, *arguments, extra=extra)
        logger.error("after")
        wait_for(lambda: len(arrivals.records) == 2)
        assert [record["sequence"] for record in arrivals.records] == [1, 3]
        assert handler.stats() == {"sent": 2, "queued": 0, "dropped": {}, "failed": 1}


@pytest.mark.parametrize("end", ENDS)
def test_a_function_for_the_fields_that_wants_to_end_the_program(end: type[BaseException]) -> None:
    """It loses its record, counted; thread and program live on, and the notice does not depend on it."""

    def fields(entry: dict[str, Any]) -> dict[str, Any]:
        if "fine" not in entry["message"]:
            raise end
        return {"message": entry["message"]}

    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=fields) as (logger, handler):
        for _ in range(3):
            logger.error("bad")
            logger.error("fine")
        wait_for(lambda: sum(record["message"] == "fine" for record in arrivals.records) == 3)
        assert handler.stats() == {
            "sent": 3,
            "queued": 0,
            "dropped": {"could not be encoded": 3},
            "failed": 0,
        }


class Answering:
    """Has every attribute, as lazy objects have, and each is a method that gives another of these."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *args: object, **keys: object) -> Any:
        """Another one."""
        return Answering()


class Endless(collections.abc.Sequence[int]):
    """Has no end."""

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, place: Any) -> Any:
        return place


class Dawdling(collections.abc.Sequence[int]):
    """Takes its time for each item."""

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, place: Any) -> Any:
        stop = time.thread_time() + 0.001
        while time.thread_time() < stop:
            pass
        return place


class Rows:
    """Looks like an array, and its rows have no end."""

    ndim = 2

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, place: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat(self)

    def tolist(self) -> Any:
        """Itself."""
        return self


class Growing:
    """Turns into another of its kind."""

    def to_dict(self) -> Any:
        """As msgspec's hook asks for."""
        return {"next": Growing(), "and": [Growing(), Growing()]}


class Slow:
    """Takes its time to say what it is."""

    def __repr__(self) -> str:
        time.sleep(0.001)
        return "slow"


class Long:
    """Has a long text."""

    def __repr__(self) -> str:
        return "x" * 10_000_000


@dataclasses.dataclass
class Tree:
    """Holds its children."""

    children: list[Tree]


def tree(depth: int) -> Tree:
    """A tree of two branches at each place."""
    one = Tree([])
    for _ in range(depth):
        one = Tree([one, one])
    return one


def nested(depth: int) -> Any:
    """Lists and dicts in each other."""
    found: Any = 1
    for _ in range(depth):
        found = [{"in": found}]
    return found


def itself() -> Any:
    """A dict that holds itself, many times."""
    found: dict[str, Any] = {}
    found.update({str(number): found for number in range(100)})
    return found


class Color(enum.Enum):
    """An enumeration of odd values."""

    RED = tuple(range(100_000))


LARGE: dict[str, Callable[[], Any]] = {
    "mock": unittest.mock.Mock,
    "magic mock": unittest.mock.MagicMock,
    "mock of a dict": lambda: unittest.mock.MagicMock(spec=dict),
    "mock of a list": lambda: unittest.mock.NonCallableMagicMock(spec=list),
    "answering": Answering,
    "many mocks": lambda: [unittest.mock.Mock() for _ in range(500)],
    "range": lambda: range(20_000_000),
    "ranges": lambda: [range(20_000_000)] * 1000,
    "endless": Endless,
    "keys": lambda: dict.fromkeys(range(1_000_000)),
    "ordered": lambda: collections.OrderedDict.fromkeys(range(300_000)),
    "deque": lambda: collections.deque(range(1_000_000)),
    "set": lambda: set(range(1_000_000)),
    "view": lambda: dict.fromkeys(range(1_000_000)).keys(),
    "long text": lambda: "x" * 100_000_000,
    "texts": lambda: ["x" * 100_000] * 10_000,
    "bytes": lambda: bytes(100_000_000),
    "view of bytes": lambda: memoryview(bytearray(50_000_000)),
    "number": lambda: 10**1_000_000,
    "numbers": lambda: [10**5000] * 1000,
    "key": lambda: {
        10**100_000: 1,
        tuple(range(1_000_000)): 2,
        "y" * 50_000_000: 3,
        frozenset(range(100_000)): 4,
    },
    "nested": lambda: nested(100_000),
    "wide and nested": lambda: [[[list(range(100))] * 100] * 100] * 100,
    "itself": itself,
    "tree": lambda: tree(60),
    "growing": Growing,
    "dawdling": Dawdling,
    "rows": Rows,
    "values": lambda: dict.fromkeys(range(1_000_000)).values(),
    "partial": lambda: functools.partial(print, list(range(1_000_000))),
    "slow": lambda: [Slow() for _ in range(5000)],
    "long representation": lambda: [Long()] * 3,
    "enumeration": lambda: [Color.RED] * 1000,
    "exception": lambda: ValueError("x" * 100_000_000, list(range(1_000_000))),
    "namespace": lambda: types.SimpleNamespace(**{f"key{number}": number for number in range(100_000)}),
    "struct": lambda: msgspec.defstruct("Point", [("x", Any)])(x=range(10**9)),
}


def deeper(depth: int, function: Callable[[Any], Any], value: Any) -> Any:
    """What a function makes of a value, called so deep.

    Where the interpreter's stack goes over into its next piece, a call costs 10 µs more: it is at another place then.
    """
    return deeper(depth - 1, function, value) if depth else function(value)


@pytest.mark.parametrize("name", LARGE)
def test_what_is_made_plain_is_bounded(name: str) -> None:
    """In its size, and in the time that the caller pays; where something was left out it says so."""
    value = LARGE[name]()
    times = []
    for depth in (0, 7, 29):
        began = time.thread_time()
        found = deeper(depth, plain, value)
        times.append(time.thread_time() - began)
    text = msgspec.json.encode(found)
    assert len(text) < 4_000_000
    assert json.loads(text) is not None
    if "mock" not in name and name != "answering":
        marks = (b"more", b"nested", b"integer of", b"no time")
        assert any(mark in text for mark in marks) or b"..." in text[-6:], text[:300]
    limit = 0.5 if name == "long representation" else 0.15  # nobody can bound a method of the object's own
    assert min(times) < limit, times


@dataclasses.dataclass
class Computed:
    """A dataclass, one of whose fields is computed and cannot be."""

    a: int = 1
    b: int = dataclasses.field(default=2, init=False)
    c: int = 3

    def __getattribute__(self, name: str) -> Any:
        if name == "b":
            raise ValueError("no")
        return super().__getattribute__(name)


class Torn(collections.abc.Mapping[str, Any]):
    """A mapping that has lost a value."""

    def __getitem__(self, key: str) -> Any:
        return {"a": 1, "c": 3}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("abc")

    def __len__(self) -> int:
        return 3


class Short(collections.abc.Sequence[int]):
    """Has fewer items than it says, and an error where the third would be."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, place: Any) -> Any:
        return [1, 2][place] if place < 2 else 1 / 0


class Refusing(dict[str, Any]):
    """A dict that does not want to be read."""

    def items(self) -> Any:
        """Not to be had."""
        raise ValueError("no")


class Unending(collections.abc.Mapping[str, Any]):
    """Cannot even be begun."""

    def _no(self, *_: object) -> Any:
        raise ValueError("no")

    __getitem__ = __iter__ = __len__ = _no


class Late:
    """A text that is made when it is needed, and nothing else."""

    def __str__(self) -> str:
        return "made late"


BAD_LEAVES: dict[str, tuple[Any, Any]] = {
    "an object": (Rebel(), "<Rebel whose text cannot be had: ValueError>"),
    "a field": (Computed(), {"a": 1, "b": "<could not be read: ValueError>", "c": 3}),
    "a value": (Torn(), {"a": 1, "b": "<could not be read: KeyError>", "c": 3}),
    "an item": (Short(), [1, 2, "... (the rest could not be read: ZeroDivisionError)"]),
    "a dict": (Refusing(a=1), {"a": 1}),
    "a mapping": (Unending(), "<Unending that could not be read: ValueError>"),
    "a key": ({Rebel: 1, "b": 2}, {str(Rebel): 1, "b": 2}),
    "a text": (RebelliousText("text"), "text"),
    "a number": (RebelliousNumber(30), 30),
    "a lazy text": (Late(), "made late"),
    "an exception": (ValueError("boom", 1), "ValueError('boom', 1)"),
    "a namespace": (types.SimpleNamespace(a=1, b=Rebel), {"a": 1, "b": str(Rebel)}),
}


@pytest.mark.parametrize("name", BAD_LEAVES)
def test_a_bad_leaf_costs_no_other(name: str) -> None:
    """What is beside it, and what holds it, arrives as it is."""
    leaf, wanted = BAD_LEAVES[name]
    found = json.loads(msgspec.json.encode(plain({"bad": [1, leaf, {"in": leaf, "good": 2}], "last": 3})))
    assert found == {"bad": [1, wanted, {"in": wanted, "good": 2}], "last": 3}


@pytest.mark.parametrize("name", ["mock", "magic mock", "answering", "many mocks", "mock of a dict"])
def test_the_codec_is_not_fooled_either(name: str) -> None:
    """What answers every attribute is refused in a moment, or is a text."""
    began = time.thread_time()
    with contextlib.suppress(EncodingError):
        assert len(JSONEncoder().filter({"v": LARGE[name]})) < 100
    assert time.thread_time() - began < 0.05


def test_a_million_extras_are_bounded() -> None:
    """As many are sent as there is room for, and how many more there were."""
    record = logging.makeLogRecord({"msg": "x", "levelno": 20, "levelname": "INFO"})
    record.__dict__.update({f"key{number}": number for number in range(1_000_000)})
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, largest=1_000_000) as (_, handler):
        began = time.thread_time()
        handler.handle(record)
        assert time.thread_time() - began < 0.1
        (found,) = arrivals.wait_for(lambda record: record["message"] == "x")
        assert found["extra"]["..."] == f"({1_000_000 - ITEMS} items more)"
        assert len(found["extra"]) == ITEMS + 1


def test_arguments_and_context_may_be_as_long_as_the_option_says() -> None:
    """And not only as long as its default."""
    variable: ContextVar[str] = ContextVar("request")
    long = "a" * (LARGEST_RECORD + 1)
    options = {"largest": 4 * LARGEST_RECORD, "template": True, "context": [variable]}
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, **options) as (logger, _):
        token = variable.set(long)
        logger.error("x %.1s", long)
        variable.reset(token)
        (found,) = arrivals.wait_for(lambda record: record["message"] == "x a")
        assert (found["args"], found["context"]) == ([long], {"request": long})


def test_an_iterator_is_not_consumed() -> None:
    """It is the application's."""
    generator = (number for number in range(3))
    file = io.StringIO("a\nb\n")
    assert "generator" in plain(generator)
    plain(file)
    plain({"map": map(str, range(3))})
    assert list(generator) == [0, 1, 2]
    assert file.read() == "a\nb\n"


def test_a_chain_of_a_hundred_thousand_exceptions() -> None:
    """The nearest are told, in a moment."""
    last: BaseException = ValueError("first")
    for number in range(100_000):
        outer = ValueError(number)
        outer.__cause__ = last
        last = outer
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, _):
        began = time.thread_time()
        logger.error("x", exc_info=last)
        assert time.thread_time() - began < 0.1
        (found,) = arrivals.wait_for(lambda record: "exception" in record)
        assert len(found["exception"]["causes"]) == 8
        assert "no causes" in found["exception"]["traceback"]
    while last.__cause__:  # else ending them one in another would take more stack than there is
        last, last.__cause__ = last.__cause__, None


def test_keys_of_the_same_text_are_all_there() -> None:
    """None takes another's place."""
    found = json.loads(
        msgspec.json.encode(plain({1: "a", "1": "b", "2": "c", 2: "d", None: "e", "null": "f"}))
    )
    assert found == {"1": "a", "1 (2)": "b", "2": "c", "2 (2)": "d", "null": "e", "null (2)": "f"}


def test_depth() -> None:
    """What is nested as deep as is taken is whole."""
    whole = json.loads(msgspec.json.encode(plain(nested(DEPTH // 2))))
    assert whole == nested(DEPTH // 2)


def test_structlog_too() -> None:
    """Its events with levels, loggers and values of any kind arrive, and nothing is raised."""
    program = """
        import structlog, unittest.mock
        from message_passing.logging.structlog import LoggerFactory, SendTo
        handler = ZeroMQHandler(ENDPOINT, linger=3000)
        structlog.configure(processors=[SendTo(handler)])
        values = [None, True, (1,), object(), [], {}, b"x", float("nan"), 10**400, unittest.mock.Mock(), range(10**9)]
        log = structlog.get_logger()
        for key in ("level", "level_number", "logger", "event_", "exc_info", "exception", "stack", "stack_info",
                    "lineno", "func_name", "thread", "process", "created", "levelname", "pathname", "x"):
            for value in values:
                log.error("text", **{key: value})
        structlog.configure(processors=[], logger_factory=LoggerFactory(handler), cache_logger_on_first_use=False)
        for value in values:
            structlog.get_logger("x").error(value)
        handler.close()
        stats = handler.stats()
        assert stats == {"sent": 17 * len(values), "queued": 0, "dropped": {}, "failed": 0}, stats
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) == 17 * 11)


def _doubled() -> BaseException:
    """A group that has another one twice, which has another one twice: 2 ** 60 members."""
    members: list[Exception] = [ValueError("x")]
    for _ in range(60):
        members = [ExceptionGroup("g", members * 2)]
    return members[0]


def _chained(length: int = 50_000) -> BaseException:
    last: BaseException = ValueError("first")
    for number in range(length):
        outer = ValueError(number)
        outer.__cause__ = last
        last = outer
    return last


def _noted_as(notes: Any) -> BaseException:
    error = ValueError("x")
    error.__notes__ = notes
    return error


def _noted(*notes: Any) -> BaseException:
    return _noted_as(list(notes))


def _deep_value() -> Any:
    value: Any = ["x"]
    for _ in range(60):
        value = [value, value]
    return value


def _syntax_error() -> BaseException:
    error = SyntaxError("x", ("file", 1, 1, "a", 1, 3))
    error.end_offset = 10**9
    return error


def _group_within() -> BaseException:
    error = ValueError("x")
    error.__context__ = BaseExceptionGroup("g", [_doubled()])
    return error


LARGE_EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "doubled group": _doubled,
    "doubled group as context": _group_within,
    "flat group": lambda: ExceptionGroup("g", [ValueError(n) for n in range(100_000)]),
    "the same member often": lambda: ExceptionGroup("g", [ValueError("m" * 10_000)] * 100_000),
    "members with causes": lambda: BaseExceptionGroup("g", [ValueError("x"), _chained()]),
    "many notes": lambda: _noted(*["note"] * 100_000),
    "a long note": lambda: _noted("n\n" * 10_000_000),
    "notes in notes": lambda: _noted(_deep_value()),
    "no notes": lambda: _noted_as(_deep_value()),
    "many long arguments": lambda: ValueError(*["m" * 100_000] * 300),
    "many arguments": lambda: ValueError(*range(3_000_000)),
    "one long argument": lambda: ValueError("m" * 30_000_000),
    "bytes": lambda: ValueError(bytes(10_000_000)),
    "a long key": lambda: KeyError("\0" * 10_000_000),
    "a long file name": lambda: OSError(2, "No such file", "f" * 10_000_000),
    "nested arguments": lambda: ValueError(_deep_value()),
    "an exception as argument": lambda: ValueError([ValueError(*["m" * 100_000] * 300)]),
    "a list of its own type": lambda: ValueError(type("Own", (list,), {})(["m" * 1000] * 30_000)),
    "a dictionary": lambda: ValueError(dict.fromkeys(range(1_000_000))),
    "a wide mark": _syntax_error,
    "a mark beyond measure": lambda: SyntaxError("x", ("file", 1, 10**15, "a")),
    "a long line": lambda: SyntaxError("x", ("file", 1, 1, "a" * 10_000_000)),
}


def _unchain(error: BaseException | None) -> None:
    """Else ending them one in another would take more stack than there is."""
    while error is not None and error.__cause__ is not None:
        error, error.__cause__ = error.__cause__, None


@pytest.mark.parametrize("name", LARGE_EXCEPTIONS)
def test_an_exception_without_end_is_bounded(name: str) -> None:
    """In time and in text, whatever of it is large; what is left out is marked."""
    described_exception(ValueError("x"))
    error = LARGE_EXCEPTIONS[name]()
    began = time.thread_time()
    found = described_exception(error)
    used = time.thread_time() - began
    assert found
    assert (
        "more" in found["traceback"] or "too long" in found["traceback"] or "no causes" in found["traceback"]
    )
    assert "g" in found["traceback"] or "Error: " in found["traceback"]
    assert len(found["traceback"]) < LARGEST_RECORD + 100
    assert len(found["message"]) < LARGEST_RECORD + 100
    assert used < 0.05
    if name == "members with causes":
        _unchain(error.exceptions[1])  # type: ignore[attr-defined]


def test_an_ordinary_group_is_shown_as_python_does() -> None:
    """With its members, their causes and their notes, also when a member leads back to its group."""
    member = KeyError("k")
    member.add_note("note")
    group = ExceptionGroup(
        "several", [member, ExceptionGroup("inner", [ValueError("x")]), OSError(2, "No such file", "f")]
    )
    member.__context__ = group
    found = described_exception(group)
    assert found
    assert found["traceback"] == "".join(traceback.format_exception(group))
