"""What is shown of recorded runs is redacted as the settings say; what a replay prints is what was said."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.runs_place import STEPS, place_in

SAID = "draft 0123"
PATTERN = '["(?:draft|revise|finish) (?P<word>[0-9a-f]{4,8})"]'
"""Matches the question, and what the model says."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "last"],
        ["show", "last", "--json"],
        ["list"],
        ["list", "--json"],
        ["history", "last"],
        ["history", "last", "--json"],
        ["history", "last", "--step", "draft"],
    ],
    ids=" ".join,
)
async def test_runs_are_shown_without_what_patterns_match(tmp_path: Path, command: Command, arguments: list[str]) -> None:
    async with place_in(tmp_path) as place:
        place.bind()
        await place.run("graph", STEPS, question=SAID)
        shown = await asyncio.to_thread(command, "runs", *arguments, AGENTRAG_REDACT=PATTERN)
        replayed = await asyncio.to_thread(command, "runs", "replay", "last", AGENTRAG_REDACT=PATTERN)
    assert (shown.code, shown.err) == (0, "")
    assert re.search(r"(draft|finish) \[redacted\]", shown.out)
    assert not re.search(PATTERN[2:-2], shown.out)
    assert re.fullmatch(r"finish [0-9a-f]{8}\n", replayed.out)
