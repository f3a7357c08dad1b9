"""Configs with one thing wrong in each place: as many errors as causes, and none that only follows from another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from message_passing.cli.run.run_command import check_file, check_words

if TYPE_CHECKING:
    from pathlib import Path

ENDS = "input: STDIN\noutput: STDOUT\n"

CONFIGS = {
    "a component that there is not, with options": (
        "input: STDIN\noutput: STDUOT\noutput_options: {filename: x}\n",
        ["2:1: output.class: there is no output 'STDUOT' (did you mean 'STDOUT'?)"],
    ),
    "a misspelt option that is required": (
        f"{ENDS}filter: Key\nfilter_options: {{kye: a, match: b}}\n",
        ["4:18: Key filter has no option 'kye' (did you mean 'key'?)"],
    ),
    "a misspelt key": (
        "inptu: STDIN\noutput: STDOUT\n",
        ["1:1: there is no option 'inptu' (did you mean 'input'?)"],
    ),
    "a kind without its s": (
        (
            "inputs:\n  in: {class: STDIN, output_to: d}\ndecoder:\n  d: {class: JSON, output_to: out}\n"
            "outputs:\n  out: {class: File}\n"
        ),
        [
            "3:1: decoder: a table of components is named 'decoders' here",
            "6:3: outputs.out.options: File output needs the option 'filename' (non-empty str)",
        ],
    ),
    "every kind without its s": (
        "input:\n  in: {class: STDIN, output_to: out}\noutput:\n  out: {class: STDOUT}\n",
        [
            "1:1: input: a table of components is named 'inputs' here",
            "3:1: output: a table of components is named 'outputs' here",
        ],
    ),
    "nothing": ("", ["it is empty"]),
    "nothing but comments": ("# all of it\n", ["it is empty"]),
    "options of the command": (
        f"{ENDS}workers: many\nhttp: nonsense\ncontrol: ''\n",
        [
            "3:1: option 'workers' must be int from 0 to 256, not 'many'",
            "4:1: http: must be HOST:PORT, like 127.0.0.1:9090, not 'nonsense'",
            "5:1: option 'control' must be non-empty str, not ''",
        ],
    ),
    "several inputs in the flat form": (
        "input: [STDIN, Null]\ninput_options: [{}, {}]\noutput: STDOUT\n",
        [
            (
                "1:1: input: names 2 components: only decoder, filter, encoder can be stacked; for several inputs "
                "and outputs use the named form of a config file"
            )
        ],
    ),
    "tables that are none": (
        "inputs:\n  in: STDIN\noutputs: STDOUT\n",
        [
            "2:3: inputs.in: must be a table with class, options and output_to",
            "3:1: outputs: must be a table of components by their names",
        ],
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_each_cause_has_one_error(tmp_path: Path, name: str) -> None:
    """With line and column, where there is one."""
    text, told = CONFIGS[name]
    file = tmp_path / "c.yaml"
    file.write_text(text)
    found = [
        str(one).removeprefix(str(file)).lstrip(":").lstrip() for one in check_file(str(file)).diagnostics
    ]
    assert found == told


def test_options_are_checked_with_the_file(tmp_path: Path) -> None:
    """As they would run together; what is on the command line has no file."""
    file = tmp_path / "c.yaml"
    file.write_text("input: STDIN\noutput: STDUOT\n")
    found = check_words([str(file), "--filter", "Nul", "--workers", "x"]).diagnostics
    assert list(map(str, found)) == [
        "--workers: option 'workers' must be int from 0 to 256, not 'x'",
        "--filter: there is no filter 'Nul' (did you mean 'Null'?)",
        f"{file}:2:1: output.class: there is no output 'STDUOT' (did you mean 'STDOUT'?)",
    ]
    assert check_words([str(file), "--output", "STDOUT", "--filter", "Null"]).right


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (f"{ENDS}filter: Null\nfilter_options: {{x: *a9}}\n", ["Null filter has no option 'x'"]),
        (f"{ENDS}filter: *a9\nfilter_options: *a9\n", ["must be a component's name, not [[["]),
        (f"{ENDS}filter: *a9\nfilter_options: [*a9]\n", ["must be a list of 9, one for each of [[["]),
        ("input: STDIN\noutput: *a9\n", ["output: names 9 components"]),
        (
            "inputs: *a9\noutputs: {o: {class: *a9}}\n",
            ["inputs: must be a table", "outputs.o.class: needs a class"],
        ),
        (f"{ENDS}output_options: &a {{x: *a, y: [*a, '${{NOBODY_SET_THIS}}']}}\n", ["'NOBODY_SET_THIS'"]),
    ],
)
def test_aliases_of_aliases_are_soon_checked(tmp_path: Path, config: str, told: list[str]) -> None:
    """What is written in a few hundred bytes of YAML, and would be billions of values, is looked at once each."""
    file = tmp_path / "c.yaml"
    lines = ["a:", "- &a0 x", *(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    file.write_text("\n".join([*lines, config]))
    began = time.thread_time()
    found = [str(one) for one in check_file(str(file)).diagnostics]
    assert time.thread_time() - began < 2
    assert all(len(one) < 2000 for one in found)
    for sentence in told:
        assert any(sentence in one for one in found), found


def test_a_config_that_is_nested_too_deeply(tmp_path: Path) -> None:
    """Deeper than what replaces its variables can go: an error like others."""
    file = tmp_path / "c.json"
    file.write_text('{"input": "STDIN", "output": "STDOUT", "x": ' + "[" * 400 + "]" * 400 + "}")
    (one,) = check_file(str(file)).diagnostics
    assert str(one) == f"{file}: nested too deeply"
