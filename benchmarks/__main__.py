"""Run measurements one after another, each in a process of its own: `python -m benchmarks [NAME...]`."""

from __future__ import annotations

import argparse
import subprocess
import sys

NAMES = (
    "client",
    "retrieval",
    "embedding",
    "graph",
    "engines",
    "durable",
    "concurrency",
    "startup",
    "budgets",
    "telemetry",
    "scoring",
)
"""What runs where no name is given. `squad` takes an hour of a local model: `python -m benchmarks.squad`."""


def main() -> int:
    """Run the named measurements; the exit code counts those that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; all of them where none is given")
    names = parser.parse_args().names or list(NAMES)
    if strangers := sorted(set(names) - set(NAMES)):
        parser.error(f"unknown measurement '{strangers[0]}'; known: {', '.join(NAMES)}")
    failed = 0
    for name in names:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
