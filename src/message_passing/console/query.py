"""The parameters of a request: each known, given once, of bounded length, and UTF-8. Anything else is a 400."""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING

from message_passing.errors import did_you_mean, needs_extra

with needs_extra("console"):
    from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PARAMETERS = 32
"""Parameters of one request."""

LONGEST = 256
"""Characters of one."""

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


class Query:
    """The parameters of a request."""

    def __init__(self, raw: bytes, known: Sequence[str], repeated: Sequence[str] = ()) -> None:
        """Parse them.

        Args:
            raw: the query string (RFC 3986, 3.4), encoded like an HTML form.
            known: the allowed names.
            repeated: those that may be given more than once.

        Raises:
            HTTPException: 400, with a sentence that states the error.
        """
        self._values: dict[str, list[str]] = {}
        try:
            pairs = urllib.parse.parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
            )
        except UnicodeDecodeError as error:
            raise HTTPException(400, "the parameters are not UTF-8") from error
        except ValueError as error:
            raise HTTPException(400, f"at most {MOST_PARAMETERS} parameters are allowed") from error
        for name, value in pairs:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                hint = did_you_mean(name, known) if len(name) <= LONGEST else ""
                raise HTTPException(400, f"there is no parameter {name[:50]!r}{hint or f' ({has})'}")
            if name in self._values and name not in repeated:
                raise HTTPException(400, f"{name} is given more than once")
            if len(value) > LONGEST:
                raise HTTPException(400, f"{name} has {len(value)} characters; at most {LONGEST} are allowed")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        """A parameter's text."""
        return self._values.get(name, [default])[0]

    def texts(self, name: str) -> list[str]:
        """All texts of one that may be repeated."""
        return self._values.get(name, [])

    def number(self, name: str, default: int, most: int) -> int:
        """A parameter's number, at most `most`.

        Raises:
            HTTPException: 400, it is not a number.
        """
        text = self.text(name, str(default))
        if not _NUMBER.fullmatch(text):
            raise HTTPException(400, f"{name} must be a whole number from 0 to 999999999, not {text[:50]!r}")
        return min(int(text), most)
