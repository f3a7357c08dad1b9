"""The main job, for real: three applications send log records over ZeroMQ, one command collects them in a file.

python examples/demo/run.py [DIRECTORY]
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from message_passing.testing import free_port, wait_for

HERE = Path(__file__).parent
SENDERS = ("web", "worker", "billing")


def main(directory: Path) -> int:
    """Run the demo; 0 when everything that was sent has arrived."""
    collected = directory / "collected.log"
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    command = [
        *("message-passing", "--input", "ZeroMQ"),
        *("--input_options", json.dumps({"socket_bind": endpoint})),
        *("--output", "File", "--output_options", json.dumps({"filename": str(collected), "append": False})),
    ]
    expected = len((HERE / "sample.jsonl").read_bytes().splitlines())
    began = time.monotonic()
    print(
        "The aggregator:\n  $",
        " ".join(command[:3]),
        *(f"'{word}'" if "{" in word else word for word in command[3:]),
    )
    aggregator = subprocess.Popen([sys.executable, "-m", "message_passing", *command[1:]])
    try:
        print(f"Three applications, {expected} log records: python examples/demo/application.py ...")
        applications = [
            subprocess.Popen(
                [sys.executable, HERE / "application.py", name, str(share), str(len(SENDERS)), endpoint]
            )
            for share, name in enumerate(SENDERS)
        ]
        for application in applications:
            application.wait(timeout=15)
        wait_for(lambda: collected.exists() and collected.read_bytes().count(b"\n") >= expected, timeout=15)
    finally:
        aggregator.send_signal(signal.SIGTERM)
        aggregator.wait(timeout=15)
    return report(collected, expected, time.monotonic() - began)


def report(collected: Path, expected: int, seconds: float) -> int:
    """Say what arrived."""
    lines = collected.read_text(encoding="utf-8").splitlines()
    counts = Counter(json.loads(line)["sender"] for line in lines)
    print(f"\nArrived, {seconds:.1f} s after the start:")
    for name in SENDERS:
        print(f"  {name:<10}{counts[name]:>6} records")
    print(f"  {'all':<10}{len(lines):>6} of {expected}\n\nThe last three lines of {collected}:")
    for line in lines[-3:]:
        print(" ", line)
    return 0 if len(lines) == expected else 1


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="message-passing-demo-"))
    sys.exit(main(where))
