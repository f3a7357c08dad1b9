"""Every input that was kept is tried again: what broke a promise once, and what leads through much of the code."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from documents import ROOT
from fuzz import console, receiver
from fuzz.targets import CORPUS, TARGETS, kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST = 2.0
"""Seconds of the processor's time that one may take; most take a thousandth of that."""

CASES = [pytest.param(name, path, id=f"{name}/{path.name}") for name in TARGETS for path in kept(name)]


@pytest.fixture(scope="module", autouse=True)
def _receivers() -> Iterator[None]:
    """What the receiver's target started is stopped."""
    yield
    receiver.close()
    console.close()


@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_kept_input_breaks_nothing(name: str, path: Path) -> None:
    """The target says what must hold of it, and it takes no longer than it should."""
    began = time.thread_time()
    TARGETS[name](path.read_bytes())
    assert time.thread_time() - began < LONGEST


def test_the_corpus_has_a_folder_for_each_target_and_is_small() -> None:
    """Tens of small files, so that everybody can look at them."""
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()
    for name in TARGETS:
        assert 5 <= len(kept(name)) <= 60
        assert all(path.stat().st_size <= 8192 for path in kept(name))


def test_an_input_can_be_run_again() -> None:
    """As what fuzzing prints says: silently if it breaks nothing, with a traceback otherwise."""

    def again(name: str, path: Path) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-W", "error", "-m", "fuzz", "--again", name, str(path)]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    done = again("json", CORPUS / "json" / "object")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = again("json", CORPUS / "json" / "nobody-kept-this")
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr
