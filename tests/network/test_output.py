"""The base of network outputs, by the example that posts over HTTP, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from commands import finished
from message_passing.codecs.gzip import GzipEncoder
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesEncoder
from message_passing.delivery import NO_HOLD, Outcome
from message_passing.errors import EncodingError
from message_passing.filters.t import TFilter
from message_passing.flow import Encoder, Filter, Input, Output
from message_passing.graph import topological_order
from message_passing.network.buffer import Buffer
from message_passing.network.obstacles import Obstacles
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
        by_path: the same by where it was sent.
        answers: status codes and headers for the next requests; `hang` never answers, `hang up` closes.
        always: the same, for all requests to a path.
        requests: how many came.
    """

    def __init__(self, port: int) -> None:
        self.lines: list[bytes] = []
        self.by_path: dict[str, list[bytes]] = {}
        self.answers: list[Any] = []
        self.always: dict[str, Any] = {}
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
        answer = self.always.get(handler.path) or (self.answers.pop(0) if self.answers else 200)
        if answer == "hang":
            self._end.wait(10)
        if isinstance(answer, str):
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        if status == 200:
            self.lines += body.splitlines()
            self.by_path.setdefault(handler.path, []).extend(body.splitlines())
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def give_up(self) -> None:
        """Let requests end that hang."""
        self._end.set()

    def close(self) -> None:
        """Go away."""
        self.give_up()
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


def load_class(module_name: str = "http_lines", name: str = "HTTPLines") -> type[NetworkOutput]:
    """Its class, or that of another example."""
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.spec_from_file_location(module_name, EXAMPLES / f"{module_name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("type[NetworkOutput]", getattr(module, name))


def by_field(url: str, **options: Any) -> NetworkOutput:
    """The example with a URL that is made of the field `to`."""
    cls = cast("Any", load_class("http_by_field", "HTTPByField"))
    quick = {"retry_first": 0.01, "retry_longest": 0.05, "batch_age": 0.0, "timeout": 5.0, "error": Kept()}
    return cast("NetworkOutput", cls(url=f"{url}/{{}}", field="to", **{**quick, **options}))


def deliver(output: Output, *batches: list[Any], until: Callable[[], object] | None = None) -> list[Outcome]:
    """What these settle with, once the chain has ended."""
    source = Delivers(output_to=output, error=Kept())
    source.batches, source.until = batches, until
    source.impatient = until is not None
    run_input(source, timeout=30)
    assert all(accounted_for(one) for one in topological_order([source])[1:] if not isinstance(one, TFilter))
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
        "not accepted; retrying: HTTP Error 503: Service Unavailable"
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
    assert f"not accepted after {peer.requests} attempt" in output.error.messages[-1]["exception"]


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


def test_a_batch_for_which_there_is_no_room_is_settled_at_once() -> None:
    """It is lost, and nothing of it is held."""
    output = http(f"http://127.0.0.1:{free_port()}/", buffer_messages=1, flush_timeout=0.0)
    outcomes = list[tuple[str, Outcome]]()
    source = Delivers(output_to=output, error=Kept())
    with source:
        source.deliver([b"1"], lambda outcome: outcomes.append(("first", outcome)))
        source.deliver([b"2"], lambda outcome: outcomes.append(("second", outcome)))
        assert outcomes == [("second", LOST)]
    assert outcomes == [("second", LOST), ("first", LOST)]


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


# Dead letters


def dead_letters_of(output: NetworkOutput) -> list[Any]:
    """The messages in the reports that its error chain has, and why."""
    reports = [one for one in cast("Kept", output.error).messages if "packed_data" in one]
    return [(one["packed_data"], one.get("packed_data_base64"), one.get("truncated")) for one in reports]


@pytest.mark.parametrize("answer", [503, 400])
def test_what_fails_finally_is_reported_message_by_message(peer: Peer, answer: int) -> None:
    """Whole, however long and of whatever bytes, and more than reports are made otherwise; once each."""
    peer.answers = [answer]
    output = http(peer.url, attempts=1, dead_letters=True, report_limit=10)
    long, binary = b"x" * 5000, b"\xff\xfe"
    many = [b"%d" % n for n in range(300)]
    assert deliver(output, [long, binary, *many]) == [DELIVERED]
    first, second, *others = dead_letters_of(output)
    assert first == (long.decode(), None, None)
    assert second == ("\\xff\\xfe", "//4=", None)
    assert others == [(one.decode(), None, None) for one in many]
    assert (output.metrics.failed, output.snapshot()["dropped"], peer.lines) == (302, {}, [])


def test_what_is_left_at_the_end_is_a_dead_letter_too() -> None:
    """Whether it waits, or was being tried again; what found no room is dropped and counted, as otherwise."""
    nobody = f"http://127.0.0.1:{free_port()}/"
    output = http(
        nobody, buffer_messages=10, flush_timeout=0.1, in_flight=1, batch_messages=2, dead_letters=True
    )
    found = deliver(output, [b"%d" % n for n in range(15)], until=lambda: output.info()["retrying"])
    assert found == [LOST]
    assert sorted(dead_letters_of(output)) == [(str(n), None, None) for n in range(10)]
    assert (output.metrics.failed, output.snapshot()["dropped"]) == (10, {"buffer full": 5})


def test_a_frame_is_one_dead_letter_and_counts_as_what_it_carries(peer: Peer) -> None:
    """It can be sent again as it is."""
    peer.answers = [400]
    output = http(peer.url, dead_letters=True)
    lines = JSONLinesEncoder(output_to=output, error=Kept())
    assert deliver(lines, [{"n": 1}, {"n": 2}]) == [DELIVERED]
    assert dead_letters_of(output) == [('{"n":1}\n{"n":2}', None, None)]
    assert output.metrics.failed == 2


def test_dead_letters_are_replayed_from_a_file(peer: Peer, tmp_path: Path) -> None:
    """A node writes them, and another one sends them."""
    words = [
        "--input",
        "STDIN",
        "--output",
        "+http_lines:HTTPLines",
        "--decoder",
        "Null",
        "--encoder",
        "Null",
    ]
    given = b'{"n":1}\n{"n":2}\n'
    options = {"url": f"http://127.0.0.1:{free_port()}/", "attempts": 1, "dead_letters": True}
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "inputs": {"in": {"class": "STDIN", "output_to": "out"}},
                "outputs": {
                    "out": {"class": "+http_lines:HTTPLines", "options": options},
                    "letters": {"class": "File", "options": {"filename": str(tmp_path / "letters")}},
                },
                "encoders": {"report": {"class": "JSON", "output_to": "letters"}},
                "error_log": "report",
            }
        )
    )
    done = finished("--configfile", str(config), given=given, cwd=EXAMPLES)
    assert done.status == 0, done.err
    reports = [json.loads(line) for line in (tmp_path / "letters").read_bytes().splitlines()]
    again = b"".join(one["packed_data"].encode() + b"\n" for one in reports)
    assert again == given
    chosen = ["--output_options", json.dumps({"url": peer.url})]
    assert finished(*words, *chosen, given=again, cwd=EXAMPLES).status == 0
    assert sorted(peer.lines) == given.splitlines()


# Objects beside their text


def test_the_example_by_field_is_short_and_keeps_the_contract() -> None:
    """Under 60 lines as well."""
    assert len((EXAMPLES / "http_by_field.py").read_text().splitlines()) < 60
    cls = load_class("http_by_field", "HTTPByField")
    check_component(cls, url=f"http://127.0.0.1:{free_port()}/{{}}", field="to", flush_timeout=0.1)


def test_messages_go_where_a_field_says(peer: Peer) -> None:
    """In batches of one target each, whoever's they are, though nobody else looks at them between two codecs."""
    output = by_field(peer.url, batch_age=10.0, flush_timeout=5.0, batch_messages=50)
    encoder = JSONEncoder(output_to=output, error=Kept())
    sent = [
        [b'{"to":"%c","n":%d}' % (b"abc"[n % 3], n) for n in range(part, part + 10)] for part in range(30)
    ]
    assert deliver(JSONDecoder(output_to=encoder), *sent) == [DELIVERED] * 30
    everything = [line for batch in sent for line in batch]
    for name in "abc":
        expected = [line for line in everything if b'"to":"%s"' % name.encode() in line]
        assert sorted(peer.by_path[f"/logs/{name}"]) == sorted(expected)
    assert peer.requests == 6
    assert (encoder.snapshot()["passed"], output.snapshot()["passed"]) == (300, 300)


def test_what_cannot_be_routed_or_encoded_is_rejected(peer: Peer) -> None:
    """The output counts both; the encoder reports what it could not encode, in its own error chain."""
    output, errors = by_field(peer.url), Kept()
    encoder = JSONEncoder(output_to=output, error=errors)
    good, bad = {"to": "a", "n": 1}, {"to": "a", "n": object()}
    found = deliver(encoder, [good], [good, bad], [good, {"n": 1}], [{"to": "../x"}])
    assert sorted(found) == [DELIVERED, REJECTED, REJECTED, REJECTED]
    assert peer.by_path == {"/logs/a": [b'{"to":"a","n":1}'] * 3}
    counted = output.snapshot()
    assert (counted["received"], counted["passed"], counted["failed"]) == (6, 3, 3)
    assert encoder.snapshot()["passed"] == 6
    assert [one["component"] for one in errors.messages] == ["JSON encoder"]
    assert [one["exception"] for one in cast("Kept", output.error).messages] == [
        "the field 'to' is no name to post to: 'None'",
        "the field 'to' is no name to post to: '../x'",
    ]


def test_encoders_that_stand_one_after_the_other(peer: Peer) -> None:
    """All of them are left to the output; a frame is the messages that it carries, also when it is lost."""
    output = by_field(peer.url)
    objects = [{"to": "ab"[n % 2], "n": n} for n in range(10)]
    lines = JSONLinesEncoder(output_to=output, error=Kept())
    assert deliver(lines, objects) == [DELIVERED]
    assert (len(peer.lines), output.snapshot()["passed"]) == (10, 10)
    peer.answers = [400]
    output = by_field(peer.url)
    packed = JSONLinesEncoder(output_to=GzipEncoder(output_to=output, error=Kept()), error=Kept())
    assert deliver(packed, objects) == [REJECTED]
    assert (output.metrics.failed, output.snapshot()["passed"]) == (5, 5)
    assert peer.lines[10].startswith(b"\x1f\x8b")


class Fussy(Encoder):
    """Drops, removes, and raises for a whole batch."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """One batch, whatever it is given."""
        if any("raise" in one for one in messages):
            raise EncodingError("no")
        if lost := [one for one in messages if "drop" in one]:
            self.drop(lost, "unwanted")
        return [b"%d" % one["n"] for one in messages if "n" in one]


def test_an_encoder_of_ones_own_keeps_its_rights(peer: Peer) -> None:
    """What it drops, removes or fails as a batch is counted, once, where the output is."""
    output = by_field(peer.url)
    encoder = Fussy(output_to=output, error=Kept())
    batch = [{"to": "a", "n": 1}, {"to": "a", "drop": 1}, {"to": "a"}, {"to": "b", "raise": 1}, {"to": "b"}]
    assert deliver(encoder, batch) == [LOST]
    counted = output.snapshot()
    assert (counted["passed"], counted["filtered"], counted["failed"]) == (1, 1, 2)
    assert counted["dropped"] == {"unwanted": 1}


class Writes(Encoder):
    """Says where what it makes goes, and nobody knows what that is."""

    def write_many(self, messages: list[Any]) -> None:
        """Hand it on."""
        self.emit([b"x"] * len(messages))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda output: JSONEncoder(output_to=output), ""),
        (lambda output: TFilter(output_to=[JSONEncoder(output_to=output), Kept()]), ""),
        (lambda output: JSONEncoder(output_to=GzipEncoder(output_to=output)), ""),
        (
            lambda output: JSONEncoder(output_to=TFilter(output_to=[output, Kept()])),
            "the JSON encoder makes of them: no other component may stand between the two",
        ),
        (
            lambda output: Writes(output_to=output),
            "the Writes encoder makes of them, which defines neither filter nor filter_many",
        ),
    ],
)
def test_what_stands_between_is_warned_of(peer: Peer, make: Callable[[Any], Filter], told: str) -> None:
    """And what then comes to the output is rejected, rather than sent to the wrong place."""
    output = by_field(peer.url)
    head = make(output)
    head.error = Kept()
    found = [text for one in topological_order([head]) for text in one.warnings()]
    before = "HTTPByField output needs fields of its messages, and gets what"
    assert found == ([f"{before} {told}"] if told else [])
    assert deliver(head, [{"to": "a"}]) == [REJECTED if told else DELIVERED]
    assert list(peer.by_path) == ([] if told else ["/logs/a"])


def test_another_encoder_or_output_takes_the_place(peer: Peer) -> None:
    """As a reload does it: which encoder an output encodes with is the one that the batch came by."""
    output = by_field(peer.url)
    plain, pretty = JSONEncoder(output_to=output), JSONEncoder(output_to=output, pretty=True)
    head = TFilter(output_to=[plain, pretty], error=Kept())
    assert deliver(head, [{"to": "a"}]) == [DELIVERED]
    assert sorted(peer.lines) == sorted([b'{"to":"a"}', b"{", b'   "to": "a"', b"}"])
    encoder = JSONEncoder(output_to=by_field(peer.url))
    with encoder:
        kept = Kept()
        encoder.connect_to(kept)
        encoder.rewire()
        encoder.consume({"to": "a"})
        assert kept.messages == [b'{"to":"a"}']


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_from_the_command_line(peer: Peer, options: tuple[str, ...]) -> None:
    """Workers decode and filter; the encoder stays with the output."""
    chosen = json.dumps({"url": f"{peer.url}/{{}}", "field": "to"})
    words = ["--input", "STDIN", "--output", "+http_by_field:HTTPByField", "--output_options", chosen]
    done = finished(*words, *options, given=b'{"to":"a"}\n{"to":"b"}\n{"n":1}\n', cwd=EXAMPLES)
    assert done.status == 0, done.err
    assert peer.by_path == {"/logs/a": [b'{"to":"a"}'], "/logs/b": [b'{"to":"b"}']}
    assert "the field 'to' is no name to post to" in done.err
    assert "lost 1 message: 1 failed" in done.err


@pytest.mark.parametrize(("answer", "in_flight"), [("hang", 4), ("hang", 2), (503, 4), (503, 1)])
def test_a_target_in_trouble_leaves_room_for_others(peer: Peer, answer: Any, in_flight: int) -> None:
    """One that hangs has a part of the requests, and a batch that waits to be tried again is none of them."""
    peer.always["/logs/bad"] = answer
    slow = {"timeout": 8.0, "retry_first": 8.0, "retry_longest": 8.0, "flush_timeout": 0.0}
    output = by_field(peer.url, in_flight=in_flight, batch_messages=5, **slow)
    encoder = JSONEncoder(output_to=output, error=Kept())
    began, took = time.monotonic(), 0.0

    def all_good() -> bool:
        nonlocal took
        if len(peer.by_path.get("/logs/good", ())) < 50 or any(
            "good" in str(target) for target in output._of
        ):
            return False
        took = took or time.monotonic() - began
        peer.give_up()
        return True

    outcomes = deliver(encoder, [{"to": "bad"}] * 50, [{"to": "good"}] * 50, until=all_good)
    assert took < 4
    assert sorted(outcomes) == [DELIVERED, LOST]
    assert peer.by_path == {"/logs/good": [b'{"to":"good"}'] * 50}
    assert output.snapshot()["dropped"] == {"unsent at close": 50}
    if answer == 503:
        (report,) = (one["exception"] for one in cast("Kept", output.error).messages)
        assert report.endswith("/bad: not accepted; retrying: HTTP Error 503: Service Unavailable")


def test_batches_that_wait_to_be_tried_again_take_up_room(peer: Peer) -> None:
    """However many targets are in trouble, no more wait than the buffer may have, besides what was on its way."""
    peer.always = {f"/logs/{n}": 503 for n in range(20)}
    output = by_field(
        peer.url, in_flight=2, buffer_messages=10, batch_messages=5, retry_first=20.0, flush_timeout=0.0
    )
    encoder = JSONEncoder(output_to=output, error=Kept())
    output.sources_wait = False
    held = 0

    def all_refused() -> bool:
        nonlocal held
        held = max(held, output.held())
        return int(output.info()["retrying"]) >= 2

    deliver(encoder, *[[{"to": str(n)}] * 5 for n in range(20)], until=all_refused)
    assert held <= 10 + 2 * 5
    dropped = output.snapshot()["dropped"]
    assert sum(dropped.values()) == 100
    assert dropped["buffer full"] >= 80


def test_how_many_obstacles_are_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is made of what somebody sends is one of many, and may be long."""
    monkeypatch.setattr("message_passing.network.obstacles._MOST_OBSTACLES", 3)
    obstacles = Obstacles()
    assert all(obstacles.meet("x" * 1000 + str(n), "a reason") for n in range(20))
    assert not obstacles.meet("x" * 1000 + "19", "another")
    found = obstacles.described(100)
    assert [len(text) < 300 for text in found] == [True] * 3
    assert found[2].endswith("another")


def test_targets_share_the_bounds_and_none_starves() -> None:
    """Many targets with little each, beside one with much: in the order in which their time comes."""
    buffer = Buffer(100, 1000, 3, 1000)
    assert buffer.add([b"x"] * 8, NO_HOLD, 0.0, "busy") == 8
    assert all(buffer.add([b"y"], NO_HOLD, 1.0, n) for n in range(92))
    assert (buffer.add([b"z"], NO_HOLD, 1.0, "late"), len(buffer), buffer.size) == (0, 100, 100)
    taken = []
    while queue := buffer.due(1.0, 2.0):
        batch = buffer.take(queue)
        taken.append((batch.target, len(batch.messages)))
    assert taken == [("busy", 3), ("busy", 3), *[(n, 1) for n in range(92)], ("busy", 2)]
    assert (len(buffer), buffer.size, buffer.carried, buffer.next_at()) == (0, 0, 0, float("inf"))
