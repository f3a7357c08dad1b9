"""Messages that cannot be handled, in real processes: one report each, counted, and the next one goes on."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import resource
from typing import TYPE_CHECKING, Any

import pytest

from commands import STDIN_TO_STDOUT, Finished, finished
from message_passing.codecs.zstd import ZstdEncoder
from message_passing.failures import DATA_LIMIT
from nodes import part
from support import TIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAGILE = '''
from message_passing import Encoder, Filter

class Fragile(Filter):
    """Breaks on some messages."""
    def filter(self, message):
        if message["n"] == 2:
            raise LookupError("two is too many")
        return message

class Wordy(Encoder):
    """Writes reports as a sentence."""
    def filter(self, message):
        return f"{message['component']}: {message['exception']}"
'''


ONE_FILE = '''
from pathlib import Path
from message_passing import Input

class OneFile(Input):
    """Its one message is a file's content."""
    async def run(self):
        self.emit([Path("given").read_bytes()])
'''


def reports(done: Finished) -> tuple[list[dict[str, Any]], list[str]]:
    """What was reported as JSON on standard error, and the plain lines after it."""
    told = done.told
    count = sum(line.startswith("{") for line in told)
    assert all(line.startswith("{") for line in told[:count]), done.err[:1000]
    return [json.loads(line) for line in told[:count]], told[count:]


@pytest.mark.parametrize(
    ("bad", "exception", "shown"),
    [
        (b'{"a":', "malformed JSON: Input data was truncated", '{"a":'),
        (b'{"a":"\xff"}', "malformed JSON: ", '{"a":"\\xff"}'),
        (b"not JSON", "malformed JSON: ", "not JSON"),
        (b"null", "JSON null is not a message", "null"),
        (b"[" * 200_000, "malformed JSON: ", "["),
        (b'{"a":' * 200_000, "malformed JSON: ", '{"a":'),
    ],
    ids=["truncated", "not UTF-8", "not JSON", "null", "deep list", "deep object"],
)
@pytest.mark.parametrize("looks", [False, True], ids=["passed on as it came", "decoded"])
def test_what_cannot_be_decoded(bad: bytes, exception: str, shown: str, *, looks: bool) -> None:
    """It is reported in one line with class, exception and data, and counted; its neighbours go on."""
    words = ["--filter", "Mangle", "--filter_options", '{"filter_function": "+copy:copy"}'] if looks else []
    done = finished(*STDIN_TO_STDOUT, *words, given=b'{"n":1}\n' + bad + b'\n{"n":2}\n')
    assert (done.status, done.out) == (0, b'{"n":1}\n{"n":2}\n')
    (report,), rest = reports(done)
    assert report["class"] == "Message::Passing::Exception::Decoding"
    assert report["component"] == "decoder"
    assert report["exception"].startswith(exception)
    assert report["packed_data"].startswith(shown)
    assert len(report["packed_data"]) < DATA_LIMIT + 50
    assert rest == ["message-passing: decoder (JSON) lost 1 message: 1 failed"]


def test_a_message_of_100_megabytes() -> None:
    """A good one passes; a bad one is reported in a short line."""
    size = 100_000_000
    good = b'{"n":"' + b"x" * size + b'"}'
    words = [*STDIN_TO_STDOUT, "--input_options", f"max_line={2 * size}"]
    done = finished(*words, given=good + b"\n{" + good + b'\n{"n":2}\n', timeout=60)
    assert done.status == 0
    assert done.out == good + b'\n{"n":2}\n'
    (report,), rest = reports(done)
    assert report["packed_data"].endswith(f"({size + 9 - DATA_LIMIT} bytes more)")
    assert len(done.err) < 2 * DATA_LIMIT
    assert rest == ["message-passing: decoder (JSON) lost 1 message: 1 failed"]


FLOODS: dict[str, Callable[[bytes], Any]] = {
    "lines": lambda text: [(), text],
    "gzip": lambda text: [("Gzip",), gzip.compress(text)],
    "bzip2": lambda text: [("Bzip2",), bz2.compress(text)],
    "zstd": lambda text: [("Zstd",), ZstdEncoder().filter(text)],
    "gzip, a hundred members": lambda text: [("Gzip",), gzip.compress(text[: len(text) // 100]) * 100],
    "zstd in gzip": lambda text: [("Gzip", "Zstd"), gzip.compress(ZstdEncoder().filter(text))],
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_malformed_lines_in_one_message(name: str, tmp_path: Path) -> None:
    """One report, with the number of lines; every line is counted, and the chain goes on soon."""
    count = 400_000
    decoders, packed = FLOODS[name](b"x\n" * count)
    (tmp_path / "mine.py").write_text(ONE_FILE)
    (tmp_path / "given").write_bytes(packed)
    words = [word for decoder in (*decoders, "JSONLines") for word in ("--decoder", decoder)]
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = finished("--input", "+mine:OneFile", *words, "--output", "STDOUT", cwd=tmp_path)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    (report,), rest = reports(done)
    assert (report["count"], report["packed_data"]) == (count, "x")
    assert report["exception"].startswith("malformed JSON")
    name = f"decoder {len(decoders) + 1}" if decoders else "decoder"
    assert rest == [f"message-passing: {name} (JSONLines) lost {count} messages: {count} failed"]
    assert done.out == b""
    assert ended.ru_utime - began.ru_utime < 10


def test_a_flood_of_malformed_messages() -> None:
    """Some are reported, the others counted: what is written stays small, and the numbers add up."""
    count = 100_000
    done = finished(*STDIN_TO_STDOUT, given=b"\x01\x7f" * 500 + b"\n" + b"x\n" * count + b'{"n":1}\n')
    found, rest = reports(done)
    assert done.out == b'{"n":1}\n'
    assert len(done.err) < 100_000
    assert (
        sum("packed_data" in one for one in found) + sum(one.get("suppressed", 0) for one in found)
        == count + 1
    )
    assert rest == [f"message-passing: decoder (JSON) lost {count + 1} messages: {count + 1} failed"]


def test_a_filter_that_raises(tmp_path: Path) -> None:
    """The report says what was raised, and where in the user's file."""
    (tmp_path / "mine.py").write_text(FRAGILE)
    lines = b"".join(b'{"n":%d}\n' % n for n in range(1, 5))
    done = finished(*STDIN_TO_STDOUT, "--filter", "+mine:Fragile", given=lines, cwd=tmp_path)
    assert (done.status, done.out) == (0, lines.replace(b'{"n":2}\n', b""))
    (report,), rest = reports(done)
    assert re.fullmatch(TIME, report.pop("time"))
    assert report == {
        "class": "LookupError",
        "exception": "two is too many",
        "component": "filter",
        "at": f"{tmp_path}/mine.py:8 in filter",
        "stringified_data": '{"n":2}',
    }
    assert rest == ["message-passing: filter (Fragile) lost 1 message: 1 failed"]


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "workers"])
@pytest.mark.parametrize("form", ["command line", "config file"])
def test_what_failed_can_be_sent_again(form: str, workers: tuple[str, ...], tmp_path: Path) -> None:
    """With `report_limit` reports have whole messages: what a broken filter failed on goes through a mended one."""
    (tmp_path / "mine.py").write_text(FRAGILE)
    failed = [{"n": 2, "text": letter * 5000} for letter in "\u00e4b"] + [
        {"n": 2, "f": [1.5, None, {"x": "\u2028"}]}
    ]
    lines = "".join(json.dumps(one) + "\n" for one in [{"n": 1}, *failed])
    words = [
        *STDIN_TO_STDOUT,
        "--filter",
        "+mine:Fragile",
        *part("error", "File", filename="errors"),
        *workers,
    ]
    if form == "config file":
        (tmp_path / "limit.toml").write_text("report_limit = 100000")
        words += ["--configfile", "limit.toml"]
    else:
        words += ["--report-limit", "100000"]
    done = finished(*words, given=lines.encode(), cwd=tmp_path)
    assert done.out == b'{"n":1}\n'
    reports = [json.loads(line) for line in (tmp_path / "errors").read_text().splitlines()]
    assert not any("truncated" in one for one in reports)
    again = "".join(one["stringified_data"] + "\n" for one in reports)
    mended = finished(*STDIN_TO_STDOUT, given=again.encode())
    found = [json.loads(line) for line in mended.out.splitlines()]
    assert sorted(found, key=repr) == sorted(failed, key=repr)


def test_a_limit_of_its_own_wins(tmp_path: Path) -> None:
    """One component may show more, or less, than the others."""
    words = [*STDIN_TO_STDOUT, "--report-limit", "3", "--decoder-options", "report_limit=4"]
    found, _ = reports(finished(*words, given=b"xxxxx\n", cwd=tmp_path))
    assert [(one["packed_data"], one["truncated"]) for one in found] == [("xxxx... (1 bytes more)", True)]


def test_a_limit_has_bounds() -> None:
    """A report cannot be asked to take all memory."""
    done = finished(*STDIN_TO_STDOUT, "--report-limit", "1000000000")
    assert (done.status, done.out) == (2, b"")
    assert "--report_limit: option 'report_limit' must be int from 0 to 16777216" in done.err


def test_lines_about_losses_say_when() -> None:
    """As records and reports do, so that they can be put in order."""
    done = finished(*STDIN_TO_STDOUT, given=b"x\n")
    assert re.fullmatch(
        rf"message-passing: {TIME}: decoder \(JSON\) lost 1 message: 1 failed", done.err.splitlines()[-1]
    )


def test_errors_to_a_file_in_words_of_ones_own(tmp_path: Path) -> None:
    """`--error` and `--error_encoder` say where reports go, and how they look."""
    (tmp_path / "mine.py").write_text(FRAGILE)
    done = finished(
        *STDIN_TO_STDOUT,
        *part("error", "File", filename="errors"),
        "--error-encoder",
        "+mine:Wordy",
        given=b"one\ntwo\n{}\n",
        cwd=tmp_path,
    )
    assert done.out == b"{}\n"
    assert done.told == ["message-passing: decoder (JSON) lost 2 messages: 2 failed"]
    errors = (tmp_path / "errors").read_text().splitlines()
    assert [line.partition(": malformed JSON")[0] for line in errors] == ["decoder"] * 2


def test_a_component_with_an_error_chain_of_its_own(tmp_path: Path) -> None:
    """The named form: what one filter fails on goes to one file, all other errors to another."""
    (tmp_path / "mine.py").write_text(FRAGILE)
    (tmp_path / "chain.toml").write_text("""
        error_log = "all_errors"
        [inputs.in]
        class = "STDIN"
        output_to = "decoder"
        [decoders.decoder]
        class = "JSON"
        output_to = "fragile"
        [filters.fragile]
        class = "+mine:Fragile"
        output_to = "encoder"
        error = "its_errors"
        [encoders.encoder]
        class = "JSON"
        output_to = "out"
        [encoders.all_errors]
        class = "JSON"
        output_to = "all_file"
        [encoders.its_errors]
        class = "JSON"
        output_to = "its_file"
        [outputs]
        out = { class = "STDOUT" }
        all_file = { class = "File", options = { filename = "all" } }
        its_file = { class = "File", options = { filename = "its" } }
    """)
    done = finished("--configfile", "chain.toml", given=b'x\n{"n":1}\n{"n":2}\n', cwd=tmp_path)
    assert (done.status, done.out) == (0, b'{"n":1}\n')
    (report,) = (json.loads(line) for line in (tmp_path / "its").read_text().splitlines())
    assert report["class"] == "LookupError"
    (report,) = (json.loads(line) for line in (tmp_path / "all").read_text().splitlines())
    assert report["class"] == "Message::Passing::Exception::Decoding"
    assert done.told == [
        "message-passing: decoder (JSON) lost 1 message: 1 failed",
        "message-passing: fragile (Fragile) lost 1 message: 1 failed",
    ]


def test_an_error_output_that_fails_takes_nothing_down() -> None:
    """Reports that it cannot write go to standard error, and so does the reason; it is counted."""
    words = part("error", "File", filename="/dev/full")
    done = finished(*STDIN_TO_STDOUT, *words, given=b'x\n{"n":1}\ny\n{"n":2}\n')
    assert (done.status, done.out) == (0, b'{"n":1}\n{"n":2}\n')
    found, rest = reports(done)
    assert [(one["class"], one["component"]) for one in found] == [("OSError", "error")] * 2
    assert all("No space left on device" in one["exception"] for one in found)
    assert ["malformed JSON" in one["packed_data"] for one in found] == [True, True]
    assert rest == [
        "message-passing: decoder (JSON) lost 2 messages: 2 failed",
        "message-passing: error (File) lost 2 messages: 2 failed",
    ]


def test_an_error_chain_that_leads_back_does_not_loop(tmp_path: Path) -> None:
    """Reports may go where the messages go; what fails there is told on standard error, once."""
    options = {"filename": "out"}
    chain = {
        "error_log": "encoder",
        "inputs": {"in": {"class": "STDIN", "output_to": "decoder"}},
        "decoders": {"decoder": {"class": "JSON", "output_to": "encoder"}},
        "encoders": {"encoder": {"class": "JSON", "output_to": "out"}},
        "outputs": {"out": {"class": "File", "options": options}},
    }
    (tmp_path / "chain.json").write_text(json.dumps(chain))
    done = finished("--configfile", "chain.json", given=b'x\n{"n":1}\n', cwd=tmp_path)
    first, second = (json.loads(line) for line in (tmp_path / "out").read_text().splitlines())
    assert first["class"] == "Message::Passing::Exception::Decoding"
    assert second == {"n": 1}
    assert done.told == ["message-passing: decoder (JSON) lost 1 message: 1 failed"]

    options["filename"] = "/dev/full"
    (tmp_path / "chain.json").write_text(json.dumps(chain))
    done = finished("--configfile", "chain.json", given=b'x\n{"n":1}\n', cwd=tmp_path)
    found, rest = reports(done)
    assert [one["component"] for one in found] == ["out", "out"]
    assert len(rest) == 2
    assert done.status == 0
