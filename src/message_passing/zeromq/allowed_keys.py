"""The folder of allowed keys: read while the server runs, and trusted only as far as its permissions allow."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from message_passing.clock import monotonic
from message_passing.errors import OpenError
from message_passing.escaping import escape_control
from message_passing.secure_files import SHORTAGE, is_settled, kind_of, read_file, require_safe, signature
from message_passing.zeromq.keys import LARGEST_KEY_FILE, PUBLIC, entries, is_key

ANYBODY = "*"
"""The value used in place of a folder to allow every client that has a key of its own."""

MOST_KEYS = 10_000
"""The most key files that are read from a folder; any beyond are reported."""

_ENTRIES = 10
"""Directory entries examined for each file allowed: the number of unrelated entries has no bound."""

FRESH = 0.25
"""Seconds for which a folder is not read again: a storm of clients triggers one lookup each."""

_MISS, _MISS_SHARE = 0.01, 10
"""For a key that is not in it, the folder is read again after this many seconds, or this many times the duration of a
read: the key may just have been allowed."""

_SHOWN = 5
"""How many problems of a folder are reported individually, besides the total."""


@dataclass(frozen=True, slots=True)
class _File:
    """What is known about one file.

    Attributes:
        key: the public key in it; empty when it has no allowed key.
        state: the file's stat signature when it was read.
        settled: whether any later change would show in `state`.
        problem: why its key is not allowed.
    """

    key: str = ""
    state: tuple[int, ...] = ()
    settled: bool = False
    problem: str = ""


class AllowedKeys:
    """The public keys in a folder, by their files' names.

    A file must be a regular one of at most 4 KiB, of root's or our own, not writable by others, and no symbolic
    link; so must the folder. A file that is anything else allows nobody, and is among the `problems`; a folder that
    is gone, cannot be read, or may be written by others, allows nobody at all. Hidden files are ignored.
    """

    def __init__(self, folder: str, *, most: int = MOST_KEYS) -> None:
        """Set the folder.

        Args:
            folder: its path, or `*` for any key at all.
            most: the most files it may have.
        """
        self.folder = folder
        self.problems: list[str] = []
        """The first few problems of the folder or its files as of the last read, as sentences."""
        self._most = most
        self._names: dict[str, str] = {}
        self._files: dict[str, _File] = {}
        self._looked = -FRESH
        self._took = 0.0

    def check(self) -> None:
        """Check that the folder is readable, and that no other user may add keys to it.

        Raises:
            OpenError: it is not readable, or others may add keys.
        """
        if self.folder == ANYBODY:
            return
        try:
            self._check_folder()
            with os.scandir(self.folder):
                pass
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            reason = "there is no such folder" if missing else f"it cannot be read ({error.strerror})"
            raise OpenError(
                f"the folder of allowed keys {self.folder!r}: {reason}; `message-passing keys allow` creates it"
            ) from error

    def _check_folder(self) -> None:
        found = Path(self.folder).stat()
        if not stat.S_ISDIR(found.st_mode):
            kind = kind_of(found.st_mode) if not stat.S_ISREG(found.st_mode) else "a file"
            raise OpenError(
                f"the folder of allowed keys {self.folder!r} is {kind}: name the folder that it is in"
            )
        require_safe(self.folder, found, "folder of allowed keys")

    def name_of(self, key: str) -> str:
        """The name of the file with this key; empty when it is not allowed."""
        if self.folder == ANYBODY:
            return key
        found = self.all().get(key, "")
        if not found and monotonic() - self._looked >= max(_MISS, _MISS_SHARE * self._took):
            found = self.all(fresh=0.0).get(key, "")  # it may just have been allowed
        return found

    def allows(self, key: str) -> bool:
        """Whether a key is allowed now."""
        return bool(self.name_of(key))

    def by_name(self) -> dict[str, str]:
        """The keys by file name; several files may have the same key."""
        self.all()
        return {name.removesuffix(PUBLIC): file.key for name, file in sorted(self._files.items()) if file.key}

    def all(self, fresh: float = FRESH) -> dict[str, str]:
        """The file names by key, as the folder is now.

        Args:
            fresh: seconds for which the last read counts as current.
        """
        began = monotonic()
        if began - self._looked < fresh:
            return self._names
        try:
            return self._reread()
        finally:
            self._looked = monotonic()
            self._took = self._looked - began

    def _reread(self) -> dict[str, str]:
        problems: list[str] = []
        try:
            self._files = self._read_all(problems)
        except OSError as error:
            if error.errno in SHORTAGE:  # that revokes no key
                return self._names
            self._files = {}
            problems.append(f"the folder of allowed keys {self.folder!r} cannot be read: {error.strerror}")
        except OpenError as error:
            self._files = {}
            problems.append(str(error))
        self._names = {
            file.key: name.removesuffix(PUBLIC) for name, file in sorted(self._files.items()) if file.key
        }
        self.problems = _summary(problems)
        return self._names

    def _read_all(self, problems: list[str]) -> dict[str, _File]:
        self._check_folder()
        found = {}
        for name in self._listed(problems):
            if file := self._read(name):
                found[name] = file
                if file.problem:
                    problems.append(file.problem)
        return found

    def _listed(self, problems: list[str]) -> list[str]:
        """The names of the files to read; known files come first, which needs no descriptor."""
        names = dict.fromkeys(self._files)
        try:
            with os.scandir(self.folder) as listing:
                for number, entry in enumerate(listing):
                    if number >= self._most * _ENTRIES or len(names) > self._most:
                        break
                    if not entry.name.endswith(PUBLIC) or entry.name.startswith("."):
                        continue
                    if entry.name.isprintable() and escape_control(entry.name) == entry.name:
                        names[entry.name] = None
                    else:  # including bytes that are not UTF-8
                        problems.append(
                            f"the name of the file {entry.name!a} in {self.folder!r} has characters that cannot be "
                            "shown: its key is not allowed; give it another name"
                        )
        except OSError as error:
            if error.errno not in SHORTAGE:
                raise
        if len(names) > self._most:
            problems.append(
                f"there are more than {self._most:,} keys in {self.folder!r}: those beyond are not allowed"
            )
        return list(names)[: self._most]

    def _read(self, name: str) -> _File | None:
        """A file as it is now; None when it is gone; the last known state when it cannot be read at present."""
        path = os.path.join(self.folder, name)  # noqa: PTH118 - for thousands of files, twice a second
        known = self._files.get(name)
        try:
            found = os.lstat(path)
            if known and known.settled and known.state == signature(found):
                return known
            data, found = read_file(path, "file of an allowed key", limit=LARGEST_KEY_FILE, follow=False)
            require_safe(path, found, "file of an allowed key")
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in SHORTAGE:
                return known
            return _File(problem=f"the file of an allowed key {path!r} cannot be read: {error.strerror}")
        except OpenError as error:
            return _File(problem=f"{error}; its key is not allowed until then")
        key = entries(data.decode("ascii", "replace")).get("public-key", "")
        if not is_key(key):
            return _File(problem=f"there is no public-key in the file {path!r}: it allows no peer")
        return _File(key, signature(found), is_settled(found, time.time()))


def _summary(problems: list[str]) -> list[str]:
    more = len(problems) - _SHOWN
    return [*problems[:_SHOWN], f"and {more:,} more problems of this kind"] if more > 0 else problems
