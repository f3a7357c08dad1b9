"""Tests that need Perl are left out in the open, and in CI they are not left out at all."""

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

def test_without():
    pass
"""


@pytest.mark.parametrize(
    ("ci", "status", "outcome"), [("", 0, "1 passed, 1 skipped"), ("true", 1, "1 passed, 1 error")]
)
def test_what_lacks_a_perl_module_is_skipped_except_in_ci(
    tmp_path: Path, ci: str, status: int, outcome: str
) -> None:
    """Either way the reason names the module."""
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_some.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = perl\n")
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
