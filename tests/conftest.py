"""Tests that need Perl, or another program, are left out where that is missing, except in CI, where they fail."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import subprocess
import tempfile

import hypothesis
import pytest

# How long an example may take says something of the machine, which is busy with other tests, and nothing of the code.
# Fewer examples than the default of 100: the random order of each run makes others; `make faults` has them all.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, max_examples=100 if "FAULT_SECONDS" in os.environ else 30
)
hypothesis.settings.load_profile("shared machine")

ORIGINAL = ("Message::Passing", "Message::Passing::Output::ZeroMQ")


@functools.cache
def missing_from_perl(modules: tuple[str, ...]) -> list[str]:
    """Which of these Perl modules cannot be loaded; `perl` itself if there is none."""
    perl = shutil.which("perl")
    if perl is None:
        return ["perl"]
    program = 'for (@ARGV) { eval "require $_; 1" or print "$_\\n" }'
    found = subprocess.run([perl, "-e", program, *modules], capture_output=True, text=True, check=True)
    return found.stdout.split()


def missing_for(item: pytest.Item) -> str:
    """What a test needs and has not; empty if it has all."""
    programs = [name for mark in item.iter_markers("program") for name in mark.args]
    if missing := [name for name in programs if shutil.which(name) is None]:
        return f"needs {', '.join(missing)}"
    marks = list(item.iter_markers("perl"))
    modules = tuple(dict.fromkeys([*ORIGINAL, *(name for mark in marks for name in mark.args)]))
    if marks and (missing := missing_from_perl(modules)):
        return f"needs Perl's {', '.join(missing)}"
    return ""


def pytest_configure(config: pytest.Config) -> None:
    """What nodes keep beyond their end does not stay on the machine that tests them."""
    folder = tempfile.mkdtemp(prefix="message-passing-state-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["XDG_STATE_HOME"] = folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, or fail in CI, a test that lacks what it needs."""
    if missing := missing_for(item):
        reason = f"{missing} (see the Debian packages in the README)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def pytest_collection_finish() -> None:
    """Leave what all the tests have imported out of every collection of garbage: many tests ask for one."""
    gc.collect()
    gc.freeze()
