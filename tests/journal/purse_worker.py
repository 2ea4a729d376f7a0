"""What another process takes from a tenant's purse, for the tests of several processes. Prints how many calls it was let make.

Arguments: the file, how many calls a day, passages a day, how often to try, and "settle", "keep" (what was set aside stays so)
or "die" (the process ends at its first call that was let through).
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from agentrag.core.budget import Spend
from agentrag.core.tenant import TenantBudget
from agentrag.journal.purse import TenantPurse

NEED = Spend(1, 3, 100, 0.01)


def main(path: str, calls: str, passages: str, times: str, after: str) -> None:
    budget = TenantBudget(calls=int(calls), passages=int(passages), per="day")
    purse = TenantPurse(Path(path), "acme", budget, clock=lambda: 1_800_000_000.0)
    made = found = 0
    for _ in range(int(times)):
        if purse.reserve(NEED) is not None:
            continue
        if after == "die":
            os._exit(1)
        came = random.randint(0, 3)
        made, found = made + 1, found + came
        if after == "settle":
            purse.settle(NEED, Spend(1, came, random.randint(50, 150), 0.01))
    purse.close()
    print(made, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
