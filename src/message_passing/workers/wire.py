"""The messages between the parent and its workers, and their encoding.

    parent --PUSH--> worker     a batch of messages, or a command, END or REOPEN
    worker --PUSH--> parent     `WorkerMessage`
    parent --pipe--> worker     the `WorkerSpec`, once; then a byte each second while the console has a viewer, and
                                one when a stop is requested; its end means that the parent is gone

They are pickled, so that a message keeps its type on the other side: a tuple, a date, an object of the
user's. Both sides are one program of one user, and the sockets are in a directory that no other user may enter.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.errors import EncodingError, MessagePassingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.component import Component
    from message_passing.declaration import Declaration
    from message_passing.errors import Fault
    from message_passing.metrics import Snapshot

END, REOPEN = "end", "reopen"

READY, FAILED, ENDED = "ready", "failed", "ended"


class WorkerError(MessagePassingError):
    """A worker has died, or workers cannot be started."""


class WorkerSpec(NamedTuple):
    """The specification of a worker.

    Attributes:
        serial: its number among all workers ever started.
        folder: where the sockets are.
        path: the parent's `sys.path`.
        local: where the parent found users' modules that are not on that path, by their names.
        parts: the declared decoders, filters and encoders, in the order that messages flow.
    """

    serial: int
    folder: str
    path: list[str]
    local: Mapping[str, str]
    parts: list[Declaration]

    @property
    def orders(self) -> str:
        """The endpoint where the worker receives messages."""
        return f"ipc://{self.folder}/{self.serial}"

    @property
    def results(self) -> str:
        """The endpoint where the parent receives results."""
        return f"ipc://{self.folder}/results"


class WorkerMessage(NamedTuple):
    """A message from a worker.

    Attributes:
        serial: the worker's.
        state: READY, FAILED, ENDED, or nothing new.
        done: how many of the messages sent to it have been processed since its last message.
        back: how many it returns unprocessed: the rest of a batch after a stop.
        seconds: how long the processed ones took.
        results: the encoder's output.
        settled: numbers of messages and their `Outcome`, in the order in which they were sent, following those
            reported before.
        reports: for the error chain.
        counters: of each part, by its name; empty if they are not reported.
        busy: each part's share of the time, from 0 to 1; empty if the console has no viewer any more.
        faults: why it failed.
        trace: the traceback, if the fault is a component's or ours rather than the user's.
    """

    serial: int
    state: str = ""
    done: int = 0
    back: int = 0
    seconds: float = 0.0
    results: Sequence[Any] = ()
    settled: Sequence[tuple[int, int]] = ()
    reports: Sequence[Any] = ()
    counters: dict[str, Snapshot] | None = None
    busy: Mapping[str, float] | None = None
    faults: tuple[Fault, ...] = ()
    trace: str = ""


class _Pickler(pickle.Pickler):
    """Also pickles subclasses of bytes that carry attributes, whatever arguments their class takes."""

    def reducer_override(self, obj: Any) -> Any:
        """How to reconstruct such an object."""
        if isinstance(obj, bytes):
            return _bytes_again, (type(obj), bytes(obj), getattr(obj, "__dict__", {}))
        return NotImplemented


def _bytes_again(cls: type[bytes], data: bytes, attributes: dict[str, Any]) -> bytes:
    made = bytes.__new__(cls, data)
    if attributes:
        made.__dict__.update(attributes)
    return made


def pickled(what: Any) -> bytes:
    """Encode it.

    Raises:
        Exception: something in it cannot be pickled; whatever its class raises.
    """
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(what)
    return buffer.getvalue()


def unpickled(data: bytes) -> Any:
    """Decode it."""
    return pickle.loads(data)  # noqa: S301 - from ourselves: see the module's text


def portable(component: Component, messages: Sequence[Any]) -> list[Any]:
    """The messages that can be sent to another process; the others are counted as failed by `component`."""
    kept: list[Any] = []
    for message in messages:
        try:
            unpickled(pickled(message))
        except Exception as error:  # noqa: BLE001 - whatever its class raises
            reason = f"{type(error).__name__}: {error}"
            text = f"an object of type {type(message).__name__} cannot be sent to another process: {reason}"
            component.fail(EncodingError(text), [message])
        else:
            kept.append(message)
    return kept
