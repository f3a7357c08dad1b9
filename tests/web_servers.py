"""Servers of applications that log: processes that run while a block does, and requests to them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING
from urllib.error import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message
    from pathlib import Path


@contextlib.contextmanager
def serving(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """A program that runs while the block does, and ends when it is told to."""
    output = folder / "printed"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    try:
        yield
        process.terminate()
        process.wait(20)
    except BaseException:
        print(output.read_text())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def request(port: int, path: str, **headers: str) -> tuple[int, Message[str, str]]:
    """Ask a server for a page, to its last byte; the status and the headers of its answer."""
    url = f"http://127.0.0.1:{port}{path}"
    asked = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310
            answer.read()
            return int(answer.status), answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.headers


def get(port: int, path: str) -> int:
    """Ask a server for a page; the status of its answer."""
    return request(port, path)[0]
