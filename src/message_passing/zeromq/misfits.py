"""Why the two ends of a connection do not match, and what to change: socket types, mechanisms, other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.escaping import one_line

if TYPE_CHECKING:
    from message_passing.zeromq.zmtp_probe import Greeting

FITTING_TYPES = {
    "PUB": ("SUB", "XSUB"),
    "XPUB": ("SUB", "XSUB"),
    "PUSH": ("PULL",),
    "SUB": ("PUB", "XPUB"),
    "XSUB": ("PUB", "XPUB"),
    "PULL": ("PUSH",),
    "DEALER": ("ROUTER",),
    "ROUTER": ("DEALER",),
}
"""For each socket type that we use, the types at the other end (RFC 28, RFC 29, RFC 30)."""

_SHOWN = 40
"""Characters shown of a peer's text about itself."""

_PLAIN = {"XPUB": "PUB", "XSUB": "SUB"}
"""The usual names of the types that are the same on the wire."""

SENDING_TYPES = ("PUB", "XPUB", "PUSH")
"""The types that send."""

TWO_WAY_TYPES = ("DEALER", "ROUTER")
"""The types that both send and receive."""


def plain_type(socket_type: str) -> str:
    """A socket type's usual name: a PUB may be an XPUB underneath."""
    return _PLAIN.get(socket_type, socket_type)


def other_end(socket_type: str) -> str:
    """The name of the other end: `receiver` for a sending socket, `sender` for a receiving one, `peer` if both."""
    if socket_type in TWO_WAY_TYPES:
        return "peer"
    return "receiver" if socket_type in SENDING_TYPES else "sender"


def expected_peer(socket_type: str) -> str:
    """The socket type required at the other end: `a PUB sends to a SUB`."""
    if socket_type in TWO_WAY_TYPES:
        return f"a {socket_type} goes with a {FITTING_TYPES[socket_type][0]}"
    verb = "sends to" if socket_type in SENDING_TYPES else "receives from"
    return f"a {socket_type} {verb} a {FITTING_TYPES[socket_type][0]}"


def misfit(ours: str, mechanism: str, greeting: Greeting) -> str:
    """Why a peer with this greeting does not match our socket, and what to do; empty if that is not evident.

    Args:
        ours: our socket's type: `PUB`, `SUB`, `PUSH` or `PULL`.
        mechanism: our security mechanism.
        greeting: the peer's greeting.
    """
    if greeting.is_old:
        if ours not in SENDING_TYPES:
            return ""
        return "it uses ZMTP 2 or older: receivers need ZeroMQ 4 (2013) or later"
    if not greeting.version:
        return f"{greeting.other}: another program uses this port: choose another, or stop that program"
    theirs = one_line(greeting.mechanism, _SHOWN)
    if theirs != mechanism:
        options = (
            "curve_server_key and curve_secret_key" if "CURVE" in (theirs, mechanism) else "plain_username"
        )
        return f"it uses {theirs}, and this side {mechanism}: set {options} on both sides, or on neither"
    if not greeting.socket_type or greeting.socket_type in FITTING_TYPES[ours]:
        return ""
    return type_misfit(ours, one_line(greeting.socket_type, _SHOWN))


def type_misfit(ours: str, theirs: str) -> str:
    """Why two socket types do not match, and what to do."""
    if theirs not in FITTING_TYPES:
        advice = f"no input or output of message-passing fits a {theirs}: it is another program's endpoint"
    elif ours in TWO_WAY_TYPES and theirs in TWO_WAY_TYPES:
        advice = f"set socket_type {FITTING_TYPES[ours][0]} on one side"
    elif ours in TWO_WAY_TYPES or theirs in TWO_WAY_TYPES:
        advice = "messages are acknowledged on both sides (DEALER and ROUTER) or on neither: see socket_type"
    elif (theirs in SENDING_TYPES) == (ours in SENDING_TYPES):
        who = other_end(ours)
        does = "sends" if ours in SENDING_TYPES else "receives"
        advice = f"it {does} as well: give the endpoint of a {who}"
    else:
        here, there = FITTING_TYPES[theirs][0], FITTING_TYPES[ours][0]
        advice = f"set socket_type {here} here, or {there} there"
    return f"its socket is a {plain_type(theirs)}, but {expected_peer(ours)}: {advice}"
