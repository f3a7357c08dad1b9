"""Chains by declaration: the successor of the original's DSL."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from message_passing import Filter, message_chain, run_message_server
from message_passing.chain import Chain, UnusedComponentWarning
from message_passing.declaration import Declaration
from message_passing.errors import Fault, UserError
from message_passing.flow import Output
from message_passing.outputs.null import NullOutput
from message_passing.testing import ListInput, TestOutput, run_input
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path


class Fails(Filter):
    """Fails on everything."""

    def filter(self, message: Any) -> Any:
        """Fail."""
        raise ValueError(f"not {message!r}")


class Unmade(Filter):
    """Has a constructor that fails."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        raise RuntimeError("no luck")

    def filter(self, message: Any) -> Any:
        """Never called."""
        return message


def faults(chain: Chain) -> list[str]:
    """What building it says."""
    with pytest.raises(UserError) as caught:
        chain.build()
    return [str(fault) for fault in caught.value.faults]


def test_a_chain_declared_backwards() -> None:
    """Names resolve when all is declared, whatever the order; names, classes and objects may be mixed."""
    end = TestOutput()
    with message_chain() as chain:
        chain.input("in", ListInput(messages=[b'{"a":1}', b'{"a":2}']), output_to="decoder")
        chain.decoder("decoder", "Message::Passing::Filter::Decoder::JSON", output_to="filter")
        chain.filter("filter", "Key", key="a", match=2, output_to="encoder")
        chain.encoder("encoder", "json", output_to="out")
        chain.output("out", end)
    run_message_server(chain)
    assert end.messages == [b'{"a":2}']
    assert chain.components["out"] is end
    assert [head.label for head in chain.heads] == ["ListInput input"]


def test_several_inputs_share_an_output_and_t_has_several() -> None:
    """Both ways of branching."""
    with message_chain() as chain:
        chain.output("left", "Test")
        chain.output("right", TestOutput)
        chain.filter("split", "T", output_to=["left", "right"])
        chain.input("one", ListInput(messages=[1, 2]), output_to="split")
        chain.input("two", ListInput(messages=[3]), output_to="split")
    run_message_server(chain)
    for name in ("left", "right"):
        output = chain.components[name]
        assert isinstance(output, TestOutput)
        assert sorted(output.messages) == [1, 2, 3]


def test_only_t_outputs_to_several() -> None:
    """Anything else says what to do."""
    chain = Chain()
    chain.input("in", "Null", output_to=["a", "b"])
    chain.output("a", "Null")
    chain.output("b", "Null")
    (fault,) = faults(chain)
    text = "can output to one component only: put a T filter between to reach several"
    assert fault == f"input 'in': output_to: Null input: {text}"


def test_all_faults_are_told_together() -> None:
    """Of names, of components, of options, of constructors, and those found before."""
    chain = Chain()
    chain.add_faults(Fault("the file ends early", "chain.toml"))
    known = ["error", "report_limit", "dead_letters", "output_to"]
    chain.input("in", "ZeorMQ", output_to="dcoder")
    chain.decoder("decoder", "JSON", output_to="filter", preetty=True)
    chain.filter("filter", Unmade, output_to="out")
    chain.output("out", "File")
    chain.output("out", 5)
    chain.output("none", None)
    assert faults(chain) == [
        "output 'out': there is already a component named 'out': the output",
        "chain.toml: the file ends early",
        "output 'none': a component is a name, a class or a component, not None",
        "input 'in': there is no component named 'dcoder' (did you mean 'decoder'?)",
        "input 'in': there is no input 'ZeorMQ' (did you mean 'ZeroMQ'?)",
        f"decoder 'decoder': JSON decoder has no option 'preetty' (it has {', '.join(known)})",
        "filter 'filter': Unmade filter cannot be made: RuntimeError: no luck",
        "output 'out': a component is a name, a class or a component, not 5",
    ]


def test_an_unused_component_is_a_warning() -> None:
    """It does no harm. Inputs and the head of the error chain are used by themselves."""
    chain = Chain()
    chain.error_log(output_to="errors")
    chain.output("errors", "Null")
    chain.input("in", "Null", output_to="out")
    chain.output("out", "Null")
    chain.filter("spare", "Null", output_to="out")
    with pytest.warns(UnusedComponentWarning) as caught:
        chain.build()
    assert [str(one.message) for one in caught] == [
        "unused filter 'spare' in the chain: nothing outputs to it"
    ]


def test_a_chain_is_built_once() -> None:
    """Whoever runs it gets what `message_chain` built."""
    with message_chain() as chain:
        chain.input("in", "Null", output_to="out")
        chain.output("out", "Null")
    out = chain.components["out"]
    assert chain.build() is chain.heads
    assert chain.components["out"] is out


def test_what_fails_in_the_block_is_not_hidden() -> None:
    """A chain that was not declared to its end is not built."""
    chain = message_chain()
    chain.__enter__().input("in", "NoSuchInput", output_to="out")
    error = ZeroDivisionError()
    assert not chain.__exit__(ZeroDivisionError, error, None)


def test_the_default_error_chain_is_json_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """One report is one line."""
    with message_chain() as chain:
        chain.input("in", ListInput(messages=["x"]), output_to="fails")
        chain.filter("fails", Fails, output_to=Kept())
    run_message_server(chain)
    (line,) = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert [told[name] for name in ("class", "exception", "component")] == [
        "ValueError",
        "not 'x'",
        "fails",
    ]


def test_error_log_is_for_all_and_error_for_one() -> None:
    """A component's own error chain goes before that of the whole chain."""
    own = Kept()
    with message_chain() as chain:
        chain.error_log("Null", output_to="log")
        chain.output("log", Kept())
        chain.input("in", ListInput(messages=["x"]), output_to="split")
        chain.filter("split", "T", output_to=["first", "second"])
        chain.filter("first", Fails, output_to="out")
        chain.filter("second", Fails, output_to="out", error=own)
        chain.output("out", "Null")
    run_message_server(chain)
    log = chain.components["log"]
    assert isinstance(log, Kept)
    assert len(log.messages) == len(own.messages) == 1


def test_errors_within_an_error_chain_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Never back into it, even where it shares its end with the chain."""

    class Full(Output):
        """A full disk."""

        def write(self, message: Any) -> None:
            """Refuse."""
            raise OSError(28, "No space left on device")

    with message_chain() as chain:
        chain.error_log(output_to="out")
        chain.input("in", ListInput(messages=["x"]), output_to="fails")
        chain.filter("fails", Fails, output_to="out")
        chain.output("out", Full)
    run_message_server(chain)
    (line,) = capfd.readouterr().err.splitlines()
    assert '"component": "out"' in line


def test_a_component_keeps_the_error_chain_that_it_came_with() -> None:
    """Made in Python with one, it is not given another."""
    mine = Kept()
    with message_chain() as chain:
        chain.error_log(output_to="log")
        chain.output("log", "Null")
        chain.input("in", ListInput(messages=["x"]), output_to="fails")
        chain.filter("fails", Fails(error=mine), output_to="out")
        chain.output("out", "Null")
    with warnings.catch_warnings():
        (head,) = chain.build()
    assert isinstance(head, ListInput)
    run_input(head)
    assert len(mine.messages) == 1


def test_a_chain_that_could_not_be_read_is_not_run() -> None:
    """Even when whoever read it keeps the faults to itself."""
    chain = Chain()
    chain.declare(Declaration("input", "in", None, None, (NullOutput(),)))
    assert faults(chain) == []


@pytest.mark.parametrize(
    ("side", "name", "option", "more"),
    [
        ("output", "ZeroMQ", "spool", {"socket_type": "DEALER", "connect": "tcp://127.0.0.1:5555"}),
        ("input", "ZeroMQ", "state_file", {"socket_type": "ROUTER", "connect": "tcp://127.0.0.1:5555"}),
        ("input", "FileTail", "position_file", {"filename": "orders.log"}),
    ],
)
def test_files_that_one_component_keeps_are_not_shared(
    side: str, name: str, option: str, more: dict[str, str], tmp_path: Path
) -> None:
    """Two that are given the same one, however it is written, are refused before anything is opened."""
    chain = Chain()
    chain.output("end", "Null")
    for number, folder in enumerate((tmp_path, tmp_path / "..", tmp_path)):
        path = str(folder / (tmp_path.name if number == 1 else "") / ("other" if number == 2 else "kept"))
        given = {**more, option: path}
        if side == "output":
            chain.output(f"part{number}", name, **given)
        else:
            chain.input(f"part{number}", name, output_to="end", **given)
    (fault,) = (one for one in faults(chain) if "only one component" in one)
    assert fault.startswith(f"{side} 'part1': ")
    assert fault.endswith("is used by 'part0' already, and only one component can use it")
