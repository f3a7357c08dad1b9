"""Batches whose messages take long: what comes of them is handed on as it comes, and a stop is obeyed in between."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from message_passing import pacing
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.errors import OutputClosedError
from message_passing.filters.where import WhereFilter
from message_passing.flow import Filter, Output
from message_passing.graph import topological_order
from message_passing.pacing import NOT_STARTED, next_size
from message_passing.stopping import StopRequest
from message_passing.testing import wait_for
from nodes import lines, node, part
from support import Kept, accounted_for

if TYPE_CHECKING:
    from pathlib import Path

MINE = '''
import time
from message_passing import Decoder, Encoder, Filter, Output

def work(message):
    time.sleep(0.4)
    return message

class Each(Filter):
    def filter(self, message):
        return work(message)

class Many(Filter):
    def filter_many(self, messages):
        return [work(message) for message in messages]

class Later(Filter):
    """Quick at first."""
    def filter(self, message):
        return work(message) if message["n"] > 100 else message

class Failing(Filter):
    def filter(self, message):
        work(message)
        raise ValueError("it takes its time to fail")

class Quick(Filter):
    def filter(self, message):
        time.sleep(0.002)
        return message

class Slow(Output):
    def on_open(self):
        self._file = open("out", "ab", buffering=0)
    def write(self, message):
        work(message)
        self._file.write(message + b"\\n")
    def on_close(self):
        self._file.close()
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs, with components of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def numbered(first: int, last: int) -> bytes:
    """Messages, a line each."""
    return b"".join(b'{"n":%d}\n' % n for n in range(first, last))


class Sleepy(Filter):
    """Takes as long as it is told to."""

    def filter(self, message: Any) -> Any:
        """Sleep."""
        if message == "fail":
            raise ValueError("as it was told")
        time.sleep(message)
        return message or None


class SleepyMany(Filter):
    """The same for batches."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Sleep for each."""
        for message in messages:
            time.sleep(message)
        return [message for message in messages if message]


class SleepyOutput(Kept):
    """The same at the end."""

    def write_many(self, messages: list[Any]) -> None:
        """Message by message."""
        Output.write_many(self, messages)

    def write(self, message: Any) -> None:
        """Sleep."""
        time.sleep(message)
        self.batches.append([message])


@pytest.mark.parametrize("kind", [Sleepy, SleepyMany])
def test_what_takes_long_is_handed_on_as_it_comes(kind: type[Filter]) -> None:
    """No message waits for the rest of its batch, and all are counted once."""
    at: list[tuple[float, int]] = []

    class Timed(Output):
        """Notes when messages come."""

        def write_many(self, messages: list[Any]) -> None:
            """Note it."""
            at.append((time.monotonic() - began, len(messages)))

    slow = kind(output_to=Timed())
    began = time.monotonic()
    slow.consume_many([0.06, 0, 0.06] * 3)
    assert sum(count for _, count in at) == 6
    assert len(at) >= 3
    assert at[0][0] < 0.25
    assert accounted_for(slow)
    assert (slow.metrics.passed, slow.metrics.filtered) == (6, 3)


def test_what_is_quick_travels_together() -> None:
    """And what suddenly becomes slow waits for a few messages only."""
    kept, batches = Kept(), []
    slow = Sleepy(output_to=kept, error=Kept())
    slow.consume_many([0.000001] * 500)
    batches = [len(batch) for batch in kept.batches]
    assert batches == [500]
    slow.consume_many([0.000001] * 200 + ["fail"] + [0.05] * 20)
    assert len(kept.batches[1]) <= 200 + pacing.STRIDE
    assert max(map(len, kept.batches[2:])) <= 3
    assert accounted_for(slow)


@pytest.mark.parametrize("kind", [Sleepy, SleepyMany, SleepyOutput])
def test_after_a_stop_nothing_slow_is_begun(kind: Any) -> None:
    """The message under way has its end; the rest, and what still comes, is counted."""
    kept = Kept()
    slow = kind() if kind is SleepyOutput else kind(output_to=kept)
    slow.stop_request = StopRequest()
    slow.consume_many([0.001])
    slow.stop_request.ask()
    began = time.monotonic()
    slow.consume_many([0.3] * 20)
    slow.consume_many([0.3] * 20)
    assert time.monotonic() - began < 0.9
    assert slow.metrics.dropped == {NOT_STARTED: 39}
    assert accounted_for(slow)


@pytest.mark.parametrize("kind", [Sleepy, SleepyMany, SleepyOutput])
def test_after_a_stop_what_is_quick_has_its_end(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it does not take too long in all."""
    monkeypatch.setattr(pacing, "WORK_AFTER_STOP", 0.5)
    slow = kind() if kind is SleepyOutput else kind(output_to=Kept())
    slow.stop_request = StopRequest()
    slow.stop_request.ask()
    slow.consume_many([0.001] * 20)
    slow.consume_many([0.001] * 20)
    assert not slow.metrics.dropped
    began = time.monotonic()
    slow.consume_many([0.01] * 500)
    assert time.monotonic() - began < 1.5
    assert 400 < slow.metrics.dropped[NOT_STARTED] < 500
    assert accounted_for(slow)


@pytest.mark.parametrize("kinds", [[Sleepy] * 3, [SleepyMany] * 3, [Sleepy, SleepyMany, SleepyOutput]])
def test_several_slow_ones_in_a_row_have_one_allowance(kinds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop takes no longer for each of them."""
    monkeypatch.setattr(pacing, "WORK_AFTER_STOP", 0.6)
    first, second, third = kinds
    end = third() if third is SleepyOutput else third(output_to=Kept())
    chain = first(output_to=second(output_to=end))
    stop = StopRequest()
    for one in (components := topological_order([chain])):
        one.stop_request = stop
    stop.ask()
    began = time.monotonic()
    chain.consume_many([0.01] * 300)
    assert time.monotonic() - began < 1.5
    assert sum(one.metrics.dropped[NOT_STARTED] for one in components) > 200
    assert all(map(accounted_for, components))


@pytest.mark.parametrize("kind", [Sleepy, SleepyMany])
def test_nobody_reads_any_more_in_the_middle_of_a_batch(kind: type[Filter]) -> None:
    """What had not been begun is counted as well."""

    class Gone(Output):
        """Its reader goes after the first."""

        def write_many(self, messages: list[Any]) -> None:
            """Say so."""
            if self.metrics.received > 1:
                raise OutputClosedError

    slow = kind(output_to=Gone())
    with pytest.raises(OutputClosedError):
        slow.consume_many([0.11] * 10)
    assert slow.metrics.dropped == {"closed": 8}
    assert accounted_for(slow)


class Choosing(Filter):
    """Chooses by a number, and does what else it says."""

    reads = ("n",)

    def on_init(self) -> None:
        """Nothing asked yet."""
        super().on_init()
        self.asked: list[int] = []

    def keeps(self, fields: Any) -> Any:
        """By a number of three, not; of seven, fails; of eleven, answers with what is neither true nor false."""
        self.asked.append(fields.n)
        if fields.n == 1999:
            self.stop_request.ask()
        if not fields.n % 7:
            raise ValueError("of seven")
        return NEITHER if not fields.n % 11 else fields.n % 3


class Neither:
    """As an array of several is."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


NEITHER = Neither()


def test_fields_are_asked_once_each_and_a_stop_is_obeyed_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are asked in a row, and whatever they answer; what failed, or was not asked, is its line."""
    kept, errors = Kept(), Kept()
    chooses = Choosing(output_to=JSONEncoder(output_to=kept), error=errors, dead_letters=True)
    chooses.stop_request = StopRequest()
    batches = [[b'{"n":%d}' % n for n in range(first, first + 500)] for first in range(1, 2500, 500)]
    with JSONDecoder(output_to=chooses) as head:
        assert head.wiring.reads == frozenset({"n"})
        for batch in batches[:-2]:
            head.consume_many(batch)
        assert chooses._selection._pace._quick >= 1000
        monkeypatch.setattr(pacing, "WORK_AFTER_STOP", 0)
        head.consume_many(batches[-2])
    assert chooses.asked == [*range(1, 2000)]
    assert [json.loads(one)["n"] for one in kept.messages] == [
        n for n in range(1, 2000) if n % 3 and n % 7 and n % 11
    ]
    assert {json.loads(one["stringified_data"])["n"] for one in errors.messages} == {
        n for n in range(1, 2000) if not n % 7 or not n % 11
    }
    assert chooses.snapshot()["dropped"] == {NOT_STARTED: 1}
    assert accounted_for(chooses)


def test_a_stop_and_a_reader_that_has_gone_count_each_line_once() -> None:
    """What was dropped as not begun is not dropped again."""

    class Gone(Output):
        """Nobody reads."""

        def write_many(self, messages: list[Any]) -> None:
            """Say so."""
            raise OutputClosedError

    class Stopping(Choosing):
        """A stop comes in the middle."""

        reads = ("n",)

        def keeps(self, fields: Any) -> Any:
            if fields.n == 3:
                self.stop_request.ask()
                self._selection._pace.work_left = -1.0
            return True

    chooses = Stopping(output_to=JSONEncoder(output_to=Gone()))
    chooses.stop_request = StopRequest()
    with JSONDecoder(output_to=chooses) as head, pytest.raises(OutputClosedError):
        head.consume_many([b'{"n":%d}' % n for n in range(10)])
    assert chooses.snapshot()["dropped"] == {NOT_STARTED: 6}
    assert accounted_for(chooses)


class Telling(Filter):
    """Passes messages on itself, before it chooses, or fails."""

    reads = ("n",)

    def keeps(self, fields: Any) -> Any:
        """By a number of two, not; of five, fails."""
        if not fields.n % 3:
            self.output_to.consume({"told": fields.n, "n": 1})
        if not fields.n % 5:
            raise ValueError("of five")
        return NEITHER if fields.n == 77 else fields.n % 2


@pytest.mark.parametrize("slice_", [pacing.SLICE, 0.0])
def test_what_keeps_passes_on_itself_stays_in_order(slice_: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the messages are objects, also where a batch is passed on in pieces."""
    monkeypatch.setattr(pacing, "SLICE", slice_)
    found: list[Any] = []
    for looks in (False, True):
        kept, last = Kept(), WhereFilter(condition="n != 7")
        last.connect_to(JSONEncoder(output_to=kept))
        tells = Telling(error=Kept(), output_to=Sleepless(output_to=last) if looks else last)
        with JSONDecoder(output_to=tells) as head:
            assert (head.wiring.reads is None) is looks
            for first in range(0, 1400, 200):
                head.consume_many([b'{"n":%d}' % n for n in range(first, first + 200)])
        assert (tells.metrics.failed, tells.metrics.passed) == (281, len(kept.messages) + 1)
        found.append([json.loads(one) for one in kept.messages])
    assert found[0] == found[1]


class Sleepless(Filter):
    """Needs whole messages."""

    def filter(self, message: Any) -> Any:
        """Look."""
        return message


def test_a_stop_ends_the_row_of_one_that_passed_something_on_to_another() -> None:
    """What is further down chooses, too; and a stop may come before, within and after that."""
    for asks_at, within in ((1150, False), (1150, True)):
        asked: list[int] = []
        stop = StopRequest()

        class Inner(Choosing):
            """Behind it."""

            reads = ("n",)

            def keeps(self, fields: Any) -> Any:
                if within and fields.n == asks_at:  # noqa: B023
                    self.stop_request.ask()
                return True

        class Outer(Choosing):
            """Has what it sees chosen among there first."""

            reads = ("n",)

            def keeps(self, fields: Any) -> Any:
                asked.append(fields.n)  # noqa: B023
                other.consume_many([b'{"n":%d}' % fields.n])
                if not within and fields.n == asks_at:  # noqa: B023
                    self.stop_request.ask()
                if self.stop_request.asked:
                    self._selection._pace.work_left = -1.0
                return True

        inner = Inner(output_to=JSONEncoder(output_to=Kept()))
        outer = Outer(output_to=JSONEncoder(output_to=Kept()))
        inner.stop_request = outer.stop_request = stop
        with JSONDecoder(output_to=inner) as other, JSONDecoder(output_to=outer) as head:
            for first in range(0, 1400, 200):
                head.consume_many([b'{"n":%d}' % n for n in range(first, first + 200)])
        assert asked == [*range(asks_at + 1)]
        assert stop.emptied is None
        assert all(map(accounted_for, (inner, outer)))


def test_a_stop_just_before_a_row_begins_is_obeyed_within_it() -> None:
    """One that comes after the last look at the clock, and before there is anything to empty."""

    class Late(StopRequest):
        """Comes exactly then."""

        __slots__ = ("row", "rows")

        @property
        def emptied(self) -> list[Any] | None:
            return self.row

        @emptied.setter
        def emptied(self, rest: list[Any] | None) -> None:
            self.rows = getattr(self, "rows", 0) + (rest is not None)
            if self.rows == 25 and rest is not None:
                self.row = None
                self.ask()
            self.row = rest

    chooses = Choosing(output_to=JSONEncoder(output_to=Kept()), error=Kept())
    chooses.stop_request = stop = Late()
    with JSONDecoder(output_to=chooses) as head:
        while not stop.asked:
            head.consume_many([b'{"n":%d}' % n for n in range(1, 600)])
        rows = stop.rows
        head.consume_many([b'{"n":1}'] * 3)
        assert stop.rows == rows + 3
    assert accounted_for(chooses)


def test_any_sequence_is_a_batch() -> None:
    """Also one whose iterator does not tell how much is left."""

    class Odd(list[Any]):
        """Hides it."""

        def __iter__(self) -> Any:
            yield from [self[index] for index in range(len(self))]

    for messages in ((0.0001, 0.0001), Odd([0.0001, 0.0001])):
        kept = Kept()
        slow = Sleepy(output_to=kept)
        slow.stop_request = StopRequest()
        slow.stop_request.ask()
        slow.consume_many(messages)  # type: ignore[arg-type]
        assert kept.messages == [0.0001, 0.0001]


def test_the_size_of_a_next_piece() -> None:
    """It follows what the last one took, down at once and up in steps."""
    assert next_size(1000, 1000, 1.0) == pytest.approx(100)
    assert next_size(1, 1, 0.5) == 1
    assert next_size(1, 1, 1e-6) == 4
    assert next_size(64, 3, 1e-6) == 64
    assert next_size(float("inf"), 1000, 0.2) == pytest.approx(500)


CHAINS = {
    "filter": ["--filter", "+mine:Each"],
    "function for batches": ["--filter", "+mine:Many"],
    "becomes slow": ["--filter", "+mine:Later"],
    "output": ["--output", "+mine:Slow"],
    "workers": ["--filter", "+mine:Each", "--workers", "2"],
    "workers, function for batches": ["--filter", "+mine:Many", "--workers", "2"],
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_stop_is_obeyed_between_two_messages(folder: Path, name: str) -> None:
    """SIGTERM while most of a batch is still to be done: what was done is there, the rest is counted."""
    words = CHAINS[name]
    if "--output" not in words:
        words = [*words, *part("output", "File", filename="out")]
    count = 130 if name == "becomes slow" else 25
    first = 101 if name == "becomes slow" else 0
    with node("--input", "STDIN", *words, cwd=folder) as started:
        began = time.monotonic()
        started.write(numbered(0, count))
        wait_for(lambda: len(lines(folder / "out")) > first, timeout=20)
        assert time.monotonic() - began < 12  # with the start; the batch takes 10 s
        stopped = time.monotonic()
        started.signal(signal.SIGTERM)
        status = started.process.wait(20)
        took = time.monotonic() - stopped
        assert started.process.stderr
        told = started.process.stderr.read().decode()
    assert status == 0
    assert took < 3, told
    done = [json.loads(line)["n"] for line in lines(folder / "out")]
    lost = sum(map(int, re.findall(r"(?m)^message-passing: .*?(\d+) not started at stop", told)))
    assert len(done) + lost == count, told
    assert len(set(done)) == len(done)
    assert lost > 10


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_results_come_as_they_are_made(folder: Path, workers: list[str]) -> None:
    """The first of a batch is there long before the last."""
    words = ["--filter", "+mine:Each", *part("output", "File", filename="out"), *workers]
    with node("--input", "STDIN", *words, cwd=folder) as started:
        started.write(numbered(0, 6))
        wait_for(lambda: lines(folder / "out"), timeout=20)
        assert len(lines(folder / "out")) < 4
        assert started.end()[0] == 0
    assert sorted(json.loads(line)["n"] for line in lines(folder / "out")) == [*range(6)]


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_what_is_quick_is_passed_on_after_a_stop(folder: Path, workers: list[str]) -> None:
    """All that was taken."""
    words = ["--filter", "+mine:Quick", *part("output", "File", filename="out"), *workers]
    with node("--input", "STDIN", *words, cwd=folder) as started:
        started.write(numbered(0, 300))
        wait_for(lambda: lines(folder / "out"), timeout=20)
        status, _, told = started.stop()
    assert (status, told) == (0, b"")
    assert len(lines(folder / "out")) == 300


def test_what_fails_slowly_is_counted_too(folder: Path) -> None:
    """As failed, or as not begun."""
    words = ["--filter", "+mine:Failing", "--output", "Null"]
    with node("--input", "STDIN", *words, cwd=folder) as started:
        started.write(numbered(0, 20))
        assert started.process.stderr
        started.process.stderr.readline()
        status, _, told = started.stop()
    assert status == 0
    lost = re.search(rb"filter \(Failing\) lost 20 messages: (\d+) not started at stop, (\d+) failed", told)
    assert lost, told
    assert int(lost[1]) >= 16
