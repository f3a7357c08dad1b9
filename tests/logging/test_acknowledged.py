"""A handler whose receiver acknowledges: what was logged is kept until then, and sent again if need be."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from logs import (
    arrived,
    counted,
    free_endpoint,
    logger_with,
    read_line,
    router,
    run,
    shipping_threads,
    silent,
    started,
)
from message_passing.errors import OptionError
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for
from nodes import node, part

if TYPE_CHECKING:
    from pathlib import Path


DEALER: dict[str, Any] = {"socket_type": "DEALER", "ack_timeout": 2}


def reads(capfd: pytest.CaptureFixture[str], *wanted: str) -> None:
    """Wait until all of this was written to standard error."""
    said: list[str] = []

    def found() -> bool:
        said.append(capfd.readouterr().err)
        return all(one in "".join(said) for one in wanted)

    wait_for(found, timeout=20)


def test_all_arrives_and_flush_waits_for_the_acknowledgement(tmp_path: Path) -> None:
    """Without a receiver nothing is sent, and nothing lost; with one, flushed means acknowledged."""
    endpoint = free_endpoint()
    with logger_with(endpoint, **DEALER) as (logger, handler):
        for number in range(3000):
            logger.info("%d", number)
        assert handler.flush(0.2) is False
        assert handler.stats() == {"sent": 0, "queued": 3000, "dropped": {}, "failed": 0}
        with router(endpoint, tmp_path / "out") as receiving:
            assert handler.flush(20) is True
            assert handler.stats() == {"sent": 3000, "queued": 0, "dropped": {}, "failed": 0}
            receiving.signal(signal.SIGKILL)
    assert arrived(tmp_path / "out") == [str(number) for number in range(3000)]


def test_a_receiver_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    """What it had not acknowledged is sent again to the next one, in order; PUB and PUSH would lose that."""
    endpoint, file = free_endpoint(), tmp_path / "out"
    with logger_with(endpoint, **DEALER) as (logger, handler):
        for run_number in range(3):
            with router(endpoint, file) as receiving:
                for number in range(1500):
                    logger.info("%d", run_number * 1500 + number)
                wait_for(lambda: handler.stats()["sent"] > run_number * 1500, timeout=20)  # noqa: B023
                receiving.signal(signal.SIGKILL)
        with router(endpoint, file):
            assert handler.flush(20) is True
        assert handler.stats()["dropped"] == {}
    found = arrived(file)
    assert list(dict.fromkeys(found)) == [str(number) for number in range(4500)]


def test_the_next_receiver_takes_over(tmp_path: Path) -> None:
    """Several endpoints: the first that is there gets everything."""
    endpoints = [free_endpoint(), free_endpoint()]
    with (
        router(endpoints[1], tmp_path / "out"),
        logger_with(endpoints, **DEALER) as (logger, handler),  # type: ignore[arg-type]
    ):
        logger.error("x")
        assert handler.flush(20)
        assert len(handler._shippers) == 1
    assert arrived(tmp_path / "out") == ["x"]


def test_what_does_not_fit_is_dropped_by_policy_and_told(tmp_path: Path) -> None:
    """At the bound each record is counted once, and the receiver gets a notice first."""
    endpoint = free_endpoint()
    with logger_with(endpoint, socket_hwm=100, **DEALER) as (logger, handler):
        for number in range(1000):
            logger.info("%d", number)
            if number % 50 == 0:
                handler.flush()
        wait_for(lambda: handler.stats()["dropped"] and not handler._shipper.queue, timeout=20)
        assert counted(handler) == 1000
        with router(endpoint, tmp_path / "out"):
            assert handler.flush(20)
            logger.info("last")
            assert handler.flush(20)
            found = handler.stats()
            assert found["sent"] + found["dropped"]["queue full"] == 1001
    assert len(arrived(tmp_path / "out")) == found["sent"]
    assert b"records were dropped" in (tmp_path / "out").read_bytes()


def test_bytes_are_bounded() -> None:
    """A quarter of `queue_bytes` may wait to be acknowledged; one long record goes alone."""
    with logger_with(free_endpoint(), queue_bytes=400_000, linger=0, report_interval=0, **DEALER) as (
        logger,
        handler,
    ):
        for _ in range(20):
            logger.info("x" * 30_000)
            handler.flush()
        transmitter = handler._shipper.worker.transmitter
        assert transmitter
        sending = transmitter.socket._sending  # type: ignore[attr-defined]
        assert 30_000 < sending.size <= 100_000
        assert counted(handler) == 20


def test_what_was_not_acknowledged_at_the_end_is_possibly_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """It may have arrived: the line at the end says a range."""
    with logger_with(free_endpoint(), linger=0, **DEALER) as (logger, handler):
        logger.error("x")
        handler.flush()
        wait_for(lambda: handler._shipper.worker.unfinished() == 1, timeout=20)
    found = handler.stats()
    assert found["sent"] == found["queued"] == 0
    lost = found["dropped"].get("unsent at close", 0) + found.get("possibly_lost", {}).get(
        "not acknowledged", 0
    )
    assert lost == 1
    assert "log records lost so far" in capfd.readouterr().err
    assert not shipping_threads()


def test_an_absent_receiver_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """Although the record has left the queue, and the thread sleeps."""
    with logger_with(free_endpoint(), linger=0, **DEALER) as (logger, _):
        logger.error("x")
        reads(capfd, "not delivered", "nobody listens there")


def test_forked_children_send_what_is_theirs(tmp_path: Path) -> None:
    """While the parent's is not acknowledged yet: nothing comes twice, and nothing is missing."""
    endpoint = free_endpoint()
    program = """
        handler = add(socket_type="DEALER", linger=20000)
        logging.info("parent")
        handler.flush()
        for number in range(3):
            if not os.fork():
                logging.info("child %d", number)
                logging.shutdown()
                os._exit(0)
        print("forked", flush=True)
        for number in range(3): os.wait()
        logging.info("parent again")
    """
    with started(program, endpoint) as process:
        assert read_line(process) == "forked"
        with router(endpoint, tmp_path / "out"):
            assert process.wait(30) == 0
    assert sorted(arrived(tmp_path / "out")) == [*(f"child {n}" for n in range(3)), "parent", "parent again"]


@pytest.mark.parametrize(
    "end", ["", "logging.shutdown()", "handler.close(); logging.info('1')", "sys.exit(0)"]
)
def test_a_program_that_ends_has_sent_all(end: str, tmp_path: Path) -> None:
    """Its exit waits for the acknowledgement, no longer than that takes."""
    endpoint = free_endpoint()
    with router(endpoint, tmp_path / "out"):
        program = f"handler = add(socket_type='DEALER', linger=20000); logging.info('0'); {end}"
        assert silent(run(program, endpoint))
        assert arrived(tmp_path / "out") == ["0", "1"][: 2 if "'1'" in end else 1]


def test_a_frozen_process_lost_nothing_that_it_flushed(tmp_path: Path) -> None:
    """`os._exit` right after it."""
    endpoint = free_endpoint()
    program = "h = add(socket_type='DEALER'); logging.info('x'); os._exit(0 if h.flush(20) else 3)"
    with router(endpoint, tmp_path / "out"):
        assert silent(run(program, endpoint))
        assert arrived(tmp_path / "out") == ["x"]


def test_it_loads_no_event_loop() -> None:
    """With asyncio loaded, each log call would look for a running loop."""
    program = "h = add(socket_type='DEALER', linger=0, report_interval=0); logging.info('x'); h.flush()"
    done = run(f"{program}; print('asyncio' in sys.modules, 'sqlite3' in sys.modules)", free_endpoint())
    assert done.stdout == "False False\n"


def test_a_peer_that_does_not_acknowledge_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A PULL input answers no DEALER: the sentence says what it has to be."""
    endpoint = free_endpoint()
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="PULL")
    with (
        node(*words, *part("output", "File", filename=str(tmp_path / "out"))),
        logger_with(endpoint, linger=0, **DEALER) as (logger, _),
    ):
        logger.error("x")
        reads(capfd, "not delivered", "ROUTER")


def test_other_types_are_refused_in_the_usual_words() -> None:
    """A typing error has a suggestion's list."""
    with pytest.raises(OptionError, match=r"socket_type.*PUB.*PUSH.*DEALER"):
        ZeroMQHandler("tcp://127.0.0.1:9", socket_type="ROUTER")  # type: ignore[arg-type]
