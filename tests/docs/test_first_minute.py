"""A newcomer's first minute: what the README and the recipe say, pasted as it stands."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from documents import ROOT, blocks
from message_passing.testing import free_port, wait_for
from nodes import wait_for_port
from scenes import Scene
from web_servers import request, serving

if TYPE_CHECKING:
    from pathlib import Path

README, GUIDE = ROOT / "README.md", ROOT / "docs" / "guide-logging.md"


def test_a_record_of_a_fastapi_application_is_in_the_file(tmp_path: Path) -> None:
    """The README's node with a file instead of the screen, and the guide's application with its logging."""
    node = next(block for block in blocks(README) if block.scene == "first-record")
    (to_file,) = re.findall(r"`(--output File [^`]+)`", README.read_text(encoding="utf-8"))
    command = node.text.splitlines()[0].replace("--output STDOUT", to_file)
    recipe = GUIDE.read_text(encoding="utf-8").partition("\n### FastAPI\n")[2].partition("\n### ")[0]
    found = [block for block in blocks(GUIDE) if block.words and block.text in recipe]
    files = [block for block in found if block.way == "is"]
    typed = [line for block in found if block.language == "sh" for line in block.text.splitlines()]
    run = next(line for line in typed if line.startswith("uvicorn "))
    ask = next(line for line in typed if line.startswith("curl "))
    port = free_port()
    with Scene(tmp_path) as stage:
        # On a busy machine the application takes so long that the node reports that nobody has connected yet.
        stage.play(replace(node, text=f"{command}\n...\n", words=("shows", "first-minute")))
        for block in files:
            name = block.words[1].rpartition("/")[2]
            stage.play(replace(block, words=("file", name, "first-minute")))
        with serving(tmp_path, "-m", *shlex.split(run), "--port", str(port)):
            wait_for_port(port)
            status, headers = request(port, shlex.split(ask)[1].partition(":8000")[2])
            assert status == 200
            log = tmp_path / "my_test.log"
            wait_for(lambda: log.exists() and "order 7 viewed" in log.read_text(), 20)
        record = next(json.loads(line) for line in log.read_text().splitlines() if "order 7 viewed" in line)
        stage.finish()
    assert len(files) == 2
    assert (record["level"], record["service"]) == ("INFO", "shop")
    assert record["context"]["request_id"] == headers["X-Request-ID"]
