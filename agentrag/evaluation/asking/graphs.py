"""A graph as something to evaluate: a question becomes its inputs, a run becomes an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from time import perf_counter
from typing import Any, Protocol

from agentrag.core.errors import DataSetError, unknown
from agentrag.core.events import Event, Token
from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Answered, Ask
from agentrag.evaluation.data.dataset import Question
from agentrag.graph.channels import channels_of
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


def check_inputs(spec: GraphSpec, inputs: Mapping[str, Any], filled: Collection[str] = ()) -> None:
    """Check, before anything is opened, that a graph can be asked questions with these fixed inputs.

    Args:
        spec: The graph.
        inputs: The fixed inputs.
        filled: Inputs that get a value of their own for each question.

    Raises:
        DataSetError: The graph takes no `question`, `question` or `history` are fixed, or an input is both fixed and filled.
        InputError: An input is unknown, missing or wrong.
    """
    if "question" not in spec.inputs:
        raise DataSetError(f"Graph '{spec.name}' has no input 'question', so it cannot be asked the questions of a data set.")
    if fixed := sorted({"question", "history"} & inputs.keys()):
        raise DataSetError(f"Input '{fixed[0]}' comes from the data set; it cannot be given.")
    if twice := sorted({*inputs, "question", "history"} & set(filled)):
        raise DataSetError(f"Input '{twice[0]}' has a value already; no field of the data set can fill it.")
    if strangers := [name for name in filled if name not in spec.inputs]:
        raise DataSetError(f"Graph '{spec.name}': {unknown('input', strangers[0], spec.inputs)}")
    others = {name: declared for name, declared in spec.inputs.items() if name not in filled}
    checked_inputs(spec.model_copy(update={"inputs": others}), {**inputs, "question": "?"})


def signals_of(spec: GraphSpec) -> dict[str, str]:
    """By channel of a graph that holds log-odds, what of: "relevant" or "right"; see `Channel.odds_of`."""
    channels = channels_of(spec)
    written = {name for item in spec.nodes.values() for name in item.writes()}
    return {name: channels[name].odds_of for name in sorted(written) if name in channels and channels[name].odds_of}


def answering(
    run: Callable[..., Awaitable[Ran]],
    takes: Collection[str],
    inputs: Mapping[str, Any],
    signals: Collection[str] = (),
) -> Ask:
    """What asks a graph.

    A graph gets the text of the question, its history where it takes one, and the fixed inputs. No gold field of a
    data set can become an input.

    Args:
        run: Runs the graph with inputs as keyword arguments; `on_event` is to be told every event.
        takes: Names of the graph's inputs.
        inputs: The fixed inputs.
        signals: Channels whose number is kept with the answer.
    """

    async def ask(question: Question) -> Answered:
        values: dict[str, Any] = {**inputs, "question": question.text}
        if question.history and "history" in takes:
            values["history"] = list(question.history)
        clock = _Clock()
        return answered(await run(on_event=clock, **values), clock.first_token, signals)

    return ask


class _Clock:
    """Listens to a run, from now on, for the first piece of its answer."""

    def __init__(self) -> None:
        self._begun = perf_counter()
        self.first_token: float | None = None

    def __call__(self, event: Event) -> None:
        if self.first_token is None and isinstance(event, Token) and event.channel == "answer" and event.text:
            self.first_token = perf_counter() - self._begun


def answered(ran: Ran, first_token: float | None = None, signals: Collection[str] = ()) -> Answered:
    """What a run answered; channels that it did not write are empty. `first_token` is as in `Answered`."""
    state = ran.state
    return Answered(
        answer=state.get("answer"),
        passages=tuple(state["passages"]) if "passages" in state else None,
        abstained=bool(state.get("abstained", False)),
        citations=tuple(state.get("citations", ())),
        unsupported=tuple(state.get("unsupported", ())),
        usage=dict(ran.usage),
        saved=dict(ran.saved),
        first_token=first_token,
        signals={name: float(state[name]) for name in signals if state.get(name) is not None},
    )
