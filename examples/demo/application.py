"""An application of the demo: sends its share of the sample's log records, each marked with its own name."""

import json
import sys
from pathlib import Path

from message_passing.codecs.json import JSONEncoder
from message_passing.outputs.zeromq import ZeroMQOutput

SAMPLE = Path(__file__).with_name("sample.jsonl")


def main(name: str, share: int, of: int, endpoint: str) -> None:
    """Send every `of`-th record of the sample, beginning with number `share`."""
    with JSONEncoder(output_to=ZeroMQOutput(connect=endpoint, linger=10_000)) as log:
        for line in SAMPLE.read_text(encoding="utf-8").splitlines()[share::of]:
            log.consume({**json.loads(line), "sender": name})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
