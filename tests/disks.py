"""Small disks for tests: one that can become full, and one whose power can be cut."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faulty import needs, without

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHUT_DOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN (linux, fs/ext4/ext4.h): the file system writes nothing more."""

_DISK_BYTES = 128 << 20

_NO_LOG_FLUSH = 2
"""Not even what its journal has, and has not written yet."""


def _done(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        without(f"{' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


@contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """A disk of so many KiB, in memory."""
    needs("mount", "umount", root=True)
    place.mkdir()
    _done("mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S607 - the one on PATH


def fill(ballast: Path) -> None:
    """Write a file until there is no room left."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def _copy(image: Path, copy: Path) -> None:
    """Copy what can be read; what is empty stays a hole."""
    with image.open("rb", buffering=0) as given, copy.open("wb", buffering=0) as taken:
        while block := given.read(1 << 20):
            if block.strip(b"\0"):
                taken.write(block)
            else:
                taken.seek(len(block), os.SEEK_CUR)
        taken.truncate(image.stat().st_size)


class Disk:
    """An ext4 file system on a loop device, whose power can be cut.

    What has not been written to the device by then is lost: the pages in the system's memory, and the journal's end.
    What the device was given is there afterwards, in its order: a disk that forgets what it said it had synced is
    not simulated.

    Attributes:
        place: where it is mounted.
    """

    def __init__(self, place: Path, image: Path) -> None:
        self.place = place
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(_DISK_BYTES)
        _done("mkfs.ext4", "-q", "-F", str(image))
        self._devices: list[str] = []
        self._image, self._number = image, 0
        self._mount()

    def _mount(self) -> None:
        self._devices.append(_done("losetup", "--find", "--show", str(self._image)))
        _done("mount", self._devices[-1], str(self.place))

    def cut(self) -> None:
        """Nothing more is written from now on, and what uses it finds errors.

        Whoever syncs a file at this moment may be told that it is on the disk although it is not: Linux reports
        success for a sync that this interrupts (measured: 7 of 50 times, with three threads that do nothing else).
        Where that would be taken for a promise, let it stand still first, until it is in no system call.
        """
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUT_DOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def power(self) -> None:
        """Power is back: the journal is replayed. Nobody uses what was there before the cut any more.

        What is mounted is a copy: the old one may live on in a mount namespace that somebody has made meanwhile.
        """
        self._number += 1
        copy = self._image.with_suffix(f".{self._number}")
        _copy(self._image, copy)
        self.remove()
        self._image.unlink()
        self._image = copy
        self._mount()

    def remove(self) -> None:
        """Give the devices back."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=False, capture_output=True)  # noqa: S607
        while self._devices:
            subprocess.run(["losetup", "--detach", self._devices.pop()], check=True)  # noqa: S607


@contextmanager
def disks(folder: Path, count: int) -> Iterator[list[Disk]]:
    """So many of them."""
    needs("mount", "umount", "losetup", "mkfs.ext4", root=True)
    made: list[Disk] = []
    try:
        for n in range(count):
            made.append(Disk(folder / f"disk-{n}", folder / f"disk-{n}.image"))  # noqa: PERF401 - removed if one fails
        yield made
    finally:
        for disk in made:
            disk.remove()
