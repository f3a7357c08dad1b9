"""The guide's pictures: every state of the page, in a real browser.

With UPDATE_SCREENSHOTS=1 they are taken anew, and made smaller by pngquant where that is installed.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error, expect

from console.applications import Applications, listened
from documents import ROOT
from pages import Look, Site, looking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.program("chromium")

UPDATE = bool(os.environ.get("UPDATE_SCREENSHOTS"))
WIDE = (1280, 1900)
SHORT = (1280, 760)
PHONE = (360, 1480)
PICTURES = {
    "console": WIDE,
    "console-dark": WIDE,
    "console-losing": (1280, 1060),
    "console-error": (1280, 1000),
    "console-idle": SHORT,
    "console-empty": SHORT,
    "console-gone": SHORT,
    "console-sign-in": (1280, 600),
    "console-phone": PHONE,
}
"""Their names, and how large they are."""

OURS = {"host": "logs-1", "config": "/etc/message-passing/chain.toml"}
"""What pictures show instead of what the machine has on which they are taken."""

LARGEST_OF_ALL = 1_200_000
"""Bytes of all of them together."""


def picture(page: Page, name: str) -> None:
    """Take it, if pictures are to be taken."""
    if not UPDATE:
        return
    path = ROOT / "docs" / f"{name}.png"
    width, height = PICTURES[name]
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    if small := shutil.which("pngquant"):
        subprocess.run([small, "--force", "--strip", "--speed", "1", "--output", path, path], check=True)


def neutral(route: Route) -> None:
    """The node's state, of no machine in particular."""
    try:
        found = route.fetch().json()
    except Error:
        route.abort()
    else:
        route.fulfill(json=found | OURS)


@contextmanager
def logging(page: Page, applications: Applications, seconds: int) -> Iterator[None]:
    """They go on logging, where pictures are taken, and have for so many seconds."""
    applications.log(300)
    done = threading.Event()

    def log() -> None:
        while not done.is_set():
            applications.pour(2)

    thread = threading.Thread(target=log)
    if UPDATE:
        thread.start()
        page.wait_for_timeout(seconds * 1000)
    try:
        yield
    finally:
        done.set()
        if UPDATE:
            thread.join()


def says(page: Page, word: str) -> None:
    """Wait until the headline is that."""
    expect(page.locator("#headline-word")).to_have_text(word, timeout=90_000)


def on_a_phone(browser: Browser, site: Site) -> None:
    """The same node on a phone."""
    size = {"width": PHONE[0], "height": PHONE[1]}
    with looking(
        browser, site.url, viewport=size, is_mobile=True, has_touch=True, device_scale_factor=1
    ) as look:
        look.page.route("**/state", neutral)
        page = look.open(site.url)
        with logging(page, Applications(site, lossy=False, broken=False), 5):
            expect(page.locator("#messages > li").first).to_be_visible()
            picture(page, "console-phone")


def test_empty_busy_dark_on_a_phone_and_gone(browser: Browser, tmp_path: Path) -> None:
    """All is well with it, until it is stopped."""
    site = Site(tmp_path)
    with site, listened(site), looking(browser, site.url, unanswered=True) as look:
        with site.running():
            look.page.route("**/state", neutral)
            page = look.open(site.url)
            says(page, "Idle")
            expect(page.locator("#headline-text")).to_contain_text("No message yet")
            picture(page, "console-empty")
            with logging(page, Applications(site, lossy=False, broken=False), 60):
                says(page, "OK")
                expect(page.locator("#messages > li").first).to_be_visible()
                picture(page, "console")
                page.emulate_media(color_scheme="dark")
                picture(page, "console-dark")
                page.emulate_media(color_scheme="light")
            on_a_phone(browser, site)
        says(page, "Not reachable")
        picture(page, "console-gone")


@pytest.mark.skipif(not UPDATE, reason="a node is idle after a minute without messages")
def test_idle(browser: Browser, tmp_path: Path) -> None:
    """Messages came, and then no more."""
    site = Site(tmp_path)
    with site, listened(site), site.running(), looking(browser, site.url) as look:
        look.page.route("**/state", neutral)
        page = look.open(site.url)
        Applications(site, lossy=False, broken=False).log(300)
        says(page, "OK")
        says(page, "Idle")
        picture(page, "console-idle")


def test_losing(browser: Browser, tmp_path: Path) -> None:
    """Here, since nobody listens to the alarms, and on the way here; both are said by whom."""
    site = Site(tmp_path, hwm=10)
    with site, site.running(), looking(browser, site.url) as look:
        look.page.route("**/state", neutral)
        page = look.open(site.url)
        with logging(page, Applications(site, broken=False), 30):
            site.send(*[{"level": "ERROR", "message": "alarm"}] * 20)
            says(page, "Losing messages")
            expect(page.locator("#losses-here tbody tr")).to_have_count(1)
            expect(page.locator("#losses-senders tbody tr")).to_contain_text(["shop@web-2"])
            picture(page, "console-losing")


def test_an_error_and_a_component_s_panel(browser: Browser, tmp_path: Path) -> None:
    """Messages that are cut off fail in the decoder, whose panel is open."""
    site = Site(tmp_path)
    with site, listened(site), site.running(), looking(browser, site.url) as look:
        look.page.route("**/state", neutral)
        page = look.open(site.url)
        with logging(page, Applications(site, lossy=False, broken=False), 15):
            site.send(*[b'{"level":"INFO","message":"cut off'] * 3)
            says(page, "Degraded")
            expect(page.locator("#error-list li")).to_contain_text(["3 times"])
            page.locator("#chain-drawing").get_by_role("button", name="decoder", exact=True).click()
            expect(page.locator("#details")).to_contain_text("3 failed")
            picture(page, "console-error")


def test_signing_in(browser: Browser, tmp_path: Path) -> None:
    """It is all that is shown then."""
    site = Site(tmp_path, token="open-sesame")
    with site, site.running(), looking(browser, site.url, unanswered=True) as look:
        look.page.goto(site.url)
        expect(look.page.get_by_label("Token")).to_be_focused()
        expect(look.page.locator("footer")).to_be_hidden()
        picture(look.page, "console-sign-in")


def test_the_pictures_are_there(look: Look) -> None:
    """Each as large as is said here, all together not too heavy, and each is in the guide."""
    assert look.page.url == "about:blank"
    guide = (ROOT / "docs" / "guide-console.md").read_text(encoding="utf-8")
    total = 0
    for name, size in PICTURES.items():
        data = (ROOT / "docs" / f"{name}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert struct.unpack(">II", data[16:24]) == size
        assert f"({name}.png)" in guide
        total += len(data)
    assert total < LARGEST_OF_ALL
