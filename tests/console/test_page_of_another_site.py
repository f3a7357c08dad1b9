"""A page of another site, in a real browser: what it makes the browser ask of a node is not answered."""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from message_passing.console.client import NodeClient
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from pages import Site

pytestmark = pytest.mark.program("chromium")

PAGE = "<!doctype html><title>evil</title><a href='URL/'>link</a>"

ASK = """async (url) => {
    const said = [];
    for (const mode of ["no-cors", "cors"]) {
        try { said.push((await fetch(url, { mode })).type) } catch { said.push("refused") }
    }
    return said;
}"""


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The files of a folder, over HTTP; the port."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_script_of_another_site_gets_nothing(
    browser: Browser, site: Site, tmp_path: Path, host: str
) -> None:
    """From another port of the same address, and from another name; and its link to the page still works."""
    (tmp_path / "index.html").write_text(PAGE.replace("URL", site.url))
    node = NodeClient(site.url)

    def refused() -> int:
        return int(node.get("/state")["console"]["refused"].get("from another site", 0))

    before = refused()
    with served(tmp_path) as port:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{host}:{port}/")
        assert page.evaluate(ASK, f"{site.url}/tail") == ["refused", "refused"]
        assert page.evaluate(ASK, f"{site.url}/state") == ["refused", "refused"]
        wait_for(lambda: refused() == before + 4)
        assert node.get("/state")["console"]["watchers"] == 0
        page.click("a")
        page.wait_for_url(f"{site.url}/")
        expect(page.locator("#status-words")).not_to_have_text("Connecting to the node.")
        context.close()
