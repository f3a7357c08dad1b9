"""Several decoders, filters or encoders, one after the other: on the command line and in a config file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.codecs.zstd import ZstdDecoder
from message_passing.testing import free_port, wait_for
from nodes import node

if TYPE_CHECKING:
    from pathlib import Path

GIVEN = b"".join(b'{"number":%d}\n' % number for number in range(100))
FILTERS = """
from message_passing import Filter, option

class Add(Filter):
    name: str = option(description="Which field.")
    def filter(self, message):
        return {**message, self.name: len(message)}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a filter in it."""
    (tmp_path / "mine.py").write_text(FILTERS)
    return tmp_path


def test_filters_come_in_the_order_given_each_with_its_options(folder: Path) -> None:
    """Options belong to the component named last before them."""
    words = ["--filter", "+mine:Add", "--filter_options", "name=a", "--filter", "+mine:Add"]
    words += ["--input", "STDIN", "--filter_options", "name=b", "--output", "STDOUT"]
    done = finished(*words, given=b"{}\n", cwd=folder)
    assert done == (0, b'{"a":0,"b":1}\n', "")


def test_of_one_component_options_may_come_first(folder: Path) -> None:
    """As they always might, and in several words."""
    words = ["--filter_options", "name=a", "--filter", "+mine:Add", "--input", "STDIN", "--output", "STDOUT"]
    assert finished(*words, given=b"{}\n", cwd=folder) == (0, b'{"a":0}\n', "")
    words = ["--filter_options", "name=a", "--filter_options", "name=c", *words[2:]]
    assert finished(*words, given=b"{}\n", cwd=folder) == (0, b'{"c":0}\n', "")


def test_in_a_config_file(folder: Path) -> None:
    """Lists of names, and of options where they have any."""
    config: dict[str, Any] = {"input": "STDIN", "output": "STDOUT", "filter": ["+mine:Add", "+mine:Add"]}
    config["filter_options"] = [{"name": "a"}, {"name": "b"}]
    config["encoder"] = ["JSON", "JSONLines"]
    (folder / "chain.json").write_text(json.dumps(config))
    done = finished("--configfile", "chain.json", given=b"{}\n{}\n", cwd=folder)
    assert done == (0, b'{"a":0,"b":1}\n' * 2, "")


def test_compressed_frames_over_zeromq(folder: Path) -> None:
    """From STDIN to a file by way of JSON Lines and zstd: everything arrives, in fewer messages."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    receiving = ["--input", "ZeroMQ", "--input_options", f"socket_bind={endpoint}"]
    receiving += ["--decoder", "Zstd", "--decoder", "JSONLines"]
    receiving += ["--output", "File", "--output_options", "filename=arrived"]
    arrived = folder / "arrived"
    with node(*receiving, cwd=folder):
        sending = ["--input", "STDIN", "--encoder", "JSONLines", "--encoder", "Zstd", "--encoder_options"]
        sending += ["level=5", "--output", "ZeroMQ", "--output_options", f"connect={endpoint}"]
        assert finished(*sending, given=GIVEN, cwd=folder)[0] == 0
        wait_for(lambda: arrived.exists() and arrived.read_bytes().count(b"\n") == 100)
    assert arrived.read_bytes() == GIVEN


def test_frames_to_a_callback_are_zstd(folder: Path) -> None:
    """The last encoder's work is what the output gets."""
    words = ["--input", "STDIN", "--encoder", "JSONLines", "--encoder", "Zstd", "--output", "STDOUT"]
    status, out, _ = finished(*words, given=b"{}\n{}\n", cwd=folder)
    assert status == 0
    assert ZstdDecoder().filter(out.removesuffix(b"\n")) == b"{}\n{}"
