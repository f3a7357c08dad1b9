"""Writes the shells' completion scripts from the command's options; `--check` says if they are stale.

python scripts/completion.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from command_words import FILES as WORD_OF_FILES
from command_words import LIKE_RUNNING, Command, commands
from reference import built_in

from message_passing.cli.completion import SHELLS
from message_passing.cli.run.run_command import MessagePassing
from message_passing.options import declared
from message_passing.registry import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent.parent / "src" / "message_passing" / "cli"

FILES = tuple(name for name, one in declared(MessagePassing).items() if one.path)
COMMANDS = commands()
CHOICES = {"io_priority": "none be rt idle", "completion": " ".join(SHELLS)}

BASH = r"""# bash completion of message-passing. Written by scripts/completion.py: change that.

_message_passing_files() {
    local word
    compopt -o filenames 2>/dev/null
    while read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$1")
}

_message_passing() {
    # bash cuts words at ':' and '=', so the line itself is looked at.
    local line="${COMP_LINE:0:COMP_POINT}" current previous words= kept= word first own= may= run=
    current="${line##*[[:space:]]}"
    previous="${line%"$current"}"
    previous="${previous%"${previous##*[![:space:]]}"}"
    previous="${previous##*[[:space:]]}"
    case "$current" in
        --*=*) previous="${current%%=*}" current="${current#*=}" ;;
    esac
    case "$COMP_WORDBREAKS" in
        # What stands before the last ':' is on the line already, and bash keeps it.
        *:*) kept="${current%"${current##*:}"}" ;;
    esac
    COMPREPLY=()
    # The first word, once it has been typed; `-` when it is no command.
    first="${line#"${line%%[![:space:]]*}"}"
    first="${first#"${first%%[[:space:]]*}"}"
    first="${first#"${first%%[![:space:]]*}"}"
    case "$first" in
        *[[:space:]]*) first="${first%%[[:space:]]*}" ;;
        *) first= ;;
    esac
    case "$first" in
@commands@
        ?*) first=- ;;
    esac
    case "$first ${previous//-/_}" in
@command_values@
@values@
        *" __user")
            while read -r word; do COMPREPLY+=("$word"); done < <(compgen -u -- "$current")
            return ;;
@files@
            _message_passing_files "$current"
            return ;;
        *_options) return ;;
        *)
            case "$current" in
                --*-*) run='@dashed@' ;;
                *) run='@options@' ;;
            esac
            case "$first/$current" in
                -/*|/-*) words=$run ;;
                /*) words="@names@ $run" ;;
@like_running@) words="$own $run" ;;
                */-*) words=$own ;;
                *) words=$may ;;
            esac ;;
    esac
    if [ "$words" = FILE ]; then
        _message_passing_files "$current"
        return
    fi
    for word in $words; do
        case "$word" in
            "$current"*) COMPREPLY+=("${word#"$kept"}") ;;
        esac
    done
}

complete -F _message_passing message-passing message-pass
"""

ZSH = r"""#compdef message-passing message-pass
# zsh completion of message-passing. Written by scripts/completion.py: change that.

@functions@

_message_passing() {
    local -a running
    running=(
@arguments@
    )
    if (( CURRENT == 2 )); then
        _arguments '1:command:_message_passing_commands' $running
        return
    fi
    case "$words[2]" in
@commands@
        *) _arguments $running ;;
    esac
}

if [ "$funcstack[1]" = "_message_passing" ]; then
    _message_passing "$@"
else
    compdef _message_passing message-passing message-pass
fi
"""


def values() -> dict[str, str]:
    """What may follow an option that takes one of some words."""
    found = {
        flag: " ".join(built_in(choice.kind)) for flag, choice in MessagePassing.component_choices().items()
    }
    known = sorted({name for kind in PACKAGES for name in built_in(kind)}, key=str.casefold)
    return {**found, **CHOICES, "describe": " ".join(known)}


def options() -> list[str]:
    """All options' names, in the original's spelling."""
    flags = [name for flag in MessagePassing.component_choices() for name in (flag, f"{flag}_options")]
    return [*flags, *declared(MessagePassing), *MessagePassing.printers()]


def bash() -> str:
    """The script for bash."""
    lines = [f"        *' __{name}') words='{words}' ;;" for name, words in values().items()]
    words = [f"--{name}" for name in options()]
    return (
        BASH.replace("@values@", "\n".join(lines))
        .replace("@files@", "        " + "|".join(f"*' __{name}'" for name in FILES) + ")")
        .replace("@commands@", "\n".join(map(bash_command, COMMANDS.items())))
        .replace("@command_values@", "\n".join(bash_values()))
        .replace("@names@", " ".join(COMMANDS))
        .replace("@like_running@", "                " + "|".join(f"{name}/-*" for name in LIKE_RUNNING))
        .replace("@options@", " ".join(words))
        .replace("@dashed@", " ".join(f"--{word[2:].replace('_', '-')}" for word in words))
    )


def bash_command(item: tuple[str, Command]) -> str:
    """What may follow a command's name."""
    name, command = item
    return f"        {name}) own='{' '.join(command.options)}' may='{' '.join(command.words)}' ;;"


def bash_values() -> Iterator[str]:
    """What may follow each option of a command that takes a value."""
    for name, command in COMMANDS.items():
        for option, words in command.values.items():
            yield f"        '{name} {option.replace('-', '_')}') words='{' '.join(words)}' ;;"


def zsh_command(name: str, command: Command) -> str:
    """What zsh completes after a command's name."""
    specs = []
    shared = [f"--{one}" for one in options()] if name in LIKE_RUNNING else []
    for option in command.options:
        if option in shared:
            continue
        words = command.values.get(option)
        value = "" if words is None else f":value:{zsh_words(words)}"
        specs.append(f"'{option}{value}'")
    if name in LIKE_RUNNING:
        specs.append("$running")
    specs.append(f"'*:word:{zsh_words(command.words)}'")
    return f"        {name}) shift words; (( CURRENT-- )); _arguments {' '.join(specs)} ;;"


def zsh_words(words: list[str]) -> str:
    """An action that offers them."""
    escaped = " ".join(word.replace(":", "\\:") for word in words)
    return "_files" if words == [WORD_OF_FILES] else f"({escaped})" if words else " "


def zsh() -> str:
    """The script for zsh."""
    functions = [f"_message_passing_{name}() {{ compadd -- {words} }}" for name, words in values().items()]
    own = declared(MessagePassing)
    arguments = []
    for name in options():
        text = own[name].description if name in own else ""
        plain = text.translate({ord(letter): None for letter in "[]:'"})
        rest = (f"[{plain}]" if plain else "") + follows(name)
        many = "\\*" if name.endswith("_options") else ""
        dashed = name.replace("_", "-")
        spellings = f"--{name}" if dashed == name else f"{many}{{--{name},--{dashed}}}"
        arguments.append(f"        {spellings}'{rest}'" if rest else f"        {spellings}")
    functions.append(f"_message_passing_commands() {{ compadd -- {' '.join(COMMANDS)} }}")
    return (
        ZSH.replace("@functions@", "\n".join(functions))
        .replace("@arguments@", "\n".join(arguments))
        .replace("@commands@", "\n".join(zsh_command(*item) for item in COMMANDS.items()))
    )


def follows(name: str) -> str:
    """What zsh expects after an option."""
    if name in values():
        colons = "::" if name in ("describe", "completion") else ":"
        return f"{colons}{name}:_message_passing_{name}"
    if name in FILES:
        return ":file:_files"
    if name == "user":
        return ":user:_users"
    if name.endswith("_options"):
        return ":options:"
    return ""


def main(words: list[str]) -> int:
    """Write or check.

    Returns:
        The exit status.
    """
    status = 0
    for shell, text in (("bash", bash()), ("zsh", zsh())):
        path = FOLDER / f"completion.{shell}"
        if words != ["--check"]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path.name} is stale: run python scripts/completion.py", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
