"""What must be there before anything is measured: a compiler, libzmq's headers, and the other receivers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from aggregators import OURS
from speed.contenders import HERE, PERL_XS, RSYSLOG

PROGRAMS = {"sender": ["-lzmq"], "receiver": ["-lzmq"], "watcher": []}
TOUCHED = 2 << 30
"""Bytes of memory that are used before the first measurement."""


class MissingError(Exception):
    """Something that the benchmark cannot do without."""


def compile_all(folder: Path) -> None:
    """Compile the programs in C into a folder.

    Raises:
        MissingError: there is no compiler, or it does not find libzmq.
    """
    if not shutil.which("cc"):
        raise MissingError("there is no C compiler (Debian packages: gcc libc6-dev)")
    for name, libraries in PROGRAMS.items():
        words = ["cc", "-O2", "-Wall", "-o", str(folder / name), str(HERE / f"{name}.c"), *libraries]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode and "zmq" in done.stderr:
            raise MissingError("the C compiler does not find libzmq (Debian package: libzmq3-dev)")
        if done.returncode:
            raise MissingError(f"{name}.c does not compile: {done.stderr}")


def absent() -> dict[str, str]:
    """The contenders that cannot take part, and why."""
    reasons = {}
    if not _has_rsyslog() and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing rsyslog and rsyslog-czmq", file=sys.stderr)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        words = ["apt-get", "install", "-qq", "-y", "rsyslog", "rsyslog-czmq"]
        subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=False)
    if not _has_rsyslog():
        reasons[RSYSLOG] = "the Debian packages rsyslog and rsyslog-czmq are missing"
    words = ["perl", "-MMessage::Passing", "-MMessage::Passing::Input::ZeroMQ", "-e", "1"]
    if not shutil.which("perl") or subprocess.run(words, capture_output=True, check=False).returncode:
        reasons[PERL_XS] = reasons["Perl, JSON::PP"] = "libmessage-passing-zeromq-perl is missing"
    return reasons


def _has_rsyslog() -> bool:
    found = shutil.which("rsyslogd") or Path("/usr/sbin/rsyslogd").exists()
    return bool(found) and any(Path("/usr/lib").glob("*/rsyslog/imczmq.so"))


def offers(word: str) -> bool:
    """Whether our command knows this option."""
    text = subprocess.run([*OURS, "--help"], capture_output=True, text=True, check=True).stdout
    return word in text


def touch_memory(folder: Path) -> None:
    """Use memory once, and give it back.

    On a virtual machine the first use of a page is a fault that the host has to serve: the first
    measurement would pay for those of all.
    """
    path, block = folder / "touched", bytes(1 << 24)
    with path.open("wb") as file:
        for _ in range(TOUCHED // len(block)):
            file.write(block)
    path.unlink()


def library_version() -> str:
    """The version of the libzmq that the C programs use."""
    text = Path("/usr/include/zmq.h").read_text(encoding="utf-8", errors="replace")
    return ".".join(re.findall(r"#define ZMQ_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text))


def processor() -> str:
    """The processor's name."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else "unknown processor"
