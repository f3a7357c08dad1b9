"""How far long work has got: shown on a terminal, and nowhere else."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

import pytest

from commands import finished
from message_passing.cli.formatting import size, span
from message_passing.cli.progress import DRAWING_INTERVAL, ProgressLine
from message_passing.cli.terminal import tell
from message_passing.failures import last_resort
from message_passing.stderr_line import make_way
from message_passing.testing import wait_for
from nodes import lines, part
from terminal import in_terminal, terminal

if TYPE_CHECKING:
    from pathlib import Path

SLOW = '''"""A filter that takes its time."""

import time

from message_passing.flow import Filter


class Slow(Filter):
    """Passes on each message after a while."""

    def filter(self, message):
        """After a tenth of a millisecond."""
        time.sleep(0.0001)
        return message
'''

LINES = 20_000
LINE = b'{"message":"%s"}\n' % (b"x" * 200)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a long file, and a slow filter."""
    (tmp_path / "in").write_bytes(LINE * LINES)
    (tmp_path / "slowly.py").write_text(SLOW)
    return tmp_path


def chain(work: Path, *output: str) -> list[str]:
    """The words of a chain that takes a while."""
    return [
        "--quiet",
        "--filter",
        "+slowly:Slow",
        *(output or part("output", "File", filename=str(work / "out"))),
    ]


def test_a_file_on_standard_input_shows_how_far_it_is(work: Path) -> None:
    """One line, redrawn in its place, with what is done, how fast, and how long it takes yet; none is left."""
    with (work / "in").open("rb") as given:
        shown = in_terminal("--input", "STDIN", *chain(work), stdin=given, env={"PYTHONPATH": _path(work)})
    assert shown.status == 0
    assert len(lines(work / "out")) == LINES
    drawn = shown.text.split(b"\r\x1b[K")
    assert len(drawn) >= 4
    assert b"%" in drawn[1]
    assert b"/4.3 MB" in drawn[1]
    assert any(re.search(rb"[\d.]+ [kM]B/s.*\d:\d\d:\d\d", one) for one in drawn), drawn
    assert drawn[-1] == b""
    assert b"\n" not in shown.text


def test_a_replay_shows_how_far_it_is(work: Path) -> None:
    """The same line, until it says what became of the messages."""
    config = work / "chain.toml"
    config.write_text(
        '[inputs.in]\nclass = "STDIN"\noutput_to = "out"\n'
        f'[outputs.out]\nclass = "File"\noptions = {{ filename = "{work / "out"}" }}\n'
    )
    (work / "few").write_bytes(LINE * 1000)
    shown = in_terminal("replay", str(work / "few"), "--config", str(config), "--rate", "1000")
    drawn = shown.text.split(b"\r\x1b[K")
    assert (shown.status, len(lines(work / "out"))) == (0, 1000)
    assert len(drawn) >= 3
    assert b"kB" in drawn[1]
    assert drawn[-1].strip() == b"message-passing replay: 1000 taken"


def _path(work: Path) -> str:
    return ":".join([str(work), *filter(None, sys.path)])


def test_a_followed_file_shows_how_far_it_has_caught_up(work: Path) -> None:
    """When it has, the line is gone, though the work goes on."""
    words = part("input", "FileTail", filename=str(work / "in"), start="beginning", raw=True)
    with terminal(*words, *chain(work), env={"PYTHONPATH": _path(work)}) as screen:
        screen.shows(b"/4.3 MB")
        screen.shows(b"%")
        wait_for(lambda: len(lines(work / "out")) == LINES, timeout=60)
        screen.process.terminate()
        assert screen.ended() == 0
        assert screen.text.endswith(b"\r\x1b[K")
        assert b"\n" not in screen.text


def test_reports_stand_on_lines_of_their_own(work: Path) -> None:
    """What is written to standard error takes the line's place, and the line comes again below."""
    (work / "in").write_bytes(LINE * (LINES // 2) + b"no json\n" + LINE * (LINES // 2))
    with (work / "in").open("rb") as given:
        shown = in_terminal("--input", "STDIN", *chain(work), stdin=given, env={"PYTHONPATH": _path(work)})
    before, report, after = shown.text.partition(b"malformed JSON")
    assert report
    assert b"%" not in before.rpartition(b"\r\x1b[K")[2]
    assert b"%" in before
    assert b"%" in after.partition(b"\r\n")[2]


def test_it_is_silent_in_a_pipe(work: Path) -> None:
    """Standard error has nothing but what is wrong."""
    with (work / "in").open("rb") as given:
        done = finished("--input", "STDIN", *chain(work), given=given, cwd=work)
    assert (done.status, done.err) == (0, "")


def test_it_is_silent_where_messages_are_written_to_the_terminal(work: Path) -> None:
    """They would be torn by it."""
    (work / "in").write_bytes(LINE * (LINES // 2))
    words = ["--input", "STDIN", *chain(work, "--output", "STDOUT")]
    with (work / "in").open("rb") as given:
        shown = in_terminal(*words, stdin=given, env={"PYTHONPATH": _path(work)})
    assert shown.status == 0
    assert b"\x1b[K" not in shown.text
    assert shown.text.count(b"\r\n") == LINES // 2


class Screen(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        """It is one."""
        return True

    def fileno(self) -> int:
        """But the system knows nothing of it.

        Raises:
            OSError: always.
        """
        raise OSError


def test_it_is_drawn_five_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is shown, on no terminal not at all, and on a dumb one neither."""
    monkeypatch.setenv("TERM", "xterm")
    now = [0.0]
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with ProgressLine(lambda: now[0]) as line:
        for step in range(100):
            now[0] = step / 100
            line.show(step, 200)
        assert screen.getvalue().count("%") == round(1 / DRAWING_INTERVAL)
    monkeypatch.setenv("TERM", "dumb")
    assert not ProgressLine().wanted
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not ProgressLine().wanted
    monkeypatch.setattr(sys, "stderr", None)
    assert not ProgressLine().wanted


def test_amounts_and_times() -> None:
    """As a person says them."""
    assert (size(999), size(1000), size(123_456), size(5e12)) == ("999 B", "1.0 kB", "123 kB", "5.0 TB")
    assert (span(3), span(89), span(91), span(12_000)) == ("3 s", "89 s", "2 min", "3 h 20 min")


def test_whatever_we_write_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is erased first; standard error itself stays what it is."""
    monkeypatch.setenv("TERM", "xterm")
    screen, now = Screen(), [0.0]
    monkeypatch.setattr(sys, "stderr", screen)
    with ProgressLine(lambda: now[0]) as line:
        assert sys.stderr is screen
        for say, what in ((tell, "told\n"), (last_resort, "reported"), (tell, "")):
            now[0] += 1
            line.show(1, 2)
            say(what)
    make_way()
    parts = screen.getvalue().split("\r\x1b[K")
    assert all("50%" in parts[number] for number in (1, 3, 5))
    assert (parts[0], parts[2], parts[4]) == ("", "told\n", '"reported"\n')
    assert parts[6:] == [""]


def test_a_narrow_terminal_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is left out."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with ProgressLine() as line:
        line.show(10**9, 10**10)
    assert "\n" not in screen.getvalue()
    shown = re.sub(r"\x1b\[[\d;]*[mK]", "", screen.getvalue()).strip("\r")
    assert "%" in shown
    assert len(shown) < 20


def test_without_rich_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, and nobody has asked for a picture."""
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    with ProgressLine() as line:
        line.show(1, 2)
        assert not line.wanted
    assert screen.getvalue() == ""
