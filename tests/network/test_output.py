"""The base of network outputs, by the example that posts over HTTP, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from message_passing.delivery import Outcome
from message_passing.errors import EncodingError
from message_passing.flow import Input
from message_passing.network.output import NetworkOutput
from message_passing.testing import check_component, free_port, run_input
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"

DELIVERED, REJECTED, LOST = Outcome


class Peer:
    """A server that does with each request what it is told to; then it takes them.

    Attributes:
        lines: what it has taken.
        answers: status codes and headers for the next requests; `hang` never answers, `hang up` closes.
        requests: how many came.
    """

    def __init__(self, port: int) -> None:
        self.lines: list[bytes] = []
        self.answers: list[Any] = []
        self.requests = 0
        self.most = self._now = 0
        self._end = threading.Event()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                peer.answer(self)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/logs"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one."""
        self.requests += 1
        self._now += 1
        self.most = max(self.most, self._now)
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self._now -= 1
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "hang":
            self._end.wait(10)
        if isinstance(answer, str):
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        if status == 200:
            self.lines += body.splitlines()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def close(self) -> None:
        """Go away."""
        self._end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """One that runs."""
    found = Peer(0)
    yield found
    with contextlib.suppress(OSError):
        found.close()


class Delivers(Input):
    """Delivers batches, and ends when all are settled."""

    batches: Any = ()
    until: Any = None
    impatient = False

    async def run(self) -> None:
        """Deliver."""
        self.outcomes: list[Outcome] = []
        for batch in self.batches:
            self.deliver(batch, self.outcomes.append)
            if not self.impatient:
                await self.drain()
        async with asyncio.timeout(20):
            while not (self.until() if self.until else len(self.outcomes) == len(self.batches)):  # noqa: ASYNC110
                await asyncio.sleep(0.002)


def http(url: str, **options: Any) -> NetworkOutput:
    """The example."""
    cls = cast("Any", load_class())
    quick = {"retry_first": 0.01, "retry_longest": 0.05, "batch_age": 0.0, "timeout": 5.0, "error": Kept()}
    return cast("NetworkOutput", cls(url=url, **{**quick, **options}))


def load_class() -> type[NetworkOutput]:
    """Its class."""
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.spec_from_file_location("http_lines", EXAMPLES / "http_lines.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("type[NetworkOutput]", module.HTTPLines)


def deliver(
    output: NetworkOutput, *batches: list[Any], until: Callable[[], object] | None = None
) -> list[Outcome]:
    """What these settle with, once the chain has ended."""
    source = Delivers(output_to=output, error=Kept())
    source.batches, source.until = batches, until
    source.impatient = until is not None
    run_input(source, timeout=30)
    assert accounted_for(output)
    return source.outcomes


def test_the_example_is_short_and_keeps_the_contract() -> None:
    """Under 60 lines, written by a stranger."""
    assert len((EXAMPLES / "http_lines.py").read_text().splitlines()) < 60
    port = free_port()
    check_component(load_class(), url=f"http://127.0.0.1:{port}/", flush_timeout=0.1)


def test_batches_are_posted_and_settled(peer: Peer) -> None:
    """All messages arrive, in as few requests as the bounds allow, several at a time."""
    output = http(peer.url, batch_messages=100)
    found = deliver(output, *[[b'{"n":%d}' % (50 * part + n) for n in range(50)] for part in range(20)])
    assert found == [DELIVERED] * 20
    assert sorted(peer.lines) == sorted(b'{"n":%d}' % n for n in range(1000))
    assert peer.requests <= 20
    assert output.snapshot()["passed"] == 1000


def test_a_server_that_is_busy_is_asked_again(peer: Peer) -> None:
    """503 and 429, with what it says of when, and connections that it closes: one report, and nothing lost."""
    peer.answers = [503, (429, {"Retry-After": "0"}), "hang up", 500]
    output = http(peer.url)
    assert deliver(output, [b"1", b"2"]) == [DELIVERED]
    assert peer.lines == [b"1", b"2"]
    assert peer.requests == 5
    reports = output.error.messages
    assert [one["exception"] for one in reports] == [
        "not taken, and tried again: HTTP Error 503: Service Unavailable"
    ]


def test_a_server_that_hangs_is_given_up_after_a_while(peer: Peer) -> None:
    """`timeout` bounds a request."""
    peer.answers = ["hang"]
    output = http(peer.url, timeout=0.1)
    assert deliver(output, [b"1"]) == [DELIVERED]
    assert peer.lines == [b"1"]


def test_a_server_that_goes_away_and_comes_back(peer: Peer) -> None:
    """Meanwhile what is delivered waits."""
    port = int(peer.url.split(":")[2].split("/")[0])
    peer.close()
    output, again = http(peer.url), list[Peer]()

    def until() -> bool:
        if output.info()["state"] != "sending" and not again:
            again.append(Peer(port))
        return bool(again) and len(again[0].lines) == 3

    try:
        assert deliver(output, [b"1"], [b"2", b"3"], until=until) == [DELIVERED, DELIVERED]
    finally:
        again[0].close()
    assert output.info()["state"] == "sending"


def test_what_the_server_refuses_is_rejected(peer: Peer) -> None:
    """400 is the batch's fault: it is reported, and not sent again."""
    peer.answers = [400]
    output = http(peer.url, in_flight=1, batch_messages=1)
    assert deliver(output, [b"1"], [b"2"]) == [REJECTED, DELIVERED]
    assert (peer.lines, output.metrics.failed) == ([b"2"], 1)


@pytest.mark.parametrize(("options", "attempts"), [({"attempts": 3}, 3), ({"give_up_after": 0.05}, 1)])
def test_retrying_is_bounded(peer: Peer, options: dict[str, Any], attempts: int) -> None:
    """By number or by seconds; then the batch is lost, and its report has it."""
    peer.answers = [503] * 50
    output = http(peer.url, **options)
    assert deliver(output, [b"1", b"2"]) == [LOST]
    assert peer.requests >= attempts
    assert output.metrics.failed == 2
    assert f"not taken after {peer.requests} attempt" in output.error.messages[-1]["exception"]


def test_what_waits_is_bounded_and_what_is_left_is_counted() -> None:
    """Nobody is there: the buffer's bounds in messages and bytes hold, and the end does not wait for ever."""
    nobody = f"http://127.0.0.1:{free_port()}/"
    output = http(nobody, buffer_messages=10, flush_timeout=0.1, in_flight=1, batch_messages=2)
    found = deliver(output, [b"1"] * 15, until=lambda: True)
    assert found == [LOST]
    assert output.snapshot()["dropped"] == {"buffer full": 5, "unsent at close": 10}
    output = http(nobody, buffer_bytes=100, flush_timeout=0.1, in_flight=1)
    deliver(output, [b"x" * 40] * 5, until=lambda: True)
    assert output.snapshot()["dropped"] == {"buffer full": 3, "unsent at close": 2}


def test_inputs_wait_for_room(peer: Peer) -> None:
    """Where somebody drains, nothing is dropped."""
    peer.answers = [503] * 5
    output = http(peer.url, buffer_messages=20, batch_messages=5)
    assert deliver(output, *[[b"%d" % n] * 20 for n in range(20)]) == [DELIVERED] * 20
    assert len(peer.lines) == 400


def test_inputs_that_lose_by_waiting_do_not_wait_for_ever() -> None:
    """What they bring then is dropped and counted."""
    output = http(f"http://127.0.0.1:{free_port()}/", buffer_messages=1, flush_timeout=0.0)
    output.sources_wait = False

    async def run() -> float:
        output.consume(b"1")
        began = asyncio.get_running_loop().time()
        await output.drain()
        return asyncio.get_running_loop().time() - began

    output.open()
    assert 0.9 < asyncio.run(run()) < 5
    output.consume(b"2")
    output.close()
    assert output.snapshot()["dropped"] == {"buffer full": 1, "unsent at close": 1}


def test_a_fault_of_its_own_loses_that_batch_alone() -> None:
    """What `send` raises that is neither trouble nor a bad message is reported, and the next batch is sent."""

    class Sends(NetworkOutput):
        def on_init(self) -> None:
            super().on_init()
            self.got: list[bytes] = []

        async def send(self, messages: list[bytes]) -> None:
            if messages == [b"bug"]:
                raise KeyError("oops")
            if messages == [b"bad"]:
                raise EncodingError("bad")
            self.got += messages

    output = Sends(error=Kept(), batch_messages=1, batch_age=0)
    assert sorted(deliver(output, [b"bug"], [b"bad"], [b"good"])) == [DELIVERED, REJECTED, LOST]
    assert output.got == [b"good"]
