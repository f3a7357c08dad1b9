"""Which lines belong to one message: by a pattern, or as the tracebacks of programming languages are written.

A rule is asked about a line, and about the state that the line before it has led to. It says whether the line
continues that message, and what state follows. What the presets know takes time linear in a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from message_passing.conditions.patterns import searcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    LineRule = Callable[[str | None, str], "LineStep"]


class LineStep(NamedTuple):
    """What a line is.

    Attributes:
        continues: it belongs to the message before it; otherwise it begins one.
        state: what may continue that message after this line; None if nothing can.
    """

    continues: bool
    state: str | None


ALONE = LineStep(continues=False, state=None)
"""A line that is a message by itself."""
_BEGINS = LineStep(continues=False, state="open")
_CONTINUES = LineStep(continues=True, state="open")


def begins_with(pattern: str) -> LineRule:
    """A message begins with each line in which a pattern is found; what comes before the first one is alone.

    Raises:
        ValueError: see `patterns.searcher`.
    """
    search = searcher(pattern)
    return lambda state, line: _BEGINS if search(line) else _CONTINUES if state else ALONE


def continues_with(pattern: str) -> LineRule:
    """Each line in which a pattern is found belongs to the message before it, if there is one.

    Raises:
        ValueError: see `patterns.searcher`.
    """
    search = searcher(pattern)
    return lambda state, line: _BEGINS if not search(line) else _CONTINUES if state else ALONE


_RAISED = r"(?:Exception|Error|Throwable|Fault)(?=[:\s]|$)"
_FRAMES = (
    (r"\s+at\s[^\n]*\{$", "properties"),
    (
        r"\s+at\s|\s+\.\.\. \d+ |\s*(?:Caused by|Suppressed|Wrapped by): |\s*---> |\s*--- End of |\s+\[cause\]: ",
        "at",
    ),
)
_FRAMES_AT: dict[str, tuple[tuple[str, str | None], ...]] = {
    "raised": _FRAMES,
    "at": _FRAMES,
    "properties": ((r"\s+\S", "properties"), (r"\}$", "at")),
}

_RUBY_FRAME = r"\s+from |\s+\d+: from |(?![^\n]*\([A-Z][\w:]*\)$)\s*[^\s:]+:\d+:in "

_PRESETS: dict[str, tuple[str, str, dict[str, tuple[tuple[str, str | None], ...]]]] = {
    # docs.python.org/3/library/traceback.html: causes follow a blank line; groups are indented.
    "python": (
        r"^\s*(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):",
        "frames",
        {
            "frames": ((r"\s+[|+]", "group"), (r"\s", "frames"), (r"[A-Za-z_][\w.]*(?::|$)", "raised")),
            "group": ((r"\s", "group"),),
            "raised": ((r"$", "gap"), (r"\s", "raised")),
            "gap": ((r"During handling of the above exc|The above exception was the direct", "chained"),),
            "chained": ((r"$", "chained"), (r"Traceback \(most recent call last\):", "frames")),
        },
    ),
    "java": (_RAISED, "raised", _FRAMES_AT),
    "dotnet": (_RAISED, "raised", _FRAMES_AT),
    "javascript": (_RAISED, "raised", _FRAMES_AT),
    # pkg.go.dev/runtime: a panic, perhaps a signal, then goroutines with blank lines between them.
    "go": (
        r"(?:^|\s)(?:panic: |fatal error: |http: panic serving )|^goroutine \d+ \[",
        "panic",
        {
            "panic": (
                (r"$", "gap"),
                (r"\s*panic: |\[signal |\s*\[recovered", "panic"),
                (r"goroutine \d+ |runtime stack:", "stack"),
                (r"\t|[^\s(]+\(.*\)$|created by ", "stack"),
            ),
            "gap": ((r"goroutine \d+ |runtime stack:|r\w\w?\s+0x", "stack"), (r"exit status \d+$", None)),
            "stack": (
                (r"$", "gap"),
                (r"\t|[^\s(]+\(.*\)$|created by |\.\.\.|goroutine \d+ |r\w\w?\s+0x", "stack"),
                (r"exit status \d+$", None),
            ),
        },
    ),
    "ruby": (
        r"^[^\s:]+:\d+:in |\([A-Z][\w:]*\):?$",
        "raised",
        {"raised": ((_RUBY_FRAME, "raised"), (r"$", "raised"))},
    ),
}
"""By the language: what is found in a first line, the state after it, and for each state what may follow."""


def tracebacks_of(languages: Sequence[str]) -> LineRule:
    """The rule of tracebacks in some languages. All other lines are alone."""
    begins: dict[str, str] = {}
    follows: dict[str, list[tuple[re.Pattern[str], str | None]]] = {}
    for language in languages:
        first, initial, states = _PRESETS[language]
        if first in begins:  # another language's are written alike
            continue
        begins[first] = f"{language} {initial}"
        for state, patterns in states.items():
            follows[f"{language} {state}"] = [
                (re.compile(pattern, re.ASCII), then and f"{language} {then}") for pattern, then in patterns
            ]
    found = [(re.compile(pattern, re.ASCII).search, state) for pattern, state in begins.items()]

    def rule(state: str | None, line: str) -> LineStep:
        if state:
            for pattern, then in follows[state]:
                if pattern.match(line):
                    return LineStep(continues=True, state=then)
        for search, initial in found:
            if search(line):
                return LineStep(continues=False, state=initial)
        return ALONE

    return rule
