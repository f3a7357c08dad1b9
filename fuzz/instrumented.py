"""One target under atheris, in a process of its own: python -m fuzz.instrumented TARGET [LIBFUZZER-OPTION...]."""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Run until libFuzzer has had enough; it ends the process itself."""
    _, name, *words = sys.argv
    with atheris.instrument_imports(include=["message_passing", "yaml", "tomllib"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - what is imported here is instrumented
    atheris.Setup([sys.argv[0], *words], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
