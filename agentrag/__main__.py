"""`python -m agentrag` is the command `agentrag`."""

from __future__ import annotations

from agentrag.cli.main import main

if __name__ == "__main__":
    main()
