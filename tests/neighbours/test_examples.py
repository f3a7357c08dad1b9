"""The examples of the logging neighbours run as they stand, but for the receiver's address."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from arrivals import Arrivals, says
from documents import ROOT
from message_passing.testing import free_port
from nodes import wait_for_port
from redis_server import REDIS, needs_redis
from web_servers import get, request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ROOT / "examples" / "logging"
FAR = "tcp://127.0.0.1:5558"


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    """A receiver."""
    with Arrivals() as receiver:
        yield receiver


@pytest.fixture
def folder(tmp_path: Path, arrivals: Arrivals) -> Path:
    """A copy of the examples that send to the receiver."""
    for path in EXAMPLES.iterdir():
        if path.is_file():
            text = path.read_text(encoding="utf-8").replace(FAR, arrivals.endpoint)
            (tmp_path / path.name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str, status: int = 0) -> str:
    """Run a program of the folder to its end; what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stderr


def test_every_example_names_the_same_receiver() -> None:
    """Otherwise it would send somewhere else in these tests."""
    senders = [path for path in EXAMPLES.iterdir() if path.is_file() and path.name != "fastapi_app.py"]
    assert len(senders) >= 9
    for path in senders:
        assert FAR in path.read_text(encoding="utf-8"), path.name


def test_structlogs_last_processor(arrivals: Arrivals, folder: Path) -> None:
    """Keys are fields, even those that a record has an attribute for; an exception is described."""
    run(folder, "structlog_app.py")
    paid, divided = arrivals.wait_for(says("order paid", level="INFO"), says("cannot divide", level="ERROR"))
    assert paid["extra"] == {"request": "4711", "order": 12, "name_": "Jo"}
    assert (paid["service"], paid["function"]) == ("shop", "<module>")
    assert paid["file"].endswith("structlog_app.py")
    assert divided["exception"]["type"] == "ZeroDivisionError"


def test_structlogs_logger_factory(arrivals: Arrivals, folder: Path) -> None:
    """The logger's name is there, and the text is what the last processor made."""
    run(folder, "structlog_factory.py")
    (late,) = arrivals.wait_for(says("order late"))
    assert (late["logger"], late["level"]) == ("shop.orders", "WARNING")
    assert late["message"] == "event='order late' order=12"


def test_loguru(arrivals: Arrivals, folder: Path) -> None:
    """Its own levels arrive, what is bound are extras, and the traceback is not in the message."""
    run(folder, "loguru_app.py")
    paid, divided = arrivals.wait_for(says("order paid"), says("cannot divide"))
    assert (paid["level"], paid["extra"]) == ("SUCCESS", {"order": 12})
    assert divided["message"] == "cannot divide"
    assert divided["exception"]["type"] == "ZeroDivisionError"
    assert "1 / 0" in divided["exception"]["traceback"]


def test_warnings_and_uncaught_exceptions(arrivals: Arrivals, folder: Path) -> None:
    """Of the program and of a thread; Python prints them as before."""
    printed = run(folder, "uncaught.py", status=1)
    warning, thread, program = arrivals.wait_for(
        says("this will be removed", logger="py.warnings"),
        says("uncaught exception in worker-1", logger="uncaught", level="CRITICAL"),
        lambda record: bool(record["message"] == "uncaught exception"),
    )
    assert "DeprecationWarning" in warning["message"]
    assert thread["exception"]["type"] == "ZeroDivisionError"
    assert program["exception"]["message"] == "nobody catches this"
    assert "LookupError: nobody catches this" in printed
    assert "Exception in thread worker-1" in printed


def test_asyncio(arrivals: Arrivals, folder: Path) -> None:
    """A task whose failure nobody looks at is told by the loop's own logger; a task's name is a field."""
    run(folder, "asyncio_app.py")
    _, failed = arrivals.wait_for(
        says("working on 1", task="work-1"), says("never retrieved", logger="asyncio", level="ERROR")
    )
    assert failed["exception"]["type"] == "LookupError"


def test_django(arrivals: Arrivals, folder: Path) -> None:
    """A request's own records and Django's of its failure arrive, with its id."""
    port = free_port()
    with serving(folder, "django_app.py", "runserver", "--noreload", str(port)):
        wait_for_port(port)
        assert get(port, "/orders/7") == 200
        status, headers = request(port, "/orders/0")
        assert status == 500
        viewed, failed = arrivals.wait_for(
            says("order 7 viewed", logger="shop"), says("Internal Server Error", logger="django.request")
        )
    assert viewed["extra"] == {"order": 7}
    assert (viewed["context"]["method"], viewed["context"]["path"]) == ("GET", "/orders/7")
    assert failed["exception"]["message"] == "there is no order 0"
    assert failed["extra"]["status_code"] == 500
    assert failed["context"]["request_id"] == headers["X-Request-ID"] != viewed["context"]["request_id"]


def test_fastapi(arrivals: Arrivals, folder: Path) -> None:
    """The application's records and uvicorn's access log arrive, with the request's id and user."""
    port = free_port()
    words = ("-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--log-config", "logging.json")
    with serving(folder, *words):
        wait_for_port(port)
        status, headers = request(port, "/orders/7", Remote_User="jo")
        viewed, access = arrivals.wait_for(
            says("order 7 viewed", logger="shop"), says("GET /orders/7", logger="uvicorn.access")
        )
    assert status == 200
    assert viewed["extra"] == {"order": 7}
    assert viewed["context"] == access["context"]
    assert viewed["context"] == {
        "request_id": headers["X-Request-ID"],
        "method": "GET",
        "path": "/orders/7",
        "user": "jo",
    }
    assert "shop: order 7 viewed" in (folder / "printed").read_text()


def test_gunicorn(arrivals: Arrivals, folder: Path) -> None:
    """Django's records arrive, the arbiter's and those of its workers, each with its own process."""
    port = free_port()
    with serving(folder, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "django_app:application"):
        wait_for_port(port)
        assert get(port, "/orders/7") == 200
        started, asked, access = arrivals.wait_for(
            says("Starting gunicorn", logger="gunicorn.error"),
            says("order 7 viewed", logger="shop"),
            says("GET /orders/7", logger="gunicorn.access"),
        )
        assert started["process_id"] != asked["process_id"]
        assert asked["context"] == access["context"]
    arrivals.wait_for(says("Worker exiting", process_id=asked["process_id"]))


@pytest.mark.parametrize("threads", [[], ["--enable-threads"]], ids=["no threads", "threads"])
@pytest.mark.parametrize("loaded", [[], ["--lazy-apps"]], ids=["before the fork", "after it"])
def test_uwsgi(arrivals: Arrivals, folder: Path, threads: list[str], loaded: list[str]) -> None:
    """Every request's record arrives, the last one's too, where no thread runs between requests."""
    port = free_port()
    words = ["--http-socket", f"127.0.0.1:{port}", "--module", "uwsgi_app", "--master", "--processes", "2"]
    program = "import os, sys, sysconfig; os.execv(sysconfig.get_path('scripts') + '/uwsgi', sys.argv)"
    with serving(folder, "-c", program, *words, *threads, *loaded, "--die-on-term", "--need-app"):
        wait_for_port(port)
        for number in range(6):
            assert get(port, f"/orders/{number}") == 200
        arrivals.wait_for(*(says(f"request for /orders/{number}", logger="shop") for number in range(6)))


@needs_redis
def test_celery(arrivals: Arrivals, folder: Path, redis: str) -> None:
    """A task's records arrive from the process of the pool that ran it, and the worker's own."""
    example = folder / "celery_app.py"
    example.write_text(example.read_text().replace(REDIS, redis))
    run(folder, "-c", "import celery_app; celery_app.pay.delay(12)")
    with serving(folder, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", "1"):
        paid, done = arrivals.wait_for(
            says("order 12 paid", logger="shop"), says("succeeded", logger="celery.app.trace"), timeout=100
        )
        (ready,) = arrivals.wait_for(says("ready.", logger="celery.apps.worker"))
    assert paid["extra"]["order"] == 12
    assert paid["context"] == done["context"]
    assert paid["context"]["task_name"] == "celery_app.pay"
    assert paid["process_id"] == done["process_id"] != ready["process_id"]
