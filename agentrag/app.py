"""The façade of graphs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentrag.back_ends import CollectionNames, ModelNames, open_deps
from agentrag.core.account import Spending
from agentrag.core.calls import new_run_id
from agentrag.core.deps import Deps, Origin
from agentrag.core.events import BudgetEnded, Degraded, Event, RunFinished
from agentrag.core.node import Node
from agentrag.core.resources import find_graph, shipped_name
from agentrag.core.settings import Settings
from agentrag.core.types import Usage
from agentrag.graph.forms.draw import mermaid
from agentrag.graph.forms.python import FlowStep, spec_from_python
from agentrag.graph.inputs import checked_inputs
from agentrag.graph.loader import load_graph
from agentrag.graph.spec import GraphSpec

if TYPE_CHECKING:
    from agentrag.graph.compile import Compiled


@dataclass(frozen=True)
class Result:
    """What a run gave. `result["answer"]` is the output of that name.

    Attributes:
        run: Id of the run.
        outputs: The graph's outputs by channel.
        state: All channels at the end.
        usage: What each node cost, by node name.
        saved: What calls that were answered from the journal had cost when they were made, by node name.
        seconds: Wall time of the run.
        limited: Where a budget ended something, so that the outputs are a best effort; empty where none did.
        degraded: What was made cheaper to keep to a budget, in order.
        budget: What was spent of the run's budget; None where it had none.
    """

    run: str
    outputs: Mapping[str, Any]
    state: Mapping[str, Any]
    usage: Mapping[str, Usage]
    saved: Mapping[str, Usage]
    seconds: float
    limited: tuple[BudgetEnded, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    budget: Spending | None = None

    @property
    def best_effort(self) -> bool:
        """Whether a budget ended something, so that a larger one might give better outputs."""
        return bool(self.limited)

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]


class Graph:
    """An agent: nodes and the flow between them, checked when it is made.

    Args:
        name: Lower-case words joined by "-".
        nodes: Node settings by node name.
        flow: Node names and `choose(...)` steps, in order.
        inputs: Type names or declarations by channel, as in YAML: `{"question": "str"}`.
        outputs: Channels that a run returns.
        models: Bindings, or chains of them, by slot.
        channels: Declarations of channels that no node type brings.
        budget: The most that a run may cost: `{"calls": 12, "usd": 0.02}`; see docs/budgets.md.
        degrade: What to make cheaper when too little is left: `[{"set": {"search.k": 3}}, {"finish": "loops"}]`.

    Raises:
        SpecError: The graph is wrong; `.problems` lists all that is.
    """

    def __init__(
        self,
        name: str,
        *,
        nodes: Mapping[str, Node],
        flow: Sequence[FlowStep],
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        models: ModelNames | None = None,
        channels: Mapping[str, Any] | None = None,
        budget: Mapping[str, Any] | None = None,
        degrade: Sequence[Mapping[str, Any]] = (),
        about: str = "",
        source: str = "",
    ) -> None:
        header: dict[str, Any] = {"name": name, "about": about, "source": source, "inputs": inputs, "outputs": outputs}
        header |= {"budget": budget, "degrade": degrade}
        self.spec: GraphSpec = spec_from_python(header, nodes, flow, models or {}, channels or {})
        self.file: Path | None = None

    @classmethod
    def load(cls, name: str) -> Graph:
        """Load and check a graph by file path, or by the name of a shipped one.

        Raises:
            SpecError: The file is wrong; `.problems` lists all that is.
            UnknownNameError: There is no such file or name.
        """
        graph = cls.of(load_graph(name))
        graph.file = find_graph(name)
        return graph

    @classmethod
    def of(cls, spec: GraphSpec) -> Graph:
        """A graph whose description is there already and checked."""
        graph = cls.__new__(cls)
        graph.spec, graph.file = spec, None
        return graph

    @cached_property
    def _compiled(self) -> Compiled:
        from agentrag.graph.compile import compile_graph  # lazy: langgraph costs a second

        return compile_graph(self.spec)

    def to_langgraph(self, checkpointer: Any = None, *, steps: bool = False) -> Compiled:
        """A compiled LangGraph graph of this graph; pass `context=deps` to invoke it.

        Args:
            checkpointer: One of LangGraph's, for threads.
            steps: One LangGraph node per step, for LangGraph's drawing, state history and edits of state; else one for all
                of them, which costs a tenth of the time.
        """
        from agentrag.graph.compile import compile_graph, compile_steps  # lazy: langgraph costs a second

        if steps:
            return compile_steps(self.spec, checkpointer)
        return self._compiled if checkpointer is None else compile_graph(self.spec, checkpointer)

    def to_yaml(self) -> str:
        """The graph as YAML: of a graph from a file, that file with its comments and layout; else in the canonical form.

        Raises:
            SpecError: A node's type has no registered name, so that no file can name it.
        """
        from agentrag.graph.forms.yaml import to_yaml  # lazy: brings ruamel

        return to_yaml(self.spec, self.file.read_text(encoding="utf-8") if self.file else None)

    def draw(self) -> str:
        """The flow as a Mermaid flowchart."""
        return mermaid(self.spec)

    def stream(
        self,
        deps: Deps | None = None,
        *,
        settings: Settings | None = None,
        models: ModelNames | None = None,
        collections: CollectionNames | None = None,
        budget: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> AsyncGenerator[Event, None]:
        """Run the graph and yield what happens, ending with `RunFinished`. Leaving the loop early cancels the run.

        Args:
            deps: Back ends to use, e.g. from `open_deps` or `agentrag.testing.fake_deps`; opened for this run where None.
                Where they name a run (`deps.run`), that run is begun or, where the journal knows it, gone on with.
            settings: See `open_deps`; this and the next two are of no effect with `deps`.
            models: See `open_deps`.
            collections: See `open_deps`.
            budget: The most that the run may cost, e.g. `{"calls": 12, "usd": 0.02}`, unit by unit before what the graph says;
                `{"mode": "audit"}` only reports.
            inputs: The graph's inputs.

        Raises:
            InputError: An input is missing or wrong.
            RunError: The run failed.
            StoreError, CatalogueError, SettingsError: A back end cannot be opened.
        """
        from agentrag.graph.compile import stream_run  # lazy: langgraph costs a second

        checked_inputs(self.spec, inputs)  # before any back end is opened

        def begun(back_ends: Deps) -> AsyncGenerator[Event, None]:
            return stream_run(self._compiled, self.spec, inputs, self._started(back_ends, budget))

        if deps is not None:
            return begun(deps)
        return _opened(open_deps(self, settings, models=models, collections=collections, budget=budget), begun)

    @cached_property
    def ref(self) -> str:
        """Where it can be loaded from again: a shipped name or a path; "" for a graph made in Python."""
        return "" if self.file is None else shipped_name(self.file) or str(self.file.resolve())

    def _started(self, deps: Deps, budget: Mapping[str, Any] | None) -> Deps:
        """The back ends with a name for a new run, and what its record says of its start."""
        if budget:
            deps = deps.but(origin=replace(deps.origin, options={**deps.origin.options, "budget": dict(budget)}))
        return deps if deps.run else deps.but(run=new_run_id(), origin=Origin(self.ref, deps.origin.options))

    async def run(
        self,
        deps: Deps | None = None,
        *,
        settings: Settings | None = None,
        models: ModelNames | None = None,
        collections: CollectionNames | None = None,
        budget: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], None] | None = None,
        **inputs: Any,
    ) -> Result:
        """Run the graph to its end; arguments and errors as in `stream`. `on_event` is called with every event."""
        begun = perf_counter()
        last: Event | None = None
        events = self.stream(deps, settings=settings, models=models, collections=collections, budget=budget, **inputs)
        async with aclosing(events):
            async for last in events:
                if on_event:
                    on_event(last)
        if not isinstance(last, RunFinished):
            raise TypeError(f"the run ended with {last!r} instead of RunFinished")
        told = (last.run, last.outputs, last.state, last.usage, last.saved, perf_counter() - begun)
        return Result(*told, last.limited, last.degraded, last.budget)

    def run_sync(self, deps: Deps | None = None, **arguments: Any) -> Result:
        """`run` for code without an event loop; takes the same arguments."""
        return asyncio.run(self.run(deps, **arguments))


async def _opened(
    opening: AbstractAsyncContextManager[Deps], begun: Callable[[Deps], AsyncGenerator[Event, None]]
) -> AsyncGenerator[Event, None]:
    """The events of a run whose back ends are open as long as it lasts."""
    async with opening as deps, aclosing(begun(deps)) as events:
        async for event in events:
            yield event
