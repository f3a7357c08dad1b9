"""`--completion`: the shell completion script, generated with the package."""

from __future__ import annotations

from importlib import resources

from message_passing.errors import ConfigError, did_you_mean

SHELLS = ("bash", "zsh")


def completion(shell: str) -> str:
    """The completion script for `shell`.

    Raises:
        ConfigError: there is none for it.
    """
    if shell not in SHELLS:
        raise ConfigError(
            f"--completion takes {' or '.join(SHELLS)}{did_you_mean(shell, SHELLS)}, not {shell!r}"
        )
    return resources.files("message_passing.cli").joinpath(f"completion.{shell}").read_text("utf-8")
