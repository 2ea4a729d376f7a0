"""A graph as something to evaluate: a question becomes its inputs, a run becomes an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

from agentrag.core.errors import DataSetError
from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Answered, Ask
from agentrag.evaluation.data.dataset import Question
from agentrag.graph.inputs import checked_inputs
from agentrag.graph.spec import GraphSpec


class Ran(Protocol):
    """A finished run of a graph."""

    @property
    def state(self) -> Mapping[str, Any]:
        """All channels at the end."""
        ...

    @property
    def usage(self) -> Mapping[str, Usage]:
        """What was paid, by node."""
        ...

    @property
    def saved(self) -> Mapping[str, Usage]:
        """What reused calls had cost, by node."""
        ...


def check_inputs(spec: GraphSpec, inputs: Mapping[str, Any]) -> None:
    """Check, before anything is opened, that a graph can be asked questions with these fixed inputs.

    Raises:
        DataSetError: The graph takes no `question`, or `question` or `history` are fixed.
        InputError: An input is unknown, missing or wrong.
    """
    if "question" not in spec.inputs:
        raise DataSetError(f"Graph '{spec.name}' has no input 'question', so it cannot be asked the questions of a data set.")
    if fixed := sorted({"question", "history"} & inputs.keys()):
        raise DataSetError(f"Input '{fixed[0]}' comes from the data set; it cannot be given.")
    checked_inputs(spec, {**inputs, "question": "?"})


def answering(run: Callable[..., Awaitable[Ran]], takes: Collection[str], inputs: Mapping[str, Any]) -> Ask:
    """What asks a graph.

    A graph gets the text of the question, its history where it takes one, and the fixed inputs. No gold field of a
    data set can become an input.

    Args:
        run: Runs the graph with inputs as keyword arguments.
        takes: Names of the graph's inputs.
        inputs: The fixed inputs.
    """

    async def ask(question: Question) -> Answered:
        values: dict[str, Any] = {**inputs, "question": question.text}
        if question.history and "history" in takes:
            values["history"] = list(question.history)
        return answered(await run(**values))

    return ask


def answered(ran: Ran) -> Answered:
    """What a run answered; channels that it did not write are empty."""
    state = ran.state
    return Answered(
        answer=state.get("answer"),
        passages=tuple(state["passages"]) if "passages" in state else None,
        abstained=bool(state.get("abstained", False)),
        citations=tuple(state.get("citations", ())),
        unsupported=tuple(state.get("unsupported", ())),
        usage=dict(ran.usage),
        saved=dict(ran.saved),
    )
