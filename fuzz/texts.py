"""What a user may have written: regexfiles, config files and option words. It is taken or refused in words."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing import options as option_rules
from message_passing.codecs.crypt_cbc import CryptCBCDecoder
from message_passing.codecs.jsonlines import JSONLinesEncoder
from message_passing.config.forms import FLAT_PARTS, flat_chain, is_named, named_chain, read_declaration
from message_passing.config.parsing import load_file, options_from_text
from message_passing.errors import UserError
from message_passing.filters._regexfile import RegexFile
from message_passing.filters.follow import FollowFilter
from message_passing.filters.key import KeyFilter
from message_passing.filters.regexp import RegexpFilter
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.file import FileOutput
from message_passing.outputs.zeromq import ZeroMQOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from message_passing.component import Component

_COMPONENTS: tuple[type[Component], ...] = (
    ZeroMQInput,
    ZeroMQOutput,
    FileOutput,
    RegexpFilter,
    FollowFilter,
    KeyFilter,
    JSONLinesEncoder,
    CryptCBCDecoder,
)
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_LONGEST = 100_000
"""Characters of a message to a user: whoever gets more than that has not been told anything."""


@functools.cache
def _folder() -> Path:
    """A folder for files to read, removed when the process ends; in memory, for speed."""
    name = tempfile.mkdtemp(prefix="fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None)
    atexit.register(shutil.rmtree, name, ignore_errors=True)
    return Path(name)


@contextlib.contextmanager
def _refused_in_words() -> Iterator[None]:
    """What the block raises is a `UserError` that says something, or it is a bug."""
    try:
        yield
    except UserError as error:
        assert error.faults
        text = str(error)
        assert text.strip()
        assert len(text) <= _LONGEST, f"a message of {len(text)} characters"


def regexfile(data: bytes) -> None:
    """A regexfile, all of its formats, and all of its fields."""
    with _refused_in_words():
        file = RegexFile(data.decode("utf-8", "ignore"), "regexfile")
        for name in file.formats:
            with _refused_in_words():
                pattern = file.pattern(name, [":all"])
                assert {field for _, field in pattern.fields} <= set(file.fields())
                assert {group for group, _ in pattern.fields} <= pattern.regex.groupindex.keys()


def _config(ending: str, data: bytes) -> None:
    path = _folder() / f"config{ending}"
    path.write_bytes(data)
    with _refused_in_words():
        values = load_file(str(path))
        assert all(type(key) is str for key in values)
        _declared(values)


def _declared(values: Mapping[str, Any]) -> None:
    """The chain that a config file declares: its mistakes are collected, and nothing is imported or made."""
    if is_named(values):
        named_chain(values, "config")
        return
    parts = {
        name: read_declaration(kind, values.get(name), values.get(f"{name}_options"), name, f"{name}_options")
        for name, (kind, _) in FLAT_PARTS.items()
    }
    flat_chain(parts)


def relaxed_json(data: bytes) -> None:
    """A config file in JSON."""
    _config(".json", data)


def toml(data: bytes) -> None:
    """A config file in TOML."""
    _config(".toml", data)


def yaml(data: bytes) -> None:
    """A config file in YAML."""
    _config(".yaml", data)


def words(data: bytes) -> None:
    """Option words, with zero bytes between them; that of a file is `@name.ending`, a newline, its content."""
    given: list[str] = []
    for word in data.split(b"\0"):
        if word.lstrip().startswith(b"@"):
            name, _, content = word.lstrip()[1:].partition(b"\n")
            ending = name.decode("utf-8", "ignore").rpartition(".")[2]
            path = _folder() / (f"word.{''.join(filter(str.isalnum, ending))[:8]}")
            path.write_bytes(content)
            given.append(f"@{path}")
        else:
            given.append(word.decode("utf-8", "surrogateescape"))
    with _refused_in_words():
        values = options_from_text(given)
        for cls in _COMPONENTS:
            with _refused_in_words():
                known = option_rules.accepted(cls)
                checked = option_rules.check(known, values, label=cls.describe_self(), from_text=True)
                assert checked.keys() == known.keys()
                cls(**values)
