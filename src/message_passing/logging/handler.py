"""The handler for the standard library's logging: one append for the application, the rest for a thread."""

from __future__ import annotations

import contextlib
import logging
import sys
import weakref
from typing import TYPE_CHECKING, Any, Literal, Never

from message_passing.jsonable import cut
from message_passing.logging.ambient import around
from message_passing.logging.attributes import LARGEST, level_of_record
from message_passing.logging.encoders import encoders
from message_passing.logging.entry import (
    Entry,
    add_around,
    add_rest,
    arguments_of,
    context_of,
    entry_of,
    has_more,
    shortened,
    too_large,
    weight_of,
)
from message_passing.logging.flushing import seconds
from message_passing.logging.lifetime import reference_to
from message_passing.logging.salvage import salvaged
from message_passing.logging.settings import LABEL, QUEUE_BYTES, HandlerOptions
from message_passing.logging.shipper import Shipper
from message_passing.logging.taken import taken
from message_passing.objects import safe
from message_passing.options import declared
from message_passing.zeromq.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import ContextVar

    from message_passing.logging.ambient import Around
    from message_passing.logging.backlog import Policy
    from message_passing.logging.fields import Fields
    from message_passing.logging.taken import Taken
    from message_passing.zeromq.security import SocketSecurity

    FieldsOption = Fields | Callable[[dict[str, Any]], Mapping[str, Any]]

_NOT_GIVEN: Any = ...
"""The default of what protects: an empty text, and None from a variable that is not set, are errors."""


class ZeroMQHandler(logging.Handler):
    """Sends log records as JSON over ZeroMQ, without the application ever waiting for it.

        logging.getLogger().addHandler(ZeroMQHandler(connect="tcp://logs.example:5558"))

    `emit` never raises, prints or blocks. Records wait here, up to `socket_hwm` of them, while the receiver
    is away or slow; then `policy` says which are dropped. Drops are counted (`stats`), and the next record
    that gets through is preceded by a notice that tells of them.
    """

    def __init__(
        self,
        connect: str = "",
        *,
        socket_bind: str = "",
        socket_type: Literal["PUB", "PUSH"] = "PUB",
        socket_hwm: int = 10_000,
        queue_bytes: int = QUEUE_BYTES,
        linger: int = 1000,
        reconnect_ivl: int = Limits().reconnect_ivl,
        reconnect_ivl_max: int = Limits().reconnect_ivl_max,
        curve_secret_key: str = _NOT_GIVEN,
        curve_server_key: str = _NOT_GIVEN,
        curve_allowed_keys: str = _NOT_GIVEN,
        policy: Policy = "drop_newest",
        fields: FieldsOption = "default",
        service: str = "",
        template: bool = False,
        context: Sequence[ContextVar[Any]] = (),
        identity: bool = True,
        largest: int = LARGEST,
        report_interval: float | None = None,
        level: int | str = logging.NOTSET,
        **unknown: Never,
    ) -> None:
        """Prepare; nothing is opened before the first record.

        Args:
            connect: endpoint of the receiver. Either this or `socket_bind`.
            socket_bind: endpoint to bind, for receivers that connect to this process.
            socket_type: `PUB` for SUB receivers, `PUSH` for a pool of PULL workers.
            socket_hwm: how many records may wait. 0 for no limit but `queue_bytes`.
            queue_bytes: the most bytes of records that wait, here and in ZeroMQ. 0 for no limit but memory.
            linger: how long `close` and the interpreter's end may take to send them, in milliseconds.
            reconnect_ivl: how soon to try to connect again, in milliseconds; a random time up to as long is added.
            reconnect_ivl_max: what that grows to, doubling at each failure, in milliseconds. 0 for not growing.
            curve_secret_key: our secret key: its file (`message-passing keys new`), the key itself, or `env:NAME`.
            curve_server_key: the receiver's public key, in the same forms: records are encrypted, for it alone.
            curve_allowed_keys: with `socket_bind`: a folder with the public keys of those who may connect.
            policy: what goes when too many wait: `drop_newest`, `drop_oldest` or `drop_least_severe`.
            fields: `default`, `ecs`, `log_dispatch`, `logstash`, `logstash0`, `otel`, or a function of a dict.
            service: the program's name. Default: that of its script.
            template: also send the unformatted message and its arguments.
            context: context variables to send the values of.
            identity: send `sender` and `sequence`, by which a receiver can tell what is missing.
            largest: characters of a message, and of all else that a record brings; what is longer is cut and marked.
            report_interval: seconds between two lines on stderr about new losses. Default: one at the end alone. 0:
                nothing is written on stderr at all.
            level: as for every handler.
            unknown: other names, which are errors.

        Raises:
            OptionError: an endpoint is missing or malformed, a key is empty, or an option is wrong or unknown.
            OpenError: a key cannot be read, or a secret can be read by others.
        """
        given = {name: value for name, value in locals().items() if name in declared(HandlerOptions)}
        options = HandlerOptions({**given, **unknown})
        security = _security(curve_secret_key, curve_server_key, curve_allowed_keys)
        super().__init__(options.level)
        self._largest = options.largest
        self._rest = _more(template=options.template, context=options.context)
        self._shipper = Shipper(
            options.socket(security),
            options.policy,
            lambda shipper: encoders(options, shipper),
            options.queue_bytes,
            options.report_interval,
            numbered=options.identity,
        )
        self._shipper.owner = reference_to(self)
        # For a handler that nobody keeps; at exit logging closes it, after the program's own exit functions.
        self._finalizer = weakref.finalize(self, self._shipper.orphan)
        self._finalizer.atexit = False

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

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record: an append, and no more, for nearly all of them."""
        shipper = self._shipper
        item: Entry | Taken | None = None
        try:
            surroundings = None
            if "opentelemetry.trace" in (modules := sys.modules) or (
                (tasks := modules.get("asyncio.events")) and tasks._get_running_loop()  # noqa: SLF001
            ):
                surroundings = around(record)
            if not self._rest:
                item = taken(record, surroundings)
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
            shipper.attend()
        elif waiting > shipper.crowded:
            shipper.help()

    def _whole(self, record: logging.LogRecord, surroundings: Around | None) -> Entry | None:
        """The entry of a record; None if there is no room for its bytes, which is counted."""
        entry = entry_of(record)
        add_around(entry, surroundings)
        if self._rest or has_more(record):
            add_rest(record, entry, self._largest)
            for add in self._rest:
                add(record, entry)
        if len(entry.message) > self._largest or too_large(entry, self._largest):
            entry = shortened(entry, self._largest)
        if self._shipper.admit(entry, weight_of(entry)):
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
                if too_large(entry, self._largest):
                    entry = shortened(entry, self._largest)
                if self._shipper.admit(entry, weight_of(entry)):
                    return entry
                self._refuse(record, None)
                return None
        except Exception:  # noqa: BLE001, S110 - a log call never fails; that nothing could be taken is counted
            pass
        self._shipper.fail()
        if not isinstance(error, Exception):
            raise error
        return None

    def _refuse(self, record: logging.LogRecord, item: Entry | Taken | None) -> None:
        if self._shipper.limit < 0 and item is not None:
            with contextlib.suppress(Exception):  # it is counted
                if self._shipper.append(item):
                    return
        weight = 0 if item is None or isinstance(item, tuple) else item.weight
        self._shipper.refuse(_level_of(record), weight=weight)

    def stats(self) -> dict[str, Any]:
        """What became of the records so far, in this process.

        Returns:
            `sent`: handed to ZeroMQ. `queued`: waiting here. `dropped`: lost, by reason. `failed`: records of
            which nothing could be taken.
        """
        return self._shipper.stats()

    def flush(self, timeout: float = 0) -> bool:  # type: ignore[override]
        """Send what waits, and wait until it has left for the receiver.

        Args:
            timeout: seconds to wait for that at most. 0: send what can be sent now, and wait for nobody.

        Returns:
            Whether all that was logged before has left, and none was lost meanwhile. Over TCP the receiver's system
            has confirmed it (SIOCOUTQ in tcp(7)), over ipc it has been read (unix(7)). What was lost before is
            counted: see `stats`.

        Raises:
            OptionError: `timeout` is no number.
        """
        return self._shipper.flush(seconds(timeout))

    def close(self) -> None:
        """Send what is left, within `linger`, and release the socket and the thread.

        As with the standard library's handlers for files and sockets, a record that is logged afterwards opens them
        again: `logging.config.dictConfig` and `logging.shutdown` close handlers that are still in use.
        """
        self._shipper.close()
        super().close()


def _level_of(record: Any) -> str:
    try:
        return level_of_record(record.levelname, record.levelno)[1]
    except Exception:  # noqa: BLE001 - what is no record has no level
        return "NOTSET"


def _security(secret: str, server: str, allowed: str) -> SocketSecurity | None:
    named = {"curve_secret_key": secret, "curve_server_key": server, "curve_allowed_keys": allowed}
    given = {name: value for name, value in named.items() if value is not _NOT_GIVEN}
    if not given:
        return None
    from message_passing.zeromq.security import security_of  # noqa: PLC0415 - who does not encrypt starts sooner

    found = security_of(LABEL, **given)
    if found:
        found.check()  # now, while somebody is there to be told: the socket is opened by the first record
    return found


def _more(
    *, template: bool, context: Sequence[ContextVar[Any]]
) -> list[Callable[[logging.LogRecord, Entry], None]]:
    """What adds to an entry that which was asked for."""
    wanted: list[Callable[[logging.LogRecord, Entry], None]] = []
    if template:
        wanted.append(_add_template)
    if context:
        wanted.append(lambda _, entry: setattr(entry, "context", context_of(context) or None))
    return wanted


def _add_template(record: logging.LogRecord, entry: Entry) -> None:
    entry.template = safe(str, record.msg)
    entry.args = arguments_of(record)
