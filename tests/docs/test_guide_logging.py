"""The guide to logging leaves out no option and no field."""

from __future__ import annotations

import inspect
import re

from documents import ROOT
from message_passing.logging import ZeroMQHandler
from message_passing.logging.entry import Entry
from message_passing.logging.fields import Origin

GUIDE = (ROOT / "docs" / "guide-logging.md").read_text(encoding="utf-8")


INTERNAL = {"min_level", "weight"}
"""What is not sent, or in another field set only."""


def named_in(section: str) -> set[str]:
    """The names in the first column of a section's table."""
    text = GUIDE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"(?m)^\| (`.+?) \|", text)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_option_is_told() -> None:
    """All of them in the reference, and none in the guide that is not there."""
    reference = (ROOT / "docs" / "reference" / "handler.md").read_text(encoding="utf-8")
    known = set(inspect.signature(ZeroMQHandler).parameters)
    assert known - {"level"} <= set(re.findall(r"(?m)^\| `(\w+)` \|", reference)) <= known
    assert named_in("Options") <= known


def test_every_field_is_told() -> None:
    """Those of a record and those of its sender."""
    assert named_in("Fields") == {*Entry.__struct_fields__, *Origin.__slots__} - INTERNAL


def test_every_field_set_is_told() -> None:
    """But for the default, which has a section of its own."""
    assert named_in("Other field sets") == {"ecs", "log_dispatch", "logstash", "logstash0", "otel"}
