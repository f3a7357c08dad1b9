"""A signal handler that raises in the middle of a log call: the rest goes on, exactly once."""

from __future__ import annotations

import collections
import json
import logging
import threading

from arrivals import Arrivals
from logs import INTERRUPTING, run, silent
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for


def test_hundreds_of_interruptions() -> None:
    """Every record whose call returned arrives, and none twice, though calls that send for others are cut short."""
    program = (
        INTERRUPTING
        + """\
        import json
        handler = add(socket_hwm=0, linger=10_000, report_interval=0)
        interrupted, number = [], 0
        def log_all():
            global armed, number
            armed = True
            while number < 30000:
                number += 1
                logging.info("%d", number)
            armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while number < 30000:
            try:
                log_all()
            except Interruption:
                interrupted.append(number)
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(interrupted))
    """
    )
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert silent(done)
        interrupted = set(json.loads(done.stdout))
        assert len(interrupted) > 10
        expected = set(range(1, 30001)) - interrupted
        wait_for(lambda: expected <= {int(record["message"]) for record in arrivals.records}, 10)
        found = collections.Counter(int(record["message"]) for record in arrivals.records)
        assert set(found.values()) == {1}


def test_interruptions_of_flush_and_stats() -> None:
    """A signal handler that raises in `flush` or `stats` costs no record either, and none is sent twice."""
    program = (
        INTERRUPTING
        + """\
        handler = add(socket_hwm=0, linger=10_000)
        interruptions, number = 0, 0
        def ask():
            global armed
            armed = True
            handler.flush()
            handler.stats()
            armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
        while number < 3000:
            number += 1
            logging.info("%d", number)
            try:
                ask()
            except Interruption:
                interruptions += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(interruptions)
    """
    )
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert silent(done)
        assert int(done.stdout) > 10
        expected = set(range(1, 3001))
        wait_for(lambda: expected <= {int(record["message"]) for record in arrivals.records}, 10)
        found = collections.Counter(int(record["message"]) for record in arrivals.records)
        assert set(found.values()) == {1}


def test_the_main_thread_leaves_hearing_to_the_thread() -> None:
    """While the handler's thread is at work, the main thread receives nothing, which an interruption would lose."""
    callers = set()
    with Arrivals() as arrivals:
        handler = ZeroMQHandler(arrivals.endpoint, linger=100)
        shipper = handler._shipper
        try:
            handler.handle(logging.makeLogRecord({"msg": "one"}))
            wait_for(lambda: handler.stats()["sent"] == 1, 5)
            delivery = shipper.worker.transmitter
            assert delivery is not None
            sender = delivery.socket.sender
            assert sender is not None
            hear, look = sender.outgoing.hear, sender.outgoing.look

            def heard() -> bool:
                callers.add(threading.current_thread())
                return hear()

            def looked() -> None:
                callers.add(threading.current_thread())
                look()

            sender.outgoing.hear, sender.outgoing.look = heard, looked  # type: ignore[method-assign]

            def somebody_heard() -> bool:
                handler.handle(logging.makeLogRecord({"msg": "more"}))
                shipper.worker.help()
                handler.flush()
                return bool(callers)

            wait_for(somebody_heard, 5)
            assert {thread.name for thread in callers} == {"message-passing-log"}
        finally:
            handler.close()
