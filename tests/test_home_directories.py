"""`~` in paths: one rule for every option, file and command that names one."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import pytest

from commands import finished
from message_passing import registry
from message_passing.cli.commands import keys
from message_passing.cli.run.run_command import MessagePassing, check_words
from message_passing.environment import expand_home, from_environment
from message_passing.errors import OpenError, OptionError
from message_passing.ledger.state_dir import default_state_dir
from message_passing.logging.settings import HandlerOptions
from message_passing.option_types import members
from message_passing.options import Option, checked, declared
from message_passing.outputs.file import FileOutput

if TYPE_CHECKING:
    from pathlib import Path

EVERY = {
    (cls.__name__, name): one
    for cls in (
        MessagePassing,
        HandlerOptions,
        *(registry.find(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)),
    )
    for name, one in declared(cls).items()
}
"""Every option that there is."""

NAMES_A_PATH = re.compile(
    r"\b(files?|path|directory|folders?|unix socket|table or database)\b", re.IGNORECASE
)

OTHERWISE = {("FileOutput", "mode"), ("FileOutput", "owner"), ("MangleFilter", "filter_function")}
"""Texts that speak of files and are no paths."""


def unlimited(kind: Any) -> Any:
    """A type without its limits."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


@pytest.mark.parametrize(
    ("path", "expanded"),
    [
        ("~", "/home/anna"),
        ("~/", "/home/anna/"),
        ("~/logs/{host}.log", "/home/anna/logs/{host}.log"),
        ("~root", "/root"),
        ("~root/x", "/root/x"),
        ("./~x", "./~x"),
        ("a/~/x", "a/~/x"),
        ("x~", "x~"),
        ("~*", "~*"),  # as in a shell: no name of a user
        ("~{host}.log", "~{host}.log"),
        ("~$lock", "~$lock"),
        ("*", "*"),
        ("", ""),
        ("-", "-"),
        ("@/abstract", "@/abstract"),
    ],
)
def test_a_tilde_is_expanded_as_in_a_shell(path: str, expanded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the beginning, and if the name of a user or nothing follows it."""
    monkeypatch.setenv("HOME", "/home/anna")
    assert expand_home(path) == expanded


@pytest.mark.parametrize("path", ["~nobody-like-this", "~nobody-like-this/x.log"])
def test_a_user_who_does_not_exist_is_an_error(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how a file of that name is written; that is then taken."""
    with pytest.raises(OpenError, match="there is no user 'nobody-like-this': a file whose name") as raised:
        expand_home(path)
    meant = f"./{path}"
    assert str(raised.value).endswith(f"is {meant!r}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        OptionError, match=r"File output: option 'filename': .*there is no user 'nobody-like-this'"
    ):
        FileOutput(filename=path)
    assert FileOutput(filename=meant).filename == meant


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a number that the system knows nothing of: an error, and no traceback."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    for one in (lambda: expand_home("~/x"), default_state_dir):
        with pytest.raises(OpenError, match="HOME is not set, and this user has no home directory"):
            one()


def test_a_password_is_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that begins with `~` stays what it is."""
    monkeypatch.setenv("HOME", "/home/anna")
    assert [from_environment(one) for one in ("~", "~/x", "~root")] == ["~", "~/x", "~root"]


@pytest.mark.parametrize(
    ("where", "one"), [item for item in EVERY.items() if item[1].path], ids=lambda one: str(one)[:50]
)
def test_every_option_that_is_a_path(
    where: tuple[str, str], one: Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is expanded where it is checked, alone and in a list."""
    monkeypatch.setenv("HOME", "/home/anna")
    kinds = members(unlimited(one.type))
    several = any(get_origin(kind) is list for kind in kinds)
    for given, wanted in (("~/x", "/home/anna/x"), (["~/x", "~root/y"], ["/home/anna/x", "/root/y"])):
        if (isinstance(given, list) and not several) or (isinstance(given, str) and kinds == (list[str],)):
            continue
        values, faults = checked({where[1]: one}, {where[1]: given}, label=where[0], from_text=True)
        assert (values, faults) == ({where[1]: wanted}, [])


def test_no_option_that_names_a_path_is_forgotten() -> None:
    """Whatever describes itself as a file or directory is declared as a path."""
    texts = {where: one for where, one in EVERY.items() if {str, list[str]} & {*members(unlimited(one.type))}}
    found = {where for where, one in texts.items() if not one.path and NAMES_A_PATH.search(one.description)}
    assert found == OTHERWISE


def test_from_the_command_line_and_a_file(tmp_path: Path) -> None:
    """`--option=~/x` reaches the command as it is written, as does what a config file says."""
    (tmp_path / "chain.json").write_text(
        json.dumps({"input": "STDIN", "output": "File", "output_options": {"filename": "~/from-file.log"}})
    )
    (tmp_path / "more.json").write_text('{"filename": "~/from-options.log"}')
    env = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    work = tmp_path / "work"
    work.mkdir()
    words = ["--configfile=~/chain.json", "--pid_file=~/pid", "--output_options", "@~/more.json"]
    ended = finished(*words, given=b'{"a":1}\n', env=env, cwd=work)
    assert (ended.status, (tmp_path / "from-options.log").read_bytes()) == (0, b'{"a":1}\n'), ended.err
    assert list(work.iterdir()) == []


def test_a_config_file_of_nobody() -> None:
    """One error is all that is reported of it."""
    (told,) = check_words(["~nobody-like-this/chain.json"]).diagnostics
    assert "there is no user 'nobody-like-this'" in str(told)


def test_what_a_config_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The component has the path in full."""
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "chain.json"
    config.write_text(
        '{"input": "STDIN", "output": "File", "output_options": {"filename": "~/from-file.log"}}'
    )
    chain = check_words(["~/chain.json"]).chain
    assert chain
    (output,) = (one for one in chain.components.values() if isinstance(one, FileOutput))
    assert output.filename == str(tmp_path / "from-file.log")


def test_folders_of_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command's own arguments are paths, too, and so is what it takes from the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", "~/config")
    assert keys.COMMAND.main(["new", "one", "--folder", "~/keys"]) == 0
    assert keys.COMMAND.main(["new", "two"]) == 0
    assert keys.COMMAND.main(["allow", "one", "~/keys/one.key", "--folder=~/allowed"]) == 0
    assert keys.COMMAND.main(["list", "--folder=~nobody-like-this/allowed"]) == 2
    assert "there is no user 'nobody-like-this'" in capsys.readouterr().err
    made = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*.key*"))
    assert made == [
        "allowed/one.key",
        "config/message-passing/keys/two.key",
        "config/message-passing/keys/two.key_secret",
        "keys/one.key",
        "keys/one.key_secret",
    ]
