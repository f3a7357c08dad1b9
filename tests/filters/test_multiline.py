"""The filter Multiline."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from message_passing.delivery import Delivery, Outcome
from message_passing.errors import OptionError
from message_passing.filters.multiline import MultilineFilter
from message_passing.flow import Output
from support import Kept, accounted_for, until


class Joined:
    """A filter whose clock the test sets."""

    def __init__(self, **options: Any) -> None:
        self.kept = Kept()
        self.filter = MultilineFilter(**options, output_to=self.kept)
        self.now = 1000.0
        self.filter.clock = lambda: self.now

    def passed(self, *messages: Any) -> list[Any]:
        """What passes with them."""
        before = len(self.kept.messages)
        self.filter.consume_many(list(messages))
        assert accounted_for(self.filter)
        return self.kept.messages[before:]

    def closed(self) -> list[Any]:
        """What passes at the end."""
        before = len(self.kept.messages)
        self.filter.close()
        assert accounted_for(self.filter)
        return self.kept.messages[before:]


PYTHON = {
    "chained": "try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise KeyError('x') from e",
    "during": "try:\n  1/0\nexcept ZeroDivisionError:\n  [][1]",
    "a group": "raise ExceptionGroup('g', [ValueError('a'), ExceptionGroup('h', [KeyError('b')])])",
    "a recursion": "def f(n):\n  f(n + 1)\nf(0)",
    "a class with a module": "import json\njson.loads('{')",
    "no text": "raise KeyboardInterrupt",
}

TRACES = {
    "java": """\
Exception in thread "main" java.lang.IllegalStateException: A book has a null property
\tat com.example.Author.getBookIds(Author.java:38)
\tat com.example.Bootstrap.main(Bootstrap.java:14)
\tSuppressed: java.lang.Exception: closing
\t\tat com.example.Closer.close(Closer.java:1)
Caused by: java.lang.NullPointerException
\tat com.example.Book.getId(Book.java:22)
\t... 1 more""",
    "dotnet": """\
Unhandled exception. System.InvalidOperationException: outer
 ---> System.DivideByZeroException: Attempted to divide by zero.
   at Program.Inner() in /app/Program.cs:line 9
   --- End of inner exception stack trace ---
   at Program.Main() in /app/Program.cs:line 4
--- End of stack trace from previous location ---
   at System.Threading.Thread.StartCallback()""",
    "javascript": """\
Error: ENOENT: no such file or directory, open 'x'
    at Object.openSync (node:fs:601:3)
    at node:internal/main/run_main_module:28:49 {
  errno: -2,
  code: 'ENOENT',
  [cause]: TypeError: inner
      at f (file.js:1:2)
}""",
    "go": """\
2024/05/01 10:00:00 http: panic serving 127.0.0.1:5000: runtime error: index out of range
goroutine 18 [running]:
net/http.(*conn).serve.func1(0xc0000a0000)
\t/usr/local/go/src/net/http/server.go:1801 +0x147
panic(0x654321, 0xc000012345)
\t/usr/local/go/src/runtime/panic.go:975 +0x47a
main.handler({0x7ff, 0xc00}, ...)
\t/app/main.go:12 +0x1b
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:2933 +0x366""",
    "go ": """\
panic: assignment to entry in nil map [recovered]
\tpanic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48]

goroutine 1 [running]:
main.main()
\t/app/main.go:6 +0x2d

goroutine 2 [select]:
main.work(...)
\t/app/main.go:9 +0x1
exit status 2""",
    "ruby": """\
app.rb:2:in `divide': divided by 0 (ZeroDivisionError)
\tfrom app.rb:2:in `divide'
\tfrom app.rb:5:in `<main>'""",
}


@pytest.mark.parametrize("case", PYTHON)
def test_tracebacks_of_this_python(case: str) -> None:
    """As a real process writes them, between lines that are none."""
    done = subprocess.run([sys.executable, "-c", PYTHON[case]], capture_output=True, check=False, timeout=60)
    lines = done.stderr.splitlines()
    assert len(lines) > 2
    joined = Joined(preset=["python"])
    assert joined.passed(b"before", *lines, b"after") == [b"before", b"\n".join(lines), b"after"]


@pytest.mark.parametrize("language", TRACES)
def test_tracebacks_of_other_languages(language: str) -> None:
    """Twice in a row, with other presets beside the right one, and between lines that are none."""
    trace = TRACES[language]
    lines = trace.split("\n")
    joined = Joined(preset=["python", language.strip(), "java", "ruby", "go"])
    passed = joined.passed("INFO before", *lines, *lines, "INFO after")
    assert passed == ["INFO before", trace, trace, "INFO after"]
    assert joined.filter.snapshot()["filtered"] == 2 * (len(lines) - 1)


def test_a_line_that_is_none_passes_at_once() -> None:
    """With a preset nothing is kept but what may be a traceback."""
    joined = Joined(preset=["python", "java", "dotnet", "javascript", "go", "ruby"])
    lines = [
        "INFO a",
        "  indented",
        "",
        "level=Errors",
        "at last",
        7,
        None,
        ["x"],
        {"other": 1},
        {"message": 7},
    ]
    assert joined.passed(*lines) == lines
    assert joined.passed("java.io.IOException: x") == []
    assert joined.passed("INFO b") == ["java.io.IOException: x", "INFO b"]


def test_a_pattern_of_first_lines() -> None:
    """What comes before the first one is alone; a message keeps the other fields of its first line."""
    joined = Joined(start=r"^\d{4}-", field="log.line")
    given = [
        {"log": {"line": f"{text}\n", "n": n}}
        for n, text in enumerate(["x", "2024-01 a", "b", "", "c\r", "2024-02 d"])
    ]
    assert joined.passed(*given) == [given[0], {"log": {"line": "2024-01 a\nb\n\nc", "n": 1}}]
    assert given[1] == {"log": {"line": "2024-01 a\n", "n": 1}}
    assert joined.filter.held() == 1
    assert joined.closed() == [given[5]]


def test_a_pattern_of_further_lines() -> None:
    """Each other line begins a message."""
    joined = Joined(continuation=r"^\s")
    assert joined.passed(" x", "a", " b", "c", "d") == [" x", "a\n b", "c"]
    assert joined.closed() == ["d"]


def test_bytes_stay_what_they_are() -> None:
    """Also those that are no UTF-8; text and bytes are not joined with each other."""
    joined = Joined(continuation=r"^\s")
    assert joined.passed(b"\xff a", b" \xfe b", " c", b" d") == [" c"]
    assert joined.closed() == [b"\xff a\n \xfe b\n d"]
    assert Joined(start="a").passed({"message": b"a\xff"}, {"message": b"b\xff"}, {"message": "a"}) == [
        {"message": "a\ufffd\nb\ufffd"}
    ]


def test_lines_of_several_sources_come_mixed() -> None:
    """Each has its own message."""
    joined = Joined(start="^>", source=["host", "file"])
    lines = [{"host": h, "file": 1, "message": m} for h, m in ("a>", "b>", "a1", "b1", "a2", "c1", "a>")]
    found = joined.passed(*lines) + joined.closed()
    assert [one["message"] for one in found] == ["1", ">\n1\n2", ">\n1", ">"]


def test_time_ends_a_message() -> None:
    """Since its last line, and since its first: a line that comes later is another message."""
    joined = Joined(start="^>", timeout=2, longest=5)
    assert joined.passed(">", "1") == []
    joined.now += 1.9
    assert joined.passed("2") == []
    joined.now += 2.1
    assert joined.passed("3") == [">\n1\n2", "3"]
    assert joined.passed(">") == []
    for _ in range(5):
        joined.now += 1
        passed = joined.passed("x")
    assert passed == [">\nx\nx\nx\nx", "x"]


def test_in_a_loop_no_further_line_is_needed() -> None:
    """A timer ends the last message, of each source."""

    async def scenario() -> None:
        kept = Kept()
        multiline = MultilineFilter(start="^>", source=["s"], timeout=0.02, output_to=kept)
        multiline.consume_many([{"message": "> a", "s": 1}, {"message": "b", "s": 1}])
        multiline.consume_many([{"message": "> c", "s": 2}])
        await until(lambda: len(kept.messages) == 2)
        assert kept.messages == [{"message": "> a\nb", "s": 1}, {"message": "> c", "s": 2}]
        multiline.consume_many([{"message": "> d", "s": 1}])
        await multiline.flush()
        assert kept.messages[2:] == [{"message": "> d", "s": 1}]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"max_lines": 3}, [">", "1", "2", "3", "4", "5", "6"]),
        ({"max_size": 10}, [">", "12345", "123456", "1234567890", "x" * 100, "y"]),
        ({"buffer_size": 5}, [">", "12345", "123456", "7"]),
    ],
)
def test_what_is_too_long_is_passed_on_in_parts(options: Any, lines: list[str]) -> None:
    """Nothing is cut off or lost, and it is noted for a while."""
    joined = Joined(start="^>", **options)
    passed = joined.passed(*lines) + joined.closed()
    assert "\n".join(passed).split("\n") == lines
    assert len(passed) > 1
    assert "passed on in parts" in joined.filter.notes()[0]
    joined.now += 61
    assert joined.filter.notes() == []


def test_the_number_of_sources_is_bounded() -> None:
    """The oldest message is passed on."""
    joined = Joined(start="^>", source=["s"], max_sources=2)
    lines = [{"message": ">", "s": n} for n in range(5)]
    assert joined.passed(*lines) == lines[:3]
    assert joined.closed() == lines[3:]


def test_other_fields_count_too() -> None:
    """A short line may come in a message of any size, from any number of sources."""
    joined = Joined(start="^>", source=["s"], buffer_size=5000)
    lines = [{"message": ">", "s": n, "deep": {"x": ["y" * 1000]}} for n in range(9)]
    assert joined.passed(*lines) == lines[:5]
    assert joined.closed() == lines[5:]
    assert joined.filter._size == 0


class Refusing(Output):
    """Keeps what comes, or loses it."""

    loses = False

    def on_init(self) -> None:
        """Nothing yet."""
        self.messages: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep or lose them."""
        if self.loses:
            self.drop(messages, "disk full")
        self.messages += messages


def test_what_is_kept_is_not_acknowledged() -> None:
    """A delivery is settled when all its lines have passed, with the worst that became of them."""
    end = Refusing()
    multiline = MultilineFilter(start="^>", output_to=end)
    outcomes: list[tuple[int, Outcome]] = []

    def deliver(number: int, *lines: str) -> None:
        with Delivery(lambda outcome: outcomes.append((number, outcome)), multiline):
            multiline.consume_many([*lines])

    deliver(1, "x", ">", "1")
    deliver(2, "2")
    assert outcomes == []
    assert end.messages == ["x"]
    deliver(3, ">", "3")
    assert end.messages[1:] == [">\n1\n2"]
    assert outcomes == [(1, Outcome.DELIVERED), (2, Outcome.DELIVERED)]
    end.loses = True
    deliver(4, "y", ">")
    assert outcomes[2:] == [(3, Outcome.LOST)]
    end.loses = False
    multiline.close()
    assert outcomes[3:] == [
        (4, Outcome.LOST)
    ]  # ended a message that was lost: worse than necessary, never better
    assert accounted_for(multiline)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "set one of `preset`, `start` and `continuation`"),
        ({"start": "a", "continuation": "b"}, "set one of"),
        ({"preset": ["pyton"]}, "preset"),
        ({"start": "("}, "start: "),
        ({"continuation": "(a+)+(b+)\\1"}, "continuation: "),
        ({"start": "a", "timeout": 0}, "timeout"),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        MultilineFilter(**options)
    assert problem in str(caught.value)
