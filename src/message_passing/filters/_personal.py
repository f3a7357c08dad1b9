"""Where a text has card numbers, mail addresses, IP addresses and credentials. Each takes time linear in the text.

A pattern begins only where nothing of its own kind stands before it, and what it repeats is bounded: otherwise `re`
would try a long run of letters from each of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from message_passing.resolving import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Span = tuple[int, int]

_DOMAIN = re.compile(r"@[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){1,8}")
_LOCAL = re.compile(r"[\w.+%'-]+")
_LONGEST_LOCAL = 256
_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,}")
_DOUBLED = bytes.maketrans(b"0123456789", bytes(48 + sum(divmod(2 * one, 10)) for one in range(10)))
_GROUP = re.compile(r"[0-9]+")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])", re.ASCII)
_COLONS = re.compile(r"[\w:.]+", re.ASCII)
_GROUP_OF_IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_MOST_GROUPS = 10
_TOKEN = re.compile(
    r"(?<![\w-])(?:"
    r"(?i:bearer|basic)[ ]+(?P<scheme>[\w.~+/=-]{8,})"
    r"|(?P<jwt>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    r"|(?P<aws>(?:AKIA|ASIA)[0-9A-Z]{16})"
    r"|(?P<github>gh[pousr]_\w{36,}|github_pat_\w{22,})"
    r"|(?P<slack>xox[abeprs]-[\w-]{10,})"
    r"|(?P<key>sk-[\w-]{20,})"
    r")|://[^\s/:@]{0,256}:(?P<url>[^\s/]{1,256})@"
    r"|(?P<pem>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\sA-Za-z0-9+/=]{0,16384}"
    r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?)",
    re.ASCII,
)
"""Credentials by their form: RFC 6750, RFC 7617, RFC 7519 (JWT), RFC 3986 (user:password@), RFC 7468, and the
prefixes that AWS, GitHub, Slack and others give theirs."""


def emails(text: str) -> Iterator[Span]:
    """Mail addresses (RFC 5321 and 6531, without quoted local parts)."""
    end = 0
    for found in _DOMAIN.finditer(text) if "@" in text else ():
        at = found.start()
        # Backwards from the @, so that what stands before, however long, hides none.
        local = _LOCAL.match(text[max(end, at - _LONGEST_LOCAL) : at][::-1])
        if local and (length := len(local[0].rstrip("'"))):
            end = found.end()
            yield at - length, end


def addresses(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses."""
    if text.count(".") >= 3:
        yield from (found.span() for found in _IPV4.finditer(text) if is_address(found[0]))
    if text.count(":") >= 2:
        for found in _COLONS.finditer(text):
            if found[0].count(":") >= 2:
                yield from _ipv6(found[0].rstrip("."), found.start())


def _ipv6(text: str, begin: int) -> Iterator[Span]:
    """IPv6 addresses among what stands between colons: `peer:2001:db8::1:`."""
    groups: list[str] = []
    for group in (*text.split(":"), "end"):
        if _GROUP_OF_IPV6.fullmatch(group):
            groups.append(group)
            continue
        length = sum(map(len, groups)) + len(groups)
        if 3 <= len(groups) <= _MOST_GROUPS:
            if groups[0] == "" != groups[1]:
                del groups[0]
            after = begin + length - 1
            if groups[-1] == "" != groups[-2]:
                after -= 1
                del groups[-1]
            if ":" in (one := ":".join(groups)) and is_address(one):
                yield after - len(one), after
        begin += length + len(group) + 1
        groups = []


def tokens(text: str) -> Iterator[Span]:
    """Credentials: bearer tokens, JSON Web Tokens, keys of known services, passwords in URLs, private keys."""
    for found in _TOKEN.finditer(text) if len(text) >= 8 else ():
        if name := found.lastgroup:
            yield found.span(name)


def cards(text: str) -> Iterator[Span]:
    """Numbers of payment cards: 13 to 19 digits of a known issuer with a right check digit (ISO/IEC 7812-1).

    Digits may stand in groups, with single spaces or hyphens between them; a number begins and ends with a group.
    """
    for found in _DIGITS.finditer(text) if len(text) >= 13 else ():
        digits = found[0]
        groups = [one.span() for one in _GROUP.finditer(digits)]
        for first in range(len(groups)):
            if (last := _card(digits, groups, first)) is not None:
                yield found.start() + groups[first][0], found.start() + groups[last][1]


def _card(text: str, groups: list[Span], first: int) -> int | None:
    """The last group of the longest number that begins with this one; None if there is none."""
    if text[groups[first][0]] not in "23456":  # of no issuer
        return None
    digits, best = "", None
    for index in range(first, min(first + 19, len(groups))):
        begin, end = groups[index]
        if len(digits) + end - begin > 19:
            break
        digits += text[begin:end]
        if len(digits) >= 13 and _is_issued(digits) and _is_checked(digits):
            best = index
    return best


def _is_issued(digits: str) -> bool:
    """Whether cards of some issuer begin so and are as long (the ranges of the large issuers)."""
    length = len(digits)
    if digits[0] == "4":
        return length in (13, 16, 19)
    two, four = int(digits[:2]), int(digits[:4])
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in (34, 37):
        return length == 15
    if two in (30, 36, 38, 39):
        return 14 <= length <= 19
    return (two in (35, 50, 56, 57, 58) or 60 <= two < 70) and length >= 16


def _is_checked(digits: str) -> bool:
    """Luhn's check."""
    raw = digits.encode()
    return (sum(raw[-1::-2]) + sum(raw[-2::-2].translate(_DOUBLED))) % 10 == 48 * len(raw) % 10


FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "card": cards,
    "email": emails,
    "token": tokens,
    "ip": addresses,
}
