"""Fields that every record within a request, a task or a block has: request id, user, task id, and your own.

    app.add_middleware(ASGIMiddleware)                 # FastAPI, Starlette
    application = WSGIMiddleware(application)          # Django, Flask, any WSGI application
    connect_celery_signals()                           # in Celery's workers, and where tasks are sent

    bind(user="jo")                                    # from here to the end of the request, task or block
    with context(order_id=12): ...

The handlers of this package send them as a record's `context`. They are found by a `contextvars.ContextVar`: tasks of
asyncio and what frameworks run in threads have their request's; a `threading.Thread` of one's own has none.
"""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from message_passing.logging.ambient import bound, carry, context_users
from message_passing.logging.bound_fields import BoundFields, extended, pop_fields, push_fields
from message_passing.logging.fields import as_objects
from message_passing.objects import safe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
    from contextvars import Token

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+@-]{0,127}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_KEY = "message_passing.request_id"

context_users.append(__name__)


@contextmanager
def context(**fields: Any) -> Iterator[None]:
    """Bind fields for a block, besides those that are bound already.

    Args:
        fields: names and values; values are taken as they are now, as those of `extra` are. None removes a field.
    """
    token = push_fields(extended(bound.get(), fields))
    try:
        yield
    finally:
        pop_fields(token)


def bind(**fields: Any) -> None:
    """Bind fields until the end of the current request, task or block of `context`.

    In a request it does not matter in which of its threads and tasks this is called; dependencies of FastAPI have
    their own. Elsewhere only this thread or asyncio task has them, up to its own end if nothing else ends before.

    Args:
        fields: names and values, as for `context`.
    """
    now = bound.get()
    if isinstance(now, BoundFields) and now.shared:
        now.put(fields)
    else:
        bound.set(extended(now, fields))


def current() -> dict[str, Any]:
    """A copy of the fields that are bound here, for instance to pass on the `request_id`."""
    return dict(as_objects(dict(bound.get() or {})))


class _Middleware:
    """What wraps an application, and binds fields of each of its requests."""

    def __init__(self, app: Any, *, header: str = "X-Request-ID", accept: bool = True) -> None:
        """Wrap an application.

        Args:
            app: the application.
            header: the name of the header.
            accept: whether a request may bring its id; otherwise each gets a new one.

        Raises:
            ValueError: there can be no header of that name.
        """
        self.app = app
        self._header = _header_name(header)
        self._accept = accept


class ASGIMiddleware(_Middleware):
    """Binds `request_id`, `method`, `path` and `user` in each request and WebSocket of an ASGI application.

    The id is the request's `X-Request-ID` if that looks like one (1 to 128 letters, digits and `._:/=+@-`), or else
    a new one; the response has it, too. `user` is the scope's user, if an authenticating middleware outside this one
    has set it: otherwise `bind(user=...)` where you know it. https://asgi.readthedocs.io/en/latest/specs/www.html
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for a request."""
        if scope.get("type") not in ("http", "websocket") or _KEY in scope:
            await self.app(scope, receive, send)
            return
        lower = self._header.lower().encode()
        given = [value for name, value in scope.get("headers") or () if name == lower]
        request_id = _request_id(given[0].decode("latin-1") if self._accept and len(given) == 1 else "")
        header = (lower, request_id.encode())
        scope[_KEY] = (
            request_id  # in the same dict: middlewares outside this one look there for what routing has found
        )

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message.get("type") in ("http.response.start", "websocket.accept"):
                headers = list(message.get("headers") or ())
                if all(name.lower() != lower for name, _ in headers):
                    message = {**message, "headers": [*headers, header]}
            await send(message)

        fields = _of_request(request_id, scope.get("method"), scope.get("path"), scope.get("user"))
        around, token = bound.get(), push_fields(fields)
        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            carry(error, fields)  # the server logs it outside of here
            if around:
                pop_fields(token)
            raise  # a server's task ends now, and its access log is still of this request
        except BaseException:
            pop_fields(token)
            raise
        pop_fields(token)


class WSGIMiddleware(_Middleware):
    """Binds the same fields as `ASGIMiddleware` in each request of a WSGI application, up to its last byte.

    `user` is the server's `REMOTE_USER`. PEP 3333.
    """

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Run the application for a request."""
        if _KEY in environ:
            answered: Iterable[bytes] = self.app(environ, start_response)
            return answered
        variable = f"HTTP_{self._header.upper().replace('-', '_')}"
        request_id = _request_id(environ.get(variable) if self._accept else "")
        environ[_KEY] = request_id

        def answer(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if all(name.lower() != self._header.lower() for name, _ in headers):
                headers = [*headers, (self._header, request_id)]
            return start_response(status, headers, *more)

        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        fields = _of_request(
            request_id,
            environ.get("REQUEST_METHOD"),
            # PEP 3333: bytes as if they were Latin-1.
            path.encode("latin-1", "replace").decode("utf-8", "replace"),
            environ.get("REMOTE_USER"),
        )
        token = push_fields(fields)
        try:
            body: Iterable[bytes] = self.app(environ, answer)
        except BaseException as error:
            carry(error, fields)  # the server logs it outside of here
            pop_fields(token)
            raise
        sends_files = environ.get("wsgi.file_wrapper")
        if isinstance(sends_files, type) and issubclass(type(body), sends_files):
            pop_fields(token)
            return body  # as it is: the server may send the file without reading it
        return _Body(body, fields, token)


class _Body:
    """The body of an answer: the context lasts until the server closes it, having logged the access."""

    def __init__(self, body: Any, fields: BoundFields, token: Token[Any]) -> None:
        self._body, self._fields, self._token = body, fields, token
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __len__(self) -> int:
        """Of a list: servers ask for it, and know the length of an answer in one part."""
        return len(self._body)

    def __next__(self) -> bytes:
        try:
            if self._parts is None:
                self._parts = iter(self._body)
            return next(self._parts)
        except StopIteration:
            raise
        except Exception as error:
            carry(error, self._fields)
            raise

    def close(self) -> None:
        """What PEP 3333 has every server call at the end."""
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            pop_fields(self._token)


def connect_celery_signals() -> None:
    """Bind `task_id`, `task_name` and, if it has one, the `request_id` of its sender, in each Celery task.

    Call it once in each process, by the module of the Celery application: where tasks are sent, the id of the
    request that sends one goes with it as the header `request_id`. Calling it again does nothing more.

    Raises:
        ImportError: Celery is not installed.
    """
    from celery import signals  # noqa: PLC0415 - who does not use it need not have it

    for signal, receiver in (
        (signals.before_task_publish, _on_publish),
        (signals.task_prerun, _on_task_begin),
        (signals.task_postrun, _on_task_end),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"{__name__}.{receiver.__name__}")


def _on_publish(headers: Any = None, **_: Any) -> None:
    request_id = (bound.get() or {}).get("request_id")
    if isinstance(headers, dict) and _is_id(request_id):
        headers.setdefault("request_id", request_id)


def _on_task_begin(task_id: Any = None, task: Any = None, **_: Any) -> None:
    request = task.request
    eager = request.is_eager  # it runs at once within what sends it
    given = request.get("request_id")
    sent_by = {"request_id": given} if _is_id(given) and not eager else {}
    fields = extended(bound.get() if eager else None, {**sent_by, "task_id": task_id, "task_name": task.name})
    vars(request)[_KEY] = push_fields(fields)


def _on_task_end(task: Any = None, **_: Any) -> None:
    if token := vars(task.request).pop(_KEY, None):
        pop_fields(token)


def _of_request(request_id: str, method: Any, path: Any, user: Any) -> BoundFields:
    """A request's context. It starts empty: what an earlier one may have left in a thread does not belong to it."""
    fields = {"request_id": request_id, "method": method, "path": path, "user": _name_of_user(user)}
    found = extended(None, fields)
    found.shared = True
    return found


def _is_id(value: Any) -> bool:
    return type(value) is str and _ID.fullmatch(value) is not None


def _request_id(given: Any) -> str:
    """The id that a request brought, if it looks like one: it goes into logs and headers, and anybody may send it."""
    return given if _is_id(given) else uuid.uuid4().hex


def _header_name(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(
            f"header must be the name of an HTTP header (letters, digits and hyphens), not {name!r}"
        )
    return name


def _name_of_user(user: Any) -> str | None:
    """The authenticated user's name: from a text, or from a user object of Starlette or Django."""
    if user is None or isinstance(user, str):
        return user or None
    with suppress(Exception):  # the application's own code
        if user.is_authenticated:
            for name in ("get_username", "display_name", "username"):
                if found := getattr(user, name, None):
                    return safe(str, found() if callable(found) else found)
    return None
