"""Begins the runs that it is told, a line each, and says who got them. Arguments: the journal's file, and "with a child" for
a process that has a child, whose id is told after the first run.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from agentrag.core.errors import RunBusyError
from agentrag.core.ports import RunRecord
from agentrag.journal.sqlite import SqliteJournal


def tell(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(path: str, with_child: bool) -> None:
    journal = SqliteJournal(Path(path))
    tell("ready")
    for line in sys.stdin:
        try:
            journal.begin(RunRecord(line.strip(), "g"))
        except RunBusyError as error:
            tell(f"busy {error.pid}")
        else:
            tell("won")
        if with_child:
            child = os.fork()
            if not child:
                os.close(0)
                os.close(1)
                time.sleep(60)
                os._exit(0)
            tell(str(child))


if __name__ == "__main__":
    main(sys.argv[1], len(sys.argv) > 2)
