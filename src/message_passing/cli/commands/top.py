"""The command `message-passing top`: running nodes, live, in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING, Any, cast

from message_passing.cli.command import Command, number_type
from message_passing.cli.poller import Poller
from message_passing.cli.terminal import is_terminal, let_go, print_out
from message_passing.conditions import Condition
from message_passing.environment import from_environment
from message_passing.errors import OpenError, OptionError, needs_extra
from message_passing.escaping import ascii_json
from message_passing.paths import load_own

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console
    from rich.live import Live

    from message_passing.cli.poller import NodeStatus

_ORDERS = ("lost", "idle", "received", "name")

_interval = number_type(float, "a number from 0.1 to 3600", lambda seconds: 0.1 <= seconds <= 3600)

_EPILOG = """\
examples:
  message-passing top                              all nodes of yours with --control
  message-passing top 4711 http://logs:9090 --token env:TOKEN
  message-passing top --once                       a snapshot, for a pipe or an email
  message-passing top --where 'lost > 0 or utilization > 0.8'
  message-passing top --json | jq .components[].in_rate

keys: q quits, s sorts senders by losses, idle time, number or name, p pauses. exit status of --once: 0 all
nodes responded, 1 not all did, 2 usage error.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="process ID, control socket, or http://host:port (default: all your nodes on this machine)",
    )
    parser.add_argument("--token", default="", help="their --http_token, or env:NAME")
    parser.add_argument("--interval", type=_interval, default=1.0, metavar="SECONDS", help="default 1")
    parser.add_argument("--sort", choices=_ORDERS, default="lost", help="sort senders by this (default lost)")
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only components and senders for which this holds, by the fields that --json shows, as for Where",
    )
    parser.add_argument("--once", action="store_true", help="print a snapshot, without colours, and exit")
    parser.add_argument("--json", action="store_true", help="the states as JSON lines")


def _run(given: argparse.Namespace) -> int:
    token = from_environment(given.token) if given.token else None
    try:
        where = None if given.where is None else Condition(given.where)
    except OptionError as error:
        raise error.under("--where") from error
    poller = Poller(given.targets, token, given.interval, given.sort, where)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with poller:
            if given.json:
                return _json(poller, once=given.once)
            if given.once:
                return _once(poller)
            return _live(poller)
    except BrokenPipeError:
        let_go(sys.stdout)
        return 0
    except KeyboardInterrupt:
        return 0


def _json(poller: Poller, *, once: bool) -> int:
    """Print a line for each node, repeatedly."""
    while True:
        statuses = poller.all_statuses(times=1)
        for one in statuses:
            state = {"target": one.target, **(one.state if not one.gone else {"error": one.gone})}
            sys.stdout.write(ascii_json(json.dumps(state)) + "\n")
        sys.stdout.flush()
        if once:
            return _status(statuses)
        poller.wait_for_more()


def _status(statuses: Sequence[NodeStatus]) -> int:
    if not statuses:
        COMMAND.tell("no node of this user is running with --control")
    return 1 if not statuses or any(one.gone for one in statuses) else 0


def _once(poller: Poller) -> int:
    # A node measures utilization only while it is polled: the second answer has it.
    statuses = poller.all_statuses(times=2)
    print_out(_picture(_console(plain=True), statuses, poller.order, keys=False))
    return _status(statuses)


def _picture(console: Console, statuses: Sequence[NodeStatus], order: str, *, keys: bool) -> str:
    with console.capture() as captured:
        console.print(_frame()(statuses, order=order, keys=keys))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _console(*, plain: bool) -> Console:
    with needs_extra("console"):
        from rich.console import Console  # noqa: PLC0415 - an extra, for who looks at pictures only
    if not plain:
        return Console(highlight=False, markup=False)
    width = None if is_terminal(sys.stdout) or os.environ.get("COLUMNS") else 100
    return Console(highlight=False, markup=False, color_system=None, no_color=True, width=width)


def _frame() -> Callable[..., Any]:
    # It imports rich, which may not be installed.
    return cast("Callable[..., Any]", load_own("message_passing.cli.topview:frame"))


def _live(poller: Poller) -> int:
    """Draw until q is pressed.

    Raises:
        OpenError: there is no terminal.
    """
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise OpenError("stdout is not a terminal: use --once for a snapshot, or --json")
    console = _console(plain=False)
    from rich.live import Live  # noqa: PLC0415 - as its console

    with _keys() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        _Screen(live, poller, keyboard).run()
    return 0


class _Screen:
    """The screen, and its keys."""

    def __init__(self, live: Live, poller: Poller, keyboard: _Keyboard) -> None:
        self._live, self._poller, self._keyboard = live, poller, keyboard
        self._frame = _frame()
        self._paused = False
        self._shown: Sequence[NodeStatus] = ()

    def run(self) -> None:
        """Draw, whenever there is something new, until q is pressed."""
        while True:
            if not self._paused:
                self._shown = self._poller.statuses()
            picture = self._frame(self._shown, order=self._poller.order, paused=self._paused)
            self._live.update(picture, refresh=True)
            for key in self._keyboard.keys(self._poller.wake):
                if key in ("q", "Q", "\x04", ""):
                    return
                if key in ("p", "P", " "):
                    self._paused = not self._paused
                if key in ("s", "S"):
                    order = _ORDERS.index(self._poller.order)
                    self._poller.reorder(_ORDERS[(order + 1) % len(_ORDERS)])


class _Keyboard:
    """Reads keys, and notices changes of the terminal's size."""

    def __init__(self, resized: int) -> None:
        self._resized = resized

    def keys(self, news: int) -> str | list[str]:
        """Wait for keys, a new size, or until `news` is readable.

        Returns:
            The keys; an empty text among them when there will be no more.
        """
        ready, _, _ = select.select([sys.stdin.fileno(), self._resized, news], [], [])
        for descriptor in (self._resized, news):
            if descriptor in ready:
                os.read(descriptor, 1000)
        if sys.stdin.fileno() not in ready:
            return ""
        try:
            pressed = os.read(sys.stdin.fileno(), 100)
        except OSError:  # the terminal has gone
            pressed = b""
        return list(pressed.decode("utf-8", "replace")) or [""]


@contextlib.contextmanager
def _keys() -> Iterator[_Keyboard]:
    """Have the terminal deliver each key at once, without echo; restore its mode at the end."""
    before = termios.tcgetattr(sys.stdin.fileno())
    hear, say = os.pipe()
    os.set_blocking(say, False)
    woken = signal.set_wakeup_fd(say, warn_on_full_buffer=False)
    earlier = signal.signal(signal.SIGWINCH, lambda *_: None)
    try:
        tty.setcbreak(sys.stdin.fileno(), termios.TCSADRAIN)
        yield _Keyboard(hear)
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, earlier)
        signal.set_wakeup_fd(woken)
        os.close(hear)
        os.close(say)


COMMAND = Command(
    name="top",
    description="Show running nodes: rates, queues, losses, senders, what is slow, the last error.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
