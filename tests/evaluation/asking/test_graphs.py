import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from agentrag.app import Graph
from agentrag.core.errors import AgentRagError
from agentrag.core.events import Event, RunStarted, Token
from agentrag.core.types import Citation, Message, Usage
from agentrag.evaluation.asking.graphs import answering, check_inputs
from agentrag.evaluation.data.dataset import Question
from agentrag.graph.loader import load_graph
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages


@dataclass
class Run:
    state: Mapping[str, Any]
    usage: Mapping[str, Usage] = field(default_factory=dict)
    saved: Mapping[str, Usage] = field(default_factory=dict)


class Fake:
    """Keeps the inputs that it is run with, and tells events, 20 ms before each."""

    def __init__(self, state: Mapping[str, Any], events: Sequence[Event] = ()) -> None:
        self.state, self.inputs, self.events = state, list[dict[str, Any]](), events

    async def run(self, on_event: Callable[[Event], None], **inputs: Any) -> Run:
        self.inputs.append(inputs)
        for event in self.events:
            await asyncio.sleep(0.02)
            on_event(event)
        return Run(self.state, {"write": Usage(calls=1)}, {"search": Usage(calls=2)})


TINY = """\
agentrag: 1
name: tiny
inputs: {takes}
outputs: [abstained]
nodes: {{refuse: {{use: abstain}}}}
flow: [refuse]
"""
ECHO = """\
agentrag: 1
name: echo
inputs:
  question: str
  history: {type: history, default: []}
outputs: [answer]
models: {writer: default}
nodes: {write: {use: generate, prompt: chat/condense, model: writer}}
flow: [write]
"""
TALK = Question("q", "And then?", (Message("user", "Hello"),))


async def test_a_graph_gets_the_question_its_history_and_the_fixed_inputs_and_nothing_else() -> None:
    graph = Fake({})
    await answering(graph.run, {"question", "history", "style", "answers"}, {"style": "short"})(TALK)
    assert graph.inputs == [{"question": "And then?", "history": [Message("user", "Hello")], "style": "short"}]


async def test_a_graph_without_history_is_asked_the_question_alone() -> None:
    graph = Fake({})
    await answering(graph.run, {"question"}, {})(TALK)
    assert graph.inputs == [{"question": "And then?"}]


async def test_what_a_run_wrote_becomes_the_answer() -> None:
    cited = Citation(1, "a.txt", None, "", 0, 4, "then")
    state = {"answer": "then [1]", "abstained": False, "passages": passages("a"), "citations": [cited], "unsupported": ["so"]}
    answered = await answering(Fake(state).run, {"question"}, {})(TALK)
    assert (answered.answer, answered.abstained, answered.citations, answered.unsupported) == (
        "then [1]",
        False,
        (cited,),
        ("so",),
    )
    assert answered.passages == tuple(passages("a"))
    assert (answered.usage, answered.saved) == ({"write": Usage(calls=1)}, {"search": Usage(calls=2)})


async def test_what_a_run_did_not_write_stays_open() -> None:
    answered = await answering(Fake({}).run, {"question"}, {})(TALK)
    assert (answered.answer, answered.passages, answered.citations) == (None, None, ())


async def test_the_first_piece_of_the_answer_is_timed_from_the_start_of_the_run() -> None:
    before: list[Event] = [RunStarted("r", "g"), Token("plan", "question", "Who"), Token("write", "answer", "")]
    pieces: list[Event] = [Token("write", "answer", text) for text in ("In ", "the ", "Black ", "Forest")]
    ask = answering(Fake({"answer": "In the Black Forest"}, [*before, *pieces]).run, {"question"}, {})
    for _ in range(2):
        begun = perf_counter()
        answered = await ask(TALK)
        assert answered.first_token is not None
        assert 4 * 0.02 <= answered.first_token + 0.005 <= perf_counter() - begun - 3 * 0.02 + 0.01


async def test_an_answer_that_was_not_streamed_has_no_first_piece() -> None:
    events: list[Event] = [RunStarted("r", "g"), Token("plan", "question", "Who")]
    assert (await answering(Fake({"answer": "then"}, events).run, {"question"}, {})(TALK)).first_token is None


async def test_a_graph_that_streams_tells_when_its_answer_began(tmp_path: Path) -> None:
    file = tmp_path / "echo.yaml"
    file.write_text(ECHO, encoding="utf-8")
    graph, deps = Graph.load(str(file)), fake_deps(model=ScriptedModel(["In the Black Forest."]))
    answered = await answering(partial(graph.run, deps), graph.spec.inputs, {})(TALK)
    assert answered.answer == "In the Black Forest."
    assert answered.first_token is not None
    assert answered.first_token > 0


@pytest.mark.parametrize(
    ("takes", "inputs", "says"),
    [
        ("{text: str}", {}, "Graph 'tiny' has no input 'question'"),
        ("{question: str}", {"question": "mine"}, "Input 'question' comes from the data set"),
        ("{question: str, history: {type: history, default: []}}", {"history": []}, "Input 'history' comes from the data set"),
        ("{question: str, style: {type: str, default: a}}", {"stile": "b"}, "Unknown input 'stile'. Did you mean 'style'"),
        ("{question: str, style: {type: str, default: a, values: [a]}}", {"style": "b"}, "'b' is not one of a"),
        ("{question: str, answers: 'list[str]'}", {}, r"Input 'answers' \(list\[str\]\) is missing"),
    ],
    ids=["no-question", "own-question", "own-history", "unknown", "wrong", "gold"],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path: Path, takes: str, inputs: dict[str, Any], says: str) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.format(takes=takes), encoding="utf-8")
    with pytest.raises(AgentRagError, match=says):
        check_inputs(load_graph(str(file)), inputs)


def test_inputs_that_fit_are_taken() -> None:
    check_inputs(load_graph("ask"), {"style": "short"})
