"""What another process does to a journal, for the tests of kills and of several writers. Prints a line per call it made.

Arguments: the journal's file, a run, how many sampled calls, and how many seconds each takes. A last argument "write" makes
the calls writes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pydantic import TypeAdapter

from agentrag.core.calls import Effect, OutwardCall
from agentrag.core.ports import RunRecord
from agentrag.journal.sqlite import SqliteJournal


def tell(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(path: str, run: str, count: str, seconds: str, effect: str = "none") -> None:
    journal = SqliteJournal(Path(path))
    journal.begin(RunRecord(run, "g"))
    for nth in range(int(count)):
        request = {"text": "Why?"}
        effects: Effect = "write" if effect == "write" else "none"
        call = OutwardCall(run, "flow.0:write", nth, "tool", "service", request, False, effects, nth=nth)

        async def work(number: int = nth) -> str:
            tell(f"sent {number}")
            await asyncio.sleep(float(seconds))
            return f"{number} of {run}"

        answer = await journal.call(call, work, TypeAdapter(str))
        journal.note(run, f"flow.0:write#{nth}", "step", {"node": "write"})
        tell(f"{'kept' if answer.reused else 'made'} {answer.value}")
    journal.end(run, "finished")
    journal.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
