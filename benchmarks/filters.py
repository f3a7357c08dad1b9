"""What each filter costs a message: microseconds of this thread's processor time, in batches of 1,000.

python benchmarks/filters.py [ROUNDS]
python benchmarks/filters.py chain [ROUNDS]

The filters take turns; beside each kind stands the same done by a class with `filter`, as a user would write it.
Those that need few fields, or none, are measured twice: with objects, and with lines as JSON decodes them for them.
`chain` measures a whole node instead, ZeroMQ -> JSON -> Where -> Redact -> JSON -> File, in turns with the C receiver
and rsyslog, by the means of `python -m speed`: 300,000 of its lines, all of which the condition keeps.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sample import lines
from speed.__main__ import MEMORY
from speed.contenders import ALL_PASS, MASKS, compiled, configured, rsyslog
from speed.machine import absent, compile_all, touch_memory
from speed.measures import Stage, once
from speed.samples import filtered, log_lines

from message_passing.codecs.json import read_lines
from message_passing.filters.aggregate import AggregateFilter
from message_passing.filters.dedupe import DedupeFilter
from message_passing.filters.enrich import EnrichFilter
from message_passing.filters.keep import KeepFilter
from message_passing.filters.key import KeyFilter
from message_passing.filters.multiline import MultilineFilter
from message_passing.filters.parse import ParseFilter
from message_passing.filters.redact import RedactFilter
from message_passing.filters.remove import RemoveFilter
from message_passing.filters.rename import RenameFilter
from message_passing.filters.sample import SampleFilter
from message_passing.filters.script import ScriptFilter
from message_passing.filters.set import SetFilter
from message_passing.filters.throttle import ThrottleFilter
from message_passing.filters.where import WhereFilter
from message_passing.flow import Filter
from message_passing.outputs.null import NullOutput
from message_passing.read_fields import field_decoder, fields_of_message
from message_passing.wiring import said

if TYPE_CHECKING:
    from speed.contenders import Command
    from speed.samples import Sample

    from message_passing.lines import ReadLines

BATCH = 1000
LINES = lines(BATCH)
MESSAGES = [msgspec.json.decode(line) for line in LINES]

CONDITION = 'level >= "WARNING" and not message.startswith("health")'


class Own(Filter):
    """The condition, as a user would write it."""

    def filter(self, message: Any) -> Any:
        """Return the message if it holds."""
        wanted = message.get("level") in ("WARNING", "ERROR", "CRITICAL")
        return message if wanted and not str(message.get("message", "")).startswith("health") else None


ACCESS = (
    '192.0.2.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "http://e.com/" "Firefox"'
)
PARSED = {"Parse, combined", "Parse, grok, the same line"}

CASES: dict[str, Filter] = {
    "Where, a level and a text's beginning": WhereFilter(condition=CONDITION),
    "the same, a user's class": Own(),
    "Where, a number": WhereFilter(condition="status >= 500"),
    "Where, a regular expression": WhereFilter(condition='matches(message, "^GET /api/")'),
    "Key": KeyFilter(key="level", match="ERROR"),
    "Set, a text and an expression": SetFilter(
        fields={"title": "{level} of {logger}"}, expressions={"n": "line * 2"}
    ),
    "Script, three lines": ScriptFilter(
        script='n = line * 2\nif n > 100:\n    title = level + " of " + logger\ndel thread'
    ),
    "Rename": RenameFilter(fields={"message": "msg"}),
    "Remove": RemoveFilter(fields=["thread"]),
    "Keep, three fields": KeepFilter(fields=["time", "level", "message"]),
    "Sample by a field": SampleFilter(rate=0.1, key="logger"),
    "Enrich with the host": EnrichFilter(lookup="host", into="node"),
    "Aggregate by a field, a count and a sum": AggregateFilter(
        key=["level"], values={"n": "count", "lines": "sum(line)"}
    ),
    "Aggregate by a field, a percentile": AggregateFilter(key=["level"], values={"p95": "p95(line)"}),
    "Throttle by a field": ThrottleFilter(rate=100, key=["logger"]),
    "Dedupe by two fields": DedupeFilter(key=["level", "message"]),
    "Dedupe, the whole message": DedupeFilter(ignore=["time"]),
    "Multiline, tracebacks of two languages": MultilineFilter(preset=["python", "java"]),
    "Multiline, a pattern of first lines": MultilineFilter(start=r"^(GET|POST) "),
    "Parse, combined": ParseFilter(format="combined"),
    "Parse, grok, the same line": ParseFilter(
        format="grok",
        pattern="%{COMBINEDAPACHELOG}",
        time_field="timestamp",
        time_format="%d/%b/%Y:%H:%M:%S %z",
    ),
    "Redact, keys": RedactFilter(keys=["password"]),
    "Redact, cards and mail addresses": RedactFilter(patterns=["card", "email"]),
    "Redact, all patterns": RedactFilter(patterns=["card", "email", "ip", "token"]),
}


CHAINS: dict[str, list[dict[str, Any]]] = {
    "JSON, Where": [],
    "JSON, Where, Redact by keys": [{"keys": ["password"]}],
    "JSON, Where, Redact by keys, cards and mail addresses": [MASKS],
    "JSON, Where, Redact by keys and all patterns": [{**MASKS, "patterns": ["card", "email", "ip", "token"]}],
}
RSYSLOG = {
    "rsyslog": "",
    "rsyslog, two comparisons of the text": """not ($rawmsg contains '"level":"TRACE"')
        and not ($rawmsg contains '"message":"health')""",
    "rsyslog, a regular expression": """re_match($rawmsg, '"level":"(DEBUG|INFO|WARNING|ERROR|CRITICAL)"')""",
}
COUNT = 300_000


def chains(rounds: int) -> None:
    """Print a table of whole chains, each beside the C receiver of the same round."""
    rates: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        stage = Stage(Path(name))
        compile_all(stage.folder)
        touch_memory(stage.folder)
        sample = log_lines(stage.folder, COUNT)
        cases: dict[str, tuple[Command, Sample]] = {"C: libzmq and fwrite": (compiled, sample)}
        for number, (one, given) in enumerate(CHAINS.items()):
            # A request's number may look like that of a card, by chance.
            made = filtered(sample, RedactFilter(**given[0]).filter, f"masked{number}") if given else sample
            filters = [ALL_PASS, *({"class": "Redact", "options": options} for options in given)]
            cases[one] = partial(configured, filters), made
        if "rsyslog: imczmq, omfile" not in absent():
            for one, condition in RSYSLOG.items():
                cases[one] = partial(rsyslog, condition=condition), sample
        for _ in range(rounds):
            for one, (command, expected) in cases.items():
                result = once(stage, command, sample, expected, compared="lines")
                if "error" in result:
                    raise SystemExit(f"{one}: {result['error']}")
                rates.setdefault(one, []).append(result["rate"])
                spent.setdefault(one, []).append(result["processor"])
    bare, *_ = rates.values()
    print("| chain | lines/s, median (least to most) | of C, likewise | CPU, µs a line |\n|---|---|---|---|")
    for one, found in rates.items():
        ratios = [rate / other for rate, other in zip(found, bare, strict=True)]
        shown = f"{statistics.median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f})"
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {one} | {shown} | {ratio} | {statistics.median(spent[one]):.2f} |")


def read(one: Filter) -> ReadLines | None:
    """The lines with the fields that a filter reads; None if it needs objects."""
    names = one.fields_read() if said(type(one), "reads") is not None else None
    decode = field_decoder(None if names is None else fields_of_message(names))
    return read_lines(LINES, decode) if decode else None


def main(rounds: int) -> None:
    """Print a table."""
    batches: dict[tuple[str, str], list[Any]] = {}
    for name, one in CASES.items():
        one.output_to = NullOutput()
        batches[name, "objects"] = [ACCESS] * BATCH if name in PARSED else MESSAGES
        if found := read(one):
            batches[name, "lines"] = found
    spent: dict[tuple[str, str], list[float]] = {case: [] for case in batches}
    for _ in range(rounds):
        for (name, kind), batch in batches.items():
            began = time.thread_time()
            CASES[name].consume_many(batch)
            spent[name, kind].append((time.thread_time() - began) / BATCH * 1e6)
    print("| filter | of objects, µs, median (quartiles) | of lines |\n|---|---|---|")
    for name in CASES:
        shown = []
        for kind in ("objects", "lines"):
            low, middle, high = (
                statistics.quantiles(spent[name, kind], n=4) if (name, kind) in spent else (0, 0, 0)
            )
            shown.append(f"{middle:.2f} ({low:.2f} to {high:.2f})" if high else "")
        print(f"| {name} | {' | '.join(shown)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["chain"]:
        chains(int(sys.argv[2]) if len(sys.argv) > 2 else 9)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
