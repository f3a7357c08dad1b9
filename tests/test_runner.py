"""Running chains: the end, signals, failures, what was lost."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from functools import partial
from typing import Any

import pytest

from message_passing import Input, run_message_server
from message_passing.errors import OpenError, OutputClosedError
from message_passing.event_loop import obey_signals
from message_passing.flow import Output
from message_passing.options import option
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.runner import Server
from message_passing.summaries import losses
from message_passing.testing import ListInput, free_port
from support import Kept


class Scripted(Input):
    """Does what it is told."""

    steps: Any = option(description="A coroutine function, given the input.", python_only=True)
    last: Any = option(default=None, description="What it does when stopped.", python_only=True)

    async def run(self) -> None:
        """Do it."""
        await self.steps(self)

    def stopped(self) -> None:
        """And this."""
        if self.last:
            self.last(self)


class Gone(Output):
    """Nobody reads it."""

    def write_many(self, messages: list[Any]) -> None:
        """Say so."""
        raise OutputClosedError


class Noted(Output):
    """Notes its life."""

    log: list[str] = option(default_factory=list, description="Where.")
    refuse: bool = option(default=False, description="Whether it cannot be opened.")

    def on_open(self) -> None:
        """Note it."""
        self.log.append("open")
        if self.refuse:
            raise OpenError("it is locked")

    def reopen(self) -> None:
        """Note it."""
        self.log.append("reopen")

    def on_close(self) -> None:
        """Note it."""
        self.log.append("close")

    def write(self, message: Any) -> None:
        """Note it."""
        self.log.append(message if isinstance(message, str) else str(message["exception"]))


async def for_ever(_head: Scripted) -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


async def fail(_head: Scripted) -> None:
    """Fail."""
    raise ConnectionError("the source has gone")


def test_chains_run_until_all_inputs_have_ended() -> None:
    """Those connected by hand are given by their inputs."""
    one, two = Kept(), Kept()
    run_message_server(
        ListInput(messages=["a"], output_to=one), ListInput(messages=["b"] * 3000, output_to=two)
    )
    assert (one.messages, len(two.messages)) == (["a"], 3000)


def test_a_server_without_an_input_ends_at_once() -> None:
    """There is nothing to wait for."""
    told: list[str] = []
    Server([]).run(on_ready=lambda: told.append("ready"), on_end=lambda: told.append("end"))
    assert told == ["ready", "end"]


def test_everything_is_opened_and_closed_the_error_chains_too() -> None:
    """Error chains before the rest, and after it."""
    end, errors = Noted(), Noted()
    run_message_server(Scripted(steps=fail_once_open(errors), output_to=end, error=errors))
    assert end.log == ["open", "close"]
    assert errors.log == ["open", "a report", "close"]


def fail_once_open(errors: Noted) -> Any:
    """Steps that report something while the error chain is open."""

    async def steps(head: Scripted) -> None:
        assert errors.log == ["open"]
        head.report(RuntimeError("a report"))

    return steps


def test_what_cannot_be_opened_closes_the_rest() -> None:
    """With every fault, and nothing runs."""
    end, errors = Noted(refuse=True), Noted(refuse=True)
    head = Scripted(steps=fail, output_to=end, error=errors)
    with pytest.raises(OpenError) as caught:
        run_message_server(head)
    assert [str(fault) for fault in caught.value.faults] == ["Noted output: it is locked"] * 2


def test_an_input_that_fails_ends_the_chain() -> None:
    """Its error chain is told, the others pass on what they took, all is closed, and it is raised."""
    errors, end = Noted(), Noted()
    failing = Scripted(steps=fail, output_to=end, error=errors)
    other = Scripted(steps=for_ever, last=lambda head: head.emit(["held"]), output_to=end)
    with pytest.raises(ConnectionError, match="the source has gone"):
        run_message_server(failing, other)
    assert errors.log == ["open", "the source has gone", "close"]
    assert end.log == ["open", "held", "close"]


def test_an_input_that_fails_while_it_is_stopped() -> None:
    """The others still pass on what they took."""

    def broken(_head: Scripted) -> None:
        raise LookupError("no more")

    async def ends(_head: Scripted) -> None:
        pass

    errors, end = Noted(), Noted()
    head = Scripted(steps=ends, last=broken, output_to=end, error=errors)
    other = Scripted(steps=ends, last=lambda head: head.emit(["held"]), output_to=end)
    with pytest.raises(LookupError):
        run_message_server(head, other)
    assert errors.log == ["open", "no more", "close"]
    assert end.log == ["open", "held", "close"]


def test_a_reader_that_has_gone_is_no_failure() -> None:
    """Everything ends; the other chains have what was taken."""
    end = Noted()
    other = Scripted(steps=for_ever, last=lambda head: head.emit(["held"]), output_to=end)
    run_message_server(ListInput(messages=["x"], output_to=Gone()), other)
    assert end.log == ["open", "held", "close"]


def test_the_moments_that_are_told() -> None:
    """Ready when the inputs run; the end before what was taken is passed on."""
    log: list[str] = []
    head = Scripted(steps=for_ever, last=lambda _: log.append("stopped"), output_to=Kept())
    server = Server([head])

    def ready() -> None:
        log.append("ready")
        server.stop()

    server.run(on_ready=ready, on_end=lambda: log.append("end"))
    assert log == ["ready", "end", "stopped"]


def test_it_may_be_stopped_from_anywhere_and_at_any_time() -> None:
    """Before it runs, from another thread, and afterwards."""
    early = Server([Scripted(steps=for_ever, output_to=Kept())])
    early.stop()
    early.run()
    early.stop()
    early.reopen()
    late = Server([Scripted(steps=for_ever, output_to=Kept())])
    late.run(on_ready=lambda: threading.Thread(target=late.stop).start())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_server_and_is_then_as_it_was(number: int) -> None:
    """`run_message_server` gives the signals back to the program that called it."""
    before = signal.getsignal(number)

    async def kill(_head: Scripted) -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    run_message_server(Scripted(steps=kill, output_to=Kept()))
    assert signal.getsignal(number) is before


def test_a_signal_that_interrupts_nothing_is_obeyed_at_once() -> None:
    """One that comes just before the loop waits, or in another thread, does not end that waiting by itself."""
    server = Server([Scripted(steps=lambda _: asyncio.Event().wait())])
    ready, late = threading.Event(), threading.Event()

    def end_it() -> None:
        ready.wait()
        os.kill(os.getpid(), signal.SIGTERM)  # taken by this thread: the main one has blocked it
        if not late.wait(10):
            server.stop()

    other = threading.Thread(target=end_it)
    other.start()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with obey_signals(server):
            began = time.monotonic()
            server.run(on_ready=lambda: asyncio.get_running_loop().call_later(0.1, ready.set))
            took = time.monotonic() - began
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        late.set()
        other.join()
    assert took < 5


def test_what_is_asked_before_the_chains_run_is_done_once_they_do() -> None:
    """A SIGHUP while components are being opened, or a viewer's tap: in order, and as often as asked."""
    done: list[int] = []

    async def until_done(_head: Scripted) -> None:
        await last.wait()

    def finish() -> None:
        done.append(3)
        last.set()

    last = asyncio.Event()
    server = Server([Scripted(steps=until_done, output_to=Kept())])
    for number in range(3):
        server.call(partial(done.append, number))
    server.run(on_ready=lambda: server.call(finish))
    assert done == [0, 1, 2, 3]
    server.call(partial(done.append, 4))
    assert done == [0, 1, 2, 3]


def test_in_a_thread_signals_are_left_alone() -> None:
    """Only the main thread may take them; it is stopped by its inputs' end."""
    end = Kept()
    before = signal.getsignal(signal.SIGTERM)
    head = ListInput(messages=["x"], output_to=end)
    thread = threading.Thread(target=run_message_server, args=(head,))
    thread.start()
    thread.join(10)
    assert end.messages == ["x"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it comes within the moment in which timeout(1) sends the first one twice."""
    left: list[int] = []
    now = [5.0]
    monkeypatch.setattr("os._exit", left.append)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    server = Server([])
    with obey_signals(server):
        os.kill(os.getpid(), signal.SIGINT)
        assert server.stopping
        now[0] += 0.09
        os.kill(os.getpid(), signal.SIGTERM)
        assert left == []
        now[0] += 0.02
        os.kill(os.getpid(), signal.SIGTERM)
        assert left == [128 + signal.SIGTERM]


def test_sighup_reopens_everything_even_what_reports(capfd: pytest.CaptureFixture[str]) -> None:
    """One that cannot be reopened keeps no other from it."""

    class Stuck(Noted):
        """Cannot be reopened."""

        def reopen(self) -> None:
            """Fail."""
            raise OSError("stuck")

    end, errors, stuck = Noted(), Noted(), Stuck()

    async def hang_up(_head: Scripted) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run_message_server(
        Scripted(steps=hang_up, output_to=stuck), Scripted(steps=hang_up, output_to=end, error=errors)
    )
    assert end.log == errors.log
    assert set(end.log) == {"open", "reopen", "close"}
    assert '"exception": "stuck"' in capfd.readouterr().err


def test_a_chain_may_have_an_event_loop_of_its_own_user() -> None:
    """A server is started twice in one program, one after the other."""
    for _ in range(2):
        end = Kept()
        run_message_server(ListInput(messages=["x"], output_to=end))
        assert end.messages == ["x"]


def test_losses_are_told_by_component_and_reason() -> None:
    """Only where there are any; what a filter removed is none."""
    output = ZeroMQOutput(connect=f"tcp://127.0.0.1:{free_port()}", socket_hwm=5, linger=0, subscribe_delay=0)
    head = ListInput(messages=[b"x"] * 8, output_to=output)
    run_message_server(head)
    output.metrics.failed += 2
    text = "ZeroMQ output lost 10 messages: 3 queue full, 5 unsent at close, 2 failed"
    assert losses([head, output]) == [text]
    kept = Kept()
    kept.metrics.filtered = 5
    assert losses([kept]) == []
    kept.metrics.failed = 1
    assert losses([kept]) == ["Kept output lost 1 message: 1 failed"]
