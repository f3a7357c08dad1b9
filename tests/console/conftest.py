"""The browser and the node that the tests of the page share: of one module at a time.

Playwright's loop runs in the thread that uses it as long as the browser does, and tests of other modules want one of
their own there.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pages import Look, Site, chromium, looking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a module."""
    with chromium(shutil.which("chromium") or "chromium") as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node that runs."""
    with Site(tmp_path_factory.mktemp("site")) as made, made.running():
        yield made


@pytest.fixture
def look(browser: Browser, site: Site) -> Iterator[Look]:
    """A tab for that node."""
    with looking(browser, site.url) as opened:
        yield opened
