"""An acknowledged hop between real nodes: what is accepted arrives, whoever is killed, stopped or full."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.errors import OptionError
from message_passing.filters.delay import DelayFilter
from message_passing.flow import Output
from message_passing.graph import close_all, open_all
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.runner import Server
from message_passing.testing import TestOutput, free_port, running, wait_for
from message_passing.zeromq.hop import link
from message_passing.zeromq.hop.frames import Ack, Data, Hello, Ready, decode
from nodes import Node, beside_connecting, lines, node, part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def written(path: Path) -> list[int]:
    """The numbers of the whole messages in a file: a write may be seen half done, and stays so after a SIGKILL."""
    found = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line)["n"] for line in found if line.endswith(b"}\n")]


def messages(first: int, count: int) -> bytes:
    """So many lines of JSON."""
    return b"".join(b'{"n":%d,"text":"%s"}\n' % (n, b"x" * 200) for n in range(first, first + count))


@contextmanager
def receiver(endpoint: str, file: Path, *more: str, **options: Any) -> Iterator[Node]:
    """A node that writes what comes to a ROUTER."""
    words = part("input", "ZeroMQ", **{"socket_bind": endpoint, "socket_type": "ROUTER", **options})
    with node(*words, *more, *part("output", "File", filename=str(file))) as started:
        yield started


@contextmanager
def sender(endpoint: str | list[str], **options: Any) -> Iterator[Node]:
    """A node that sends what it reads from standard input through a DEALER."""
    given = {"connect": endpoint, "socket_type": "DEALER", "ack_timeout": 2, **options}
    with node(*part("input", "STDIN"), *part("output", "ZeroMQ", **given)) as started:
        yield started


def test_all_arrives_in_order(tmp_path: Path) -> None:
    """The main job, with nothing going wrong: every line once, in its order, byte for byte."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    given = messages(0, 20_000)
    with receiver(endpoint, tmp_path / "out") as receiving, sender(endpoint) as sending:
        sending.write(given)
        status, _, err = sending.end()
        assert (status, beside_connecting(err)) == (0, [])
        assert receiving.stop()[0] == 0
    assert (tmp_path / "out").read_bytes() == given


@pytest.mark.parametrize("binds", ["input", "output"])
@pytest.mark.parametrize(("given", "taken"), [("DEALER", "ROUTER"), ("ROUTER", "DEALER")])
def test_whichever_end_binds_and_whichever_routes(given: Any, taken: Any, binds: str) -> None:
    """The messages arrive, in order, and are acknowledged."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    ends: dict[str, Any] = {
        end: {"socket_bind" if end == binds else "connect": endpoint} for end in ("input", "output")
    }
    seen = TestOutput()
    with (
        running(ZeroMQInput(**ends["input"], socket_type=taken, output_to=seen)),
        ZeroMQOutput(**ends["output"], socket_type=given, linger=20_000) as output,
    ):
        for n in range(1000):
            output.consume(b'{"n":%d}' % n)
        wait_for(lambda: len(seen.messages) == 1000 and output.held() == 0, timeout=20)
    assert [json.loads(one)["n"] for one in seen.messages] == list(range(1000))
    assert output.metrics.dropped == {}


def test_the_receiver_may_come_later_and_be_killed(tmp_path: Path) -> None:
    """It is killed three times under load, and away at first: nothing is missing, and each sender's order holds."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with sender(endpoint, socket_hwm=20_000) as sending:  # a killed one may have taken next to nothing
        first = 0
        for _ in range(3):
            sending.write(messages(first, 4000))
            first += 4000
            with receiver(endpoint, file) as receiving:
                before = len(written(file))
                wait_for(lambda before=before: len(written(file)) > before, timeout=15)  # type: ignore[misc]
                receiving.signal(signal.SIGKILL)
        with receiver(endpoint, file) as receiving:
            status, _, err = sending.end()
            assert status == 0
            assert b"lost" not in err
            receiving.stop()
    found = written(file)
    assert set(found) == set(range(first))
    unique = list(dict.fromkeys(found))
    assert unique == sorted(unique)


def test_a_stopped_receiver_is_waited_for(tmp_path: Path) -> None:
    """One that stands still for longer than `ack_timeout` gets everything, and nothing twice."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with receiver(endpoint, file) as receiving, sender(endpoint, ack_timeout=1) as sending:
        sending.write(messages(0, 100))
        wait_for(lambda: len(written(file)) == 100, timeout=15)
        receiving.signal(signal.SIGSTOP)
        try:
            sending.write(messages(100, 2000))
            with pytest.raises(TimeoutError):
                wait_for(lambda: len(written(file)) > 100, timeout=2.5)
        finally:
            receiving.signal(signal.SIGCONT)
        assert sending.end()[0] == 0
        receiving.stop()
    assert written(file) == list(range(2100))


FLAKY = """
import os
from message_passing import Output, option

class Flaky(Output):
    confirms = "written"
    filename: str = option(description="Where to write.")

    def write_many(self, messages):
        if os.path.exists(self.filename + ".full"):
            raise OSError(28, "No space left on device")
        with open(self.filename, "ab") as file:
            file.write(b"".join(b"%s\\n" % message for message in messages))
"""


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    """What cannot be written is not acknowledged, is written when there is room, and is never called lost."""
    endpoint, file, full = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out", tmp_path / "out.full"
    (tmp_path / "flaky.py").write_text(FLAKY)
    full.touch()
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER")
    output = part("output", "+flaky:Flaky", filename=str(file))
    kept = ["--state_dir", str(tmp_path)]
    with node(*words, *output, *kept, cwd=tmp_path) as receiving, sender(endpoint) as sending:
        sending.write(messages(0, 3000))
        with pytest.raises(TimeoutError):
            wait_for(file.exists, timeout=1.5)
        full.unlink()
        assert sending.end()[0] == 0
        _, _, err = receiving.stop()
    assert written(file) == list(range(3000))
    assert b"delivered again" in err
    assert b" lost 3" not in err
    with closing(sqlite3.connect(tmp_path / "losses.sqlite")) as ledger:
        assert ledger.execute("SELECT * FROM losses").fetchall() == []


def test_rejected_and_removed_messages_are_not_sent_again(tmp_path: Path) -> None:
    """What is no JSON is reported by the receiver, once; that, and what a filter removes, is acknowledged."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with receiver(endpoint, file, *part("filter", "Where", condition="n < 3")) as receiving:
        words = [*part("input", "STDIN"), "--decoder", "Null", "--encoder", "Null"]
        output = part("output", "ZeroMQ", connect=endpoint, socket_type="DEALER")
        with node(*words, *output) as sending:
            sending.write(b'{"n":1}\nno JSON\n{"n":3}\n{"n":2}\n')
            assert sending.end()[0] == 0
        _, _, err = receiving.stop()
    assert written(file) == [1, 2]
    assert err.count(b"malformed JSON") == 1


def test_senders_have_time_to_read_the_last_acknowledgements() -> None:
    """A connection that ends at once would take with it what its sender has not read."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    receiving = ZeroMQInput(socket_bind=endpoint, socket_type="ROUTER", output_to=TestOutput())
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        receiving.open()
        hop = receiving._hop
        assert hop is not None
        peer.connect(endpoint)
        peer.send_multipart(Hello(bytes(16), 1).encode())
        wait_for(lambda: hop.receive() or hop.answer())
        began = time.monotonic()
        receiving.close()
        assert time.monotonic() - began >= 0.05
        assert isinstance(decode(peer.recv_multipart()), Ready)


def test_that_time_passes_in_the_event_loop_and_for_all_receivers_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the flush of the chain settles is acknowledged, too; closing has nothing to wait for any more."""
    slept: list[float] = []
    monkeypatch.setattr(link, "time", SimpleNamespace(sleep=slept.append))
    ends = [f"tcp://127.0.0.1:{free_port()}" for _ in range(3)]
    delayed = [DelayFilter(delay_for=3600, output_to=TestOutput()) for _ in ends]
    heads = [
        ZeroMQInput(socket_bind=end, socket_type="ROUTER", output_to=one)
        for end, one in zip(ends, delayed, strict=True)
    ]
    server = Server(heads)

    def stop_when_all_have_come() -> None:
        wait_for(lambda: all(one.held() for one in delayed), 20)
        server.stop()

    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        peers = [stack.enter_context(context.socket(zmq.DEALER)) for _ in ends]
        stack.callback(close_all, heads)
        open_all(heads)
        for end, peer in zip(ends, peers, strict=True):
            peer.linger, peer.rcvtimeo = 0, 20_000
            peer.connect(end)
            peer.send_multipart(Hello(bytes(16), 1).encode())
            peer.send_multipart(Data(1, 1, b"{}", lines=False, sender=bytes(16)).encode())
        stops = threading.Thread(target=stop_when_all_have_come, daemon=True)
        stops.start()
        server.run()
        stops.join(20)
        for head in heads:
            head.close()
        assert slept == []
        for peer in peers:
            assert isinstance(decode(peer.recv_multipart()), Ready)
            while not isinstance(said := decode(peer.recv_multipart()), Ack):
                pass
            assert said.ranges == [(1, 1)]


def test_dead_letters_go_over_a_hop(tmp_path: Path) -> None:
    """An error chain may end in one: the letter is on the other machine, whole, before its message is settled."""
    endpoint, letters = f"tcp://127.0.0.1:{free_port()}", tmp_path / "letters"
    words = [
        *part("input", "STDIN"),
        *part("output", "File", filename=str(tmp_path / "out")),
        "--dead_letters",
    ]
    errors = part("error", "ZeroMQ", connect=endpoint, socket_type="DEALER")
    with receiver(endpoint, letters) as receiving, node(*words, *errors) as one:
        one.write(b'{"n":1}\nno JSON\n{"n":2}\n')
        assert one.end()[0] == 0
        receiving.stop()
    assert written(tmp_path / "out") == [1, 2]
    (letter,) = map(json.loads, lines(letters))
    assert (letter["packed_data"], letter["attempts"], letter["component"]) == ("no JSON", 1, "decoder")


def test_workers_share_the_work_of_a_distributor(tmp_path: Path) -> None:
    """Each gets what it asks for; what a killed one had goes to another, and a new one gets work at once."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"

    @contextmanager
    def worker(name: str) -> Iterator[Node]:
        words = part("input", "ZeroMQ", connect=endpoint, socket_type="DEALER", window=2)
        with node(*words, *part("output", "File", filename=str(tmp_path / name))) as started:
            yield started

    given = {"socket_bind": endpoint, "socket_type": "ROUTER", "ack_timeout": 1}
    distributor = [*part("input", "STDIN"), *part("output", "ZeroMQ", **given)]
    with ExitStack() as stack:
        sending = stack.enter_context(node(*distributor))
        first, second = stack.enter_context(worker("a")), stack.enter_context(worker("b"))
        sending.write(messages(0, 20_000))
        wait_for(lambda: written(tmp_path / "a") or written(tmp_path / "b"), timeout=15)
        first.signal(signal.SIGSTOP)
        sending.write(messages(20_000, 10_000))
        third = stack.enter_context(worker("c"))
        assert sending.end()[0] == 0
        first.signal(signal.SIGKILL)
        second.stop()
        third.stop()
    done = [set(written(tmp_path / name)) for name in "abc"]
    assert set().union(*done) == set(range(30_000))


def test_another_receiver_takes_over(tmp_path: Path) -> None:
    """With several endpoints, all goes to one; when that one is gone, to the next."""
    endpoints = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    with ExitStack() as stack:
        one = stack.enter_context(receiver(endpoints[0], tmp_path / "one"))
        sending = stack.enter_context(sender(endpoints, ack_timeout=1))
        sending.write(messages(0, 1000))
        wait_for(lambda: len(written(tmp_path / "one")) == 1000, timeout=15)
        two = stack.enter_context(receiver(endpoints[1], tmp_path / "two"))
        one.signal(signal.SIGKILL)
        sending.write(messages(1000, 1000))
        assert sending.end()[0] == 0
        two.stop()
    assert set(written(tmp_path / "two")) >= set(range(1000, 2000))


def test_a_stop_without_acknowledgements_is_bounded_and_counted() -> None:
    """SIGTERM ends a sender that nobody acknowledges, within linger; what it had is counted, as unsent."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        silent = stack.enter_context(context.socket(zmq.ROUTER))
        silent.linger = 0
        silent.bind(endpoint)
        sending = stack.enter_context(sender(endpoint, linger=300))
        sending.write(messages(0, 50))
        came = 0
        while came < 50:
            assert silent.poll(20_000)
            identity, head, *body = silent.recv_multipart()
            if head.startswith(b"H"):
                silent.send_multipart([identity, *Ready(b"r" * 16, 64, 1 << 20).encode()])
            came += sum(one.count(b"\n") + 1 for one in body)
        _, _, err = sending.stop()
    assert b"50 unsent at close" in err


def test_a_program_without_a_chain_never_waits() -> None:
    """What there is no room for is dropped and counted at once, and the rest is unsent at close."""
    output = ZeroMQOutput(
        connect=f"tcp://127.0.0.1:{free_port()}", socket_type="DEALER", socket_hwm=10, linger=0
    )
    with output:
        for n in range(30):
            output.consume(b"%d" % n)
        assert output.held() == 10
        assert output.metrics.dropped == {"queue full": 20}
    assert output.metrics.dropped == {"queue full": 20, "unsent at close": 10}


def test_what_is_on_its_way_is_the_windows_and_what_waits_is_bounded() -> None:
    """A receiver takes four frames and acknowledges none: four are on their way, and `socket_hwm` more wait."""
    endpoint, window = f"tcp://127.0.0.1:{free_port()}", 4
    output = ZeroMQOutput(connect=endpoint, socket_type="DEALER", socket_hwm=10, linger=0)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as silent, output:
        silent.bind(endpoint)
        output.consume(b"x" * 2000)  # each too large to share a frame
        greeted = 0
        while not greeted:
            assert silent.poll(20_000)
            identity, head, *_ = silent.recv_multipart()
            if greeted := head.startswith(b"H"):
                silent.send_multipart([identity, *Ready(b"r" * 16, window, 1 << 20).encode()])
        assert silent.poll(20_000), "the first one is on its way"
        for _ in range(29):
            output.consume(b"x" * 2000)
        assert output.held() == window + 10
        assert output.metrics.dropped == {"queue full": 30 - window - 10}


def test_a_forked_child_sends_by_itself(tmp_path: Path) -> None:
    """It has a socket and numbers of its own; what its parent had not had acknowledged stays the parent's."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with ZeroMQOutput(connect=endpoint, socket_type="DEALER", linger=15_000) as output:
        output.consume(b'{"n":1}')
        child = os.fork()
        if not child:
            try:
                output.consume(b'{"n":2}')
                output.close()
            finally:
                os._exit(0 if output.metrics.dropped == {} else 1)
        with receiver(endpoint, file) as receiving:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            wait_for(lambda: output.held() == 0, timeout=15)
            receiving.stop()
    assert sorted(written(file)) == [1, 2]


@pytest.mark.parametrize("greeting", [b"junk", b"H\x09" + bytes(24), b"A" + bytes(15), b"", b"D" + bytes(16)])
def test_a_stranger_is_not_understood_and_does_no_harm(greeting: bytes) -> None:
    """What is not of the protocol, or of another version of it, is reported once, and costs nobody else anything."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    reports: list[dict[str, Any]] = []
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        stranger = stack.enter_context(context.socket(zmq.ROUTER))
        stranger.linger = 0
        stranger.bind(endpoint)
        output = stack.enter_context(
            ZeroMQOutput(connect=endpoint, socket_type="DEALER", linger=0, error=_Reports(reports))
        )
        output.consume(b"one")
        assert stranger.poll(5000)
        identity, hello = stranger.recv_multipart()
        assert hello.startswith(b"H")
        for _ in range(100):
            stranger.send_multipart([identity, greeting])

        def told() -> bool:
            output.consume(b"more")
            return bool(reports)

        wait_for(told, timeout=5)
        assert len(reports) <= 2
        assert "protocol" in reports[0]["exception"]
        assert output.held()


class _Reports:
    def __init__(self, kept: list[dict[str, Any]]) -> None:
        self.kept = kept

    def consume(self, report: dict[str, Any]) -> None:
        """Keep it."""
        self.kept.append(report)


@pytest.mark.parametrize("when_full", ["block", "drop_oldest"])
def test_an_output_has_no_options_that_would_lose_messages(when_full: Any) -> None:
    """They are refused with the socket type that they are not for."""
    with pytest.raises(OptionError, match="DEALER"):
        ZeroMQOutput(connect="tcp://127.0.0.1:9", socket_type="DEALER", when_full=when_full)


@pytest.mark.parametrize("encoder", ["Null", "JSONLines"])
def test_a_receivers_limit_is_for_messages(tmp_path: Path, encoder: str) -> None:
    """Not for the frames that they travel in; what is too big is counted, and does not come again."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    limit = 1000 if encoder == "Null" else 70_000
    with receiver(endpoint, file, "--decoder", "JSONLines", maxmsgsize=limit) as one:
        words = [*part("input", "STDIN"), "--decoder", "Null", "--encoder", encoder]
        with node(*words, *part("output", "ZeroMQ", connect=endpoint, socket_type="DEALER")) as sending:
            sending.write(messages(0, 2000) + b'"%s"\n' % (b"x" * limit) + messages(2000, 2000))
            status, _, err = sending.end()
            assert (status, beside_connecting(err)) == (0, [])
        err = one.stop()[2]
    assert written(file) == list(range(4000))
    assert f"1 message of more bytes than maxmsgsize ({limit})".encode() in err


class _Blocked(Output):
    """An output that has no room."""

    def on_init(self) -> None:
        """Begin without."""
        super().on_init()
        self.got: list[bytes] = []
        self.room = False
        self.waits = False

    def write_many(self, messages: list[bytes]) -> None:
        """Keep them."""
        self.got += messages
        self._kept = self.hold()

    async def drain(self) -> None:
        """Wait for room."""
        self.waits = True
        while not self.room:  # noqa: ASYNC110 - it is set by another thread
            await asyncio.sleep(0.01)
        self._kept.release()


def test_a_receiver_whose_chain_has_no_room_is_not_given_up() -> None:
    """It says that it is alive, for longer than `ack_timeout`, so that nothing is sent to another one as well."""
    endpoint, blocked = f"tcp://127.0.0.1:{free_port()}", _Blocked()
    one = ZeroMQInput(socket_bind=endpoint, socket_type="ROUTER", output_to=blocked)
    with running(one), ZeroMQOutput(connect=endpoint, socket_type="DEALER", ack_timeout=1) as output:
        output.consume(b"one")
        wait_for(lambda: blocked.waits, timeout=20)
        with pytest.raises(TimeoutError):
            wait_for(lambda: output.info()["given_up"], timeout=2)
        blocked.room = True
        wait_for(lambda: not output.held(), timeout=20)
        with pytest.raises(TimeoutError):  # nor is one that has nothing to do
            wait_for(lambda: output.info()["given_up"], timeout=2)
    assert blocked.got == [b"one"]


ENDS: list[tuple[Any, str, Any, str, str]] = [
    (ZeroMQOutput, "ROUTER", ZeroMQOutput, "DEALER", "it is an output, too: an output sends to an input"),
    (ZeroMQInput, "ROUTER", ZeroMQInput, "DEALER", "it is an input, too: an input receives from an output"),
    (
        ZeroMQInput,
        "DEALER",
        ZeroMQOutput,
        "DEALER",
        "its socket is a DEALER, but a DEALER goes with a ROUTER",
    ),
]


@pytest.mark.parametrize(("bound", "its_type", "other", "other_type", "text"), ENDS)
def test_ends_that_do_not_fit_are_reported_by_both(
    bound: Any, its_type: str, other: Any, other_type: str, text: str
) -> None:
    """Two of a kind, or of a socket type that ZeroMQ would connect: each says who is there, and nothing arrives."""
    endpoint, first, second = f"tcp://127.0.0.1:{free_port()}", _Reports([]), _Reports([])
    kept = TestOutput()
    one = bound(socket_bind=endpoint, socket_type=its_type, linger=0, error=first)
    two = other(connect=endpoint, socket_type=other_type, linger=0, error=second)
    with ExitStack() as stack:
        for end in (one, two):
            if isinstance(end, ZeroMQInput):
                end.connect_to(kept)
                stack.enter_context(running(end))
            else:
                stack.enter_context(end)
                end.consume(b"message")
        wait_for(lambda: all(text in str(told.kept) for told in (first, second)), timeout=20)
        assert "127.0.0.1" in first.kept[0]["exception"]
        assert not kept.messages


def test_versions_that_do_not_fit_are_reported_by_both() -> None:
    """A sender of another version is told so, by a greeting of ours that it does not understand, either."""
    endpoint, told = f"tcp://127.0.0.1:{free_port()}", _Reports([])
    one = ZeroMQInput(socket_bind=endpoint, socket_type="ROUTER", error=told, output_to=TestOutput())
    with running(one), zmq.Context() as context, context.socket(zmq.DEALER) as later:
        later.linger = 0
        later.connect(endpoint)
        later.send(b"H\x02 and something that we do not know")
        assert later.poll(20_000)
        assert isinstance(decode(later.recv_multipart()), Ready)
        wait_for(lambda: told.kept, timeout=20)
    assert "127.0.0.1" in told.kept[0]["exception"]
    assert (
        "has version 2 of the protocol of acknowledged hops, and we have 1: use" in told.kept[0]["exception"]
    )


@pytest.mark.parametrize("ours", ["DEALER", "ROUTER"])
def test_a_peer_that_never_answers_is_a_problem(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ZeroMQ connects to: a foreign socket, or a receiver that stands still. The end says why, too."""
    monkeypatch.setattr(link, "_SILENT_AFTER", 0.2)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as stranger:
        stranger.linger = 0
        stranger.bind(endpoint)
        with ZeroMQOutput(connect=endpoint, socket_type=ours, linger=0) as output:
            output.consume(b"one")
            other = "ROUTER" if ours == "DEALER" else "DEALER"
            text = f"{endpoint}: connected, but not answered: the other end must be an input of message-passing with"
            wait_for(output.problems, timeout=20)
            assert output.problems() == [f"{text} socket_type {other}, and not standing still"]
        assert f"not sent: {text}" in output.summary()[-1]


@pytest.mark.parametrize("encoder", ["Null", "JSONLines"])
def test_the_sender_is_named_in_what_can_be(tmp_path: Path, encoder: str) -> None:
    """With `key_field`, what is no object is rejected once, as a dead letter, and acknowledged."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    letters = [*part("error", "File", filename=str(tmp_path / "letters")), "--dead_letters"]
    with receiver(
        endpoint, file, "--decoder", "JSONLines", *letters, allow=["127.0.0.1"], key_field="by"
    ) as one:
        words = [*part("input", "STDIN"), "--decoder", "Null", "--encoder", encoder]
        with node(*words, *part("output", "ZeroMQ", connect=endpoint, socket_type="DEALER")) as sending:
            sending.write(b'{"n":1,"by":"me"}\n{"n":2}\n')
            if encoder == "Null":
                sending.write(b"[3]\n")
            status, _, err = sending.end()
            assert (status, beside_connecting(err)) == (0, [])
        one.stop()
    assert [json.loads(line) for line in lines(file)] == [{"n": n, "by": "127.0.0.1"} for n in (1, 2)]
    found = [json.loads(line) for line in lines(tmp_path / "letters")]
    assert [one["packed_data"] for one in found] == ["[3]"] * (encoder == "Null")
