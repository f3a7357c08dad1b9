"""The log handlers under measurement, each with its defaults, and what receives from them."""

from __future__ import annotations

import importlib
import logging
import logging.handlers
import queue
import warnings
from typing import TYPE_CHECKING, Any

import zmq
from zmq.log.handlers import PUBHandler

from message_passing.logging import ZeroMQHandler

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "ZeroMQHandler (ours)"
HOST = "127.0.0.1"
TEXT, VALUES = "request %d for %s took %.1f ms", (7, "/api/v1/items", 12.5)


class Nothing(logging.Handler):
    """What a log call costs anyhow."""

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing."""


class Subject:
    """A logger with one handler, and its twin with none to speak of.

    Attributes:
        call: log one record.
        baseline: the same to a handler that does nothing.
    """

    def __init__(self, handler: logging.Handler, close: Callable[[], Any] | None = None) -> None:
        """Give it a handler, and what its documentation says to call at the end besides."""
        self._handler = handler
        self._close = close
        self.log = _logger("subject", handler)
        self.baseline = self._caller(_logger("baseline", Nothing()))
        self.call = self._caller(self.log)

    @staticmethod
    def _caller(log: logging.Logger) -> Callable[[], None]:
        return lambda: log.info(TEXT, *VALUES)

    def say(self, level: int, text: str) -> None:
        """Log this text."""
        self.log.log(level, text)

    def close(self) -> None:
        """As at the interpreter's end."""
        self._handler.flush()
        self._handler.close()
        if self._close:
            self._close()


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger(name)
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log


class Queued(Subject):
    """QueueHandler, and a listener that writes to a file."""

    def __init__(self, _port: int, path: str) -> None:
        records: queue.Queue[Any] = queue.Queue()
        self._listener = logging.handlers.QueueListener(records, logging.FileHandler(path))
        self._listener.start()
        super().__init__(logging.handlers.QueueHandler(records))

    def close(self) -> None:
        """The listener writes what is left."""
        self._listener.stop()


class Logbook(Subject):
    """Logbook has loggers of its own; the twin is one of them too."""

    def __init__(self, port: int, _path: str) -> None:
        logbook, queues = importlib.import_module("logbook"), importlib.import_module("logbook.queues")

        class NoOp(logbook.Handler):  # type: ignore[misc, name-defined]
            def emit(self, record: Any) -> None:
                """Nothing."""

        self._sender = queues.ZeroMQHandler(f"tcp://{HOST}:{port}", multi=True)
        self._logbook = logbook
        self._log, twin = logbook.Logger("subject"), logbook.Logger("baseline")
        self._log.handlers, twin.handlers = [self._sender], [NoOp()]
        text = "request {} for {} took {:.1f} ms"
        self.call = lambda: self._log.info(text, *VALUES)
        self.baseline = lambda: twin.info(text, *VALUES)

    def say(self, level: int, text: str) -> None:
        """Log this text, at the nearest of logbook's levels; it knows no others."""
        levels = {logging.INFO: self._logbook.INFO}
        self._log.log(levels.get(level, level), text)

    def close(self) -> None:
        """Its linger would be forever."""
        self._sender.close(1000)


def _ours(port: int, _path: str) -> Subject:
    return Subject(ZeroMQHandler(f"tcp://{HOST}:{port}"))


def _pub(port: int, _path: str) -> Subject:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
    socket.linger = 1000
    socket.connect(f"tcp://{HOST}:{port}")
    return Subject(PUBHandler(socket), socket.close)


def _logstash(port: int, _path: str) -> Subject:
    module = importlib.import_module("logstash_async.handler")
    return Subject(module.AsynchronousLogstashHandler(HOST, port, database_path=None))


def _fluent(port: int, _path: str) -> Subject:
    module = importlib.import_module("fluent.asynchandler")
    handler = module.FluentHandler("app", host=HOST, port=port)
    handler.setFormatter(importlib.import_module("fluent.handler").FluentRecordFormatter())
    return Subject(handler)


def _otel(port: int, _path: str) -> Subject:
    logs = importlib.import_module("opentelemetry.sdk._logs")
    export = importlib.import_module("opentelemetry.sdk._logs.export")
    otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http._log_exporter")
    provider = logs.LoggerProvider()
    exporter = otlp.OTLPLogExporter(endpoint=f"http://{HOST}:{port}/v1/logs")
    provider.add_log_record_processor(export.BatchLogRecordProcessor(exporter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has moved to another package, unchanged
        return Subject(logs.LoggingHandler(logger_provider=provider), provider.shutdown)


CONTENDERS: dict[str, tuple[str, Callable[[int, str], Subject]]] = {
    OURS: ("sub", _ours),
    "FileHandler": ("none", lambda _, path: Subject(logging.FileHandler(path))),
    "QueueHandler to a file": ("none", Queued),
    "SocketHandler": ("tcp", lambda port, _: Subject(logging.handlers.SocketHandler(HOST, port))),
    "SysLogHandler (UDP)": (
        "udp",
        lambda port, _: Subject(logging.handlers.SysLogHandler(address=(HOST, port))),
    ),
    "pyzmq PUBHandler": ("sub", _pub),
    "logbook ZeroMQHandler": ("pull", Logbook),
    "python-logstash-async": ("tcp", _logstash),
    "fluent-logger, async": ("tcp", _fluent),
    "OpenTelemetry batch": ("http", _otel),
}
"""The kind of receiver, and what makes the subject: given a port and a file's name."""
