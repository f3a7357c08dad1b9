"""All targets by their names, which are those of the folders in `corpus`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fuzz import allowed, conditions, console, decoders, receiver, texts

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"

TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": decoders.json_text,
    "jsonlines": decoders.json_lines,
    "gzip": decoders.gzipped,
    "bzip2": decoders.bzipped,
    "zstd": decoders.zstandard,
    "crypt": decoders.encrypted,
    "regexfile": texts.regexfile,
    "relaxed": texts.relaxed_json,
    "toml": texts.toml,
    "yaml": texts.yaml,
    "words": texts.words,
    "allowed": allowed.allowed_keys,
    "receiver": receiver.receiver,
    "console": console.console,
    "frames": receiver.frames,
    "condition": conditions.condition,
    "script": conditions.script,
    "grok": conditions.grok,
    "line": conditions.line,
}


def kept(name: str) -> list[Path]:
    """The inputs that are kept for a target."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
