"""`agentrag runs` as a process, with a stub of a model server; what runs can do is tested in tests/test_runs.py."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.errors import PausedError
from tests.cli.conftest import Command, Finished, environment
from tests.runs_place import ASKS, STEPS, Place, failed, place_in, word_of

Agentrag = Callable[..., Awaitable[Finished]]
HOSTILE = "Why?\x1b[2J\nrun forged api_key=abcdef123456"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        place.bind()
        yield place


@pytest.fixture
def agentrag(place: Place, command: Command) -> Agentrag:
    """Runs a command while the place's server answers."""

    async def run(*arguments: str, stdin: str = "") -> Finished:
        return await asyncio.to_thread(command, *arguments, stdin=stdin)

    return run


async def test_runs_are_listed_in_a_table_of_100_columns_or_as_json(place: Place, agentrag: Agentrag) -> None:
    nothing = await agentrag("runs", "list")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "No such run is recorded.\n")
    first = await place.run("graph", STEPS)
    await place.run("graph", STEPS.replace("name: steps", "name: a-graph-with-a-very-long-name"), question="How? " * 40)
    done = await agentrag("runs", "list")
    head, *rows = done.out.splitlines()
    assert head.split() == ["run", "graph", "status", "calls", "tokens", "USD", "seconds", "input"]
    assert rows[1].split()[:4] == [first.run, "steps", "finished", "4"]
    assert all(len(row) <= 100 for row in rows)
    (only,) = json.loads((await agentrag("runs", "list", "--graph", "steps", "--status", "finished", "--json")).out)
    assert (only["run"], only["usage"]["calls"], only["inputs"]["question"]) == (first.run, 4, "Why?")


async def test_a_run_is_shown_as_a_tree_of_100_columns_with_its_decisions_and_costs(place: Place, agentrag: Agentrag) -> None:
    result = await place.run("graph", STEPS)
    shown = await agentrag("runs", "show", "last")
    assert [re.sub(r" +\d+\.\d\d$", "", line) for line in shown.out.splitlines()[6:15]] == [
        "step                            asked                made reused     in cached   out     USD seconds",
        "0 draft                         stub                    1             2      1     2  0.0000",
        "1 repeat: 2 rounds, ended by at_most, round 2 kept",
        "  round 1: until false",
        "    0 revise                    stub                    1             4      2     2  0.0000",
        "  round 2: until false",
        "    0 revise                    stub                    1             4      2     2  0.0000",
        "2 finish                        stub                    1             4      2     2  0.0000",
        "",
    ]
    assert f"output    answer: {result['answer']}" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())
    data = json.loads((await agentrag("runs", "show", result.run[:-2], "--json")).out)
    assert [step["kind"] for step in data["steps"]] == ["node", "repeat", "node"]
    assert data["steps"][1]["inside"][1]["inside"][0]["path"] == "flow.1.repeat#2.0:revise"
    assert data["nodes"]["revise"]["usage"]["calls"] == 2


async def test_what_a_run_holds_neither_reaches_the_terminal_as_it_is_nor_shows_credentials(
    place: Place, agentrag: Agentrag
) -> None:
    await place.run("graph", STEPS, question=HOSTILE)
    for arguments in (["list"], ["show", "last"], ["list", "--json"], ["show", "last", "--json"]):
        done = await agentrag("runs", *arguments)
        assert "\x1b" not in done.out
        assert "abcdef123456" not in done.out
        assert not re.search("^run forged", done.out, re.MULTILINE)


async def test_a_replay_prints_the_bytes_of_the_run_without_its_server_graph_and_settings(
    place: Place, agentrag: Agentrag
) -> None:
    place.write("graph", STEPS)
    ran = await agentrag("run", "graph.yaml", "-i", "question=Why?", "--json")
    assert ran.code == 0, ran.err
    assert (await agentrag("runs", "export", "last", "-o", "tape.sqlite")).out.strip() == json.loads(ran.out)["run"]
    count = place.server.count
    (place.folder / "agentrag.yaml").unlink()
    (place.folder / "graph.yaml").unlink()
    assert await agentrag("runs", "replay", "last", "--json") == ran
    assert await agentrag("runs", "replay", "last", "--journal", "tape.sqlite", "--json") == ran
    assert (await agentrag("runs", "replay", "last")).out == f"{json.loads(ran.out)['outputs']['answer']}\n"
    assert place.server.count == count


async def test_a_replay_that_is_not_what_was_recorded_ends_with_code_1_and_says_what_differs(
    place: Place, agentrag: Agentrag
) -> None:
    result = await place.run("graph", STEPS)
    with closing(sqlite3.connect(place.runs.path)) as journal, journal:
        journal.execute("UPDATE runs SET outputs = ?", (b'{"answer":"another"}',))
    done = await agentrag("runs", "replay", "last", "--json")
    told = f'the replay of run {result.run} is not what was recorded\n  answer: recorded "another", now "{result["answer"]}"'
    assert (done.code, done.out, done.err) == (1, "", f"error: {told}\n")


async def test_a_failed_run_is_resumed_and_what_was_saved_is_told(place: Place, agentrag: Agentrag) -> None:
    run = await failed(place, "finish")
    assert f"\ngo on     agentrag runs resume {run}\n" in (await agentrag("runs", "show", run)).out
    done = await agentrag("runs", "resume", run)
    assert (done.code, done.out.startswith("finish ")) == (0, True)
    assert re.fullmatch(
        r"paid 1 call, 6 tokens, \d\.\d s, 0\.0000 USD; saved 3 calls, 16 tokens, \d\.\d s, 0\.0000 USD\n", done.err
    )
    again = await agentrag("runs", "resume", run, "--json")
    assert json.loads(again.out)["outputs"]["answer"] == done.out.strip()
    assert again.err == f"run {run} had finished already; these are its outputs\n"
    assert place.asked() == ["finish"]


async def test_a_changed_graph_is_refused_line_by_line_and_forked_instead(place: Place, agentrag: Agentrag) -> None:
    run = await failed(place, "finish")
    path = place.write("graph", STEPS.replace("temperature: 0.7", "temperature: 0.8"))
    refused = await agentrag("runs", "resume", run)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.splitlines()[0] == f"error: {path}:8:3 nodes.revise: 'nodes.revise' has changed since the run began"
    command = refused.err.rpartition("Go on with: ")[2].split()
    forked = await agentrag(*command[1:])
    assert forked.code == 0, forked.err
    assert place.asked() == ["revise", "revise", "finish"]
    assert f", forked from {run}\n" in forked.err


async def test_a_question_is_listed_then_answered_once(place: Place, agentrag: Agentrag) -> None:
    with pytest.raises(PausedError) as caught:
        await place.run("asks", ASKS)
    run = caught.value.run
    asked = await agentrag("runs", "resume", run)
    assert (asked.code, asked.out) == (1, "")
    assert asked.err.splitlines()[0] == f"error: run {run} waits for a person"
    assert re.fullmatch(r"  flow\.1\.ask_human: Send this\? draft \w+ \(approve, refuse\)", asked.err.splitlines()[1])
    assert asked.err.splitlines()[2] == f"Answer with: agentrag runs answer {run} VALUE"
    wrong = await agentrag("runs", "resume", run, "--answer", "aprove")
    assert (wrong.code, "Did you mean 'approve'?" in wrong.err) == (1, True)
    done = await agentrag("runs", "resume", run, "--answer", "flow.1.ask_human=approve")
    assert (done.code, done.out.splitlines()[1]) == (0, "decision: approve")
    twice = await agentrag("runs", "resume", run, "--answer", "flow.1.ask_human=refuse")
    assert (twice.code, "UTC: 'approve'. See: agentrag runs show" in twice.err) == (1, True)


async def test_a_fork_prints_its_id_and_what_was_saved(place: Place, agentrag: Agentrag) -> None:
    parent = await place.run("graph", STEPS)
    place.asked()
    done = await agentrag("runs", "fork", parent.run, "--set", "finish.max_tokens=9", "--set", "finish.stop=[x]", "--json")
    found = json.loads(done.out)
    assert (found["parent"], place.asked()) == (parent.run, ["finish"])
    assert re.match(rf"run {found['run']}, forked from {parent.run}\npaid 1 call, .*; saved 3 calls, ", done.err)
    assert {node: cost["calls"] for node, cost in found["saved"].items()} == {"draft": 1, "revise": 2, "finish": 0}
    other = await agentrag("runs", "fork", parent.run, "-i", "question=How?", "--at", "draft")
    assert (other.code, len(place.asked())) == (0, 4)


async def test_runs_are_exported_and_pruned(place: Place, agentrag: Agentrag) -> None:
    runs = [(await place.run("graph", STEPS)).run for _ in range(3)]
    kept = await agentrag("runs", "export", runs[0], "last", "-o", "two.jsonl")
    assert kept.out.split() == [runs[0], runs[2]]
    dry = await agentrag("runs", "prune", "--keep", "1", "--dry-run")
    assert re.fullmatch(rf"2 runs and [\d,]+ kB would be deleted\.\n  {runs[0]}\n  {runs[1]}\n", dry.out)
    refused = await agentrag("runs", "prune", "--keep", "1", stdin="n\n")
    assert (refused.code, len(place.runs.list())) == (1, 3)
    done = await agentrag("runs", "prune", "--keep", "1", "--yes")
    assert re.fullmatch(r"2 runs and [\d,]+ kB were deleted\.\n", done.out)
    assert [past.record.run for past in place.runs.list()] == runs[2:]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resume"], "Missing argument"),
        (["resume", "last", "--answer", "a", "--answer", "b"], "was given twice for the open question"),
        (["resume", "last", "--settle", "abc=maybe"], "'maybe' is neither"),
        (["fork", "last", "--set", "k=8"], "NODE.SETTING=VALUE"),
        (["fork", "last", "--set", "search.k"], "--set takes KEY=VALUE"),
        (["export", "last"], "--output"),
        (["prune"], "say which runs"),
        (["prune", "--unfinished"], "say which runs"),
        (["prune", "--keep", "1", "--unfinished"], "--unfinished goes with --older-than"),
        (["prune", "--older-than", "3x"], "not '3x'"),
        (["prune", "--max-size", "big"], "not 'big'"),
        (["list", "--status", "lost"], "--status"),
    ],
)
def test_wrong_usage_ends_with_code_2(command: Command, arguments: list[str], said: str) -> None:
    done = command("runs", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "20200101"],
        ["resume", "nothing"],
        ["replay", "nothing"],
        ["fork", "last", "--set", "finish.max_tokens=few"],
        ["fork", "last", "--set", "finish.max_tokens=[1"],
        ["fork", "last", "--graph", "nowhere.yaml"],
        ["fork", "last", "--at", "nowhere"],
        ["fork", "last", "-m", "gpt"],
        ["show", "last", "--journal", "nowhere.sqlite"],
        ["list", "--journal", "graph.yaml"],
        ["export", "last", "-o", "graph.yaml"],
    ],
    ids=" ".join,
)
async def test_what_cannot_be_done_is_one_line_and_code_1(place: Place, agentrag: Agentrag, arguments: list[str]) -> None:
    await place.run("graph", STEPS)
    place.asked()
    done = await agentrag("runs", *arguments)
    assert (done.code, done.out, place.asked()) == (1, "", [])
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


async def test_a_killed_command_leaves_a_run_that_goes_on_from_its_last_answer(place: Place, agentrag: Agentrag) -> None:
    place.write("graph", STEPS)
    place.hanging = {"revise"}
    child = await begun(place, "run", "graph.yaml", "-i", "question=Why?")
    child.kill()
    await child.communicate()
    place.hanging = set()
    assert place.asked() == ["draft", "revise"]
    (only,) = json.loads((await agentrag("runs", "list", "--json")).out)
    assert only["status"] == "running"
    done = await agentrag("runs", "resume", "last")
    assert (done.code, place.asked()) == (0, ["revise", "revise", "finish"])


async def test_ctrl_c_leaves_a_cancelled_run_and_says_how_to_go_on(place: Place) -> None:
    run = await failed(place, "finish")
    place.hanging = {"finish"}
    child = await begun(place, "runs", "resume", run)
    os.kill(child.pid, signal.SIGINT)
    out, err = await asyncio.wait_for(child.communicate(), 10)
    told = f"What run {run} did is recorded. Go on with it: agentrag runs resume {run}\nerror: interrupted\n"
    assert (child.returncode, out, err.decode()) == (130, b"", told)
    assert place.runs.find(run).status == "cancelled"


async def begun(place: Place, *arguments: str) -> asyncio.subprocess.Process:
    """A command that has come to a prompt which the server does not answer."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentrag", *arguments),
        cwd=place.folder,
        env=environment(place.folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    while not any(word_of(body) in place.hanging for body in place.server.bodies):
        await asyncio.sleep(0.05)
    return child


async def test_a_journal_is_checked_and_what_is_whole_is_taken_out(place: Place, agentrag: Agentrag, tmp_path: Path) -> None:
    kept = await place.run("graph", STEPS)
    spoilt = await place.run("graph", STEPS)
    assert (await agentrag("runs", "check")).out == "2 runs are whole.\n"
    with closing(sqlite3.connect(place.folder / "home" / "journal.sqlite")) as database, database:
        database.execute("UPDATE runs SET inputs = '{' WHERE run = ?", (spoilt.run,))
    saved = tmp_path / "saved.sqlite"
    done = await agentrag("runs", "check", "-o", str(saved))
    assert done.code == 1
    assert spoilt.run in done.out
    assert done.out.endswith("1 runs are whole, 1 are not.\n")
    rows = json.loads((await agentrag("runs", "list", "--json", "--journal", str(saved))).out)
    assert [row["run"] for row in rows] == [kept.run]


async def test_a_replay_of_a_run_under_a_budget_is_the_same_bytes(place: Place, agentrag: Agentrag) -> None:
    place.write("graph", STEPS)
    for calls in ("2", "9"):
        ran = await agentrag("run", "graph.yaml", "-i", "question=Why?", "--budget", f"calls={calls}", "--json")
        replayed = await agentrag("runs", "replay", "last", "--json")
        assert (replayed.code, replayed.out) == (0, ran.out)
        assert json.loads(ran.out)["best_effort"] == (calls == "2")
