"""Where a text has card numbers, mail addresses, IP addresses and credentials. Each takes time linear in the text.

A pattern begins only where nothing of its own kind stands before it, and what it repeats is bounded: otherwise `re`
would try a long run of letters from each of them.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Span = tuple[int, int]

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9-]{1,63}){1,8}", re.ASCII
)
_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,}")
_GROUP = re.compile(r"[0-9]+")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])", re.ASCII)
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f:]{2,37}:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f:]{2,39})(?![\w:]|\.[0-9])",
    re.ASCII,
)
_TOKEN = re.compile(
    r"(?<![\w-])(?:"
    r"(?i:bearer|basic)[ ]+(?P<scheme>[\w.~+/=-]{8,})"
    r"|(?P<jwt>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    r"|(?P<aws>(?:AKIA|ASIA)[0-9A-Z]{16})"
    r"|(?P<github>gh[pousr]_\w{36,}|github_pat_\w{22,})"
    r"|(?P<slack>xox[abeprs]-[\w-]{10,})"
    r"|(?P<key>sk-[\w-]{20,})"
    r")|://[^\s/:@]{1,256}:(?P<url>[^\s/@]{1,256})@"
    r"|(?P<pem>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\sA-Za-z0-9+/=]{0,16384}"
    r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?)",
    re.ASCII,
)
"""Credentials by their form: RFC 6750, RFC 7617, RFC 7519 (JWT), RFC 3986 (user:password@), RFC 7468, and the
prefixes that AWS, GitHub, Slack and others give theirs."""


def emails(text: str) -> Iterator[Span]:
    """Mail addresses (RFC 5321, without quoted local parts)."""
    if "@" in text:
        for found in _EMAIL.finditer(text):
            yield found.span()


def addresses(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses."""
    for pattern, sign, least in ((_IPV4, ".", 3), (_IPV6, ":", 2)):
        if text.count(sign) >= least:
            for found in pattern.finditer(text):
                if found[0].count(sign) >= least and _is_address(found[0]):
                    yield found.span()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


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
        groups = [one.span() for one in _GROUP.finditer(found[0])]
        first = 0
        while first < len(groups):
            last = _card(found[0], groups, first)
            if last is None:
                first += 1
                continue
            yield found.start() + groups[first][0], found.start() + groups[last][1]
            first = last + 1


def _card(text: str, groups: list[Span], first: int) -> int | None:
    """The last group of the longest number that begins with this one; None if there is none."""
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
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return length in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in (34, 37):
        return length == 15
    if two in (30, 36, 38, 39):
        return 14 <= length <= 19
    return (two in (35, 50, 56, 57, 58) or 60 <= two < 70) and length >= 16


def _is_checked(digits: str) -> bool:
    """Luhn's check."""
    total = sum(map(int, digits[-1::-2])) + sum(sum(divmod(2 * int(one), 10)) for one in digits[-2::-2])
    return total % 10 == 0


FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "card": cards,
    "email": emails,
    "token": tokens,
    "ip": addresses,
}
