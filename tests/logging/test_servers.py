"""The handler in servers that fork their workers: gunicorn and celery (promise 5)."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from typing import TYPE_CHECKING

import pytest

from arrivals import Arrivals
from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION = """
import logging, os
from message_passing.logging import ZeroMQHandler
logging.getLogger().addHandler(ZeroMQHandler(os.environ["ENDPOINT"], linger=3000))
logging.getLogger().setLevel(logging.INFO)
logging.info("loaded")

def application(environ, start_response):
    logging.info("request %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

TASKS = """
import logging, os
from celery import Celery, signals
from message_passing.logging import ZeroMQHandler

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["QUEUE"], "data_folder_out": os.environ["QUEUE"],
    "control_folder": os.environ["QUEUE"],
}
app.conf.worker_hijack_root_logger = False

@signals.setup_logging.connect
def set_up(**_):
    logging.getLogger().addHandler(ZeroMQHandler(os.environ["ENDPOINT"], linger=3000))
    logging.getLogger().setLevel(logging.INFO)

@app.task(ignore_result=True)
def work(number):
    logging.getLogger("mine").info("task %d", number)
"""


@contextlib.contextmanager
def server(folder: Path, *words: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server; its process group is killed at the end if it has not ended by then."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def get(url: str) -> bool:
    """Whether it answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http, here
            return bool(answer.read() == b"ok")
    except OSError:
        return False


@pytest.mark.parametrize("preload", [True, False])
def test_gunicorn(preload: bool, tmp_path: Path) -> None:
    """Every request once, under the worker that answered; the last ones too, when it is told to end."""
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION)
    address = f"127.0.0.1:{free_port()}"
    words = ["gunicorn", "-b", address, "-w", "2", "application"]
    with (
        Arrivals() as arrivals,
        server(tmp_path, *words, *["--preload"] * preload, ENDPOINT=arrivals.endpoint) as process,
    ):
        wait_for(lambda: get(f"http://{address}/ready"), 20)
        for number in range(40):
            assert get(f"http://{address}/{number}")
        process.terminate()
        assert process.wait(15) == 0
        wanted = {f"request /{number}" for number in range(40)}
        wait_for(lambda: wanted <= {record["message"] for record in arrivals.records}, 10)
        found = collections.Counter(record["message"] for record in arrivals.records)
        assert all(found[message] == 1 for message in wanted)
        assert found["loaded"] == (1 if preload else 2)
        loaders = {record["process_id"] for record in arrivals.records if record["message"] == "loaded"}
        assert (process.pid in loaders) == preload
        check_identities(arrivals, process.pid)
    assert "Traceback" not in (tmp_path / "output").read_text()


def check_identities(arrivals: Arrivals, parent: int) -> None:
    """One sender a process, numbers without a gap, and workers are not their parent."""
    of = collections.defaultdict(list)
    for record in arrivals.records:
        of[record["process_id"], record["sender"]].append(record["sequence"])
        if record["message"].startswith(("request", "task ")):
            assert record["process_id"] != parent
    assert len(of) == len({process for process, _ in of})
    for sequences in of.values():
        assert sorted(sequences) == list(range(1, len(sequences) + 1))


def test_celery_prefork(tmp_path: Path) -> None:
    """Every task's record once, under its worker; the last ones too, when it is told to end."""
    pytest.importorskip("celery")
    (tmp_path / "tasks.py").write_text(TASKS)
    queue = tmp_path / "queue"
    queue.mkdir()
    env = {"QUEUE": str(queue)}
    words = ["celery", "-A", "tasks", "worker", "--pool=prefork", "--concurrency=2", "--without-mingle"]
    with (
        Arrivals() as arrivals,
        server(tmp_path, *words, "--without-gossip", ENDPOINT=arrivals.endpoint, **env) as process,
    ):
        program = "import tasks\nfor number in range(30): tasks.work.delay(number)"
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            cwd=tmp_path,
            env={**os.environ, **env, "ENDPOINT": arrivals.endpoint},
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        wanted = {f"task {number}" for number in range(30)}

        def messages() -> list[str]:
            return [record["message"] for record in arrivals.records if record["logger"] == "mine"]

        wait_for(lambda: wanted <= set(messages()), 40)
        process.terminate()
        process.wait(20)
        assert sorted(messages()) == sorted(wanted)
        check_identities(arrivals, process.pid)
    assert "Traceback" not in (tmp_path / "output").read_text()
