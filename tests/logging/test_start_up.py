"""The application first, its receiver later; and programs that log one line and end (promise 3)."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from logs import read_line, receiver, run, script, silent, started, tell
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = 1000 if "FAULT_SECONDS" in os.environ else 30
"""How many are run: all of them in `make faults`."""


def test_what_was_logged_before_the_receiver_came_arrives_in_order(tmp_path: Path) -> None:
    """Up to the high-water mark, and then what is logged afterwards; the rest is counted."""
    program = """
        handler = add(socket_hwm=1000)
        for number in range(1500):
            logging.info("%d", number)
        print("logged", flush=True)
        sys.stdin.readline()
        logging.info("after")
        sys.stdin.readline()
        print(handler.stats(), flush=True)
    """
    with receiver(tmp_path / "records", running=False) as there, started(program, there.endpoint) as process:
        assert read_line(process) == "logged"
        there.start()
        wait_for(lambda: len(there.records()) >= 1000, 10)
        tell(process)
        records = there.wait_for_messages("after")
        messages = [record["message"] for record in records]
        arrived = [int(message) for message in messages if message.isdecimal()]
        assert arrived == list(range(len(arrived)))
        assert 1000 <= len(arrived) < 1500
        tell(process)
        lost = 1500 - len(arrived)
        assert f"'dropped': {{'queue full': {lost}}}" in read_line(process)
        (notice,) = (record for record in records if record["logger"] == "message_passing.logging")
        assert notice["extra"]["dropped"] == {"INFO": lost}


def test_a_lone_record_arrives_though_nothing_is_logged_after_it(tmp_path: Path) -> None:
    """The program waits for something else, for hours."""
    program = """
        add()
        logging.info("lone")
        sys.stdin.readline()
    """
    with receiver(tmp_path / "records", running=False) as there, started(program, there.endpoint):
        there.start()
        there.wait_for_messages("lone")


@pytest.mark.timeout(900)  # hundreds of processes
def test_scripts_of_one_line(tmp_path: Path) -> None:
    """As many lines as scripts, two of which run at a time."""
    with receiver(tmp_path / "records") as there:
        running: list[subprocess.Popen[bytes]] = []
        for number in range(SCRIPTS):
            if len(running) == 2:
                assert running.pop(0).wait(20) == 0
            running.append(subprocess.Popen(script(f"add(); logging.info('{number}')", there.endpoint)))
        for process in running:
            assert process.wait(20) == 0
        there.wait_for_messages(*map(str, range(SCRIPTS)))
        assert sorted(int(record["message"]) for record in there.records()) == list(range(SCRIPTS))


def test_a_script_of_one_line_whose_receiver_comes_within_linger(tmp_path: Path) -> None:
    """The interpreter's end waits that long."""
    program = "add(linger=10000); logging.info('one'); print('logged', flush=True)"
    with receiver(tmp_path / "records", running=False) as there, started(program, there.endpoint) as process:
        assert read_line(process) == "logged"
        there.start()
        there.wait_for_messages("one")
        begun = time.monotonic()
        assert process.wait(5) == 0
        assert time.monotonic() - begun < 3


def test_nothing_is_logged_and_nothing_is_opened(tmp_path: Path) -> None:
    """A handler that takes no record starts no thread and no socket, and ends at once."""
    program = """
        before = len(os.listdir("/proc/self/fd"))
        handler = add()
        assert len(os.listdir("/proc/self/fd")) == before
        assert threading.active_count() == 1
        begun = time.monotonic()
        handler.flush()
        handler.close()
        assert time.monotonic() - begun < 0.1
    """
    with receiver(tmp_path / "records", running=False) as there:
        assert silent(run(program, there.endpoint))
