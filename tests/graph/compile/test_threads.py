"""Threads, interrupts and checkpoints: the same for a graph that is one LangGraph node and for one that is many."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, interrupt

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, NodeError, PausedError
from agentrag.core.events import Event, RunFinished, RunStarted, StepFinished
from agentrag.core.ports import RunStatus
from agentrag.graph.compile import Compiled, compile_graph, compile_steps
from agentrag.graph.spec import GraphSpec
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.flow.running import program
from tests.graph.sample_nodes import Say

THREAD: Any = {"configurable": {"thread_id": "1"}}
FORMS = pytest.mark.parametrize("form", [compile_graph, compile_steps], ids=["whole", "steps"])
ROOT = Path(__file__).parents[3]
Form = Callable[..., Compiled]
APPROVE = '  - ask_human: {question: "Send {question}?", choices: [approve, refuse], out: verdict}\n'


class Statuses(MemoryJournal):
    """Remembers how runs ended, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[RunStatus] = []

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        self.ends.append(status)
        super().end(run, status, outputs, error)


def spec(flow: str, outputs: str = "[answer]") -> GraphSpec:
    return program(flow, outputs).spec


def deps(*replies: str | Exception, **given: Any) -> Deps:
    journal = given.pop("journal", None) or MemoryJournal()
    model = ScriptedModel(replies or (lambda _: "same"))
    return replace(fake_deps(model, passages("a cat", "dog"), **given), journal=journal)


def journal_of(deps: Deps) -> MemoryJournal:
    assert isinstance(deps.journal, MemoryJournal)
    return deps.journal


def runs(events: list[Event]) -> list[str]:
    return [event.run for event in events if isinstance(event, RunStarted)]


def told(events: list[Event], node: str) -> list[str]:
    """The answers that a node wrote."""
    return [event.wrote["answer"] for event in events if isinstance(event, StepFinished) and event.node == node]


@FORMS
async def test_in_a_thread_inputs_stay_and_all_else_of_the_turn_before_is_gone(form: Form) -> None:
    compiled = form(spec("  - search\n  - tell\n"), InMemorySaver())
    events: list[Event] = []
    await compiled.ainvoke({"question": "cat", "xs": ["x"]}, THREAD, context=deps(events=events))
    assert await compiled.ainvoke({"question": "dog"}, THREAD, context=deps(events=events)) == {"answer": "dog "}
    ends = [event.state["xs"] for event in events if isinstance(event, RunFinished)]
    assert ends == [["x"], ["x"]]
    assert len(set(runs(events))) == 2


@FORMS
async def test_a_thread_goes_on_after_a_failure_with_the_same_run_and_pays_for_nothing_twice(form: Form) -> None:
    journal = Statuses()
    events: list[Event] = []
    compiled = form(spec("  - search\n  - ask\n  - parallel: {branches: {a: [wide], b: [ask]}}\n"), InMemorySaver())
    with pytest.raises(NodeError, match="down"):
        await compiled.ainvoke({"question": "cat"}, THREAD, context=deps(ModelError("down"), journal=journal, events=events))
    outputs = await compiled.ainvoke(None, THREAD, context=deps("one", "two", journal=journal, events=events))
    assert outputs == {"answer": "two"}
    assert sorted(call.kind for call in journal.calls) == ["chat", "chat", "search", "search"]
    assert len(set(runs(events))) == 1
    assert journal.ends == ["failed", "finished"]
    assert re.fullmatch(r"20\d{6}-\d{6}-[0-9a-f]{8}", runs(events)[0])


@FORMS
async def test_a_question_to_a_person_is_an_interrupt(form: Form) -> None:
    journal = Statuses()
    compiled = form(spec(APPROVE + "  - tell\n", "[answer, verdict]"), InMemorySaver())
    waiting = await compiled.ainvoke({"question": "cat"}, THREAD, context=deps(journal=journal))
    (asked,) = waiting["__interrupt__"]
    assert asked.value == {"flow.0.ask_human": {"question": "Send cat?", "choices": ["approve", "refuse"]}}
    assert journal.ends == ["paused"]
    outputs = await compiled.ainvoke(Command(resume="approve"), THREAD, context=deps(journal=journal))
    assert outputs == {"answer": "cat ", "verdict": "approve"}
    assert journal.ends[-1] == "finished"


@FORMS
async def test_what_is_no_answer_is_asked_again(form: Form) -> None:
    context = deps()
    compiled = form(spec(APPROVE + "  - fast\n", "[verdict]"), InMemorySaver())
    told = await compiled.ainvoke({"question": "cat"}, THREAD, context=context)
    for wrong in ("perhaps", 7, " ", {"elsewhere": "approve"}):
        again = await compiled.ainvoke(Command(resume=wrong), THREAD, context=context)
        assert again["__interrupt__"][0].value == told["__interrupt__"][0].value
    right: Any = Command(resume={"flow.0.ask_human": "refuse"})
    assert await compiled.ainvoke(right, THREAD, context=context) == {"verdict": "refuse"}


@FORMS
async def test_an_answer_may_be_what_a_schema_asks_for(form: Form) -> None:
    context = deps()
    schema = "{type: object, properties: {beds: {type: integer}}, required: [beds]}"
    asking = f'  - ask_human: {{question: "Beds?", schema: {schema}, out: form}}\n  - fast\n'
    compiled = form(spec(asking, "[form]"), InMemorySaver())
    told = await compiled.ainvoke({"question": "cat"}, THREAD, context=context)
    (asked,) = told["__interrupt__"]
    assert asked.value["flow.0.ask_human"]["schema"]["required"] == ["beds"]
    again = await compiled.ainvoke(Command(resume={"beds": "two"}), THREAD, context=context)
    assert again["__interrupt__"][0].value == asked.value
    assert await compiled.ainvoke(Command(resume={"beds": 2}), THREAD, context=context) == {"form": {"beds": 2}}
    assert (await compiled.aget_state(THREAD)).values["form"] == {"beds": 2}


@FORMS
@pytest.mark.parametrize("kept", [True, False], ids=["one journal", "a journal that knows nothing"])
async def test_questions_one_after_the_other_get_their_own_answers(form: Form, kept: bool) -> None:
    journal = MemoryJournal()
    second = '  - ask_human: {question: "How is {verdict}?", out: mood}\n'
    compiled = form(spec(APPROVE + "  - search\n" + second, "[verdict, mood]"), InMemorySaver())
    given: Any = {"question": "cat"}
    for answer in ("approve", "fine", None):
        context = deps(journal=journal if kept else MemoryJournal())
        told = await compiled.ainvoke(given, THREAD, context=context)
        given = Command(resume=answer)
    assert told == {"verdict": "approve", "mood": "fine"}
    assert len(journal.calls) == (1 if kept else 0)


@FORMS
async def test_questions_of_branches_are_asked_together_and_answered_by_step(form: Form) -> None:
    flow = """\
  - parallel:
      branches:
        a: [search, {ask_human: {question: "a?", out: one}}]
        b: [wide, {ask_human: {question: "b?", out: two}}]
      join: {passages: first}
"""
    journal = MemoryJournal()
    compiled = form(spec(flow, "[one, two]"), InMemorySaver())
    waiting = await compiled.ainvoke({"question": "cat"}, THREAD, context=deps(journal=journal))
    steps = ["flow.0.parallel.a.1.ask_human", "flow.0.parallel.b.1.ask_human"]
    assert [list(asked.value) for asked in waiting["__interrupt__"]] == [steps]
    some = await compiled.ainvoke(Command(resume={steps[1]: "beta"}), THREAD, context=deps(journal=journal))
    assert [list(asked.value) for asked in some["__interrupt__"]] == [steps[:1]]
    assert await compiled.ainvoke(Command(resume="alpha"), THREAD, context=deps(journal=journal)) == {
        "one": "alpha",
        "two": "beta",
    }
    assert [call.kind for call in journal.calls] == ["search", "search"]


@FORMS
async def test_outside_of_a_thread_nobody_can_be_asked(form: Form) -> None:
    with pytest.raises(PausedError, match=r"flow.0.ask_human: Send cat\?"):
        await form(spec(APPROVE + "  - fast\n", "[verdict]")).ainvoke({"question": "cat"}, context=deps())


class Interrupting(Say):
    """Asks LangGraph itself."""

    async def __call__(self, state: State, deps: Deps) -> State:
        await deps.now()
        return {"answer": interrupt(self.text)}


@FORMS
async def test_a_node_in_a_branch_may_interrupt_langgraph_itself(form: Form) -> None:
    journal = Statuses()
    asking = spec("  - parallel: {branches: {a: [search], b: [tell]}}\n")
    asking = asking.model_copy(update={"nodes": {**asking.nodes, "tell": Interrupting(text="well?")}})
    compiled = form(asking, InMemorySaver())
    waiting = await compiled.ainvoke({"question": "cat"}, THREAD, context=deps(journal=journal))
    assert [asked.value for asked in waiting["__interrupt__"]] == ["well?"]
    assert journal.ends[-1] == "paused"
    assert await compiled.ainvoke(Command(resume="fine"), THREAD, context=deps(journal=journal)) == {"answer": "fine"}
    assert sorted(call.kind for call in journal.calls) == ["clock", "search"]


@FORMS
async def test_an_answer_is_not_taken_for_another_question_whoever_asks(form: Form) -> None:
    journal = MemoryJournal()
    flow = """\
  - parallel:
      branches:
        a: [{ask_human: {question: "a?", out: one}}, tell, search]
        b: [fast]
      join: {answer: first}
  - ask
"""
    asking = spec(flow, "[one, answer]")
    asking = asking.model_copy(update={"nodes": {**asking.nodes, "tell": Interrupting(text="b?")}})
    compiled = form(asking, InMemorySaver())
    given: Any = {"question": "cat"}
    for answer in ("alpha", "beta"):
        await compiled.ainvoke(given, THREAD, context=deps(journal=journal))
        given = Command(resume=answer)
    events: list[Event] = []
    with pytest.raises(NodeError, match="down"):
        await compiled.ainvoke(given, THREAD, context=deps(ModelError("down"), journal=journal, events=events))
    assert told(events, "tell") == ["beta"]
    outputs = await compiled.ainvoke(None, THREAD, context=deps("yes", journal=journal))
    assert outputs == {"one": "alpha", "answer": "yes"}
    assert [call.kind for call in journal.calls] == ["clock", "search", "chat"]


@pytest.mark.parametrize("late", [(), ("late",)], ids=["agentrag imported first", "langgraph imported first"])
@pytest.mark.parametrize("saver", ["memory", "sqlite"])
def test_checkpoints_bring_back_every_type_and_warn_of_none(saver: str, late: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.graph.compile.thread_worker", saver, str(tmp_path), *late]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LANGGRAPH")}
    done = subprocess.run(command, env=plain, capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
    failed, ended, types = done.stdout.splitlines()
    assert failed == "Node 'ask' (step flow.3.repeat#3.0:ask) failed: down"
    assert ended == "three 6"
    assert types == "Gate dict[Gate,NoneType] list[Citation] list[Message] list[Passage] str"


@pytest.mark.parametrize("form", ["whole", "steps"])
def test_a_thread_whose_process_is_killed_goes_on_in_another_and_asks_nothing_again(form: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.graph.compile.killed_worker", form, str(tmp_path)]
    for calls in (0, 2, 4):
        killed = subprocess.run([*command, str(calls)], cwd=ROOT, capture_output=True)
        assert killed.returncode == -signal.SIGKILL
        assert len((tmp_path / "answered").read_text().splitlines()) == calls
    done = subprocess.run([*command, "9"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "{'answer': 'q!!!!!?', 'question': 'q!!!!!'}\n"
    assert (tmp_path / "answered").read_text().splitlines() == ["q", "q!", "q!!", "q!!!", "q!!!!"]


@FORMS
def test_callers_without_an_event_loop_have_threads_too(form: Form, tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
        compiled = form(spec("  - search\n" + APPROVE + "  - tell\n", "[answer, passages]"), saver)
        context = deps()
        assert "__interrupt__" in compiled.invoke({"question": "cat"}, THREAD, context=context)
        outputs = compiled.invoke(Command(resume="approve"), THREAD, context=context)
        assert outputs["answer"] == "cat "
        assert compiled.get_state(THREAD).values["passages"] == outputs["passages"]
    assert [call.kind for call in journal_of(context).calls] == ["search"]
