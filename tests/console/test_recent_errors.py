"""The last failures that a node keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.console.recent_errors import KEPT, SHOWN, RecentErrors
from message_passing.console.watcher import ServerWatcher
from message_passing.failures import DATA_LIMIT
from message_passing.runner import Server
from message_passing.testing import ListInput
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "made",
    [
        lambda: {"class": "x" * 10_000_000, "exception": "x" * 10_000_000, "packed_data": "x" * 10_000_000},
        lambda: {
            "exception": {"a": "x" * 10_000_000},
            "component": 1 << 10_000_000,
            "stringified_data": ["x"] * 10_000_000,
        },
        lambda: "x" * 10_000_000,
        lambda: b"x" * 10_000_000,
        lambda: ["x" * 10_000_000],
    ],
    ids=["a report", "an odd report", "text", "bytes", "a list"],
)
def test_what_is_kept_is_small(made: Callable[[], Any]) -> None:
    """Whatever goes to the error chain: so many are kept, and of each so many characters."""
    message = made()
    kept, reports = Kept(), RecentErrors()
    reports.listen([kept])
    for _ in range(2 * KEPT):
        kept.consume(message)
    reports.leave()
    assert reports.count == 2 * KEPT
    assert len(reports.last()) == KEPT
    assert len(json.dumps(reports.last())) < KEPT * 5 * SHOWN
    assert kept.messages[-1] is message


def test_a_report_is_kept_whole() -> None:
    """The text that it has of a message is cut once, not twice."""
    reports = RecentErrors()
    chain = JSONEncoder(output_to=Kept())
    reports.listen([chain])
    JSONDecoder(error=chain).consume(b"x" * 10_000)
    (kept,) = reports.last()
    assert kept["message"] == "x" * DATA_LIMIT + f"... ({10_000 - DATA_LIMIT} bytes more)"
    assert kept["error"].startswith("DecodingError: malformed JSON")


def test_what_goes_to_no_error_chain_of_its_own_is_noted_too() -> None:
    """Where the chain's own output takes the reports, they are noted and its messages are not; to a stranger, too."""

    class Stranger:
        def consume(self, message: Any) -> None:
            """Take it."""

    kept = Kept()
    for error in (kept, Stranger()):
        decoder = JSONDecoder(error=error, output_to=kept)
        server = Server([ListInput(output_to=decoder, error=JSONEncoder(output_to=Kept()))])
        watcher = ServerWatcher(server)
        decoder.consume_many([b"1", b"{", b"2"])
        assert watcher.reports.count == 1
        watcher.leave()
        decoder.consume(b"{")
        assert watcher.reports.count == 1
        assert not kept.observers
        assert not decoder.report_observers
