"""Pauses over processes: `agentrag runs answer` and `history`, each command a process of its own."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.errors import PausedError
from tests.cli.conftest import Command, Finished, environment
from tests.runs_place import ASKS, STEPS, Place, place_in
from tests.test_pauses import BOTH, LEFT, RIGHT


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        place.bind()
        yield place


async def agentrag(place: Place, *arguments: str, stdin: str = "") -> Finished:
    """A command in a process of its own."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentrag", *arguments),
        cwd=place.folder,
        env=environment(place.folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate(stdin.encode())
    return Finished(child.returncode or 0, out.decode(), err.decode())


async def paused(place: Place, text: str) -> str:
    with pytest.raises(PausedError) as caught:
        await place.run("graph", text)
    return caught.value.run


async def test_a_run_that_was_killed_while_it_waited_is_listed_with_its_questions(place: Place) -> None:
    run = await paused(place, BOTH)
    with closing(sqlite3.connect(place.runs.path)) as journal, journal:
        journal.execute("UPDATE runs SET status = 'running'")  # what a killed process leaves behind
    (row,) = json.loads((await agentrag(place, "runs", "list", "--json")).out)
    assert (row["run"], set(row["questions"])) == (run, {LEFT, RIGHT})


async def test_two_pauses_are_answered_one_by_one_in_processes_of_their_own_and_each_once(place: Place) -> None:
    run = await paused(place, BOTH)
    listed = await agentrag(place, "runs", "list")
    assert [line[:60] for line in listed.out.splitlines()[2:]] == [
        f'  {LEFT}: Which room, Why? ({{"type'[:60],
        f"  {RIGHT}: Which word? (lamp, boat)"[:60],
    ]
    shown = await agentrag(place, "runs", "show", run)
    assert f"asks      {RIGHT}: Which word? (lamp, boat)\n" in shown.out
    assert f"answer    agentrag runs answer {run} {LEFT} VALUE\n" in shown.out
    held = await agentrag(place, "runs", "answer", run, RIGHT, "boat", "--hold", "--json")
    assert held.code == 0, held.err
    assert [*json.loads(held.out)["questions"]] == [LEFT]
    twice = await agentrag(place, "runs", "answer", run, RIGHT, "lamp")
    assert (twice.code, twice.out) == (1, "")
    assert re.fullmatch(
        rf"error: Step {re.escape(RIGHT)} of run {run} was answered before at \S+ \S+ UTC: 'boat'\..*\n", twice.err
    )
    wrong = await agentrag(place, "runs", "answer", run, '{"beds": "two"}')
    assert (wrong.code, "$.beds: 'two' is not of type 'integer'. Expected is JSON of the schema" in wrong.err) == (1, True)
    done = await agentrag(place, "runs", "answer", run, "-", stdin='{"beds": 2}\n')
    assert (done.code, done.out) == (0, 'form: {"beds":2}\nword: boat\n')


async def test_of_two_processes_that_answer_at_once_one_wins_and_the_other_hears_it(place: Place) -> None:
    run = await paused(place, ASKS)
    ends = await asyncio.gather(*(agentrag(place, "runs", "answer", run, word, "--hold") for word in ("approve", "refuse")))
    assert sorted(end.code for end in ends) == [0, 1]
    won, lost = ("approve", ends[1]) if ends[0].code == 0 else ("refuse", ends[0])
    assert "Step flow.1.ask_human of run" in lost.err
    assert f" UTC: {won!r}. See: agentrag runs show {run}" in lost.err
    assert (await place.runs.resume(run))["decision"] == won


async def test_after_the_code_changed_the_error_is_located_and_the_fork_it_offers_has_the_answer(place: Place) -> None:
    run = await paused(place, ASKS)
    place.asked()
    path = place.write("graph", ASKS.replace("t/finish}", "t/finish, max_tokens: 9}"))
    refused = await agentrag(place, "runs", "answer", run, "approve")
    assert (refused.code, refused.out) == (1, "")
    assert f"{path}:9:3 nodes.finish: 'nodes.finish' has changed since the run began" in refused.err
    command = refused.err.rpartition("Go on with: ")[2].split()
    forked = await agentrag(place, *command[1:])
    assert (forked.code, "decision: approve\n" in forked.out, place.asked()) == (0, True, ["finish"])


async def test_a_history_is_told_line_by_line_and_as_json(place: Place) -> None:
    result = await place.run("graph", STEPS)
    told = await agentrag(place, "runs", "history", "last")
    lines = told.out.splitlines()
    assert lines[0] == "flow.0:draft"
    assert lines[1].startswith("  wrote answer: draft ")
    assert all(len(line) <= 100 for line in lines)
    one = json.loads((await agentrag(place, "runs", "history", "last", "--step", "finish", "--json")).out)
    assert [step["step"] for step in one["steps"]] == ["flow.2:finish"]
    assert one["steps"][0]["state"]["answer"] == result["answer"]


async def test_channels_are_edited_on_the_command_line(place: Place) -> None:
    await place.run("graph", STEPS)
    place.asked()
    done = await agentrag(place, "runs", "fork", "last", "--at", "finish", "--edit", "answer=another")
    assert (done.code, place.server.bodies[0]["messages"][-1]["content"].split()) == (0, ["finish:", "Why?", "another"])
    assert "edited    before flow.2, answer: another" in (await agentrag(place, "runs", "show", "last")).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["answer", "last"], "Missing argument"),
        (["answer", "last", "a", "b", "c"], "write [PAUSE] VALUE"),
        (["fork", "last", "--edit", "answer=x"], "--edit goes with --at STEP"),
        (["fork", "last", "--edit", "answer", "--at", "x"], "--edit takes KEY=VALUE"),
    ],
)
def test_wrong_usage_ends_with_code_2(command: Command, arguments: list[str], said: str) -> None:
    done = command("runs", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
