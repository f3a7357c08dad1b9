"""Whatever is logged, and whatever happened to the socket: no exception, no output, and it is counted (promise 1)."""

from __future__ import annotations

import decimal
import logging
from typing import TYPE_CHECKING, Any

import pytest

from arrivals import Arrivals
from logs import free_endpoint, logger_with, run, silent
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


class Unprintable:
    """Has no text."""

    def __str__(self) -> str:
        raise SystemError("no text")

    __repr__ = __str__


class Exhausting:
    """Runs out of memory when it is encoded."""

    def to_dict(self) -> dict[str, Any]:
        """As msgspec's hook asks for."""
        raise MemoryError


class Proxy:
    """Has every attribute, as mocks and lazy objects have."""

    def __getattr__(self, name: str) -> Proxy:
        return self

    def __call__(self, *args: object, **kwargs: object) -> Proxy:
        """Itself again, too."""
        return self


def circular() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = []
    found.append({"again": found})
    return found


def deep() -> list[Any]:
    """Nested further than Python's stack reaches."""
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


RECORDS: dict[str, tuple[object, tuple[object, ...], dict[str, Any]]] = {
    "too few arguments": ("%s %s", ("one",), {}),
    "too many arguments": ("%s", ("one", "two"), {}),
    "wrong type": ("%d", ("text",), {}),
    "wrong format": ("%z %", (1,), {}),
    "wrong key": ("%(missing)s", ({"name": 1},), {}),
    "message without text": (Unprintable(), (), {}),
    "argument without text": ("%s", (Unprintable(),), {}),
    "bytes": (b"\xff\x00", (), {}),
    "not a text": (None, (), {}),
    "lone surrogate": ("half \ud800", (), {"extra": {"file\udcff": "\udc80"}}),
    "null character": ("\0", (), {}),
    "not a number": ("x", (), {"extra": {"nan": float("nan"), "inf": float("-inf"), "big": 10**400}}),
    "decimal": ("x", (), {"extra": {"decimal": decimal.Decimal("sNaN")}}),
    "circular extra": ("x", (), {"extra": {"circular": circular()}}),
    "deep extra": ("x", (), {"extra": {"deep": deep()}}),
    "bytes in extra": ("x", (), {"extra": {"bytes": b"\xff", "set": {1, "2"}, "keys": {(1, 2): 3, None: 4}}}),
    "unprintable extra": ("x", (), {"extra": {"unprintable": Unprintable()}}),
    "out of memory": ("x", (), {"extra": {"exhausting": Exhausting()}}),
    "proxy": ("%s", (Proxy(),), {"extra": {"proxy": Proxy()}}),
    "strange exc_info": ("x", (), {"exc_info": (None, None, None)}),
    "unprintable exception": ("x", (), {"exc_info": ValueError(Unprintable())}),
}

LARGE: dict[str, Callable[[], dict[str, Any]]] = {
    "huge extra": lambda: {"huge": "y" * 20_000_000, "small": 1},
    "many extras": lambda: {"many": list(range(1_000_000)), **{f"k{n}": n for n in range(50_000)}},
}


@pytest.mark.parametrize("name", [*RECORDS, *LARGE])
def test_a_record_that_is_hard_to_take(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It arrives, with what can be said of it, within a bound; so does the next one."""
    message, arguments, more = RECORDS[name] if name in RECORDS else ("x", (), {"extra": LARGE[name]()})
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, template=True) as (logger, handler):
        logger.error(message, *arguments, **more)
        logger.error("next")
        wait_for(lambda: len(arrivals.records) == 2)
        assert [record["sequence"] for record in arrivals.records] == [1, 2]
        assert len(str(arrivals.records[0])) < 700_000
        handler.close()
        stats = handler.stats()
        assert stats == {"sent": 2, "queued": 0, "dropped": {}, "failed": 0}
    assert capfd.readouterr() == ("", "")


def test_the_largest_message_is_cut_and_marked() -> None:
    """100 MB are 256 Ki characters and the number of the others."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, _):
        logger.error("x" * 100_000_000)
        (found,) = arrivals.wait_for(lambda record: record["truncated"])
        kept = 256 * 1024
        assert found["message"] == "x" * kept + f"... ({100_000_000 - kept} characters more)"


def test_custom_levels_arrive() -> None:
    """With a name and without."""
    logging.addLevelName(27, "NOTICE")
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, _):
        logger.log(27, "named")
        logger.log(33, "nameless")
        wait_for(lambda: len(arrivals.records) == 2)
        levels = [(record["level"], record["level_number"]) for record in arrivals.records]
        assert levels == [("NOTICE", 27), ("Level 33", 33)]


BROKEN = {
    "closed socket": "handler._shipper.worker.transmitter.socket.sender.outgoing.socket.close(0)",
    "dead context": "handler._shipper.worker.transmitter.socket.sender.outgoing._open.context.destroy(0)",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_socket_that_somebody_else_has_closed_is_opened_again(name: str) -> None:
    """Nothing is raised or printed, and records logged meanwhile arrive."""
    program = f"""
        handler = add(linger=3000)
        logging.info("before")
        while not handler.stats()["sent"]:
            time.sleep(0.01)
        assert handler.flush(20)
        {BROKEN[name]}
        for number in range(10):
            logging.info("after %d", number)
            time.sleep(0.01)
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) >= 11)
        found = [record["message"] for record in arrivals.records]
        assert found == ["before", *(f"after {number}" for number in range(10))]


def test_after_close_the_next_record_opens_again() -> None:
    """Closing again is nothing; what was logged after it waits as before, in as little memory."""
    with logger_with(free_endpoint(), linger=0, socket_hwm=100) as (logger, handler):
        logger.error("before")
        handler.close()
        handler.close()
        assert handler._shipper.worker.transmitter
        assert handler._shipper.worker.transmitter.socket.sender is None
        for _ in range(5000):
            logger.error("after")
        handler.flush()
        stats = handler.stats()
        assert (stats["sent"], stats["queued"]) == (0, 100)
        assert stats["dropped"] == {"unsent at close": 1, "queue full": 4900}


def test_an_address_in_use_is_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    """A bound handler whose port is taken keeps its records, and says once why."""
    endpoint = free_endpoint()
    with (
        logger_with("", socket_bind=endpoint, linger=0) as (first, one),
        logger_with("", socket_bind=endpoint, linger=100) as (second, two),
    ):
        first.error("x")
        wait_for(
            lambda: (
                one._shipper.worker.transmitter is not None
                and one._shipper.worker.transmitter.socket.sender is not None
            )
        )
        second.error("y")
        wait_for(
            lambda: (
                two._shipper.worker.transmitter is not None and two._shipper.worker.transmitter.waiting == 1
            )
        )
        assert two.stats()["queued"] == 1
        two.close()
        assert two.stats()["dropped"] == {"unsent at close": 1}
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count(f"log records are not delivered: {endpoint}: address in use") == 1
    assert errors.count(f"log records are not delivered: {endpoint}: no receiver has connected yet") == 1
    assert errors.count(": 1 unsent at close") == 2
    assert errors.count("\n") == 4


def test_a_function_for_the_fields_that_fails_is_counted() -> None:
    """The record is lost, which the next one's notice tells; the others arrive."""

    def fields(entry: dict[str, Any]) -> dict[str, Any]:
        return {"message": entry["message"], "ratio": 1 / len(entry["message"])}

    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=fields) as (logger, handler):
        logger.error("")
        wait_for(lambda: handler.stats()["dropped"] == {"could not be encoded": 1})
        logger.error("fine")
        wait_for(lambda: len(arrivals.records) == 2)
        assert "1 records were dropped" in arrivals.records[0]["message"]
        assert arrivals.records[1] == {"message": "fine", "ratio": 0.25}
