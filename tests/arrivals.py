"""What arrives from applications under test: a bound SUB, and the records that it has taken so far."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

import zmq

from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Arrivals:
    """A receiver on a free port, in a thread: a SUB tells of its subscription only while it is being asked.

    Attributes:
        endpoint: to connect to.
        records: all that arrived.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = 0
        self._socket.subscribe(b"")
        self.endpoint = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _take(self) -> None:
        while not self._done.is_set():
            if self._socket.poll(20):
                self.records.append(json.loads(self._socket.recv()))

    def wait_for(
        self, *wanted: Callable[[dict[str, Any]], bool], timeout: float = 20
    ) -> list[dict[str, Any]]:
        """The first record that fulfils each of these conditions, once all of them are there."""

        def found() -> list[dict[str, Any]] | None:
            firsts = [next(filter(one, self.records), None) for one in wanted]
            return None if None in firsts else [record for record in firsts if record is not None]

        try:
            return wait_for(found, timeout) or []
        except TimeoutError as error:
            raise AssertionError(f"only these arrived: {self.records}") from error


def says(text: str, **fields: Any) -> Callable[[dict[str, Any]], bool]:
    """A condition: the message contains a text, and fields have these values."""
    return lambda record: text in record["message"] and fields.items() <= record.items()
