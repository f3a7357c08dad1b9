"""Every config file that is printed by `create` or shipped lets real log records through: something comes out."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from documents import ROOT
from message_passing.cli.config_tests.runner import CaseInput, staged
from message_passing.cli.create.config_text import FORMATS
from message_passing.cli.create.kinds import choose
from message_passing.cli.create.layout import laid_out, needed
from message_passing.cli.run.run_command import MessagePassing
from message_passing.graph import close_all, open_all
from message_passing.logging import MessagePassingHandler
from message_passing.outputs.test import TestOutput
from message_passing.registry import PACKAGES, find, names
from message_passing.runner import Server
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path

CONFIGS = sorted((ROOT / "examples" / "config").iterdir())
PYTHON_ONLY = {"Callback", "IO::Handle"}
REGEXFILE = "[FORMAT]\n:default = %all\n[REGEXP]\n%all = (?#=all).*(?#!all)\n"


def records() -> list[bytes]:
    """What the log handler makes of records of every level, with and without more than a message, as JSON."""
    kept = Kept()
    logger = logging.getLogger("shop.orders")
    logger.setLevel(1)
    logger.propagate = False
    logger.handlers.clear()
    logger.addHandler(MessagePassingHandler(kept, service="shop"))
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        logger.log(getattr(logging, level), "order %d of %s", 7, "ann", extra={"user": {"name": "ann"}})
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("it failed")
    return [json.dumps(one).encode() for one in kept.messages]


def came_out(config: Path, given: list[bytes]) -> dict[str, list[Any]]:
    """What arrives at each output of a chain, whose ends are replaced, once its inputs have given these."""
    chain = staged(MessagePassing.read(["--configfile", str(config)]))
    for head in chain.heads:
        assert isinstance(head, CaseInput)
        head.messages = list(given)
    try:
        open_all(chain.heads)
        server = Server(chain.heads)
        server.run()
        assert server.failures == []
    finally:
        close_all(chain.heads)
    return {name: one.messages for name, one in chain.components.items() if isinstance(one, TestOutput)}


def packed(kind: str, name: str) -> list[bytes]:
    """The records as a decoder takes them: what the encoder of that name makes of them, if it has one."""
    if kind != "decoder" or name not in names("encoder") or name in ("JSON", "Null"):
        return records()
    cls: Any = find("encoder", name)
    end = Kept()
    with cls(**needed(cls), output_to=end) as encoder:
        encoder.consume_many([json.loads(one) for one in records()] if name == "JSONLines" else records())
    return end.messages


MIDDLES = [(kind, name) for kind in ("decoder", "filter", "encoder") for name in names(kind)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("kind", "name"), MIDDLES, ids=lambda word: word)
def test_what_create_prints(kind: str, name: str, form: str, tmp_path: Path) -> None:
    """With any decoder, filter or encoder; `All` lets nothing through, and no record is a line of an access log."""
    (tmp_path / "regexfile").write_text(REGEXFILE)
    text = FORMATS[form](laid_out(choose([f"{kind}:{name}"])))
    mine = f'"{tmp_path}/regexfile"' + ("," if form == "json" else "")
    text = re.sub(r"#(\"?regexfile\"?(?: =|:)).*", rf"\1 {mine}", text)
    config = tmp_path / f"chain.{form}"
    config.write_text(text, encoding="utf-8")
    found = came_out(config, packed(kind, name))
    assert bool(found["output"]) == (name not in ("All", "Parse"))
    assert all(isinstance(one, (bytes, str)) for one in found["output"]), "an output can write it"


@pytest.mark.parametrize("form", FORMATS)
def test_a_real_process(form: str, tmp_path: Path) -> None:
    """`create STDIN Key STDOUT`, as it stands: errors pass, and nothing else."""
    made = finished("create", "STDIN", "Key", "STDOUT", "--format", form, cwd=tmp_path)
    (tmp_path / f"chain.{form}").write_bytes(made.out)
    done = finished("--configfile", f"chain.{form}", given=b"\n".join(records()) + b"\n", cwd=tmp_path)
    levels = [json.loads(line)["level"] for line in done.out.splitlines()]
    assert (levels, done.err) == (["ERROR", "CRITICAL", "ERROR"], "")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_what_is_shipped(config: Path) -> None:
    """At every output, but that of reports."""
    found = came_out(config, records())
    assert [name for name, messages in found.items() if not messages and "error" not in name] == []


@pytest.mark.parametrize(
    ("words", "codecs"),
    [
        (["encoder:Gzip"], ["JSON", "JSON", "Gzip"]),
        (["Gzip", "Key"], ["Gzip", "JSON", "JSON"]),
        (["encoder:JSONLines", "encoder:Zstd"], ["JSON", "JSONLines", "Zstd"]),
        (["encoder:Null"], ["Null", "Null"]),
        (["Key", "encoder:Null"], ["JSON", "JSON", "Null"]),
        (["decoder:JSON", "encoder:Null"], ["JSON", "JSON", "Null"]),
        (["decoder:Null", "encoder:Null"], ["Null", "Null"]),
        (["decoder:Null"], ["Null", "JSON"]),
    ],
)
def test_what_codecs_need_is_added(words: list[str], codecs: list[str]) -> None:
    """What packs bytes has JSON before it, what unpacks them JSON behind it, and outputs get no objects."""
    tables = laid_out(choose(words))
    assert [one.chosen.word for one in tables if one.chosen.kind in ("decoder", "encoder")] == codecs


def ends(words: list[str]) -> list[Any]:
    """The options that are filled in for these components' ends."""
    return [dict(one.options) for one in laid_out(choose(words)) if one.chosen.kind in ("input", "output")]


def test_no_two_outputs_write_the_same_file() -> None:
    """Nor send to the same address, nor does an input listen where another one does."""
    assert ends(["STDIN", "File", "File", "File"])[1:] == [
        {"filename": "messages.log"},
        {"filename": "messages-2.log"},
        {"filename": "messages-3.log"},
    ]
    assert ends(["input:Socket::UDP", "input:Socket::UDP", "output:Socket::UDP"]) == [
        {"port": 5140},
        {"port": 5141},
        {"hostname": "localhost", "port": 5142},
    ]
    assert ends(["input:FileTail", "input:FileTail", "File"])[:2] == [
        {"filename": "/var/log/*.log", "exclude": ["*debug*"]},
        {"filename": "/var/log/*-2.log", "exclude": ["*debug*"]},
    ]


def test_no_chain_feeds_itself() -> None:
    """An output does not send to the input of its own chain."""
    assert ends(["ZeroMQ", "ZeroMQ"]) == [
        {"socket_bind": "tcp://*:5222"},
        {"connect": "tcp://127.0.0.1:5223"},
    ]


def test_an_example_is_taken_as_a_whole() -> None:
    """One of its options may say how another is meant."""
    for kind in PACKAGES:
        for name in names(kind):
            cls = find(kind, name)
            (table,) = (
                [one for one in laid_out(choose([f"{kind}:{name}"])) if one.chosen.cls is cls]
                if name not in PYTHON_ONLY
                else [None]
            )
            assert table is None or dict(table.options) in ({}, dict(cls.example))


def test_two_files_get_their_own_messages(tmp_path: Path) -> None:
    """In a real process: each output of the printed config has every message, once."""
    made = finished("create", "STDIN", "File", "File", cwd=tmp_path)
    (tmp_path / "chain.toml").write_bytes(made.out)
    given = b"\n".join(records()) + b"\n"
    assert finished("--configfile", "chain.toml", given=given, cwd=tmp_path).status == 0
    first, second = (tmp_path / name for name in ("messages.log", "messages-2.log"))
    assert first.read_bytes().count(b"\n") == second.read_bytes().count(b"\n") == len(records())
