"""Whether a test's results are as expected, and if not, the difference in readable form."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.cli.config_tests.runner import CaseResult
    from message_passing.config.test_cases import Case


def problems(case: Case, result: CaseResult) -> list[str]:
    """The differences, as lines; empty if the test passes."""
    found = [result.failure] if result.failure else []
    for name, expected in (case.output or {}).items():
        got = result.output.get(name, [])
        if not _same(expected, got):
            found.append(f"{name}: expected (-) and got (+):")
            found += [f"  {line}" for line in _difference(expected, got)]
    found += _errors(case, result)
    if case.filtered not in (None, result.filtered):
        found.append(f"filtered: {result.filtered}, not {case.filtered}")
    return found


def _errors(case: Case, result: CaseResult) -> Iterator[str]:
    texts = ["\n".join(map(str, report.values())) for report in result.errors]
    for text in case.errors:
        if not any(text in one for one in texts):
            yield f"errors: none that was reported has {text!r}"
    for report, text in zip(result.errors, texts, strict=True):
        if not any(expected in text for expected in case.errors):
            yield f"errors: not expected: {report.get('component')}: {report.get('exception')}"


def _same(expected: list[Any], got: list[Any]) -> bool:
    if len(expected) != len(got):
        return False
    return all(
        message_as_text(message) == wanted
        if isinstance(wanted, str)
        else _canonical(message) == _canonical(wanted)
        for wanted, message in zip(expected, got, strict=True)
    )


def _difference(expected: list[Any], got: list[Any]) -> Iterator[str]:
    objects = any(not isinstance(one, str) for one in expected)
    before = [one if isinstance(one, str) else _canonical(one) for one in expected]
    after = [_canonical(one) if objects else message_as_text(one) for one in got]
    for line in difflib.ndiff(_lines(before), _lines(after)):
        if not line.startswith("?"):
            yield line.rstrip("\n")


def _lines(messages: list[str]) -> list[str]:
    return [line for message in messages for line in (message.splitlines() or [""])]


def message_as_text(message: Any) -> str:
    """A message as a line: bytes and text as they are, an object as JSON."""
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message).decode("utf-8", "backslashreplace")
    return message if isinstance(message, str) else _dumped(message)


def _canonical(message: Any) -> str:
    """JSON with sorted keys, of an object or of text that is JSON; other text as it is."""
    if isinstance(message, (str, bytes, bytearray, memoryview)):
        text = message_as_text(message)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return text
    return _dumped(message)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
