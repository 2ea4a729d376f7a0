"""Recorded runs are found, shown, and gone on with. Copies of them: test_run_copies.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agentrag.app import Graph
from agentrag.core.errors import (
    ChangedError,
    InDoubtError,
    InputError,
    NodeError,
    PausedError,
    RunError,
    SpecError,
    UnknownNameError,
)
from tests.runs_place import ASKS, SENDS, STEPS, Place, Send, failed, place_in, registered, total


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


@pytest.fixture
def _send() -> Iterator[None]:
    with registered(Send):
        yield


async def test_runs_are_listed_newest_first_and_found_by_a_beginning_of_their_ids(place: Place) -> None:
    assert place.runs.list() == []
    first = await place.run("steps", STEPS)
    second = await place.run("asks", STEPS.replace("name: steps", "name: other"))
    runs = place.runs
    assert [past.record.run for past in runs.list()] == [second.run, first.run]
    assert [past.record.run for past in runs.list(graph="steps", status="finished", limit=1)] == [first.run]
    assert runs.list(status="failed") == []
    assert runs.find("last") == runs.find(second.run) == runs.find(second.run[:-2])
    with pytest.raises(RunError, match=f"'{first.run[:4]}' is the beginning of several runs; .*{first.run}"):
        runs.find(first.run[:4])
    with pytest.raises(UnknownNameError, match="Unknown run 'nobody'"):
        runs.find("nobody")


async def test_a_failed_run_goes_on_where_it_was_and_pays_for_the_rest_only(place: Place) -> None:
    whole = await place.run("graph", STEPS)
    run = await failed(place, "finish")
    result = await place.runs.resume(run)
    assert place.asked() == ["finish"]
    assert (result.run, result.outputs, total(result)) == (run, whole.outputs, (1, 3))
    assert place.runs.find(run).status == "finished"
    assert place.runs.find(run).usage.calls == 4


async def test_a_finished_run_is_not_run_again_and_gives_what_was_recorded(place: Place) -> None:
    whole = await place.run("graph", STEPS)
    place.asked()
    result = await place.runs.resume(whole.run)
    assert (result.outputs, result.usage, result.saved) == (whole.outputs, whole.usage, whole.saved)
    assert place.asked() == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("temperature: 0.7", "temperature: 0.8", ":8:3 nodes.revise: 'nodes.revise' has changed since the run began"),
        ("at_most: 2", "at_most: 3", ":10:1 flow: 'flow' has changed since the run began"),
    ],
)
async def test_a_run_of_a_changed_graph_is_not_resumed(place: Place, old: str, new: str, where: str) -> None:
    run = await failed(place, "finish")
    path = place.write("graph", STEPS.replace(old, new))
    with pytest.raises(ChangedError) as caught:
        await place.runs.resume(run)
    assert str(caught.value).splitlines() == [
        f"{path}{where}",
        f"Run {run} began with another graph. Go on with: agentrag runs fork {run}",
    ]
    assert place.asked() == []


async def test_a_run_with_a_changed_prompt_is_refused_at_the_node_that_uses_it(place: Place) -> None:
    run = await failed(place, "finish")
    prompt = place.folder / "prompts" / "t" / "draft.md"
    prompt.write_text(prompt.read_text(encoding="utf-8").replace("draft:", "Draft:"), encoding="utf-8")
    with pytest.raises(ChangedError, match=r"graph\.yaml:7:\d+ nodes\.draft\.prompt: prompt 't/draft' has changed"):
        await place.runs.resume(run)


async def test_a_run_whose_file_is_gone_says_how_to_go_on(place: Place) -> None:
    run = await failed(place, "finish")
    (place.folder / "graph.yaml").unlink()
    with pytest.raises(RunError, match=r"graph\.yaml, is not there any more\. .* agentrag runs fork"):
        await place.runs.resume(run)
    assert total(await place.runs.fork(run)) == (1, 3)


async def test_a_graph_made_in_python_is_resumed_from_its_record(place: Place) -> None:
    place.failing = {"finish"}
    spec = Graph.load(place.write("graph", STEPS)).spec
    with pytest.raises(NodeError):
        await Graph.of(spec).run(settings=place.settings, question="Why?")
    place.failing = set()
    (place.folder / "graph.yaml").unlink()
    assert total(await place.runs.resume("last")) == (1, 3)


async def test_a_graph_of_nodes_without_a_name_is_resumed_where_it_is_given(place: Place) -> None:
    graph = Graph("sends", inputs={"question": "str"}, outputs=["answer"], nodes={"send": Send()}, flow=["send"])
    Send.sent, Send.breaks = [], True
    with pytest.raises(NodeError):
        await graph.run(settings=place.settings, question="Why?")
    with pytest.raises(SpecError, match="keeps no graph to build again: a node of it has no registered name"):
        await place.runs.resume("last")
    with pytest.raises(InDoubtError):
        await place.runs.resume("last", graph=graph)
    assert len(Send.sent) == 1


async def test_a_paused_run_asks_and_goes_on_with_an_answer_that_is_one_of_the_choices(place: Place) -> None:
    with pytest.raises(PausedError):
        await place.run("asks", ASKS)
    place.asked()
    runs = place.runs
    with pytest.raises(PausedError) as caught:
        await runs.resume("last")
    (question,) = caught.value.questions.values()
    assert question.text.startswith("Send this? draft ")
    with pytest.raises(InputError, match=r"Unknown answer 'approv'\. Did you mean 'approve'\?"):
        await runs.resume("last", answers="approv")
    with pytest.raises(InputError, match=r"Unknown open question 'flow\.7\.ask_human'\. Did you mean 'flow\.1\.ask_human'\?"):
        await runs.resume("last", answers={"flow.7.ask_human": "approve"})
    assert place.asked() == []
    result = await runs.resume("last", answers="approve")
    assert (result["decision"], place.asked(), total(result)) == ("approve", ["finish"], (1, 1))


@pytest.mark.parametrize("word", ["finish", ""], ids=["failed later", "finished"])
async def test_a_question_is_answered_once(place: Place, word: str) -> None:
    with pytest.raises(PausedError):
        await place.run("asks", ASKS)
    place.failing = {word}
    try:
        await place.runs.resume("last", answers={"flow.1.ask_human": "refuse"})
    except NodeError:
        assert word
    with pytest.raises(InputError, match=r"Step flow\.1\.ask_human of run \S+ was answered before at \S+ \S+ UTC: 'refuse'\."):
        await place.runs.resume("last", answers={"flow.1.ask_human": "approve"})
    with pytest.raises(InputError, match="waits for no answer: it is f"):
        await place.runs.resume("last", answers="approve")
    place.failing = set()
    assert (await place.runs.resume("last"))["decision"] == "refuse"


async def test_several_open_questions_need_answers_by_step(place: Place) -> None:
    branch = '[{ask_human: {question: "%s?", out: %s}}]'
    flow = f"flow:\n  - parallel: {{branches: {{a: {branch % ('A', 'left')}, b: {branch % ('B', 'right')}}}}}\n"
    head = "agentrag: 1\nname: two\ninputs: {question: str}\noutputs: [left, right]\nnodes: {}\n"
    with pytest.raises(PausedError):
        await place.run("two", f"{head}channels: {{left: {{type: str}}, right: {{type: str}}}}\n{flow}")
    with pytest.raises(InputError, match=r"Several questions are open; name the step of each answer: flow\.0\.parallel\.a\.0"):
        await place.runs.resume("last", answers="yes")
    with pytest.raises(PausedError) as caught:
        await place.runs.resume("last", answers={"flow.0.parallel.a.0.ask_human": "one"})
    assert list(caught.value.questions) == ["flow.0.parallel.b.0.ask_human"]
    result = await place.runs.resume("last", answers={"flow.0.parallel.b.0.ask_human": "two"})
    assert result.outputs == {"left": "one", "right": "two"}


@pytest.mark.usefixtures("_send")
@pytest.mark.parametrize(
    ("said", "answer", "sent"), [({"redo": True}, "sent", 2), ({"result": "by hand"}, "by hand", 1)], ids=["redo", "result"]
)
async def test_a_write_in_doubt_is_settled_by_a_person(place: Place, said: dict[str, object], answer: str, sent: int) -> None:
    Send.breaks = True
    with pytest.raises(NodeError):
        await place.run("sends", SENDS)
    Send.breaks = False
    with pytest.raises(InDoubtError) as caught:
        await place.runs.resume("last")
    key = caught.value.idempotency_key
    assert place.runs.show("last").in_doubt == {key: "post"}
    with pytest.raises(InputError, match="Unknown write in doubt 'abc'"):
        await place.runs.resume("last", settle={"abc": said})
    with pytest.raises(InputError, match=r"say \{'redo': True\} or"):
        await place.runs.resume("last", settle={key: True})
    result = await place.runs.resume("last", settle={key: said})
    assert (result["answer"], Send.sent) == (answer, [key] * sent)
