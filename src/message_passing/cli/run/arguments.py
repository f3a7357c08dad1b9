"""Command-line words: options in the original's spelling (`_`) and the shell's (`-`), and components."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, get_origin

from message_passing.cli.terminal import print_out
from message_passing.config.files import ConfigFiles
from message_passing.config.forms import STACKED, read_declaration
from message_passing.config.parsing import is_config
from message_passing.errors import ConfigError, Fault, abbreviate, child_location, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from message_passing.declaration import Declaration
    from message_passing.options import Option


_NO_VALUE = object()
_SHORTER = {"configfile": ("--config",)}  # options that have another name, too
_REPEATED = " repeated"


@dataclass(slots=True)
class Given:
    """What a command was given, on its command line and in its config file.

    Attributes:
        values: by option, only those that were given.
        places: where each was written: `--input_options`, `config.toml: input_options`.
        faults: what is wrong with what was written.
        already_reported: options that may be missing because of one of these faults.
        words: the command line.
        warnings: what is to be said before it runs, though it is no mistake.
        files: its config files.
        bare: words that belong to no option, in a command that takes such.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    already_reported: set[str] = field(default_factory=set)
    words: Sequence[str] = ()
    warnings: list[str] = field(default_factory=list)
    files: ConfigFiles = field(default_factory=ConfigFiles)
    bare: list[str] = field(default_factory=list)


class CLIComponent:
    """In a `Script`'s body: adds `--NAME` and `--NAME_options` (Message::Passing::Role::CLIComponent)."""

    def __init__(self, kind: str, *, default: str | None = None) -> None:
        """Declare the pair.

        Args:
            kind: `input`, `decoder`, `filter`, `encoder` or `output`.
            default: the component when none is named; without one, naming it is required.
        """
        self.kind = kind
        self.default = default
        self.flag = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name."""
        self.flag = name

    def __get__(self, instance: Any, owner: type) -> Any:
        """What was chosen, in a script; the declaration itself, in its class."""
        return self if instance is None else instance.chosen[self.flag]

    def chosen_in(self, given: Given) -> Declaration:
        """What was chosen of what a command was given."""
        flag, key = self.flag, f"{self.flag}_options"
        component = given.values.get(flag, self.default)
        options = given.values.get(key, None if key in given.already_reported else {})
        place = given.places.get(flag, f"--{flag}")
        options_place = given.places.get(key, place if flag in given.values else f"--{key}")
        if isinstance(component, list):
            return self._stacked(given, component, options, place, options_place)
        reported = flag in given.already_reported
        return read_declaration(
            self.kind, component, options, place, options_place, already_reported=reported
        )

    def _stacked(
        self, given: Given, components: list[Any], options: Any, place: str, options_place: str
    ) -> Declaration:
        """The first of several, with the others behind it."""
        count = len(components)
        if self.kind not in STACKED or not count:
            text = f"names {count} components: only {', '.join(STACKED)} can be stacked"
            hint = "; for several inputs and outputs use the named form of a config file"
            given.faults.append(Fault(text + (hint if count else ""), place))
            return read_declaration(self.kind, None, None, place, options_place, already_reported=True)
        options = options or [{}] * count
        shown = [one if isinstance(one, str) else abbreviate(one) for one in components]
        if not isinstance(options, list) or len(options) != count:
            text = f"must be a list of {count}, one for each of {', '.join(shown)}"
            given.faults.append(Fault(text, options_place))
            options = [None] * count
        then = None
        for number in reversed(range(count)):
            one = shown[number]
            read = read_declaration(
                self.kind,
                components[number],
                options[number],
                child_location(place, f"{place} ({one})", number),
                child_location(options_place, f"{options_place} ({one})", number),
            )
            then = replace(read, then=then)
        assert then  # noqa: S101 - there is at least one
        return then


class _WordError(ConfigError):
    """What argparse complains of: it is told together with all other faults."""


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaint as an exception."""

    def error(self, message: str) -> NoReturn:
        raise _WordError(message)


def build_parser(
    prog: str,
    components: Iterable[str],
    process: Mapping[str, Option],
    printers: Mapping[str, Callable[[str], str]],
) -> argparse.ArgumentParser:
    """The parser of a command.

    Args:
        prog: its name.
        components: for each, `--NAME` and `--NAME_options`, which may be repeated: options belong to the
            component named last before them.
        process: the command's own options.
        printers: options that print a text and end; each is given the word that may follow it.
    """
    parser = _Parser(prog=prog, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name, printer in printers.items():
        short = ("-h",) if name == "help" else ()
        parser.add_argument(*short, f"--{name}", action=_Print, printer=printer)
    for name in components:
        _add(parser, name, action="append")
        _add(parser, f"{name}_options", action=_Belonging)
    for name, one in process.items():
        if one.type is bool:
            # `--daemonize` or, as the original's help has it, `--daemonize 1`
            parser.add_argument(*_spellings(name), dest=name, nargs="?", const=True)
        else:
            _add(parser, name, "append" if get_origin(one.type) is list else None, one.flag_value)
    return parser


def parse(parser: argparse.ArgumentParser, words: Sequence[str], commands: Collection[str] = ()) -> Given:
    """What the words give.

    Args:
        parser: of the command.
        words: without its name.
        commands: words that begin other commands. Where there are such, a word that belongs to no option is no error
            yet: it is among those that are `bare`.

    Raises:
        UserError: an option that prints something and ends cannot do so.
    """
    given = Given(words=tuple(words))
    unknown: list[str] = []
    try:
        found, unknown = parser.parse_known_args(words)
        given.values = vars(found)
        given.warnings += given.values.pop(_REPEATED, ())
        _group(given.values)
    except _WordError as error:
        given.faults += error.faults
    given.faults += _complaints(unknown, parser, given, commands)
    for action in parser._actions if commands else ():  # noqa: SLF001 - argparse has no other way to ask for them
        value = given.values.get(action.dest)
        if action.const not in (None, _NO_VALUE) and isinstance(value, str) and is_config(value):
            given.values[action.dest] = action.const  # `--daemonize chain.toml`
            given.bare.append(value)
    for name, value in list(given.values.items()):
        given.places[name] = f"--{name}"
        if _lacks_value(value):
            given.faults.append(Fault(f"--{name} needs a value"))
            given.already_reported.add(name)
            del given.values[name]
    return given


def _lacks_value(value: Any) -> bool:
    return any(map(_lacks_value, value)) if isinstance(value, list) else value is _NO_VALUE


def _group(values: dict[str, Any]) -> None:
    """Components' names as text where there is one, and options with the name that they belong to."""
    for name, named in list(values.items()):
        options = f"{name}_options"
        if isinstance(named, list) and not name.endswith("_options"):
            values[name] = named[0] if len(named) == 1 else named
            if len(named) > 1 and options in values:
                given = values[options]
                values[options] = [[word for place, word in given if place == n] for n in range(len(named))]
    for name, given in values.items():
        if isinstance(given, list) and given and isinstance(given[0], tuple):
            values[name] = [word for _, word in given]


def _complaints(
    unknown: Sequence[str], parser: argparse.ArgumentParser, given: Given, commands: Collection[str]
) -> Iterator[Fault]:
    """What is wrong with unknown options and words; an option that was meant is then not missing."""
    actions = parser._actions  # noqa: SLF001 - as above
    known = {spelling.lstrip("-"): action.dest for action in actions for spelling in action.option_strings}
    after_option = False
    for word in unknown:
        is_option = word.startswith("-") and word != "-"
        if is_option:
            flag = word.partition("=")[0]
            near = nearest(flag.lstrip("-"), known)
            given.already_reported.update([known[near]] if near else [])
            yield Fault(f"there is no option {flag}" + (f" (did you mean '--{near}'?)" if near else ""))
        elif commands and (not after_option or word in commands or is_config(word)):
            given.bare.append(word)
        elif not after_option:  # otherwise it is most likely that unknown option's value
            yield from unexpected([word], given.words)
        after_option = is_option


def unexpected(words: Iterable[str], line: Sequence[str]) -> Iterator[Fault]:
    """What is wrong with words of a command line that belong to no option."""
    before = {third: (first, second) for first, second, third in zip(line, line[1:], line[2:], strict=False)}
    for word in words:
        option, key = before.get(word, ("", ""))
        hint = "every value follows its --option (quote values with spaces)"
        if option.endswith("options") and key.isidentifier():
            hint = f"did you mean {option} {key}={word}?"
        yield Fault(f"unexpected word {word!r}: {hint}")


def _add(
    parser: argparse.ArgumentParser,
    name: str,
    action: str | type[argparse.Action] | None = None,
    flag_value: str | None = None,
) -> None:
    """An option with a value; without one it means `flag_value`, or is noted; the words after it are still read."""
    const = _NO_VALUE if flag_value is None else flag_value
    parser.add_argument(*_spellings(name), dest=name, action=action or _Last, nargs="?", const=const)


def _spellings(name: str) -> tuple[str, ...]:
    dashed = name.replace("_", "-")
    spelled = (f"--{name}",) if dashed == name else (f"--{name}", f"--{dashed}")
    return (*spelled, *_SHORTER.get(name, ()))


class _Last(argparse.Action):
    """An option of which one value counts: that several were given is noted, in a sentence."""

    def __call__(
        self, _parser: object, namespace: argparse.Namespace, values: object, _option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest, values) != values:
            text = f"--{self.dest} is given more than once: only the last one counts"
            setattr(namespace, _REPEATED, list(dict.fromkeys([*getattr(namespace, _REPEATED, []), text])))
        setattr(namespace, self.dest, values)


class _Belonging(argparse.Action):
    """Options of a component, noted with the number of the component of that kind that was named last."""

    def __call__(
        self, _parser: object, namespace: argparse.Namespace, values: object, _option: str | None = None
    ) -> None:
        named = len(getattr(namespace, self.dest.removesuffix("_options"), ()))
        before = getattr(namespace, self.dest, [])
        setattr(namespace, self.dest, [*before, (max(0, named - 1), values)])


class _Print(argparse.Action):
    """An option that prints a text and ends the program."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, printer: Callable[[str], str], **_: object
    ) -> None:
        super().__init__(option_strings, dest, nargs="?", default=argparse.SUPPRESS)
        self.printer = printer

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, values: object, _option: str | None = None
    ) -> NoReturn:
        print_out(self.printer(values if isinstance(values, str) else ""))
        parser.exit(0)
