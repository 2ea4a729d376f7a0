from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from agentrag.core.errors import DataSetError
from agentrag.core.types import Citation, Message, Usage
from agentrag.evaluation.answering import answering
from agentrag.evaluation.dataset import Question
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
        ({"text"}, {}, "The graph has no input 'question'"),
        ({"question"}, {"question": "mine"}, "Input 'question' comes from the data set"),
        ({"question", "history"}, {"history": []}, "Input 'history' comes from the data set"),
    ],
    ids=["no-question", "own-question", "own-history"],
)
def test_inputs_that_do_not_fit_are_refused(takes: set[str], inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(DataSetError, match=says):
        answering(Graph({}).run, takes, inputs)
