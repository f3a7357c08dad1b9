"""What can be captured of a broken record: one whose attributes are missing, or raise when read."""

from __future__ import annotations

import logging
from typing import Any

from message_passing.logging.attributes import LARGEST_RECORD
from message_passing.logging.entry import Entry, add_rest, entry_of, put_right
from message_passing.objects import safe


def salvaged(record: Any, largest: int = LARGEST_RECORD) -> Entry:
    """What can be had of a record that is none: one with attributes missing, or whose attributes raise."""
    try:
        whole = logging.LogRecord("", 0, "", 0, None, None, None)
        whole.__dict__.update(dict.fromkeys(whole.__dict__))
        whole.__dict__.update(record.__dict__)
        entry = entry_of(whole)
        add_rest(whole, entry, largest)
    except Exception:  # noqa: BLE001 - it has no attributes at all, or what they are raises
        entry = _single(record)
    missing = "not all of the record could be captured"
    entry.format_error = f"{missing}; {entry.format_error}" if entry.format_error else missing
    return entry


def _single(record: Any) -> Entry:
    """An entry of the attributes that every record has, each as far as it can be had."""

    def attribute(name: str) -> Any:
        try:
            return getattr(record, name)
        except Exception:  # noqa: BLE001 - the next attribute may be there
            return None

    names = ("created", "levelname", "levelno", "name", "msg", "pathname", "lineno", "funcName")
    time, level, number, logger, message, file, line, function = map(attribute, names)
    entry = Entry(time, level, number, logger, message, file, line, function, None, None)
    entry.message = safe(str, entry.message)
    return put_right(entry)
