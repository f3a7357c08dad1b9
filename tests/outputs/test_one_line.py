"""A line-writing output writes one line for each message, whatever it is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import STDIN_TO_STDOUT, finished
from message_passing import registry, run_message_server
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.null import NullDecoder
from message_passing.filters.null import NullFilter
from message_passing.inputs.stdin import StdinInput
from message_passing.lines import LineBatch
from message_passing.outputs.file import FileOutput
from message_passing.outputs.stderr import StderrOutput
from message_passing.outputs.stdout import StdoutOutput
from message_passing.testing import TestOutput, wait_for
from nodes import node
from terminal import in_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORGED = '{"level":"CRITICAL"}'
BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
KEYS = {"encryption_key": "a passphrase", "encryption_cipher": "AES"}
DECODERS, ENCODERS = registry.names("decoder"), registry.names("encoder")

TEXT = st.text(st.sampled_from([*'ab{}[]",:0 \\\u00e9\u2019', *"".join(BREAKS)]), max_size=12)
VALUES = st.recursive(
    st.one_of(TEXT, st.integers()), lambda v: st.dictionaries(TEXT, v, max_size=2), max_leaves=3
)
LINES = st.one_of(
    TEXT.map(str.encode),
    st.binary(max_size=12),
    VALUES.map(lambda v: json.dumps(v, ensure_ascii=False).encode()),
    VALUES.map(lambda v: json.dumps(v, indent=1, ensure_ascii=False).replace("\n", "\r").encode()),
)


def made(kind: str, name: str, **given: Any) -> Any:
    """A codec, with a key if it needs one."""
    return registry.find(kind, name)(**(KEYS if name == "Crypt::CBC" else {}), error=TestOutput(), **given)


@pytest.fixture(scope="module")
def pipe_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Two files, for what is read and for what is written."""
    folder = tmp_path_factory.mktemp("lines")
    fds = [os.open(folder / name, os.O_RDWR | os.O_CREAT) for name in ("in", "out")]
    yield fds[0], fds[1]
    for fd in fds:
        os.close(fd)


def emptied(fd: int) -> None:
    """Nothing in it, and at its beginning."""
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)


def through(files: tuple[int, int], head: Any, messages: list[bytes] | None = None) -> bytes:
    """What a chain writes of what STDIN reads, or of what the decoder is given."""
    if messages is None:
        run_message_server(head)
    else:
        with head:
            head.consume_many(messages)
    size = os.fstat(files[1]).st_size
    return os.pread(files[1], size, 0)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_random_text_through_every_codec(pipe_files: tuple[int, int], decoder: str, encoder: str) -> None:
    """From STDIN to STDOUT, and past STDIN, where a message may have newlines: as many lines as messages."""

    @settings(max_examples=20, deadline=None)
    @given(st.lists(LINES, max_size=8), st.booleans())
    def tried(messages: list[bytes], stdin: bool) -> None:
        class Stdin(StdinInput):
            fd: ClassVar[int] = pipe_files[0]

        class Stdout(StdoutOutput):
            fd: ClassVar[int] = pipe_files[1]

        for fd in pipe_files:
            emptied(fd)
        out = Stdout(error=TestOutput())
        last = made("encoder", encoder, output_to=out)
        first = made("decoder", decoder, output_to=NullFilter(output_to=last))
        if stdin:
            os.write(pipe_files[0], b"\n".join(messages))
            os.lseek(pipe_files[0], 0, os.SEEK_SET)
            written = through(pipe_files, Stdin(output_to=first))
        else:
            if decoder in ENCODERS and decoder not in ("Null", "JSON", "JSONLines"):
                messages = [made("encoder", decoder).filter(message) for message in messages]
            written = through(pipe_files, first, messages)
            if decoder not in ("JSON", "JSONLines") and encoder != "JSONLines":
                assert last.metrics.passed == len(messages)
        lines = written.decode("utf-8", "replace").splitlines()
        assert len(lines) == written.count(b"\n") == last.metrics.passed - out.metrics.failed

    tried()


@pytest.mark.parametrize(
    "words", [(), ("--decoder", "Null"), ("--encoder", "Null"), ("--decoder", "JSONLines")]
)
def test_a_json_text_forges_no_line(words: tuple[str, ...]) -> None:
    """A message that is a text with a line break in it is one line, in quotes, through the command."""
    texts = [f"harmless{line_break}{FORGED}" for line_break in BREAKS]
    given = [json.dumps(text, ensure_ascii=escaped) for text in texts for escaped in (True, False)]
    done = finished(*STDIN_TO_STDOUT, *words, given="".join(f"{line}\n" for line in given).encode())
    assert (done.status, done.err) == (0, "")
    lines = done.out.decode().splitlines()
    if words == ("--encoder", "Null"):
        assert len(lines) == len(given)
    else:
        assert [json.loads(line) for line in lines] == [text for text in texts for _ in range(2)]


def test_a_break_between_the_parts_of_json() -> None:
    """A carriage return may stand between JSON's parts, and is none that may pass as it came."""
    done = finished(*STDIN_TO_STDOUT, given=b'{"a":\r1}\n{"a":"\xe2\x80\xa8"}\r\n')
    assert done.out == b'{"a":1}\n{"a":"\\u2028"}\n'


def test_datagrams(tmp_path: Path) -> None:
    """Datagrams with newlines in them are a line each in a file, undecoded too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "out"
    words = ["--input", "Socket::UDP", "--input_options", f"port={port}", "--decoder", "Null"]
    words += ["--output", "File", "--output_options", f"filename={out}"]
    with node(*words), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))

        def arrived() -> bool:
            with contextlib.suppress(ConnectionRefusedError):  # it is not bound yet
                sender.send(f"harmless\n{FORGED}\n".encode())
            return out.exists() and out.stat().st_size > 0

        wait_for(arrived)
    assert {*out.read_bytes().splitlines()} == {f"harmless\\n{FORGED}\\n".encode()}


def test_the_originals_way_by_choice(tmp_path: Path) -> None:
    """With `escape` false, what is written is what came."""
    out = FileOutput(filename=str(tmp_path / "out"), escape=False)
    with NullDecoder(output_to=out) as head:
        head.consume_many([b"two\nlines", b"and\x1b[2J\r", "text\n"])
    assert (tmp_path / "out").read_bytes() == b"two\nlines\nand\x1b[2J\r\ntext\n\n"
    done = finished(*STDIN_TO_STDOUT, "--decoder", "Null", "--output_options", "escape=0", given=b"a\fb\r\n")
    assert done.out == b"a\fb\r\n"


def test_plain_text_comes_through_as_it_is() -> None:
    """Text without a break is not touched, nor is the end of a line of Windows."""
    given = b"plain \xff \x1b[1mtext\ttabbed\r\n\xc3\xa9\xe2\x80\x99\n"
    done = finished(*STDIN_TO_STDOUT, "--decoder", "Null", given=given)
    assert done.out == given


def test_indented_text_keeps_its_lines(tmp_path: Path) -> None:
    """Who asks for indented JSON gets it; what is in its strings breaks nothing."""
    out = FileOutput(filename=str(tmp_path / "out"))
    with JSONDecoder(output_to=JSONEncoder(pretty=True, output_to=out)) as head:
        head.consume_many([b'{"a":"x\\n\xe2\x80\xa8","b":1}', b'"t\\n"'])
    assert (tmp_path / "out").read_bytes() == b'{\n   "a": "x\\n\\u2028",\n   "b": 1\n}\n"t\\n"\n'


def test_a_batch_that_says_it_is_lines(tmp_path: Path) -> None:
    """What a component of somebody's hands on as lines is looked at as well."""
    with FileOutput(filename=str(tmp_path / "out")) as out:
        out.consume_many(LineBatch([b"a\nb", b"c"]))
    assert (tmp_path / "out").read_bytes() == b"a\\nb\nc\n"


def test_standard_error_is_ascii(tmp_path: Path) -> None:
    """Whatever is written there is printable ASCII, and JSON stays what it was."""
    messages = [
        f"{code}".encode() for code in ("plain", "\x7f", "\x9b2J", "\u202e", "\u2028", "\U000e0041\n")
    ]
    objects = [{"text": message.decode()} for message in messages]

    class Stderr(StderrOutput):
        fd: ClassVar[int] = os.open(tmp_path / "err", os.O_WRONLY | os.O_CREAT)

    with NullDecoder(output_to=JSONEncoder(output_to=Stderr())) as head:
        head.consume_many([*messages, b"\xff\x1b"])
        head.consume_many([*objects])
    os.close(Stderr.fd)
    written = (tmp_path / "err").read_bytes()
    lines = written.split(b"\n")
    assert set(written) <= {10, *range(32, 127)}
    assert len(lines) == len(messages) + 1 + len(objects) + 1
    assert [json.loads(line) for line in lines[-len(objects) - 1 : -1]] == objects
    assert lines[len(messages)] == b"\\xff\\u001b"


def test_standard_output_that_is_a_terminal(tmp_path: Path) -> None:
    """It gets no orders from a message; with `escape` false it gets what came."""
    given = tmp_path / "given"
    given.write_bytes(b"a\x1b[2J\xc2\x9b\x7f\xe2\x80\xae caf\xc3\xa9\n")
    words = [*STDIN_TO_STDOUT, "--decoder", "Null", "--quiet"]
    with given.open("rb") as stdin:
        shown = in_terminal(*words, stdin=stdin)
    assert shown.text == "a\\u001b[2J\\u009b\\u007f\\u202e caf\u00e9\r\n".encode()
    with given.open("rb") as stdin:
        shown = in_terminal(*words, "--output_options", "escape=0", stdin=stdin)
    assert b"a\x1b[2J" in shown.text
