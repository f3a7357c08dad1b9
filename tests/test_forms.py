"""From the two forms of a config file to chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.config.forms import (
    DEFAULTS,
    FLAT_PARTS,
    flat_chain,
    is_named,
    named_chain,
    read_declaration,
)
from message_passing.errors import UserError
from message_passing.failures import LAST_RESORT
from message_passing.outputs.stderr import StderrOutput
from message_passing.outputs.test import TestOutput

if TYPE_CHECKING:
    from message_passing.chain import Chain
    from message_passing.declaration import Declaration


def parts(values: dict[str, Any]) -> dict[str, Declaration]:
    """The parts of a flat chain, as a command makes them."""
    return {
        name: read_declaration(
            kind,
            values.get(name, DEFAULTS.get(name)),
            values.get(f"{name}_options", {}),
            f"--{name}",
            f"--{name}_options",
        )
        for name, (kind, _) in FLAT_PARTS.items()
    }


def faults(chain: Chain) -> list[str]:
    """What building it says."""
    with pytest.raises(UserError) as caught:
        chain.build()
    return [str(fault) for fault in caught.value.faults]


def test_the_flat_form() -> None:
    """Input -> decoder -> filter -> encoder -> output, and an error chain for all of them."""
    chain = flat_chain(parts({"input": "STDIN", "output": "Test", "encoder_options": {"pretty": True}}))
    (head,) = chain.build()
    names = []
    component: Any = head
    while component:
        names.append(component.label)
        component = next(iter(component.outputs()), None)
    assert names == ["STDIN input", "JSON decoder", "Null filter", "JSON encoder", "Test output"]
    made = chain.components
    encoder, error_encoder = made["encoder"], made["error_encoder"]
    assert isinstance(encoder, JSONEncoder)
    assert encoder.pretty
    assert all(made[name].error is error_encoder for name in ("input", "decoder", "encoder", "output"))
    assert (error_encoder.error, made["error"].error) == (LAST_RESORT, LAST_RESORT)
    assert isinstance(made["error"], StderrOutput)


@pytest.mark.parametrize(
    "options",
    [{"pretty": True}, '{"pretty": true,}', "pretty=true", ["pretty=true"], ["pretty=no", '{"pretty": 1}']],
)
def test_options_are_a_mapping_or_text(options: Any) -> None:
    """As the original takes JSON text in a config file too."""
    values = {"input": "STDIN", "output": "Test", "encoder_options": options}
    if options == ["pretty=no", '{"pretty": 1}']:
        values["encoder_options"] = ["pretty=false", '{"pretty": 1}']
    chain = flat_chain(parts(values))
    chain.build()
    encoder = chain.components["encoder"]
    assert isinstance(encoder, JSONEncoder)
    assert encoder.pretty


def test_faults_of_the_flat_form() -> None:
    """All of them, whatever else is missing."""
    values = {"output": 5, "filter": "Nul", "filter_options": [5], "decoder_options": "{", "error": "File"}
    told = faults(flat_chain(parts(values)))
    assert told[0].startswith("--input is required: one of FileTail, ")
    assert told[1:] == [
        "--decoder_options: malformed JSON: Expecting property name enclosed in double quotes at column 2",
        "--filter_options: must be an object of options, not [5]",
        "--output: must be a component's name, not 5",
        "--filter: there is no filter 'Nul' (did you mean 'Null'?)",
        "--error_options: File output needs the option 'filename' (non-empty str)",
    ]


def test_what_has_been_told_is_not_told_again() -> None:
    """A part whose name or options could not be read still has its other faults looked for."""
    flat = parts({"input": "STDIN", "filter": "Nul"})
    flat["output"] = read_declaration(
        "output", None, {}, "--output", "--output_options", already_reported=True
    )
    flat["filter"] = read_declaration("filter", "Nul", None, "--filter", "--filter_options")
    assert faults(flat_chain(flat)) == ["--filter: there is no filter 'Nul' (did you mean 'Null'?)"]


NAMED: dict[str, Any] = {
    "error_log": "errors",
    "inputs": {
        "one": {"class": "STDIN", "output_to": "decoder"},
        "two": {"class": "Null", "output_to": ["decoder"], "error": "own"},
    },
    "decoders": {"decoder": {"class": "JSON", "output_to": "split"}},
    "filters": {"split": {"class": "T", "options": {"copy": False}, "output_to": ["out", "own"]}},
    "outputs": {"out": {"class": "Test"}, "own": {"class": "Test"}, "errors": {"class": "Test"}},
}


def test_the_named_form() -> None:
    """Several inputs with a common output, several outputs of T, error chains for all and for one."""
    assert is_named(NAMED)
    assert not is_named({"input": "STDIN", "output_options": {}})
    chain = named_chain(NAMED, "chain.toml")
    one, two = chain.build()
    made = chain.components
    assert one.outputs() == two.outputs() == (made["decoder"],)
    assert isinstance(made["decoder"], JSONDecoder)
    assert list(made["split"].outputs()) == [made["out"], made["own"]]
    assert (one.error, two.error) == (made["errors"], made["own"])
    assert (made["errors"].error, made["own"].error) == (LAST_RESORT, LAST_RESORT)
    assert isinstance(made["out"], TestOutput)
    assert made["out"].error is made["errors"]


def test_faults_of_the_named_form() -> None:
    """Wrong tables are told with their places, and what is right in them is still checked."""
    values = {
        "error_log": ["errors"],
        "inputs": {
            "a": "STDIN",
            "b": {"class": "STDIN"},
            "c": {"class": "STDNI", "output_to": "out", "x": 1},
        },
        "filters": ["Null"],
        "encoders": {"e": {"output_to": 5, "error": 5, "options": [], "class": 5}},
        "outputs": {"out": {"class": "Test", "options": {"x": 1}}},
    }
    keys = "it has class, options, output_to, error"
    assert faults(named_chain(values, "c.json")) == [
        "c.json: inputs.a: must be a table with class, options and output_to",
        f"c.json: inputs.c: there is no key 'x' here ({keys}); options go into `options`",
        "c.json: filters: must be a table of components by their names",
        "c.json: encoders.e: needs a class: a component's name",
        "c.json: encoders.e.options: must be a table of options",
        "c.json: encoders.e.output_to: must be a name or a list of names",
        "c.json: encoders.e.error: must be a name",
        "c.json: error_log: must be the name of a component",
        "c.json: inputs.b: needs an output_to",
        "c.json: inputs.c: there is no input 'STDNI' (did you mean 'STDIN'?)",
        "c.json: outputs.out.options.x: Test output has no option 'x' (it has report_limit, dead_letters)",
    ]


def test_errors_may_not_be_given_as_an_option() -> None:
    """`error` and `output_to` are objects in Python; in a file they stand beside the options."""
    values = {
        "inputs": {"a": {"class": "STDIN", "output_to": "out", "options": {"error": "out"}}},
        "outputs": {"out": {"class": "Test"}},
    }
    assert faults(named_chain(values, "c.json")) == [
        "c.json: inputs.a.options.error: STDIN input: option 'error' can only be given from Python"
    ]
