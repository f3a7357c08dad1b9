"""Tests marked `perl` are left out where Perl or a module of it is missing, except in CI, where they fail."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

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


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, or fail in CI, a test whose Perl modules are missing."""
    marks = list(item.iter_markers("perl"))
    if not marks:
        return
    modules = tuple(dict.fromkeys([*ORIGINAL, *(name for mark in marks for name in mark.args)]))
    if missing := missing_from_perl(modules):
        reason = f"needs Perl's {', '.join(missing)} (see the Debian packages in the README)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
