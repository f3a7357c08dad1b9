"""A file on standard input whose position outlives its run: nothing is left out, whatever becomes of the reader."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import MessageError, OpenError
from message_passing.flow import Output
from message_passing.inputs import _ordered
from message_passing.inputs.stdin import StdinInput
from message_passing.testing import TestOutput, run_input, running, wait_for
from nodes import OURS, part

if TYPE_CHECKING:
    from pathlib import Path

    from message_passing.delivery import Hold


class Taker(Output):
    """Takes what comes; or loses the first so many batches, rejects them, or holds them until it is told."""

    def on_init(self) -> None:
        """It takes everything."""
        self.taken: list[bytes] = []
        self.loses, self.rejects, self.holds = 0, False, False
        self.held_back: list[Hold] = []

    def write_many(self, messages: list[Any]) -> None:
        """Take them, or not."""
        if self.loses:
            self.loses -= 1
            self.drop(messages, "test")
            return
        self.taken += messages
        if self.rejects:
            self.fail(MessageError("test"), messages)
        if self.holds:
            self.held_back.append(self.hold())


def reader_of(path: Path, **given: Any) -> tuple[StdinInput, Taker]:
    """An input whose standard input is this file, opened anew, and what it delivers to."""

    class Redirected(StdinInput):
        """STDIN."""

        def on_close(self) -> None:
            super().on_close()
            os.close(self.fd)

    Redirected.fd = os.open(path, os.O_RDONLY)
    taker = Taker(error=TestOutput())
    options = {"position_file": f"{path}.pos", **given}
    return Redirected(error=TestOutput(), output_to=taker, **options), taker


def read(path: Path, **given: Any) -> list[bytes]:
    """What a run reads, to the end."""
    component, taker = reader_of(path, **given)
    run_input(component)
    return taker.taken


def saved_position(path: Path) -> int:
    """The position that the next run begins at."""
    return int(json.loads(path.with_name(f"{path.name}.pos").read_bytes())["place"]["position"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_the_next_run_goes_on(encoding: str, tmp_path: Path) -> None:
    """Behind the last line, though it had no newline; and in the encoding that the beginning of the file shows."""
    path = tmp_path / "orders"
    given = {"encoding": encoding} if encoding == "utf-16-be" else {}
    path.write_text("öne\n\ntwo\nlast", encoding=encoding)
    assert read(path, **given) == ["öne".encode(), b"two", b"last"]
    assert saved_position(path) == path.stat().st_size
    assert read(path, **given) == []
    with path.open("ab") as file:
        file.write("\nthrēe\n".encode("utf-16-le" if encoding == "utf-16" else encoding))
    assert read(path, **given) == ["thrēe".encode()]


def test_it_moves_when_all_before_is_settled(tmp_path: Path) -> None:
    """What is held, and half a line, are left for the next run by a stop; what is rejected is done with."""
    path = tmp_path / "orders"
    path.write_bytes(b"1\n2\n3")
    component, taker = reader_of(path)
    taker.holds = True
    component.open()
    component._kept.was_read(b"1\n2\n3", b"\n")  # type: ignore[union-attr] # so far it had read
    component.take(b"1\n2\n3")
    component.stopped()
    assert taker.taken == [b"1", b"2"]
    component.close()
    assert not path.with_name("orders.pos").exists()
    component, taker = reader_of(path)
    taker.rejects = True
    run_input(component)
    assert taker.taken == [b"1", b"2", b"3"]
    assert saved_position(path) == 5


def test_what_is_lost_is_delivered_again(tmp_path: Path) -> None:
    """Before the input ends, also where it was lost last; and other lines wait for it."""
    path = tmp_path / "orders"
    lines = [b"%d" % number for number in range(3000)]
    path.write_bytes(b"\n".join(lines))
    component, taker = reader_of(path)
    taker.loses = 2
    run_input(component)
    assert taker.taken == lines
    assert component.info()["redelivered"] == 2
    assert saved_position(path) == path.stat().st_size


def test_so_much_is_unsettled_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the bound; a stop then delivers the lines that were read, and the rest is read by the next."""
    monkeypatch.setattr(_ordered, "MOST_UNSETTLED", 2000)
    path = tmp_path / "orders"
    lines = [b"%05d" % number for number in range(100_000)]
    path.write_bytes(b"\n".join([*lines, b""]))
    component, taker = reader_of(path)
    taker.holds = True
    with running(component):
        wait_for(lambda: len(taker.taken) == 2000)
        assert component.info()["unsettled"] == 2000
        for hold in (taker.held_back.pop(), taker.held_back.pop()):
            hold.release()
        taker.holds = False
        wait_for(lambda: component.info()["unsettled"] == 0 and len(taker.taken) > 50_000)
    assert taker.taken == lines[: len(taker.taken)]
    assert taker.taken + read(path) == lines


def test_where_there_is_no_position(tmp_path: Path) -> None:
    """A pipe has none, and that in another file is none in this: each is refused in plain words, with what to do."""
    path, other = tmp_path / "orders", tmp_path / "other"
    path.write_bytes(b"1\n2\n")
    other.write_bytes(b"3\n4\n")
    assert read(path) == [b"1", b"2"]
    for wrong in (other, path):
        if wrong is path:
            path.write_bytes(b"1\n")
        component, _ = reader_of(wrong, position_file=f"{path}.pos")
        with pytest.raises(OpenError, match=r"is in another file, or this one was changed: .* to start over"):
            component.open()
        os.close(component.fd)
    component, _ = reader_of(other, position_file=str(other))
    with pytest.raises(OpenError, match="position_file is the file that is read: name another"):
        component.open()
    os.close(component.fd)
    reading, writing = os.pipe()
    component, _ = reader_of(path)
    os.close(component.fd)
    type(component).fd = reading
    with pytest.raises(OpenError, match=r"position_file is for a file as standard input \(message-passing"):
        component.open()
    os.close(reading)
    os.close(writing)


def test_killed_while_it_reads(tmp_path: Path) -> None:
    """The command is killed three times, at any moment: each line of the file is there, in its order."""
    path, written = tmp_path / "orders", tmp_path / "audit.log"
    lines = [b'{"n":"%06d%s"}' % (number, b"x" * 200) for number in range(20_000)]
    path.write_bytes(b"\n".join([*lines, b""]))
    words = [*OURS, *part("input", "STDIN", position_file=str(tmp_path / "position"))]
    words += part("output", "File", filename=str(written), fsync="batch")
    for kills in range(3, -1, -1):
        with path.open("rb") as file, subprocess.Popen(words, stdin=file, stderr=subprocess.PIPE) as node:
            if kills:
                before = written.stat().st_size if written.exists() else 0
                wait_for(
                    lambda: node.poll() is not None or (written.exists() and written.stat().st_size > before),  # noqa: B023
                    timeout=20,
                )
                time.sleep(kills / 100)
                node.kill()
            else:
                assert node.communicate(timeout=60)[1] == b""
                assert node.returncode == 0
    whole = {*lines}
    found = [
        line for line in written.read_bytes().split(b"\n") if line in whole
    ]  # a killed one may leave half a line
    assert list(dict.fromkeys(found)) == lines
