"""Two machines with a cable between them: network namespaces, and a wire that can be cut, lossy and long."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from faulty import needs, without

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "10.99.0.1"
THERE = ("10.99.0.2", "10.99.0.3")
"""The address of the one machine, and those of the other."""

NAME = "logs.example"
"""How the machine here calls the one there."""

_PROGRAM = Path(__file__).parent / "faults" / "wire.py"
_HOSTS = Path("/etc/netns")


def ip(*words: str) -> None:
    """Have iproute2 do something."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        without(f"network namespaces are not to be had: ip {' '.join(words)}: {done.stderr}")


class Cable:
    """The wire, and what runs a command on one of its machines.

    Attributes:
        here: a command's prefix: it runs on the one machine.
        there: on the other.
    """

    def __init__(self, names: tuple[str, str], wire: subprocess.Popen[str]) -> None:
        self.here, self.there = (("ip", "netns", "exec", name) for name in names)
        self._hosts = _HOSTS / names[0] / "hosts"
        self._wire = wire

    def tell(self, line: str) -> None:
        """Change the wire: see wire.py."""
        assert self._wire.stdin
        self._wire.stdin.write(line + "\n")
        self._wire.stdin.flush()

    def lost(self) -> int:
        """How many packets it has lost so far."""
        self.tell("lost")
        assert self._wire.stdout
        return int(self._wire.stdout.readline())

    def name(self, address: str) -> None:
        """From now on the machine here finds `NAME` at this address."""
        self._hosts.write_text(f"{address} {NAME}\n")  # in place, since that file is mounted


@contextmanager
def cable() -> Iterator[Cable]:
    """The machines and the wire, and none of it at the end."""
    needs("ip", root=True)
    if not Path("/dev/net/tun").exists():
        without("needs /dev/net/tun, for a cable")
    names = f"mp-{os.getpid()}-here", f"mp-{os.getpid()}-there"
    devices = f"mpw{os.getpid()}a", f"mpw{os.getpid()}b"
    words = [sys.executable, "-W", "error", str(_PROGRAM), *devices]
    wire = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert wire.stdout
        if wire.stdout.readline() != "ready\n":
            without("a TUN device is not to be had")
        for name, device, addresses in zip(names, devices, ((HERE,), THERE), strict=True):
            ip("netns", "add", name)
            ip("link", "set", device, "netns", name)
            for address in addresses:
                ip("-n", name, "address", "add", f"{address}/24", "dev", device)
            for one in (device, "lo"):
                ip("-n", name, "link", "set", one, "up")
        made = Cable(names, wire)
        (_HOSTS / names[0]).mkdir(parents=True)
        made.name(THERE[0])
        yield made
    finally:
        _remove(names, wire)


def _remove(names: tuple[str, str], wire: subprocess.Popen[str]) -> None:
    wire.kill()
    wire.communicate()
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)  # noqa: S607
    with suppress(FileNotFoundError):
        (_HOSTS / names[0] / "hosts").unlink()
        (_HOSTS / names[0]).rmdir()
    with suppress(OSError):  # somebody else may need it
        _HOSTS.rmdir()
