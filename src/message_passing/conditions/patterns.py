r"""Regular expressions in conditions: by `re` where its time is linear, else by google-re2, else by `re` at a risk.

`re` is the faster one by far for the patterns that are usual for logs, but it backtracks: with a repetition within a
pattern it may take time with the square of a text's length, with several more than that, and with one repetition in
another time exponential in it. RE2 takes linear time for all it knows, and does not know look-around or references to
groups (github.com/google/re2/wiki/Syntax). Where it is not installed, or does not know what a pattern uses, `re`
takes the pattern, and the exponential ones are refused. Classes such as `\d` are of ASCII, in RE2 as in `re`.
"""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined] # the parser of `re` itself (Lib/re)
from re import _parser as parser  # type: ignore[attr-defined] # likewise
from typing import TYPE_CHECKING, Any

from message_passing.conditions.python_warnings import python_warnings
from message_passing.errors import PackageError, needs_extra

_without_re2 = ""  # why RE2 cannot be used
try:
    with needs_extra("re2"):
        import re2
except PackageError as error:
    re2, _without_re2 = None, str(error)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MANY = 10
"""Repetitions from which on a group counts as repeated any number of times."""

_FEW_WAYS, _MOST_WAYS = 1_000, 1_000_000
"""In how many ways optional and counted parts may match from one place: up to the first in `re` if RE2 is there, and
up to the second without it."""

_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)


def searcher(pattern: str, *, linear: bool = False) -> Callable[[str], object]:
    """A function that returns None if a text does not contain what a pattern describes.

    Args:
        pattern: a regular expression.
        linear: refuse what may take more than linear time.

    Raises:
        ValueError: it is not a regular expression, or one that may take exponential time.
    """
    found, parsed = _compiled(pattern)
    if not _is_linear(parsed):
        if re2 is not None and (by_re2 := _by_re2(pattern)):
            return by_re2
        if linear:
            how = "RE2 does not know it" if re2 else f"RE2 is not available: {_without_re2}"
            raise ValueError(f"it may take more than linear time, which is not allowed here, and {how}")
    _refuse(parsed)
    return found.search


def refuse_exponential(pattern: str) -> re.Pattern[str]:
    """A pattern of `re`.

    Raises:
        ValueError: it is not a regular expression, or one that may take exponential time.
    """
    found, parsed = _compiled(pattern)
    _refuse(parsed)
    return found


def _compiled(pattern: str) -> tuple[re.Pattern[str], Any]:
    with python_warnings("error"):
        try:
            return re.compile(pattern, re.ASCII), parser.parse(pattern, re.ASCII)
        except (re.error, Warning, RecursionError, OverflowError) as error:
            hint = " (a named group is written (?P<name>...))" if "extension ?<" in str(error) else ""
            raise ValueError(f"it is not a regular expression: {error}{hint}") from error


def _refuse(parsed: Any) -> None:
    if danger := next(_dangers(parsed), ""):
        raise ValueError(f"{danger}, and may take time exponential in the length of a text")
    if _ways(parsed) > _MOST_WAYS:
        text = "its optional and counted parts (? and {m,n}) can match in more than"
        raise ValueError(f"{text} {_MOST_WAYS:,} ways, and may take time in proportion to that")


def _by_re2(pattern: str) -> Callable[[str], object] | None:
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern.encode(), options).search
    except (re2.error, UnicodeError):
        return None
    return lambda text: search(text.encode(errors="replace"))  # with bytes it is twice as fast as with a str


def _is_linear(parsed: Any) -> bool:
    """Whether `re` takes linear time: nothing is repeated without end, except what ends the pattern."""
    *before, last = parsed or [(None, None)]
    code, argument = last
    if code in _REPEATS:
        before.append((codes.SUBPATTERN, (None, 0, 0, argument[2])))
    else:
        before.append(last)
    return not any(map(_repeats, before)) and _ways(parsed) <= _FEW_WAYS


def _ways(parsed: Any) -> int:
    """In how many ways a pattern can match from one place, apart from what it repeats without limit; at most a bound.

    `a?a?` in four: each part multiplies the ways that `re` tries where the rest does not match.
    """
    ways = 1
    for code, argument in parsed:
        if code in (*_REPEATS, codes.POSSESSIVE_REPEAT):
            least, most, body = argument
            inner = _ways(body)
            counted = most < _MANY * _MANY
            if inner > 1:  # repeated without limit it is what `_dangers` refuses
                ways *= inner ** min(most, 30) if counted else inner
            if counted and code is not codes.POSSESSIVE_REPEAT:
                ways *= most - least + 1
        elif code is codes.BRANCH:
            ways *= (
                sum(map(_ways, argument[1])) if not _told_apart(argument[1]) else max(map(_ways, argument[1]))
            )
        elif code is codes.SUBPATTERN:
            ways *= _ways(argument[-1])
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            ways *= _ways(argument[1])
        ways = min(ways, _MOST_WAYS + 1)
    return ways


def _repeats(part: Any) -> bool:
    code, argument = part
    if code in (*_REPEATS, codes.POSSESSIVE_REPEAT):
        return argument[1] >= _MANY * _MANY or any(map(_repeats, argument[2]))
    if code is codes.BRANCH:
        return any(_repeats(one) for body in argument[1] for one in body)
    if code in (codes.SUBPATTERN, codes.ATOMIC_GROUP):
        return any(map(_repeats, argument[-1] if code is codes.SUBPATTERN else argument))
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return any(map(_repeats, argument[1]))
    return code in (codes.GROUPREF, codes.GROUPREF_EXISTS)


def _dangers(parsed: Any, *, repeated: bool = False) -> Iterator[str]:
    """What in a parsed pattern makes `re` try a text in exponentially many ways."""
    for code, argument in parsed:
        if code in (codes.GROUPREF, codes.GROUPREF_EXISTS):
            yield "it refers to a group"
        elif code in _REPEATS:
            least, most, body = argument
            if repeated and least != most:
                yield "it repeats what contains a repetition"
            yield from _dangers(body, repeated=repeated or most >= _MANY)
        elif code is codes.BRANCH:
            if repeated and not _told_apart(argument[1]):
                yield "it repeats alternatives that may begin alike"
            for body in argument[1]:
                yield from _dangers(body, repeated=repeated)
        elif code is codes.SUBPATTERN:
            yield from _dangers(argument[-1], repeated=repeated)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield from _dangers(argument[1], repeated=repeated)
        # What is atomic or possessive (codes.ATOMIC_GROUP, codes.POSSESSIVE_REPEAT) is not tried again.


def _told_apart(branches: Any) -> bool:
    """Whether each alternative begins with a letter of its own."""
    first = [tuple(body[0]) if len(body) else () for body in branches]
    return all(one and one[0] is codes.LITERAL for one in first) and len(set(first)) == len(first)
