"""`sys.exit()` and KeyboardInterrupt in the code of components: errors like others, where a run obeys the signals."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing.codecs.json import JSONDecoder
from message_passing.event_loop import obey_signals
from message_passing.flow import Encoder, Filter, Input, Output
from message_passing.graph import topological_order
from message_passing.runner import Server
from message_passing.stopping import FROM_COMPONENTS, StopRequest
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path

EXITS = {"exit": SystemExit(5), "break": KeyboardInterrupt()}


def passes(message: Any) -> bool:
    """Raise what a message names."""
    if message in EXITS:
        raise EXITS[message]
    return True


class Writes(Output):
    """Message by message."""

    def write(self, message: Any) -> None:
        """Raise what it names."""
        passes(message)


class WritesMany(Output):
    """The whole batch."""

    def write_many(self, messages: list[Any]) -> None:
        """Raise what one names."""
        [*map(passes, messages)]


class Filters(Filter):
    """Message by message."""

    def filter(self, message: Any) -> Any:
        """Raise what it names."""
        return message if passes(message) else None


class FiltersMany(Filter):
    """The whole batch."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Raise what one names."""
        return [*filter(passes, messages)]


class Keeps(Filter):
    """By a field."""

    reads = ("do",)

    def keeps(self, fields: Any) -> bool:
        """Raise what it names."""
        return passes(fields.do)


class Encodes(Encoder):
    """For an output that takes objects."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Raise what one names."""
        return [one.encode() for one in messages if passes(one)]


class TakesObjects(Output):
    """Has its batch encoded, one by one."""

    takes_objects = True

    def write_many(self, messages: list[Any]) -> None:
        """Encode it."""
        for one in messages:
            self.encoded([one])


def obeyed(head: Any) -> Any:
    """The head of a chain, as if it ran in a process whose signals are obeyed."""
    stop = StopRequest()
    stop.caught = FROM_COMPONENTS
    for one in topological_order([head], errors=True):
        one.stop_request = stop
    return head


@pytest.mark.parametrize("exits", EXITS)
@pytest.mark.parametrize(
    ("kind", "lost"), [(Writes, 1), (WritesMany, 3), (Filters, 1), (FiltersMany, 2)], ids=str
)
def test_they_fail_as_any_error_does(kind: type[Output], lost: int, exits: str) -> None:
    """The message, or what is left of the batch, is counted, and the next one follows."""
    errors = Kept()
    component = kind(error=errors)
    if isinstance(component, Filter):
        component.output_to = Kept()
    obeyed(component).consume_many(["good", exits, "good"])
    component.consume("good")
    found = component.snapshot()
    assert (found["received"], found["failed"], found["passed"]) == (4, lost, 4 - lost)
    assert [one["class"] for one in errors.messages] == [type(EXITS[exits]).__name__]


@pytest.mark.parametrize("exits", EXITS)
def test_of_what_is_chosen_by_a_field(exits: str) -> None:
    """Of lines, of which only that field is decoded."""
    keeps = Keeps(error=Kept(), output_to=Kept())
    with JSONDecoder(output_to=keeps) as decoder:
        obeyed(decoder).consume_many([b'{"do":"%s"}' % one.encode() for one in ("good", exits, "good")])
    assert (keeps.metrics.failed, keeps.metrics.passed) == (1, 2)


@pytest.mark.parametrize("exits", EXITS)
def test_of_what_is_encoded_for_an_output(exits: str) -> None:
    """The output has failed with it."""
    output = TakesObjects(error=Kept())
    with Encodes(error=Kept(), output_to=output) as encoder:
        obeyed(encoder).consume_many(["good", exits, "good"])
    assert (output.metrics.failed, output.snapshot()["passed"]) == (1, 2)


@pytest.mark.parametrize("exits", EXITS)
def test_of_an_error_chain(exits: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error has the report."""

    class Errors(Output):
        def write_many(self, _messages: list[Any]) -> None:
            raise EXITS[exits]

    component = obeyed(Writes(error=Errors()))
    component.consume_many(["exit", "good"])
    assert component.metrics.failed == 1
    assert f'"class":"{type(EXITS[exits]).__name__}"' in capsys.readouterr().err.replace(": ", ":")


@pytest.mark.parametrize("kind", [Writes, WritesMany, Filters, FiltersMany])
def test_elsewhere_they_end_the_program(kind: type[Output]) -> None:
    """A program that calls a chain itself may be stopped by its own signal handlers meanwhile."""
    component = kind(error=Kept())
    if isinstance(component, Filter):
        component.output_to = Kept()
    for name, error in EXITS.items():
        with pytest.raises(type(error)):
            component.consume(name)


class Once(Input):
    """Emits one message, and raises where it is told to."""

    where = "run"
    stop = staticmethod(lambda: None)

    async def run(self) -> None:
        """Emit, and raise."""
        self.emit(["good"])
        await asyncio.sleep(0)
        if self.where == "run":
            sys.exit(5)
        if self.where == "stopped":
            self.stop()
            await asyncio.Event().wait()

    def stopped(self) -> None:
        """Raise."""
        if self.where == "stopped":
            sys.exit(5)


class Lives(Kept):
    """An output with a life of its own."""

    where = ""

    async def background(self) -> None:
        """Raise."""
        if self.where == "background":
            sys.exit(5)

    async def drain(self) -> None:
        """Raise."""
        if self.where == "drain":
            sys.exit(5)

    async def flush(self) -> None:
        """Raise."""
        if self.where == "flush":
            sys.exit(5)


@pytest.mark.parametrize("where", ["run", "stopped", "background", "drain", "flush"])
def test_of_what_runs_in_the_event_loop(where: str) -> None:
    """An input or output that does so has failed, and all else ends in order."""
    errors, output = Kept(), Lives(error=Kept())
    head = Once(output_to=output, error=errors)
    output.where = head.where = where
    server = Server([head])
    head.stop = server.stop
    with obey_signals(server), head:
        server.run()
    assert output.messages == ["good"]
    reports = errors.messages + output.error.messages
    assert any("SystemExit(5)" in str(one) or one["class"] == "SystemExit" for one in reports)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_of_a_command(tmp_path: Path, workers: str) -> None:
    """The messages before and after it arrive, it is counted, and the status does not change."""
    (tmp_path / "exits.py").write_text(
        "import sys\n"
        "from message_passing.flow import Filter\n"
        "class Exits(Filter):\n"
        "    def filter(self, message):\n"
        "        return message if message['n'] != 2 else sys.exit(5)\n"
    )
    lines = [b'{"n":%d}\n' % number for number in range(5)]
    ended = finished(
        *STDIN_TO_STDOUT,
        "--filter",
        "+exits:Exits",
        "--workers",
        workers,
        given=b"".join(lines),
        cwd=tmp_path,
    )
    assert (ended.status, ended.out) == (0, b"".join(lines[:2] + lines[3:])), ended.err
    assert json.loads(ended.told[0])["class"] == "SystemExit"
    assert "lost 1 message: 1 failed" in ended.told[1]
