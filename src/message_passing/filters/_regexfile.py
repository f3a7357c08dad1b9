r"""The regexfile of the Regexp filter: named pieces of regular expressions, and formats composed of them.

The format is that of Message::Passing::Filter::Regexp, which is Config::Tiny's with Regexp::Log's marks:

    [FORMAT]
    :default = %date %status
    [REGEXP]
    %date = (?#=date)\[(?#=ts)\d{2}/\w{3}/\d{4}(?#!ts) [-+]\d{4}\](?#!date)
    %status = (?#=status)\d+(?#!status)

`(?#=name)` and `(?#!name)` mark where a field begins and ends; fields may lie within fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from message_passing.errors import OptionError, did_you_mean
from message_passing.filters._perl_regex import compiled, in_python

_LINE_END = re.compile(r"\r{1,2}\n|\r|\n")
_SKIPPED = re.compile(r"\s*(?:[#;]|$)")
_TRAILING_COMMENT = re.compile(r"\s;\s.+$")
_MARK = re.compile(r"\(\?#([=!])([-\w]+)\)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The compiled form of a format and a selection of fields.

    Attributes:
        regex: the whole line's.
        fields: each group of it, and the field whose text it takes, in order.
    """

    regex: re.Pattern[str]
    fields: tuple[tuple[str, str], ...]

    def parse(self, line: str) -> dict[str, str | None] | None:
        """The fields of a line, or None if it does not match. A field that did not participate is None."""
        match = self.regex.search(line)
        if match is None:
            return None
        found: dict[str, str | None] = {}
        for group, field in self.fields:
            if match[group] is not None or field not in found:
                found[field] = match[group]
        return found


class RegexFile:
    """A regexfile that has been read.

    Attributes:
        formats: by name, `:default`.
        regexps: pieces by name, `%date`.
    """

    def __init__(self, text: str, filename: str) -> None:
        """Parse the text of `filename`.

        Raises:
            OptionError: a line is neither section, entry nor comment, or a section is missing.
        """
        self._filename = filename
        sections: dict[str, dict[str, str]] = {}
        entries: dict[str, str] = {}
        for number, written in enumerate(_LINE_END.split(text), start=1):
            if _SKIPPED.match(written):
                continue
            line = _TRAILING_COMMENT.sub("", written)
            name, equals, value = (part.strip() for part in line.partition("="))
            bare = line.strip()
            if bare.startswith("[") and bare.endswith("]") and (section := bare[1:-1].strip()):
                entries = sections.setdefault(section, {})
            elif equals and name:
                entries[name] = value
            else:
                raise OptionError(
                    f"{filename}:{number}: neither a [section] nor `name = value` nor a # comment: {line!r}"
                )
        for name in ("FORMAT", "REGEXP"):
            if name not in sections:
                raise OptionError(f"{filename} has no section [{name}]{did_you_mean(name, sections)}")
        self.formats = sections["FORMAT"]
        self.regexps = sections["REGEXP"]

    def fields(self) -> list[str]:
        """The names of all the fields that the pieces mark, each once."""
        found = [
            mark[2] for piece in self.regexps.values() for mark in _MARK.finditer(piece) if mark[1] == "="
        ]
        return list(dict.fromkeys(found))

    def pattern(self, format_name: str, capture: list[str]) -> Pattern:
        """The regular expression of a format, which takes the fields that `capture` lists.

        Args:
            format_name: one of `formats`, or a format written out: `%date %status`.
            capture: names of fields; `:all` stands for all of them, `:none` forgets those before it.

        Raises:
            OptionError: no such format or field, or a pattern that Python's `re` does not accept.
        """
        if format_name.startswith(":") and format_name not in self.formats:
            hint = did_you_mean(format_name, self.formats) or f" (it has {', '.join(self.formats)})"
            raise OptionError(f"{self._filename} has no format {format_name!r}{hint}")
        wanted = self._wanted(capture)
        groups: list[tuple[str, str]] = []
        parts = []
        for piece, text in self._split(self.formats.get(format_name, format_name)):
            if piece is None:
                if strange := re.search(r"%\w+", text):
                    raise OptionError(
                        f"{self._filename}: [FORMAT] {format_name}: there is no {strange[0]} in [REGEXP]"
                        f"{did_you_mean(strange[0], self.regexps)}"
                    )
                parts.append(re.escape(text))
            else:
                parts.append(f"(?:{self._expanded(piece, wanted, groups)})")
        regex = self._compiled(f"^{''.join(parts)}$", f"[FORMAT] {format_name}")
        return Pattern(regex, tuple(groups))

    def _wanted(self, capture: list[str]) -> set[str]:
        known = self.fields()
        wanted: set[str] = set()
        for name in capture:
            if name == ":none":
                wanted = set()
            elif name == ":all":
                wanted = set(known)
            elif name in known:
                wanted.add(name)
            else:
                hint = did_you_mean(name, known) or f" (it has {', '.join(known)})"
                raise OptionError(f"{self._filename} marks no field {name!r}{hint}")
        return wanted

    def _split(self, template: str) -> list[tuple[str | None, str]]:
        """Split a format into pieces and the plain text between them, preferring longer names to their prefixes."""
        names = "|".join(map(re.escape, sorted(self.regexps, reverse=True)))
        texts = re.split(f"({names})", template) if names else [template]
        return [(text if at % 2 else None, text) for at, text in enumerate(texts)]

    def _expanded(self, piece: str, wanted: set[str], groups: list[tuple[str, str]]) -> str:
        """A piece's text with its marks replaced by groups, which are added to `groups`."""
        place = f"{self._filename}: [REGEXP] {piece}"
        opened: list[str] = []
        here: list[tuple[str, str]] = []

        def group(mark: re.Match[str]) -> str:
            if mark[1] == "=":
                opened.append(mark[2])
                if mark[2] not in wanted:
                    return "(?:"
                here.append((f"f{len(groups) + len(here)}", mark[2]))
                return f"(?P<{here[-1][0]}>"
            if not opened or opened.pop() != mark[2]:
                raise OptionError(f"{place}: (?#!{mark[2]}) does not close the mark that was opened last")
            return ")"

        text = _MARK.sub(group, self._in_python(piece, place))
        if opened:
            raise OptionError(f"{place}: (?#={opened[-1]}) is never closed")
        regex = self._compiled(text, f"[REGEXP] {piece}")
        for name, field in here:
            if name not in regex.groupindex:
                raise OptionError(
                    f"{place}: (?#={field}) is within a comment or a set, where it marks nothing"
                )
        groups += here
        return text

    def _in_python(self, piece: str, place: str) -> str:
        try:
            return in_python(self.regexps[piece])
        except ValueError as error:
            raise OptionError(f"{place}: {error}") from error

    def _compiled(self, text: str, entry: str) -> re.Pattern[str]:
        try:
            return compiled(text)
        except ValueError as error:
            raise OptionError(
                f"{self._filename}: {entry}: not a regular expression that Python takes: {error}"
            ) from error
