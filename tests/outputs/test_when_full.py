"""What a chain does when the receivers of its ZeroMQ output have no room: wait, or drop, as is chosen."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import pytest
import zmq

from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.filters.t import TFilter
from message_passing.graph import close_all, open_all
from message_passing.inputs.file_tail import FileTailInput
from message_passing.inputs.socket_udp import SocketUDPInput
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.runner import Server
from message_passing.testing import ListInput, free_port, running, wait_for
from message_passing.zeromq.sending import QUEUE_FULL, Sender
from message_passing.zeromq.settings import SocketSettings
from nodes import node, part
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from message_passing.flow import Input


class Unstoppable(ListInput):
    """Its source goes on whether it reads or not."""

    can_wait = False


class Unending(ListInput):
    """Has nothing more to read, and waits for more."""

    async def run(self) -> None:
        """Emit, and stay."""
        await super().run()
        await asyncio.Event().wait()


class Worker:
    """Takes jobs only when it is told to, and has room for one."""

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self.socket = self._context.socket(zmq.PULL)
        self.socket.rcvhwm = 1
        self.socket.rcvbuf = 16384  # so that it is seen at once that it takes something
        self.socket.bind(address)

    def take(self, count: int, each: float = 0.0) -> list[bytes]:
        """The next jobs, each after some seconds of work."""
        taken: list[bytes] = []
        for _ in range(count):
            assert self.socket.poll(10_000), f"only {len(taken)} of {count} came"
            taken.append(self.socket.recv())
            if each:
                time.sleep(each)
        return taken

    def close(self) -> None:
        """Let go of it."""
        self.socket.close(0)
        self._context.term()


@pytest.fixture
def address() -> str:
    """A free endpoint."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def worker(address: str) -> Iterator[Worker]:
    """One that stands still until it is told to take something."""
    made = Worker(address)
    yield made
    made.close()


@contextmanager
def served(head: Input) -> Iterator[threading.Thread]:
    """A chain that runs in a thread; stopped and closed at the end."""
    server = Server([head])
    open_all([head], errors=True)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield thread
    finally:
        server.stop()
        thread.join(15)
        close_all([head], errors=True)
        assert not thread.is_alive()


def jobs(count: int, size: int = 5000) -> list[bytes]:
    """So many, too large for the system's buffers to hide a worker that takes none."""
    return [b"%06d" % n + b"x" * size for n in range(count)]


def push(address: str, **options: Any) -> ZeroMQOutput:
    """A PUSH with a short queue."""
    return ZeroMQOutput(
        **{"connect": address, "socket_type": "PUSH", "socket_hwm": 10, "linger": 200, **options}
    )


def test_jobs_wait_for_a_worker(address: str, worker: Worker) -> None:
    """One that takes nothing for longer than a chain with PUB would wait loses nothing by it."""
    given = jobs(3000)
    out = push(address)
    with served(ListInput(messages=given, output_to=out)):
        wait_for(lambda: out.held() > 0)
        assert worker.take(1, each=1.5) + worker.take(2999) == given
    assert not out.metrics.dropped


@pytest.mark.parametrize("binds", [False, True])
def test_jobs_wait_for_the_first_worker(address: str, *, binds: bool) -> None:
    """Also more than the high-water mark of them, on either side."""
    given = jobs(1500, size=10)
    out = push(address) if not binds else push(address, connect=[], socket_bind=address)
    kept = Kept()
    other: dict[str, Any] = {"connect": address} if binds else {"socket_bind": address}
    with served(ListInput(messages=given, output_to=out)):
        wait_for(lambda: out.held() >= 1000)
        with running(ZeroMQInput(socket_type="PULL", output_to=kept, **other)):
            wait_for(lambda: len(kept.messages) == 1500)
    assert not out.metrics.dropped


@pytest.mark.parametrize(
    ("sends", "receives", "options"),
    [("PUSH", "PULL", {}), ("PUB", "SUB", {"when_full": "block"})],
)
def test_a_file_waits_for_an_aggregator_that_is_away(
    address: str, tmp_path: Path, sends: str, receives: Literal["PULL", "SUB"], options: dict[str, str]
) -> None:
    """What is in the file need not be lost: it is read when there is somebody to send it to."""
    log = tmp_path / "log"
    log.touch()
    out = push(address, socket_type=sends, reconnect_ivl=10, reconnect_ivl_max=50, **options)
    tail = FileTailInput(filename=str(log), raw=True, interval=0.01, output_to=out)
    before, after = Kept(), Kept()

    def aggregator(kept: Kept) -> Any:
        return running(ZeroMQInput(socket_bind=address, socket_type=receives, output_to=kept))

    def write(first: int, last: int) -> None:
        with log.open("ab") as file:
            file.write(b"".join(b"%d\n" % n for n in range(first, last)))

    with served(tail):
        with aggregator(before):
            write(0, 100)
            wait_for(lambda: len(before.messages) == 100)
        write(100, 3000)
        wait_for(lambda: out.held() >= 1000)
        time.sleep(1.5)  # not a wait for anything: it is away for longer than PUB would be waited for
        write(3000, 6000)
        with aggregator(after):
            wait_for(lambda: len(after.messages) == 5900, timeout=10)
    assert [*map(int, before.messages + after.messages)] == [*range(6000)]
    assert not out.metrics.dropped


def test_one_message_that_becomes_many_is_waited_for(address: str, worker: Worker) -> None:
    """A frame of many lines is not cut to the room that a batch has."""
    frame = b"\n".join(b'{"n":%d,"text":"%s"}' % (n, b"x" * 1000) for n in range(4000))
    out = push(address)
    errors = Kept()
    from_json = JSONLinesDecoder(output_to=_Texts(output_to=out), error=errors)
    with served(ListInput(messages=[frame], output_to=from_json)):
        worker.take(4000)
    assert not out.metrics.dropped
    assert not errors.messages


class _Texts(JSONLinesDecoder):
    """Objects as text again, one each."""

    def write_many(self, messages: list[Any]) -> None:
        """Hand them on."""
        self.emit([b"%d" % message["n"] + b"x" * 1000 for message in messages])


@pytest.mark.parametrize("source", [ListInput, Unstoppable])
def test_who_cannot_wait_is_not_made_to(address: str, worker: Worker, source: type[ListInput]) -> None:
    """After a source that goes on anyway (SUB, UDP) a PUSH drops, unless it is told to wait."""
    waits = push(address, when_full="block" if source is Unstoppable else "default")
    drops = push(address, when_full="default" if source is Unstoppable else "drop_newest")
    given = jobs(3000)
    with served(source(messages=given, output_to=drops)) as thread:
        wait_for(lambda: not thread.is_alive(), timeout=12)
        assert drops.metrics.dropped[QUEUE_FULL] > 500
        assert accounted_for(drops)
        worker.take(drops.metrics.received - drops.metrics.dropped[QUEUE_FULL] - drops.held())
    with served(source(messages=given, output_to=waits)):
        worker.take(1, each=1.2)
        assert not waits.metrics.dropped


def test_udp_and_published_messages_do_not_wait() -> None:
    """Which inputs can is theirs to say."""
    port = free_port()
    sub, pull = (ZeroMQInput(connect=f"tcp://127.0.0.1:{port}", socket_type=kind) for kind in ("SUB", "PULL"))
    udp = SocketUDPInput(port=port)
    assert [one.can_wait for one in (sub, pull, udp, ListInput())] == [False, True, False, True]


def test_one_source_of_several_that_cannot_wait_decides() -> None:
    """Whichever is declared first."""
    for order in (1, -1):
        out = ZeroMQOutput(connect="tcp://127.0.0.1:5000", socket_type="PUSH")
        heads: list[Input] = [ListInput(output_to=out), Unstoppable(output_to=out)]
        Server(heads[::order]).adopt()
        assert not out.sources_wait


def test_the_end_of_a_source_waits_for_workers_that_take_something(address: str, worker: Worker) -> None:
    """However little that is: closing, which has `linger`, comes after it."""
    given = jobs(100, size=50_000)
    out = push(address, linger=100)
    with served(ListInput(messages=given, output_to=out)):
        assert worker.take(100, each=0.01) == given
    assert not out.metrics.dropped
    assert not out.possibly_lost()


def test_a_stop_ends_the_waiting_and_counts_what_was_not_sent(address: str, worker: Worker) -> None:
    """SIGTERM while nothing moves: it ends within its bounds, and every line that was read is accounted for."""
    options = {"connect": address, "socket_type": "PUSH", "socket_hwm": 10, "linger": 200}
    words = [
        "--input",
        "STDIN",
        "--decoder",
        "Null",
        "--encoder",
        "Null",
        *part("output", "ZeroMQ", **options),
    ]
    with node(*words) as sender:
        writer = threading.Thread(target=_write_all, args=(sender, b"\n".join(jobs(3000)) + b"\n"))
        writer.start()
        assert worker.take(1)
        time.sleep(1.5)  # not a wait for anything: PUB would have dropped by now
        began = time.monotonic()
        sender.signal(signal.SIGTERM)
        status = sender.process.wait(10)
        took = time.monotonic() - began
        assert sender.process.stderr
        said = sender.process.stderr.read().decode()
        writer.join(10)
    assert (status, took < 3) == (0, True), said
    assert "unsent at close" in said
    assert "queue full" not in said


def _write_all(sender: Any, data: bytes) -> None:
    with suppress(BrokenPipeError):
        sender.write(data)


@pytest.mark.parametrize(
    ("policy", "left"), [("drop_newest", range(10)), ("drop_oldest", range(90, 100)), ("block", range(10))]
)
def test_a_program_never_waits(address: str, policy: Any, left: range) -> None:
    """Nobody drains there: what does not fit is dropped, the newest or the oldest, and counted."""
    fast: dict[str, Any] = {"reconnect_ivl": 10, "reconnect_ivl_max": 50}
    with ZeroMQOutput(connect=address, socket_hwm=10, linger=200, when_full=policy, **fast) as out:
        began = time.monotonic()
        for n in range(100):
            out.consume(b"%d" % n)
        assert time.monotonic() - began < 0.5
        assert out.metrics.dropped == {QUEUE_FULL: 90}
        assert accounted_for(out)
        kept = Kept()
        with running(ZeroMQInput(socket_bind=address, output_to=kept)):
            wait_for(lambda: len(kept.messages) == 10)
    assert [*map(int, kept.messages)] == [*left]


def test_the_oldest_go_within_the_bound_in_bytes_too(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one takes the place of many, one that is larger than all of it finds none."""
    monkeypatch.setattr("message_passing.zeromq.held.HELD_BYTES", 100)
    sender = Sender(SocketSettings("PUSH", connect=(address,), hwm=50, linger=0))
    sender.drop_oldest = True
    sender.open()
    try:
        sender.send_many([b"%02d" % n for n in range(60)])
        assert sender._held.first(60) == [b"%02d" % n for n in range(10, 60)]
        sender.send_many([b"x" * 50])
        assert sender._held.first(60) == [*(b"%02d" % n for n in range(35, 60)), b"x" * 50]
        sender.send_many([b"y" * 101])
        assert sender.held == 0
        assert sender.dropped == {QUEUE_FULL: 62}
    finally:
        sender.close()


def test_a_stopped_branch_does_not_stop_the_others(address: str, worker: Worker) -> None:
    """It holds them up for `patience`, once; what does not fit is counted there, until it moves again."""
    out, kept, errors = push(address), Kept(), Kept()
    given = jobs(4000)
    split = TFilter(output_to=[out, kept], patience=0.5, copy=False, error=errors)
    began = time.monotonic()
    with served(ListInput(messages=given, output_to=split)) as thread:
        wait_for(lambda: len(kept.messages) == 4000, timeout=10)
        assert 0.4 < time.monotonic() - began < 4
        assert out.metrics.dropped[QUEUE_FULL] > 1000
        assert "nothing moves in the branch ZeroMQ output" in errors.messages[0]["exception"]
        assert len(errors.messages) == 1
        worker.take(4000 - out.metrics.dropped[QUEUE_FULL])
        wait_for(lambda: not thread.is_alive(), timeout=10)
    assert accounted_for(out)


def test_a_slow_branch_that_moves_is_waited_for(address: str, worker: Worker) -> None:
    """Patience is for what stands still: nothing is dropped, and the others go at that pace."""
    out, kept = push(address), Kept()
    given = jobs(2000)
    split = TFilter(output_to=[kept, out], patience=1, copy=False)
    with served(ListInput(messages=given, output_to=split)):
        assert worker.take(500, each=0.005) + worker.take(1500) == given
    assert len(kept.messages) == 2000
    assert not out.metrics.dropped


def test_a_branch_that_moves_again_is_waited_for_again(address: str, worker: Worker) -> None:
    """What was dropped meanwhile is all that is lost."""
    out, kept = push(address), Kept()
    inner = TFilter(output_to=[out, Kept()], patience=0.2, copy=False)
    split = TFilter(output_to=[inner, kept], patience=0.2, copy=False)

    class Source(ListInput):
        """Goes on when it is told to."""

        async def run(self) -> None:
            """The list twice."""
            await super().run()
            while not out.waited_for:
                await self.drain()
            await super().run()

    given = jobs(4000)
    with served(Source(messages=given, output_to=split)):
        wait_for(lambda: len(kept.messages) == 4000, timeout=10)
        first = 4000 - out.metrics.dropped[QUEUE_FULL]
        assert first < 4000
        assert len(worker.take(first + 4000)) == first + 4000
    assert out.metrics.dropped == {QUEUE_FULL: 4000 - first}


def test_where_no_branch_moves_nobody_is_held_up(address: str) -> None:
    """The chain waits, and the work is dropped in no branch; once one moves, that one gets all of it."""
    other = push(f"tcp://127.0.0.1:{free_port()}", linger=0)
    out, errors = push(address), Kept()
    split = TFilter(output_to=[other, out], patience=0.2, copy=False, error=errors)
    given = jobs(4000)
    with served(ListInput(messages=given, output_to=split)):
        wait_for(lambda: out.held() and other.held())
        time.sleep(1)  # not a wait for anything: both would have been left behind by now
        assert errors.messages == []
        assert out.metrics.dropped + other.metrics.dropped == {}
        with closing(Worker(address)) as worker:
            assert worker.take(4000) == given
    assert len(errors.messages) == 1
    assert not out.metrics.dropped
    assert accounted_for(other)


def test_a_branch_that_only_drops_is_no_reason_to_leave_another(address: str) -> None:
    """Where the network is gone for PUB and PUSH alike, work waits until one of them is back."""
    gone: dict[str, Any] = {"connect": f"tcp://127.0.0.1:{free_port()}", "socket_hwm": 10, "linger": 0}
    out, errors = push(address), Kept()
    split = TFilter(output_to=[ZeroMQOutput(**gone), out], patience=0.2, copy=False, error=errors)
    given = jobs(4000)
    with served(ListInput(messages=given, output_to=split)):
        wait_for(out.held)
        time.sleep(2)  # not a wait for anything: PUB drops after a second
        assert (errors.messages, out.metrics.dropped) == ([], {})
        with closing(Worker(address)) as worker:
            assert worker.take(4000) == given
    assert not out.metrics.dropped


def test_no_patience_at_all_is_no_busy_loop() -> None:
    """Where no branch moves, one that nothing would be waited for in is looked at ten times a second."""
    outputs = [push(f"tcp://127.0.0.1:{free_port()}", linger=0) for _ in range(2)]
    split = TFilter(output_to=outputs, patience=0, copy=False)
    with served(ListInput(messages=jobs(3000), output_to=split)) as thread:
        wait_for(lambda: all(one.held() for one in outputs))
        began = time.process_time()
        time.sleep(1)  # not a wait for anything
        assert time.process_time() - began < 0.5
        assert thread.is_alive()


@pytest.mark.parametrize(
    ("side", "kind", "reason"),
    [
        ("connect", "PUSH", "nobody listens there"),
        ("socket_bind", "PUSH", "no receiver has connected yet"),
        ("connect", "PUB", "nobody listens there"),
    ],
)
def test_that_nobody_takes_anything_is_said_once(
    address: str, side: str, kind: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why a chain stands still, or drops, without waiting for its end."""
    monkeypatch.setattr("message_passing.zeromq.flusher.NOBODY_THERE", 0.3)
    errors = Kept()
    options: dict[str, Any] = {side: address, "socket_type": kind, "socket_hwm": 10, "linger": 0}
    out = ZeroMQOutput(**options, error=errors)
    with served(ListInput(messages=jobs(4000), output_to=out)):
        wait_for(lambda: errors.messages)
        time.sleep(0.7)  # not a wait for anything: it would have been said again by now
    (report,) = (one for one in errors.messages if one["class"].endswith("PeerError"))
    assert re.search(
        rf"queue is full, and nothing was sent for \d s: {address}: {reason}", report["exception"]
    )


def test_a_worker_that_is_slow_is_no_news(
    address: str, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is connected has a minute; one that stands still for longer is told of."""
    monkeypatch.setattr("message_passing.zeromq.flusher.NOBODY_THERE", 0.1)
    monkeypatch.setattr("message_passing.zeromq.flusher.SLOW_AFTER", 1.5)
    errors = Kept()
    given = jobs(1500)
    out = push(address, error=errors)
    with served(ListInput(messages=given, output_to=out)):
        wait_for(out.held)
        time.sleep(0.5)  # not a wait for anything: nobody would have been told of by now
        assert errors.messages == []
        wait_for(lambda: errors.messages, timeout=20)
        assert "the connected peers accept nothing" in errors.messages[0]["exception"]
        assert worker.take(1500) == given
    assert len(errors.messages) == 1


def _time_to_close(head: Input) -> float:
    """A chain that is stopped once it stands, and how long the rest takes."""
    server = Server([head])
    open_all([head], errors=True)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.running and head.metrics.received)
    server.stop()
    thread.join(15)
    began = time.monotonic()
    close_all([head], errors=True)
    return time.monotonic() - began


@pytest.mark.parametrize("kind", ["PUSH", "PUB"])
def test_a_stop_waits_for_all_receivers_at_the_same_time(kind: Any) -> None:
    """Six that are away cost what one does, whether they are branches or endpoints, and all is counted."""
    away = [f"tcp://127.0.0.1:{free_port()}" for _ in range(12)]
    options: dict[str, Any] = {"socket_type": kind, "linger": 700}
    branches = [ZeroMQOutput(connect=one, **options) for one in away[:6]]
    outputs = [*branches, ZeroMQOutput(connect=away[6:], **options)]
    head = Unending(messages=jobs(10), output_to=TFilter(output_to=outputs, copy=False))
    assert _time_to_close(head) < 3
    assert all(one.metrics.dropped == {"unsent at close": 10} for one in branches)
    assert all(map(accounted_for, branches))


def test_a_receiver_that_comes_while_another_is_waited_for_gets_everything(address: str) -> None:
    """What waits in one output is sent as soon as it can be, though an earlier one is being closed."""
    gone = push(f"tcp://127.0.0.1:{free_port()}", linger=2000)
    out = push(address, linger=2000)
    head = Unending(messages=jobs(10), output_to=TFilter(output_to=[out, gone], copy=False))
    arrived: list[bytes] = []

    def come_late() -> None:
        wait_for(lambda: gone._closed)
        assert not out._closed
        with closing(Worker(address)) as worker:
            arrived.extend(worker.take(10))

    thread = threading.Thread(target=come_late)
    thread.start()
    assert _time_to_close(head) < 4
    thread.join(15)
    assert arrived == jobs(10)
    assert out.metrics.dropped == {}
