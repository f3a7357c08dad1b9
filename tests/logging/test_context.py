"""Fields that every record within a request, a task or a block has."""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from arrivals import Arrivals, says
from logs import logger_with
from message_passing.logging import MessagePassingHandler
from message_passing.logging.ambient import bound
from message_passing.logging.bound_fields import LARGEST_CONTEXT, LARGEST_VALUE, MOST_FIELDS
from message_passing.logging.context import ASGIMiddleware, WSGIMiddleware, bind, context, current
from message_passing.logging.entry import size_of
from message_passing.logging.structlog import SendTo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

HOSTILE = [
    "",
    " ",
    "a b",
    "x" * 129,
    "a\r\nSet-Cookie: b",
    "a\x00",
    "a\x1b[2J",
    "-a",
    "../../etc",
    "'; drop table",
    "<script>",
    "${jndi:ldap}",
    "é",
    "a,b",
    "a\n",
]


class Collected:
    """An output that puts what it is given on a list."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.consume = records.append


@contextmanager
def logged() -> Iterator[tuple[logging.Logger, list[dict[str, Any]]]]:
    """A logger of its own, and the records that it has made."""
    logger = logging.Logger("shop")  # noqa: LOG001 - nobody else's, so tests do not meet
    records: list[dict[str, Any]] = []
    logger.addHandler(MessagePassingHandler(Collected(records)))
    yield logger, records


def contexts(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each record has."""
    return [record.get("context", {}) for record in records]


def test_a_block_has_its_fields_and_those_around_it() -> None:
    """From its beginning to its end, however it ends."""
    with logged() as (log, records):
        with context(order=1, user="jo"):
            log.info("outer")
            with pytest.raises(LookupError), context(order=2, user=None):  # noqa: PT012
                log.info("inner")
                raise LookupError
            log.info("outer again")
        log.info("outside")
    assert contexts(records) == [{"order": 1, "user": "jo"}, {"order": 2}, {"order": 1, "user": "jo"}, {}]


def test_what_is_bound_in_a_block_ends_with_it() -> None:
    """And what is bound outside any stays in its thread or task alone."""

    def in_a_thread() -> dict[str, Any]:
        with context(order=1):
            bind(user="jo", order=2)
            within = current()
        assert current() == {}
        bind(worker=7)
        return within | current()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_a_thread).result() == {"order": 2, "user": "jo", "worker": 7}
    assert current() == {}


def test_tasks_of_one_block_do_not_mix() -> None:
    """What each binds is its own, though they began in the same block."""

    async def work(number: int) -> dict[str, Any]:
        bind(item=number)
        await asyncio.sleep(0)
        return current()

    async def main() -> list[dict[str, Any]]:
        with context(job="nightly"):
            return await asyncio.gather(*(work(number) for number in range(20)))

    assert asyncio.run(main()) == [{"job": "nightly", "item": number} for number in range(20)]


def test_they_arrive_by_both_handlers_and_with_variables_of_ones_own() -> None:
    """Quick records, and those with extras or an exception; a chosen variable of the same name goes first."""
    variable: ContextVar[str] = ContextVar("tenant", default="acme")
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, context=[variable]) as (log, _):
        with context(order=1, tenant="other"):
            log.info("with a variable")
        (found,) = arrivals.wait_for(says("with a variable"))
        assert found["context"] == {"order": 1, "tenant": "acme"}
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (log, _):
        with context(order=1, at=None, cart={"items": [1, 2]}):
            log.info("quick %d", 1)
            log.info("slow", extra={"a": 1})
        log.info("nothing")
        quick, slow, nothing = arrivals.wait_for(says("quick 1"), says("slow"), says("nothing"))
    assert quick["context"] == slow["context"] == {"order": 1, "cart": {"items": [1, 2]}}
    assert "context" not in nothing


def test_a_value_is_as_it_was_when_it_was_bound() -> None:
    """Whatever becomes of the object."""
    cart = [1]
    with logged() as (log, records), context(cart=cart):
        cart.append(2)
        log.info("now")
    assert contexts(records) == [{"cart": [1]}]


class Raises:
    """An object whose every text raises."""

    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


@given(st.dictionaries(st.text(min_size=1, max_size=300), st.text(max_size=300) | st.integers(), max_size=40))
def test_it_has_bounds(fields: dict[str, Any]) -> None:
    """Of fields and of characters, whatever is bound, and nothing raises."""
    with context(**fields), context(**{f"{name}+": value for name, value in fields.items()}):
        found = bound.get() or {}
        assert len(found) <= MOST_FIELDS + 1
        assert size_of(found) <= LARGEST_CONTEXT
        json.dumps(current())


def test_what_there_is_no_room_for_is_told() -> None:
    """One field more than there can be, a long value, and one that cannot be read."""
    with context(**{f"f{number}": number for number in range(MOST_FIELDS)}):
        assert len(current()) == MOST_FIELDS
        bind(f0="replaced")
        assert (len(current()), current()["f0"]) == (MOST_FIELDS, "replaced")
        with context(one=1, more=2):
            assert current()["..."] == "(2 fields more)"
            bind(third=3)
            assert current()["..."] == "(3 fields more)"
    with context(**{f"f{number}": "x" * 200 for number in range(4)}, late="x" * 50):
        bind(f0="y" * 5000)
        assert current()["f0"].startswith("yyy")
        bind(**{"...": "ours"}, **{f"late{'e' * 100}": "new"})
        assert current()["..."] == "(2 fields more)"
    with context(long="x" * 10_000, numbers=list(range(10_000)), odd=Raises(), huge=10**5000):
        found = current()
    assert found["long"] == f"{'x' * LARGEST_VALUE}... ({10_000 - LARGEST_VALUE} characters more)"
    assert len(found["numbers"]) < LARGEST_VALUE + 50
    assert "Raises" in found["odd"]
    assert len(json.dumps(found)) < LARGEST_CONTEXT


def test_a_block_in_a_generator_may_end_anywhere() -> None:
    """Closed in another context, it neither raises nor puts back anything there."""

    def numbers() -> Generator[int]:
        with context(inside=1):
            yield 1
            yield 2

    running = numbers()
    contextvars.copy_context().run(next, running)
    with context(outside=1):
        running.close()
        assert current() == {"outside": 1}


def test_structlogs_own_context_and_ours_go_side_by_side() -> None:
    """Clearing structlog's at the beginning of a request, as its guide says, leaves ours."""
    with logged() as (log, records), context(request_id="r1"):
        structlog.contextvars.clear_contextvars()
        with structlog.contextvars.bound_contextvars(order=12):
            processors: list[Any] = [structlog.contextvars.merge_contextvars, SendTo(log.handlers[0])]
            structlog.wrap_logger(None, processors=processors).info("paid", name="Jo")
    assert contexts(records) == [{"request_id": "r1"}]
    assert records[0]["extra"] == {"order": 12, "name_": "Jo"}


# --- ASGI


def asgi(app: Any, **scope: Any) -> list[dict[str, Any]]:
    """What an application sends in a request; a failure is among it, as the server would have it."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    whole = {"type": "http", "method": "GET", "path": "/a", "headers": [], "query_string": b"", **scope}
    asyncio.run(app(whole, receive, send))
    return sent


async def echo(_scope: Any, _receive: Any, send: Any) -> None:
    """Answers with its context."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": json.dumps(current()).encode()})


def asgi_context(app: Any, **scope: Any) -> tuple[dict[str, Any], bytes]:
    """The context of a request, and the id in the answer."""
    start, body = asgi(app, **scope)
    (answered,) = [value for name, value in start["headers"] if name == b"x-request-id"]
    return json.loads(body["body"]), answered


def test_an_asgi_request_has_its_id() -> None:
    """The one that it brings, and the answer has it too; nothing is left behind."""
    found, answered = asgi_context(ASGIMiddleware(echo), headers=[(b"x-request-id", b"abc-1.2_3:4")])
    assert found == {"request_id": "abc-1.2_3:4", "method": "GET", "path": "/a"}
    assert answered == b"abc-1.2_3:4"
    assert current() == {}


@pytest.mark.parametrize("value", HOSTILE)
def test_what_does_not_look_like_an_id_is_none(value: str) -> None:
    """A new one is made, in ASGI and WSGI."""
    found, answered = asgi_context(
        ASGIMiddleware(echo), headers=[(b"x-request-id", value.encode("latin-1", "replace"))]
    )
    assert len(found["request_id"]) == 32
    assert answered == found["request_id"].encode()
    _, headers, body = wsgi(WSGIMiddleware(wsgi_echo), HTTP_X_REQUEST_ID=value)
    found = json.loads(body)
    assert len(found["request_id"]) == 32
    assert dict(headers)["X-Request-ID"] == found["request_id"]


def test_two_ids_are_none_and_ids_may_be_refused() -> None:
    """Nobody could say which it is; a server that the world reaches need not take any."""
    found, _ = asgi_context(ASGIMiddleware(echo), headers=[(b"x-request-id", b"a"), (b"x-request-id", b"b")])
    assert len(found["request_id"]) == 32
    found, _ = asgi_context(ASGIMiddleware(echo, accept=False), headers=[(b"x-request-id", b"a")])
    assert len(found["request_id"]) == 32
    _, _, body = wsgi(WSGIMiddleware(wsgi_echo, accept=False), HTTP_X_REQUEST_ID="a")
    assert len(json.loads(body)["request_id"]) == 32


def test_a_header_of_another_name() -> None:
    """It is read and answered; what can be none is refused when the application is made."""
    _, headers, body = wsgi(WSGIMiddleware(wsgi_echo, header="X-Correlation-ID"), HTTP_X_CORRELATION_ID="c1")
    assert (json.loads(body)["request_id"], dict(headers)["X-Correlation-ID"]) == ("c1", "c1")
    start, _ = asgi(ASGIMiddleware(echo, header="X-Correlation-ID"), headers=[(b"x-correlation-id", b"c1")])
    assert (b"x-correlation-id", b"c1") in start["headers"]
    for kind in (ASGIMiddleware, WSGIMiddleware):
        with pytest.raises(ValueError, match="must be the name of an HTTP header"):
            kind(echo, header="X-A: b\r\n")


def test_an_answers_own_id_is_kept() -> None:
    """An application that sets the header has the last word."""

    async def own(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Request-Id", b"own")]})
        await send({"type": "http.response.body", "body": b"{}"})

    start, _ = asgi(ASGIMiddleware(own))
    assert start["headers"] == [(b"X-Request-Id", b"own")]


def test_a_middleware_within_another_changes_nothing() -> None:
    """An application mounted in another has the same id."""
    found, _ = asgi_context(ASGIMiddleware(ASGIMiddleware(echo)))
    assert len(found["request_id"]) == 32
    _, headers, _ = wsgi(WSGIMiddleware(WSGIMiddleware(wsgi_echo)))
    assert [name for name, _ in headers].count("X-Request-ID") == 1


class User:
    """A user as Starlette's and Django's are."""

    def __init__(self, name: str, *, known: bool = True) -> None:
        self.display_name = name
        self.is_authenticated = known


class BrokenUser:
    """A user that cannot be had."""

    @property
    def is_authenticated(self) -> bool:
        """It asks a database that is not there."""
        raise OSError("no database")


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (User("jo"), "jo"),
        (User("jo", known=False), None),
        ("jo", "jo"),
        ("", None),
        (None, None),
        (BrokenUser(), None),
        (object(), None),
        ("x" * 5000, f"{'x' * 200}... (4800 characters more)"),
    ],
)
def test_a_user_who_is_known_is_named(user: Any, name: str | None) -> None:
    """One who is not, or who cannot be read, is not."""
    found, _ = asgi_context(ASGIMiddleware(echo), user=user)
    assert found.get("user") == name


def test_what_a_thread_or_a_task_of_a_request_binds_the_request_has() -> None:
    """As FastAPI's dependencies do, which run in threads with a copy of the context."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(bind, user="jo")

        async def authorize() -> None:
            bind(role="admin")

        await asyncio.create_task(authorize())
        with context(order=1):
            bind(only="here")
        await echo(scope, receive, send)

    found, _ = asgi_context(ASGIMiddleware(app))
    assert (found["user"], found["role"], "only" in found) == ("jo", "admin", False)


def test_requests_at_once_do_not_mix() -> None:
    """Each has its own, in its tasks and threads, in whatever order they run."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(bind, number=scope["number"])
        await asyncio.sleep(0)
        await echo(scope, receive, send)

    async def one(number: int) -> tuple[int, dict[str, Any]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"x-request-id", b"r%d" % number)]
        await ASGIMiddleware(app)({"type": "http", "number": number, "headers": headers}, None, send)  # type: ignore[arg-type]
        return number, json.loads(sent[1]["body"])

    async def main() -> list[tuple[int, dict[str, Any]]]:
        return await asyncio.gather(*map(one, range(50)))

    for number, found in asyncio.run(main()):
        assert found == {"request_id": f"r{number}", "number": number}


@pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])
def test_what_a_server_logs_of_a_failure_has_the_context(middleware: Any) -> None:
    """Though it does so outside of it; and nothing else there has it, nor what fails elsewhere."""

    async def failing(*_: Any) -> None:
        bind(order=12)
        raise LookupError("no")

    def failing_wsgi(*_: Any) -> Any:
        bind(order=12)
        raise LookupError("no")

    with logged() as (log, records):
        try:
            if middleware is ASGIMiddleware:
                asgi(ASGIMiddleware(failing), headers=[(b"x-request-id", b"r1")])
            else:
                wsgi(WSGIMiddleware(failing_wsgi), HTTP_X_REQUEST_ID="r1")
        except LookupError:
            log.exception("in the application")
            with context(order=13):
                log.exception("here it is another order")
        log.info("later")
        log.error("elsewhere", exc_info=LookupError("no"))
    first, second, *others = contexts(records)
    assert (first["request_id"], first["order"]) == ("r1", 12)
    assert (second["request_id"], second["order"]) == ("r1", 13)
    assert others == [{}, {}]


def test_a_request_within_a_request_gives_the_outer_one_its_context_back() -> None:
    """Though it fails: what is logged then is of the outer one."""

    async def failing(*_: Any) -> None:
        raise LookupError("no")

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(LookupError):
            await ASGIMiddleware(failing)({"type": "http"}, receive, send)
        await echo(scope, receive, send)

    found, _ = asgi_context(ASGIMiddleware(outer), headers=[(b"x-request-id", b"r1")])
    assert found["request_id"] == "r1"


def test_other_events_of_a_server_are_none_of_ours() -> None:
    """Start and end of the application are not requests."""
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append((scope["type"], current()))

    asgi(ASGIMiddleware(app), type="lifespan")
    assert seen == [("lifespan", {})]


def test_what_routing_finds_is_seen_outside() -> None:
    """Instrumentation around this middleware reads it from the scope afterwards."""

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        scope["route"] = "/orders/{number}"

    scope: dict[str, Any] = {"type": "http"}
    asyncio.run(ASGIMiddleware(app)(scope, None, None))  # type: ignore[arg-type]
    assert scope["route"] == "/orders/{number}"


def test_websockets() -> None:
    """The whole conversation has one id, which the handshake's answer tells."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(current())})

    accepted, sent = asgi(ASGIMiddleware(app), type="websocket", method=None, path="/ws")
    found = json.loads(sent["text"])
    assert found == {"request_id": found["request_id"], "path": "/ws"}
    assert accepted["headers"] == [(b"x-request-id", found["request_id"].encode())]


# --- WSGI


def wsgi_echo(_environ: Any, start_response: Any) -> list[bytes]:
    """Answers with its context."""
    start_response("200 OK", [("A", "b")])
    return [json.dumps(current()).encode()]


def wsgi(app: Any, **environ: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    """What an application answers; its body is closed as servers do."""
    started: list[Any] = []
    body = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/a", **environ}, lambda *words: started.append(words))
    try:
        text = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = started[0][:2]
    return status, headers, text


def test_a_wsgi_request_has_its_id_and_its_user() -> None:
    """Its path in UTF-8; and nothing is left behind."""
    environ = {"SCRIPT_NAME": "/shop", "PATH_INFO": "/caf\xc3\xa9", "REMOTE_USER": "jo"}
    _, headers, body = wsgi(WSGIMiddleware(wsgi_echo), HTTP_X_REQUEST_ID="r1", **environ)
    assert json.loads(body) == {"request_id": "r1", "method": "GET", "path": "/shop/café", "user": "jo"}
    assert headers == [("A", "b"), ("X-Request-ID", "r1")]
    assert current() == {}


def test_a_streamed_body_has_the_context_to_its_end() -> None:
    """Up to its `close`, of which the application's own is called; a failure in it carries the context."""
    seen: list[dict[str, Any]] = []

    def stream(fails: bool) -> Iterator[bytes]:
        try:
            seen.append(current())
            yield b"a"
            if fails:
                raise LookupError("no")
            seen.append(current())
            yield b"b"
        finally:
            seen.append(current())

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return stream(fails="fails" in environ)

    assert wsgi(WSGIMiddleware(app), HTTP_X_REQUEST_ID="r1")[2] == b"ab"
    assert [found["request_id"] for found in seen] == ["r1"] * 3
    with logged() as (log, records):
        try:
            wsgi(WSGIMiddleware(app), HTTP_X_REQUEST_ID="r2", fails=True)
        except LookupError:
            log.exception("failed")
    assert contexts(records)[0]["request_id"] == "r2"
    assert current() == {}


def test_a_body_that_nobody_closes_leaves_the_next_request_its_own() -> None:
    """A server that does not keep to PEP 3333 mixes no two requests up."""

    def both() -> tuple[bytes, dict[str, Any]]:
        app = WSGIMiddleware(wsgi_echo)
        abandoned = app({"REMOTE_USER": "jo"}, lambda *_: None)
        next(iter(abandoned))
        return wsgi(app, HTTP_X_REQUEST_ID="r2")[2], current()

    body, _ = contextvars.copy_context().run(both)
    assert json.loads(body) == {"request_id": "r2", "method": "GET", "path": "/a"}


def test_a_file_goes_to_the_server_as_it_is() -> None:
    """It may send it without reading it; and a list says how long it is."""

    class Wrapper:
        """As servers have one."""

        def __init__(self, file: Any) -> None:
            self.file = file

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a"))

    found: Any = WSGIMiddleware(app)({"wsgi.file_wrapper": Wrapper}, lambda *_: None)
    assert type(found) is Wrapper
    assert current() == {}
    listed: Any = WSGIMiddleware(wsgi_echo)({}, lambda *_: None)
    assert len(listed) == 1
    listed.close()


@pytest.mark.parametrize("name", ["fastapi", "starlette", "django", "celery", "structlog"])
def test_no_framework_is_imported(name: str) -> None:
    """Who does not use one need not have it, and starts no later."""
    program = f"import sys, message_passing.logging.context; sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_thread_of_ones_own_has_none_unless_it_is_given_it() -> None:
    """As with every context variable; `contextvars.copy_context` gives it."""
    found: list[dict[str, Any]] = []

    def started(run: Callable[[], object]) -> None:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    with context(order=1):
        here = contextvars.copy_context()
        started(lambda: here.run(lambda: found.append(current())))
        if sys.version_info < (3, 14) or not getattr(sys.flags, "thread_inherit_context", 0):
            started(lambda: found.append(current()))
            assert found.pop() == {}
    assert found == [{"order": 1}]
