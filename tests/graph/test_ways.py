"""However a graph is run (plain, as one LangGraph node, as many, killed and resumed, replayed) it does and gives the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentrag.core.calls import OutwardCall
from agentrag.core.deps import Deps
from agentrag.core.errors import PausedError, RunError
from agentrag.core.events import Event, RunFinished
from agentrag.core.ports import Codec, Journal, Recorded, RunRecord, RunStatus
from agentrag.core.types import Completion
from agentrag.graph.compile import Compiled, compile_graph, compile_steps
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.spec import GraphSpec
from agentrag.journal.memory import MemoryJournal
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.graph.flows import graphs, small_deps, word

T = TypeVar("T")
Way = Literal["plain", "whole", "steps"]
WAYS: tuple[Way, ...] = ("plain", "whole", "steps")
THREAD: Any = {"configurable": {"thread_id": "1"}}
RUN = "run-1"
INPUTS = {"question": "a b"}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))


class Watched:
    """A journal that counts the calls that are made, decides what chance gives by where it is asked, and may kill the run.

    Attributes:
        made: Where each call was made, in order of completion.
        kill: How many calls end before the run is killed; None for never.
    """

    def __init__(self, inner: Journal, kill: int | None = None) -> None:
        self.inner, self.kill = inner, kill
        self.made: list[tuple[str, str, str, int]] = []
        self.victim: asyncio.Task[Any] | None = None

    def begin(self, record: RunRecord) -> None:
        self.inner.begin(record)

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        self.inner.end(run, status, outputs, error)

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        async def counted() -> T:
            if self.kill is not None and len(self.made) >= self.kill and self.victim:
                self.victim.cancel()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            value = await work()
            self.made.append((call.step, call.kind, call.request_json, call.nth))
            return value if call.deterministic else by_place(call, value)

        return await self.inner.call(call, counted, codec)

    def settled(self, run: str, step: str) -> Any:
        return self.inner.settled(run, step)

    def settle(self, run: str, step: str, value: Any) -> None:
        self.inner.settle(run, step, value)

    def note(self, run: str, step: str, kind: str, body: Mapping[str, Any]) -> None:
        self.inner.note(run, step, kind, body)

    def close(self) -> None:
        self.inner.close()


def by_place(call: OutwardCall, value: T) -> T:
    """What chance gives to a call: another value at every position, and the same at the same one."""
    chance = word(call.step, call.nth)
    changed = replace(value, text=chance) if isinstance(value, Completion) else len(chance) + ord(chance[0])
    return cast("T", changed)


@dataclass
class Course:
    """What a run came to.

    Attributes:
        outcome: Its outputs, or the kind of error and the step that failed.
        state: All channels at the end.
    """

    outcome: Any = None
    state: dict[str, Any] | None = None
    events: list[Event] = field(default_factory=list)


@dataclass
class Runner:
    """Runs a graph in one way; where a person is asked, it says the step's name."""

    spec: GraphSpec
    way: Way
    compiled: Compiled | None = None

    def __post_init__(self) -> None:
        if self.way != "plain":
            compile_ = compile_graph if self.way == "whole" else compile_steps
            self.compiled = compile_(self.spec, InMemorySaver())

    async def run(self, journal: Watched, again: bool = False) -> Course | None:
        """Begin the run, or go on with it; None where it was killed."""
        course = Course()
        deps = small_deps(journal=journal, run=RUN, listen=course.events.append)
        work = self._plain(deps) if self.compiled is None else self._exported(self.compiled, deps, again)
        journal.victim = asyncio.create_task(work)
        try:
            course.outcome = await journal.victim
        except asyncio.CancelledError:
            return None
        except RunError as error:
            course.outcome = (type(error).__name__, getattr(error, "step", ""))
            return course
        course.state = next(event.state for event in course.events if isinstance(event, RunFinished))
        return course

    async def _plain(self, deps: Deps) -> Any:
        while True:
            try:
                return await execute(Program.of(self.spec), INPUTS, deps)
            except PausedError as paused:
                for step, answer in answers(paused.questions).items():
                    deps.journal.settle(RUN, step, {"answer": answer})

    async def _exported(self, compiled: Compiled, deps: Deps, again: bool) -> Any:
        saved = (await compiled.aget_state(THREAD)).next
        told: Any = await compiled.ainvoke(None if again and saved else INPUTS, THREAD, context=deps)
        while "__interrupt__" in told:
            resume: Any = Command(resume=answers(told["__interrupt__"][0].value))
            told = await compiled.ainvoke(resume, THREAD, context=deps)
        return told


def answers(questions: Mapping[str, Any]) -> dict[str, str]:
    return {step: word(step) for step in questions}


async def same_in_every_way(spec: GraphSpec) -> Course:
    """Run a graph in every way, hold what each did against the first, and return that."""
    journals = {way: Watched(MemoryJournal()) for way in WAYS}
    courses = {way: await Runner(spec, way).run(journals[way]) for way in WAYS}
    plain = courses["plain"]
    assert plain is not None
    for way, course in courses.items():
        assert course is not None
        assert course.outcome == plain.outcome
        assert course.state == plain.state
        if plain.state is not None:
            assert sorted(journals[way].made) == sorted(journals["plain"].made)
    return plain


async def same_when_resumed(spec: GraphSpec, first: Way, then: Way, kill: int, plain: Course) -> None:
    """Kill a run after some calls and go on with it, perhaps in another way: no call that ended is made again."""
    inner = MemoryJournal()
    before, after = Watched(inner, kill), Watched(inner)
    runner = Runner(spec, first)
    killed = await runner.run(before)
    resumed = await (runner if first == then else Runner(spec, then)).run(after, again=True)
    assert resumed is not None
    assert resumed.outcome == plain.outcome
    assert resumed.state == plain.state
    made = before.made + after.made
    assert len(made) == len(set(made))
    assert killed is None or after.made == []


async def same_when_replayed(spec: GraphSpec, first: Way, then: Way, plain: Course) -> None:
    """Record a run in a file and replay it, perhaps in another way, with nothing to ask."""
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.sqlite")
        recorded = await Runner(spec, first).run(Watched(journal))
        assert recorded is not None
        assert recorded.outcome == plain.outcome
        replaying = ReplayJournal(journal, RUN)
        replayed = Watched(replaying)
        course = await Runner(spec, then).run(replayed)
        journal.close()
        replaying.close()
    assert course is not None
    assert replayed.made == []
    assert course.outcome == plain.outcome
    assert course.state == plain.state


_WAY = st.sampled_from(WAYS)


def holds(spec: GraphSpec, ways: tuple[Way, Way, Way, Way], kill: int) -> None:
    """All of the above for one graph."""

    async def all_ways() -> None:
        plain = await same_in_every_way(spec)
        if plain.state is not None:
            await same_when_resumed(spec, ways[0], ways[1], kill, plain)
            await same_when_replayed(spec, ways[2], ways[3], plain)

    asyncio.run(all_ways())


@given(spec=graphs(), ways=st.tuples(_WAY, _WAY, _WAY, _WAY), kill=st.integers(0, 12))
@FEW
def test_a_graph_does_the_same_in_every_way(spec: GraphSpec, ways: tuple[Way, Way, Way, Way], kill: int) -> None:
    holds(spec, ways, kill)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@given(spec=graphs(), ways=st.tuples(_WAY, _WAY, _WAY, _WAY), kill=st.integers(0, 40))
@MANY
def test_many_graphs_do_the_same_in_every_way(spec: GraphSpec, ways: tuple[Way, Way, Way, Way], kill: int) -> None:
    holds(spec, ways, kill)
