"""A real node with its page, what feeds it, and a real browser that looks at it."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import zmq
from playwright.sync_api import expect, sync_playwright

from message_passing.testing import free_port
from nodes import node, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

ARGUMENTS = [
    "--no-sandbox",  # it runs as root in tests, where Chromium has no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CHAIN = """
error_log = "reports"

[inputs.applications]
class = "ZeroMQ"
options = {{ socket_bind = "{input}", socket_type = "PULL" }}
output_to = "decoder"

[decoders.decoder]
class = "JSON"
output_to = "follow"

[filters.follow]
class = "Follow"
options = {{ idle_after = {idle} }}
output_to = "split"

[filters.split]
class = "T"
output_to = ["everything", "errors"]

[encoders.everything]
class = "JSON"
output_to = "file"

[filters.errors]
class = "Key"
options = {{ key = "level", match = "ERROR" }}
output_to = "alarm"

[encoders.alarm]
class = "JSON"
output_to = "{pub}"

[encoders.reports]
class = "JSON"
output_to = "failed"

[outputs.file]
class = "File"
options = {{ filename = "everything.log" }}

[outputs."{pub}"]
class = "ZeroMQ"
options = {{ connect = "{nobody}", socket_hwm = {hwm}, linger = 0 }}

[outputs.failed]
class = "File"
options = {{ filename = "failed.log" }}
"""
"""Unless a test listens to the alarms, these pile up, and are then lost."""


class Site:
    """A node of ours with a page, which can be started again on the same ports, and a socket that feeds it.

    Attributes:
        url: of the page.
        input: the endpoint on which the node takes messages.
        alarms: the endpoint to which it connects to send the alarms.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str = "",
        pub: str = "alarms",
        hwm: int = 50,
        idle: float = 60,
        more: Sequence[str] = (),
    ) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.input = f"tcp://127.0.0.1:{free_port()}"
        self._folder, self._token, self._more = folder, token, more
        self.alarms = f"tcp://127.0.0.1:{free_port()}"
        text = CHAIN.format(input=self.input, nobody=self.alarms, pub=pub, hwm=hwm, idle=idle)
        (folder / "chain.toml").write_text(text, encoding="utf-8")
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.set_hwm(0)
        self._socket.connect(self.input)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The node runs; it is stopped at the end."""
        http = self.url.removeprefix("http://")
        words = ["--configfile", "chain.toml", "--http", http, *self._more]
        if self._token:
            words += ["--http_token", self._token]
        with node(*words, cwd=self._folder) as started:
            wait_for_port(int(http.rpartition(":")[2]))
            yield
            status, _, err = started.stop()
            assert status == 0, err.decode()

    def send(self, *messages: Any) -> None:
        """Give it messages: objects, or bytes as they are."""
        for one in messages:
            self._socket.send(one if isinstance(one, bytes) else json.dumps(one).encode())

    @contextmanager
    def flood(self, rate: int) -> Iterator[None]:
        """So many messages a second, from a thread."""
        done = threading.Event()
        self_made = zmq.Context()
        socket = self_made.socket(zmq.PUSH)
        socket.connect(self.input)

        def pour() -> None:
            began, sent = time.monotonic(), 0
            while not done.wait(0.01):
                while sent < (time.monotonic() - began) * rate:
                    sent += 1
                    socket.send(b'{"level":"INFO","message":"one of many","number":%d}' % sent)

        thread = threading.Thread(target=pour)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self_made.destroy(linger=0)


class Look:
    """One tab, and all that must not happen in it.

    Attributes:
        page: the tab.
        troubles: errors and warnings in the browser's console, also of what the policy forbade; uncaught errors.
        requests: every address that was asked.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def open(self, address: str) -> Page:
        """Go there, and wait until the node's state is shown and its messages are looked at."""
        self.page.goto(address)
        self.page.locator(".card").first.wait_for()
        return self.settled()

    def settled(self) -> Page:
        """Wait until the node gives the messages that are asked for now."""
        self.page.locator("#messages[aria-busy=false]").wait_for(state="attached")
        return self.page


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """That browser, without a window."""
    expect.set_options(timeout=20_000)  # for machines that are busy with other things
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def looking(browser: Browser, url: str, *, unanswered: bool = False, **how: Any) -> Iterator[Look]:
    """A new tab with a memory of its own; at the end nothing must have gone wrong in it.

    Args:
        browser: the browser.
        url: of the node, the only one that may be asked.
        unanswered: requests may fail: the node refuses them or goes.
        how: options of the tab, such as `viewport`.
    """
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    context.set_default_timeout(20_000)
    try:
        look = Look(context.new_page())
        yield look
        allowed = "Failed to load resource" if unanswered else "\0"
        assert [text for text in look.troubles if not text.startswith(allowed)] == []
        assert {one for one in look.requests if not one.startswith((f"{url}/", "data:"))} == set()
    finally:
        for page in context.pages:  # an answer that a test would have changed is wanted no more
            page.unroute_all(behavior="ignoreErrors")
        context.close()
