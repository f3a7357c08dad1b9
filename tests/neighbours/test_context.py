"""The context of requests and tasks in the real frameworks: requests at once, threads, streams, failures, users."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, WebSocket

from arrivals import Arrivals, says
from documents import ROOT
from message_passing.logging.context import ASGIMiddleware, current
from message_passing.testing import free_port, wait_for
from nodes import wait_for_port
from redis_server import needs_redis
from web_servers import request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FASTAPI = """
import asyncio, logging
from typing import Annotated
from fastapi import BackgroundTasks, Depends, FastAPI, Header
from fastapi.responses import StreamingResponse
from message_passing.logging.context import ASGIMiddleware, bind

app = FastAPI()
log = logging.getLogger("shop")

@app.middleware("http")  # runs the rest in a task of its own
async def between(request, call_next):
    answer = await call_next(request)
    log.info("%s between", request.path_params["number"])
    return answer

app.add_middleware(ASGIMiddleware)

def in_a_thread(remote_user: Annotated[str, Header()] = ""):
    bind(user=remote_user)

def later(number: int):
    log.info("%d background", number)

def say(number: int, how: str):
    log.info("%d %s", number, how)

@app.get("/async/{number}", dependencies=[Depends(in_a_thread)])
async def coroutine(number: int, tasks: BackgroundTasks):
    await asyncio.sleep(0.01)
    say(number, "coroutine")
    await asyncio.gather(*(asyncio.to_thread(say, number, "of its threads") for _ in range(2)))
    tasks.add_task(later, number)
    return "ok"

@app.get("/thread/{number}", dependencies=[Depends(in_a_thread)])
def thread(number: int):
    say(number, "thread")
    return "ok"

@app.get("/stream/{number}", dependencies=[Depends(in_a_thread)])
def stream(number: int):
    def parts():
        for _ in range(3):
            say(number, "part")
            yield b"part"
    return StreamingResponse(parts())

@app.get("/fails/{number}", dependencies=[Depends(in_a_thread)])
async def fails(number: int):
    raise LookupError(f"{number} is not there")

application = ASGIMiddleware(app)
"""

DJANGO = """
import logging, os, time
from collections.abc import Callable
from django.conf import settings
settings.configure(
    ROOT_URLCONF="shop_site", SECRET_KEY="x", ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.auth"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware", "shop_site.bind_user"],
    LOGGING={"version": 1, "disable_existing_loggers": False, "root": {"handlers": ["zeromq"], "level": "INFO"},
             "handlers": {"zeromq": {"class": "message_passing.logging.ZeroMQHandler",
                                     "connect": os.environ["ENDPOINT"], "linger": 3000}}})
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from message_passing.logging.context import ASGIMiddleware, WSGIMiddleware, bind
log = logging.getLogger("shop")

BIND_USER

def order(request, number):
    log.info("%d begun", number)
    time.sleep(0.01)
    if number % 10 == 9:
        raise LookupError(f"{number} is not there")
    log.info("%d done", number)
    return HttpResponse("ok")

def stream(request, number):
    def parts():
        for _ in range(3):
            log.info("%d part", number)
            yield b"part"
    return StreamingHttpResponse(parts())

def file(request, number):
    log.info("%d file", number)
    return FileResponse(open(__file__, "rb"))

urlpatterns = [path("orders/<int:number>", order), path("stream/<int:number>", stream),
               path("file/<int:number>", file)]
application = WSGIMiddleware(get_wsgi_application())
asgi_application = ASGIMiddleware(get_asgi_application())
"""

SIGN_IN = """
import shop_site
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_user("jo"))
print(client.cookies["sessionid"].value)
"""

TASKS = """
import logging, os, sys
from celery import Celery, signals
from message_passing.logging import ZeroMQHandler
from message_passing.logging.context import bind, connect_celery_signals, context, current
app = Celery("tasks", broker=os.environ["BROKER"])
connect_celery_signals()
connect_celery_signals()
log = logging.getLogger("shop")

@signals.setup_logging.connect
def set_up(**_):
    logging.getLogger().addHandler(ZeroMQHandler(os.environ["ENDPOINT"], linger=3000))
    logging.getLogger().setLevel(logging.INFO)

@app.task(ignore_result=True)
def work(number):
    bind(number=number)
    log.info("%d done", number)
    if number % 5 == 4:
        raise LookupError("no")

@app.task(ignore_result=True)
def plain():
    log.info("plain")

@app.task(ignore_result=True, bind=True, acks_late=True, max_retries=2)
def again(self, number):
    log.info("%d attempt", number)
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    second.delay(number)

@app.task(ignore_result=True)
def second(number):
    log.info("%d sent by a task", number)

if __name__ == "__main__":
    for number in range(20):
        with context(request_id=f"r{number}", user="jo"):
            work.delay(number)
    work.apply_async((100,), headers={"request_id": "own"})
    work.apply_async((101,), headers={"request_id": "a\\nb" * 100})
    plain.delay()
    with context(request_id="r200", user="jo"):
        again.delay(200)
    with context(request_id="eager", user="jo"):
        found = []
        @app.task(name="inside")
        def inside():
            found.append(current())
        inside.apply()
        after = current()
    assert found[0].keys() == {"request_id", "user", "task_id", "task_name"}, found
    assert after == {"request_id": "eager", "user": "jo"}, after
"""


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    """A receiver."""
    with Arrivals() as receiver:
        yield receiver


def of_numbers(arrivals: Arrivals) -> list[tuple[int, str, dict[str, Any]]]:
    """The records that begin with a request's number: that, the rest, and the context."""
    found = [
        (re.match(r"(\d+) (.+)", record["message"]), record.get("context", {}))
        for record in list(arrivals.records)
        if record["logger"] == "shop"
    ]
    return [(int(match[1]), match[2], context) for match, context in found if match]


def ask(port: int, path: str, number: int, *, failures_have_id: bool = True, **headers: str) -> int:
    """One of many requests, which has its own number as id."""
    status, answered = request(port, f"{path}/{number}", X_Request_ID=f"r{number}", **headers)
    assert answered["X-Request-ID"] == (f"r{number}" if status == 200 or failures_have_id else None)
    return status


@pytest.mark.parametrize("name", ["app", "application"])
def test_fastapi_under_uvicorn(name: str, arrivals: Arrivals, tmp_path: Path) -> None:
    """Sixty requests at once: every record has the id and the user of its own, in threads, tasks and streams.

    With the middleware added to the application, or around all of it, so that answers to failures have the id too.
    """
    (tmp_path / "shop_api.py").write_text(FASTAPI)
    settings = (ROOT / "examples" / "logging" / "logging.json").read_text(encoding="utf-8")
    (tmp_path / "log.json").write_text(settings.replace("tcp://127.0.0.1:5558", arrivals.endpoint))
    port = free_port()
    words = ("-m", "uvicorn", f"shop_api:{name}", "--port", str(port), "--log-config", "log.json")
    paths = ["/async", "/thread", "/stream", "/fails"]
    with serving(tmp_path, *words), ThreadPoolExecutor(12) as pool:
        wait_for_port(port)
        have_id = name == "application"
        asked = [
            pool.submit(ask, port, paths[n % 4], n, failures_have_id=have_id, Remote_User=f"u{n}")
            for n in range(60)
        ]
        assert Counter(one.result() for one in asked) == {200: 45, 500: 15}
        wait_for(lambda: len(of_numbers(arrivals)) >= 15 * (5 + 2 + 4), 20)
        wait_for(lambda: sum(one["logger"] == "uvicorn.access" for one in arrivals.records) >= 60, 20)
        (failed,) = arrivals.wait_for(lambda one: one.get("exception", {}).get("message") == "3 is not there")
    for number, what, context in of_numbers(arrivals):
        assert (context["request_id"], context["user"]) == (f"r{number}", f"u{number}"), what
    assert (failed["logger"], failed["context"]["request_id"]) == ("uvicorn.error", "r3")
    assert failed["context"]["user"] == "u3"
    for record in arrivals.records:
        if record["logger"] == "uvicorn.access":
            path = record["message"].split()[3]
            assert record["context"]["request_id"] == f"r{path.rpartition('/')[2]}"
        elif record["logger"] == "uvicorn.error" and "exception" not in record:
            assert "context" not in record, "what the server says of itself belongs to no request"


def test_a_websocket_of_fastapi() -> None:
    """The endpoint has the context of its handshake."""
    app = FastAPI()
    app.add_middleware(ASGIMiddleware)

    @app.websocket("/ws/{number}")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(current())
        await websocket.close()

    sent: list[Any] = []

    async def talk() -> None:
        waiting = [{"type": "websocket.connect"}]

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/ws/1", "headers": [(b"x-request-id", b"r1")]}
        await app({**scope, "query_string": b"", "subprotocols": []}, receive, send)

    asyncio.run(talk())
    assert json.loads(sent[1]["text"]) == {"request_id": "r1", "path": "/ws/1"}
    assert (b"x-request-id", b"r1") in sent[0]["headers"]


SERVERS = {
    "processes": ("gunicorn", "shop_site:application", "--workers", "2"),
    "threads": ("gunicorn", "shop_site:application", "--threads", "8"),
    "greenlets": ("gunicorn", "shop_site:application", "--worker-class", "gevent"),
    "asgi": ("uvicorn", "shop_site:asgi_application"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A site with a database, and the cookie of a user who has signed in."""
    folder = tmp_path_factory.mktemp("site")
    example = (ROOT / "examples" / "logging" / "django_app.py").read_text(encoding="utf-8")
    bind_user = example[example.index("def bind_user") : example.index("# views.py")]
    program = DJANGO.replace("BIND_USER", bind_user)
    (folder / "shop_site.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-c", SIGN_IN],
        cwd=folder,
        env={**os.environ, "ENDPOINT": f"tcp://127.0.0.1:{free_port()}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.strip()


@pytest.mark.parametrize("name", SERVERS)
def test_django(name: str, site: tuple[Path, str], arrivals: Arrivals) -> None:
    """Requests at once, by a user and by nobody: every record has the id and the user of its own."""
    folder, cookie = site
    port = free_port()
    bind = ("--port", str(port)) if name == "asgi" else ("--bind", f"127.0.0.1:{port}")
    with (
        serving(folder, "-m", *SERVERS[name], *bind, env={"ENDPOINT": arrivals.endpoint}),
        ThreadPoolExecutor(8) as pool,
    ):
        wait_for_port(port)
        asked = []
        for number in range(40):
            who: dict[str, Any] = {"Cookie": f"sessionid={cookie}"} if number % 2 else {}
            asked.append(pool.submit(ask, port, "/orders", number, **who))
        assert Counter(one.result() for one in asked) == {200: 36, 500: 4}
        list(pool.map(partial(ask, port, "/stream"), range(40, 44)))
        list(pool.map(partial(ask, port, "/file"), range(44, 46)))
        wait_for(lambda: len(of_numbers(arrivals)) >= 40 + 36 + 12 + 2, 20)
        (failed,) = arrivals.wait_for(says("Internal Server Error: /orders/9", logger="django.request"))
    assert (failed["context"]["request_id"], failed["context"]["user"]) == ("r9", "jo")
    for number, what, context in of_numbers(arrivals):
        assert context["request_id"] == f"r{number}", what
        assert context.get("user") == ("jo" if number < 40 and number % 2 else None), what


@needs_redis
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_celery(pool: str, arrivals: Arrivals, tmp_path: Path, redis: str) -> None:
    """Every record of a task has its id, and that of the request that sent it; no task has another's.

    Also of attempts after the first, and of a task that a task has sent.
    """
    (tmp_path / "tasks.py").write_text(TASKS)
    env = {"ENDPOINT": arrivals.endpoint, "BROKER": redis}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import runpy; runpy.run_module('tasks', run_name='__main__', alter_sys=True)",
        ],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    words = (
        "-m",
        "celery",
        "-A",
        "tasks",
        "worker",
        "--concurrency",
        "2",
        "--without-mingle",
        "--pool",
        pool,
    )
    with serving(tmp_path, *words, "--without-gossip", env=env):
        wait_for(lambda: len(of_numbers(arrivals)) >= 22 + 4, 100)
        (plain, failed, succeeded) = arrivals.wait_for(
            says("plain", logger="shop"),
            says("raised unexpected", logger="celery.app.trace"),
            says("succeeded", logger="celery.app.trace"),
        )
    ids = set()
    retried = [context for number, _, context in of_numbers(arrivals) if number == 200]
    assert {one["request_id"] for one in retried} == {"r200"}
    assert Counter(one["task_name"] for one in retried) == {"tasks.again": 3, "tasks.second": 1}
    assert len({one["task_id"] for one in retried}) == 2, "an attempt is the same task"
    for number, _, context in of_numbers(arrivals):
        if number == 200:
            continue
        given = {100: "own", 101: None}.get(number, f"r{number}")
        assert (context.get("request_id"), context["number"], context["task_name"]) == (
            given,
            number,
            "tasks.work",
        )
        assert "user" not in context
        ids.add(context["task_id"])
    assert len(ids) == 22
    assert plain["context"].keys() == {"task_id", "task_name"}
    assert failed["context"]["number"] % 5 == 4
    assert succeeded["context"]["task_id"] in succeeded["message"]
    worker = ("celery.apps.worker", "celery.worker.strategy")
    assert all("context" not in one for one in arrivals.records if one["logger"] in worker)
