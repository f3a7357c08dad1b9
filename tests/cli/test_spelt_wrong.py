"""What a shell, YAML or another language made of what was meant: it is understood, or it is said what to write."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing.config.forms import FLAT_PARTS
from message_passing.config.parsing import COMPONENT_KEYS, load_file, options_from_text
from message_passing.console.listening import http_address
from message_passing.errors import ConfigError, OptionError
from message_passing.zeromq.endpoints import check_endpoint
from nodes import OURS

if TYPE_CHECKING:
    from pathlib import Path

FLAT = """
input: {input}
input_options: {{}}
decoder: {decoder}
filter: {filter}
encoder: [{encoder}, Null]
output: {output}
error: Null
error_encoder: Null
"""

NAMED = """
inputs:
  in: {class: Null, output_to: out}
outputs:
  out:
    class: Null
"""


def test_the_names_of_components() -> None:
    """The keys under which YAML's Null is a name are those that name components."""
    assert set(COMPONENT_KEYS) == set(FLAT_PARTS)


def test_null_is_a_name_in_yaml(tmp_path: Path) -> None:
    """Where a component is named, also in lists and in the named form; elsewhere it is no value."""
    (tmp_path / "flat.yaml").write_text(FLAT.format(**dict.fromkeys(COMPONENT_KEYS, "Null")) + "x: Null\n")
    values = load_file(str(tmp_path / "flat.yaml"))
    assert {key: values[key] for key in COMPONENT_KEYS} == dict.fromkeys(COMPONENT_KEYS, "Null") | {
        "encoder": ["Null", "Null"]
    }
    assert values["x"] is None
    (tmp_path / "named.yml").write_text(NAMED)
    named = load_file(str(tmp_path / "named.yml"))
    assert named["inputs"]["in"]["class"] == named["outputs"]["out"]["class"] == "Null"


def test_the_command_takes_it(tmp_path: Path) -> None:
    """`output: Null` runs, and `check` finds nothing wrong."""
    (tmp_path / "c.yaml").write_text("input: STDIN\ndecoder: [Null]\nencoder: Null\noutput: Null\n")
    assert finished("--configfile", "c.yaml", given=b"x\n", cwd=tmp_path) == (0, b"", "")
    assert finished("check", "c.yaml", cwd=tmp_path).out == b"c.yaml: no errors\n"
    (tmp_path / "n.yaml").write_text(NAMED)
    assert finished("check", "n.yaml", cwd=tmp_path).out == b"n.yaml: no errors\n"


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("c.yaml", "input: STDIN\noutput: null\n", ["output"]),
        ("c.yaml", "input: ~\noutput:\n", ["input", "output"]),
        ("c.yaml", "input: STDIN\noutput: Null\ndecoder: [JSON, NULL]\n", ["decoder (None)"]),
        ("c.json", '{"input": "STDIN", "output": null, "filter": null}', ["output", "filter"]),
    ],
)
def test_no_value_where_a_name_stands(name: str, text: str, places: list[str], tmp_path: Path) -> None:
    """It is said how the component Null is written, not that something is missing."""
    (tmp_path / name).write_text(text)
    done = finished("--configfile", name, cwd=tmp_path)
    hint = 'must be a component\'s name, not null: the component Null is "Null", in quotes'
    assert (done.status, sorted(done.told)) == (
        2,
        sorted(f"message-passing: {name}: {at}: {hint}" for at in places),
    )


def test_no_value_for_a_class(tmp_path: Path) -> None:
    """The same in the named form."""
    (tmp_path / "c.yaml").write_text(NAMED.replace("{class: Null", "{class: null"))
    done = finished("--configfile", "c.yaml", cwd=tmp_path)
    hint = 'needs a class: a component\'s name, not null: the component Null is "Null", in quotes'
    assert done == (2, b"", f"message-passing: c.yaml: inputs.in: {hint}\n")


EXAMPLE = """'{"key": "value"}'"""
SINGLE = f"JSON takes double quotes, not single ones, which are for the shell: {EXAMPLE}"
AS_TEXT = """what begins with [ is read as JSON; as text, it is '{"match": "%s"}'"""
CURLY = f"JSON requires plain double quotes, not typographic ones: {EXAMPLE}"


def lost(word: str) -> str:
    """What is said of a word that has lost its quotes."""
    return f"the shell removed the quotes; what arrived is {word!r}: put it all in single quotes, {EXAMPLE}"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ('["a"]', "must be an object of options, not ['a']"),
        ("[]", "must be an object of options, not []"),
        ("5", "must be an object of options, not 5"),
        ('"text"', "must be an object of options, not 'text'"),
        ("{socket_bind:tcp://*:5558}", f"{lost('{socket_bind:tcp://*:5558}')}: malformed JSON: "),
        ("{ linger : 5 }", f"{lost('{ linger : 5 }')}: malformed JSON: "),
        ("socket_bind:tcp://*:5558", lost("socket_bind:tcp://*:5558")),
        ("[a]", f"{lost('[a]')}: malformed JSON: "),
        ("subscribe=[a,b]", ": malformed JSON: "),
        ("{'a': 1}", f"{SINGLE}: malformed JSON: "),
        ("subscribe=['a']", f"{SINGLE}: malformed JSON: "),
        ("match=[Ee]rror", "match: malformed JSON: Expecting value at column 2; " + AS_TEXT % "[Ee]rror"),
        ("match=[ERROR]", AS_TEXT % "[ERROR]"),
        ('match=["a"', AS_TEXT % r"[\"a\""),
        ("'a': 1", SINGLE),
        ("{\u201ca\u201d: 1}", f"{CURLY}: malformed JSON: "),
        ('{"a" 1}', "malformed JSON: Expecting ':' delimiter"),
        ("x", "'x' is not JSON (like"),
    ],
)
def test_options_that_a_shell_has_changed(word: str, said: str) -> None:
    """What arrived, and what to write instead; what is JSON and no object is not called something else."""
    with pytest.raises(ConfigError) as caught:
        options_from_text([word])
    text = str(caught.value)
    assert said in text
    assert ("is not JSON" in text) == (word in ("x", "socket_bind:tcp://*:5558", "'a': 1"))


def test_a_real_shell_removes_them() -> None:
    """The word as bash hands it on."""
    words = f"{' '.join(OURS)} {' '.join(STDIN_TO_STDOUT)} --input_options"
    done = finished("-c", f'{words} {{"max_line":5}}', command=("bash",))
    assert done.status == 2
    assert done.err.startswith(f"message-passing: --input_options: {lost('{max_line:5}')}")
    done = finished("-c", f"{words} \"{{'max_line': 5}}\"", command=("bash",))
    assert done.err.startswith(f"message-passing: --input_options: {SINGLE}: malformed JSON: ")


@pytest.mark.parametrize(
    ("address", "right"),
    [
        ("::1:5601", "[::1]:5601"),
        (":::5601", "[::]:5601"),
        ("fe80::1%eth0:5601", "[fe80::1%eth0]:5601"),
        ("2001:db8::7:8:*", "[2001:db8::7:8]:*"),
        ("::ffff:10.0.0.1:5601", "[::ffff:10.0.0.1]:5601"),
        ("2001:db8::abcd", "[2001:db8::abcd]:5558"),
        ("[::1]", "[::1]:5558"),
        ("[::1:5601", "[::1]:5601"),
        ("::1]:5601", "[::1]:5601"),
        ("::5601", "[::]:5601"),
        ("::1", "[::1]:5558"),
    ],
)
def test_an_ipv6_address_without_brackets(address: str, right: str) -> None:
    """It is said how it is written, with its port."""
    assert check_endpoint(f"tcp://{address}", binds=True) == (
        f"'tcp://{address}': an IPv6 address must be in brackets: write tcp://{right}"
    )
    assert check_endpoint(f"tcp://{right}", binds=True) == ""


@pytest.mark.parametrize("address", ["a:b:5", "1.2.3.4:5:6", ":::::1", "host", "::1:port", ""])
def test_what_is_no_such_address(address: str) -> None:
    """Nothing is suggested that would not work."""
    assert "in brackets" not in check_endpoint(f"tcp://{address}", binds=True)


def test_the_address_of_the_page() -> None:
    """The same rule for `--http`."""
    with pytest.raises(
        OptionError, match=r"an IPv6 address must be in brackets: write \[::1\]:9090, not '::1:9090'"
    ):
        http_address("::1:9090")


TYPED = "JSON takes double quotes, not single ones"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "{'a': 1}",
            "malformed JSON: object keys must be strings (byte 1): JSON takes double quotes, not single ones",
        ),
        ("['a']", "malformed JSON: invalid character (byte 1): " + TYPED),
        (
            "{\"a\": 'x'}",
            "malformed JSON: invalid character (byte 6): JSON takes double quotes, not single ones",
        ),
        ("{a: 1}", "malformed JSON: object keys must be strings (byte 1)"),
    ],
)
def test_a_message_in_the_quotes_of_another_language(line: str, said: str) -> None:
    """As somebody types it, or a program writes it that does not write JSON."""
    done = finished(*STDIN_TO_STDOUT, given=f"{line}\n".encode())
    assert json.loads(done.err.splitlines()[0])["exception"] == said


def test_typed_on_a_terminal() -> None:
    """What a person sees who types it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*OURS, *STDIN_TO_STDOUT], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, b"{'a': 1}\n\x04")
    _, err = process.communicate(timeout=30)
    os.close(ours)
    assert b"JSON takes double quotes, not single ones" in err
