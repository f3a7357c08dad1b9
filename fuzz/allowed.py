"""What the folder of allowed keys promises, whatever is in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from message_passing.zeromq.allowed_keys import AllowedKeys
from message_passing.zeromq.keys import is_key

_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
_KINDS = "file", "pipe", "folder", "link", "endless", "nowhere"
_MODES = 0o644, 0o600, 0o666, 0o664, 0o000, 0o7777
_LONGEST_NAME = 251


def allowed_keys(data: bytes) -> None:
    """Entries, each a byte for its kind and mode, a line for its name, a line for its length, and what is in it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-allowed-"))
    try:
        (folder / "good.key").write_text(f'public-key = "{_KEY}"')
        keys = AllowedKeys(str(folder), most=20)
        assert keys.all() == {_KEY: "good"}
        _fill(folder, data)
        keys._looked = -1.0  # noqa: SLF001 - as if time had passed
        found = keys.all()
        assert _KEY in found, "the key that was there is allowed whatever comes beside it"
        assert all(is_key(key) and name.encode() and name.isprintable() for key, name in found.items())
        assert set(found.values()) <= keys.by_name().keys()
        assert len(keys.problems) <= 6
        assert all(text.isprintable() and len(text) < 2000 for text in keys.problems)
    finally:
        shutil.rmtree(folder)


def _fill(folder: Path, data: bytes) -> None:
    while data:
        first, rest = data[0], data[1:]
        name, _, rest = rest.partition(b"\n")
        length, _, rest = rest.partition(b"\n")
        size = int(length) if length.isdigit() and len(length) < 6 else 0
        name = name.replace(b"/", b"").replace(b"\0", b"")[:_LONGEST_NAME] + b".key"
        if name != b"good.key":
            _make(os.path.join(os.fsencode(folder), name), first, rest[:size])  # noqa: PTH118 - names are bytes
        data = rest[size:]


def _make(path: bytes, first: int, content: bytes) -> None:
    if os.path.lexists(path):
        return
    kind = _KINDS[first % len(_KINDS)]
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)  # noqa: PTH102 - the name is bytes
    elif kind in ("link", "endless", "nowhere"):
        os.symlink({"link": b"good.key", "endless": b"/dev/zero", "nowhere": b"nowhere"}[kind], path)  # noqa: PTH211 - the name is bytes
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, content)
        os.fchmod(descriptor, _MODES[first // len(_KINDS) % len(_MODES)])
        os.close(descriptor)
