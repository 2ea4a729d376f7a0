"""Copies of recorded runs: replays, forks, exports; and runs that are deleted."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import InputError, NodeError, RunError, SpecError, StoreError
from agentrag.core.settings import Settings
from agentrag.runs import Changes, Runs
from tests.runs_place import SENDS, STEPS, Place, Send, failed, place_in, registered, total


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def test_a_replay_says_what_the_run_said_without_its_server_files_and_settings(place: Place) -> None:
    result = await place.run("graph", STEPS)
    await place.server.__aexit__(None, None, None)
    (place.folder / "graph.yaml").unlink()
    nobody = Settings(home=place.folder / "home")
    replayed = await Runs(nobody).replay("last")
    assert replayed.differs == {}
    assert (replayed.result.outputs, replayed.result.usage, replayed.result.run) == (result.outputs, result.usage, result.run)
    assert place.server.count == 4


async def test_a_run_that_went_on_with_another_model_replays_what_it_said_in_the_end(place: Place) -> None:
    run = await failed(place, "finish")
    result = await Runs(place.bound("other")).resume(run)
    assert place.asked() == ["draft", "revise", "revise", "finish"]
    replayed = await place.runs.replay(run)
    assert (replayed.result.outputs, replayed.differs) == (result.outputs, {})


async def test_a_replay_with_changed_code_says_what_differs(place: Place) -> None:
    class Loud(Send):
        async def __call__(self, state: State, deps: Deps) -> State:
            return {"answer": state["question"].upper()}

    with registered(Send):
        await place.run("sends", SENDS)
    with registered(Loud):
        replayed = await place.runs.replay("last")
    assert replayed.differs == {"answer": ("sent", "WHY?")}


async def test_a_replay_without_the_plugin_that_brought_a_node_says_so(place: Place) -> None:
    with registered(Send):
        result = await place.run("sends", SENDS)
    with pytest.raises(SpecError, match=rf"run {result.run}:\d+:\d+ nodes\.send\.use: Unknown node 'r\.send'"):
        await place.runs.replay("last")


async def test_a_run_without_outputs_is_not_replayed(place: Place) -> None:
    await failed(place, "finish")
    with pytest.raises(RunError, match="has no outputs that a replay could repeat: it is failed"):
        await place.runs.replay("last")


async def test_a_fork_pays_from_the_first_changed_call_on(place: Place) -> None:
    parent = await place.run("graph", STEPS)
    place.asked()
    result = await place.runs.fork(parent.run, Changes(settings={"finish.max_tokens": 9}))
    assert (place.asked(), total(result)) == (["finish"], (1, 3))
    record = place.runs.find(result.run).record
    assert (record.parent, record.cut, record.ref) == (parent.run, None, "")


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        (Changes(), []),
        (Changes(inputs={"style": "short"}), []),
        (Changes(inputs={"question": "How?"}), ["draft", "revise", "revise", "finish"]),
        (Changes(settings={"revise.temperature": 0.9}), ["revise", "revise"]),
        (Changes(at="finish"), ["finish"]),
        (Changes(at="flow.1.repeat#2"), ["revise", "finish"]),
        (Changes(at="revise"), ["revise", "revise", "finish"]),
    ],
    ids=["nothing", "input nobody reads", "input", "setting, with answers as before", "node", "round", "node in a loop"],
)
async def test_what_a_fork_asks(place: Place, changes: Changes, asked: list[str]) -> None:
    parent = await place.run("graph", STEPS)
    place.asked()
    await place.runs.fork(parent.run, changes)
    assert place.asked() == asked


async def test_a_fork_with_another_graph_and_model_takes_over_what_is_the_same(place: Place) -> None:
    parent = await place.run("graph", STEPS)
    place.asked()
    changed = place.write("changed", STEPS.replace("at_most: 2", "at_most: 3"))
    assert total(await place.runs.fork(parent.run, Changes(graph=changed))) == (2, 3)
    assert place.asked() == ["revise", "finish"]
    runs = Runs(place.bound("stub", more={"large": "other"}))
    result = await runs.fork(parent.run, Changes(models={"writer": "large"}))
    assert (place.asked(), total(result)) == (["draft", "revise", "revise", "finish"], (4, 0))
    assert runs.find(result.run).record.options == {"models": {"writer": "large"}, "collections": {}}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (
            Changes(settings={"finsh.max_tokens": 9}),
            SpecError,
            "--set nodes.finsh: Unknown node 'finsh'. Did you mean 'finish'?",
        ),
        (Changes(settings={"finish.tokens": 9}), SpecError, "--set nodes.finish.tokens: Unknown key 'tokens'"),
        (
            Changes(settings={"finish.max_tokens": "few"}),
            SpecError,
            "--set nodes.finish.max_tokens: 'few': should be a valid int",
        ),
        (Changes(settings={"finish.prompt": "t/none"}), SpecError, "--set nodes.finish.prompt: Unknown prompt 't/none'"),
        (Changes(inputs={"style": "long"}), InputError, "Input 'style': 'long' is not one of full, short"),
        (Changes(at="nowhere"), StoreError, "Unknown step 'nowhere'"),
    ],
    ids=["node", "setting", "value", "prompt", "input", "step"],
)
async def test_a_wrong_change_is_told_and_costs_nothing(
    place: Place, changes: Changes, error: type[Exception], said: str
) -> None:
    await place.run("graph", STEPS)
    place.asked()
    with pytest.raises(error) as caught:
        await place.runs.fork("last", changes)
    assert str(caught.value).startswith(said) or said in str(caught.value)
    assert (place.asked(), len(place.runs.list())) == ([], 1)


async def test_a_fork_that_failed_is_resumed_with_its_own_settings(place: Place) -> None:
    await place.run("graph", STEPS)
    place.failing = {"finish"}
    with pytest.raises(NodeError):
        await place.runs.fork("last", Changes(settings={"finish.max_tokens": 9}))
    place.failing = set()
    place.asked()
    result = await place.runs.resume("last")
    assert (total(result), place.server.bodies[0]["max_tokens"]) == ((1, 3), 9)


async def test_a_cassette_replays_elsewhere(place: Place, tmp_path: Path) -> None:
    result = await place.run("graph", STEPS)
    await place.run("graph", STEPS, question="How?")
    cassette = tmp_path / "kept" / "one.sqlite"
    assert place.runs.export([result.run, result.run[:-1]], cassette) == (result.run,)
    elsewhere = Runs(Settings(home=tmp_path / "other"), journal=cassette)
    assert [past.record.run for past in elsewhere.list()] == [result.run]
    assert (await elsewhere.replay("last")).result.outputs == result.outputs
    with pytest.raises(StoreError, match="is there already"):
        place.runs.export(["last"], cassette)


async def test_lines_hold_runs_without_credentials_and_are_for_their_owner(place: Place, tmp_path: Path) -> None:
    await place.run("graph", STEPS, question="My api_key=abcdef123456, why?")
    lines = tmp_path / "runs.jsonl"
    place.runs.export(["last"], lines)
    text = lines.read_text(encoding="utf-8")
    assert [json.loads(line)["type"] for line in text.splitlines()].count("call") == 4
    assert "abcdef123456" not in text
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="is there already"):
        place.runs.export(["last"], lines)
    assert lines.read_text(encoding="utf-8") == text


async def test_pruning_tells_first_and_deletes_then(place: Place) -> None:
    runs = [(await place.run("graph", STEPS, question=question)).run for question in ("One?", "Two?", "Three?")]
    told = place.runs.prune(keep=1, dry=True)
    assert (told.runs, len(place.runs.list())) == (tuple(runs[:2]), 3)
    assert place.runs.prune(keep=1).runs == tuple(runs[:2])
    assert [past.record.run for past in place.runs.list()] == runs[2:]
    assert place.runs.prune(older_than=timedelta(days=1)).runs == ()


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    runs = Runs(Settings(home=tmp_path), journal=tmp_path / "none.sqlite")
    for work in (runs.list, lambda: runs.prune(keep=1, dry=True), lambda: runs.show("last")):
        with pytest.raises(StoreError, match=r"none\.sqlite is not there"):
            work()
    assert list(tmp_path.iterdir()) == []
