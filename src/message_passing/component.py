"""The base of every component: options, counters, an error chain, and a life cycle.

Life: construct (checks the options, touches nothing) -> `open()` (sockets, files; again is harmless)
-> messages -> `drain()` -> `close()` (again is harmless; never raises for a peer that is gone).
"""

from __future__ import annotations

import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from message_passing import options
from message_passing.delivery import AMBIENT, NO_HOLD, Call, Hold, Outcome, outside
from message_passing.errors import MessageError, MessagePassingError
from message_passing.failures import (
    DATA_LIMIT,
    LAST_RESORT,
    MOST_DATA,
    PER_SECOND,
    REPORT_BURST,
    ReportLimit,
    is_dead_letter,
    last_resort,
    report,
)
from message_passing.graph import close_all, open_all
from message_passing.lines import message_count
from message_passing.metrics import FAILED_REASON, UNSENT, Metrics, Snapshot
from message_passing.options import Declared, option
from message_passing.stopping import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

_reporting = threading.local()

MOST_REASONS, OTHER_REASONS = 100, "other reasons"
"""Reasons that one component may count losses by, and what those beyond them are counted as."""

MOST_PROBLEMS = 10
"""The most sentences that `Component.problems` returns."""


class Component(Declared):
    """Base of every component: options, counters, an error chain, and a life cycle.

    Attributes:
        label: its type and kind: `ZeroMQ input`.
        chain_name: its name in the chain, as in the config; without one, its `label`.
        observers: called with each batch that it receives (an input: that it emits), while it is being watched.
        report_observers: called with each report that it makes.
    """

    kind: ClassVar[str] = "component"
    """`input`, `decoder`, `filter`, `encoder` or `output`: the namespace of its short name."""

    name: ClassVar[str] = ""
    """The short name as documented: `ZeroMQ`, `Socket::UDP`. The class's name when left empty."""

    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Example options that are valid: shown in the reference and used by the contract tests."""

    privileged: ClassVar[bool] = False
    """Opened before `--user` changes the user, since it may bind a low port."""

    weighs = False  # without an annotation, which would make an option of it; an instance may have its own
    """Whether a message that carries several counts as that many as soon as it is received. Otherwise it counts
    as one until it is lost, which saves checking every message."""

    exclusive: ClassVar[str] = ""
    """The resource that only one component of a process can use, such as `standard input`; empty if none."""

    exclusive_paths: ClassVar[tuple[str, ...]] = ()
    """The names of options that are paths of what only one component can use, such as `spool`."""

    error: Any = option(
        default=None,
        description="Where reports of failed messages go: anything with `consume`. Default: JSON on stderr.",
        python_only=True,
    )
    report_limit: int = option(
        default=DATA_LIMIT,
        ge=0,
        le=MOST_DATA,
        description="How much of a failed message its report shows: in bytes, or in characters if it is "
        "not bytes.",
    )
    dead_letters: bool = option(
        default=False,
        description="Report each message that fails, whole, and however many these are, to the error chain, "
        "which is then a dead-letter queue.",
    )

    def __init__(self, **given: Any) -> None:
        """Check the options and set them as attributes.

        Raises:
            OptionError: with every fault that was found.
        """
        known, label = options.declared(type(self)), self.describe_self()
        self._construct(
            options.check(known, given, label=label, converted=self.__dict__.pop("_converted", {}))
        )

    @classmethod
    def make(cls, given: Mapping[str, Any], *, from_text: bool = False) -> Self:
        """Construct it; errors in options from a file or command line are located at the names of these options.

        Args:
            given: its options.
            from_text: they come from a file or command line, which cannot set options that only Python can.

        Raises:
            OptionError: with every fault that was found.
            TypeError: its class has a constructor of its own, which does not call this one's.
        """
        has_own = cls.__init__ is not Component.__init__  # it has arguments besides the declared options
        known = options.accepted(cls) if has_own else options.declared(cls)
        checked = options.check(known, given, label=cls.describe_self(), from_text=from_text)
        made = cls.__new__(cls)
        if has_own:
            made.__dict__["_converted"] = {name: (given[name], checked[name]) for name in given}
            made.__init__(**given)  # type: ignore[misc] # as if it were called, but with what is known
            if "metrics" not in made.__dict__:
                raise TypeError(f"{cls.__name__}.__init__ has to call super().__init__(**options)")
        else:
            made._construct(checked)  # noqa: SLF001 - its own class
        return made

    def _construct(self, checked: Mapping[str, Any]) -> None:
        self.chain_name = self.label = self.describe_self()
        for name, value in checked.items():
            setattr(self, name, value)
        if self.error is None:
            self.error = LAST_RESORT
        self.metrics = Metrics()
        self._holds: set[Hold] = set()
        self._limits = (ReportLimit(), ReportLimit())  # of reports without messages, and with
        self._opened = False
        self._closed = False
        self._unsent = 0  # what it still had when it was closed: already counted
        self.stop_request = NEVER
        self.observers: tuple[Callable[[Sequence[Any]], object], ...] = ()
        self.report_observers: tuple[Callable[[dict[str, Any]], object], ...] = ()
        self.on_init()

    @classmethod
    def describe_self(cls) -> str:
        """Its name in messages to users: `ZeroMQ input`."""
        return f"{cls.name or cls.__name__} {cls.kind}"

    @property
    def title(self) -> str:
        """Its name in sentences to users: the name in the chain, and the type: `archive (File)`."""
        if self.chain_name.startswith(self.label):
            return self.chain_name
        return f"{self.chain_name} ({type(self).name or type(self).__name__})"

    # What a class may define

    def on_init(self) -> None:
        """Check options against each other and prepare what needs no system resource."""

    def preflight(self) -> None:
        """Look for errors that opening would not show. Called by the command only; may take time.

        What is not an error, such as a host name that does not resolve yet, belongs in `warnings`.

        Raises:
            OpenError: with what was found.
        """

    def on_open(self) -> None:
        """Acquire sockets and files.

        Raises:
            OpenError: the system refused, with the address or file named.
        """

    def on_close(self) -> None:
        """Release them, after sending on what can still be sent within a bounded time."""

    def reopen(self) -> None:
        """SIGHUP: close files that may have been renamed, and open them again."""

    async def background(self) -> None:
        """Its background work, in the event loop, from its opening on. Cancelled at the end.

        An exception ends the chain with a failure; `OutputClosedError` ends it quietly, as when a reader has gone.
        """

    async def flush(self) -> None:
        """Called when no more will come: send or pass on what is kept, within a bounded time, in the event loop.

        Those before it have been flushed, and its `background` still runs. After a stop it is cancelled soon
        (`runner.LAST_DRAIN`). What is left when it is closed is counted as lost.
        """

    def held(self) -> int:
        """How many messages it has accepted and not yet passed on or dropped."""
        return 0

    def counted(self) -> Sequence[Component]:
        """Components that work for it in other processes, with their counters as far as known."""
        return ()

    def outputs(self) -> Sequence[Component]:
        """The components it hands messages to."""
        return ()

    def warnings(self) -> Sequence[str]:
        """What the user should know when starting it, though it is not an error: a sentence each, reported once."""
        return ()

    def summary(self) -> Sequence[str]:
        """What the command reports at the end, besides this component's own losses: a line each."""
        return ()

    def problems(self) -> list[str]:
        """What prevents it from working at the moment, and what to do: a sentence each, at most `MOST_PROBLEMS`.

        It may be called from any thread, and does not block.
        """
        return []

    def notes(self) -> list[str]:
        """What may or may not be a problem, such as that nobody has connected yet: see `problems`."""
        return []

    def possibly_lost(self) -> Mapping[str, int]:
        """Messages that may be lost besides those counted as dropped, by reason: upper bounds."""
        return {}

    def take_sender_losses(self) -> Mapping[str, int]:
        """The change since the last call in messages that did not arrive here, by sender. Called by the runner."""
        return {}

    def info(self) -> Mapping[str, Any]:
        """What an operator may see of it besides its counters: `endpoints`, `capacity` (messages it can buffer)."""
        return {}

    # The public methods

    def open(self) -> None:
        """Acquire what it needs, once.

        Raises:
            OpenError: see `on_open`.
        """
        if not self._opened and not self._closed:
            self.on_open()
            self._opened = True

    @property
    def is_open(self) -> bool:
        """Whether it has been opened and not closed."""
        return self._opened and not self._closed

    def close(self) -> None:
        """Release what it holds, and everything downstream of it, in the order that messages flow."""
        close_all([self])

    def close_one(self) -> None:
        """Release what it holds itself, once."""
        if not self._closed:
            self._closed = True
            try:
                if self._opened:
                    self.on_close()
            finally:
                self._count_unsent()
                self._report_suppressed()

    def _count_unsent(self) -> None:
        """Count as lost what it still holds after it was closed."""
        if self._opened:
            self._unsent = max(0, self.held())
            self.drop(self._unsent, UNSENT)
            if self._holds and all(hold.fate and hold.fate.comes_again for hold in self._holds.copy()):
                self.metrics.coming_again[UNSENT] += self._unsent
        for hold in self._holds.copy():
            hold.note(Outcome.LOST)
            hold.release()

    def __enter__(self) -> Self:
        """Open it and everything downstream, the far end first."""
        open_all([self])
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def snapshot(self, *, held: int | None = None) -> Snapshot:
        """The counters now.

        Args:
            held: how many messages it holds, for callers in another thread than the chain's, where `held` must not
                be called.
        """
        held = self.held() if held is None else held
        return self.metrics.snapshot(held=max(0, held - self._unsent))

    # The only way to count. Nothing else changes `metrics`: `tests/test_counting.py` holds that.

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """Count `messages` as failed because of `error`, and send one report to the error chain.

        A delivery that they belong to is REJECTED if it is a `MessageError`, otherwise LOST (`delivery.Outcome`).
        With `dead_letters`, it is what becomes of their dead letters. One that carries several counts as these
        (`_weigh`).

        Args:
            error: why.
            messages: what has failed.
            count: how many failed, if `messages` does not have all of them: the report needs only the first.
        """
        if self.leaves_dead_letters(error, count):
            self.dead_letter(error, messages)
        else:
            self.report(error, messages, self.count_failed(error, messages, count))

    def leaves_dead_letters(self, error: BaseException, count: int | None = None) -> bool:
        """Whether messages that fail because of `error` are reported as dead letters.

        What the system refused, as a full disk does, may pass another time: it is for who delivers it to send it
        again, so that it is no dead letter yet.

        Args:
            error: why.
            count: see `fail`: with one, nobody has all of them.
        """
        comes_again = isinstance(error, OSError) and AMBIENT.fate is not None
        return self.dead_letters and count is None and not comes_again

    def dead_letter(
        self,
        error: BaseException,
        messages: Sequence[Any],
        *,
        attempts: int = 1,
        weigh: Callable[[Collection[Any]], int] | None = None,
    ) -> None:
        """Count `messages` as failed because of `error`, and report each of them, whole, to the error chain.

        There are as many reports as messages, each with up to `failures.MOST_DATA` bytes, so that they can be sent
        again from there. A delivery that they belong to takes the outcome of the dead letters: DELIVERED once the
        error chain keeps none of them, or LOST if it lost one. It is REJECTED if a message is larger, or if there is
        no error chain, since standard error keeps nothing.

        Args:
            error: why.
            messages: what has failed.
            attempts: how often they were tried; what they were before (`Fate.tried`) is added.
            weigh: counts one as failed, if this component does not, and returns as how many.
        """
        attempts += fate.tried if (fate := AMBIENT.fate) else 0
        for message in messages:
            count = weigh([message]) if weigh else self.count_dead([message])
            described = report(
                self.chain_name, error, [message], count=count, limit=MOST_DATA, attempts=attempts
            )
            self._say(described)

    def count_dead(self, messages: Collection[Any]) -> int:
        """Count messages as failed, of which somebody makes dead letters. How many they are."""
        count = self._weigh(messages)
        self.metrics.failed += count
        self.metrics.losses += count
        return count

    def count_failed(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> int:
        """Do what `fail` does, without the report, which the caller makes; return how many they are."""
        which = messages if count is None else None
        if count is None:
            count = self._weigh(messages)
        self.metrics.failed += count
        self.metrics.losses += count
        if fate := AMBIENT.fate:
            rejected = isinstance(error, MessageError)
            fate.note(Outcome.REJECTED if rejected else Outcome.LOST, which)
            if not rejected and fate.comes_again:
                self.metrics.coming_again[FAILED_REASON] += count
        return count

    def lost_since(self, failed: int, losses: int) -> int:
        """How many of a batch are lost, by the counters before: who keeps messages may have dropped older ones."""
        keeps, metrics = type(self).held is not Component.held, self.charged()
        return metrics.failed - failed if keeps else metrics.losses - losses

    def charged(self) -> Metrics:
        """The counters that have what is lost here: an encoder's may be those of the output that encodes with it."""
        return self.metrics

    def fail_one(self, error: BaseException, message: Any, gone: int) -> None:
        """Fail a message when the method that handled it raised an error. What is lost already is only reported.

        Args:
            error: the one that it raised.
            message: the message.
            gone: how many of what it carries are counted as lost: see `lost_since`.
        """
        left = message_count([message]) - gone if self.weighs else 0
        if not gone:
            self.fail(error, [message])
        elif left > 0:
            self.fail(error, [message], left)
        else:
            self.report(error, [message])

    def drop(self, lost: int | Collection[Any], reason: str) -> None:
        """Count messages as lost for a reason that has no error report: a queue was full, a peer unreachable.

        A delivery that they belong to is LOST (`delivery.Outcome`).

        Args:
            lost: how many; or the messages themselves, of which one that carries several counts as these.
            reason: why, in a few words that do not change from message to message: each reason is a counter. With
                the word `full`, it says that there was no room (`metrics.says_full`). Beyond `MOST_REASONS`, it is
                counted as one of `OTHER_REASONS`.

        Raises:
            TypeError, ValueError: the reason is no text, or empty, or the number less than 0. Nothing is counted.
        """
        count = lost if isinstance(lost, int) else self._weigh(lost)
        if not isinstance(reason, str):
            raise TypeError(f"drop: the reason must be words, not {type(reason).__name__}")
        if count < 0 or not reason:
            raise ValueError(f"drop: {count} messages cannot be lost for the reason {reason[:80]!r}")
        if count:
            dropped = self.metrics.dropped
            dropped[reason if reason in dropped or len(dropped) < MOST_REASONS else OTHER_REASONS] += count
            self.metrics.losses += count
            if fate := AMBIENT.fate:
                fate.note(Outcome.LOST, None if isinstance(lost, int) else [*lost])
                if fate.comes_again:
                    self.metrics.coming_again[reason] += count

    def hold(self) -> Hold:
        """Return a hold, for a component that keeps messages beyond the call that brought them: see `delivery`.

        What is still held when the component is closed counts as lost.
        """
        return NO_HOLD if (fate := AMBIENT.fate) is None else Hold(fate, self._holds)

    def take_back(self, count: int, reason: str) -> None:
        """Take back a loss counted for this reason: the messages have arrived after all."""
        self.metrics.dropped[reason] -= count
        self.metrics.losses -= count

    def _show(self, messages: Sequence[Any]) -> None:
        for see in self.observers:
            see(messages)

    def _weigh(self, lost: Collection[Any]) -> int:
        """How many messages are lost with these; one that carries several was received as one, unless `weighs`."""
        count = message_count(lost)
        if not self.weighs:
            self.metrics.received += count - len(lost)
        return count

    def report(self, error: BaseException, messages: Sequence[Any] = (), count: int | None = None) -> None:
        """Send a report to the error chain. Never raises; what fails inside an error chain goes to stderr at once.

        A component makes `failures.REPORT_BURST` reports at once and `failures.PER_SECOND` after that; of what it
        does not report, the next report, or one when it is closed, says how many messages it was (`suppressed`).
        """
        count = len(messages) if count is None else count
        limit = self._limits[bool(messages)]
        if limit.admits(count):
            self._say(
                report(
                    self.chain_name,
                    error,
                    messages,
                    count=count,
                    suppressed=limit.take_suppressed(),
                    limit=self.report_limit,
                )
            )

    def report_loss(self, described: dict[str, Any]) -> None:
        """Report dropped messages to the error chain; called by the runner, which limits the rate."""
        self._say(described)

    def _report_suppressed(self) -> None:
        for limit in self._limits:
            if count := limit.take_suppressed():
                text = (
                    f"{count} more failed: "
                    f"at most {REPORT_BURST} reports at once and {PER_SECOND:g} a second are made"
                )
                self._say(report(self.chain_name, MessagePassingError(text), (), suppressed=count))

    def _say(self, described: dict[str, Any]) -> None:
        fate = AMBIENT.fate if is_dead_letter(described) else None
        within = getattr(_reporting, "active", False)
        if fate and (self.error is LAST_RESORT or described.get("truncated") or within):
            fate.note(Outcome.REJECTED)
        if within:
            last_resort(described)
            return
        _reporting.active = True
        for note in self.report_observers:
            note(described)
        try:
            # The outcome of other reports is not part of the outcome of the message.
            with Call(fate) if fate else outside():
                self.error.consume(described)
        except self.stop_request.caught:  # a failing error output cannot take the process down
            last_resort(described)
            if fate:
                fate.note(Outcome.LOST)
        finally:
            _reporting.active = False
