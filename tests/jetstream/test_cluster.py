"""Three servers, of which any may die."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_the_demo_kills_a_leader_and_a_worker_and_misses_nothing(tmp_path: Path) -> None:
    """What `make demo-cluster` runs, with fewer records; it ends by itself, and leaves no process."""
    words = [sys.executable, str(ROOT / "examples/cluster/run.py"), str(tmp_path), "100"]
    demo = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said, _ = demo.communicate(timeout=280)
    finally:
        demo.send_signal(signal.SIGINT)
    assert demo.returncode == 0, said
    assert re.search(r"server-[123] is killed .*\n.*worker-1 is killed .*\n", said.replace("\n  ", " ")), said
    assert re.search(r"Of [0-9]+ records, 0 are missing", said)
