"""The bad-input table of `cli/mistakes.txt`, and the files that its commands meet."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from message_passing.registry import PACKAGES, names

MINE = '''
from message_passing import Filter, Input

class Same(Filter):
    """Passes everything on."""
    def filter(self, message):
        return message

class Lacks(Filter):
    """Has no method `filter`."""

class Strange:
    """Is no filter."""
    def filter(self, message):
        return message

class Broken(Filter):
    """Cannot be made."""
    def on_init(self):
        raise RuntimeError("no luck")
    def filter(self, message):
        return message

class Looks(Same):
    """Raises when it looks around."""
    def preflight(self):
        raise RuntimeError("no luck")

class Warns(Same):
    """Raises when asked for its warnings."""
    def warnings(self):
        raise LookupError("no words")

class Opens(Same):
    """Raises when it is opened."""
    def on_open(self):
        raise ValueError("no door")
'''

FILES: dict[str, str | bytes] = {
    "mine.py": MINE,
    "raises.py": "1 / 0\n",
    "needy.py": "import absent_package\n",
    "malformed.json": '{\n  "input": "STDIN",\n  "output" "STDOUT"\n}\n',
    "malformed.toml": 'input = "STDIN"\noutput =\n',
    "malformed.yaml": "input: STDIN\noutput: [STDOUT\nfilter: Null\n",
    "unknown.toml": 'input = "STDIN"\nouptut = "STDOUT"\nlinger = 5\noutput = "STDOUT"\n',
    "numbers.yaml": "input: STDIN\noutput: STDOUT\n5: five\n",
    "itself.json": '{"input": "STDIN", "output": "STDOUT", "configfile": "itself.json"}',
    "shapes.json": '{"input": 5, "output": "STDOUT", "output_options": 7, "filter_options": "{"}',
    "list.json": "[1, 2]",
    "latin.json": b'{"input": "\xe9"}',
    "chain.ini": "[input]\n",
    "named.toml": """
        error_log = "xyzzy"
        [inputs.in]
        class = "STDIN"
        output_to = "dcoder"
        [inputs.other]
        class = "STDIN"
        ouput_to = "decoder"
        [decoders.decoder]
        class = "JSON"
        output_to = ["out", "in"]
        [filters.loop]
        class = "Null"
        output_to = "loop"
        [outputs.loop]
        class = "STDOUT"
        [outputs.out]
        class = "STDUOT"
        output_to = "in"
        [outputs.wrong]
        class = "File"
        options = { filename = "x", appnd = true }
    """,
    "texts.toml": 'inputs = "STDIN"\n[outputs.out]\nclass = "STDOUT"\n[filters.one]\nclass = "Null"\n'
    'output_to = "out"\n',
    "flat.toml": 'input = "STDIN"\n[outputs.out]\nclass = "STDOUT"\n',
    "misspelt.toml": '[inptus.in]\nclass = "STDIN"\noutput_to = "out"\n[outputs.out]\nclass = "STDOUT"\n',
    "back.toml": '[inputs.in]\nclass = "STDIN"\noutput_to = "out"\n'
    '[outputs.out]\nclass = "STDOUT"\noutput_to = "in"\n',
    "mixed.toml": 'output = "STDOUT"\n[inputs.in]\nclass = "STDIN"\noutput_to = "out"\n'
    '[outputs.out]\nclass = "STDOUT"\n',
}


class Mistake(NamedTuple):
    """One row."""

    title: str
    words: list[str]
    told: list[str]


def table() -> list[Mistake]:
    """The rows."""
    known = {f"{{{kind}s}}": ", ".join(names(kind)) for kind in PACKAGES}
    found: list[Mistake] = []
    title = ""
    for line in (Path(__file__).parent / "cli" / "mistakes.txt").read_text().splitlines():
        if line.startswith("# "):
            title = line[2:]
        elif line.startswith("$ message-passing"):
            found.append(Mistake(title, shlex.split(line)[2:], []))
        elif line:
            for mark, text in known.items():
                line = line.replace(mark, text)  # noqa: PLW2901 - the same line, filled in
            found[-1].told.append(f"message-passing: {line}")
    return found
