"""Who receives, how each is started, and what it was meant to reach."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregators import OURS, PERL, PERL_PP, chain_words
from speed.slowlog import Choosing, Tagger

from message_passing.filters.redact import RedactFilter

if TYPE_CHECKING:
    from message_passing import Filter

HERE = Path(__file__).parent
FRAME = 65536
C, PERL_XS, RSYSLOG = "C: libzmq and fwrite", "Perl, Cpanel::JSON::XS", "rsyslog: imczmq, omfile"
LOOP, RAW, JSON = "pyzmq, a loop of ten lines", "ours, raw", "ours, JSON"
FILTERED, FRAMES = "ours, JSON, a user's filter", "ours, JSON Lines, raw"
LINES = "ours, JSON Lines, each line checked"
LINES_FILTERED = "ours, JSON Lines, a user's filter"
CHOOSING = "ours, JSON, a filter that chooses: `filter(message)`"
CHOSEN = "ours, JSON, the same, as `keeps(fields)`"
WHERE, MASKED = "ours, JSON, Where", "ours, JSON, Where, Redact"
TAGGER = ["--filter", "+slowlog:Tagger"]
# As many lines may be read ahead as with single lines, as the guide advises: the high-water mark counts frames.
FRAMED = ["--input_options", "socket_hwm=50"]
# A frame that nobody takes apart is a message with line breaks in it.
AS_THEY_ARE = ["--output_options", "escape=false"]

Command = Callable[[int, Path], list[str]]
"""The words of a command, given the port to bind and the file to write."""


@dataclass(frozen=True)
class Contender:
    """One receiver.

    Attributes:
        command: what starts it.
        count: how many lines it gets at most, since slow ones would take minutes.
        frame: it gets frames of lines, of so many bytes; 0 for a line a message.
        applied: its filter, if its file does not hold the lines as they are sent.
        compared: how the file is checked, see `samples.problem`.
        targets: whom it is compared with, at least how many times as fast it is to be, and the aim.
    """

    command: Command
    count: int = 10**9
    frame: int = 0
    applied: Filter | None = None
    compared: str = "bytes"
    targets: tuple[tuple[str, float | None, float | None], ...] = ()


def ours(*words: str) -> Command:
    """The command with these words added."""
    return partial(_chain, [*OURS, *words])


def perl(words: tuple[str, ...]) -> Command:
    """The original."""
    return partial(_chain, words)


def _chain(words: list[str] | tuple[str, ...], port: int, file: Path) -> list[str]:
    return [*words, *chain_words(port, file)]


def compiled(port: int, file: Path) -> list[str]:
    """The C receiver, which was compiled into the folder of the file."""
    return [str(file.with_name("receiver")), f"tcp://127.0.0.1:{port}", str(file)]


def loop(port: int, file: Path) -> list[str]:
    """The loop."""
    return [sys.executable, str(HERE / "pyzmq_loop.py"), f"tcp://127.0.0.1:{port}", str(file)]


def rsyslog(port: int, file: Path, condition: str = "") -> list[str]:
    """In the foreground, with a config file of its own; what is written may have a condition, in its language."""
    config = file.with_name("rsyslog.conf")
    config.write_text(
        f"""global(workDirectory="{file.parent}")
module(load="imczmq")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="all") {{ {condition and f"if {condition} then "}action(type="omfile" file="{file}" template="raw") }}
input(type="imczmq" endpoints="@tcp://127.0.0.1:{port}" socktype="PULL" ruleset="all")
""",
        encoding="utf-8",
    )
    program = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"
    return [program, "-n", "-f", str(config), "-i", str(file.with_name("rsyslog.pid"))]


def several_filters(number: int, port: int, file: Path) -> list[str]:
    """Ours, with so many filters of a user's."""
    return configured([{"class": "+slowlog:Tagger"}] * number, port, file)


def configured(filters: list[dict[str, Any]], port: int, file: Path) -> list[str]:
    """Ours, by a config file of the named form with these filters, one after the other."""
    names = [f"filter{n}" for n in range(1, len(filters) + 1)]
    nexts = [*names[1:], "encoder"]
    listen = {"socket_bind": f"tcp://127.0.0.1:{port}", "socket_type": "PULL"}
    chain = {
        "inputs": {"input": {"class": "ZeroMQ", "options": listen, "output_to": "decoder"}},
        "decoders": {"decoder": {"class": "JSON", "output_to": names[0]}},
        "filters": {
            name: {**one, "output_to": following}
            for name, one, following in zip(names, filters, nexts, strict=True)
        },
        "encoders": {"encoder": {"class": "JSON", "output_to": "file"}},
        "outputs": {"file": {"class": "File", "options": {"filename": str(file)}}},
    }
    config = file.with_name("chain.json")
    config.write_text(json.dumps(chain), encoding="utf-8")
    return [*OURS, "--configfile", str(config)]


CONTENDERS = {
    C: Contender(compiled),
    f"{C}, JSON Lines": Contender(compiled, frame=FRAME),
    LOOP: Contender(loop),
    PERL_XS: Contender(perl(PERL), count=100_000, compared="objects"),
    "Perl, JSON::PP": Contender(perl(PERL_PP), count=20_000, compared="objects"),
    RSYSLOG: Contender(rsyslog, count=300_000, compared="lines"),
    RAW: Contender(ours("--decoder", "Null", "--encoder", "Null"), targets=((C, 0.6, 0.9),)),
    JSON: Contender(ours(), targets=((C, 0.3, 0.6), (PERL_XS, 20, None), (RSYSLOG, 1.6, None))),
    FILTERED: Contender(
        ours(*TAGGER),
        applied=Tagger(),
        targets=((C, None, 0.4), (PERL_XS, 14, None), (RSYSLOG, 1.3, None)),
    ),
    FRAMES: Contender(
        ours("--decoder", "Null", "--encoder", "Null", *FRAMED, *AS_THEY_ARE),
        frame=FRAME,
        targets=((C, 1.4, 3.0),),
    ),
    LINES: Contender(ours("--decoder", "JSONLines", *FRAMED), frame=FRAME, targets=((C, None, 1.4),)),
    LINES_FILTERED: Contender(
        ours("--decoder", "JSONLines", *TAGGER, *FRAMED),
        frame=FRAME,
        applied=Tagger(),
        targets=((C, 0.4, 0.8),),
    ),
}

MASKS: dict[str, Any] = {"keys": ["password"], "patterns": ["card", "email"]}
ALL_PASS: dict[str, Any] = {
    "class": "Where",
    "options": {"condition": 'level >= "DEBUG" and not message.startswith("health")'},
}
READING = {
    C: CONTENDERS[C],
    JSON: CONTENDERS[JSON],
    CHOOSING: Contender(ours("--filter", "+slowlog:Choosing"), applied=Choosing()),
    CHOSEN: Contender(
        ours("--filter", "+slowlog:Chosen"),
        applied=Choosing(),
        targets=((CHOOSING, 1.25, None), (JSON, 0.85, None), (C, 0.6, None)),
    ),
    WHERE: Contender(partial(configured, [ALL_PASS])),
    MASKED: Contender(
        partial(configured, [ALL_PASS, {"class": "Redact", "options": MASKS}]),
        applied=RedactFilter(**MASKS),
        targets=((C, 0.25, None),),
    ),
}
"""Filters that need few fields of most messages, or none."""
