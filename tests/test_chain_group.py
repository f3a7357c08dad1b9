"""Several chains in one process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing import Chain, run_message_server
from message_passing.chain_group import as_chain
from message_passing.errors import ChainError, UserError
from message_passing.filters.null import NullFilter
from message_passing.flow import Output
from message_passing.testing import ListInput
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path


def declared(end: Kept, *messages: Any) -> Chain:
    """A chain of a list and an end, not yet built."""
    chain = Chain()
    chain.input("in", ListInput(messages=list(messages)), output_to="out")
    chain.output("out", end)
    return chain


def test_one_chain_stays_what_it_is() -> None:
    """Also alone in a list."""
    chain = declared(Kept(), 1)
    assert as_chain(chain) is chain
    assert as_chain([chain]) is chain


@pytest.mark.parametrize("nested", [False, True])
def test_several_run_together(nested: bool) -> None:
    """Chains, and inputs that were connected by hand, in a list or one by one."""
    ends = [Kept(), Kept(), Kept()]
    by_hand = ListInput(messages=[3], output_to=NullFilter(output_to=ends[2]))
    given: list[Any] = [declared(ends[0], 1), declared(ends[1], 2), by_hand]
    run_message_server(*([given] if nested else given))
    assert [end.messages for end in ends] == [[1], [2], [3]]


def test_names_stay_apart() -> None:
    """Each chain has names of its own: what comes again has a number behind it, and nothing comes twice."""
    end = Kept()
    group = as_chain([declared(end, 1), declared(Kept(), 2), ListInput(messages=[3], output_to=end)])
    assert len(group.build()) == 3
    assert list(group.components) == [
        *("in", "out", "in 2", "out 2", "ListInput input"),
        *("JSON encoder", "STDERR output"),  # the error chain of each chain is its own
    ]
    assert group.build() is group.heads


def test_the_faults_of_all_are_told() -> None:
    """Not those of the first chain alone."""
    wrong = [Chain(), Chain()]
    for number, chain in enumerate(wrong):
        chain.input(f"in {number}", "Nul", output_to="out")
        chain.output("out", Kept())
    with pytest.raises(UserError) as caught:
        as_chain(wrong).build()
    assert [fault.where for fault in caught.value.faults] == ["input 'in 0'", "input 'in 1'"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "not nothing"),
        ([], "there is no chain to run"),
        ([[]], "there is no chain to run"),
        (["in"], "not an object of type str"),
        ({"in": 1}, "not an object of type dict"),
    ],
)
def test_what_is_no_chain(given: Any, text: str) -> None:
    """It is said what is needed."""
    with pytest.raises(ChainError, match=text):
        as_chain(given)


SCRIPT = '''
from message_passing import message_chain
from message_passing.cli.script import Script
from message_passing.inputs.stdin import StdinInput
from message_passing.outputs.file import FileOutput
from message_passing.testing import ListInput

class Two(Script):
    """Two chains."""

    prog = "two"

    def build_chain(self):
        with message_chain() as chain:
            chain.input("in", ListInput(messages=[b"first"]), output_to="out")
            chain.output("out", "File", filename="first")
        return RESULT

Two.start()
'''


def test_a_command_that_returns_a_list(tmp_path: Path) -> None:
    """As the original's `build_chain` may: all of it runs, in the directory of the command."""
    by_hand = "[chain, StdinInput(output_to=FileOutput(filename='second'))]"
    (tmp_path / "two.py").write_text(SCRIPT.replace("RESULT", by_hand))
    done = finished(given=b"one\n", command=(sys.executable, "-W", "error", "two.py"), cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert (tmp_path / "second").read_bytes() == b"one\n"
    assert (tmp_path / "first").read_bytes() == b"first\n"


def test_a_command_that_returns_nothing(tmp_path: Path) -> None:
    """A `return` that was forgotten is a mistake in words, not a traceback."""
    (tmp_path / "two.py").write_text(SCRIPT.replace("return RESULT", "pass"))
    done = finished(command=(sys.executable, "-W", "error", "two.py"), cwd=tmp_path)
    assert (done.status, done.err) == (
        2,
        "two: a chain, an input, or a list of these is needed, not nothing\n",
    )


def test_a_report_names_the_component_as_its_chain_does() -> None:
    """By the name in the chain, with a number where chains have the same; without one, by what it is."""

    class Fails(Output):
        """Takes nothing."""

        def write(self, message: Any) -> None:
            """Refuse it."""
            raise ValueError(message)

    reports = Kept()
    chains: list[Any] = []
    for _ in range(2):
        chain = Chain()
        chain.input("in", ListInput(messages=[1]), output_to="archive")
        chain.output("archive", Fails(error=reports))
        chains.append(chain)
    by_hand = [ListInput(messages=[3], output_to=Fails(error=reports)) for _ in range(2)]
    run_message_server(*chains, *by_hand)
    named = ["archive", "archive 2", "Fails output", "Fails output 2"]
    assert [one["component"] for one in reports.messages] == named
    titles = [one.title for head in as_chain([*chains, *by_hand]).build() for one in head.outputs()]
    assert titles == ["archive (Fails)", "archive 2 (Fails)", "Fails output", "Fails output 2"]
