"""The tree of a recorded run, from what a real journal tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.types import Completion, Usage
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph, load_graph_text
from agentrag.graph.recorded.edits import spot_of
from agentrag.graph.recorded.tree import TreeStep, costs_of, tree_of
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.sample_nodes import PROMPTS

INNER = """\
agentrag: 1
name: inner
inputs: {question: str}
outputs: [passages]
nodes: {search: {use: t.search}}
flow: [search]
"""
OUTER = """\
agentrag: 1
name: outer
inputs: {question: str, xs: "list[str]"}
outputs: [answer]
models: {writer: default}
channels: {x: {type: str}, items: {type: "list[str]"}}
nodes:
  ask: {use: t.ask, prompt: t/plain, retry: 1}
  say: {use: t.say, text: "{x}"}
  broken: {use: t.fail, how: bug}
  weigh: {use: t.length}
flow:
  - ask
  - parallel: {branches: {well: [weigh], ill: [broken]}, join: {}, on_error: collect}
  - each: {in: xs, as: x, do: [say], collect: {answer: items}, at_most: 2}
  - repeat:
      do:
        - ask
        - choose: [{when: "size(answer) > 5", do: [weigh]}, {otherwise: [weigh]}]
      until: "size(answer) > 99"
      at_most: 2
      best_by: support
      on_exhausted: return_best
  - graph: {use: inner.yaml, in: {question: question}, out: {passages: passages}}
  - repeat: {do: [weigh], until: "support > 99.0", at_most: 1, on_exhausted: [weigh]}
"""


async def recorded(folder: Path, times: int = 1) -> tuple[TreeStep, ...]:
    """The tree of a run that was taken up so many times."""
    (folder / "inner.yaml").write_text(INNER, encoding="utf-8")
    (folder / "outer.yaml").write_text(OUTER, encoding="utf-8")
    prompt = folder / "prompts" / "t" / "plain.md"
    prompt.parent.mkdir(parents=True)
    header = "about: x\nsource: own\nversion: 1\ninputs: {question: data}\n"
    prompt.write_text(f"---\n{header}---\n## user\n{{question}}\n", encoding="utf-8")
    program = Program.of(load_graph(folder / "outer.yaml"))
    replies: list[str | Completion | Exception] = [
        ModelError("the line is busy", retryable=True, retry_after=0.0),
        "a long reply",
    ]
    for _ in range(times):
        with closing(SqliteJournal(folder / "journal.sqlite")) as journal:
            deps = fake_deps(ScriptedModel(replies), passages("cat"))
            await execute(program, {"question": "cat?", "xs": ["a", "b", "c"]}, replace(deps, journal=journal, run="r"))
    with History(folder / "journal.sqlite") as history:
        return tree_of(history.calls("r"), history.notes("r"), history.settled("r"))


def lines(steps: Sequence[TreeStep], depth: int = 0) -> Iterator[str]:
    for step in steps:
        parts = [step.kind, str(step.number), step.name if step.node in ("", step.name) else step.node, step.outcome]
        made = [f"{call.kind}" + ("(reused)" if call.reused else "") for call in step.calls]
        told = [f"{name}={value}" for name, value in step.told.items() if name not in ("number", "measures")]
        retried = [f"attempt {number}: {reason}" for number, reason in step.retried.items()]
        yield "  " * depth + " ".join(part for part in [*parts, *told, *retried, *made] if part)
        yield from lines(step.inside, depth + 1)


TREE = """\
node 0 ask done attempt 1: the line is busy chat
parallel 1
  branch 0 ill failed
    node 0 broken failed
  branch 0 well done
    node 0 weigh done
each 2 given=3 kept=2
  item 0 done
    node 0 say done
  item 1 done
    node 0 say done
repeat 3 rounds=2 why=exhausted kept=2
  round 1 until=False best_by=12.0
    node 0 ask done chat(reused)
    choose 1 branch=size(answer) > 5
      node 0 weigh done
  round 2 until=False best_by=12.0
    node 0 ask done chat(reused)
    choose 1 branch=size(answer) > 5
      node 0 weigh done
graph 4
  node 0 inner/search done search
repeat 5 rounds=1 why=exhausted kept=1
  round 1 until=False best_by=None
    node 0 weigh done
exhausted 5
  node 0 weigh done"""


async def test_the_tree_has_every_step_with_its_calls_and_decisions_in_program_order(tmp_path: Path) -> None:
    assert "\n".join(lines(await recorded(tmp_path))) == TREE


async def test_a_run_that_was_taken_up_again_has_every_step_once(tmp_path: Path) -> None:
    assert "\n".join(lines(await recorded(tmp_path, times=2))) == TREE


async def test_paths_reasons_and_costs_are_those_of_the_run(tmp_path: Path) -> None:
    steps = await recorded(tmp_path)
    broken = steps[1].inside[0].inside[0]
    assert (broken.path, broken.reason) == ("flow.1.parallel.ill.0:broken", "ZeroDivisionError")
    assert steps[1].inside[0].reason.startswith("Node 'broken' (step flow.1.parallel.ill.0:broken) failed")
    assert steps[3].inside[1].path == "flow.3.repeat#2"
    usage, saved = costs_of(steps)
    assert {node: (cost.calls, cost.reused) for node, cost in usage.items()} == {"ask": (1, 2), "inner/search": (1, 0)}
    assert (saved["ask"].calls, saved["inner/search"]) == (2, Usage())
    assert (steps[3].usage.reused, steps[3].saved.calls) == (2, 2)


def test_nothing_recorded_is_no_tree() -> None:
    assert tree_of([], [], {"0123abcd": {"redo": True}}) == ()


async def test_a_node_that_did_not_end_has_its_full_name_too(tmp_path: Path) -> None:
    await recorded(tmp_path)
    with History(tmp_path / "journal.sqlite") as history:
        calls, notes, settled = history.calls("r"), history.notes("r"), history.settled("r")
    cut = [note for note in notes if note.step != "flow.4.graph.0:search"]  # as of a branch that lost a race
    spec = load_graph(tmp_path / "outer.yaml")

    def named(path: str) -> str:
        spot = spot_of(spec, path)
        return spot.graphs + spot.node if spot else ""

    (inside,) = tree_of(calls, cut, settled, named)[4].inside
    assert (inside.node, inside.outcome, len(inside.calls)) == ("inner/search", "", 1)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("flow.0", ("flow.0", "", "ask")),
        ("flow.0:ask~2", ("flow.0", "", "ask")),
        ("flow.0:say", None),
        ("flow.1.parallel", ("flow.1", "", "")),
        ("flow.1.parallel.ill", ("flow.1.parallel.ill.0", "", "broken")),
        ("flow.1.parallel.no", None),
        ("flow.2.each[7]", ("flow.2.each[7].0", "", "say")),
        ("flow.3.repeat#2.1.choose.otherwise.0:weigh", ("flow.3.repeat#2.1.choose.otherwise.0", "", "weigh")),
        ("flow.4.graph", ("flow.4", "", "")),
        ("flow.4.graph.0:search", ("flow.4.graph.0", "inner/", "search")),
        ("flow.5.exhausted.0:weigh", ("flow.5.exhausted.0", "", "weigh")),
        ("flow.3.exhausted.0:weigh", None),
        ("flow.6", None),
        ("ask", None),
    ],
)
async def test_a_path_is_found_in_the_graphs(path: str, found: tuple[str, str, str] | None, tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(INNER, encoding="utf-8")
    spot = spot_of(load_graph_text(OUTER, str(tmp_path / "outer.yaml"), PROMPTS), path)
    assert (None if spot is None else (spot.place, spot.graphs, spot.node)) == found
