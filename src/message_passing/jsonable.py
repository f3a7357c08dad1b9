"""Objects that JSON does not know, in terms of what it knows: the rules that the codec and the log handler share."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

_CONVERSIONS = ("__json__", "to_dict", "to_hash", "pack")


def as_plain(value: Any) -> Any:
    """An object that JSON does not know, in terms of what it knows.

    Raises:
        NotImplementedError: it offers no way.
    """
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    for method in _CONVERSIONS:
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Sequence, AbstractSet)):
        return list(value)
    raise NotImplementedError(f"an object of type {type(value).__name__} has no JSON form")


def tidy(value: Any) -> Any:
    """What msgspec would write of `value`, with keys, surrogates and numbers that it refuses made plain."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, dict):
        return {_key(key): tidy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [tidy(item) for item in value]
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=as_plain)
    except NotImplementedError as error:
        raise TypeError(str(error)) from error
    return tidy(plain)


def _key(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return str(tidy(key if isinstance(key, str) else str(key)))
