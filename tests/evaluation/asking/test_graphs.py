from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import AgentRagError
from agentrag.core.types import Citation, Message, Usage
from agentrag.evaluation.asking.graphs import answering, check_inputs
from agentrag.evaluation.data.dataset import Question
from agentrag.graph.loader import load_graph
from agentrag.testing.fakes import passages


@dataclass
class Run:
    state: Mapping[str, Any]
    usage: Mapping[str, Usage] = field(default_factory=dict)
    saved: Mapping[str, Usage] = field(default_factory=dict)


class Graph:
    """Keeps the inputs that it is run with."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state, self.inputs = state, list[dict[str, Any]]()

    async def run(self, **inputs: Any) -> Run:
        self.inputs.append(inputs)
        return Run(self.state, {"write": Usage(calls=1)}, {"search": Usage(calls=2)})


TINY = """\
agentrag: 1
name: tiny
inputs: {takes}
outputs: [abstained]
nodes: {{refuse: {{use: abstain}}}}
flow: [refuse]
"""
TALK = Question("q", "And then?", (Message("user", "Hello"),))


async def test_a_graph_gets_the_question_its_history_and_the_fixed_inputs_and_nothing_else() -> None:
    graph = Graph({})
    await answering(graph.run, {"question", "history", "style", "answers"}, {"style": "short"})(TALK)
    assert graph.inputs == [{"question": "And then?", "history": [Message("user", "Hello")], "style": "short"}]


async def test_a_graph_without_history_is_asked_the_question_alone() -> None:
    graph = Graph({})
    await answering(graph.run, {"question"}, {})(TALK)
    assert graph.inputs == [{"question": "And then?"}]


async def test_what_a_run_wrote_becomes_the_answer() -> None:
    cited = Citation(1, "a.txt", None, "", 0, 4, "then")
    state = {"answer": "then [1]", "abstained": False, "passages": passages("a"), "citations": [cited], "unsupported": ["so"]}
    answered = await answering(Graph(state).run, {"question"}, {})(TALK)
    assert (answered.answer, answered.abstained, answered.citations, answered.unsupported) == (
        "then [1]",
        False,
        (cited,),
        ("so",),
    )
    assert answered.passages == tuple(passages("a"))
    assert (answered.usage, answered.saved) == ({"write": Usage(calls=1)}, {"search": Usage(calls=2)})


async def test_what_a_run_did_not_write_stays_open() -> None:
    answered = await answering(Graph({}).run, {"question"}, {})(TALK)
    assert (answered.answer, answered.passages, answered.citations) == (None, None, ())


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
