"""The level of a record that is encoded already, whichever set of fields it has."""

from __future__ import annotations

from typing import Any

import msgspec

UNKNOWN_LEVEL = "unknown"
"""The level of a lost record that cannot be read any more, or has none."""


class _Levels(msgspec.Struct):
    """Where the sets of fields (`fields.Fields`) have it: `logstash0` in an object of its own."""

    level: Any = None
    ecs: Any = msgspec.field(name="log.level", default=None)
    otel: Any = msgspec.field(name="SeverityText", default=None)
    logstash0: Any = msgspec.field(name="@fields", default=None)


_decode = msgspec.json.Decoder(_Levels).decode


def level_of_encoded(text: bytes) -> str:
    """The name of a record's level, in capitals where its fields have it in small letters."""
    try:
        found = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return UNKNOWN_LEVEL
    inner = found.logstash0.get("level") if isinstance(found.logstash0, dict) else None
    level = next((one for one in (found.level, found.ecs, found.otel, inner) if one is not None), None)
    if not isinstance(level, str) or not level:
        return UNKNOWN_LEVEL
    return level.upper() if level.islower() else level
