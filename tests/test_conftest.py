"""Tests that need Perl or another program are left out in the open, and in CI they are not left out at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import pytest

@pytest.mark.perl("No::Such::Module::Anywhere")
def test_with_perl():
    pass

@pytest.mark.program("no-such-program-anywhere")
def test_with_a_program():
    pass

def test_without():
    pass
"""


@pytest.mark.parametrize(
    ("ci", "status", "outcome"), [("", 0, "1 passed, 2 skipped"), ("true", 1, "1 passed, 2 errors")]
)
def test_what_lacks_something_is_skipped_except_in_ci(
    tmp_path: Path, ci: str, status: int, outcome: str
) -> None:
    """Either way the reason names the module, or the program."""
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_some.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  perl\n  program\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "CI": ci},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert outcome in done.stdout
    assert "No::Such::Module::Anywhere" in done.stdout
    assert "no-such-program-anywhere" in done.stdout
