"""Nothing that comes from a message, a peer, a file's name or a configuration gives a terminal an order."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import pytest

from commands import STDIN_TO_STDOUT, finished
from nodes import part

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "a\x1b[2J\x07\r\x7f\x9b2J\u202e\u2028\u200b\ufeff\U000e0041z"
FORGED = f"{HOSTILE}\nmessage-passing: all is well"


def assert_inert(text: str, lines: int) -> None:
    """As many lines, and in them nothing but what is shown."""
    assert len(text.splitlines()) == lines, text
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n", "\t"}
    assert not bad, text


def test_a_senders_name_at_the_end() -> None:
    """What Follow tells of a sender is one line of bounded length, whatever the sender calls itself."""
    names = [FORGED, "x" * 1_000_000]
    given = "".join(
        json.dumps({"sender": name, "sequence": number}) + "\n" for name in names for number in (1, 5)
    )
    done = finished("--input", "STDIN", "--output", "Null", "--filter", "Follow", given=given.encode())
    assert_inert(done.err, 1)
    assert (
        "3 of a\\e[2J\\x07\\r\\x7f\\x9b2J\\u202e\\u2028\\u200b\\ufeff\\U000e0041z\\nmessage-passing"
        in done.err
    )
    assert len(done.err) < 1000


def test_reports_are_printable_ascii() -> None:
    """Of bytes, of text in an object, of an error's own text; and JSON has it all as it was."""
    function = part("filter", "Mangle", filter_function="+operator:inv")
    given = f"{FORGED}\n".encode() + json.dumps({"text": FORGED}).encode() + b"\n"
    done = finished(*STDIN_TO_STDOUT, *function, given=given)
    reports = [json.loads(line) for line in done.told if line.startswith("{")]
    assert {*done.err} <= {"\n", *map(chr, range(32, 127))}
    assert [report["packed_data"] for report in reports[:2]] == FORGED.encode().decode().split("\n")
    data = reports[2]["stringified_data"]
    assert json.loads(data) == {"text": FORGED}
    assert_inert(data + "\n", 1)


@pytest.mark.parametrize("command", [[], ["check"], ["graph"]])
def test_what_was_written_in_a_configuration(command: list[str], tmp_path: Path) -> None:
    """Names, values and what does not parse are quoted so that each fault stays a line."""
    file = tmp_path / "chain.json"
    chain = {
        "inputs": {FORGED: {"class": "STDIN", "options": {FORGED: FORGED}, "output_to": FORGED + "x"}},
        "outputs": {"out": {"class": FORGED}},
    }
    file.write_text(json.dumps(chain), encoding="utf-8")
    done = finished(*command, *([] if command else ["--configfile"]), str(file))
    assert done.status == 2
    text = done.err + done.out.decode()
    assert "all is well" in text
    assert_inert(text, len(text.split("\n")) - 1)
    assert not [line for line in text.splitlines() if line.startswith("message-passing: all is well")]


@pytest.mark.parametrize(
    "words",
    [
        [f"--{FORGED}"],
        ["--input", FORGED, "--output", "STDOUT"],
        ["--input", "STDIN", "--output", "File", "--output_options", f"filename=/nowhere/{FORGED}"],
        ["--configfile", f"{FORGED}.toml"],
        [*STDIN_TO_STDOUT, "--user", FORGED],
        [*STDIN_TO_STDOUT, "--pid_file", f"/nowhere/{FORGED}"],
        [*STDIN_TO_STDOUT, "--input_options", FORGED],
        ["--describe", FORGED],
        ["describe", FORGED],
        ["keys", "revoke", FORGED],
        ["keys", FORGED],
        ["send", f"tcp://{FORGED}", "x"],
        ["tail", "--where", FORGED],
        ["top", f"/nowhere/{FORGED}", "--once"],
        ["test", f"/nowhere/{FORGED}"],
    ],
    ids=lambda words: " ".join(word for word in words if FORGED not in word),
)
def test_what_a_command_was_given(words: list[str]) -> None:
    """Every command quotes its words so that they stay where they are."""
    done = finished(*words)
    text = done.err + done.out.decode()
    assert done.status
    assert_inert(text, len(text.split("\n")) - 1)
    assert not [line for line in text.splitlines() if line.startswith("message-passing: all is well")]


def test_names_in_a_running_chain(tmp_path: Path) -> None:
    """Warnings, losses and failures name components and files, which may be called anything."""
    file = tmp_path / "chain.json"
    chain = {
        "inputs": {"in": {"class": "STDIN", "output_to": "out"}},
        "filters": {FORGED: {"class": "Null", "output_to": "out"}},
        "outputs": {"out": {"class": "File", "options": {"filename": "/dev/full"}}},
    }
    file.write_text(json.dumps(chain), encoding="utf-8")
    done = finished("--configfile", str(file), given=b"x\n")
    assert done.err.count("\n") == 3, done.err
    assert_inert(done.err, 3)
