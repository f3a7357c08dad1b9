"""What a shell or an editor has done to the quotes of JSON."""

from __future__ import annotations

import re

from message_passing.errors import abbreviate

_BARE = re.compile(r"[\[{]*\s*[A-Za-z_][\w.-]*\s*[:,\]]")
_NEARLY_PAIR = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)(?:\s*=\s*(?P<value>.*))?", re.DOTALL)
_EXAMPLE = """'{"key": "value"}'"""


def lost_quotes(text: str) -> str:
    """What seems to have happened to a word's quotes; empty if nothing has."""
    if any(quote in text for quote in "\u201c\u201d\u201e\u2018\u2019"):
        return f"JSON requires plain double quotes, not typographic ones: {_EXAMPLE}"
    if '"' in text:
        return ""
    if "'" in text:
        return f"JSON takes double quotes, not single ones, which are for the shell: {_EXAMPLE}"
    if _BARE.match(text.lstrip()):
        arrived = f"the shell removed the quotes; what arrived is {abbreviate(text)}"
        return f"{arrived}: put it all in single quotes, {_EXAMPLE}"
    return ""


def lost_pair(text: str) -> str:
    """What was most likely meant by a word that resembles `key=value`; empty if it does not."""
    found = _NEARLY_PAIR.fullmatch(text.strip())
    if not found:
        return ""
    pair = f"{found['key']}={found['value'] or 'VALUE'}"
    return f" (did you mean {pair!r}? It is one word, without spaces around the =)"
