"""Loops."""

from __future__ import annotations

import pytest

from agentrag.core.errors import ExhaustedError, RunError
from agentrag.core.events import LoopFinished, RoundFinished, StepStarted
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.flow.running import run


def asked(*replies: str) -> ScriptedModel:
    return ScriptedModel(replies)


async def test_a_loop_ends_with_the_round_whose_condition_is_true() -> None:
    model = asked("one", "same", "Same.", "never asked")
    course = await run('  - repeat: {do: [ask], until: "stable(answer)", at_most: 4}', fake_deps(model))
    assert course.outputs == {"answer": "Same."}
    assert [event.step for event in course.told(StepStarted)] == [f"flow.0.repeat#{number}.0:ask" for number in (1, 2, 3)]
    assert course.told(LoopFinished) == [LoopFinished("flow.0.repeat", 3, "until", 3)]
    rounds = [(event.number, event.until, event.measures) for event in course.told(RoundFinished)]
    assert rounds == [(n, n == 3, {"stable(answer)": n == 3}) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("replies", "best"),
    [(["a", "abc", "ab"], "abc"), (["ab", "cd", "e"], "cd"), (["a", "b", "c"], "c")],
    ids=["the best", "of equals the later", "all equal"],
)
async def test_an_exhausted_loop_keeps_the_channels_of_its_best_round(replies: list[str], best: str) -> None:
    flow = '  - repeat: {do: [ask, weigh], until: "support > 9.0", at_most: 3, best_by: support}'
    course = await run(flow, fake_deps(asked(*replies)), outputs="[answer, support]")
    assert course.outputs == {"answer": best, "support": float(len(best))}
    (end,) = course.told(LoopFinished)
    assert (end.why, end.kept) == ("exhausted", len(replies) - replies[::-1].index(best))


async def test_what_the_loop_does_not_write_stays_and_what_only_a_later_round_wrote_goes() -> None:
    flow = """\
  - repeat:
      do:
        - ask
        - weigh
        - choose:
            - when: "support == 1.0"
              do: [search]
            - otherwise: []
      at_most: 2
      best_by: support
"""
    course = await run(flow, fake_deps(asked("four", "x")))
    assert course.outputs == {"answer": "four"}
    assert "passages" not in course.state
    assert course.state["question"] == "cat"


async def test_a_loop_may_fail_when_it_is_exhausted() -> None:
    flow = "  - repeat: {do: [ask], until: \"answer == 'x'\", at_most: 2, on_exhausted: fail}"
    with pytest.raises(ExhaustedError, match=r"Step flow\.0\.repeat: after 2 rounds 'answer == 'x'' is still not true"):
        await run(flow, fake_deps(asked("a", "b")))


async def test_a_loop_may_go_on_with_other_steps_when_it_is_exhausted() -> None:
    flow = "  - repeat: {do: [ask], until: \"answer == 'x'\", at_most: 2, on_exhausted: [tell]}"
    course = await run(flow, fake_deps(asked("a", "b")))
    assert course.outputs == {"answer": "cat b"}
    assert [event.step for event in course.told(StepStarted)][-1] == "flow.0.exhausted.0:tell"


async def test_what_a_loop_writes_first_has_no_value_when_it_is_entered_again() -> None:
    flow = """\
  - repeat:
      do:
        - repeat: {do: [tell], at_most: 2}
      at_most: 2
"""
    course = await run(flow)
    assert course.outputs == {"answer": "cat cat "}  # without clearing: "cat cat cat cat "


async def test_a_loop_keeps_what_was_written_before_it() -> None:
    course = await run("  - fast\n  - repeat: {do: [tell], at_most: 2}")
    assert course.outputs == {"answer": "cat cat fast"}


async def test_the_rounds_of_an_inner_loop_are_its_own() -> None:
    flow = """\
  - repeat:
      do:
        - repeat: {do: [ask], until: "stable(answer)", at_most: 2}
      until: "stable(answer)"
      at_most: 3
"""
    course = await run(flow, fake_deps(asked("a", "a", "b", "b", "b", "b")))
    assert course.outputs == {"answer": "b"}
    assert [(event.step, event.until) for event in course.told(RoundFinished)] == [
        ("flow.0.repeat#1.0.repeat", False),
        ("flow.0.repeat#1.0.repeat", True),
        ("flow.0.repeat", False),
        ("flow.0.repeat#2.0.repeat", False),
        ("flow.0.repeat#2.0.repeat", True),
        ("flow.0.repeat", False),
        ("flow.0.repeat#3.0.repeat", False),
        ("flow.0.repeat#3.0.repeat", True),
        ("flow.0.repeat", True),
    ]


async def test_a_choice_inside_a_loop_may_compare_rounds() -> None:
    flow = """\
  - repeat:
      do:
        - ask
        - choose:
            - when: "stable(answer)"
              do: [return: {}]
            - otherwise: []
      at_most: 5
"""
    course = await run(flow, fake_deps(asked("a", "b", "b")))
    assert course.outputs == {"answer": "b"}
    assert course.told(LoopFinished) == []


async def test_a_condition_without_a_value_names_the_loop() -> None:
    with pytest.raises(RunError, match=r"Step flow.0.repeat: 'passages\[7\].score > 0.5' cannot be evaluated"):
        await run('  - repeat: {do: [search], until: "passages[7].score > 0.5", at_most: 2}\n  - fast')
