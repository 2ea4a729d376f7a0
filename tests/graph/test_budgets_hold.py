"""Whatever a graph does, its budget holds: never a call or a passage too many, tokens within the error that is told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrag.core.deps import Binding, Deps, Origin
from agentrag.core.errors import BranchError, ExhaustedError, ModelError, NodeError, RunError
from agentrag.core.events import Event, RunFinished
from agentrag.core.exchange import may_exchange
from agentrag.core.ports import OnText, Vectors
from agentrag.core.types import ChatRequest, Completion, Passage, SearchRequest, Usage
from agentrag.graph.checks.names import findings
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.planning.prices import Price
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import Repeat, walk
from agentrag.journal.memory import MemoryJournal
from tests.graph.planning.plan_nodes import Adversary, Answering, QuickLoop, adversarial_deps
from tests.graph.planning.test_plan_bounds import RETRIES, graphs

INPUTS = {"question": "<s>" * 13, "style": "long one"}
PRICE = Price(1.0, 2.0)


class Payer(Adversary):
    """An adversary whose client asks before every further exchange, and which is told of by what it charges.

    Attributes:
        known: Tokens of the calls that it answered.
        last: After so many calls the run `victim` is cancelled.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.known = 0
        self.last = math.inf
        self.victim: asyncio.Task[Any] | None = None

    async def _dawdle(self, greedy: bool) -> None:
        """Cancel the run at the first call after the last one that it may make."""
        if self.calls > self.last and self.victim is not None:
            self.victim.cancel()
        await super()._dawdle(greedy)

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        greedy, exchanges = self._is_greedy(), 1
        self.calls += 1
        await self._dawdle(greedy)
        while greedy and exchanges < 3 and self.random.random() < 0.5:
            if not may_exchange(request):
                raise ModelError("the server is busy", retryable=True)
            exchanges += 1
            self.calls += 1
        if greedy and self.may_fail:
            raise ModelError("the server is busy", retryable=True, retry_after=300.0)
        size = sum(len(message.content.encode()) for message in request.messages)
        prompt, completion = size // self.random.choice([1, 2, 4, 6]), request.max_tokens if greedy else 1
        self.known += prompt + completion
        text = "yes" if self.random.random() < self.says_yes else self._text(60 if greedy else 3)
        return Completion(text, usage=Usage(exchanges, prompt, completion))


class Silent(Adversary):
    """What nobody may ask."""

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        raise AssertionError("a call that was finished is made again")

    async def search(self, request: SearchRequest) -> list[Passage]:
        raise AssertionError("a search that was finished is made again")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError("texts are embedded again")


@dataclass
class Ended:
    """How a run ended, and when."""

    finished: RunFinished | None
    error: RunError | None
    seconds: float
    events: list[Event] = field(default_factory=list)


def ran(spec: GraphSpec, deps: Deps) -> Ended:
    """Run a graph by a clock of its own."""
    events: list[Event] = []
    loop, error = QuickLoop(), None
    task = loop.create_task(execute(Program.of(spec), INPUTS, replace(deps, listen=events.append)))
    for model in deps.models.values():
        if isinstance(model, Payer):
            model.victim = task
    try:
        loop.run_until_complete(task)
    except RunError as raised:
        error = raised
    except asyncio.CancelledError:
        error = None
    assert asyncio.all_tasks(loop) == set()
    seconds = loop.time()
    loop.close()
    return Ended(next((event for event in events if isinstance(event, RunFinished)), None), error, seconds, events)


def payed_by(adversary: Adversary, budget: Mapping[str, Any]) -> Deps:
    """Back ends of an adversary, and a budget of the caller."""
    deps = adversarial_deps(adversary, RETRIES)
    cheap = Binding(adversary, Price(0.5, 0.5))
    origin = Origin(options={"budget": budget})
    return replace(deps, origin=origin, run="run", rates={"writer": PRICE}, bindings={"cheap": cheap})


@st.composite
def ladders(draw: st.DrawFn, spec: GraphSpec) -> GraphSpec:
    """The graph with a ladder of rungs that fit it."""
    rungs: list[dict[str, Any]] = [{"rebind": {"writer": "cheap"}}]
    rungs += [{"set": {name: 1}} for name in ("insist.times", "find.k", "rename.k") if name.partition(".")[0] in spec.nodes]
    rungs += [{"finish": "loops"}] * any(isinstance(step, Repeat) for _, step in walk(spec.flow))
    taken = draw(st.lists(st.sampled_from(range(len(rungs))), unique=True))
    data = {name: getattr(spec, name) for name in type(spec).model_fields}
    return GraphSpec.model_validate({**data, "degrade": [rungs[index] for index in taken]})


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "calls": st.integers(1, 60),
        "passages": st.integers(1, 40),
        "tokens": st.integers(20, 4000),
        "usd": st.floats(1e-5, 6e-3),
        "seconds": st.floats(1.0, 200.0),
    },
).filter(bool)
CASES = graphs().flatmap(ladders)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))


@given(spec=CASES, budget=LIMITS, seed=st.integers(0, 2**32), kill=st.integers(0, 20))
@FEW
def test_a_budget_holds(spec: GraphSpec, budget: dict[str, Any], seed: int, kill: int) -> None:
    holds(spec, budget, seed, kill)


@pytest.mark.soak
@given(spec=CASES, budget=LIMITS, seed=st.integers(0, 2**32), kill=st.integers(0, 40))
@MANY
def test_budgets_of_many_graphs_hold(spec: GraphSpec, budget: dict[str, Any], seed: int, kill: int) -> None:
    holds(spec, budget, seed, kill)


def holds(spec: GraphSpec, budget: dict[str, Any], seed: int, kill: int) -> None:
    """Stop a run under a budget after some calls and go on with it; hold what it cost, and go the same way from its record."""
    assert findings(spec) == []
    payer = Payer(seed)
    payer.last = kill
    deps = payed_by(payer, budget)
    stopped = ran(spec, deps)
    payer.last = math.inf
    ended = ran(spec, deps) if stopped.finished is None and stopped.error is None else stopped
    seconds = ended.seconds if ended is stopped else stopped.seconds + ended.seconds
    assert payer.calls <= budget.get("calls", payer.calls)
    assert payer.passages <= budget.get("passages", payer.passages)
    assert seconds <= budget.get("seconds", seconds) + 1e-6
    if ended.finished is None:
        assert isinstance(ended.error, (NodeError, BranchError, ExhaustedError)), ended.error
        return
    told = ended.finished.budget
    assert told is not None
    assert told.spent.calls >= payer.calls
    assert told.spent.tokens >= payer.known
    assert told.over.keys() <= {"tokens", "usd", "seconds"}
    for unit, more in told.over.items():
        assert more <= {**told.estimate_error._asdict(), "seconds": 1e-6}[unit] + 1e-9
    assert ended.finished.outputs.keys() == {"text"}
    again_the_same(spec, deps, ended.finished)


def again_the_same(spec: GraphSpec, deps: Deps, before: RunFinished) -> None:
    """A run from the record takes the same way: it decides the same and asks nobody."""
    assert isinstance(deps.journal, MemoryJournal)
    silent = Silent(0)
    journal = Answering(silent, RETRIES)
    vars(journal).update(_runs=deps.journal._runs, _answers=deps.journal._answers)
    deps = replace(deps, models={"writer": silent}, collections={"docs": silent}, embedder=silent, journal=journal)
    deps = replace(deps, bindings={"cheap": Binding(silent, Price(0.5, 0.5))})
    again = ran(spec, deps)
    assert again.finished is not None, again.error
    assert again.finished.outputs == before.outputs
    assert again.finished.state == before.state
    # what branches did that were cut short is forgotten with them
    assert set(again.finished.degraded) <= set(before.degraded)
    assert {ended.step for ended in again.finished.limited} <= {ended.step for ended in before.limited}
    assert bool(again.finished.limited) == bool(before.limited)
