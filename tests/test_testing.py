"""The public test support: each broken promise is noticed, and the helpers help."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from types import MappingProxyType
from typing import Any

import pytest

from message_passing import Filter, Input, Output, option
from message_passing.errors import OpenError
from message_passing.testing import (
    ContractError,
    ListInput,
    _contract,
    capture,
    check_component,
    free_port,
    run_input,
    running,
    wait_for,
)
from support import Kept


class Sound(Filter):
    """Removes a key, and keeps every promise."""

    example = MappingProxyType({"which": "password"})

    which: str = option(description="The key.")

    def filter(self, message: Any) -> Any:
        """Remove it from dicts."""
        if isinstance(message, dict):
            message.pop(self.which, None)
        return message


class Undocumented(Sound):  # noqa: D101 - that is what is wrong with it
    limit: int = 3


class BadExample(Sound):
    """Shows options that it does not take."""

    example = MappingProxyType({"witch": "password"})


class TakesAnything(Filter):
    """Has a constructor that swallows what it does not know."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{name: given[name] for name in ("error", "output_to") if name in given})

    def filter(self, message: Any) -> Any:
        """It as it is."""
        return message


class BadRefusal(TakesAnything):
    """Has a constructor that refuses in its own way."""

    def __init__(self, error: Any = None, output_to: Any = None) -> None:
        super().__init__(error=error, output_to=output_to)


class LeaksFile(Output):
    """Leaves a file open."""

    def on_open(self) -> None:
        """Open what nobody closes."""
        self.fds = [*getattr(self, "fds", []), os.dup(0)]
        _leaked.extend(self.fds)

    def write(self, message: Any) -> None:
        """Nothing."""


class LeaksThread(Output):
    """Leaves a thread running."""

    def on_open(self) -> None:
        """Start what nobody stops."""
        threading.Thread(target=_enough.wait, name="left-over").start()

    def write(self, message: Any) -> None:
        """Nothing."""


class FailsToClose(Output):
    """Raises when it is closed."""

    def on_close(self) -> None:
        """Raise."""
        raise RuntimeError("stuck")

    def write(self, message: Any) -> None:
        """Nothing."""


class CannotOpen(Output):
    """Is refused by the system."""

    def on_open(self) -> None:
        """Be refused."""
        raise OpenError("no such luck")

    def write(self, message: Any) -> None:
        """Nothing."""


class AllOrNothing(Filter):
    """Fails a whole batch because of one message."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Only what has a length."""
        return [message for message in messages if len(message) >= 0]


class CountsTwice(Output):
    """Counts what it fails as dropped too."""

    def write(self, message: Any) -> None:
        """Count and raise."""
        self.metrics.dropped["twice"] += 1
        raise ValueError(message)


class CountsNothing(Filter):
    """Goes around `emit`."""

    def write_many(self, messages: list[Any]) -> None:
        """Hand on without counting."""
        self._next.consume_many(messages)


class FailsSilently(Output):
    """Counts failures that nobody hears of."""

    def write(self, message: Any) -> None:
        """Count only."""
        self.metrics.failed += 1


class OwnDoor(Filter, own_doors=True):
    """Raises at its door."""

    def consume_many(self, messages: list[Any]) -> None:
        """Raise."""
        raise ValueError("no")


class KeepsWithoutHold(Output):
    """Keeps messages, and says so, but takes no hold."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.kept: list[Any] = []

    def held(self) -> int:
        """All."""
        return len(self.kept)

    def write_many(self, messages: list[Any]) -> None:
        """Keep a batch."""
        self.kept += messages


class FlushHangs(KeepsWithoutHold):
    """Waits for ever in the end."""

    async def flush(self) -> None:
        """Wait."""
        await asyncio.Event().wait()


class BackgroundRaises(Sound):
    """Cannot live."""

    async def background(self) -> None:
        """Raise."""
        raise RuntimeError("no life")


class NeverStops(Input):
    """Does not let itself be cancelled."""

    async def run(self) -> None:
        """Swallow the cancellation until the test is over."""
        while not _enough.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(0.5, _enough.set)


class LeaksTask(Input):
    """Leaves a task behind."""

    async def run(self) -> None:
        """Start what nobody awaits."""
        self.task = asyncio.create_task(asyncio.sleep(60), name="left-over")


class RunRaises(Input):
    """Raises while it runs."""

    async def run(self) -> None:
        """Raise."""
        raise RuntimeError("broken")


_enough = threading.Event()
_leaked: list[int] = []
_threads = threading.active_count()


@pytest.fixture(autouse=True)
def _clean_up() -> Any:
    """Stop what the unsound components left behind."""
    _enough.clear()
    yield
    _enough.set()
    for fd in _leaked:
        os.close(fd)
    _leaked.clear()
    wait_for(lambda: threading.active_count() == _threads)


def test_sound() -> None:
    """A component that keeps all promises passes."""
    check_component(Sound)
    check_component(ListInput, messages=[1, 2])
    check_component(Kept)


@pytest.mark.parametrize(
    ("cls", "complaint"),
    [
        (Undocumented, "no docstring of its own"),
        (Undocumented, "does not say what option 'limit' does"),
        (BadExample, "`example` is rejected .*no option 'witch'.*let the class show options that work"),
        (TakesAnything, "option 'zzz_unknown' is accepted and ignored"),
        (BadRefusal, "option 'zzz_unknown' raises TypeError"),
        (LeaksFile, r"leaves behind file descriptor \d+ .*release in on_close"),
        (LeaksThread, "leaves behind thread left-over"),
        (FailsToClose, r"close_one\(\) raises RuntimeError\('stuck'\)"),
        (CannotOpen, "cannot be opened with .*no such luck.*this machine's fault"),
        (AllOrNothing, "4 messages fail in a batch but 1 when each comes alone"),
        (CountsTwice, "counters do not add up"),
        (CountsNothing, "passed 9 messages on, counted 0: use emit"),
        (FailsSilently, "9 failed but 0 were reported"),
        (OwnDoor, "consume_many raises ValueError"),
        (KeepsWithoutHold, "settled while it still holds some of it: take self.hold"),
        (FlushHangs, r"flush\(\) runs for more than 0.2 s"),
        (BackgroundRaises, r"background\(\) raises RuntimeError\('no life'\)"),
        (NeverStops, "keeps running after it was cancelled"),
        (LeaksTask, r"leaves tasks behind \(left-over\)"),
        (RunRaises, r"run\(\) raises RuntimeError\('broken'\)"),
    ],
)
def test_broken_promises(cls: Any, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each broken promise is told, with the component's name and what to do."""
    monkeypatch.setattr(_contract, "_PATIENCE", 0.2)
    with pytest.raises(ContractError, match=rf"{cls.__name__}: .*{complaint}"):
        check_component(cls)


def test_options_over_the_example() -> None:
    """What is given is tried in place of what the example says."""
    seen: list[str] = []

    class Notes(Sound):
        """Notes its option."""

        def on_open(self) -> None:
            """Note it."""
            seen.append(self.which)

    check_component(Notes, which="token")
    assert set(seen) == {"token"}


def test_works_in_a_directory_of_its_own() -> None:
    """What a component writes to a relative path goes with the check."""
    seen: list[str] = []
    before = os.getcwd()  # noqa: PTH109 - compared with what the component sees

    class Writes(Sound):
        """Notes where it is."""

        def on_open(self) -> None:
            """Note it."""
            seen.append(os.getcwd())  # noqa: PTH109

    check_component(Writes)
    assert before not in seen
    assert os.getcwd() == before  # noqa: PTH109
    assert not any(map(os.path.exists, seen))


def test_list_input_and_capture() -> None:
    """A list goes through a chain in batches, and ends; `capture` keeps what comes out."""
    redact = Sound(which="a")
    arrived = capture(redact)
    run_input(ListInput(messages=[{"a": 1, "b": n} for n in range(2500)], output_to=redact))
    assert arrived.messages == [{"b": n} for n in range(2500)]
    kept = Kept()
    run_input(ListInput(messages=[b""] * 2500, output_to=kept))
    assert [len(batch) for batch in kept.batches] == [1000, 1000, 500]


def test_run_input_raises() -> None:
    """What an input raises reaches the test, and one that does not end is given up."""
    with pytest.raises(RuntimeError, match="broken"):
        run_input(RunRaises())

    class Waits(Input):
        async def run(self) -> None:
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        run_input(Waits(), timeout=0.02)


def test_running() -> None:
    """An input runs while the block looks on, is stopped after it, and emits what it still had."""

    class Ticks(Input):
        async def run(self) -> None:
            while True:
                self.emit(["tick"])
                await asyncio.sleep(0.001)

        def stopped(self) -> None:
            self.emit(["last"])

    ticks = Ticks()
    arrived = capture(ticks)
    with running(ticks):
        wait_for(lambda: arrived.message_count > 3)
    count = arrived.message_count
    assert arrived.messages == ["tick"] * (count - 1) + ["last"]
    with pytest.raises(RuntimeError, match="broken"), running(RunRaises()):
        pass


def test_running_what_does_not_stop() -> None:
    """An input that cannot be stopped fails the test instead of hanging it."""
    with (
        pytest.raises(TimeoutError, match=r"is still running 0\.05 s after it was cancelled"),
        running(NeverStops(), timeout=0.05),
    ):
        pass


def test_wait_for() -> None:
    """It gives the first true value, and gives up with where it was asked and what it last was."""
    answers = iter([0, "", "yes"])
    assert wait_for(lambda: next(answers)) == "yes"
    empty: list[int] = []
    with pytest.raises(TimeoutError, match=r"waited 0\.02 s in vain \(.*\.py:\d+\); the last value was \[\]"):
        wait_for(lambda: empty, timeout=0.02)
    with pytest.raises(TimeoutError, match=r"waited 0\.02 s in vain; the last value was \[\]"):
        wait_for(empty.copy, timeout=0.02)


def test_free_port() -> None:
    """The port can be had, by TCP and by UDP."""
    port = free_port()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as one:
            one.bind(("127.0.0.1", port))
