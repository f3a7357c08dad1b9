"""What the project is tested with is pinned, and what it asks for is a range."""

from __future__ import annotations

import re
import tomllib

from documents import ROOT

NAME = re.compile(r"[A-Za-z0-9._-]+")


def normal(requirement: str) -> str:
    """A requirement's name as PyPI compares names."""
    found = NAME.match(requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_requirement_is_pinned() -> None:
    """Whoever adds one renews constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(one for extra in extras for one in extra)]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==(\d+!)?[\w.]+", pin) for pin in pins)
    assert {normal(one) for one in asked} - {"message-passing"} <= {normal(pin) for pin in pins}


def test_the_package_itself_asks_for_ranges() -> None:
    """An application that installs it has versions of its own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert all("==" not in one.partition(";")[0] for one in project["dependencies"])
