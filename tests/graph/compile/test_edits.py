"""The state history of a graph exported step by step, and going on from edited states."""

from __future__ import annotations

from dataclasses import replace

from langgraph.checkpoint.memory import InMemorySaver

from agentrag.core.events import Event, RunStarted, StepStarted
from agentrag.core.types import Passage
from agentrag.journal.memory import MemoryJournal
from tests.graph.compile.test_steps import CHOICE, LOOP, THREAD, deps, heard, steps


async def test_the_history_shows_each_channel_from_its_first_write_on() -> None:
    flow = "  - repeat: {do: [ask, weigh], at_most: 2, on_exhausted: []}\n  - repeat: {do: [search], at_most: 1}\n"
    compiled = steps(flow, InMemorySaver())
    await compiled.ainvoke({"question": "cat"}, THREAD, context=deps("a", "bb"))
    history = [snapshot async for snapshot in compiled.aget_state_history(THREAD)][::-1]
    seen = [(snapshot.next, sorted(snapshot.values)) for snapshot in history]
    assert seen[2:] == [
        (("flow.0.repeat",), ["question", "xs"]),
        (("ask",), ["question", "xs"]),
        (("weigh",), ["answer", "question", "xs"]),
        (("flow.0.repeat.end",), ["answer", "question", "support", "xs"]),
        (("ask",), ["answer", "question", "support", "xs"]),
        (("weigh",), ["answer", "question", "support", "xs"]),
        (("flow.0.repeat.end",), ["answer", "question", "support", "xs"]),
        (("flow.1.repeat",), ["answer", "question", "support", "xs"]),
        (("search",), ["answer", "question", "support", "xs"]),
        (("flow.1.repeat.end",), ["answer", "passages", "question", "support", "xs"]),
        (("flow.end",), ["answer", "passages", "question", "support", "xs"]),
        ((), ["answer", "passages", "question", "support", "xs"]),
    ]


async def test_a_loop_that_is_entered_again_begins_without_its_channels() -> None:
    flow = "  - repeat: {do: [{repeat: {do: [search, choose_me], at_most: 1}}, ask], at_most: 2}\n"
    flow = flow.replace("choose_me", '{choose: [{when: "size(passages) > 9", do: [weigh]}, {otherwise: []}]}')
    compiled = steps(flow.replace("weigh", "fast"), InMemorySaver())
    await compiled.ainvoke({"question": "cat"}, THREAD, context=deps())
    entered = [state async for state in compiled.aget_state_history(THREAD) if state.next == ("search",)]
    assert len(entered) == 2
    assert all("passages" not in state.values for state in entered)


async def test_after_an_edit_only_later_steps_run() -> None:
    compiled = steps("  - search\n  - ask\n  - tell\n", InMemorySaver())
    journal = MemoryJournal()
    first = await compiled.ainvoke({"question": "cat"}, THREAD, context=replace(deps("one"), journal=journal))
    assert first == {"answer": "cat one"}
    (before,) = [state async for state in compiled.aget_state_history(THREAD) if state.next == ("tell",)]
    edited = await compiled.aupdate_state(before.config, {"answer": "edited"})
    events: list[Event] = []
    second = await compiled.ainvoke(None, edited, context=replace(deps(events=events), journal=journal))
    assert second == {"answer": "cat edited"}
    assert [event.node for event in heard(events, StepStarted)] == ["tell"]
    assert [call.kind for call in journal.calls] == ["search", "chat"]


async def test_an_edit_before_a_choice_decides_the_branch() -> None:
    compiled = steps(CHOICE, InMemorySaver())
    await compiled.ainvoke({"question": "cat"}, THREAD, context=deps())
    before = next(state for state in compiled.get_state_history(THREAD) if state.next == ("flow.1.choose",))
    edited = await compiled.aupdate_state(before.config, {"question": "dog"}, as_node="search")
    assert await compiled.ainvoke(None, edited, context=deps()) == {"answer": "dog"}
    taken = await compiled.aupdate_state(before.config, {"question": "dog"}, as_node="flow.1.choose")
    assert (await compiled.aget_state(taken)).next == ("flow.1.choose.1.0.return",)


async def test_what_goes_on_from_a_checkpoint_is_the_same_run_unless_it_is_given_an_id_of_its_own() -> None:
    compiled = steps("  - search\n  - ask\n  - tell\n", InMemorySaver())
    journal = MemoryJournal()
    events: list[Event] = []
    begun = replace(deps("one", "two", events=events), journal=journal)
    await compiled.ainvoke({"question": "cat"}, THREAD, context=begun)
    before = next(state for state in compiled.get_state_history(THREAD) if state.next == ("ask",))
    assert await compiled.ainvoke(None, before.config, context=begun) == {"answer": "cat one"}
    assert await compiled.ainvoke(None, before.config, context=replace(begun, run="other")) == {"answer": "cat one"}
    runs = [event.run for event in heard(events, RunStarted)]
    assert runs == [runs[0], runs[0], "other"]
    assert [call.kind for call in journal.calls] == ["search", "chat"]


async def test_langgraph_stops_before_a_step_where_it_is_told_to() -> None:
    compiled = steps("  - search\n  - tell\n", InMemorySaver())
    await compiled.ainvoke({"question": "cat"}, THREAD, context=deps(), interrupt_before=["tell"])
    assert (await compiled.aget_state(THREAD)).next == ("tell",)
    await compiled.aupdate_state(THREAD, {"question": "dog"})
    assert await compiled.ainvoke(None, THREAD, context=deps()) == {"answer": "dog "}


async def test_a_state_made_by_hand_runs_from_where_it_stands() -> None:
    compiled = steps(LOOP + "  - tell\n", InMemorySaver())
    await compiled.aupdate_state(THREAD, {"question": "cat", "answer": "by hand", "support": 1.0}, as_node="weigh")
    assert await compiled.ainvoke(None, THREAD, context=deps("a", "a")) == {"answer": "cat a"}


async def test_checkpoints_hold_the_channels_and_nothing_that_only_the_steps_see() -> None:
    compiled = steps("  - search\n" + LOOP, InMemorySaver(), outputs="[answer, passages]")
    await compiled.ainvoke({"question": "cat"}, THREAD, context=deps("a", "b", "b"))
    async for state in compiled.aget_state_history(THREAD):
        assert state.values.keys() <= {"question", "xs", "passages", "answer", "support"}
        assert all(isinstance(passage, Passage) for passage in state.values.get("passages", ()))
