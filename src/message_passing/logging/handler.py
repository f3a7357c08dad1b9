"""The handler for the standard library's logging: one append for the application, the rest for a thread."""

from __future__ import annotations

import contextlib
import logging
import sys
import weakref
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.jsonable import cut
from message_passing.logging.ambient import around, bound, context_users
from message_passing.logging.attributes import level_of_record
from message_passing.logging.encoders import encoders
from message_passing.logging.entry import (
    Entry,
    add_around,
    add_rest,
    arguments_of,
    context_of,
    entry_of,
    has_more,
    is_too_large,
    shortened,
    weight_of_entry,
)
from message_passing.logging.flushing import seconds
from message_passing.logging.process_hooks import reference_to
from message_passing.logging.salvage import salvaged
from message_passing.logging.settings import HandlerDeclaration, HandlerOptions, signature_of_declaration
from message_passing.logging.shipper import Shipper
from message_passing.logging.snapshot import snapshot
from message_passing.objects import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import ContextVar

    from message_passing.logging.ambient import Around
    from message_passing.logging.snapshot import Snapshotted
    from message_passing.zeromq.settings import SocketSettings

_loaded = sys.modules  # looked into by each log call


class ReceiverQueue:
    """The path of records to one receiver: what is captured of each goes into a queue."""

    _copies: Sequence[ReceiverQueue] = ()  # the ways to other receivers, which get each record too

    def __init__(self, settings: SocketSettings, options: HandlerOptions) -> None:
        """Prepare it; nothing is opened before the first record."""
        self._largest = options.largest
        self._rest = _more(template=options.template, context=options.context, largest=options.largest)
        self._shipper = Shipper(
            settings,
            options.policy,
            lambda shipper: encoders(options, shipper),
            options.queue_bytes,
            options.report_interval,
            make_socket=options.socket_maker(settings),
            numbered=options.identity,
        )

    def opens_for(self, handler: logging.Handler) -> Shipper:
        """The handler that is to be closed when the program ends, if this is open then; its shipper."""
        self._shipper.owner = reference_to(handler)
        # For a handler without other references; at exit logging closes it, after the program's own exit functions.
        weakref.finalize(handler, self._shipper.orphan).atexit = False
        return self._shipper

    def emit(self, record: logging.LogRecord) -> None:  # noqa: C901 - every call in here is paid by each log call
        """Take a record: an append, and no more, for nearly all of them."""
        shipper = self._shipper
        item: Entry | Snapshotted | None = None
        try:
            if self._copies:
                for copy in self._copies:
                    copy.emit(record)
            surroundings = None
            if (
                "opentelemetry.trace" in _loaded
                or ((tasks := _loaded.get("asyncio.events")) and tasks._get_running_loop())  # noqa: SLF001
                or (context_users and bound.get())
            ):
                surroundings = around(record)
            if not self._rest:
                item = snapshot(record, surroundings)
            if item is None and (item := self._whole(record, surroundings)) is None:
                return
            calm = shipper.since < record.created < shipper.due
        except BaseException as error:  # noqa: BLE001 - what is no Exception goes on its way from there
            # All may have been taken of it, and its time be none: nothing is lost by that.
            if item is None or not isinstance(error, Exception):
                item = self._salvaged(record, error)
            if item is None:
                return
            calm = False
        queue = shipper.queue
        waiting = len(queue)
        if waiting >= shipper.limit:
            self._refuse(record, item)
            return
        queue.append(item)
        if not calm:
            shipper.worker.attend()
        elif waiting > shipper.crowded:
            shipper.worker.help()

    def _whole(self, record: logging.LogRecord, surroundings: Around | None) -> Entry | None:
        """The entry of a record; None if there is no room for its bytes, which is counted."""
        entry = entry_of(record)
        add_around(entry, surroundings)
        if self._rest or has_more(record):
            add_rest(record, entry, self._largest)
            for add in self._rest:
                add(record, entry)
        if len(entry.message) > self._largest or is_too_large(entry, self._largest):
            entry = shortened(entry, self._largest)
        if self._shipper.admit(entry, weight_of_entry(entry)):
            return entry
        self._refuse(record, None)
        return None

    def _salvaged(self, record: logging.LogRecord, error: BaseException) -> Entry | None:
        """What can be had of a record when taking it went wrong; None, and it is counted, if nothing can.

        A signal handler may have raised, or a method of the application's, what is to end the program or the task:
        that goes on its way, and the record is counted.
        """
        try:
            if isinstance(error, Exception):
                entry = salvaged(record, self._largest)
                entry.message = cut(entry.message, self._largest)
                if is_too_large(entry, self._largest):
                    entry = shortened(entry, self._largest)
                if self._shipper.admit(entry, weight_of_entry(entry)):
                    return entry
                self._refuse(record, None)
                return None
        except Exception:  # noqa: BLE001, S110 - a log call never fails; that nothing could be taken is counted
            pass
        self._shipper.fail()
        if not isinstance(error, Exception):
            raise error
        return None

    def _refuse(self, record: logging.LogRecord, item: Entry | Snapshotted | None) -> None:
        if item is not None and (self._shipper.limit < 0 or self._shipper.eviction.possible):
            with contextlib.suppress(Exception):  # it is counted
                if self._shipper.append(item):
                    return
        weight = 0 if item is None or isinstance(item, tuple) else item.weight
        self._shipper.refuse(_level_of(record), weight=weight)


class QueueingHandler(ReceiverQueue, logging.Handler):
    """All of `ZeroMQHandler` but the declaration of its options, from which type checkers read its constructor."""

    def __init__(self, connect: Any = ..., **given: Any) -> None:
        """Prepare; nothing is opened before the first record.

        Args:
            connect: the option of that name, which may be given without it.
            given: options.

        Raises:
            OptionError: an endpoint is missing or malformed, a key is empty, or another option is not what it can be.
            OpenError: a key cannot be read, or a secret can be read by others.
        """
        options = HandlerOptions(given if connect is ... else {"connect": connect, **given})
        first, *others = options.sockets()
        logging.Handler.__init__(self, options.level)
        vars(self).update({name: value for name, value in vars(options).items() if name != "level"})
        ReceiverQueue.__init__(self, first, options)
        self._copies = [ReceiverQueue(one, options) for one in others]
        self._shippers = [one.opens_for(self) for one in (self, *self._copies)]

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """There is no lock: an append needs none, and a lock could be held by another thread at a fork."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> Any:
        """As every handler does, without the lock that there is not."""
        if self.filters:
            passed: Any = self.filter(record)
            if not passed:
                return passed
            if isinstance(passed, logging.LogRecord):  # since Python 3.12 a filter may give another record
                record = passed
        self.emit(record)
        return True

    def stats(self) -> dict[str, Any]:
        """Counters of the records so far in this process; with copies to several endpoints, their sums.

        Returns:
            `sent`: handed to ZeroMQ; with DEALER, acknowledged. `queued`: waiting here; with DEALER, or not
            acknowledged; with a spool, or not on disk. `spooled`, with a spool: on disk, and not acknowledged.
            `dropped`: lost, by reason. `failed`: records of which nothing could be taken. `possibly_lost`, if there
            are any: how many more at most, by reason.
        """
        first, *others = (shipper.stats() for shipper in self._shippers)
        for other in others:
            for name, value in other.items():
                if isinstance(value, dict):
                    first[name] = dict(Counter(first.get(name, {})) + Counter(value))
                else:
                    first[name] += value
        return {"spooled": 0, **first} if vars(self).get("spool") else first

    def flush(self, timeout: float = 0) -> bool:  # type: ignore[override]
        """Send what waits, and wait until it has left for the receiver.

        Args:
            timeout: seconds to wait for that at most. 0: send what can be sent now, without waiting.

        Returns:
            Whether all that was logged before has left, and nothing was lost meanwhile. Over TCP the receiver's
            system has confirmed it (SIOCOUTQ in tcp(7)), over ipc it has been read (unix(7)). With DEALER it has been
            acknowledged; with a spool it is on disk. What was lost before is counted: see `stats`.

        Raises:
            OptionError: `timeout` is not a number.
        """
        over = monotonic() + seconds(timeout)
        left = [shipper.flush(max(0.0, over - monotonic())) for shipper in self._shippers]
        return all(left)

    def close(self) -> None:
        """Send what is left, within `linger`, and release the socket and the thread.

        As with the standard library's handlers for files and sockets, a record that is logged afterwards opens them
        again: `logging.config.dictConfig` and `logging.shutdown` close handlers that are still in use.
        """
        begun = monotonic()
        for shipper in self._shippers:
            shipper.close(begun)
        super().close()


class ZeroMQHandler(HandlerDeclaration, QueueingHandler):  # type: ignore[misc] # the option `level` may be a name
    """Sends log records as JSON over ZeroMQ, without ever blocking the application.

        logging.getLogger().addHandler(ZeroMQHandler(connect="tcp://logs.example:5558"))

    `emit` never raises, prints or blocks. Records wait here, up to `socket_hwm` of them, while the receiver
    is away or slow; then `policy` says which are dropped. Drops are counted (`stats`), and the next record
    that gets through is preceded by a notice about them.

    The options are declared in `settings.HandlerDeclaration`, and described in the guide to logging.
    """

    __signature__ = signature_of_declaration()


def _level_of(record: Any) -> str:
    try:
        return level_of_record(record.levelname, record.levelno)[1]
    except Exception:  # noqa: BLE001 - what is no record has no level
        return "NOTSET"


def _more(
    *, template: bool, context: Sequence[ContextVar[Any]], largest: int
) -> list[Callable[[logging.LogRecord, Entry], None]]:
    """What adds to an entry that which was asked for."""
    wanted: list[Callable[[logging.LogRecord, Entry], None]] = []
    if template:
        wanted.append(partial(_add_template, largest))
    if context:
        wanted.append(partial(_add_context, context, largest))
    return wanted


def _add_context(
    variables: Sequence[ContextVar[Any]], largest: int, _: logging.LogRecord, entry: Entry
) -> None:
    entry.context = {**(entry.context or {}), **context_of(variables, largest)} or None


def _add_template(largest: int, record: logging.LogRecord, entry: Entry) -> None:
    entry.template = safe(str, record.msg)
    entry.args = arguments_of(record, largest)
