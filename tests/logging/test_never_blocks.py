"""A log call takes as long as it takes, whatever became of the receiver: side by side in one run (promise 2)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from logs import RECEIVER, free_endpoint, read_line, receiver, started, tell
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = 200_000
"""Calls of each handler in a run."""

PROGRAM = """
import gc, json
endpoints = json.loads(sys.argv[1])
handlers, times = {}, {}
def timed(name, what, function, *arguments):
    begun = time.perf_counter()
    result = function(*arguments)
    took = time.perf_counter() - begun
    times[name][what] = max(times[name].get(what, 0), took)
    return result
for name, endpoint in endpoints.items():
    times[name] = {}
    logger = logging.Logger(name)
    handlers[name] = logger, timed(name, "constructor", lambda: ZeroMQHandler(endpoint, report_interval=0))
    logger.addHandler(handlers[name][1])
    timed(name, "first", logger.info, "first")
print("logged", flush=True)
sys.stdin.readline()
gc.disable()
for _ in range(10):
    for name, (logger, _) in handlers.items():
        for number in range(%d):
            timed(name, "slowest", logger.info, "record %%d", number)
for name, (_, handler) in handlers.items():
    timed(name, "close", handler.close)
    times[name]["all"] = sum(handler.stats()["dropped"].values()) + handler.stats()["sent"]
print(json.dumps(times), flush=True)
"""


def measured(endpoints: dict[str, str], hurt: Any = None, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run the program; `hurt` is called when each handler has logged its first record."""
    program = PROGRAM % (CALLS // 10)
    with started(program, "", arguments=(json.dumps(endpoints),), prefix=prefix) as process:
        assert read_line(process) == "logged"
        if hurt:
            hurt()
        tell(process)
        line = read_line(process)
        assert process.wait(10) == 0
        assert process.stderr
        assert process.stderr.read() == ""
    found: dict[str, Any] = json.loads(line)
    return found


def check(times: dict[str, Any]) -> None:
    """No worse than with the receiver up: some times as slow, and what a busy machine may add at any moment."""
    up = times["up"]
    for name, took in times.items():
        for what in ("constructor", "first", "slowest"):
            assert took[what] < 10 * up[what] + 0.1, (name, what, times)
        assert took["close"] < 1.8, (name, times)
        assert took["all"] == CALLS + 1, (name, times)


def test_absent_stalled_and_killed(tmp_path: Path) -> None:
    """And a host that does not exist; the constructor and the first call too. Nothing is lost uncounted."""
    with (
        receiver(tmp_path / "up") as up,
        receiver(tmp_path / "stalled") as stalled,
        receiver(tmp_path / "killed") as killed,
    ):

        def hurt() -> None:
            for one in (up, stalled, killed):
                one.wait_for_messages("first")
            stalled.signal(signal.SIGSTOP)
            killed.kill()

        endpoints = {
            "up": up.endpoint,
            "absent": free_endpoint(),
            "unresolvable": "tcp://no-such-host.invalid:5558",
            "stalled": stalled.endpoint,
            "killed": killed.endpoint,
        }
        check(measured(endpoints, hurt))


SLOW_RESOLVER = """
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const void *hints, void **res) { sleep(6); return -3; }
"""


def test_a_name_server_that_does_not_answer(tmp_path: Path) -> None:
    """ZeroMQ's own thread waits for it, for seconds; neither the calls nor the end of the program do."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("needs a C compiler, for a name lookup that takes long")
    (tmp_path / "slow.c").write_text(SLOW_RESOLVER)
    library = tmp_path / "slow.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "slow.c"], check=True)
    with receiver(tmp_path / "up") as up:
        endpoints = {"up": up.endpoint, "unresolvable": "tcp://logs.example:5558"}
        check(measured(endpoints, prefix=("env", f"LD_PRELOAD={library}")))


def ip(*words: str) -> None:
    """Have iproute2 do something."""
    subprocess.run(["ip", *words], check=True, capture_output=True)  # noqa: S607 - the one on PATH


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two machines with a cable: the application's, and that of receivers at 10.99.0.2 to 10.99.0.4."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root and iproute2, for network namespaces")
    if not shutil.which("nft"):
        pytest.skip("needs nftables, for a firewall")
    here, there = (f"mp-{os.getpid()}-{side}" for side in "ab")
    cable = f"mp{os.getpid()}"
    try:
        ip("netns", "add", here)
        ip("netns", "add", there)
        ip(
            "link",
            "add",
            f"{cable}a",
            "netns",
            here,
            "type",
            "veth",
            "peer",
            "name",
            f"{cable}b",
            "netns",
            there,
        )
        for name, side, addresses in ((here, "a", (1,)), (there, "b", (2, 3, 4))):
            for address in addresses:
                ip("-n", name, "address", "add", f"10.99.0.{address}/24", "dev", cable + side)
            ip("-n", name, "link", "set", cable + side, "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not to be had: {error.stderr.decode()}")
    else:
        nft(there, "add table inet firewall")
        nft(there, "add chain inet firewall incoming { type filter hook input priority 0; }")
        yield here, there
    finally:
        for name in (here, there):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)


def nft(host: str, command: str) -> None:
    """Change this host's firewall."""
    words = ["ip", "netns", "exec", host, "nft", command]
    subprocess.run(words, check=True, capture_output=True)


def drop_all_to(address: str, host: str) -> None:
    """From now on this host's firewall drops what comes to this address of it, without an answer."""
    nft(host, f"add rule inet firewall incoming ip daddr {address} drop")


def test_packets_that_vanish(hosts: tuple[str, str], tmp_path: Path) -> None:
    """Those of a connection that stood, and those that would begin one."""
    here, there = hosts
    inside = ("ip", "netns", "exec")
    endpoints = {
        name: f"tcp://10.99.0.{number}:5558" for name, number in (("cut off", 2), ("up", 3), ("closed", 4))
    }
    with contextlib.ExitStack() as stack:
        for name in ("cut off", "up"):
            program = RECEIVER.format(endpoint=endpoints[name], path=str(tmp_path / name), hwm=0, kind="SUB")
            process = stack.enter_context(started(program, "", prefix=(*inside, there)))
            assert read_line(process) == "ready"
        drop_all_to("10.99.0.4", there)

        def hurt() -> None:
            files = [tmp_path / name for name in ("cut off", "up")]
            wait_for(lambda: all(file.exists() and file.read_bytes() for file in files), 10)
            drop_all_to("10.99.0.2", there)

        check(measured(endpoints, hurt, prefix=(*inside, here)))
